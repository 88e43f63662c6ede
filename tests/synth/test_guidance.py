"""Four-quadrant guidance: each rule by hand, the whole against a slow loop, what flips and turns do to it."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from blurbench.errors import RecipeError
from blurbench.store import augment
from blurbench.synth.guidance import classes, colours, enlarged, guidance, vectors


def uniform(*steps):
    """(N, 2, 2, 2): every pixel moves by these steps, one (x, y) a flow."""
    return np.broadcast_to(np.array(steps, np.float32)[:, None, None], (len(steps), 2, 2, 2))


def of(*steps, **options):
    found = guidance(uniform(*steps), **options)
    assert found.dtype == np.int8 and found.shape == ((1, 1, 2) if options.get("half", True) else (2, 2, 2))
    return tuple(found[0, 0].tolist())


def slow(flows, aggregate, threshold, half):
    """The definition, pixel by pixel in Python's floats."""
    scale = 2 if half else 1
    height, width = flows.shape[1] // scale, flows.shape[2] // scale
    result = np.zeros((height, width, 2), np.int8)
    for i in range(height):
        for j in range(width):
            parts = []
            for c in range(2):
                steps = []
                for flow in flows.tolist():
                    block = [flow[scale * i + a][scale * j + b][c] for a in range(scale) for b in range(scale)]
                    steps.append(sum(block) / len(block) / scale)
                parts.append(max(steps, key=abs) if aggregate == "max" else sum(steps) / len(steps))
            x, y = parts
            if math.sqrt(x * x + y * y) < threshold / scale:
                continue
            x, y = (x > 0) - (x < 0), (y > 0) - (y < 0)
            ties = {(0, 1): (1, 1), (0, -1): (-1, -1), (1, 0): (1, -1), (-1, 0): (-1, 1)}
            result[i, j] = ties.get((x, y), (x, y))
    return result


@pytest.mark.parametrize(
    ("moved", "expected"),
    [
        *[((3, -1), (1, -1)), ((-3, -1), (-1, -1)), ((-3, 1), (-1, 1)), ((3, 1), (1, 1)), ((0, 0), (0, 0))],
        *[((0, 2), (1, 1)), ((0, -2), (-1, -1)), ((2, 0), (1, -1)), ((-2, 0), (-1, 1))],
    ],
)
def test_quadrants_and_ties(moved, expected):
    assert of(moved) == of(moved, half=False) == expected


def test_max_takes_each_component_of_the_largest_magnitude_and_avg_the_mean():
    steps = (1, 5), (-3, -1), (1, -2)
    assert of(*steps, aggregate="max") == (-1, 1)
    steps = (1, 5), (-3, -2), (3, -2)
    assert of(*steps, aggregate="avg") == (1, 1)
    assert of((3, -4), (-3, 4), aggregate="max") == (1, -1)  # of two equal ones the earlier
    assert of((3, -4), (-3, 4), aggregate="avg") == (0, 0)


@pytest.mark.parametrize("half", [True, False])
def test_the_threshold_is_in_pixels_of_full_resolution(half):
    for threshold in (0.2, 0.5):
        assert of((0.6 * threshold * 0.99, 0.8 * threshold * 0.99), threshold=threshold, half=half) == (0, 0)
        assert of((0.6 * threshold * 1.01, 0.8 * threshold * 1.01), threshold=threshold, half=half) == (1, 1)
    assert of((0.25, 0.0), threshold=0.25, half=half) == (1, -1)  # as long as the threshold is not shorter
    assert of((0.0, 0.0), threshold=0, half=half) == (0, 0)


def test_the_threshold_is_on_the_vector_not_on_its_components():
    assert of((0.19, 0.001)) == (0, 0)
    assert of((5, 0.001)) == (1, 1)


def test_half_resolution_averages_before_it_aggregates():
    flows = np.zeros((1, 2, 4, 2), np.float32)
    flows[0, :, :, 0] = [[4, 0, -1, -1], [0, -1, -1, 2]]
    assert guidance(flows).tolist() == [[[1, -1], [-1, 1]]]


def test_odd_sizes_leave_out_the_last_row_and_column():
    flows = np.random.default_rng(0).normal(size=(2, 7, 9, 2)).astype(np.float32)
    assert (guidance(flows) == guidance(flows[:, :6, :8])).all() and guidance(flows).shape == (3, 4, 2)


@settings(deadline=None, max_examples=60)
@given(
    # Multiples of 1/8 add without rounding; a threshold between two possible lengths leaves nothing to rounding either.
    flows=arrays.arrays(
        np.int8, st.tuples(st.integers(1, 4), st.integers(2, 5), st.integers(2, 5), st.just(2)), elements=st.integers(-9, 9)
    ),
    aggregate=st.sampled_from(["max", "avg"]),
    threshold=st.sampled_from([0.0, 0.2011, 0.5003, 0.9007]),
    half=st.booleans(),
)
def test_agrees_with_the_definition(flows, aggregate, threshold, half):
    flows = (flows / 8).astype(np.float32)
    if aggregate == "avg" and len(flows) == 3:
        flows = flows[:2]  # thirds are rounded
    assert (guidance(flows, aggregate, threshold, half) == slow(flows, aggregate, threshold, half)).all()


def test_stored_flow_may_be_float16():
    flows = np.random.default_rng(1).normal(size=(6, 8, 8, 2)).astype(np.float16)
    assert (guidance(flows) == slow(flows.astype(np.float64), "max", 0.2, True)).all()


def test_classes_and_colours_of_the_five():
    five = np.array([(0, 0), (1, -1), (-1, -1), (-1, 1), (1, 1)], np.int8)
    assert classes(five).tolist() == [0, 1, 2, 3, 4] and classes(five).dtype == np.uint8
    assert (vectors(classes(five)) == five).all()
    assert colours(classes(five)).tolist() == [[0, 0, 0], [255, 0, 0], [0, 255, 0], [255, 255, 0], [0, 0, 255]]
    assert colours(np.zeros((3, 4), np.uint8)).shape == (3, 4, 3)


@pytest.mark.parametrize("wrong", [(1, 0), (0, -1), (2, 1), (1, 1, 1)])
def test_what_is_not_guidance_has_no_class(wrong):
    with pytest.raises(RecipeError, match=r"expected \(\.\.\., 2\) of \(0, 0\)"):
        classes(np.array([wrong], np.int8))


def test_enlarged_repeats_the_nearest():
    small = vectors(np.array([[0, 1, 2], [3, 4, 0]]))
    assert (enlarged(small, (4, 6)) == small.repeat(2, axis=0).repeat(2, axis=1)).all()


@pytest.mark.parametrize("change", [{"turns": k} for k in range(4)] + [{"reverse_time": True}])
def test_turns_and_reversal_commute_with_making_it_ties_included(change):
    flows = np.random.default_rng(2).integers(-2, 3, (3, 6, 8, 2)).astype(np.float32)
    change = augment.Change(**change)
    moved = change.apply({"flow": flows})["flow"]
    # "max" takes the earlier of two equal ones, and reversal makes it the later.
    assert (guidance(moved, "avg") == change.apply({"guidance": guidance(flows, "avg")})["guidance"]).all()


@pytest.mark.parametrize("change", [augment.Change(flip=True), augment.Change(flip_vertical=True), augment.Change(flip=True, turns=1)])
def test_flips_commute_with_making_it_off_the_axes(change):
    flows = np.random.default_rng(3).normal(size=(3, 6, 8, 2)).astype(np.float32)
    moved = change.apply({"flow": flows})["flow"]
    assert (guidance(moved) == change.apply({"guidance": guidance(flows)})["guidance"]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"aggregate": "sum"}, "'sum', expected max or avg"),
        ({"threshold": -1}, "threshold is -1"),
        ({"threshold": math.nan}, "threshold is nan"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(RecipeError, match=message):
        guidance(uniform((1, 1)), **options)


@pytest.mark.parametrize("flows", [np.zeros((2, 2, 2)), np.zeros((0, 2, 2, 2)), np.zeros((1, 2, 2, 3))])
def test_wrong_shapes(flows):
    with pytest.raises(RecipeError, match=r"expected \(N, H, W, 2\)"):
        guidance(flows)


def test_flow_that_is_not_finite():
    flows = uniform((1, 1)).copy()
    flows[0, 1, 1, 0] = np.nan
    with pytest.raises(RecipeError, match="not finite"):
        guidance(flows)
