"""What a run planned and did not make is named in the manifest, until it is made, left out, or planned no longer."""

import json
import shutil

import cv2
import numpy as np
import pytest

from blurbench.errors import DataSetError, SourceError
from blurbench.importers.pipeline import import_dataset
from blurbench.store import manifest as manifests
from blurbench.store.manifest import Entry, Manifest
from blurbench.store.verify import verify
from blurbench.synth.pipeline import make_dataset
from tests.conftest import command
from tests.importers import trees


def entry(video, split="test"):
    return Entry(video, f"{split}/{video}.h5", 1, 9, 0, "f", "c")


def fresh():
    return Manifest("gopro7", 1, "t", "video", "pixel", {}, "0")


def footage(folder, *videos, frames=7, seed=0):
    """Folders of pictures; the same for the same seed."""
    rng = np.random.default_rng(seed)
    for video in videos:
        (folder / video).mkdir(parents=True, exist_ok=True)
        for number in range(frames):
            cv2.imwrite(str(folder / video / f"{number}.png"), rng.integers(0, 256, (32, 48, 3), dtype=np.uint8))
    return folder


def test_a_video_is_unfinished_until_it_is_entered_or_left_out():
    """In its own split: another of that name in another split is another video."""
    manifest = fresh()
    manifest.enter("test", entry("there"))
    assert manifest.plan("test", ["there", "b", "a"]) == [] == manifest.plan("train", ["a"])
    assert manifest.unfinished == {"test": ["a", "b"], "train": ["a"]} and manifest.label == "gopro7-unfinished"
    manifest.enter("test", entry("a"))
    assert manifest.unfinished == {"test": ["b"], "train": ["a"]}
    manifest.leave_out("test", "b", "too fast")
    manifest.drop("train", "a")
    assert manifest.unfinished == {} and manifest.label == "gopro7"
    assert manifest.plan("test", ["a", "b", "c"]) == [] and manifest.unfinished == {"test": ["c"]}
    assert manifest.plan("test", ["a"]) == ["c"] and manifest.unfinished == {}


def test_what_is_left_out_of_one_split_is_not_forgotten_for_another():
    manifest = fresh()
    manifest.leave_out("train", "clip", "too fast")
    manifest.leave_out("test", "clip", "too slow")
    manifest.enter("test", entry("clip"))
    assert manifest.empty == {"train": {"clip": "too fast"}}


def test_a_manifest_of_another_form_is_told(tmp_path):
    table = {**fresh().table(), "empty": {"clip": "too fast"}}
    (tmp_path / "manifest.json").write_text(json.dumps(table))
    says = "is not a manifest of this blurbench: .*; delete it and repeat the command that made the data set, finished shards are kept"
    with pytest.raises(DataSetError, match=says):
        manifests.read(tmp_path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"recipe": []}, "recipe is '[]', expected a table"),
        ({"version": "1"}, "version is '1', expected a whole number"),
        ({"changes": [1]}, "changes is '[1]', expected a list of texts"),
        ({"missing": {"test": "b"}}, "missing is \"{'test': 'b'}\", expected dict[str, list[str]]"),
        ({"samples": "3"}, "samples of test/a is '3', expected a whole number"),
        ({"samples": True}, "samples of test/a is 'True', expected a whole number"),
        ({"left_out": {"x": "1"}}, "left_out of test/a is \"{'x': '1'}\", expected dict[str, int]"),
        ({"splits": {"test": 3}}, "'int' object is not iterable"),
    ],
)
def test_a_value_of_another_kind_in_a_manifest_is_told(tmp_path, change, says):
    manifest = fresh()
    manifest.enter("test", entry("a"))
    table = manifest.table()
    (table["splits"]["test"][0] if set(change) <= {"samples", "left_out"} else table).update(change)
    (tmp_path / "manifest.json").write_text(json.dumps(table))
    again = "delete it and repeat the command that made the data set, finished shards are kept"
    with pytest.raises(DataSetError) as caught:
        verify(tmp_path)
    assert str(caught.value) == f"{tmp_path / 'manifest.json'} is not a manifest of this blurbench: {says}; {again}"


def test_a_failed_run_names_what_it_did_not_make_and_the_next_one_makes_it(tmp_path):
    source, out, said = footage(tmp_path / "in/test", "a", "b").parent, tmp_path / "out", []
    (source / "test/b/6.png").write_bytes(b"broken")
    with pytest.raises(SourceError):
        make_dataset("gopro7", source, out)
    assert manifests.read(out).unfinished == {"test": ["b"]} and manifests.read(out).label == "gopro7-unfinished"
    goes_on = "planned and not made yet (first: b); repeat the command that made it, it goes on"
    assert [finding.message for finding in verify(out) if not finding.ok] == [f"1 videos are {goes_on}"]
    shown = command("inspect", out, cwd=tmp_path)
    assert shown.returncode == 0 and f"unfinished: 1 videos of test are {goes_on}\n" in shown.stdout
    footage(source / "train", "c", seed=1)
    assert make_dataset("gopro7", source, out, splits=("train",)).unfinished == {"test": ["b"]}
    footage(source / "test", "b")
    assert make_dataset("gopro7", source, out, note=said.append).label == "gopro7"
    assert manifests.read(out).unfinished == {} and all(finding.ok for finding in verify(out))
    assert "2 of 3 videos were there already, whole, and not made again" in said


def test_what_left_the_source_is_planned_no_longer_and_told(tmp_path):
    source, said = footage(tmp_path / "in/test", "a", "b").parent, []
    (source / "test/b/6.png").write_bytes(b"broken")
    with pytest.raises(SourceError):
        make_dataset("gopro7", source, tmp_path / "out")
    shutil.rmtree(source / "test/b")
    assert make_dataset("gopro7", source, tmp_path / "out", note=said.append).label == "gopro7"
    assert "note: the source lacks 1 videos that an earlier run left unfinished (first: b); they are left out" in said


def test_a_run_that_is_stopped_before_anything_is_made(tmp_path):
    """A finished split stands there already, and is not all that was planned."""
    source = footage(tmp_path / "in/test", "a").parent
    make_dataset("gopro7", source, tmp_path / "out")
    footage(source / "train", "c", seed=1)

    def stop(video, frames):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_dataset("gopro7", source, tmp_path / "out", splits=("train",), progress=stop)
    assert manifests.read(tmp_path / "out").unfinished == {"train": ["c"]}


def test_an_import_that_fails_beside_a_finished_split(tmp_path):
    root, out = trees.gopro(tmp_path / "tree"), tmp_path / "out"
    import_dataset("gopro-linear", root, out, splits=("test",))
    picture = root / "train/GOPR0001_07_00/sharp/000005.png"
    whole = picture.read_bytes()
    picture.write_bytes(b"broken")
    with pytest.raises(SourceError):
        import_dataset("gopro-linear", root, out)
    assert manifests.read(out).unfinished == {"train": ["GOPR0001_07_00"]}
    assert import_dataset("gopro-linear", root, out, splits=("test",)).label == "gopro-linear-released-unfinished"
    picture.write_bytes(whole)
    assert import_dataset("gopro-linear", root, out).label == "gopro-linear-released"
