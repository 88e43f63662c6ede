"""Opening checkpoints: what is read, what is refused and how it is told."""

import hashlib
import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file
from torch import nn

from blurbench.baselines._zhang2019_network import MultiPatch
from blurbench.cli.ls import ls
from blurbench.errors import WeightsError
from blurbench.methods import MethodCard, load_method
from blurbench.remarks import remarks
from blurbench.weights import absent, card, describe, fit, found, identity, packed, place, read, shipped, shipped_file
from tests.baselines.official import Bomb

STATE = {"weight": torch.tensor([[1.0, -2.0], [0.5, 3.0]]), "bias": torch.tensor([0.25, -0.25])}


def refused(function, *arguments):
    """The message of the WeightsError that must come, which must be one line."""
    with pytest.raises(WeightsError) as caught:
        function(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("suffix", ["pkl", "pth", "pt"])
def test_pytorch_file(tmp_path, suffix, zipped):
    path = tmp_path / f"w.{suffix}"
    torch.save(STATE, path, _use_new_zipfile_serialization=zipped)
    state = read(path)
    assert state.keys() == STATE.keys()
    assert all(torch.equal(state[key], STATE[key]) for key in STATE)


def test_safetensors_file(tmp_path):
    save_file(STATE, tmp_path / "w.safetensors")
    assert torch.equal(read(tmp_path / "w.safetensors")["weight"], STATE["weight"])


def test_missing_file(tmp_path):
    for function, given in ((read, tmp_path / "w.pth"), (describe, [tmp_path / "w.pth"]), (identity, tmp_path / "w.pth")):
        assert refused(function, given) == f"weights file {tmp_path}/w.pth does not exist"


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("keep", [0.0, 0.002, 0.5, 0.999])
def test_truncated_pytorch_file(tmp_path, keep, zipped):
    path = tmp_path / "w.pth"
    torch.save({"weight": torch.zeros(1000)}, path, _use_new_zipfile_serialization=zipped)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    assert refused(read, path).startswith(f"weights file {path} cannot be read safely (")


def test_empty_pytorch_file(tmp_path):
    (tmp_path / "w.pth").touch()
    message = refused(read, tmp_path / "w.pth")
    assert message.startswith(f"weights file {tmp_path}/w.pth cannot be read safely (")
    assert not message.endswith(": )"), "a reason is given even where torch gives none"


@pytest.mark.parametrize("name", ["README.md", "w.pth", "w.safetensors"])
def test_what_is_no_checkpoint_at_all(tmp_path, name):
    (tmp_path / name).write_text("# blurbench\n")
    expected = "expected a whole .safetensors file or PyTorch checkpoint (.pth, .pt, .pkl); give the file as downloaded"
    assert refused(read, tmp_path / name).endswith(f"), {expected}")


@pytest.mark.parametrize("keep", [0, 4, 30])
def test_truncated_safetensors_file(tmp_path, keep):
    path = tmp_path / "w.safetensors"
    save_file(STATE, path)
    path.write_bytes(path.read_bytes()[:keep])
    assert refused(read, path).startswith(f"weights file {path} cannot be read safely (")


def test_the_bomb_is_live(tmp_path):
    pickle.loads(pickle.dumps(Bomb(tmp_path / "created"))).close()
    assert (tmp_path / "created").exists()


@pytest.mark.parametrize("container", ["pickle", "zip", "legacy"])
def test_malicious_pickle_is_not_run(tmp_path, container):
    path, created = tmp_path / "w.pkl", tmp_path / "created"
    if container == "pickle":
        path.write_bytes(pickle.dumps({"weight": Bomb(created)}, protocol=2))
    else:
        torch.save({"weight": Bomb(created)}, path, _use_new_zipfile_serialization=container == "zip")
    message = refused(read, path)
    assert not created.exists()
    assert message.startswith(f"weights file {path} cannot be read safely (UnpicklingError: ")
    assert "io.open" in message, "the message names what the file wanted to call"
    assert "weights_only" not in message, "the message gives no advice to open the file unsafely"


class System:
    """Runs a command when it is unpickled, which torch has a message of its own for."""

    def __reduce__(self):
        return os.system, ("touch created",)


@pytest.mark.parametrize(("protocol", "named"), [(2, True), (4, False)])
def test_a_pickle_that_would_run_a_command(tmp_path, monkeypatch, recwarn, protocol, named):
    """Torch names what the older one calls; of the newer it knows too little, and only says so."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.pkl").write_bytes(pickle.dumps({"weight": System()}, protocol=protocol))
    message = refused(read, tmp_path / "w.pkl")
    assert not (tmp_path / "created").exists() and not recwarn.list
    assert ("posix.system" in message and "--trust-pickle" in message) is named


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ([torch.zeros(1)], "holds list, expected a plain dictionary of tensors"),
        (
            {"epoch": 3, "state_dict": STATE},
            "holds int at key 'epoch', expected a plain dictionary of tensors; "
            "save that of 'state_dict' alone, or where `load` is your own, write `read(path, under='state_dict')` there",
        ),
        ({"options": {"rate": 1}, "none": {}}, "holds dict at key 'options', expected a plain dictionary of tensors"),
        ({"weight": torch.zeros(1), "epoch": 3}, "holds int at key 'epoch', expected a plain dictionary of tensors"),
        ({0: torch.zeros(1)}, "holds Tensor at key 0, expected a plain dictionary of tensors"),
    ],
)
def test_other_than_tensors(tmp_path, content, told):
    path = tmp_path / "w.pth"
    torch.save(content, path)
    assert refused(read, path) == f"weights file {path} {told}"


def test_fit_copies_the_values():
    layer = nn.Linear(2, 2)
    fit(layer, STATE, Path("w.pth"))
    assert layer(torch.tensor([1.0, 1.0])).tolist() == [-0.75, 3.25]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite(value):
    """As a training that went astray leaves them: they would be scored as any other."""
    layer = nn.Linear(2, 2)
    before = layer.bias.detach().clone()
    told = refused(fit, layer, {**STATE, "bias": torch.tensor([0, value])}, Path("w.pth"))
    assert told == "w.pth has NaN or infinite values in 'bias', expected finite ones; download or train it again"
    assert torch.equal(layer.bias, before)


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ({"weight": STATE["weight"]}, "key 'bias' is missing (1 of 2 are)"),
        ({}, "key 'bias' is missing (2 of 2 are)"),
        (
            {f"module.{key}": value for key, value in STATE.items()},
            "key 'bias' is missing (2 of 2 are); it has 'module.bias', which is unknown",
        ),
        ({**STATE, "scale": torch.ones(1), "angle": torch.ones(1)}, "unknown key 'angle' (2 too many)"),
        ({**STATE, "bias": torch.zeros(3)}, "'bias' has shape (3,), expected (2,)"),
        ({**STATE, "weight": torch.zeros(4)}, "'weight' has shape (4,), expected (2, 2)"),
    ],
)
def test_weights_of_another_network(state, told):
    layer = nn.Linear(2, 2)
    before = layer.weight.detach().clone()
    assert refused(fit, layer, state, Path("w.pth")) == f"w.pth is not a checkpoint of Linear: {told}"
    assert torch.equal(layer.weight, before)


def test_record_of_files(tmp_path):
    (tmp_path / "one").write_bytes(b"a")
    (tmp_path / "two").write_bytes(b"bc")
    record = describe([tmp_path / "one", tmp_path / "two"], "given")
    assert record.as_dict() == {
        "files": ("one", "two"),
        "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "origin": "given",
    }
    assert describe([tmp_path / "two", tmp_path / "one"], "given").sha256 == hashlib.sha256(b"bca").hexdigest()


def test_nothing_shipped_by_that_name():
    assert refused(shipped, "nothing.safetensors") == "this installation ships no nothing.safetensors; give --weights FILE"
    assert shipped_file("nothing") is None
    assert shipped_file("zhang2020") == shipped("zhang2020.safetensors")


def test_folder_in_place_of_a_file(tmp_path):
    assert refused(read, tmp_path) == f"weights {tmp_path} are a folder, expected one file"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BLURBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


def test_where_weights_are_kept(cache):
    assert place("nah2017") == cache / "nah2017.safetensors"
    assert found("nah2017") is None
    cache.mkdir(parents=True)
    place("nah2017").touch()
    assert found("nah2017") == place("nah2017")


def test_what_a_method_without_weights_says(cache):
    assert str(absent("nah2017", "get w.pth of somewhere")) == (
        "nah2017 was given no weights; get w.pth of somewhere, and give --weights FILE, "
        f"or run once `blurbench convert-weights nah2017 FILE`, which writes {cache}/nah2017.safetensors"
    )


def test_what_a_method_of_one_file_says():
    """No command takes its id for a name."""
    told = absent("some2020", "get w.pth of somewhere", "FOLDER")
    assert str(told) == "some2020 was given no weights; get w.pth of somewhere, and give --weights FOLDER"


def test_under_a_key(tmp_path):
    path = tmp_path / "w.pth"
    for content in ({"epoch": 3, "state_dict": STATE}, STATE):
        torch.save(content, path)
        assert read(path, under="state_dict").keys() == STATE.keys()


@pytest.mark.parametrize(
    ("text", "wants"),
    [("", False), ("none needed", False), ("none needed; a kernel", False), ("shipped with it", True), ("get", True)],
)
def test_who_wants_weights(text, wants):
    assert MethodCard("m", "M", "none", "CC0-1.0", weights=text).wants_weights is wants


def test_kept_weights_come_before_shipped_ones(cache):
    """A damaged file shows who opens it."""
    assert load_method("zhang2020").weights.origin == "shipped"
    cache.mkdir(parents=True)
    for name in ("nah2017", "zhang2020", "wiener", "copy-blur"):
        place(name).write_bytes(b"damaged")
    assert refused(load_method, "nah2017").startswith(f"weights file {cache}/nah2017.safetensors cannot be read safely (")
    assert refused(load_method, "zhang2020").startswith(f"weights file {cache}/zhang2020.safetensors cannot be read safely (")
    assert load_method("wiener").weights is None
    assert load_method("copy-blur").weights is None
    assert refused(load_method, "nah2017", "none.pt") == "weights file none.pt does not exist", "what is given comes first"


def test_shipped_weights_that_are_not_the_authors_say_so(cache, tmp_path, monkeypatch):
    assert remarks(load_method("zhang2020")) == [], "nobody released others"
    path = tmp_path / "zhang2019.safetensors"
    path.write_bytes(packed(MultiPatch(width=0.25).state_dict(), {"size": "small"}))
    monkeypatch.setattr("blurbench.weights.shipped_file", {"zhang2019": path}.get)
    method = load_method("dmphn")
    assert method.weights.origin == "shipped" and "shipped weights of a small network" in remarks(method)[0]
    assert f"`blurbench convert-weights zhang2019` once ({method.card.released})" in remarks(method)[0]
    row = next(line for line in CliRunner().invoke(ls, ["weights"]).stdout.splitlines() if line.split()[:1] == ["zhang2019"])
    assert "shipped: a small network of our training; for the authors' place zhang2019.safetensors at" in " ".join(row.split())
    (cache / "zhang2019.safetensors").parent.mkdir(parents=True)
    (cache / "zhang2019.safetensors").write_bytes(path.read_bytes())
    assert remarks(load_method("dmphn")) == [], "found, not shipped"


def test_all_shipped_weights_load_and_tell_how_they_were_made():
    paths = sorted(shipped("zhang2020.safetensors").parent.glob("*.safetensors"))
    assert sum(path.stat().st_size for path in paths) < 40_000_000
    for path in paths:
        written = card(path)
        assert load_method(path.stem).weights.files == (path.name,) and written["method"] == path.stem
        assert written["command"].startswith("blurbench train --method ") and len(written["fingerprint"]) == 64


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"card": json.dumps({"method": "m", "files": ["a"]})}, {"method": "m", "files": ["a"]}),
        ({"format": "pt"}, {"format": "pt"}),
        ({"card": "no JSON"}, {"card": "no JSON"}),
        ({"card": "[1]"}, {"card": "[1]"}),
        (None, {}),
    ],
)
def test_card_of_a_file(tmp_path, metadata, expected):
    save_file(STATE, tmp_path / "w.safetensors", metadata=metadata)
    assert card(tmp_path / "w.safetensors") == expected


def test_card_of_a_damaged_file(tmp_path):
    (tmp_path / "w.safetensors").write_bytes(b"damaged")
    assert refused(card, tmp_path / "w.safetensors").startswith(f"weights file {tmp_path}/w.safetensors cannot be read (Safetensor")
    assert refused(card, tmp_path / "none.safetensors").startswith(f"weights file {tmp_path}/none.safetensors cannot be read (FileNotFound")
