"""Augmentation moves pictures, motion and guidance alike: by hand, by what motion means, and back again."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blurbench.errors import RecipeError, UnknownNameError
from blurbench.store.augment import Augmentation, Change, dull, reversed_time, soften, turn

CHANGES = st.builds(Change, flip=st.booleans(), flip_vertical=st.booleans(), turns=st.integers(0, 3), reverse_time=st.booleans())
SIZES = st.tuples(st.integers(1, 6), st.integers(1, 6))


def sample(seed, height, width, frames=3):
    rng = np.random.default_rng(seed)
    return {
        "blurry": rng.integers(0, 256, (height, width, 3), dtype=np.uint8),
        "sharp": rng.integers(0, 256, (frames, height, width, 3), dtype=np.uint8),
        "flow": rng.normal(size=(frames - 1, height, width, 2)).astype(np.float16),
        "flow_first_last": rng.normal(size=(height, width, 2)).astype(np.float16),
        "motion": rng.normal(size=(height, width, 2)).astype(np.float16),
        "guidance": rng.integers(-1, 2, (height, width, 2)).astype(np.int8),
        "times": np.sort(rng.integers(0, 65, frames)) / 64,
    }


@given(CHANGES, SIZES, st.integers(0, 99))
def test_the_inverse_gives_the_start(change, size, seed):
    start = sample(seed, *size)
    end = change.inverse().apply(change.apply(start))
    assert {name: array.dtype for name, array in end.items()} == {name: array.dtype for name, array in start.items()}
    for name, array in start.items():
        assert np.array_equal(end[name], array), name


@given(CHANGES, SIZES, st.integers(0, 99))
def test_flow_still_says_where_each_pixel_went(change, size, seed):
    """A picture whose pixel p has the colour that the other has at p + flow(p), for any whole-pixel flow: so it is after the change."""
    height, width = size
    rng = np.random.default_rng(seed)
    later = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    y, x = np.mgrid[:height, :width]
    to_y, to_x = rng.integers(0, height, (height, width)), rng.integers(0, width, (height, width))
    start = {"sharp": np.stack([later[to_y, to_x], later]), "flow": np.dstack([to_x - x, to_y - y])[None].astype(np.float16)}
    changed = Change(change.flip, change.flip_vertical, change.turns).apply(start)
    earlier, later = changed["sharp"]
    y, x = np.mgrid[: later.shape[0], : later.shape[1]]
    went_x, went_y = (changed["flow"][0, ..., component].astype(int) for component in range(2))
    assert np.array_equal(earlier, later[y + went_y, x + went_x])


@given(CHANGES, st.integers(-3, 3), st.integers(-3, 3))
def test_flow_of_a_panned_picture_reversal_included(change, x, y):
    """Even motion, for which reversal is exact; what the pictures did is found by trying all shifts."""
    canvas = np.random.default_rng(0).integers(0, 256, (22, 24, 3), dtype=np.uint8)
    sharp = np.stack([canvas[6 - t * y :][:9, 6 - t * x :][:, :11] for t in range(3)])
    start = {"sharp": sharp, "flow": np.broadcast_to(np.float16([x, y]), (2, 9, 11, 2))}
    start["flow_first_last"] = 2 * start["flow"][0]
    changed = change.apply(start)
    for a, b, field in (*zip(changed["sharp"], changed["sharp"][1:], changed["flow"], strict=False),):
        assert np.unique(field.reshape(-1, 2), axis=0).tolist() == [list(shift(a, b))]
    assert (changed["flow_first_last"] == 2 * changed["flow"][0]).all()


def shift(a, b):
    """(x, y) by which b is moved against a, where both overlap."""
    size = range(-4, 5)
    return next((x, y) for y in size for x in size if np.array_equal(inside(a, 0, 0), inside(b, x, y)))


def inside(picture, x, y):
    return picture[4 + y : picture.shape[0] - 4 + y, 4 + x : picture.shape[1] - 4 + x]


@pytest.mark.parametrize(
    ("change", "vector"),
    [
        (Change(flip=True), (-3, 5)),
        (Change(flip_vertical=True), (3, -5)),
        (Change(turns=1), (5, -3)),
        (Change(turns=2), (-3, -5)),
        (Change(turns=3), (-5, 3)),
        (Change(reverse_time=True), (-3, -5)),
        (Change(flip=True, turns=1), (5, 3)),
    ],
)
def test_vectors_by_hand(change, vector):
    field = np.broadcast_to(np.float16([3, 5]), (2, 4, 2))
    assert (change.apply({"motion": field})["motion"] == vector).all()


def test_a_quarter_is_counterclockwise_as_seen():
    picture = np.array([[1, 2, 3], [4, 5, 6]])[..., None]
    assert turn(picture, 1, vectors=False)[..., 0].tolist() == [[3, 6], [2, 5], [1, 4]]


def test_reversal_by_hand():
    forwards = sample(0, 2, 3)
    back = Change(reverse_time=True).apply(forwards)
    assert (back["blurry"] == forwards["blurry"]).all() and (back["sharp"] == forwards["sharp"][::-1]).all()
    assert (back["flow"] == -forwards["flow"][::-1]).all() and (back["flow_first_last"] == -forwards["flow_first_last"]).all()
    assert (back["guidance"] == -forwards["guidance"]).all()
    assert reversed_time("times", np.array([0.0, 0.25, 1.0])).tolist() == [0, 0.75, 1]


def test_an_unknown_array_is_not_guessed_at():
    with pytest.raises(UnknownNameError, match="'kernel_motion'"):
        Change().apply({"kernel_motion": np.zeros((2, 2, 2))})


@pytest.mark.parametrize("shape", [(20, 30, 3), (2, 20, 30, 3)])
def test_tones_of_pictures(shape):
    start = np.random.default_rng(0).random(shape, np.float32)
    name = "blurry" if len(shape) == 3 else "sharp"
    softened = Change(sigma=1.2).apply({name: start})[name]
    frames = [cv2.GaussianBlur(frame, (0, 0), 1.2) for frame in start.reshape(-1, *shape[-3:])]
    assert softened == pytest.approx(np.stack(frames).reshape(shape), abs=1e-6)
    duller = Change(contrast=0.25).apply({name: start})[name]
    assert duller == pytest.approx(start.mean() + 0.25 * (start - start.mean()), abs=1e-6)
    assert duller.dtype == softened.dtype == np.float32


def test_contrast_keeps_the_blurry_picture_the_mean_of_the_sharp_ones():
    sharp = np.random.default_rng(0).random((5, 3, 8, 8), np.float32)
    duller = dull({"blurry": sharp.mean(0), "sharp": sharp}, 0.4)
    assert duller["blurry"] == pytest.approx(duller["sharp"].mean(0), abs=1e-6)
    softer = {name: soften(planes, 0.8) for name, planes in duller.items()}
    assert softer["blurry"] == pytest.approx(softer["sharp"].mean(0), abs=1e-6)


@settings(deadline=None)
@given(st.integers(0, 99))
def test_draws_are_those_of_the_generator_given(seed):
    augmentation = Augmentation(0.5, 0.5, True, 0.5, 0.3, 1.5)
    one, two = np.random.default_rng(seed), np.random.default_rng(seed)
    assert [augmentation.draw(one) for _ in range(3)] == [augmentation.draw(two) for _ in range(3)]


def test_how_often_things_happen():
    augmentation, rng = (
        Augmentation(flip=0.5, flip_vertical=0.1, turns=True, reverse_time=0.9, contrast=0.3, soften=1.5),
        np.random.default_rng(0),
    )
    drawn = [augmentation.draw(rng) for _ in range(4000)]

    def share(what):
        return pytest.approx(np.mean([what(change) for change in drawn]), abs=0.03)

    assert share(lambda c: c.flip) == 0.5 and share(lambda c: c.flip_vertical) == 0.1 and share(lambda c: c.reverse_time) == 0.9
    for quarters in range(4):
        assert share(lambda c, quarters=quarters: c.turns == quarters) == 0.25
    assert share(lambda c: c.sigma > 0) == 0.8 and share(lambda c: c.contrast) == 0.65
    sigmas = [change.sigma for change in drawn if change.sigma]
    assert min(sigmas) == pytest.approx(0.3, abs=0.01) and max(sigmas) == pytest.approx(1.5, abs=0.01)
    assert np.mean(sigmas) == pytest.approx(0.9, abs=0.02)


def test_by_default_nothing_happens_and_nothing_is_drawn():
    rng = np.random.default_rng(0)
    assert Augmentation().draw(rng) == Change()
    assert rng.random() == np.random.default_rng(0).random()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"flip": 1.5}, "flip is 1.5"),
        ({"contrast": -0.1}, "contrast is -0.1"),
        ({"soften": 0.2}, "soften is 0.2"),
        ({"soften": -1}, "soften"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(RecipeError, match=message):
        Augmentation(**options)


def test_tones_have_no_inverse():
    with pytest.raises(RecipeError, match="no inverse"):
        Change(contrast=0.5).inverse()
