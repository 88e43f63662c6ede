"""Old pickles: refused without trust, with it converted to tensors alone, and said aloud."""

import argparse
import sys
from hashlib import sha256

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from blurbench import weights
from blurbench.baselines import nah2017
from blurbench.convert import _tensors, convert
from blurbench.errors import WeightsError
from blurbench.methods import load_method
from tests.baselines.official import Bomb, small_state
from tests.cli.official_files import failed, old
from tests.conftest import ROOT, command

pytestmark = pytest.mark.usefixtures("cache")


def with_options(path):
    """An old checkpoint of nah2017 that holds more than tensors, as many do; returns what of it is weights."""
    state = small_state(nah2017.MSResNet())
    old({"G": {**state, "note": "text"}, "options": argparse.Namespace(gpus=2), "loss": np.float64(1.5)}, path)
    return state


def test_an_old_pickle_is_refused_without_trust(cache, tmp_path):
    """By every way there is: the message names what it asks for and the way out."""
    with_options(path := tmp_path / "model-1.pt")
    expected = (
        f"weights file {path} cannot be read safely "
        "(UnpicklingError: Unsupported global argparse.Namespace, so it holds more than tensors); "
        "if you trust who made it, `blurbench convert-weights METHOD FILE --trust-pickle` takes the tensors out"
    )
    assert failed("nah2017", [path]) == expected
    with pytest.raises(WeightsError) as caught:
        load_method("nah2017", path)
    assert str(caught.value) == expected
    done = command("convert-weights", "nah2017", path, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {expected}\n")
    done = command("predict", "--trust-pickle", "--method", "nah2017", "--weights", path, tmp_path, cwd=tmp_path)
    assert done.returncode == 2 and "No such option" in done.stderr
    assert not cache.exists()


def test_an_old_pickle_is_converted_with_trust_and_a_loud_line(cache, tmp_path):
    state = with_options(path := tmp_path / "model-1.pt")
    done = command("convert-weights", "nah2017", path, "--trust-pickle", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{cache}/nah2017.safetensors\n")
    told = f"WARNING: --trust-pickle opens {path} (it asks for argparse.Namespace); whatever code is in it runs now, with your rights\n"
    assert done.stderr == told
    method = load_method("nah2017")
    assert all(torch.equal(value, state[key]) for key, value in method.network.state_dict().items())
    card = weights.card(cache / "nah2017.safetensors")
    assert card["files"] == [{"name": "model-1.pt", "sha256": sha256(path.read_bytes()).hexdigest()}], "that of the file as it came"


def test_trust_is_silent_where_it_is_not_needed(official, tmp_path):
    said = []
    folder = official("jin2018")
    out = convert("jin2018", [folder], tmp_path / "a.safetensors", trust_pickle=True, say=said.append)
    assert out.read_bytes() == convert("jin2018", [folder], tmp_path / "b.safetensors").read_bytes()
    assert said == []


def test_a_whole_network_in_a_pickle(tmp_path):
    network = nah2017.MSResNet()
    torch.save(nn.DataParallel(network), tmp_path / "w.pth")
    assert "Unsupported global torch.nn.parallel.data_parallel.DataParallel" in failed("nah2017", [tmp_path / "w.pth"])
    path = convert("nah2017", [tmp_path / "w.pth"], tmp_path / "w.safetensors", trust_pickle=True)
    assert all(torch.equal(value, network.state_dict()[key]) for key, value in weights.read(path).items())


@pytest.mark.parametrize("container", ["zip", "legacy"])
def test_a_malicious_pickle_runs_only_with_trust(official, cache, tmp_path, container):
    folder, created = official("jin2018"), tmp_path / "created"
    torch.save({"state_dict_G": {"weight": Bomb(created)}}, folder / "F35_N8.pth", _use_new_zipfile_serialization=container == "zip")
    message = failed("jin2018", [folder])
    refused = f"UnpicklingError: Unsupported global {open.__module__}.open, "  # of `_io` from Python 3.13 on
    assert message.startswith(f"weights file {folder}/F35_N8.pth cannot be read safely ({refused}")
    failed("jin2018", list(folder.iterdir()))
    assert not created.exists() and not cache.exists()
    said = []
    message = failed("jin2018", [folder], trust_pickle=True, say=said.append)
    assert message.startswith(f"{folder}/F35_N8.pth is not a checkpoint of _Pair: ")
    assert created.exists(), "the bomb is live"
    assert len(said) == 1 and f"it asks for {open.__module__}.open" in said[0]
    assert not cache.exists()


def test_a_pickle_of_a_class_that_is_not_there(tmp_path, monkeypatch):
    (tmp_path / "theirs.py").write_text("class Options:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    import theirs

    torch.save({"G": {}, "options": theirs.Options()}, tmp_path / "w.pt")
    monkeypatch.delitem(sys.modules, "theirs")
    (tmp_path / "theirs.py").unlink()
    message = failed("nah2017", [tmp_path / "w.pt"], trust_pickle=True)
    told = "cannot be read even with --trust-pickle (ModuleNotFoundError: No module named 'theirs'); put the code that it was written with"
    assert message == f"weights file {tmp_path}/w.pt {told} on PYTHONPATH"


def test_pickles_are_trusted_in_one_place():
    files = [file for folder in ("blurbench", "baselines") for file in (ROOT / folder).rglob("*.py")]
    assert [file.name for file in files if "weights_only=False" in file.read_text()] == ["convert.py"]


LEAVES = st.one_of(st.none(), st.integers(), st.text(max_size=3), st.builds(torch.full, st.just((2,)), st.floats(0, 1)))


KEYS = st.one_of(st.text(max_size=2), st.integers(0, 3))


TREES = st.recursive(LEAVES, lambda inner: st.one_of(st.dictionaries(KEYS, inner), st.lists(inner)))


def reachable(tree, way=()):
    """Tensors by the names that lead to them through dictionaries."""
    if isinstance(tree, torch.Tensor):
        return {way: tree}
    found = {}
    for key, value in tree.items() if isinstance(tree, dict) else ():
        if isinstance(key, str):
            found |= reachable(value, (*way, key))
    return found


@given(TREES)
def test_only_tensors_are_kept_and_all_of_them(tree):
    kept = _tensors(tree)
    found, expected = (reachable(node) for node in (kept, tree))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[way], expected[way]) for way in expected)

    def clean(node):
        return isinstance(node, torch.Tensor) or (isinstance(node, dict) and all(isinstance(k, str) and clean(v) for k, v in node.items()))

    assert kept is None or clean(kept)
