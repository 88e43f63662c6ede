"""What decides the pixels beside source and recipe is in the fingerprint: boxes, weights of flow models. Others keep the one they had."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import h5py
import numpy as np
import pytest
import torch

from blurbench.store.manifest import Entry, Manifest
from blurbench.store.reader import open_dataset
from blurbench.store.verify import verify
from blurbench.synth import plan
from blurbench.synth import recipe as recipes
from blurbench.synth.pipeline import make_dataset
from blurbench.video.images import ImageFolderSource
from tests.synth.recipe_head import HEAD

BOXES = "boxes.width=16", "boxes.height=8"


@pytest.mark.parametrize(
    ("name", "split", "clips", "expected"), [("rendered", "test", 16, "48aaa27a0b71"), ("genblur", "train", 900, "82e476a44ad1")]
)
def test_fingerprints_that_boards_and_shipped_weights_name(name, split, clips, expected):
    recipe = recipes.load(name, built_in=True)
    manifest = Manifest(name, 1, "", "rendered", "", {}, "", {split: []})
    for _, source in plan.built_in(recipe, plan.BuiltIn({split: clips})):
        job = plan.Job(source, split, recipe, Path(), "zstd")
        manifest.splits[split].append(Entry(source.id, job.file, 1, 1, 0, job.fingerprint(job.interpolator()), ""))
    assert manifest.fingerprint(split).startswith(expected)


@pytest.fixture
def source(tmp_path):
    """A folder of six pictures that shift by a pixel each, below a folder."""
    scene = cv2.resize(np.random.default_rng(0).integers(0, 256, (20, 26, 3), dtype=np.uint8), (104, 80))
    (tmp_path / "source/clip").mkdir(parents=True)
    for number in range(6):
        cv2.imwrite(str(tmp_path / f"source/clip/{number}.png"), scene[:, number : number + 96])
    (tmp_path / "mine.toml").write_text(HEAD + '[window]\nlength = 3\ntargets = "all"\n')
    return tmp_path / "source"


def make(source, *changes, out="data", said=None):
    note = (lambda text: None) if said is None else said.append
    manifest = make_dataset(str(source.parent / "mine.toml"), source, source.parent / out, changes=changes, note=note)
    (entry,) = manifest.splits["test"]
    return entry


def box(source, left):
    rows = "".join(f"{frame},{left},10,{left + 20},30\n" for frame in range(6))
    (source / "clip.boxes.csv").write_text("frame,x_min,y_min,x_max,y_max\n" + rows)


def blurry(source, out="data"):
    return next(open_dataset(source.parent / out).samples("test")).blurry


def provenance(source, out="data"):
    (shard,) = open_dataset(source.parent / out).shards("test")
    return shard.provenance


def test_boxes_are_in_the_fingerprint(source):
    said = []
    whole = make(source, *BOXES, said=said)
    assert said == ["note: 1 of 1 sources have no boxes (first: no clip.boxes.csv); their pictures stay whole"]
    assert blurry(source).shape == (80, 96, 3) and provenance(source)["inputs"] == {"boxes": None}
    box(source, 5)
    left = make(source, *BOXES, said=said)
    assert len(said) == 1 and blurry(source).shape == (8, 16, 3)  # made again, and nothing to remark
    box(source, 70)
    right = make(source, *BOXES, out="right")
    assert len({entry.fingerprint for entry in (whole, left, right)}) == len({entry.content for entry in (whole, left, right)}) == 3
    assert provenance(source)["inputs"]["boxes"] != provenance(source, "right")["inputs"]["boxes"]
    for out in ("data", "right"):
        assert all(finding.ok for finding in verify(source.parent / out))


def test_boxes_that_the_recipe_does_not_want_change_nothing(source):
    before = make(source)
    assert "inputs" not in provenance(source)
    box(source, 5)
    said = []
    assert make(source, out="other", said=said) == before
    crops = "--set boxes.width=160 --set boxes.height=192 crops to them"
    assert said == [f"note: 1 of 1 sources have boxes that are not used (first: clip.boxes.csv); {crops}"]


def test_the_size_of_pictures_that_stay_whole_is_theirs(source):
    recipe = recipes.load(str(source.parent / "mine.toml"), BOXES)
    job = plan.Job(ImageFolderSource(source / "clip"), "test", recipe, source, "zstd")
    assert plan.describe([job])["bytes"] == 2 * 80 * 96 * 3 * 4  # windows, rows, columns, channels, blurry and three targets
    box(source, 5)
    assert plan.describe([job])["bytes"] == 2 * 8 * 16 * 3 * 4


def test_other_boxes_in_the_provenance_are_found(source):
    box(source, 5)
    entry = make(source, *BOXES)
    with h5py.File(source.parent / "data" / entry.file, "r+") as file:
        facts = json.loads(file.attrs["provenance"])
        file.attrs["provenance"] = json.dumps({**facts, "inputs": {"boxes": "0" * 64}})
    assert [finding.message for finding in verify(source.parent / "data") if not finding.ok] == [
        "fingerprint is not that of its provenance"
    ]


class Toy(torch.nn.Module):
    """Flow of a fixed length to the right."""

    def __init__(self, length):
        super().__init__()
        self.length = torch.nn.Parameter(torch.tensor(length))

    def forward(self, inputs):
        pictures = inputs["images"][0, 0]
        return {"flows": torch.stack([self.length.expand(pictures.shape[1:]), torch.zeros(pictures.shape[1:])])[None, None]}


@pytest.fixture
def weights(monkeypatch):
    """A stand-in for ptlflow whose checkpoint `FILE` can be changed."""
    checkpoint = {"length": 1.0, "loaded": 0}

    def get_model(name, ckpt_path):
        checkpoint["loaded"] += 1
        return Toy(checkpoint["length"])

    module = SimpleNamespace(__version__="0.4.2", get_model=get_model, get_model_names=lambda: ["toy"])
    monkeypatch.setitem(sys.modules, "ptlflow", module)
    return checkpoint


@pytest.mark.parametrize(
    ("key", "changes"),
    [
        ("motion.flow", ("motion.flow=ptlflow:toy@FILE",)),
        ("gate.flow", ("gate.flow=ptlflow:toy@FILE", "gate.largest_step=9")),
    ],
)
def test_weights_of_flow_models_are_in_the_fingerprint(source, weights, key, changes):
    first = make(source, *changes)
    before = provenance(source)["inputs"]
    assert list(before) == [key] and len(before[key]) == 64
    assert make(source, *changes) == first
    weights["length"] = 2.0
    second = make(source, *changes)
    assert second.fingerprint != first.fingerprint and provenance(source)["inputs"] != before
    if key == "motion.flow":
        assert (next(open_dataset(source.parent / "data").samples("test")).extras["flow"][..., 0] == 2).all()
    assert all(finding.ok for finding in verify(source.parent / "data"))


def test_a_model_without_weights_is_named_by_the_recipe(source):
    make(source, "motion.flow=dis-fast", "gate.largest_step=50")
    assert "inputs" not in provenance(source)


def test_exact_motion_asks_for_no_model(tmp_path, weights):
    make_dataset("gopro7", out=tmp_path, clips={"train": 0, "test": 1}, size=(32, 48), frames=7, changes=["motion.flow=ptlflow:toy"])
    assert weights["loaded"] == 0
