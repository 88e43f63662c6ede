import pytest

from blurbench.errors import RecipeError, UnknownNameError
from blurbench.registry import DATASETS
from blurbench.synth import recipe as recipes

MINIMAL = """
id = "mine"
version = 1
title = "t"
description = "d"
citation = "c"
licence = "l"
[window]
length = 7
"""


def write(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def test_defaults(tmp_path):
    recipe = recipes.read(write(tmp_path, MINIMAL))
    assert (recipe.transfer, recipe.rounding, recipe.interpolation.factor) == ("pixel", "half-up", 1)
    windows = recipe.windows("any")
    assert (windows.length, windows.stride, windows.targets) == (7, 7, (3,))


@pytest.mark.parametrize("name", DATASETS.names())
def test_every_recipe_is_whole(name):
    recipe = recipes.load(name)
    assert recipe.id == name
    assert recipe.citation.strip().startswith("@")
    assert set(recipe.split or {}) == {"train", "test"}
    assert not set(recipe.split["train"]) & set(recipe.split["test"])
    recipe.for_built_in()


@pytest.mark.parametrize(
    ("video", "length"),
    [("GOPR0372_07_00", 7), ("GOPR0378_13_00", 13), ("GOPR0384_11_05", 11), ("my_video", 11)],
)
@pytest.mark.parametrize("name", ["gopro-linear", "gopro-gamma"])
def test_window_length_is_read_from_the_sequence_name(name, video, length):
    windows = recipes.load(name).windows(video)
    assert (windows.length, windows.stride, windows.targets) == (length, length, (length // 2,))


def test_genblur_as_published_and_on_rendered_footage():
    recipe = recipes.load("genblur")
    assert recipe.interpolation.factor == 32
    assert recipe.windows("").targets == (0, 21, 42, 64, 85, 106, 127)
    assert (len(recipe.split["train"]), len(recipe.split["test"])) == (161, 31)
    built_in = recipe.for_built_in()
    assert built_in.interpolation.factor == 4
    assert [target / 4 for target in built_in.windows("").targets] == [0, 1, 2, 3, 4, 5, 6]


def test_words_do_not_change_what_is_made(tmp_path):
    one = recipes.read(write(tmp_path, MINIMAL))
    two = recipes.read(write(tmp_path, MINIMAL.replace('title = "t"', 'title = "other"')))
    three = recipes.read(write(tmp_path, MINIMAL.replace("length = 7", "length = 9")))
    assert one.processing() == two.processing() != three.processing()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('transfr = "pixel"', "did you mean 'transfer'"),
        ('transfer = "gama"', "expected pixel, srgb or gamma"),
        ('rounding = "up"', "rounding is 'up', expected one of half-up, truncate"),
        ("fps = 0", "fps is 0"),
        ("window = { length = 0 }", "window.length is 0"),
        ('window = { length = 7, tagets = "all" }', "did you mean 'targets'"),
        ('window = { length = 7, targets = "even:9" }', "2 <= N <= window.length = 7"),
        ("window = { stride = 7 }", "missing 1 required positional argument: 'length'"),
        ("window = 7", "expected a table"),
        ("interpolation = { factor = 4 }", "interpolation.method is 'none'"),
        ('frame = { kernel = "lanczos" }', "expected one of area, linear, cubic"),
        ("built_in = { window = { lenght = 3 } }", "did you mean 'length'"),
        ("x = [", "not valid TOML"),
    ],
)
def test_mistakes_are_named(tmp_path, line, says):
    text = MINIMAL.split("[window]")[0] + line + ("" if line.startswith("window") else "\nwindow = { length = 7 }")
    with pytest.raises((RecipeError, UnknownNameError)) as caught:
        recipes.read(write(tmp_path, text))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_name():
    with pytest.raises(UnknownNameError, match="did you mean 'genblur'"):
        recipes.load("genblurr")
