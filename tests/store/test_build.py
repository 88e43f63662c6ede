"""One run at a time makes a folder: another is refused, a killed one leaves no lock behind that holds. Other folders are not touched."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import h5py
import pytest

from blurbench import lock
from blurbench.errors import DataSetError, RecipeError
from blurbench.store import build
from blurbench.store.build import Made
from blurbench.store.manifest import Entry, Manifest
from blurbench.store.pack import pack
from blurbench.store.reader import open_dataset
from blurbench.store.verify import verify
from blurbench.synth.pipeline import make_dataset

HOLDS = """
import sys, time
from pathlib import Path
from blurbench.store import build
from blurbench.store.manifest import Manifest
with build.making(Path(sys.argv[1]), Manifest("d", 1, "t", "video", "pixel", {}, "0")):
    print("held", flush=True)
    time.sleep(120)
"""


def fresh():
    return Manifest("d", 1, "t", "video", "pixel", {}, "0")


@pytest.fixture
def holder(tmp_path):
    """A process that is making a folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLDS, str(tmp_path / "data")], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_run_is_refused_and_touches_nothing(tmp_path, holder):
    half = tmp_path / "data/.half.h5.1.part"
    half.write_bytes(b"the other run's")
    with pytest.raises(DataSetError, match=r"another run is making .*data; wait for it, or give another --out"):
        make_dataset("gopro7", out=tmp_path / "data", clips={"train": 0, "test": 1}, size=(32, 48))
    assert half.read_bytes() == b"the other run's" and not (tmp_path / "data/test").exists()


def test_after_a_killed_run_the_next_begins_at_once(tmp_path, holder):
    (tmp_path / "data/.half.h5.1.part").write_bytes(b"")
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "data" / build.LOCK).exists()
    with build.making(tmp_path / "data", fresh()):
        assert [path.name for path in (tmp_path / "data").iterdir()] == [build.LOCK]
    assert not list((tmp_path / "data").iterdir())


def test_in_one_process_too(tmp_path):
    with build.making(tmp_path / "data", fresh()):
        with pytest.raises(DataSetError, match="another run is making"), build.making(tmp_path / "data", fresh()):
            pass
        with pytest.raises(DataSetError, match="another run is making"), build.making(tmp_path / "data", fresh()):
            pass  # the one that was refused did not take the lock away
    with build.making(tmp_path / "data", fresh()) as manifest:
        assert asdict(manifest) == asdict(fresh())


def test_a_lock_removed_between_opening_and_locking_is_taken_anew(tmp_path, monkeypatch):
    """The run that held it ends just then; what is locked must be the file that the next run will find."""
    take, rounds = lock._take, []

    def late(file, told):
        if not rounds:
            (tmp_path / build.LOCK).unlink()
        rounds.append(file)
        take(file, told)

    monkeypatch.setattr(lock, "_take", late)
    with build.making(tmp_path, fresh()):
        assert len(rounds) == 2
        with pytest.raises(DataSetError, match="another run"), build.making(tmp_path, fresh()):
            pass


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def refuse(file, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with build.making(tmp_path, fresh()) as manifest:
        assert manifest.splits == {}


def test_a_lock_left_behind_is_no_part_of_the_data_set(tmp_path):
    make_dataset("gopro7", out=tmp_path / "data", clips={"train": 0, "test": 1}, size=(32, 48), frames=14)
    assert not (tmp_path / "data" / build.LOCK).exists()
    (tmp_path / "data" / build.LOCK).touch()
    assert all(finding.ok for finding in verify(tmp_path / "data"))
    pack(open_dataset(tmp_path / "data"), tmp_path / "packed.h5")
    assert all(finding.ok for finding in verify(tmp_path / "packed.h5"))


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "data").write_text("mine")
    with pytest.raises(DataSetError, match="data is a file, expected a folder"), build.making(tmp_path / "data", fresh()):
        pass
    assert (tmp_path / "data").read_text() == "mine"


def test_folders_that_a_failed_run_made_go_away_again(tmp_path):
    """Those that were there before stay, and so do those that hold anything."""
    (tmp_path / "data").mkdir()
    with pytest.raises(RuntimeError), build.making(tmp_path / "data/a/b", fresh()):
        (tmp_path / "data/a/b/test/deep").mkdir(parents=True)
        raise RuntimeError
    assert [path.name for path in tmp_path.rglob("*")] == ["data"]
    (tmp_path / "data/kept").mkdir()
    with pytest.raises(KeyboardInterrupt), build.making(tmp_path / "data", fresh()):
        (tmp_path / "data/train").mkdir()
        (tmp_path / "data/test").mkdir()
        (tmp_path / "data/test/a.h5").touch()
        raise KeyboardInterrupt
    assert sorted(path.name for path in (tmp_path / "data").rglob("*")) == ["a.h5", "kept", "test"]


@pytest.mark.parametrize("name", ["predictions.json", "test/clip.h5", "deep/er/a.png", "a.h5"])
def test_a_folder_with_other_files_is_refused_and_stays_as_it_is(tmp_path, name):
    other = tmp_path / "p" / name
    other.parent.mkdir(parents=True)
    if other.suffix == ".h5":
        h5py.File(other, "w").close()
    else:
        other.write_text("{}")
    (tmp_path / "p/.half.h5.1.part").touch()
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    with pytest.raises(DataSetError) as told, build.making(tmp_path / "p", fresh()):
        pass
    says = f"{tmp_path / 'p'} holds other files (first: {name}), expected an empty folder or a made data set; give another --out"
    assert str(told.value) == says
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == before


def test_hidden_files_and_what_a_killed_first_run_left_are_no_other_files(tmp_path):
    """Shards without a manifest, and half of one; they are taken up."""
    made = {"out": tmp_path, "clips": {"train": 0, "test": 2}, "size": (32, 48), "frames": 14}
    whole = make_dataset("gopro7", **made)
    first, second = (tmp_path / entry.file for entry in whole.splits["test"])
    (tmp_path / "manifest.json").unlink()
    second.rename(second.with_name(f".{second.name}.1.part"))
    (tmp_path / ".DS_Store").touch()
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/config").touch()
    written = first.stat().st_mtime_ns
    assert asdict(make_dataset("gopro7", **made)) == asdict(whole)
    assert first.stat().st_mtime_ns == written
    assert not list(tmp_path.rglob("*.part")) and (tmp_path / ".git/config").exists()


@pytest.mark.parametrize(
    ("there", "here", "says"),
    [
        ({"transfer": "pixel"}, {"transfer": "gamma(2.2)"}, 'transfer: "pixel" there, "gamma(2.2)" here'),
        ({"a": 1, "b": {"x": 1, "y": [1]}}, {"a": 1, "b": {"x": 1, "y": [2]}}, "b.y: [1] there, [2] here"),
        ({"a": 1}, {"a": 1, "b": {"x": None}}, "b.x: nothing there, null here"),
    ],
)
def test_a_folder_made_otherwise_is_refused_and_the_first_difference_named(tmp_path, there, here, says):
    replace(fresh(), recipe=there).write(tmp_path)
    with pytest.raises(DataSetError) as told, build.making(tmp_path, replace(fresh(), recipe=here)):
        pass
    made = f"{tmp_path} already holds 'd' version 1, made otherwise ({says}); give another --out, or delete the folder"
    assert str(told.value) == made
    rendered = replace(fresh(), recipe=there, footage="rendered")
    with pytest.raises(DataSetError, match=r'\(footage: "video" there, "rendered" here\)'), build.making(tmp_path, rendered):
        pass


def slowly(job, progress):
    """Three frames, the last one after the others were told."""
    cv2.setNumThreads(2)
    with build.one_thread():
        progress(job.file, cv2.getNumThreads() + 1)
    time.sleep(1)
    progress(job.file, 1)
    return Made(job.split, Entry(job.file, job.file, 1, 3, 0, "f", "c"), True)


def test_processes_tell_how_far_they_are(tmp_path):
    jobs = [SimpleNamespace(split="test", file=f"test/{name}.h5") for name in ("a.b", "c")]
    told = []
    made = list(build.run(jobs, slowly, 2, lambda video, frames: told.append((video, frames)), lambda text: None))
    assert sorted(told) == [("a.b", 1), ("a.b", 2), ("c", 1), ("c", 2)] and {one.entry.video for one in made} == {
        "test/a.b.h5",
        "test/c.h5",
    }


@pytest.mark.parametrize("workers", [1, 2])
def test_every_frame_is_told_whether_it_is_made_or_was_there(tmp_path, workers):
    for _ in range(2):
        told = Counter()
        made = {"out": tmp_path, "clips": {"train": 0, "test": 2}, "size": (32, 48), "frames": 14, "workers": workers}
        make_dataset("gopro7", **made, progress=lambda video, frames, told=told: told.update({video: frames}))
        assert told == {"rendered-test-s0-0000": 14, "rendered-test-s0-0001": 14}


def test_opencv_has_its_threads_back(tmp_path):
    before, during = cv2.getNumThreads(), set()
    cv2.setNumThreads(2)
    try:
        made = {"clips": {"train": 0, "test": 1}, "size": (32, 48), "frames": 14}
        make_dataset("gopro7", out=tmp_path, **made, progress=lambda video, frames: during.add(cv2.getNumThreads()))
        assert cv2.getNumThreads() == 2 and during == {1}
    finally:
        cv2.setNumThreads(before)


@dataclass(frozen=True)
class Slow:
    """A video whose reading takes half a minute, and then leaves a file."""

    folder: Path
    number: int
    split = "test"

    @property
    def file(self):
        return f"test/{self.number}.h5"


def make_slowly(job, progress):
    (job.folder / f"{job.number}.begun").touch()
    for _ in range(300):
        time.sleep(0.1)
        progress(str(job.number), 1)
    (job.folder / f"{job.number}.finished").touch()
    return Made("test", Entry(str(job.number), job.file, 1, 300, 0, "f", "c"), True)


def test_ctrl_c_ends_the_jobs_of_processes_too(tmp_path):
    """Those under way, and those that were handed out already: none is finished, none begun afterwards."""

    def stop(video, amount):
        raise KeyboardInterrupt

    jobs = [Slow(tmp_path, number) for number in range(6)]
    with pytest.raises(KeyboardInterrupt):
        list(build.run(jobs, make_slowly, 2, stop, pytest.fail))
    assert 1 <= len(list(tmp_path.glob("*.begun"))) <= 2 and not list(tmp_path.glob("*.finished"))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"changes": "transfer=pixel"}, "make_dataset: changes is 'transfer=pixel', expected a list of texts; give ['transfer=pixel']"),
        ({"splits": "test"}, "make_dataset: splits is 'test', expected a list of texts; give ['test']"),
        ({"workers": 0}, "make_dataset: workers is 0, expected a whole number of processes, at least 1"),
        ({"seed": -1}, "make_dataset: seed is -1, expected a whole number, at least 0, or None for the recipe's own"),
    ],
)
def test_settings_that_are_none(tmp_path, settings, says):
    with pytest.raises(RecipeError) as told:
        make_dataset("gopro7", out=tmp_path / "data", **settings)
    assert str(told.value) == says and not (tmp_path / "data").exists()


def test_space_is_told_in_fitting_units(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda place: SimpleNamespace(free=2_300_000))
    with pytest.raises(DataSetError, match=r"needs up to 45\.6 MB, 2\.3 MB are free; give another --out"):
        build.require_space(tmp_path, 45_600_000)
    with pytest.raises(DataSetError, match=r"needs up to 1\.2 TB, 2\.3 MB are free"):
        build.require_space(tmp_path, 1_200_000_000_000)
