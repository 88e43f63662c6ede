"""Converting official checkpoints: every format, the card, old pickles with and without trust, and what is refused."""

import argparse
import json
import os
import stat
import sys
from collections import OrderedDict
from hashlib import sha256

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

import blurbench
from blurbench import weights
from blurbench.baselines import gong2017, jin2018, nah2017, noroozi2017, purohit2019, shen2020, zhang2019, zhang2020, zhang2021, zhong2022
from blurbench.convert import _tensors, convert
from blurbench.errors import BrokenPluginError, DataSetError, UnknownNameError, WeightsError
from blurbench.methods import load_method
from blurbench.registry import METHODS
from tests.baselines.official import Bomb, small_state, tensorflow_arrays
from tests.conftest import ROOT, command


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BLURBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


def old(content, path):
    """As torch wrote before version 1.6."""
    torch.save(content, path, _use_new_zipfile_serialization=False)


def parallel(state):
    """Under the names of training on several GPUs."""
    return {f"module.{key}": value for key, value in state.items()}


def parts(network, names):
    """What the checkpoint of each part holds, by name of the part."""
    return {name: small_state(network.get_submodule(name)) for name in names}


def official_jin2018(folder):
    for part, state in parts(jin2018.Sequence(), jin2018.STEMS).items():
        running = {f"{key.removesuffix('bias')}running_mean": value + 9 for key, value in state.items() if key.endswith("norm1.bias")}
        old({"epoch": 3, "state_dict_G": parallel(state | running)}, folder / f"{jin2018.STEMS[part]}.pth")


def official_nah2017(folder):
    torch.save({"G": small_state(nah2017.MSResNet()), "D": {"weight": torch.zeros(1)}}, folder / "model-1000.pt")


def official_shen2020(folder):
    network = shen2020.Recurrent()
    network.load_state_dict(small_state(network))
    old(parallel(network.state_dict()), folder / "adobe_bin.pth")


def official_tao2018(name):
    def files(folder):
        np.savez(folder / "srn.npz", **tensorflow_arrays(name), beta1_power=np.float32(0.9))

    return files


def official_zhang2019(cls):
    def files(folder):
        whole = small_state(cls.build())
        for stem in cls.stems:
            kind, *stage, level = stem.split("_")
            start = ".".join([*stage, f"{kind}_{level}."])
            state = OrderedDict((key.removeprefix(start), value) for key, value in whole.items() if key.startswith(start))
            old(state, folder / f"{stem}.pkl")

    return files


def official_zhang2021(as_released):
    def files(folder):
        network = zhang2021.MotionETR(as_released)
        torch.save(network.offset.state_dict(), folder / "latest_net_offset.pth")
        torch.save(parallel(network.deblur.state_dict()), folder / "latest_net_deblur.pth")

    return files


def official_zhong2022(folder):
    with torch.device("meta"):
        network = zhong2022.Animation()
    for part, state in parts(network, zhong2022.STEMS).items():
        torch.save(parallel(state), folder / f"{zhong2022.STEMS[part]}.pth")
    (folder / "cfg.yaml").write_text("in_channels: 3\n")


def trained_zhang2020(folder):
    state = {key: value.half().contiguous() for key, value in small_state(zhang2020.Generator()).items()}
    save_file(state, folder / "mine.safetensors", metadata={"card": json.dumps({"dataset": "gopro7"})})


def trained(network):
    def write(folder):
        torch.save(small_state(network()), folder / "mine.pth")

    return write


FORMATS = {
    "jin2018": official_jin2018,
    "nah2017": official_nah2017,
    "shen2020": official_shen2020,
    "shen2020-video": official_shen2020,
    "tao2018": official_tao2018("tao2018"),
    "tao2018-gray": official_tao2018("tao2018-gray"),
    "tao2018-color": official_tao2018("tao2018-color"),
    "zhang2019": official_zhang2019(zhang2019.Zhang2019),
    "zhang2019-1248": official_zhang2019(zhang2019.Zhang2019Deeper),
    "zhang2019-stack4": official_zhang2019(zhang2019.Zhang2019Stack),
    **{f"zhang2020{suffix}": trained_zhang2020 for suffix in ("", "-bg", "-bgh", "-iterated")},
    **dict.fromkeys(("noroozi2017", "noroozi2017-si"), trained(noroozi2017.DeblurNet)),
    "purohit2019": trained(purohit2019.BlurToVideo),
    "zhang2021": official_zhang2021(True),
    "zhang2021-reblur": official_zhang2021(True),
    "zhang2021-paper": official_zhang2021(False),
    "gong2017": trained(gong2017.MotionFlow),
    **{f"zhong2022{suffix}": official_zhong2022 for suffix in ("", "-deterministic", "-video", "-annotated")},
}


@pytest.fixture
def official(tmp_path):
    """Makes the official files of a method; returns them, or the folder where the method takes one."""

    def make(name):
        (folder := tmp_path / "official").mkdir(exist_ok=True)
        FORMATS[name](folder)
        inside = list(folder.iterdir())
        return inside[0] if len(inside) == 1 else folder

    return make


def same(one, other):
    """The same names in the same order, and the same bits."""
    ours, theirs = one.network.state_dict(), other.network.state_dict()
    return list(ours) == list(theirs) and all(ours[key].dtype == theirs[key].dtype and torch.equal(ours[key], theirs[key]) for key in ours)


def big(name):
    """Half a gigabyte and more; one of them is enough for every day."""
    return [pytest.mark.slow] if name.startswith("zhong2022") and name != "zhong2022-video" else []


@pytest.mark.parametrize("name", [pytest.param(name, marks=big(name)) for name in FORMATS])
def test_every_format_becomes_one_file_of_the_same_network(official, tmp_path, name):
    given, out = official(name), tmp_path / "deep" / "one.safetensors"
    assert convert(name, [given], out) == out
    expected, actual = load_method(name, given), load_method(name, out)
    assert same(actual, expected)
    assert actual.weights.files == ("one.safetensors",)
    card = weights.card(out)
    assert (card["method"], card["title"], card["paper"]) == (name, expected.card.title, expected.card.paper)
    assert [file["name"] for file in card["files"]] == list(expected.weights.files)
    paths = [given / file["name"] if given.is_dir() else given for file in card["files"]]
    assert [file["sha256"] for file in card["files"]] == [sha256(path.read_bytes()).hexdigest() for path in paths]
    unknown = expected.card.released == "never"
    assert card["source"] == ("not told" if unknown else expected.card.released)
    assert card["training_data"] == ("not told" if unknown else expected.card.training_data)
    assert card["blurbench"] == blurbench.__version__


def test_the_table_above_has_every_method_with_weights():
    cards = [METHODS.get(entry.name).card for entry in METHODS.entries() if not entry.broken and entry.origin == "blurbench"]
    assert {card.id for card in cards if card.released} == FORMATS.keys()


def test_official_dmphn_by_the_command(shared, cache, tmp_path):
    """Where the method looks: found without --weights, under its alias too."""
    folder = shared / "weights" / "dmphn_1_2_4"
    done = command("convert-weights", "dmphn", folder, "--source", "a mirror", "--licence", "not stated", cwd=tmp_path)
    path = cache / "zhang2019.safetensors"
    assert (done.returncode, done.stderr, done.stdout) == (0, "", f"{path}\n")
    assert list(cache.iterdir()) == [path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask()
    card = weights.card(path)
    assert (card["source"], card["licence"], card["training_data"]) == (
        "a mirror",
        "not stated",
        "GoPro, `blur` images (frames averaged as stored)",
    )
    method = load_method("dmphn")
    assert same(method, load_method("dmphn", folder))
    assert method.weights.as_dict() == {"files": (path.name,), "sha256": sha256(path.read_bytes()).hexdigest(), "origin": "found"}
    assert load_method("dmphn", path).weights.origin == "given"
    shown = command("ls", "weights", cwd=tmp_path)
    assert f"zhang2019 found at {path}" in [" ".join(line.split()) for line in shown.stdout.splitlines()]


def umask():
    os.umask(mask := os.umask(0))
    return mask


def test_files_of_several_folders(official, tmp_path):
    """Given one by one, or as folders that each hold some beside a configuration of the same name."""
    folder = official("zhang2021")
    for number, path in enumerate(sorted(folder.iterdir())):
        (other := tmp_path / f"part{number % 2}").mkdir(exist_ok=True)
        (other / path.name).symlink_to(path)
        (other / "cfg.yaml").write_text(str(number))
    expected = convert("zhang2021", [folder], tmp_path / "a.safetensors").read_bytes()
    assert convert("zhang2021", list(folder.iterdir()), tmp_path / "b.safetensors").read_bytes() == expected
    assert convert("zhang2021", [tmp_path / "part0", str(tmp_path / "part1")], tmp_path / "c.safetensors").read_bytes() == expected


def test_the_card_of_a_trained_file_is_kept(official, tmp_path):
    path = convert("zhang2020", [official("zhang2020")], tmp_path / "w.safetensors", training_data="GoPro-7")
    card = weights.card(path)
    assert card["files"][0]["card"] == {"dataset": "gopro7"}
    assert (card["training_data"], card["source"], card["licence"]) == ("GoPro-7", "not told", "not told")


def failed(*arguments, error=WeightsError, **options):
    """The message of a conversion that must fail, which must be one line."""
    with pytest.raises(error) as caught:
        convert(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_cannot_be_converted(official, cache, tmp_path):
    path = official("nah2017")
    assert failed("nah2018", [path], error=UnknownNameError).startswith("unknown method 'nah2018'; did you mean 'nah2017'?")
    assert failed("nah2017", [tmp_path / "none"]) == f"weights {tmp_path}/none do not exist; give the file or folder as downloaded"
    assert failed("nah2017", [path], tmp_path / "w.pth").startswith(f"--out is {tmp_path}/w.pth, expected the name of a file that ends in ")
    (tmp_path / "w.safetensors").mkdir()
    assert failed("nah2017", [path], tmp_path / "w.safetensors").startswith("--out is ")
    (other := tmp_path / path.name).write_bytes(path.read_bytes())
    assert failed("nah2017", [path, other]) == f"{path} and {other} have the same name; give one of them"
    assert failed("nah2017", [path.parent]) == f"weights {path.parent} are a folder, expected one file"
    np.save(tmp_path / "kernel.npy", np.eye(3))
    assert failed("wiener", [tmp_path / "kernel.npy"]).startswith("wiener has no network, so that there is nothing to convert; ")
    assert failed("copy-blur", [path]).startswith("copy-blur has no weights")
    assert failed("nah2017", [path], path / "w.safetensors", error=DataSetError).startswith(f"{path}/w.safetensors cannot be written: ")
    assert not cache.exists()


def test_checkpoint_of_another_method_and_damaged_ones(official, cache, tmp_path):
    """What does not load is not converted, and the message names the user's files, not the links to them."""
    path = official("nah2017")
    assert "'conv_end_models.1.uppath.0.bias'" not in failed("shen2020", [path])
    state = torch.load(path, weights_only=True)["G"]
    missing = {key: value for key, value in state.items() if key != "body_models.2.body.0.bias"}
    for content, told in (
        (missing, "key 'body_models.2.body.0.bias' is missing (1 of 244 are)"),
        ({**state, "more": torch.zeros(1)}, "unknown key 'more' (1 too many)"),
        (small_state(zhang2020.Generator()), "key 'body_models.0.body.0.bias' is missing (244 of 244 are)"),
    ):
        torch.save(content, tmp_path / "w.pt")
        assert failed("nah2017", [tmp_path / "w.pt"]) == f"{tmp_path}/w.pt is not a checkpoint of MSResNet: {told}"
    os.truncate(path, path.stat().st_size // 2)
    for trust in (False, True):
        assert failed("nah2017", [path], trust_pickle=trust).startswith(f"weights file {path} cannot be read ")
    assert not cache.exists()


def test_messages_name_the_files_given(official, tmp_path):
    folder = official("zhang2021")
    (tmp_path / "away.pth").write_bytes((folder / "latest_net_offset.pth").read_bytes())
    torch.save({}, folder / "latest_net_offset.pth")
    both = [folder / "latest_net_offset.pth", folder / "latest_net_deblur.pth"]
    assert failed("zhang2021", both).startswith(f"{folder}/latest_net_offset.pth is not a checkpoint of OffsetNetwork: key ")
    other = tmp_path / "other" / "latest_net_deblur.pth"
    other.parent.mkdir()
    torch.save({}, other)
    torch.save(zhang2021.OffsetNetwork().state_dict(), both[0])
    assert failed("zhang2021", [both[0], other]).startswith(f"{other} is not a checkpoint of MotionAware: key ")
    (tmp_path / "empty").mkdir()
    told = failed("zhang2021", [tmp_path / "empty"], trust_pickle=True)
    assert told.startswith(f"{tmp_path}/empty hold no checkpoint, expected files that end in .pth, .pt, .pkl, ")
    told = failed("zhang2021", [folder / "latest_net_deblur.pth", tmp_path / "away.pth"])
    assert told.startswith(f"weights folder {tmp_path} lacks latest_net_offset (.pth or .safetensors); put into one folder ")


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
    assert message.startswith(f"weights file {folder}/F35_N8.pth cannot be read safely (UnpicklingError: Unsupported global io.open, ")
    failed("jin2018", list(folder.iterdir()))
    assert not created.exists() and not cache.exists()
    said = []
    message = failed("jin2018", [folder], trust_pickle=True, say=said.append)
    assert message.startswith(f"{folder}/F35_N8.pth is not a checkpoint of _Pair: ")
    assert created.exists(), "the bomb is live"
    assert len(said) == 1 and "it asks for io.open" in said[0]
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


def test_a_plug_in_whose_state_does_not_load_back(official, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from blurbench.baselines.nah2017 import Nah2017\n\n\nclass Mine(Nah2017):\n    def state(self):\n"
        "        return {key: value + 1 for key, value in super().state().items()}\n"
    )
    path, out = official("nah2017"), tmp_path / "out" / "w.safetensors"
    message = failed(f"{tmp_path}/mine.py:Mine", [path], out, error=BrokenPluginError)
    assert message == "nah2017 does not read back what it gave, first 'body_models.0.body.0.weight': its load and state disagree"
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("method", "keeper"),
    [
        ("shen2020-video", "shen2020"),
        ("zhang2021-reblur", "zhang2021"),
        ("zhong2022-deterministic", "zhong2022"),
        ("zhong2022-annotated", "zhong2022-video"),
        ("zhang2021-paper", "zhang2021-paper"),
    ],
)
def test_interfaces_to_the_same_networks_keep_one_file(method, keeper):
    assert METHODS.get(method).card.keeper == keeper
