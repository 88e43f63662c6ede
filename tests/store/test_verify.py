"""Checking a made data set: an untouched one passes, and each way to spoil it is found, at its place and nowhere else."""

import json
import shutil

import cv2
import h5py
import numpy as np
import pytest

from blurbench.errors import DataSetError
from blurbench.store.pack import pack
from blurbench.store.reader import open_dataset
from blurbench.store.verify import fingerprint, verify
from blurbench.synth.pipeline import make_dataset

SPOILED = "rendered-test-s0-0001"
SHARD = f"test/{SPOILED}.h5"
GOES_ON = "repeat the command that made it, it goes on"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A data set made by `gopro7` from small rendered clips, in gzip: h5py can change its tiles."""
    folder = tmp_path_factory.mktemp("whole") / "data"
    make_dataset("gopro7", out=folder, clips={"train": 1, "test": 2}, size=(32, 48), codec="gzip")
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "data")


def wrong(data):
    return [(finding.split, finding.video, finding.file, finding.message) for finding in verify(data) if not finding.ok]


def test_what_was_made_passes(whole):
    read = []
    findings = verify(whole, read.append)
    assert [finding.file for finding in findings if finding.video == ""] == ["manifest.json", "manifest.json"]
    assert [finding.video for finding in findings if finding.split == "test"] == ["", "rendered-test-s0-0000", SPOILED]
    assert all(finding.ok for finding in findings)
    assert sum(read) == open_dataset(whole).count("train") + open_dataset(whole).count("test")


def test_the_fingerprint_follows_from_the_provenance(whole, tmp_path):
    """Also where each picture gives several samples, whose number goes in."""
    (tmp_path / "pictures/train").mkdir(parents=True)
    rng = np.random.default_rng(0)
    cv2.imwrite(str(tmp_path / "pictures/train/a.png"), rng.integers(0, 256, (80, 80, 3), dtype=np.uint8))
    kernels = make_dataset("synthetic-linear", tmp_path / "pictures", tmp_path / "kernels", changes=["kernels.maps={train=2, test=1}"])
    assert kernels.splits["train"][0].samples == 2
    for folder in (whole, tmp_path / "kernels"):
        data = open_dataset(folder)
        for split, entries in data.manifest.splits.items():
            for entry in entries:
                assert fingerprint(data.shard(entry), split) == entry.fingerprint
        assert not wrong(folder)


def edit(change):
    """A way to spoil a data set: `change` is given the open shard."""

    def spoil(folder):
        with h5py.File(folder / SHARD, "r+") as file:
            change(file)

    return spoil


def pixel(file):
    file["sharp"][0, 3, 5, 7, 1] ^= 1


def facts(change):
    """A way to spoil the provenance of a shard."""

    def spoil(file):
        table = json.loads(file.attrs["provenance"])
        change(table)
        file.attrs["provenance"] = json.dumps(table)

    return edit(spoil)


def provenance(table):
    table["recipe"]["window"]["stride"] += 1


def attribute(name, value):
    return edit(lambda file: file.attrs.modify(name, value))


def truncate(folder):
    data = (folder / SHARD).read_bytes()
    (folder / SHARD).write_bytes(data[: len(data) // 2])


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (edit(pixel), ["values are not those that were written"]),
        (facts(provenance), ["fingerprint is not that of its provenance", "recipe has window.stride: 1, the manifest 0"]),
        (facts(lambda facts: facts["made_with"].clear()), ["provenance does not say all that went in ('synthesis' is missing)"]),
        (facts(lambda facts: facts.pop("recipe")), ["provenance does not say all that went in ('recipe' is missing)"]),
        (attribute("transfer", "pixel"), ["transfer is 'pixel', its recipe has 'gamma(2.2)'"]),
        (attribute("content", "0" * 64), ["content is 000000000000…, the manifest has", "values are not those"]),
        (attribute("fingerprint", "0" * 64), ["fingerprint is 000000000000…, the manifest has", "not that of its provenance"]),
        (attribute("samples", 1), ["samples is 1, the manifest has 4", "values are not those"]),
        (attribute("counts", '{"frames": 9}'), ["frames is 9, the manifest has 28"]),
        (attribute("format", 2), ["has format 2, this blurbench reads up to 1"]),
        (edit(lambda file: file.attrs.pop("provenance")), ["cannot be read"]),
        (edit(lambda file: file.pop("times")), ["values are not those"]),
        (truncate, ["cannot be read: shard"]),
        (lambda folder: (folder / SHARD).unlink(), ["missing; make the data set again"]),
    ],
)
def test_a_spoiled_shard_is_found(folder, spoil, says):
    spoil(folder)
    found = wrong(folder)
    assert [finding[:3] for finding in found] == [("test", SPOILED, SHARD)] * len(says)
    for finding, part in zip(found, says, strict=True):
        assert part in finding[3]


def test_a_changed_manifest_is_found(folder):
    path = folder / "manifest.json"
    table = json.loads(path.read_text())
    table["splits"]["test"][1]["fingerprint"] = "f" * 64
    table["contents"]["train"] = "c" * 64
    path.write_text(json.dumps(table))
    found = wrong(folder)
    assert [finding[0] for finding in found] == ["train", "test", "test"]
    assert found[0][3] == "not of its entries: content"
    assert found[1][3] == "not of its entries: fingerprint"
    assert "the manifest has ffffffffffff…" in found[2][3]


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("footage", "video", ["footage is 'rendered', the manifest has 'video'"] * 3),
        ("transfer", "pixel", ["transfer by its recipe is 'gamma(2.2)', the manifest has 'pixel'"] * 3),
        ("changes", ["transfer=pixel"], ["changes are ['transfer=pixel'], its recipe differs from that of its name by []"]),
        ("dataset", "gopro9", ["its name is 'gopro9' version 1, its recipe's 'gopro7' version 1"]),
        ("recipe", {"id": "gopro7", "version": 1}, ["recipe has window.length: 7, the manifest nothing"] * 3),
        ("unfinished", {"val": ["a", "b"]}, [f"2 videos are planned and not made yet (first: a); {GOES_ON}"]),
    ],
)
def test_a_manifest_that_says_something_else_is_found(folder, key, value, says):
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    assert [finding[3] for finding in wrong(folder)] == says


def test_a_change_that_is_not_named_is_found(tmp_path):
    make_dataset("gopro7", out=tmp_path, clips={"train": 0, "test": 1}, size=(32, 48), frames=14, changes=["transfer=pixel"])
    assert not wrong(tmp_path)
    table = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**table, "changes": []}))
    assert [finding[3] for finding in wrong(tmp_path)] == ["changes are [], its recipe differs from that of its name by ['transfer=pixel']"]


def test_leftovers_and_strangers_are_found(folder):
    shutil.copy(folder / SHARD, folder / "test/stranger.h5")
    (folder / "test/.clip.h5.123.part").write_bytes(b"")
    (folder / "contact-sheet.png").write_bytes(b"")
    pack(open_dataset(folder), folder / "packed.h5")
    found = wrong(folder)
    assert [finding[2] for finding in found] == ["test/.clip.h5.123.part", "test/stranger.h5"]
    assert "half-written" in found[0][3] and "not in the manifest" in found[1][3]


def test_a_packed_file_is_checked_alike(folder):
    packed = folder.parent / "packed.h5"
    pack(open_dataset(folder), packed)
    assert not wrong(packed)
    with h5py.File(packed, "r+") as file:
        pixel(file[SHARD])
        file.copy(file[SHARD], file, name="test/stranger.h5")
        del file["train"]
    found = wrong(packed)
    assert [finding[2:] for finding in found] == [
        ("train/rendered-train-s0-0000.h5", "missing; make the data set again into the same folder"),
        (SHARD, "values are not those that were written; delete it and make the data set again into the same folder"),
        ("test/stranger.h5", "not in the manifest; pack the data set again"),
    ]


def test_a_newer_version_is_refused(folder):
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    with pytest.raises(DataSetError, match="has format 2, this blurbench reads up to 1; install a newer blurbench"):
        verify(folder)
