"""Motion and guidance beside the pictures: directions, grids and signs; where motion is exact, and where it must be measured."""

import numpy as np
import pytest

from blurbench.errors import RecipeError, WeightsError
from blurbench.store.reader import open_dataset
from blurbench.synth import recipe as recipes
from blurbench.synth.expose import Samples
from blurbench.synth.extras import Extras, between_targets, flow_model
from blurbench.synth.pipeline import make_dataset
from blurbench.video import interpolate
from blurbench.video.images import write_rgb
from blurbench.video.photographs import Photographs
from blurbench.video.render import RenderedSource
from blurbench.video.textures import dead_leaves

SIZE = (48, 64)


class Moving:
    """A source whose motion onwards and back are no mirror images: 1 px right and 2 down a frame, 4 right and 3 up a frame back."""

    id = "moving"
    size = SIZE

    def motion(self, i, j):
        step = np.array([1, 2]) if j > i else np.array([4, -3])
        return np.broadcast_to(step * abs(j - i), (*SIZE, 2)).astype(np.float32)


def test_exact_motion_points_onwards_and_guidance_is_the_way_back_negated():
    extras = Extras(Moving(), recipes.load("rendered"))
    sample = {}
    assert extras.add(sample, [0.0, 2.0, 3.0]) is None
    assert sample["flow"].shape == (2, *SIZE, 2) and sample["flow"].dtype == sample["flow_first_last"].dtype == np.float16
    assert (sample["flow"][0] == (2, 4)).all() and (sample["flow"][1] == (1, 2)).all()
    assert (sample["flow_first_last"] == (3, 6)).all()
    assert sample["guidance"].shape == (24, 32, 2) and (sample["guidance"] == (-1, 1)).all()
    assert extras.facts() == {"flow": "exact"}


def test_stored_motion_of_rendered_footage():
    """It is that of the footage between the targets, and guidance has the quadrant of what moves far, but at edges of objects."""
    source, recipe = RenderedSource("test", 0, 49, (96, 128), fps=1920.0), recipes.load("rendered")
    (sample,) = Samples(source, recipe, interpolate.load("none"), lambda: None)
    targets = [0, 8, 16, 24, 32, 40, 48]
    expected = np.stack([source.motion(a, a + 8) for a in targets[:-1]])
    np.testing.assert_array_equal(sample["flow"], expected.astype(np.float16))
    np.testing.assert_array_equal(sample["flow_first_last"], source.motion(0, 48).astype(np.float16))
    mean = expected.mean(axis=0).reshape(48, 2, 64, 2, 2).mean(axis=(1, 3))
    for axis in range(2):
        far = np.abs(mean[..., axis]) > 0.5
        assert far.sum() > 100 and (sample["guidance"][..., axis] == np.sign(mean[..., axis]))[far].mean() > 0.9


def test_measured_guidance_points_where_the_picture_goes():
    canvas = dead_leaves(Photographs("train"), (96, 140), np.random.default_rng(0))
    sharp = np.stack([canvas[2 * step : 2 * step + 64, 40 - 3 * step : 104 - 3 * step] for step in range(3)])  # right and up
    sample = {"sharp": sharp}
    still = RenderedSource("test", 0, 3, (64, 64))
    recipe = recipes.load("gopro7", ["window.length=3", "motion.flow=dis-medium", "guidance.aggregate=max", "frame.width=64"])
    extras = Extras(still, recipe)  # resized, so that the footage does not know
    extras.add(sample, [0.0, 1.0, 2.0])
    inside = sample["guidance"][8:-8, 8:-8]
    assert (inside == (1, -1)).mean() > 0.95
    assert extras.facts()["flow"]["model"] == "dis-medium"


@pytest.mark.parametrize(
    ("name", "changes", "exact"),
    [
        ("genblur", [], True),
        ("genblur", ["window.targets=even:5"], False),
        ("genblur", ["window.stride=27"], False),
        ("genblur", ["window.offset=2"], False),
        ("genblur", ["window.offset=4"], True),
        ("genblur", ["window.stride=27", "interpolation.factor=1"], True),
        ("genblur", ["frame.width=32"], False),
        ("rendered", [], True),
        ("gopro7", [], True),
        ("wild", ["window.targets=even:3"], True),
        ("wild", ["window.targets=even:3", "interpolation.method=flow", "interpolation.factor=2"], False),
    ],
)
def test_where_rendered_footage_knows_the_motion(name, changes, exact):
    source, recipe = RenderedSource("test", 0, 30, SIZE), recipes.load(name, changes, built_in=True)
    assert (between_targets(source, recipe) is not None) == exact
    assert flow_model(source, recipe) == ("none" if exact else recipe.motion.flow)


def rendered(folder, name, *changes, said=None):
    note = (lambda text: None) if said is None else said.append
    options = {"clips": {"train": 0, "test": 1}, "size": SIZE, "changes": changes, "note": note}
    make_dataset(name, None, folder, **options)
    (shard,) = open_dataset(folder).shards("test")
    return shard


@pytest.mark.parametrize("change", ["window.targets=even:5", "window.stride=27"])
def test_motion_between_targets_that_are_interpolated_is_measured(tmp_path, change):
    shard = rendered(tmp_path, "genblur", change)
    assert {"flow", "flow_first_last", "guidance"} <= set(shard.file)
    assert shard.provenance["motion"]["flow"]["model"] == "dis-medium"


def test_guidance_without_any_motion_is_refused(tmp_path):
    with pytest.raises(RecipeError) as caught:
        rendered(tmp_path / "data", "rendered", "frame.width=48")
    assert str(caught.value) == (
        "guidance.aggregate is 'max', but nothing tells how the targets of rendered-test-s0-0000 move; "
        "add --set motion.flow=dis-medium to measure it, or --set guidance.aggregate=none"
    )
    assert not (tmp_path / "data").exists()
    assert "guidance" in rendered(tmp_path / "measured", "rendered", "frame.width=48", "motion.flow=dis-medium").file
    assert "flow" not in rendered(tmp_path / "none", "rendered", "frame.width=48", "guidance.aggregate=none").file


@pytest.fixture
def clip(tmp_path):
    """A folder of seven grey pictures."""
    (tmp_path / "clip").mkdir()
    for number in range(7):
        write_rgb(tmp_path / f"clip/{number}.png", np.full((48, 64, 3), 9 * number, np.uint8))
    return tmp_path / "clip"


def test_guidance_from_a_source_needs_a_flow_model(tmp_path, clip):
    with pytest.raises(RecipeError, match=r"nothing tells how the targets of clip move; add --set motion.flow=dis-medium"):
        make_dataset("gopro7", clip, tmp_path / "data", changes=["guidance.aggregate=max"])
    make_dataset("gopro7", clip, tmp_path / "data", changes=["guidance.aggregate=max", "motion.flow=dis-fast"])
    assert "guidance" in next(open_dataset(tmp_path / "data").samples("test")).extras


def test_one_target_has_no_motion_and_that_is_said(tmp_path):
    said = []
    shard = rendered(tmp_path, "genblur", "window.targets=centre", said=said)
    assert said == ["note: window.targets is 'centre', one target a sample: nothing is stored for motion.flow and guidance.aggregate"]
    assert not {"flow", "flow_first_last", "guidance"} & set(shard.file)
    assert shard.provenance["motion"] == {"flow": "none"}


def test_the_recipe_of_the_built_in_footage_takes_no_other(tmp_path, clip):
    with pytest.raises(RecipeError) as caught:
        make_dataset("rendered", clip, tmp_path / "data")
    told = f"recipe 'rendered' is for the built-in footage, but --source is '{clip}'; take another recipe, e.g. gopro7"
    assert str(caught.value) == told and not (tmp_path / "data").exists()


def test_nothing_to_insert_asks_for_no_weights(tmp_path, clip, monkeypatch):
    """A factor of 1 leaves the recipe's method, RIFE, unused: its weights need not be there."""
    monkeypatch.setenv("BLURBENCH_CACHE", str(tmp_path / "empty"))
    said, changes = [], ["interpolation.factor=1", "window.length=7", "window.stride=7"]
    make_dataset("genblur", clip, tmp_path / "data", changes=changes, note=said.append)
    (shard,) = open_dataset(tmp_path / "data").shards("test")
    assert shard.provenance["interpolation"] == interpolate.load("none").facts()
    assert not any("interpolating" in line for line in said)
    with pytest.raises(RecipeError, match=r"--rife-weights is 'x.pkl', but here genblur interpolates by 'none'; leave it out"):
        make_dataset("genblur", clip, tmp_path / "other", changes=changes, weights="x.pkl")
    with pytest.raises(WeightsError, match=r"--rife-weights is 'x.pkl', expected the file flownet.pkl of RIFE v4; check the path"):
        make_dataset("genblur", clip, tmp_path / "other", weights="x.pkl", planned=pytest.fail)
