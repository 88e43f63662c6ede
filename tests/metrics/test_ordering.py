"""The ordering-invariant errors: the canonical form and the two as papers print them."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blurbench.errors import PredictionError, RecipeError
from blurbench.metrics.ordering import ordering
from blurbench.metrics.ordering_published import ordering_purohit2019, ordering_zhang2020
from tests.formulas import golden_prediction, golden_sequence

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


@given(seed=SEEDS, frames=st.integers(2, 8))
def test_scale(seed, frames):
    prediction, target = clips(seed, frames)
    for metric, power in ((ordering, 1), (ordering_purohit2019, 1), (ordering_zhang2020, 2)):
        assert metric(prediction, target, scale=1)[0] * 255**power == pytest.approx(metric(prediction, target)[0])


def test_the_form_of_jin2018():
    """Pairs added up on [0, 1], and the centre frame as a term of its own."""
    target, other = clips(7, 7)
    prediction = other.copy()
    pairs = simple(prediction, target).sum() / 255
    centre = np.abs(prediction[3] / 255 - target[3] / 255).mean()
    assert ordering(prediction, target, reduction="sum", scale=1)[0] == pytest.approx(pairs)
    assert ordering(prediction, target, reduction="sum", scale=1, centre=True)[0] == pytest.approx(pairs + centre)
    assert ordering(prediction / 255, target, reduction="sum", scale=1, centre=True)[0] == pytest.approx(pairs + centre)
    assert ordering(target[::-1], target, centre=True)[0] == 0


def slow_purohit(prediction, target):
    """Eq. 6 value by value, without arrays; one number a pair."""
    p, g = (clip.reshape(len(clip), -1).tolist() for clip in (prediction, target))
    totals = []
    for i in range(len(p) // 2):
        total = 0
        for a, b, c, d in zip(p[i], p[-1 - i], g[i], g[-1 - i], strict=True):
            total += abs(a + b - abs(c + d)) + abs(a - b - abs(c - d))
        totals.append(total / len(p[i]))
    return totals


def slow_zhang(prediction, target, outer):
    """Eq. 2 likewise; outer: what is done to each difference of squares."""
    p, g = (clip.reshape(len(clip), -1).tolist() for clip in (prediction, target))
    totals = []
    for i in range(len(p) // 2):
        rows = zip(p[i], p[-1 - i], g[i], g[-1 - i], strict=True)
        totals.append(sum(outer((c + d) ** 2 - (a + b) ** 2) + outer((c - d) ** 2 - (a - b) ** 2) for a, b, c, d in rows) / len(p[i]))
    return totals


@given(seed=SEEDS, frames=st.integers(2, 8))
def test_published_forms_by_their_definitions(seed, frames):
    prediction, target = clips(seed, frames)
    for reduction, reduce in (("sum", sum), ("mean", np.mean)):
        expected = reduce(slow_purohit(prediction, target))
        assert ordering_purohit2019(prediction, target, reduction=reduction)[0] == pytest.approx(expected)
        for form, outer in (("canonical", abs), ("printed", float)):
            expected = reduce(slow_zhang(prediction, target, outer))
            assert ordering_zhang2020(prediction, target, form=form, reduction=reduction)[0] == pytest.approx(expected)
            found = ordering_zhang2020(prediction / 255, target / 255, form=form, reduction=reduction)[0]
            assert found == pytest.approx(expected, rel=1e-9, abs=1e-6)


@given(seed=SEEDS, frames=st.integers(2, 8), data=st.data())
def test_canonical_squares_are_zero_in_every_order_of_the_pairs(seed, frames, data):
    target, other = clips(seed, frames)
    pair = data.draw(st.integers(0, frames // 2 - 1))
    swapped = target.copy()
    swapped[[pair, frames - 1 - pair]] = swapped[[frames - 1 - pair, pair]]
    for clip in (target, target[::-1], swapped):
        assert ordering_zhang2020(clip, target)[0] == 0
        assert ordering_zhang2020(clip, target, form="printed")[0] == 0
    value = ordering_zhang2020(other, target)[0]
    assert value > 0
    assert ordering_zhang2020(other[::-1], target)[0] == pytest.approx(value)


def test_printed_squares_are_signed():
    target, _ = clips(8, 7)
    white, black = np.full_like(target, 255), np.zeros_like(target)
    assert ordering_zhang2020(white, target, form="printed")[0] < 0 < ordering_zhang2020(black, target, form="printed")[0]
    assert ordering_zhang2020(white, target)[0] > 0


@given(seed=SEEDS, frames=st.integers(2, 8))
def test_the_target_itself_scores_above_zero_as_printed(seed, frames):
    """By twice the mean of how much darker the first of a pair is than the second."""
    target, _ = clips(seed, frames)
    half = frames // 2
    first, last = target[:half].astype(float), target[::-1][:half].astype(float)
    assert ordering_purohit2019(target, target, reduction="mean")[0] == pytest.approx(2 * np.maximum(last - first, 0).mean())
    sorted_pairs = target.copy()
    sorted_pairs[:half], sorted_pairs[frames - half :] = np.maximum(first, last), np.minimum(first, last)[::-1]
    assert ordering_purohit2019(sorted_pairs, target)[0] == 0


PRINTED = {
    "sum_pairs": 145.73865068182351,
    "mean_pairs": 48.5795502272745,
    "pairs": [(4.915791553196808, 62.57135414164513), (4.9157915490679445, 44.91666665005808), (4.915791583775232, 23.503255204080293)],
    "target": 129.73138020833332,
}
"""Of the clip of tests/formulas.py."""


def test_golden_values_of_the_printed_form():
    target, prediction = golden_sequence(), golden_prediction().astype(np.float64) / 255
    assert ordering_purohit2019(prediction, target)[0] == pytest.approx(PRINTED["sum_pairs"], abs=1e-5)
    assert ordering_purohit2019(prediction, target, reduction="mean")[0] == pytest.approx(PRINTED["mean_pairs"], abs=1e-5)
    assert ordering_purohit2019(target, target)[0] == pytest.approx(PRINTED["target"], abs=1e-5)
    for pair, expected in enumerate(PRINTED["pairs"]):
        frames = [pair, 6 - pair]
        assert ordering_purohit2019(prediction[frames], target[frames])[0] == pytest.approx(sum(expected), abs=1e-5)


def test_the_golden_values_are_the_reference_file_s(shared):
    table = json.loads((shared / "reference/golden_metrics.json").read_text())
    printed = table["ordering_invariant_printed_PUR"]
    assert {name: printed[name] for name in ("sum_pairs", "mean_pairs")} == {name: PRINTED[name] for name in ("sum_pairs", "mean_pairs")}
    assert [tuple(pair) for pair in printed["pairs[(1,7),(2,6),(3,5)] (sum,diff)"]] == PRINTED["pairs"]
    assert table["ordering_invariant_printed_PUR_of_target_itself_sum_pairs"] == PRINTED["target"]


@pytest.mark.parametrize("metric", [ordering, ordering_purohit2019, ordering_zhang2020])
def test_refused(metric):
    frame = np.zeros((1, 4, 4, 3), np.uint8)
    clip = np.repeat(frame, 2, 0)
    id = metric.info.id
    with pytest.raises(PredictionError, match=rf"^{id}: the clips have 1 frame\(s\), expected at least 2"):
        metric(frame, frame)
    with pytest.raises(PredictionError, match=rf"^{id}: target has shape \(2, 4, 4\), expected"):
        metric(clip, clip[..., 0])
    with pytest.raises(RecipeError, match=f"^{id}: reduction is 'max', expected one of mean, sum"):
        metric(clip, clip, reduction="max")
    for scale in (2, True, "255"):
        with pytest.raises(RecipeError, match=f"^{id}: scale is {scale!r}, expected 255 or 1"):
            metric(clip, clip, scale=scale)


def test_refused_options_of_one_metric():
    clip = np.zeros((4, 4, 4, 3), np.uint8)
    with pytest.raises(PredictionError, match="ordering: 4 frames have no centre frame"):
        ordering(clip, clip, centre=True)
    with pytest.raises(RecipeError, match="ordering-zhang2020: form is 'signed', expected one of canonical, printed"):
        ordering_zhang2020(clip, clip, form="signed")
