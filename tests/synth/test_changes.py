"""Changes of a recipe: what is refused, and labels that do not depend on how a change was typed."""

import cv2
import numpy as np
import pytest

from blurbench.errors import RecipeError
from blurbench.synth import recipe as recipes
from blurbench.synth.pipeline import make_dataset
from tests.synth.recipe_head import HEAD


def told(name, *changes, built_in=False):
    return recipes.differences(recipes.load(name, built_in=built_in), recipes.load(name, changes, built_in))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (["frame.crop=[32,32]"], ["frame.crop=[32,32]"]),
        (["frame.crop = [ 32, 32 ]"], ["frame.crop=[32,32]"]),
        (["transfer=pixel"], ["transfer=pixel"]),
        (['transfer = "pixel"'], ["transfer=pixel"]),
        (["transfer=pixel", "frame.width=64"], ["frame.width=64", "transfer=pixel"]),
        (["frame.width=64", "transfer=pixel"], ["frame.width=64", "transfer=pixel"]),
        (["rounding=half-up"], []),
        (["fps=240"], []),
        (["frame.crop=[0,0]"], []),
        (["title=other"], []),
        (["interpolation.fallback=flow"], []),
        (["built_in.fps=1"], []),
        (["split.test=[]"], ["split.test=[]"]),
    ],
)
def test_changes_are_told_in_one_way(changes, expected):
    assert told("gopro7", *changes) == expected


def test_tables_inside_tables_are_told_in_one_way():
    assert told("synthetic-linear", "kernels.unblurred=true", "kernels.maps={train=2, test=1}") == [
        "kernels.maps={test=1,train=2}",
        "kernels.unblurred=true",
    ]


def test_a_change_to_what_built_in_footage_has_anyway_is_none():
    assert told("genblur", "interpolation.method=flow") == ["interpolation.method=flow"]
    assert told("genblur", "interpolation.method=flow", built_in=True) == []


def test_an_equal_value_of_another_type_leaves_the_fingerprint_alone():
    plain, same = recipes.load("gopro7"), recipes.load("gopro7", ["fps=240", "frame.crop=[0,0]"])
    assert repr(same) == repr(plain)
    with pytest.raises(RecipeError, match="shrink is True, expected a whole number"):
        recipes.load("gopro7", ["frame.shrink=true"])


def test_a_response_is_told_by_its_values(tmp_path):
    (tmp_path / "x").mkdir()
    for name, power in (("crf.npy", 2), ("x/crf.npy", 2), ("other.npy", 3)):
        np.save(tmp_path / name, np.linspace(0, 1, 256) ** power)
    first, copy, other = (told("reds", f"response.file={tmp_path / name}") for name in ("crf.npy", "x/crf.npy", "other.npy"))
    assert first == copy != other
    assert first[0].startswith("response.file=response(") and str(tmp_path) not in first[0]


@pytest.mark.parametrize("change", ["seed=7", " seed = 7"])
def test_the_seed_has_an_option(change):
    with pytest.raises(RecipeError) as caught:
        recipes.load("wild", [change])
    assert str(caught.value) == f"--set is {change!r}, but the seed has an option of its own; give --seed 7"


def test_a_length_that_the_name_decides_is_not_changed():
    with pytest.raises(RecipeError) as caught:
        recipes.load("gopro-linear", ["window.length=9"])
    assert str(caught.value) == (
        "--set window.length=9 was given, but recipe 'gopro-linear' takes the length from a video's name; "
        "add --set window.length_from_name= to take this one for every video"
    )
    mended = recipes.load("gopro-linear", ["window.length=9", "window.length_from_name="])
    assert mended.windows("GOPR0384_11_00").window(0).length == 9
    assert recipes.load("gopro-linear", ["window.length=9"], built_in=True).windows("rendered-test-s0-0000").window(0).length == 9


def test_a_camera_response_that_nothing_uses(tmp_path):
    np.save(tmp_path / "crf.npy", np.linspace(0, 1, 256))
    with pytest.raises(RecipeError, match=r"the transfer function is 'gamma\(2.2\)'; add --set transfer=response"):
        recipes.load("gopro7", [f"response.file={tmp_path / 'crf.npy'}"])
    used = recipes.load("gopro7", [f"response.file={tmp_path / 'crf.npy'}", "transfer=response"])
    assert used.curve().name.startswith("response(")


@pytest.mark.parametrize(
    ("change", "beside", "why", "mend"),
    [
        ("guidance.threshold=0.5", "guidance.aggregate=avg", "makes no guidance", "guidance.aggregate=max"),
        ("frame.anchor=centre", "frame.crop=[32,0]", "crops no frames", "frame.crop=[WIDTH,HEIGHT]"),
        ("boxes.ratio=0.5", "boxes={width=8,height=8}", "crops to no boxes", "boxes.width=W --set boxes.height=H"),
        ("gate.flow=dis-fast", "gate.largest_step=1", "has no gate", "gate.largest_step=PIXELS"),
        ("gate.quantile=0.5", "gate.largest_step=1", "has no gate", "gate.largest_step=PIXELS"),
    ],
)
def test_a_change_that_nothing_uses(change, beside, why, mend):
    with pytest.raises(RecipeError) as caught:
        recipes.load("gopro7", [change])
    assert str(caught.value) == f"--set {change} was given, but recipe 'gopro7' {why}; add --set {mend}"
    assert recipes.load("gopro7", [beside, change]) != recipes.load("gopro7")


def test_guidance_that_is_taken_away_has_no_threshold():
    with pytest.raises(RecipeError, match="makes no guidance"):
        recipes.load("genblur", ["guidance.aggregate=none", "guidance.threshold=0.5"])
    assert recipes.load("genblur", ["guidance.threshold=0.5"]).guidance.threshold == 0.5


def test_a_split_for_a_recipe_without_lists():
    assert recipes.load("rendered", ['split.train=["a"]']).split_of("a") == "train"
    with pytest.raises(RecipeError, match="title is no table"):
        recipes.load("rendered", ["title.x=1"])


@pytest.fixture
def source(tmp_path):
    """Forty pictures of noise, and a recipe of windows of random length with a seed of its own."""
    rng = np.random.default_rng(0)
    (tmp_path / "source/clip").mkdir(parents=True)
    for number in range(40):
        cv2.imwrite(str(tmp_path / f"source/clip/{number}.png"), rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))
    (tmp_path / "mine.toml").write_text(f"{HEAD}seed = 7\n[window]\nlength = 9\nshortest = 3\n")
    return tmp_path / "source"


def made(source, out, **options):
    return make_dataset(str(source.parent / "mine.toml"), source, source.parent / out, **options)


def test_a_recipe_keeps_its_own_seed_unless_one_is_given(source):
    own, same, zero = made(source, "own"), made(source, "same", seed=7), made(source, "zero", seed=0)
    assert (own.recipe["seed"], zero.recipe["seed"]) == (7, 0)
    assert own.content("test") == same.content("test") != zero.content("test")
    assert own.fingerprint("test") == same.fingerprint("test") != zero.fingerprint("test")
    assert own.label == zero.label == "mine"


def test_labels_of_one_fingerprint_are_one(source):
    one, two = made(source, "one", changes=["frame.crop=[8,8]"]), made(source, "two", changes=["rounding=half-up", "frame.crop=[ 8, 8 ]"])
    assert one.label == two.label == "mine[frame.crop=[8,8]]" and one.fingerprint("test") == two.fingerprint("test")


def test_spellings_of_one_transfer_function_are_one(source):
    one, two = (made(source, name, changes=[f"transfer=gamma({power})"]) for name, power in (("one", "2.40"), ("two", "2.4")))
    assert one.label == two.label == "mine[transfer=gamma(2.4)]" and one.fingerprint("test") == two.fingerprint("test")


def test_the_seed_of_built_in_footage_is_the_recipes_too(tmp_path, source):
    options = {"clips": {"train": 0, "test": 1}, "size": (32, 32), "frames": 30}
    for recipe, seed in ((str(tmp_path / "mine.toml"), 7), ("gopro7", 0)):
        (entry,) = make_dataset(recipe, None, tmp_path / f"s{seed}", **options).splits["test"]
        assert entry.video == f"rendered-test-s{seed}-0000"


@pytest.mark.parametrize("option", [{"clips": {"train": 2}}, {"size": (32, 32)}, {"frames": 30}, {"photographs": "pictures"}])
def test_options_of_built_in_footage_beside_a_source(source, option):
    (name,) = option
    with pytest.raises(RecipeError, match=f"make_dataset: {name} is .*, expected None beside a source: it is for the built-in footage"):
        made(source, "out", **option)
    assert not (source.parent / "out").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"clips": {"val": 1}}, "clips is 'val', expected a split of train and test"),
        ({"clips": {"train": -1}}, "clips of train is -1, expected a whole number, at least 0"),
        ({"clips": {"test": 1.5}}, "clips of test is 1.5, expected a whole number, at least 0"),
        ({"size": 64}, "size is 64, expected (height, width) in pixels, e.g. (192, 320)"),
        ({"size": (64, 0)}, "size is (64, 0), expected (height, width) in pixels, e.g. (192, 320)"),
        ({"frames": "8"}, "frames is '8', expected a whole number a clip, at least 1, or None for enough"),
    ],
)
def test_built_in_footage_that_cannot_be(tmp_path, options, says):
    with pytest.raises(RecipeError) as caught:
        make_dataset("gopro7", out=tmp_path / "out", **options)
    assert str(caught.value) == f"built-in footage: {says}" and not (tmp_path / "out").exists()


@pytest.mark.parametrize("change", ["id=genblur", "version=9"])
def test_a_recipe_keeps_its_name(change):
    with pytest.raises(RecipeError, match=f"--set is '{change}', but .* says which recipe it is"):
        recipes.load("gopro7", [change])


@pytest.mark.parametrize("method", ["rife", "foo"])
@pytest.mark.parametrize("built_in", [True, False])
def test_an_interpolation_that_inserts_nothing(method, built_in):
    """It would only be told on the label."""
    with pytest.raises(RecipeError) as caught:
        recipes.load("gopro7", [f"interpolation.method={method}"], built_in)
    told = f"--set interpolation.method={method} was given, but recipe 'gopro7' inserts no frames; add --set interpolation.factor=N"
    assert str(caught.value) == told
    assert recipes.load("genblur", ["interpolation.factor=1"], built_in).interpolation.used == "none"
