"""Converting official checkpoints: every format, the card, and what is refused."""

import os
import stat
from hashlib import sha256

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import blurbench
from blurbench import weights
from blurbench.baselines import zhang2020, zhang2021
from blurbench.baselines.zhang2021 import MotionETR, Zhang2021, once
from blurbench.convert import convert
from blurbench.errors import BrokenPluginError, DataSetError, RecipeError, UnknownNameError, WeightsError
from blurbench.methods import load_method
from blurbench.registry import METHODS
from tests.baselines.official import cut, small_state
from tests.cli.official_files import FORMATS, failed
from tests.conftest import command

pytestmark = pytest.mark.usefixtures("cache")


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
    unknown, own = expected.card.released == "never", card["files"][0].get("card", {})
    assert card["source"] == ("not told" if unknown else expected.card.released)
    assert card["training_data"] == own.get("dataset", "not told" if unknown else expected.card.training_data)
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


def test_a_file_of_ones_own_training_is_not_passed_off_as_official(tmp_path):
    """Nor does it forget the options that it was trained with, converted once or twice."""
    state = once(MotionETR(width=0.25))
    told = {"method": "zhang2021", "dataset": "mine", "command": "blurbench train …", "options": {"gamma": "2.2"}}
    (tmp_path / "own.safetensors").write_bytes(weights.packed(state, told))
    for before, after in (("own", "first"), ("first", "second")):
        card = weights.card(convert("zhang2021", [tmp_path / f"{before}.safetensors"], tmp_path / f"{after}.safetensors"))
        assert (card["source"], card["training_data"], card["licence"]) == ("blurbench train …", "mine", "not told")
        assert card["options"] == {"gamma": "2.2"}
        assert load_method("zhang2021", tmp_path / f"{after}.safetensors").network.gamma == 2.2


def test_what_others_write_into_a_file_is_no_card_of_ours(tmp_path):
    """As most tools that write safetensors do: such a file of an official method counts as the official one."""
    save_file(once(MotionETR(width=0.25)), tmp_path / "theirs.safetensors", metadata={"format": "pt"})
    card = weights.card(convert("zhang2021", [tmp_path / "theirs.safetensors"], tmp_path / "out.safetensors"))
    assert (card["source"], card["training_data"]) == (Zhang2021.card.released, "GoPro") and card["options"] == {}


def test_options_of_what_the_files_hold(official, tmp_path):
    """Bi-linear and quadratic trajectories have weights of the same shapes: the card tells them apart."""
    folder, out = official("zhang2021"), tmp_path / "one.safetensors"
    done = command("convert-weights", "zhang2021", folder, "--option", "constraint=bi-linear", "--out", out, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert weights.card(out)["options"] == {"constraint": "bi-linear"}
    bi_linear = {"options": {"constraint": "bi-linear"}}
    assert same(load_method("zhang2021", out, **bi_linear), load_method("zhang2021", folder, **bi_linear))
    with pytest.raises(
        WeightsError, match=r"one\.safetensors was made with constraint=bi-linear, but that was not chosen; give --constraint bi-linear"
    ):
        load_method("zhang2021", out)
    with pytest.raises(RecipeError, match="jin2018 takes no options, but --option constraint=linear was given; leave it out"):
        convert("jin2018", [folder], out, options={"constraint": "linear"})


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
    assert failed("copy-blur", [path]) == "copy-blur has no weights, so that there is nothing to convert; it runs as it is"
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
        (
            small_state(zhang2020.Generator()),
            "key 'body_models.0.body.0.bias' is missing (244 of 244 are); it has 'at_half.bias', which is unknown",
        ),
    ):
        torch.save(content, tmp_path / "w.pt")
        assert failed("nah2017", [tmp_path / "w.pt"]) == f"{tmp_path}/w.pt is not a checkpoint of MSResNet: {told}"
    cut(path)
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


def test_a_plug_in_whose_state_does_not_load_back(official, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from dataclasses import replace\nfrom blurbench.baselines.nah2017 import Nah2017\n\n\nclass Mine(Nah2017):\n"
        "    card = replace(Nah2017.card, id='mine')\n\n    def state(self):\n"
        "        return {key: value + 1 for key, value in super().state().items()}\n"
    )
    path, out = official("nah2017"), tmp_path / "out" / "w.safetensors"
    message = failed(f"{tmp_path}/mine.py:Mine", [path], out, error=BrokenPluginError)
    assert message == "mine does not read back what it gave, first 'body_models.0.body.0.weight': its load and state disagree"
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
