import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blurbench.errors import PredictionError
from blurbench.metrics.psnr import pooled_psnr, psnr
from blurbench.metrics.select import (
    crop_box,
    draw_weights,
    frame_subset,
    orient_regions,
    quantise,
    reduce,
    reversed_is_better,
    tiles,
    weighted,
)

SEEDS = st.integers(0, 2**32)


def clips(seed, frames):
    return np.random.default_rng(seed).integers(0, 256, (2, frames, 4, 5, 3), dtype=np.uint8)


def direction(prediction, target):
    return reversed_is_better(psnr(prediction, target), psnr(prediction[::-1], target))


def orient(prediction, turned):
    return prediction[::-1] if turned else prediction


def moving(frames=7, height=24, width=60):
    """A bright bar that moves 3 pixels a frame over a texture."""
    clip = np.tile(np.random.default_rng(0).integers(0, 90, (1, height, width, 3)), (frames, 1, 1, 1))
    for t in range(frames):
        clip[t, :, (20 + 3 * t) % width] += 150
        clip[t, :, (50 + 3 * t) % width] += 150
    return clip.astype(np.uint8)


@given(seed=SEEDS, frames=st.integers(1, 6))
def test_direction_once_followed_is_settled(seed, frames):
    prediction, target = clips(seed, frames)
    turned = direction(prediction, target)
    chosen = orient(prediction, turned)
    assert not direction(chosen, target)
    assert pooled_psnr(chosen, target) == max(pooled_psnr(prediction, target), pooled_psnr(prediction[::-1], target))


@given(seed=SEEDS, frames=st.integers(1, 6))
def test_a_tie_is_forward_to_the_last_bit(seed, frames):
    """A clip that is its own mirror image has the same frames' errors in both directions, in another order."""
    prediction, target = clips(seed, frames)
    for mirrored in (prediction, prediction / 255):
        palindrome = np.concatenate([mirrored, mirrored[::-1]])
        other = np.concatenate([target, target[::-1] // 2])
        assert not direction(palindrome, other)
        assert not direction(other, palindrome)


def test_direction_of_the_target():
    target = moving()
    assert not direction(target, target)
    assert direction(target[::-1], target)
    np.testing.assert_array_equal(orient(target[::-1], True), target)


def test_a_half_reversed_clip():
    """Two thirds of the columns play backwards: turning the clip helps, but repairs only them."""
    target = moving()
    prediction = target.copy()
    prediction[:, :, :40] = target[::-1, :, :40]
    assert direction(prediction, target)
    as_is, best = pooled_psnr(prediction, target), pooled_psnr(orient(prediction, direction(prediction, target)), target)
    assert as_is + 1 < best < 40


def test_the_decision_pools_over_frames():
    """Errors of 1 and 60 levels forward, 30 and 29 reversed: less error reversed, though the mean of the frames' PSNRs is less, too."""
    target, prediction = (np.repeat(np.array(levels, np.uint8), 48).reshape(2, 4, 4, 3) for levels in ([100, 130], [101, 70]))
    assert psnr(prediction[::-1], target).mean() + 5 < psnr(prediction, target).mean()
    assert direction(prediction, target)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("round", [0, 0, 0, 1, 1, 128, 255, 255]), ("truncate", [0, 0, 0, 0, 1, 127, 255, 255])],
)
def test_quantise_to_8_bits(rule, expected):
    values = np.array([-0.9, 0, 0.49 / 255, 0.5 / 255, 1 / 255, 127.5 / 255, 1, 1.9], np.float64)
    codes = quantise(values, rule)
    assert codes.dtype == np.uint8
    assert codes.tolist() == expected


def test_quantise_float():
    values = np.array([-0.5, 0.25, 1.5], np.float64)
    assert quantise(values, "float").tolist() == [0, 0.25, 1]
    assert quantise(values, "float").dtype == np.float32
    assert values.tolist() == [-0.5, 0.25, 1.5]
    assert quantise(np.array([255], np.uint8), "float").tolist() == [1]


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("rule", ["round", "truncate"])
def test_8_bit_pictures_come_through_unchanged(rule, kind):
    codes = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(quantise((codes / 255).astype(kind), rule), codes)
    np.testing.assert_array_equal(quantise(codes, rule), codes)


@given(seed=SEEDS)
def test_truncation_costs_more_than_rounding(seed):
    exact = np.random.default_rng(seed).random((1, 40, 40, 3))
    assert psnr(quantise(exact, "round"), exact)[0] == pytest.approx(58.9, abs=0.3)
    assert psnr(quantise(exact, "truncate"), exact)[0] == pytest.approx(52.9, abs=0.3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_quantise_refuses_what_is_no_number(bad):
    values = np.full((2, 3), 0.5, np.float32)
    values[1, 1] = bad
    for rule in ("round", "truncate", "float"):
        with pytest.raises(PredictionError, match="1 NaN or infinite values of 6"):
            quantise(values, rule)
    with pytest.raises(PredictionError, match="dtype int64"):
        quantise(np.array([1, 2]), "round")
    with pytest.raises(PredictionError, match="'nearest', expected 'round', 'truncate' or 'float'"):
        quantise(values, "nearest")


def test_frame_subset():
    assert frame_subset("all", 3) == [0, 1, 2]
    assert frame_subset("centre", 7) == [3]
    assert frame_subset("centre", 1) == [0]
    assert frame_subset("centre", 6) is None
    assert frame_subset((0, 3, 6), 7) == [0, 3, 6]
    assert frame_subset((0, 3, 6), 6) is None


def test_reduce():
    values = np.array([20.0, 30.0, math.inf])
    assert reduce(values, "mean") == math.inf
    assert reduce(values, "mean", cap=100) == 50
    assert reduce(values, "mean", cap=25) == pytest.approx(70 / 3)
    pooled = -10 * math.log10((1e-2 + 1e-3) / 3)
    assert reduce(values, "pooled") == pytest.approx(pooled)
    assert reduce(values, "pooled", cap=100) == pytest.approx(pooled)
    assert reduce(np.array([math.inf] * 2), "pooled") == math.inf
    assert reduce(np.array([math.inf] * 2), "pooled", cap=100) == 100


@given(seed=SEEDS, frames=st.integers(2, 5), side=st.integers(1, 6))
def test_smaller_regions_never_score_less(seed, frames, side):
    """Each pixel of the clip is from one of the two directions, and a choice for smaller regions leaves less error."""
    prediction, target = clips(seed, frames)
    clip = orient(prediction, direction(prediction, target))
    patches, pixels = orient_regions(prediction, target, "patch", side), orient_regions(prediction, target, "pixel", 1)
    assert pooled_psnr(pixels, target) <= pooled_psnr(orient_regions(prediction, target, "channel", 1), target) + 1e-9
    for composed in (patches, pixels):
        same = (composed == prediction).all(axis=(0, 3)) | (composed == prediction[::-1]).all(axis=(0, 3))
        assert same.all()
    # A patch of the whole picture is the decision of the clip; what is inside can only do better.
    whole = orient_regions(prediction, target, "patch", 6)
    np.testing.assert_array_equal(whole, clip)
    assert pooled_psnr(clip, target) - 1e-9 <= pooled_psnr(patches, target) <= pooled_psnr(pixels, target) + 1e-9


def test_patches_by_hand():
    """Two patches of 2 columns, the right one backwards; the last column, narrower, is a patch of its own."""
    target = np.zeros((2, 2, 5, 3), np.uint8)
    target[1] = 100
    prediction = target.copy()
    prediction[:, :, 2:4] = target[::-1, :, 2:4]
    np.testing.assert_array_equal(orient_regions(prediction, target, "patch", 2), target)
    assert not np.array_equal(orient_regions(prediction, target, "patch", 3), target)


@pytest.mark.parametrize(
    ("rule", "box"),
    [("", (0, 0, 60, 80)), ("border:30", (30, 30, 0, 20)), ("border:10", (10, 10, 40, 60)), ("top-left:32x64", (0, 0, 32, 64))],
)
def test_crop(rule, box):
    if min(box[2:]) < 1:
        with pytest.raises(PredictionError, match="does not fit into pictures of 60x80"):
            crop_box(rule, (60, 80))
    else:
        assert crop_box(rule, (60, 80)) == box


@pytest.mark.parametrize("rule", ["centre", "border:", "border:-1", "top-left:3", "top-left:ax4"])
def test_unknown_crops(rule):
    with pytest.raises(PredictionError, match="expected border:PIXELS or top-left:HEIGHTxWIDTH"):
        crop_box(rule, (60, 80))


def test_tiles_leave_out_what_is_narrower():
    assert tiles((65, 80), 32) == [(0, 0, 32, 32), (0, 32, 32, 32), (32, 0, 32, 32), (32, 32, 32, 32)]


VALUES = st.lists(st.floats(-100, 100), min_size=1, max_size=7)


@given(values=VALUES, better=st.sampled_from(["higher", "lower"]), data=st.data())
def test_draws(values, better, data):
    """Against their definitions: the first, the mean, the best of the first k, the mean of the best over all choices of k."""
    k = data.draw(st.integers(1, len(values)))
    best = max if better == "higher" else min
    of_choices = [best(choice) for choice in itertools.combinations(values, k)]
    expected = {
        "first": values[0],
        "mean": sum(values) / len(values),
        "best": best(values),
        f"best:{k}": best(values[:k]),
        f"expected-best:{k}": sum(of_choices) / len(of_choices),
    }
    for rule, value in expected.items():
        weights = draw_weights(values, rule, better)
        assert weights.sum() == pytest.approx(1)
        assert weighted(values, weights) == pytest.approx(value, abs=1e-9)


@given(values=VALUES, better=st.sampled_from(["higher", "lower"]))
def test_more_draws_are_never_worse(values, better):
    sign = 1 if better == "higher" else -1
    for kind in ("best", "expected-best"):
        curve = [sign * weighted(values, draw_weights(values, f"{kind}:{k}", better)) for k in range(1, len(values) + 1)]
        assert all(after >= before - 1e-9 for before, after in itertools.pairwise(curve))


def test_too_few_draws():
    with pytest.raises(PredictionError, match="best:5 needs 5 draws, the prediction has 3"):
        draw_weights([1, 2, 3], "best:5", "higher")
    assert draw_weights([1], "best:5", "higher").tolist() == [1]  # a deterministic method
    assert weighted([math.inf, 2], draw_weights([0, 1], "best", "higher")) == 2  # no 0 times infinity
