"""Paired differences and the permutation test of whole videos: scipy on the same videos, by hand, and false alarms counted."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from blurbench.errors import PredictionError
from blurbench.metrics.paired import EXACT, match, paired, permutation_test, smallest_p
from blurbench.metrics.statistics import interval

SEEDS = st.integers(0, 2**32)


def board(rng, videos, gain=0.0, samples=4):
    """Two systems on videos that differ far more than the systems do: scores by sample, and the samples' videos."""
    hard = np.repeat(rng.normal(30, 4, videos), samples)
    effect = np.repeat(rng.normal(gain, 0.5, videos), samples)
    ids = [f"{video}/{sample}" for video in range(videos) for sample in range(samples)]
    second = hard + rng.normal(0, 0.2, len(ids))
    first = second + effect + rng.normal(0, 0.2, len(ids))
    return dict(zip(ids, first.tolist(), strict=True)), dict(zip(ids, second.tolist(), strict=True)), {id: id.split("/")[0] for id in ids}


def test_pairing_cancels_what_videos_share():
    """The interval of the difference is far narrower than those of the two means, and is the interval of the differences."""
    first, second, videos = board(np.random.default_rng(0), 20, gain=0.6)
    found = paired(first, second, videos)
    assert found.difference.mean == pytest.approx(found.first - found.second)
    assert found.difference == interval([first[id] - second[id] for id in first], list(videos.values()))
    alone = interval(list(first.values()), list(videos.values()))
    assert found.difference.high - found.difference.low < 0.25 * (alone.high - alone.low)
    assert found.difference.low > 0 and found.p < 0.01
    assert (found.samples, found.videos, found.missing) == (80, 20, 0)


def test_difference_of_means_over_the_same_resamples():
    """Resampling pairs of means with the same videos gives the interval of the mean of differences (scipy's bootstrap-free check)."""
    rng = np.random.default_rng(1)
    first, second, videos = board(rng, 40, samples=1)
    left, right = (np.array(list(scores.values())) for scores in (first, second))
    drawn = rng.integers(40, size=(4000, 40))
    spread = (left[drawn].mean(axis=1) - right[drawn].mean(axis=1)).std()
    found = paired(first, second, videos).difference
    assert found.high - found.low == pytest.approx(2 * stats.t.ppf(0.975, 39) * spread, rel=0.08)


@pytest.mark.parametrize("videos", [2, 4, 9, EXACT])
def test_exact_p_is_that_of_scipy(videos):
    rng = np.random.default_rng(videos)
    differences, of = rng.normal(0.2, 1, (videos, 3)), np.repeat(np.arange(videos), 3)
    theirs = stats.permutation_test(
        (differences.sum(axis=1),), np.sum, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert permutation_test(differences.ravel(), of.tolist()) == pytest.approx(theirs.pvalue, abs=1e-12)


@pytest.mark.parametrize("gain", [0.0, 0.3, 0.6])
def test_drawn_p_is_near_the_exact_one(gain):
    """16 videos: drawn signs against all 65,536, summed by hand."""
    sums = np.random.default_rng(2).normal(gain, 1, 16)
    patterns = np.array(list(itertools.product((-1, 1), repeat=16)))
    exact = (np.abs(patterns @ sums) >= abs(sums.sum()) - 1e-9).mean()
    found = permutation_test(sums, range(16))
    assert found == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 2**14) + 1e-4)
    assert found != permutation_test(sums, range(16), seed=1)


def test_p_by_hand():
    """Differences 1, 2, 3: of 8 sign patterns, only all alike reach 6; of 1, 1, -2 every pattern reaches 0."""
    assert permutation_test(np.array([1.0, 2.0, 3.0]), "abc") == 2 / 8
    assert permutation_test(np.array([1.0, 1.0, -2.0]), "abc") == 1
    assert permutation_test(np.array([0.1, 0.2, -0.3]), "abc") == 1  # equal but for rounding
    assert permutation_test(np.zeros(5), range(5)) == 1
    assert permutation_test(np.zeros(20), range(20)) == 1


@given(tenths=st.lists(st.integers(-9, 9), min_size=2, max_size=9))
def test_ties_are_ties_in_spite_of_rounding(tenths):
    """Whole numbers add up exactly, their tenths do not."""
    exact = permutation_test(np.array(tenths, float), range(len(tenths)))
    assert permutation_test(np.array(tenths) * 0.1, range(len(tenths))) == exact


def test_the_video_is_the_unit():
    """Many clips of three videos are three facts, not many."""
    differences = np.ones(300)
    assert permutation_test(differences, np.repeat([0, 1, 2], 100).tolist()) == 0.25
    assert permutation_test(differences, range(300)) == smallest_p(300) == 2**-14
    for videos in (1, 5, 6, EXACT, EXACT + 30):
        assert permutation_test(np.ones(videos), range(videos)) >= smallest_p(videos)
    assert [smallest_p(videos) for videos in (1, 5, 6)] == [1, 1 / 16, 1 / 32]


@pytest.mark.parametrize("videos", [8, 16])
def test_false_alarms_and_power(videos):
    """Equal systems come out different in at most 5 of 100; taking clips for independent would cry wolf in half of the cases."""
    rng = np.random.default_rng(3)
    alarms = naive = found = 0
    for _ in range(300):
        first, second, of = board(rng, videos)
        pair = match(first, second, of)
        alarms += permutation_test(pair.differences, pair.videos) <= 0.05
        naive += stats.ttest_1samp(pair.differences, 0).pvalue <= 0.05
        found += permutation_test(pair.differences + 0.8, pair.videos) <= 0.05
    assert alarms / 300 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)
    assert naive / 300 > 0.3
    assert found / 300 > 0.85


@settings(max_examples=25)
@given(seed=SEEDS)
def test_order_and_side_do_not_matter(seed):
    rng = np.random.default_rng(seed)
    first, second, videos = board(rng, 6)
    shuffled = {id: first[id] for id in rng.permutation(list(first)).tolist()}
    found = paired(first, second, videos)
    assert paired(shuffled, second, videos) == found
    swapped = paired(second, first, videos)
    assert swapped.p == found.p
    assert swapped.difference.mean == pytest.approx(-found.difference.mean)
    assert (swapped.first, swapped.second) == (found.second, found.first)


def test_macro_counts_videos():
    """Video a has one sample with a difference of 3, video b three with 1: 1.5 over samples, 2 over videos."""
    first = {"a/0": 5.0, "b/0": 2.0, "b/1": 3.0, "b/2": 4.0}
    second = {"a/0": 2.0, "b/0": 1.0, "b/1": 2.0, "b/2": 3.0}
    videos = {id: id[0] for id in first}
    micro, macro = paired(first, second, videos), paired(first, second, videos, average="videos")
    assert (micro.difference.mean, macro.difference.mean) == (1.5, 2)
    assert (macro.first, macro.second) == (4, 2)
    assert macro.difference == interval([3.0, 1.0], "ab")
    assert (macro.samples, macro.videos) == (4, 2)


def test_a_run_against_itself():
    first, _, videos = board(np.random.default_rng(4), 8)
    found = paired(first, first, videos)
    assert (found.difference, found.p) == ((0, 0, 0), 1)


def test_samples_are_matched_by_id():
    first, second, videos = board(np.random.default_rng(5), 6)
    first["0/0"] = second["0/0"] = None
    first["0/1"], second["0/1"] = math.nan, None
    found = paired(first, second, videos)
    assert (found.samples, found.missing) == (22, 2)
    del first["2/3"]
    with pytest.raises(PredictionError, match=r"^the first has no value for 1 sample \(2/3\); compare what was scored on the same samples"):
        paired(first, second, videos)
    for number in range(4):
        second[f"1/{number}"] = None
    del second["2/3"]
    with pytest.raises(PredictionError, match=r"^zhang2020 has no value for 4 samples \(1/0, 1/1, 1/2, …\)"):
        paired(first, second, videos, names=("jin2018", "zhang2020"))


def test_refused():
    with pytest.raises(PredictionError, match=r"infinite scores have no difference: 1 sample \(a\); score under a protocol with a cap"):
        paired({"a": math.inf, "b": 1.0}, {"a": math.inf, "b": 1.0}, {"a": 0, "b": 1})
    with pytest.raises(PredictionError, match="neither the first nor the second has a value for any sample"):
        paired({"a": None}, {"a": None}, {"a": 0})
