"""Linear kernels: against cases worked out by hand, against the definition pixel by pixel, and as properties."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blurbench.errors import RecipeError
from blurbench.synth import kernels
from blurbench.synth.kernels import STRENGTHS, Kernels, Maxima

motions = st.tuples(st.floats(-40, 40), st.floats(-40, 40))
ONE_SHIFT = {"shift_x": 0, "shift_y": 0, "gradient_x": 0, "gradient_y": 0, "zoom": 0, "turn": 0, "centre": 0}


def trimmed(weights):
    """Without rows and columns of zeros."""
    rows, columns = np.flatnonzero(weights.any(1)), np.flatnonzero(weights.any(0))
    return weights[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


@pytest.mark.parametrize("motion", [(0, 0), (1, 0), (0, -1), (0.3, 0.6)])
def test_a_line_of_one_pixel_is_no_blur(motion):
    assert trimmed(kernels.kernel(*motion)).tolist() == [[1]]


@pytest.mark.parametrize(
    ("motion", "expected"),
    [
        ((3, 0), [[1 / 3, 1 / 3, 1 / 3]]),
        ((0, 3), [[1 / 3], [1 / 3], [1 / 3]]),
        ((-5, 0), [[1 / 5] * 5]),
        # The ends lie 1/2 beyond the middle pixel, so the neighbours are 1/2 away.
        ((2, 0), [[1 / 4, 1 / 2, 1 / 4]]),
    ],
)
def test_lines_along_the_axes(motion, expected):
    np.testing.assert_allclose(trimmed(kernels.kernel(*motion)), expected, atol=1e-12)


def test_a_short_diagonal_by_hand():
    # Length 2 sqrt 2, half length sqrt 2 - 1/2: the corner is 1/2 beyond the end, the other neighbours lie sqrt(1/2) aside and end at
    # sqrt(1/2) along, i.e. (sqrt 2 - 1/2) - sqrt(1/2) before the end.
    corner, near = 0.5, 1 - math.hypot(math.sqrt(0.5), math.sqrt(2) - 0.5 - math.sqrt(0.5))
    weights = np.array([[0, near, corner], [near, 1, near], [corner, near, 0]])
    rising = kernels.kernel(2, 2)  # v is upwards: to the right and up
    np.testing.assert_allclose(rising, weights / weights.sum(), atol=1e-12)
    np.testing.assert_allclose(kernels.kernel(2, -2), rising[:, ::-1], atol=1e-12)


@given(motions)
def test_kernels_are_normalised_and_symmetric(motion):
    weights = kernels.kernel(*motion)
    assert weights.sum() == pytest.approx(1)
    assert weights.shape[0] % 2 == weights.shape[1] % 2 == 1
    np.testing.assert_allclose(weights, weights[::-1, ::-1], atol=1e-12)
    np.testing.assert_allclose(weights, kernels.kernel(-motion[0], -motion[1]), atol=1e-12)
    np.testing.assert_allclose(kernels.kernel(motion[1], motion[0]), weights.T[::-1, ::-1], atol=1e-9)


@given(motions.filter(lambda m: math.hypot(*m) > 5))
def test_kernels_point_where_the_motion_does(motion):
    """The second moments are those of a line of length L: variance about (L^2 - 1) / 12 along it, less than 1/4 aside."""
    weights, length = kernels.kernel(*motion), math.hypot(*motion)
    y, x = np.mgrid[weights.shape[0] // 2 : -weights.shape[0] // 2 : -1, -(weights.shape[1] // 2) : weights.shape[1] // 2 + 1]
    along, aside = (x * motion[0] + y * motion[1]) / length, (y * motion[0] - x * motion[1]) / length
    assert (weights * along**2).sum() == pytest.approx((length**2 - 1) / 12, rel=0.2)
    assert (weights * aside**2).sum() < 0.25


def by_definition(image, motion):
    """Each pixel is the weighted mean of its neighbours, those beyond the border being the nearest inside."""
    height, width, _ = image.shape
    out = np.zeros(image.shape)
    for row in range(height):
        for column in range(width):
            weights = kernels.kernel(*motion[row, column])
            y, x = np.indices(weights.shape)
            y = np.clip(row + y - weights.shape[0] // 2, 0, height - 1)
            x = np.clip(column + x - weights.shape[1] // 2, 0, width - 1)
            out[row, column] = (weights[..., None] * image[y, x]).sum(axis=(0, 1))
    return out


@pytest.mark.parametrize("size", [(40, 90), (71, 23)])
def test_blur_is_the_slow_loop(size):
    rng = np.random.default_rng(1)
    image = rng.random((*size, 3), np.float32)
    varied = Maxima(12, 12, 2, 2, 0.05, 30, 5)
    motion = kernels.field(size, varied, rng)
    assert len(np.unique(motion.reshape(-1, 2), axis=0)) >= 15
    np.testing.assert_allclose(kernels.blur(image, motion), by_definition(image, motion), atol=1e-5)


def test_blur_of_motion_without_order_is_the_slow_loop():
    rng = np.random.default_rng(3)
    image = rng.random((20, 70, 3), np.float32)
    motion = rng.integers(-12, 13, (20, 70, 2)).astype(float)
    np.testing.assert_allclose(kernels.blur(image, motion), by_definition(image, motion), atol=1e-5)


def test_one_motion_for_the_whole_picture():
    rng = np.random.default_rng(2)
    image = rng.random((70, 30, 3), np.float32)
    motion = np.array([7.25, -3.5])
    blurred = kernels.blur(image, motion)
    np.testing.assert_allclose(blurred, by_definition(image, np.broadcast_to(motion, (70, 30, 2))), atol=1e-5)
    # Along its own direction a stripe pattern keeps, across it fades: v is upwards.
    stripes = np.float32(np.indices((60, 60)).sum(0) % 8 < 4)[..., None].repeat(3, axis=2)  # constant along the rising diagonal
    middle = (slice(20, 40), slice(20, 40))
    assert kernels.blur(stripes, np.array([9.0, 9.0]))[middle].std() > 4 * kernels.blur(stripes, np.array([9.0, -9.0]))[middle].std()


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.sampled_from(sorted(STRENGTHS)))
def test_fields_are_whole_and_bounded(seed, strength):
    maxima, size = STRENGTHS[strength], (48, 64)
    motion = kernels.field(size, maxima, np.random.default_rng(seed))
    assert motion.shape == (*size, 2) and (motion == np.rint(motion)).all() and not np.signbit(motion[motion == 0]).any()
    reach = math.hypot(size[0] / 2 + maxima.centre, size[1] / 2 + maxima.centre)
    bound = maxima.shift_x * (1 + maxima.gradient_x / 2) + math.tan(math.radians(maxima.turn)) * reach + maxima.zoom * reach**1.5
    assert np.abs(motion).max() <= bound + 0.5
    assert (motion == kernels.field(size, maxima, np.random.default_rng(seed))).all()


class Draws:
    """Stands for a generator: tx, ty, ax, ay, zoom, turn, centre x, centre y as parts of their maxima."""

    def __init__(self, *values):
        self.values = np.array(values, float)

    def uniform(self, low, high, count):
        assert (low, high, count) == (-1, 1, len(self.values))
        return self.values


def maxima(**changes):
    return Maxima(**{**ONE_SHIFT, **changes})


def test_shift_and_gradient_by_hand():
    # u = tx (1 - ax/2) + w ax tx / W, v = ty (1 - ay/2) + (H + 1 - h) ay ty / H.
    motion = kernels.field((4, 4), maxima(shift_x=20, shift_y=10, gradient_x=0.4, gradient_y=0.8), Draws(1, 1, 1, 1, 0, 0, 0, 0))
    assert motion[:, :, 0].tolist() == [[18, 20, 22, 24]] * 4
    assert motion[:, 0, 1].tolist() == [14, 12, 10, 8]  # the top row is h = 1: v grows upwards


def test_turn_and_zoom_by_hand():
    # Centre (W/2, H/2) = (5, 5) plus (1, 0) makes (6, 5). At row h = 6 from the top, also row 5 from the bottom for H = 10, r = |h - 5| and
    # |w - 6| together; the angle counts rows from the bottom.
    size = (10, 10)
    turn = kernels.field(size, maxima(turn=45, centre=1), Draws(0, 0, 0, 0, 0, 1, 1, 0))
    # w = 10, h = 6: r = hypot(4, 1) = 4.12, a = 0: (-r, 0) -> u = -4.
    assert turn[5, 9].tolist() == [-4, 0]
    # w = 6, h = 1: r = 4, h' = 10, a = 90 degrees: (0, r) -> v = 4.
    assert turn[0, 5].tolist() == [0, 4]
    zoom = kernels.field(size, maxima(zoom=1, centre=1), Draws(0, 0, 0, 0, 1, 0, 1, 0))
    # The same places: r^1.5 (sin a, cos a), 4.12^1.5 = 8.37 and 4^1.5 = 8.
    assert zoom[5, 9].tolist() == [0, 8]
    assert zoom[0, 5].tolist() == [8, 0]


def test_halves_are_rounded_away_from_zero():
    for sign in (1, -1):
        assert (kernels.field((2, 2), maxima(shift_x=2.5, shift_y=0.5), Draws(sign, sign, 0, 0, 0, 0, 0, 0)) == [3 * sign, sign]).all()


def test_half_plane():
    motion = np.array([[3.0, -2], [-3, 2], [0, -2], [-1, 0]])
    assert kernels.half_plane(motion).tolist() == [[3, -2], [3, -2], [0, -2], [1, 0]]


def test_valid_box():
    motion = np.zeros((50, 80, 2))
    assert kernels.valid_box((50, 80), motion) == (0, 0, 50, 80)
    motion[3, 4], motion[7, 8] = (-7, 2), (1, 9)  # floor(9/2) rows and floor(7/2) columns a side
    assert kernels.valid_box((50, 80), motion) == (4, 3, 42, 74)


def test_uniform_motion_is_exact_in_float16_and_spread():
    drawn = np.array([kernels.uniform_motion(STRENGTHS["strong"], np.random.default_rng([0, n])) for n in range(400)])
    assert (drawn.astype(np.float16) == drawn).all() and np.abs(drawn).max() <= 27
    assert len(np.unique(drawn, axis=0)) == 400
    assert np.abs(drawn.mean(0)).max() < 3 and drawn.std(0) == pytest.approx([27 / math.sqrt(3)] * 2, rel=0.1)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"variant": "perpixel"}, "kernels.variant is 'perpixel', expected one of none, per-pixel, uniform"),
        ({"variant": "per-pixel"}, "kernels.maps is {}"),
        ({"maps": {"test": 1}}, "kernels.maps is {'test': 1}"),
        ({"variant": "per-pixel", "maps": {"test": 0}}, "whole numbers of at least 1"),
        ({"variant": "per-pixel", "maps": {"test": 1}, "count": 5}, "kernels.count is 5"),
        ({"variant": "uniform", "maps": {"test": 1}}, "kernels.count is 0"),
        ({"uniform": "curved"}, "expected one of linear"),
        ({"noise": -1}, "kernels.noise is -1"),
        ({"strength": "weak"}, "strength is 'weak', expected strong, mild or a table"),
        ({"strength": {"shift": 3}}, "did you mean 'shift_"),
        ({"strength": {"shift_x": -3}}, "shift_x is -3, expected a number of at least 0"),
        ({"strength": {**ONE_SHIFT, "zoom": "a"}}, "zoom is 'a', expected a number"),
        ({"strength": {"shift_x": 3}}, "missing 6 required positional arguments"),
    ],
)
def test_mistakes_are_named(table, says):
    with pytest.raises(RecipeError) as caught:
        Kernels(**table).check("x.toml")
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_a_table_of_maxima():
    table = {**ONE_SHIFT, "shift_x": 4}
    assert Kernels(strength=table).maxima() == Maxima(**table)
    assert Kernels(strength="mild").maxima().shift_x == 19
