"""Every recipe that ships fits the method it is of, and wrong ones are told in one line."""

import dataclasses
from pathlib import Path

import pytest

from blurbench.errors import RecipeError
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
    for stage in found.stages.values():
        assert stage.crop % cls.capabilities.multiple == 0
        if stage.protocol:
            column_of(stage.protocol, stage.score)


def test_every_method_with_weights_of_its_own_can_be_trained_but_three():
    """A network that is not described in full, a stage of another's training, and what `zhong2022-annotated` trains."""
    with_weights = {name for name in METHODS.names() if METHODS.get(name).card.id == METHODS.get(name).card.keeper}
    without = {name for name in with_weights - set(TRAINABLE) if METHODS.get(name).card.wants_weights}
    assert without == {"gong2017", "zhang2020-bg", "zhong2022-video"}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("batch = 4", "batches = 4", "unknown key 'batches'"),
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
