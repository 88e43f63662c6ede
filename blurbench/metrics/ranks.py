"""Ranks of systems on one board: plain ones, and ones in which systems that cannot be told apart share a place."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from blurbench.metrics._metric import Better
from blurbench.metrics.paired import Average, Scores, match, permutation_test


@dataclass(frozen=True)
class Rank:
    """A system's place: plain (by its mean alone), tied (1 + how many are significantly better), and who those are."""

    mean: float
    plain: int
    tied: int
    worse_than: tuple[str, ...]


def ranks(
    systems: Mapping[str, Scores],
    videos: Mapping[str, Hashable],
    better: Better,
    *,
    average: Average = "samples",
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Rank]:
    """Rank systems that were scored on the same samples, by name, in the order of their means from the best.

    `tied` is 1 + the number of systems that are significantly better: by the paired test of whole videos (`paired.permutation_test`), at
    1 - level over all pairs of the board together (`holm`). Sharing a rank is not being equal, it is that these data do not tell. The
    relation is not transitive: a system may share the rank of one that is significantly better than a third which it is not better than;
    for the same reason a system with the better mean, but uneven scores, may have the larger rank.
    `plain` is 1 + the number of systems whose mean is better; equal means share it.

    systems: of each its scores by sample id. videos: the source video of each sample.
    Raises PredictionError where two systems were not scored on the same samples, naming the two and the samples.
    """
    means = {name: match(scores, scores, videos, average).means[0] for name, scores in systems.items()}
    found: list[tuple[str, str, float]] = []
    for one, other in combinations(sorted(systems), 2):
        pair = match(systems[one], systems[other], videos, average, (one, other))
        winner, loser = (one, other) if (means[one] > means[other]) == (better == "higher") else (other, one)
        found.append((winner, loser, permutation_test(pair.differences, pair.videos, seed)))
    adjusted = holm([p for _, _, p in found])
    worse: dict[str, list[str]] = {name: [] for name in systems}
    for (winner, loser, _), p in zip(found, adjusted, strict=True):
        if p <= 1 - level:
            worse[loser].append(winner)
    sign = -1 if better == "higher" else 1
    order = sorted(means, key=lambda name: (sign * means[name], name))
    plain = competition([sign * means[name] for name in order])
    return {
        name: Rank(means[name], place, 1 + len(worse[name]), tuple(sorted(worse[name]))) for name, place in zip(order, plain, strict=True)
    }


def competition(values: Sequence[float]) -> list[int]:
    """Rank of each value, 1 for the smallest; equal values share the smallest of their ranks, and the next ones are left out (1 2 2 4)."""
    ordered = sorted(values)
    return [ordered.index(value) + 1 for value in values]


def holm(ps: Sequence[float]) -> list[float]:
    """p values of several tests, adjusted so that all that stay below a level are false together with at most that probability.

    The r-th smallest of n, counted from 0, is multiplied by n - r, and is at least the one before, and at most 1.
    Source: Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 1979.
    """
    adjusted = [0.0] * len(ps)
    before = 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        before = adjusted[place] = min(1.0, max(before, (len(ps) - rank) * ps[place]))
    return adjusted
