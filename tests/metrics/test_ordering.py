import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blurbench.errors import PredictionError
from blurbench.metrics.ordering import ordering

SEEDS = st.integers(0, 2**32)


def clips(seed, frames):
    return np.random.default_rng(seed).integers(0, 256, (2, frames, 6, 5, 3), dtype=np.uint8)


def simple(prediction, target):
    """By way of the identity |Δsum| + |Δ|difference|| = 2 max(|Δ brighter|, |Δ darker|), for two numbers of a pair."""
    p, g = prediction.astype(np.float64), target.astype(np.float64)
    half = len(p) // 2
    values = []
    for i in range(half):
        brighter = np.maximum(p[i], p[-1 - i]) - np.maximum(g[i], g[-1 - i])
        darker = np.minimum(p[i], p[-1 - i]) - np.minimum(g[i], g[-1 - i])
        values.append(2 * np.maximum(np.abs(brighter), np.abs(darker)).mean())
    return np.array(values)


@given(seed=SEEDS, frames=st.integers(2, 8))
def test_definition(seed, frames):
    prediction, target = clips(seed, frames)
    pairs = simple(prediction, target)
    assert ordering(prediction, target)[0] == pytest.approx(pairs.mean())
    assert ordering(prediction, target, reduction="sum")[0] == pytest.approx(pairs.sum())
    assert ordering(prediction / 255, target / 255)[0] == pytest.approx(pairs.mean())


@given(seed=SEEDS, frames=st.integers(2, 8), data=st.data())
def test_zero_for_the_target_in_every_order_of_its_pairs(seed, frames, data):
    target, _ = clips(seed, frames)
    assert ordering(target, target)[0] == 0
    assert ordering(target[::-1], target)[0] == 0
    pair = data.draw(st.integers(0, frames // 2 - 1))
    swapped = target.copy()
    swapped[[pair, frames - 1 - pair]] = swapped[[frames - 1 - pair, pair]]
    assert ordering(swapped, target)[0] == 0
    assert ordering(swapped / 255, target / 255)[0] == 0


def test_not_zero_for_another_order():
    target, _ = clips(4, 5)
    assert ordering(target[[1, 0, 2, 3, 4]], target)[0] > 10
    assert ordering(target[[4, 0, 2, 3, 1]], target)[0] > 10


@given(seed=SEEDS, frames=st.integers(2, 8))
def test_symmetric_bounded_and_blind_to_reversal(seed, frames):
    prediction, target = clips(seed, frames)
    value = ordering(prediction, target)[0]
    assert ordering(target, prediction)[0] == value
    assert 0 < value <= 510
    # Reversing sums the pairs' pixels in the same order, so even the last bit stays.
    assert ordering(prediction[::-1], target)[0] == ordering(prediction, target[::-1])[0] == value


def test_extremes():
    black = np.zeros((4, 3, 3, 3), np.uint8)
    assert ordering(black + 255, black)[0] == 510
    assert ordering(black + 255, black, reduction="sum")[0] == 1020


def test_the_centre_frame_does_not_count():
    target, other = clips(6, 7)
    prediction = target.copy()
    prediction[3] = other[3]
    assert ordering(prediction, target)[0] == 0


def test_refused():
    frame = np.zeros((1, 4, 4, 3), np.uint8)
    with pytest.raises(PredictionError, match=r"ordering: the clips have 1 frame\(s\), expected at least 2"):
        ordering(frame, frame)
    with pytest.raises(PredictionError, match="reduction is 'max', expected 'mean' or 'sum'"):
        ordering(np.repeat(frame, 2, 0), np.repeat(frame, 2, 0), reduction="max")
