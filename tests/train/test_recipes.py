"""Every recipe that ships fits the method it is of, and wrong ones are told in one line."""

import dataclasses
import tomllib
from pathlib import Path

import pytest
import torch

from blurbench import weights
from blurbench.errors import RecipeError
from blurbench.methods import load_method
from blurbench.registry import METHODS
from blurbench.train import recipe
from blurbench.train.validate import column_of
from tests.train.tiny import Tiny

TRAINABLE = [name for name in METHODS.names() if getattr(METHODS.get(name), "training", None)]


@pytest.mark.parametrize("name", TRAINABLE)
def test_a_shipped_recipe(name):
    cls = METHODS.get(name)
    found = recipe.find(cls.training)
    assert found.source and found.path.is_file()
    small = recipe.find(cls.training, "small").stages.values() if name in SMALL else []
    for stage in [*found.stages.values(), *small]:
        assert stage.crop % cls.capabilities.multiple == 0
        if stage.protocol:
            column_of(stage.protocol, stage.score)


SMALL = [name for name in TRAINABLE if "small" in tomllib.loads(recipe.find(METHODS.get(name).training).path.read_text())]


@pytest.mark.parametrize("name", SMALL)
def test_a_small_network_ships_and_loads(name, tmp_path):
    """In half precision below 5 MB; what is loaded is what was written, to the rounding of half precision."""
    training = METHODS.get(name).training
    torch.manual_seed(0)
    network = training.network(**recipe.find(training, "small").network)
    state = training.state(network) if training.state else network.state_dict()
    half = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
    path = tmp_path / "w.safetensors"
    path.write_bytes(weights.packed(half, {}))
    assert path.stat().st_size < 5_000_000
    method = load_method(name, path)
    loaded = method.state()
    assert {key.partition(".")[0] for key in loaded} <= {key.partition(".")[0] for key in half}
    for key in loaded.keys() & half.keys():
        torch.testing.assert_close(loaded[key], half[key], check_dtype=False, rtol=0, atol=0)


def test_every_method_with_weights_of_its_own_can_be_trained_but_three():
    """A network that is not described in full, a stage of another's training, and what `zhong2022-annotated` trains."""
    with_weights = {name for name in METHODS.names() if METHODS.get(name).card.id == METHODS.get(name).card.keeper}
    without = {name for name in with_weights - set(TRAINABLE) if METHODS.get(name).card.wants_weights}
    assert without == {"gong2017", "zhang2020-bg", "zhong2022-video"}


def test_the_small_predictor_learns_from_small_helpers():
    training = METHODS.get("zhong2022").training
    small = recipe.find(training, "small")
    sizes = {name: count(make(**small.helpers[name])) / count(make()) for name, make in training.stages["predictor"].helpers.items()}
    assert sizes == {name: pytest.approx(1 / 16, rel=0.05) for name in ("encoder", "discriminator")}


def count(network):
    return sum(value.numel() for value in network.parameters())


def test_a_small_network_has_its_own_steps():
    paper, small = (recipe.find(Tiny.training, size) for size in ("paper", "small"))
    assert (paper.network, small.network) == ({}, {"width": 2})
    assert paper.stages["first"] == small.stages["first"]
    assert small.stages["second"] == dataclasses.replace(paper.stages["second"], crop=24)


def test_a_network_of_ones_own_and_what_a_small_one_adds(tmp_path):
    text = Path(Tiny.training.recipe).read_text()
    (tmp_path / "mine.toml").write_text(text.replace("[small]", "[network]\nwidth = 8\ndepth = 3\n\n[small]"))
    paper, small = (recipe.find(Tiny.training, size, tmp_path / "mine.toml") for size in ("paper", "small"))
    assert (paper.network, small.network, paper.own) == ({"width": 8, "depth": 3}, {"width": 2, "depth": 3}, True)
    assert not recipe.find(Tiny.training).own


def test_the_numbers_of_b_aist():
    """1e-4, 400 epochs, 2 on each of 4 GPUs; the rest is as for GenBlur."""
    training = METHODS.get("zhong2022-annotated").training
    genblur, baistpp = (recipe.find(training, "paper", name).stages["decomposer"] for name in ("zhong2022", "zhong2022-baistpp"))
    assert baistpp == dataclasses.replace(genblur, learning_rate=1e-4, steps=400 * 4800 // 8, batch=8, crop=192)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("[small]", "[smaller]", "unknown key 'smaller'"),
        ("[small]\nnetwork", "[small]\nnetworks", "unknown key 'networks'"),
        ("small.stage.second", "small.stage.secnd", "unknown stage 'secnd' .*'second'"),
        ("crop = 24", "corp = 24", "unknown key 'corp'"),
        ("crop = 24", "crop = 0", "crop is 0, expected at least 1"),
        ("[small]", "[small]\nhelpers = { judge = {} }", "unknown helper 'judge'"),
    ],
)
def test_a_wrong_small_table(tmp_path, old, new, told):
    text = Path(Tiny.training.recipe).read_text()
    assert old in text
    (tmp_path / "r.toml").write_text(text.replace(old, new, 1))
    with pytest.raises(RecipeError, match=told):
        recipe.find(dataclasses.replace(Tiny.training, recipe=tmp_path / "r.toml"), "small")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("batch = 4", "batches = 4", "unknown key 'batches'"),
        ("[small]", "network = 3\n[small]", "network is 3, expected a table of keyword arguments"),
        ('name = "second"', 'name = "state"', "name is 'state', expected another: the training keeps a file of this name"),
        ('name = "second"', 'name = "third"', "stages are first, third, expected first, second"),
        ("noise = 0.1", "", "the setting 'noise' is missing"),
        ("noise = 0.1", "noise = 0.1, nose = 1", "unknown setting 'nose'"),
        ("flip = 0.5", "flop = 0.5", "unknown key 'flop'"),
        ("crop = 32", "crop = 'a'", "crop is 'a', expected a whole number"),
    ],
)
def test_a_wrong_recipe(tmp_path, old, new, told):
    text = Path(Tiny.training.recipe).read_text()
    assert old in text
    (tmp_path / "r.toml").write_text(text.replace(old, new, 1))
    with pytest.raises(RecipeError, match=told) as error:
        recipe.find(dataclasses.replace(Tiny.training, recipe=tmp_path / "r.toml"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("crop = 32", "crop = 0", "stage 'first': crop is 0, expected at least 1"),
        ("batch = 4", "batches = 4", "unknown key 'batches' in stage 'first'; did you mean 'batch'?"),
        ("flip = 0.5", "flip = 2", "augmentation flip is 2, expected 0 to 1"),
        (
            "final_learning_rate = 1e-4",
            "final_learning_rate = 0.1",
            "stage 'first': final_learning_rate is 0.1, expected at most learning_rate, 0.01",
        ),
    ],
)
def test_a_wrong_stage_is_told_with_its_file_once(tmp_path, old, new, told):
    (tmp_path / "r.toml").write_text(Path(Tiny.training.recipe).read_text().replace(old, new, 1))
    with pytest.raises(RecipeError) as error:
        recipe.find(Tiny.training, own=tmp_path / "r.toml")
    assert str(error.value).startswith(f"{tmp_path}/r.toml: {told}") and str(error.value).count("r.toml") == 1
