"""Footage and options that do not fit the recipe: a note, or a refusal in one line that leaves nothing behind."""

import errno
import shutil
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from blurbench.errors import DataSetError, EmptySourceError, RecipeError, SourceError
from blurbench.store import manifest as manifests
from blurbench.store.reader import open_dataset
from blurbench.synth import recipe as recipes
from blurbench.synth import remarks
from blurbench.synth.pipeline import make_dataset
from tests.synth.recipe_head import HEAD

OTHERS = "of 2 sources give other pictures than the"
MEANT = "960x540 that the recipe is meant for"


@pytest.fixture
def source(tmp_path):
    """Two folders of 96x64 and 48x32 pixels, and the recipe's file."""
    rng = np.random.default_rng(0)
    for name, size in (("a", (64, 96, 3)), ("b", (32, 48, 3))):
        (tmp_path / "source" / name).mkdir(parents=True)
        for number in range(3):
            cv2.imwrite(str(tmp_path / "source" / name / f"{number}.png"), rng.integers(0, 256, size, dtype=np.uint8))
    return tmp_path / "source"


def make(source, recipe, *changes, **settings):
    said = []
    (source.parent / "mine.toml").write_text(HEAD + "[window]\nlength = 3\n" + recipe)
    recipe = str(source.parent / "mine.toml")
    manifest = make_dataset(recipe, source, source.parent / "data/new", changes=changes, note=said.append, **settings)
    return manifest, said


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ("", []),
        ("width = 24", []),  # the picture's shape makes the other side
        ("width = 24\nheight = 16", []),
        ("width = 48\nheight = 32", []),
        ('width = 960\nheight = 540\nfit = "stretch"', []),
        ("width = 96\nheight = 64", [f"note: 1 {OTHERS} 96x64 that the recipe is meant for (first: b, 48x32); frames are never enlarged"]),
        (
            "width = 960\nheight = 540",
            [f"note: 2 {OTHERS} {MEANT} (first: a, 96x64); frames are never enlarged"],
        ),
        ("width = 960\nheight = 540\ncrop = [40, 32]", []),  # all of the crop is there
        (
            'width = 96\nheight = 96\nfit = "stretch"',
            ["note: 2 of 2 sources are squashed to 96x96, quite another shape (first: a, 96x64); --set frame.fit=shrink keeps theirs"],
        ),
    ],
)
def test_footage_smaller_than_the_recipe_is_meant_for(source, frame, said):
    assert make(source, f"[frame]\n{frame}\n")[1] == said


def test_footage_that_genblur_is_not_meant_for():
    recipe = recipes.load("genblur")
    fitting, other = (SimpleNamespace(id=f"{fps:g}", fps=fps, size=size) for fps, size in ((239.76, (1080, 1920)), (30.0, (96, 160))))
    jobs = [SimpleNamespace(recipe=recipe, source=source) for source in (fitting, other)]
    assert list(remarks.tell_unlike(jobs[:1])) == []
    assert list(remarks.tell_unlike(jobs)) == [
        "1 of 2 sources have another rate than the 240 frames/s that the recipe is meant for (first: 30, 30); "
        "exposures are longer or shorter by that",
        f"1 {OTHERS} {MEANT} (first: 30, 160x96); frames are never enlarged",
    ]


def test_files_of_a_kind_that_is_not_read_are_told(source):
    for name in ("x.360", "a/y.WEBP", "a/notes.txt", "x.thm", "x.json"):
        (source / name).touch()
    told = f"note: 2 files are of a kind that is not read (first: {source / 'x.360'}); convert them, e.g. to .mp4 or .png"
    assert make(source, "")[1] == [told]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_source_without_a_window_left_is_named_and_the_others_are_made(source, workers):
    """Noise moves as no video does; the other source stands still."""
    for number in range(3):
        cv2.imwrite(str(source / "a" / f"{number}.png"), np.full((64, 96, 3), 90, np.uint8))
        noise = np.random.default_rng(number).integers(0, 256, (64, 96, 3), dtype=np.uint8)
        cv2.imwrite(str(source / "b" / f"{number}.png"), cv2.GaussianBlur(noise, (0, 0), 3))
    gate = "[gate]\nlargest_step = 0.5\nquantile = 0.9\n"
    manifest, said = make(source, gate, workers=workers)
    told = "b: all 1 windows are left out (1 for a step above 0.5 px); give other footage or change the recipe"
    assert said == [f"note: 1 of 2 sources give no sample, the manifest names them; the first: {told}"]
    assert manifest.videos() == {"a"} and manifest.empty == {"test": {"b": told}}
    folder = source.parent / "data/new"
    assert manifests.read(folder).empty == manifest.empty and [path.name for path in folder.glob("*/*")] == ["a.h5"]
    assert open_dataset(folder).ids("test") == ["a/00000"]
    shutil.rmtree(source / "a")
    shutil.rmtree(folder)
    with pytest.raises(EmptySourceError, match=r"^b: all 1 windows are left out"):
        make(source, gate, workers=workers)
    assert not folder.exists()


def test_footage_that_is_left_out_takes_the_place_of_what_was_made(source):
    for name in ("a", "b"):
        for number in range(3):
            cv2.imwrite(str(source / name / f"{number}.png"), np.full((64, 96, 3), 90, np.uint8))
    gate = "[gate]\nlargest_step = 0.5\nquantile = 0.9\n"
    assert make(source, gate)[0].videos() == {"a", "b"}
    for number in range(3):
        noise = np.random.default_rng(number).integers(0, 256, (64, 96, 3), dtype=np.uint8)
        cv2.imwrite(str(source / "b" / f"{number}.png"), cv2.GaussianBlur(noise, (0, 0), 3))
    manifest, _ = make(source, gate)
    assert manifest.videos() == {"a"} and list(manifest.empty["test"]) == ["b"]
    assert [path.name for path in (source.parent / "data/new").glob("*/*")] == ["a.h5"]
    for number in range(3):
        shutil.copy(source / "b" / f"{number}.png", source / "a" / f"{number}.png")
    with pytest.raises(EmptySourceError, match="none of 2 sources gives a sample"):
        make(source, gate)
    assert not [path for path in (source.parent / "data/new").rglob("*") if path.is_file() and path.name != ".lock"]


def test_one_video_in_two_splits_is_told(source):
    """Releases number their videos anew in each split: equal names are no reason, equal pictures are."""
    for split in ("train", "test"):
        shutil.copytree(source / "a", source / split / "a")
    shutil.rmtree(source / "a"), shutil.rmtree(source / "b")
    both = {"train": ["a"], "test": ["a"]}
    there = "1 of 2 videos was there already, whole, and not made again"
    for other, told in ((np.zeros((64, 96, 3), np.uint8), []), (None, ["note: a is the same video in ", there])):
        if other is None:
            shutil.copy(source / "train/a/2.png", source / "test/a/2.png")
        else:
            cv2.imwrite(str(source / "test/a/2.png"), other)
        manifest, said = make(source, "")
        assert {split: [entry.video for entry in entries] for split, entries in manifest.splits.items()} == both
        assert len(said) == len(told) and all(line.startswith(start) for line, start in zip(said, told, strict=True))
        assert all(line.endswith("which share it: leave it out of one of them") for line in said[:1])


def test_videos_whose_tail_may_be_lost():
    ends = {"a": {"end_checked": True}, "b": {"end_checked": False}, "folder of images": {}, "c": {"end_checked": False}}
    jobs = [SimpleNamespace(source=SimpleNamespace(id=name, facts=lambda facts=facts: facts)) for name, facts in ends.items()]
    assert list(remarks.tell_unproven(jobs[:1])) == []
    assert list(remarks.tell_unproven(jobs)) == ["2 of 4 sources do not state their end (first: b), where a lost tail does not show"]


@pytest.mark.parametrize("broken", ["a", "b"])
def test_a_failed_run_leaves_no_folder(source, broken):
    """The first source is broken, or the second."""
    (source / broken / "2.png").write_bytes(b"")
    with pytest.raises(SourceError, match=f"{broken}/2.png is not a readable image"):
        make(source, "")
    left = [path.relative_to(source.parent / "data").as_posix() for path in sorted((source.parent / "data").rglob("*"))]
    assert left == ([] if broken == "a" else ["new", "new/manifest.json", "new/test", "new/test/a.h5"])
    assert (source.parent / "data").exists() == bool(left)


def test_a_source_that_may_not_be_looked_into(source, monkeypatch):
    def refuse(folder):
        raise PermissionError(errno.EACCES, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(DataSetError) as caught:
        make(source, "")
    assert str(caught.value) == f"{source} cannot be read: no permission; make it readable, or give another place"


@pytest.mark.parametrize(("method", "changes"), [("none", ()), ("flow", ("interpolation.method=flow", "interpolation.factor=2"))])
def test_weights_of_rife_for_a_recipe_that_does_not_take_them(source, method, changes):
    says = f"--rife-weights is 'nope.pkl', but here mine interpolates by '{method}'; leave it out"
    with pytest.raises(RecipeError, match=says):
        make(source, "", *changes, weights="nope.pkl")
    assert not (source.parent / "data").exists()
