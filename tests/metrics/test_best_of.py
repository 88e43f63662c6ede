"""Best of k from n draws: all choices enumerated, pass@k, no bias, monotone."""

import math
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blurbench.errors import PredictionError
from blurbench.metrics.best_of import best_of_curve, expected_best
from blurbench.metrics.statistics import interval

DRAWS = st.lists(st.floats(-100, 100), min_size=1, max_size=8)


@given(values=DRAWS, data=st.data())
def test_every_choice_enumerated(values, data):
    k = data.draw(st.integers(1, len(values)))
    choices = list(combinations(values, k))
    assert expected_best(values, k, "higher") == pytest.approx(sum(map(max, choices)) / len(choices), abs=1e-9)
    assert expected_best(values, k, "lower") == pytest.approx(sum(map(min, choices)) / len(choices), abs=1e-9)


@given(values=DRAWS)
def test_more_draws_are_never_worse(values):
    higher, lower = ([expected_best(values, k, better) for k in range(1, len(values) + 1)] for better in ("higher", "lower"))
    assert all(b >= a - 1e-9 for a, b in pairwise(higher))
    assert all(b <= a + 1e-9 for a, b in pairwise(lower))
    assert higher[0] == lower[0] == pytest.approx(np.mean(values), abs=1e-9)
    assert (higher[-1], lower[-1]) == (pytest.approx(max(values)), pytest.approx(min(values)))


@given(values=DRAWS, seed=st.integers(0, 2**32))
def test_the_order_of_draws_does_not_matter(values, seed):
    shuffled = np.random.default_rng(seed).permutation(values).tolist()
    for k in range(1, len(values) + 1):
        assert expected_best(shuffled, k, "higher") == pytest.approx(expected_best(values, k, "higher"), abs=1e-9)


@pytest.mark.parametrize(("n", "right", "k"), [(5, 2, 3), (10, 1, 4), (200, 13, 100), (6, 0, 2), (6, 5, 2)])
def test_pass_at_k(n, right, k):
    """Values 0 and 1: the estimate is 1 - C(n - c, k) / C(n, k)."""
    values = [1.0] * right + [0.0] * (n - right)
    assert expected_best(values, k, "higher") == pytest.approx(1 - math.comb(n - right, k) / math.comb(n, k))


def test_no_bias():
    """The best of 2 normal draws is 1 / sqrt(pi) on average, whether it is estimated from 2 or from 8; from 8 with less noise."""
    draws = np.random.default_rng(0).normal(size=(4000, 8))
    from_all = [expected_best(row, 2, "higher") for row in draws]
    from_two = [expected_best(row[:2], 2, "higher") for row in draws]
    assert np.mean(from_all) == pytest.approx(1 / math.sqrt(math.pi), abs=0.02)
    assert np.mean(from_two) == pytest.approx(1 / math.sqrt(math.pi), abs=0.05)
    assert np.std(from_all) < 0.6 * np.std(from_two)


def test_infinite_values_count_only_where_they_can():
    assert expected_best([30.0, math.inf, 20.0], 3, "lower") == 20
    assert expected_best([30.0, math.inf, 20.0], 1, "higher") == math.inf


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_curve(seed):
    rng = np.random.default_rng(seed)
    values, videos = rng.normal(30, 1, (12, 4)), np.repeat(["a", "b", "c"], 4).tolist()
    curve = best_of_curve(values, videos, "higher")
    assert curve[0] == pytest.approx(interval(values.mean(axis=1), videos))
    assert curve[-1] == interval(values.max(axis=1), videos)
    assert [point.mean for point in curve] == sorted(point.mean for point in curve)


def test_refused():
    for k in (0, 4):
        with pytest.raises(PredictionError, match=f"best of {k} from 3 draws, expected from 1 to as many as there are"):
            expected_best([1.0, 2.0, 3.0], k, "higher")
    with pytest.raises(PredictionError, match="1 of 2 draws have no value"):
        expected_best([1.0, math.nan], 1, "higher")
    with pytest.raises(PredictionError, match="samples have 1 to 2 draws, expected as many for each"):
        best_of_curve([[1.0, 2.0], [1.0]], "ab", "higher")
