"""Ranks with ties: a board worked out by hand, Holm's example, and what holds for any board."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from blurbench.errors import PredictionError
from blurbench.metrics.paired import paired
from blurbench.metrics.ranks import competition, holm, ranks

VIDEOS = {f"{video}/{sample}": video for video in range(10) for sample in range(3)}


def system(rng, quality):
    return {id: quality + rng.normal(0, 0.3) for id in VIDEOS}


def board(seed, *qualities):
    rng = np.random.default_rng(seed)
    hard = {video: rng.normal(0, 3) for video in range(10)}
    return {f"s{n}": {id: value + hard[VIDEOS[id]] for id, value in system(rng, q).items()} for n, q in enumerate(qualities)}


def test_systems_that_cannot_be_told_apart_share_a_rank():
    """Two equal systems in front, one clearly worse, two equal ones behind it: 1 1 3 4 4, whereas plain ranks pretend 1 2 3 4 5."""
    found = ranks(board(0, 30, 30, 28, 25, 25), VIDEOS, "higher")
    assert [found[f"s{n}"].tied for n in range(5)] == [1, 1, 3, 4, 4]
    assert sorted(rank.plain for rank in found.values()) == [1, 2, 3, 4, 5]
    assert found["s2"].worse_than == ("s0", "s1")
    assert [rank.plain for rank in found.values()] == [1, 2, 3, 4, 5]


def test_lower_is_better_turns_the_board():
    systems = board(0, 30, 30, 28, 25, 25)
    found = ranks(systems, VIDEOS, "lower")
    assert [found[f"s{n}"].tied for n in range(5)] == [4, 4, 3, 1, 1]
    negative = {name: {id: -value for id, value in scores.items()} for name, scores in systems.items()}
    assert {name: rank.tied for name, rank in ranks(negative, VIDEOS, "higher").items()} == {n: r.tied for n, r in found.items()}


def test_the_correction_counts_all_pairs():
    """A pair that is significant alone is not among many; p is 2 / 1024 at best with ten videos, 28 pairs make 0.055 of it."""
    two, eight = board(1, 30, 20), board(1, 30, 20, *[25] * 6)
    assert ranks(two, VIDEOS, "higher")["s1"].tied == 2
    assert paired(eight["s0"], eight["s1"], VIDEOS).p == 2 / 1024
    assert {rank.tied for rank in ranks(eight, VIDEOS, "higher").values()} == {1}
    assert ranks(eight, VIDEOS, "higher", level=0.9)["s1"].tied == 8


def test_equal_systems_and_one_alone():
    systems = board(2, 30)
    found = ranks({"a": systems["s0"], "b": systems["s0"]}, VIDEOS, "higher")
    assert [(rank.plain, rank.tied) for rank in found.values()] == [(1, 1), (1, 1)]
    (alone,) = ranks(systems, VIDEOS, "higher").values()
    assert (alone.mean, alone.plain, alone.tied) == (pytest.approx(np.mean(list(systems["s0"].values()))), 1, 1)
    assert ranks({}, VIDEOS, "higher") == {}


def test_other_samples_are_refused_by_name():
    systems = board(3, 30, 29)
    del systems["s1"]["4/2"]
    with pytest.raises(PredictionError, match=r"s1 has no value for 1 sample \(4/2\)"):
        ranks(systems, VIDEOS, "higher")


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), qualities=st.lists(st.floats(20, 32), min_size=2, max_size=5))
def test_any_board(seed, qualities):
    systems = board(seed, *qualities)
    found = ranks(systems, VIDEOS, "higher")
    means = [rank.mean for rank in found.values()]
    assert means == sorted(means, reverse=True)
    assert min(rank.tied for rank in found.values()) == 1
    for name, rank in found.items():
        assert rank.tied == 1 + len(rank.worse_than) <= len(systems)
        for winner in rank.worse_than:
            assert found[winner].mean > rank.mean
            assert paired(systems[winner], systems[name], VIDEOS).p <= 0.05
    assert ranks(dict(reversed(systems.items())), VIDEOS, "higher") == found


def test_holm_by_hand():
    """Four tests: 4 x 0.005, 3 x 0.01, 2 x 0.03, and 0.04, which is not below the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.7, 0.6]) == [1, 1]


@given(ps=st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_nothing_and_bonferroni(ps):
    """And rejects what closed testing with Bonferroni in every subset rejects: that is its definition."""
    adjusted = holm(ps)
    for p, corrected in zip(ps, adjusted, strict=True):
        assert p <= corrected <= min(1, len(ps) * p) + 1e-12
    for place, corrected in enumerate(adjusted):
        # The hardest subset that holds this test: it and all with larger or equal p, then smaller ones added from the largest on.
        worst = 0.0
        for size in range(1, len(ps) + 1):
            subset = sorted((p for n, p in enumerate(ps) if n != place), reverse=True)[: size - 1]
            worst = max(worst, min(1.0, size * min([ps[place], *subset])))
        assert corrected == pytest.approx(worst)


@given(values=st.lists(st.sampled_from([1.0, 2.0, 2.5, 7.0]), min_size=1, max_size=12))
def test_competition_ranks_are_those_of_scipy(values):
    assert competition(values) == stats.rankdata(values, method="min").tolist()
