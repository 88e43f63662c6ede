"""A disk that is full and a folder that may not be written: one line, exit code 2, nothing half-written, what is finished kept."""

import ctypes
import errno
import json
import os
import resource
import subprocess
import sys
from types import SimpleNamespace

import pytest

from blurbench import cli
from blurbench.errors import DataSetError
from blurbench.store import shard as shard_module
from blurbench.store.disk import replacing, telling
from blurbench.store.manifest import write_json
from blurbench.store.reader import open_dataset
from blurbench.store.verify import verify

ARGUMENTS = ("make-dataset", "gopro7", "--clips", "train=0", "--clips", "test=3", "--size", "48x32", "--frames", "14")


def limited(number):
    """Run in a process before the command: no file may grow beyond so many bytes, as under a quota."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (number, number))


def unprivileged():
    """Run in a process before the command: the superuser, too, may only do what permissions say (Linux)."""
    libc = ctypes.CDLL(None)
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH; 24: PR_CAPBSET_DROP
        libc.prctl(24, capability, 0, 0, 0)


def run(arguments, folder, before=None):
    return subprocess.run(
        [sys.executable, "-m", "blurbench.cli", *map(str, arguments)], cwd=folder, preexec_fn=before, capture_output=True, text=True
    )


def one_line(done):
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return line


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("limit", [100, 40_000])
def test_the_command_with_a_quota(tmp_path, limit):
    """HDF5 meets the limit when it makes the file, and when it writes tiles or closes."""
    line = one_line(run((*ARGUMENTS, "--out", "data"), tmp_path, limited(limit)))
    assert "rendered-test-s0-0000.h5 cannot be written: the disk or quota is full (File too large); make room and repeat" in line
    assert files(tmp_path) == []


def test_a_disk_that_fills_up(tmp_path, monkeypatch, capsys):
    """The third shard finds no space: two are kept, and are not made again when there is space."""
    real, left = shard_module.ShardWriter._create, [2]

    def create(self, name, array):
        if name == "blurry":
            left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(self, name, array)

    monkeypatch.setattr(sys, "argv", ["blurbench", *ARGUMENTS, "--out", str(tmp_path / "data")])
    with monkeypatch.context() as full:
        full.setattr(shard_module.ShardWriter, "_create", create)
        with pytest.raises(SystemExit, match="2"):
            cli.main()
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert "0002.h5 cannot be written: the disk or quota is full (No space left on device); make room and repeat" in line
    kept = ["manifest.json", "test/rendered-test-s0-0000.h5", "test/rendered-test-s0-0001.h5"]
    assert files(tmp_path / "data") == kept
    (unfinished,) = [finding for finding in verify(tmp_path / "data") if not finding.ok]
    assert unfinished.message.startswith("1 videos are planned and not made yet (first: rendered-test-s0-0002); ")
    written = [(tmp_path / "data" / name).stat().st_mtime_ns for name in kept[1:]]
    with pytest.raises(SystemExit, match="0"):
        cli.main()
    assert open_dataset(tmp_path / "data").count("test") == 6
    assert [(tmp_path / "data" / name).stat().st_mtime_ns for name in kept[1:]] == written


def test_a_finished_data_set_on_a_full_disk(tmp_path, monkeypatch, capsys):
    """Nothing is to be made; one clip more does not fit."""
    assert run((*ARGUMENTS, "--out", "data"), tmp_path).returncode == 0
    monkeypatch.setattr("shutil.disk_usage", lambda place: SimpleNamespace(free=1000))
    monkeypatch.setattr(sys, "argv", ["blurbench", *ARGUMENTS, "--out", str(tmp_path / "data")])
    with pytest.raises(SystemExit, match="0"):
        cli.main()
    (tmp_path / "data/test/rendered-test-s0-0002.h5").unlink()
    with pytest.raises(SystemExit, match="2"):
        cli.main()
    assert "data needs up to 159.7 kB, 1.0 kB are free; give another --out" in " ".join(capsys.readouterr().err.split())


def test_the_manifest_on_a_full_disk(tmp_path):
    """The old one stays."""
    code = "from blurbench.store.manifest import write_json; from pathlib import Path\n"
    code += "from blurbench.errors import DataSetError\ntry: write_json(Path('manifest.json'), {'new': 'x' * 9000})\n"
    code += "except DataSetError as error: print(error)"
    write_json(tmp_path / "manifest.json", {"old": 1})
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, preexec_fn=limited(5000), capture_output=True, text=True)
    assert done.stdout.startswith("manifest.json cannot be written: the disk or quota is full"), done.stderr
    assert files(tmp_path) == ["manifest.json"] and json.loads((tmp_path / "manifest.json").read_text()) == {"old": 1}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="drops the rights of a superuser by a call of Linux")
@pytest.mark.parametrize(
    ("mode", "says"),
    [
        (0o555, "locked/data cannot be written: no permission (Permission denied); give another place"),
        (0o000, "locked/data cannot be read: no permission; make it readable, or give another place"),
    ],
)
def test_the_command_without_permission(tmp_path, mode, says):
    (tmp_path / "locked").mkdir(mode=mode)
    assert says in one_line(run((*ARGUMENTS, "--out", "locked/data"), tmp_path, unprivileged))
    (tmp_path / "locked").chmod(0o755)
    assert files(tmp_path) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="drops the rights of a superuser by a call of Linux")
def test_a_data_set_that_may_not_be_read(tmp_path):
    write_json(tmp_path / "data/manifest.json", {})
    (tmp_path / "data/manifest.json").chmod(0)
    assert "data/manifest.json cannot be read: no permission" in one_line(run(("inspect", "data"), tmp_path, unprivileged))


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(errno.ENOSPC, "x"), "the disk or quota is full (No space left on device); make room"),
        (OSError(errno.EDQUOT, "x"), "the disk or quota is full"),
        (PermissionError(errno.EACCES, "x"), "no permission (Permission denied); give another place"),
        (OSError(errno.EROFS, "x"), "no permission (Read-only file system); give another place"),
        (OSError(errno.EIO, "x"), "Input/output error; give another place"),
        (OSError("HDF5: write failed: errno = 28, error message = '…'"), "the disk or quota is full (No space left on device)"),
        (RuntimeError("can't close file, errno = 122, total write size = 9"), "the disk or quota is full"),
    ],
)
def test_what_the_system_refuses_is_told(tmp_path, error, says):
    (tmp_path / "a").write_text("old")
    with pytest.raises(DataSetError) as told, replacing(tmp_path / "a") as part:
        part.write_text("half")
        raise error
    assert str(told.value).startswith(f"{tmp_path / 'a'} cannot be written: {says}")
    assert files(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "old"


@pytest.mark.parametrize("error", [RuntimeError("a bug"), OSError("of HDF5, not of the system"), KeyboardInterrupt()])
def test_other_failures_stay_what_they_are(tmp_path, error):
    with pytest.raises(type(error)) as raised, telling(tmp_path), replacing(tmp_path / "a") as part:
        part.write_text("half")
        raise error
    assert raised.value is error and files(tmp_path) == []
