"""Verifying what was imported: fingerprints from the stored hashes of the files, and facts that somebody changed."""

import json

import h5py
import pytest

from blurbench.importers.pipeline import import_dataset
from blurbench.store.reader import open_dataset
from blurbench.store.verify import fingerprint, verify
from tests.importers import trees

WHOLE = ["window.skip_first=0", "window.skip_last=0"]


@pytest.mark.parametrize(
    ("layout", "tree", "changes"),
    [
        ("gopro-linear", trees.gopro, []),
        ("gopro-align", lambda root: trees.aligned(root, video="GOPR0001_07_00"), ["transfer=pixel"]),
        ("baistpp", lambda root: trees.baistpp(root, count=3, without=[1]), WHOLE),
        ("genblur", lambda root: trees.genblur(root, video="IMG_9999"), []),
        ("genblur", lambda root: trees.genblur(root, video="IMG_9999"), ["guidance=none"]),
        ("reds", trees.reds, ["transfer=gamma(2.2)"]),
        ("adobe240-bin", trees.adobe, ["window.targets=all"]),
    ],
)
def test_the_fingerprint_follows_from_the_stored_hashes(tmp_path, layout, tree, changes):
    manifest = import_dataset(layout, tree(tmp_path / "tree"), tmp_path / "out", changes=changes, skip_broken=True)
    data = open_dataset(tmp_path / "out")
    for split, entries in manifest.splits.items():
        assert [fingerprint(data.shard(entry), split) for entry in entries] == [entry.fingerprint for entry in entries]
    assert all(finding.ok for finding in verify(tmp_path / "out"))


def test_forged_facts_of_a_release_are_found(tmp_path):
    manifest = import_dataset("gopro-gamma", trees.gopro(tmp_path / "tree", numbers=[3]), tmp_path / "out")
    path = tmp_path / "out" / manifest.splits["test"][0].file
    with h5py.File(path, "r+") as file:
        facts = json.loads(file.attrs["provenance"])
        facts["layout"]["transfer"] = "pixel"
        file.attrs["provenance"] = json.dumps(facts)
    assert [finding.message for finding in verify(tmp_path / "out") if not finding.ok] == [
        "fingerprint is not that of its provenance",
        'recipe has transfer: "pixel", the manifest "gamma(2.2)"',
        "transfer is 'gamma(2.2)', its recipe has 'pixel'",
        "transfer by its recipe is 'pixel', the manifest has 'gamma(2.2)'",
    ]


def test_a_change_of_the_layout_that_is_not_named_is_found(tmp_path):
    root = trees.genblur(tmp_path / "tree", video="IMG_9999")
    manifest = import_dataset("genblur", root, tmp_path / "out", changes=["guidance=none", "transfer=pixel"])
    manifest.changes = ["guidance=none"]
    manifest.write(tmp_path / "out")
    told = "changes name ['guidance'], its rules differ in 'transfer' as well"
    assert [finding.message for finding in verify(tmp_path / "out") if not finding.ok] == [told]
