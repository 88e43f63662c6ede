import re

import numpy as np
import pytest

from blurbench.errors import RecipeError, UnknownNameError
from blurbench.registry import DATASETS
from blurbench.synth import recipe as recipes
from blurbench.synth.windows import Window
from tests.synth.recipe_head import HEAD

MINIMAL = f"{HEAD}[window]\nlength = 7\n"


def write(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def test_defaults(tmp_path):
    recipe = recipes.read(write(tmp_path, MINIMAL))
    assert (recipe.transfer, recipe.rounding, recipe.interpolation.factor) == ("pixel", "half-up", 1)
    windows = recipe.windows("any")
    assert (windows.window(0), windows.window(1)) == (Window(0, 0, 7, (3,)), Window(1, 7, 7, (3,)))


@pytest.mark.parametrize("name", DATASETS.names())
def test_every_recipe_is_whole(name):
    recipe = recipes.load(name)
    assert recipe.id == name
    assert recipe.citation.strip().startswith("@")
    lists = recipe.split or {}
    assert not set(lists.get("train", [])) & set(lists.get("test", []))
    recipe.for_built_in()


@pytest.mark.parametrize(
    ("video", "length"),
    [("GOPR0372_07_00", 7), ("GOPR0378_13_00", 13), ("GOPR0384_11_05", 11), ("my_video", 11)],
)
@pytest.mark.parametrize("name", ["gopro-linear", "gopro-gamma"])
def test_window_length_is_read_from_the_sequence_name(name, video, length):
    assert recipes.load(name).windows(video).window(2) == Window(2, 2 * length, length, (length // 2,))


@pytest.mark.parametrize(("pattern", "found"), [("([a-z]+)", "'clip'"), ("_([0-9]+)", "'0'"), ("clip(x)?", "None"), ("(-[0-9])", "'-3'")])
def test_a_name_that_gives_no_length(tmp_path, pattern, found):
    recipe = recipes.read(write(tmp_path, f"{MINIMAL}length_from_name = '{pattern}'\n"))
    with pytest.raises(RecipeError) as caught:
        recipe.windows("clip_0-3")
    assert str(caught.value) == (
        f"window.length_from_name finds {found} as the length in the name 'clip_0-3', expected a number of at least 1; "
        "mend the expression, or rename the video"
    )


def test_genblur_as_published_and_on_rendered_footage():
    recipe = recipes.load("genblur")
    assert recipe.interpolation.factor == 32
    assert recipe.windows("").window(0).targets == (0, 21, 42, 64, 85, 106, 127)
    assert (len(recipe.split["train"]), len(recipe.split["test"])) == (161, 31)
    built_in = recipe.for_built_in()
    assert built_in.interpolation.factor == 4
    assert [target / 4 for target in built_in.windows("").window(0).targets] == [0, 1, 2, 3, 4, 5, 6]


def test_words_do_not_change_what_is_made(tmp_path):
    one = recipes.read(write(tmp_path, MINIMAL))
    two = recipes.read(write(tmp_path, MINIMAL.replace('title = "t"', 'title = "other"')))
    three = recipes.read(write(tmp_path, MINIMAL.replace("length = 7", "length = 9")))
    assert one.processing() == two.processing() != three.processing()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('transfr = "pixel"', "did you mean 'transfer'"),
        ("transfer = 2.2", "transfer is 2.2, expected a name; for a power law write gamma(2.2)"),
        ('transfer = "gama"', "expected pixel, linear, srgb or gamma"),
        ('rounding = "up"', "rounding is 'up', expected one of half-up, truncate"),
        ("gate = { quantile = 2.0 }", "gate.quantile is 2.0"),
        ("window = { length = 22, shortest = 7 }", "window.shortest is 7, expected 0, or odd"),
        (
            'window = { length = 9, shortest = 3, targets = "all" }',
            "window.targets is 'all', expected as many of each window, as window.shortest",
        ),
        ("window = { length = 9, shortest = 3, offset = 2 }", "window.offset is 2, expected 0, as window.shortest is 3"),
        ("window = { length = 9, shortest = 3, stride = 9 }", "window.stride is 9, expected 0, as window.shortest is 3"),
        ("window = { length = 9, shortest = 3, tail = 1 }", "window.tail is 1"),
        ("window = { length = 9, shortest = 3, skip_first = 1 }", "window.skip_first is 1"),
        ("window = { length = 9, shortest = 3, skip_last = 1 }", "window.skip_last is 1"),
        ('window = { length = 9, shortest = 3, length_from_name = "_(7)_" }', "window.length_from_name is '_(7)_', expected '', as"),
        ("window = { length = 9, length_from_name = '_([0-9]' }", "window.length_from_name is '_([0-9]', which is no expression"),
        ("window = { length = 9, length_from_name = '_[0-9]' }", "length_from_name is '_[0-9]', expected an expression with a group"),
        ("gate = { largest_step = -1 }", "gate.largest_step is -1, expected pixels, at least 0 (0: no limit)"),
        ("guidance = { threshold = -1 }", "guidance.threshold is -1, expected pixels, at least 0"),
        ("boxes = { width = -16, height = 16 }", "boxes.width is -16, expected a whole number of at least 0"),
        ("boxes = { width = 16, height = 16, ratio = 3 }", "boxes.ratio is 3, expected a part from 0 to 1"),
        ("seed = -1", "seed is -1, expected a whole number of at least 0"),
        ("response = { straight_from = 300 }", "response.straight_from is 300, expected 0 or a code from 2 to 255"),
        ("response = { straight_from = 1 }", "response.straight_from is 1, expected 0 or"),
        ("boxes = { height = 192 }", "boxes.height is 192, expected 0 beside boxes.width = 0"),
        ("frame = { width = -1 }", "frame.width is -1, expected a whole number of at least 0"),
        ("frame = { crop = [1280] }", "frame.crop is [1280], expected [width, height]"),
        ('frame = { width = "wide" }', "width is 'wide', expected a whole number"),
        ('guidance = { aggregate = "sum" }', "expected one of none, max, avg"),
        ("fps = 0", "fps is 0"),
        ("fps = inf", "fps is inf"),
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


@pytest.mark.parametrize(
    ("name", "split", "count"),
    [("baistpp", "train", 73), ("baistpp", "test", 32), ("adobe240", "test", 8), ("gopro9", "train", 22), ("gopro9", "test", 11)],
)
def test_published_lists(name, split, count):
    assert len(recipes.load(name).split[split]) == count


def test_reds_covers_five_originals_with_the_third_in_the_middle():
    recipe = recipes.load("reds")
    second = recipe.windows("").window(1)
    first, last = second.start / recipe.interpolation.factor, second.last / recipe.interpolation.factor
    assert (first, last, (second.start + second.targets[0]) / recipe.interpolation.factor) == (5, 9, 7)
    assert second.length / 80 == pytest.approx(0.8, abs=0.02)  # the duty cycle


def test_changes():
    recipe = recipes.load("gopro7", ["transfer=pixel", "frame.crop=[1280,704]", 'window.targets = "centre"'])
    assert (recipe.transfer, tuple(recipe.frame.crop), recipe.window.targets) == ("pixel", (1280, 704), "centre")
    assert recipe.split == recipes.load("gopro7").split


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("transfer", "expected KEY=VALUE"),
        ("transfr=pixel", "did you mean 'transfer'"),
        ("frame.widht=3", "did you mean 'width'"),
        ("title.x=3", "title is no table"),
        ("window.length=0", "window.length is 0"),
    ],
)
def test_wrong_changes(change, says):
    with pytest.raises(RecipeError, match=re.escape(says)):
        recipes.load("gopro7", [change])


def test_a_response_counts_by_its_values(tmp_path):
    curve = np.linspace(0, 1, 256) ** 2
    for name in ("a.npy", "b.npy"):
        np.save(tmp_path / name, curve)
    np.save(tmp_path / "c.npy", curve**1.1)
    a, b, c = (recipes.load("reds", [f"response.file={tmp_path / name}.npy"]).processing() for name in "abc")
    assert a == b != c
    assert str(tmp_path) not in str(a)
    with pytest.raises(RecipeError, match=r"add --set response.file=FILE"):
        recipes.load("reds").curve()


def test_the_id_of_an_installed_recipe_is_not_taken_for_other_rules(tmp_path):
    text = DATASETS.get("gopro7").read_text(encoding="utf-8")
    installed = recipes.load("gopro7")
    for same in (text, text.replace('title = "', 'title = "Copy of ')):
        assert recipes.load(str(write(tmp_path, same))).rules() == installed.rules()
    others = [
        text.replace('transfer = "gamma(2.2)"', 'transfer = "pixel"'),
        text.replace("length = 7", "length = 9"),
        text.replace('"GOPR0384_11_00", ', "", 1),  # of a split
    ]
    for other in others:
        path = write(tmp_path, other)
        assert other != text
        with pytest.raises(RecipeError) as caught:
            recipes.load(str(path), ["transfer=gamma(2.2)"])
        assert str(caught.value) == f"{path}: id is 'gopro7', that of an installed recipe with other rules; give it an id of its own"
    own = write(tmp_path, others[0].replace('id = "gopro7"', 'id = "gopro7-pixel"'))
    assert (recipes.load(str(own)).id, recipes.load(str(own)).transfer) == ("gopro7-pixel", "pixel")


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ('[split]\ntest = ["a"]\nlenght = 3', "split.lenght is 3, expected a list of names of videos; keys of the recipe stand above"),
        ('[split]\ntest = "abc"', "split.test is 'abc', expected a list of names"),
        ("[split]\ntest = [1]", "split.test is [1], expected a list of names"),
        ("[built_in]\nwindw = { length = 3 }", "unknown key 'windw' in [built_in] of recipe 'mine'; did you mean 'window'"),
        ("[built_in]\ntitle = { length = 3 }", "title is {'length': 3}, expected text"),
    ],
)
def test_mistakes_in_the_last_tables(tmp_path, lines, says):
    with pytest.raises((RecipeError, UnknownNameError), match=re.escape(says)):
        recipes.read(write(tmp_path, MINIMAL + lines))
