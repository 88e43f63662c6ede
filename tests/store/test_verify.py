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
                assert fingerprint(data.shard(entry).provenance, split) == entry.fingerprint
        assert not wrong(folder)


def edit(change):
    """A way to spoil a data set: `change` is given the open shard."""

    def spoil(folder):
        with h5py.File(folder / SHARD, "r+") as file:
            change(file)

    return spoil


def pixel(file):
    file["sharp"][0, 3, 5, 7, 1] ^= 1


def provenance(file):
    facts = json.loads(file.attrs["provenance"])
    facts["recipe"]["window"]["stride"] += 1
    file.attrs["provenance"] = json.dumps(facts)


def attribute(name, value):
    return edit(lambda file: file.attrs.modify(name, value))


def truncate(folder):
    data = (folder / SHARD).read_bytes()
    (folder / SHARD).write_bytes(data[: len(data) // 2])


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (edit(pixel), ["values are not those that were written"]),
        (edit(provenance), ["fingerprint is not that of its provenance"]),
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
