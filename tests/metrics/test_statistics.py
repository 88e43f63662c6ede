"""Clustered intervals: by definition, against textbook formulas and scipy, and whether they contain the truth as often as they say."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from blurbench.errors import PredictionError
from blurbench.metrics.statistics import drop_missing, interval, jackknife, per_video, video_means

SEEDS = st.integers(0, 2**32)


def clustered(rng, videos=20, samples=10):
    """Values with mean 0 whose spread lies between videos: 1 there, 0.3 within."""
    between = np.repeat(rng.normal(0, 1, videos), samples)
    return between + rng.normal(0, 0.3, videos * samples), np.repeat(np.arange(videos), samples)


def uneven(rng, effects):
    """Values of mean 0 from videos with these effects, which have 1 to some 100 samples each."""
    counts = np.maximum(1, np.exp(rng.normal(3, 0.8, len(effects))).round()).astype(int)
    of = np.repeat(np.arange(len(effects)), counts)
    return effects[of] + rng.normal(0, 0.5, len(of)), of


@pytest.mark.parametrize("videos", [8, 20])
@pytest.mark.parametrize("skewed", [False, True])
def test_coverage(videos, skewed):
    """95 % intervals of unequal videos contain the true mean 90 to 98 times in 100, also where the effects of videos are skewed."""
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(1000):
        effects = rng.exponential(size=videos) - 1 if skewed else rng.normal(size=videos)
        values, of = uneven(rng, effects)
        _, low, high = interval(values, of.tolist(), resamples=500)
        inside += low <= 0 <= high
    assert 0.90 <= inside / 1000 <= 0.98


def test_coverage_needs_the_clusters():
    """Intervals that take clips for independent contain the truth far less often than they say."""
    rng = np.random.default_rng(0)
    naive = 0
    for _ in range(200):
        values, _ = clustered(rng)
        _, low, high = interval(values, range(len(values)), resamples=400)
        naive += low <= 0 <= high
    assert naive / 200 < 0.65


def test_width_of_independent_values():
    """One sample a video: the interval is the textbook one, mean +- t s / sqrt(n)."""
    values = np.random.default_rng(1).normal(5, 2, 400)
    mean, low, high = interval(values, range(400))
    expected = stats.t.interval(0.95, 399, values.mean(), stats.sem(values))
    assert mean == pytest.approx(values.mean())
    assert (low, high) == pytest.approx(expected, abs=0.03)


def test_skewed_values_as_scipy():
    """The right end is the farther one, as in scipy's BCa interval, which is right for that many videos."""
    values = np.random.default_rng(2).exponential(size=300)
    mean, low, high = interval(values, range(300))
    theirs = stats.bootstrap((values,), np.mean, method="BCa", n_resamples=4000, rng=0).confidence_interval
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=0.02)
    assert high - mean > mean - low


def test_every_resample_by_hand():
    """Five videos have 3,125 equally likely resamples; the ends are quantiles of t* over these, each computed from the samples themselves.

    At 60 % no end is as far as the limit.
    """
    videos = [[1.0, 2.0], [3.5], [4.0, 4.5, 7.0], [3.0, 1.0], [5.5, 6.0]]

    def studentised(drawn):
        def mean(chosen):
            return np.mean([value for video in chosen for value in videos[video]])

        without = [mean(drawn[:n] + drawn[n + 1 :]) for n in range(5)]
        return mean(drawn), math.sqrt(4 / 5 * np.sum((without - np.mean(without)) ** 2))

    centre, error = studentised((0, 1, 2, 3, 4))
    with np.errstate(divide="ignore"):
        t = np.sort([np.float64(m - centre) / s for m, s in map(studentised, itertools.product(range(5), repeat=5))])
    values = [value for video in videos for value in video]
    of = [number for number, video in enumerate(videos) for _ in video]
    mean, low, high = interval(values, of, level=0.6, resamples=20000)
    assert mean == pytest.approx(centre)
    for end, share in ((low, 0.8), (high, 0.2)):
        least, most = (centre - error * t[round(3124 * (share + step))] for step in (0.015, -0.015))
        assert abs(end - centre) < 0.95 * error * stats.t.ppf(0.8, 1)
        assert least - 1e-9 <= end <= most + 1e-9


def test_two_videos_are_student():
    """All that two videos give is Student's t with one degree of freedom."""
    mean, low, high = interval([0.0, 1.0], ["a", "b"])
    assert (mean, low, high) == pytest.approx((0.5, *stats.t.interval(0.95, 1, 0.5, 0.5)))
    mean, low, high = interval([0.0, 1.0, 1.0, 1.0], ["a", "b", "b", "b"])
    assert (mean, low, high) == pytest.approx((0.75, *stats.t.interval(0.95, 1, 0.75, 0.5)))


def test_one_video_of_many_differs():
    """Resamples without it have no spread: the end is as far as Student's t with one degree of freedom has it, and finite."""
    mean, low, high = interval([0.0] * 7 + [8.0], range(8))
    assert (mean, high) == pytest.approx((1, 1 + stats.t.ppf(0.975, 1)))
    assert -1.5 < low < 1


def test_jackknife_of_equal_videos_is_the_standard_error():
    rng = np.random.default_rng(3)
    sums, counts = rng.normal(size=(5, 9)), np.full((5, 9), 4.0)
    mean, error = jackknife(sums, counts)
    np.testing.assert_allclose(mean, sums.mean(axis=1) / 4)
    np.testing.assert_allclose(error, stats.sem(sums / 4, axis=1))


def test_jackknife_of_unequal_videos():
    """By definition: the mean over all samples again and again, each time without one video; sqrt((G - 1) / G sum of squares)."""
    rng = np.random.default_rng(4)
    sums, counts = rng.normal(size=7), rng.integers(1, 30, 7).astype(float)
    without = [np.delete(sums, n).sum() / np.delete(counts, n).sum() for n in range(7)]
    assert jackknife(sums, counts)[1] == pytest.approx(np.std(without) * math.sqrt(6))


def test_level_and_seed():
    values, videos = clustered(np.random.default_rng(2))
    assert interval(values, videos) == interval(values, videos)
    assert interval(values, videos, seed=1)[1:] != interval(values, videos)[1:]
    _, low, high = interval(values, videos, level=0.5)
    _, lower, higher = interval(values, videos, level=0.95)
    assert lower < low < high < higher
    with pytest.raises(PredictionError, match="level is 95, expected a number between 0 and 1"):
        interval(values, videos, level=95)


@settings(max_examples=30)
@given(seed=SEEDS)
def test_the_order_of_samples_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    values, videos = clustered(rng, 5, 4)
    order = rng.permutation(len(values))
    assert interval(values, videos, resamples=100) == interval(values[order], videos[order], resamples=100)


@settings(max_examples=30)
@given(seed=SEEDS, scale=st.floats(0.01, 100), shift=st.floats(-50, 50))
def test_another_unit_moves_the_interval_with_it(seed, scale, shift):
    rng = np.random.default_rng(seed)
    values, videos = clustered(rng, 6, 3)
    expected = [end * scale + shift for end in interval(values, videos, resamples=200)]
    assert interval(values * scale + shift, videos, resamples=200) == pytest.approx(expected, abs=1e-6 * scale + 1e-9)


@settings(max_examples=30)
@given(seed=SEEDS, videos=st.integers(2, 6))
def test_around_the_mean(seed, videos):
    values, clusters = clustered(np.random.default_rng(seed), videos, 3)
    mean, low, high = interval(values, clusters, resamples=200)
    assert low <= mean <= high
    assert values.min() <= mean <= values.max()


def test_many_videos_in_blocks():
    """More videos than one block of resamples holds."""
    values = np.random.default_rng(5).normal(size=3000)
    _, low, high = interval(values, range(3000))
    assert (low, high) == pytest.approx(stats.t.interval(0.95, 2999, values.mean(), stats.sem(values)), abs=0.004)


def test_one_video_has_no_interval():
    assert interval([1.0, 2.0], ["a", "a"]) == (1.5, None, None)


def test_equal_values():
    assert interval([2.5] * 6, [0, 0, 1, 1, 2, 2]) == (2.5, 2.5, 2.5)


def test_infinite_values():
    assert interval([30.0] * 9 + [math.inf], range(10)) == (math.inf, None, None)
    assert interval([-math.inf, 1.0], range(2)) == (-math.inf, None, None)


def test_micro_and_macro():
    """Videos of 1 and 3 samples with means 4 and 8: 7 over samples, 6 over videos; the interval of either is that of its own mean."""
    values, videos = [4.0, 7.0, 8.0, 9.0], ["a", "b", "b", "b"]
    micro, macro = interval(values, videos), interval(*video_means(values, videos))
    assert (micro.mean, macro.mean) == (7, 6)
    assert macro == interval([4.0, 8.0], ["a", "b"])
    means, labels = video_means(values, videos)
    assert (means.tolist(), labels) == ([4, 8], ["a", "b"])


@settings(max_examples=30)
@given(seed=SEEDS)
def test_micro_is_macro_for_equal_videos(seed):
    clips = clustered(np.random.default_rng(seed), 6, 4)
    assert interval(*clips) == pytest.approx(interval(*video_means(*clips)), abs=1e-9)


def test_sums_of_videos():
    sums, counts, labels = per_video(np.array([1.0, 2.0, 4.0]), ["b", "a", "b"])
    assert (sums.tolist(), counts.tolist(), labels) == ([2, 5], [1, 2], ["a", "b"])


def test_missing_values_are_never_dropped_silently():
    values, clusters = [1.0, None, 3.0, math.nan], ["a", "a", "b", "c"]
    with pytest.raises(PredictionError, match="2 of 4 values are missing; drop them with drop_missing and report how many"):
        interval(values, clusters)
    kept, labels, dropped = drop_missing(values, clusters)
    assert (kept, labels, dropped) == ([1.0, 3.0], ["a", "b"], 2)
    assert interval(kept, labels)[0] == 2


def test_refused():
    with pytest.raises(PredictionError, match="2 values but 1 clusters"):
        interval([1.0, 2.0], ["a"])
    with pytest.raises(PredictionError, match="no values"):
        interval([], [])
