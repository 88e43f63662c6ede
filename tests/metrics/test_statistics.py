import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blurbench.errors import PredictionError
from blurbench.metrics.statistics import drop_missing, interval


def clustered(rng, videos=20, samples=10):
    """Values with mean 0 whose spread lies between videos: 1 there, 0.3 within."""
    between = np.repeat(rng.normal(0, 1, videos), samples)
    return between + rng.normal(0, 0.3, videos * samples), np.repeat(np.arange(videos), samples)


def test_coverage_needs_the_clusters():
    """95 % intervals contain the true mean about 95 times in 100; intervals that take clips for independent do so far less often."""
    rng = np.random.default_rng(0)
    right = naive = 0
    for _ in range(200):
        values, videos = clustered(rng)
        _, low, high = interval(values, videos, resamples=400)
        right += low <= 0 <= high
        _, low, high = interval(values, range(len(values)), resamples=400)
        naive += low <= 0 <= high
    assert 0.86 <= right / 200 <= 0.98
    assert naive / 200 < 0.65


def test_width_of_independent_values():
    """One sample a video: the interval is the textbook one, mean +- 1.96 s / sqrt(n)."""
    values = np.random.default_rng(1).normal(5, 2, 400)
    mean, low, high = interval(values, range(400))
    half = 1.96 * values.std() / 20
    assert mean == pytest.approx(values.mean())
    assert low == pytest.approx(mean - half, abs=0.15 * half)
    assert high == pytest.approx(mean + half, abs=0.15 * half)


def test_level_and_seed():
    values, videos = clustered(np.random.default_rng(2))
    assert interval(values, videos) == interval(values, videos)
    assert interval(values, videos, seed=1)[1:] != interval(values, videos)[1:]
    _, low, high = interval(values, videos, level=0.5)
    _, lower, higher = interval(values, videos, level=0.95)
    assert lower < low < high < higher


def test_small_case_by_hand():
    """Two videos of 1 and 3 samples: resamples are (a, a), (a, b), (b, b) with means 0, 3/4 of b, b; b has 3 of the 4 samples of (a, b)."""
    mean, low, high = interval([0.0, 1.0, 1.0, 1.0], ["a", "b", "b", "b"])
    assert (mean, low, high) == (0.75, 0.0, 1.0)
    assert interval([0.0, 1.0, 1.0, 1.0], ["a", "b", "b", "b"], level=0.01)[1:] == (0.75, 0.75)


@given(seed=st.integers(0, 2**32))
def test_the_order_of_samples_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    values, videos = clustered(rng, 5, 4)
    order = rng.permutation(len(values))
    assert interval(values, videos, resamples=100) == interval(values[order], videos[order], resamples=100)


@given(seed=st.integers(0, 2**32), videos=st.integers(2, 6))
def test_within_the_values(seed, videos):
    values, clusters = clustered(np.random.default_rng(seed), videos, 3)
    mean, low, high = interval(values, clusters, resamples=100)
    assert values.min() <= low <= high <= values.max()
    assert values.min() <= mean <= values.max()


def test_one_video_has_no_interval():
    assert interval([1.0, 2.0], ["a", "a"]) == (1.5, None, None)


def test_equal_values():
    assert interval([2.5] * 6, [0, 0, 1, 1, 2, 2]) == (2.5, 2.5, 2.5)


def test_infinite_values():
    values = [30.0] * 9 + [math.inf]
    mean, low, high = interval(values, range(10))
    assert (mean, low, high) == (math.inf, 30.0, math.inf)
    assert interval([math.inf] * 3, range(3)) == (math.inf, math.inf, math.inf)


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
