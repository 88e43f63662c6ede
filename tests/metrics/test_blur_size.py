"""Scores against blur size: bins by hand, correlations as scipy's, intervals that contain the truth."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from blurbench.errors import PredictionError
from blurbench.metrics.blur_size import binned, correlation
from blurbench.metrics.statistics import interval

FEW = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=4, max_size=20)


def test_bins_by_hand():
    """The lower edge belongs to a bin, the last upper one too; an empty bin has a count of zero and no mean."""
    scores, sizes, videos = [30.0, 28.0, 26.0, 20.0], [0.0, 1.0, 2.0, 8.0], ["a", "a", "b", "b"]
    small, middle, none, large = binned(scores, sizes, videos, [0, 1, 3, 5, 8])
    assert (small.samples, small.videos, small.score) == (1, 1, (30, None, None))
    assert (middle.low, middle.high, middle.samples, middle.videos) == (1, 3, 2, 2)
    assert middle.score == interval([28.0, 26.0], ["a", "b"])
    assert (none.samples, none.videos, none.score) == (0, 0, None)
    assert (large.samples, large.score.mean) == (1, 20)


def test_bins_of_as_many_samples():
    rng = np.random.default_rng(0)
    sizes = rng.gamma(2, 5, 200)
    scores, videos = 35 - 0.3 * sizes, rng.integers(0, 12, 200).tolist()
    bins = binned(scores, sizes, videos)
    assert [one.samples for one in bins] == [40] * 5
    means = [one.score.mean for one in bins]
    assert means == sorted(means, reverse=True)
    theirs = stats.binned_statistic(sizes, scores, bins=[bins[0].low, *(one.high for one in bins)])
    np.testing.assert_allclose(means, theirs.statistic)
    assert all(one.score.low < one.score.mean < one.score.high for one in bins)


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.sampled_from([0.0, 1.0, 1.5, 4.0]), min_size=1, max_size=15), count=st.integers(1, 6))
def test_every_sample_is_in_one_bin(sizes, count):
    bins = binned(list(range(len(sizes))), sizes, range(len(sizes)), count)
    assert sum(one.samples for one in bins) == len(sizes)
    assert sum(one.samples * one.score.mean for one in bins if one.score) == pytest.approx(sum(range(len(sizes))))


@given(rows=FEW)
def test_correlations_are_those_of_scipy(rows):
    """Many ties: they are where ranks differ between definitions."""
    left, right = (np.array(column, float) for column in zip(*rows, strict=True))
    videos = range(len(rows))
    if np.ptp(left) == 0 or np.ptp(right) == 0:
        with pytest.raises(PredictionError, match=r"all \d+ (residuals|blur sizes) are \d"):
            correlation(left, right, videos)
        return
    assert correlation(left, right, videos).mean == pytest.approx(stats.pearsonr(left, right).statistic, abs=1e-9)
    assert correlation(left, right, videos, "spearman").mean == pytest.approx(stats.spearmanr(left, right).statistic, abs=1e-9)


@pytest.mark.parametrize("kind", ["pearson", "spearman"])
def test_interval_of_independent_samples_is_the_textbook_one(kind):
    rng = np.random.default_rng(1)
    left, right = rng.multivariate_normal([0, 0], [[1, 0.7], [0.7, 1]], 600).T
    r, low, high = correlation(left, right, range(600), kind)
    if kind == "pearson":
        expected = stats.pearsonr(left, right).confidence_interval()
    else:  # Bonett, Wright, Psychometrika 2000
        expected = np.tanh(np.arctanh(r) + np.array([-1.96, 1.96]) * math.sqrt((1 + r * r / 2) / 597))
    assert (low, high) == pytest.approx(tuple(expected), abs=0.006)
    assert (low < r < high) and r - low > high - r


@pytest.mark.parametrize("videos", [8, 20])
def test_coverage(videos):
    """95 % intervals of the correlation contain the true one 90 to 98 times in 100; half of the variance lies between videos."""
    rng = np.random.default_rng(2)
    root = np.linalg.cholesky([[1, 0.5], [0.5, 1]])
    inside = 0
    for _ in range(300):
        of = np.repeat(np.arange(videos), rng.integers(3, 40, videos))
        left, right = (root @ rng.normal(size=(2, videos)))[:, of] + root @ rng.normal(size=(2, len(of)))
        _, low, high = correlation(left, right, of.tolist())
        inside += low <= 0.5 <= high
    assert 0.90 <= inside / 300 <= 0.98


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32))
def test_scale_order_and_sides_do_not_matter(seed):
    """Figure 9 scales both to mean 0 and deviation 1: the same correlation. Ranks stay the same under any increasing function."""
    rng = np.random.default_rng(seed)
    left, right, videos = rng.normal(size=30), rng.normal(size=30), np.repeat(range(6), 5)
    order = rng.permutation(30)
    for kind in ("pearson", "spearman"):
        found = pytest.approx(correlation(left, right, videos.tolist(), kind), abs=1e-9)
        assert correlation(stats.zscore(left), 7 * right + 2, videos.tolist(), kind) == found
        assert correlation(left[order], right[order], videos[order].tolist(), kind) == found
        assert correlation(right, left, videos.tolist(), kind) == found
    ranks = correlation(np.exp(left), right**3, videos.tolist(), "spearman")
    assert ranks == pytest.approx(correlation(left, right, videos.tolist(), "spearman"))


def test_straight_lines_and_single_videos():
    assert correlation([1.0, 2.0, 4.0], [2.0, 4.0, 8.0], "abc") == pytest.approx((1, 1, 1))
    assert correlation([1.0, 2.0, 4.0], [-2.0, -4.0, -8.0], "abc", "spearman") == pytest.approx((-1, -1, -1))
    assert correlation([1.0, 2.0, 4.0], [2.0, 5.0, 3.0], "aaa")[1:] == (None, None)
    assert correlation([1.0, 1.0, 4.0], [2.0, 5.0, 3.0], "aab")[1:] == (None, None)  # without b, residuals are equal


def test_refused():
    with pytest.raises(PredictionError, match="2 scores, 1 blur sizes, 2 clusters"):
        binned([1.0, 2.0], [1.0], "ab")
    with pytest.raises(PredictionError, match="1 of 2 samples have no finite score or blur size"):
        correlation([1.0, math.nan], [1.0, 2.0], "ab")
    with pytest.raises(PredictionError, match="2 of 3 blur sizes, 1 to 9, are in no bin from 2 to 4"):
        binned([1.0, 2.0, 3.0], [1.0, 3.0, 9.0], "abc", [2, 4])
    for edges in ([3], [3, 3], [4, 2]):
        with pytest.raises(PredictionError, match="bin edges are"):
            binned([1.0], [3.0], "a", edges)
