"""Scores against blur size: means in bins, and how strongly the two go together (the analysis of noroozi2017, Figure 9)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from blurbench.errors import PredictionError
from blurbench.metrics.statistics import Interval, interval, numbered
from blurbench.types import F64

Kind = Literal["pearson", "spearman"]


@dataclass(frozen=True)
class Bin:
    """Samples with a blur size from `low` (included) to `high` (excluded but in the last bin): their mean score, None if there are none."""

    low: float
    high: float
    score: Interval | None
    samples: int
    videos: int


def binned(
    scores: Sequence[float] | F64,
    sizes: Sequence[float] | F64,
    clusters: Sequence[Hashable],
    bins: int | Sequence[float] = 5,
    level: float = 0.95,
    seed: int = 0,
) -> list[Bin]:
    """Mean score in bins of blur size, with counts and clustered intervals.

    scores, sizes, clusters: of each sample any score, its blur size (mean length of the motion over the exposure, in pixels) and source
    video. bins: the edges in pixels, ascending; or how many bins of as many samples each, fewer where sizes are equal.
    Raises PredictionError for unequal lengths, missing values, edges out of order, and sizes that are in no bin.
    """
    values, lengths = _columns(scores, sizes, clusters)
    if isinstance(bins, int):
        edges = np.unique(np.quantile(lengths, np.linspace(0, 1, bins + 1)))
        edges = np.repeat(edges, 2) if len(edges) == 1 else edges
    else:
        edges = np.asarray(bins, np.float64)
        if len(edges) < 2 or (np.diff(edges) <= 0).any():
            raise PredictionError(f"bin edges are {list(bins)}, expected at least two, ascending")
        if outside := int(((lengths < edges[0]) | (lengths > edges[-1])).sum()):
            raise PredictionError(
                f"{outside} of {len(lengths)} blur sizes, {lengths.min():g} to {lengths.max():g}, are in no bin from {edges[0]:g} to "
                f"{edges[-1]:g}; expected edges that hold all"
            )
    place = np.clip(np.searchsorted(edges, lengths, "right") - 1, 0, len(edges) - 2)
    found = []
    for number, (low, high) in enumerate(pairwise(edges.tolist())):
        inside = np.flatnonzero(place == number)
        names = [clusters[sample] for sample in inside.tolist()]
        score = interval(values[inside], names, level, seed=seed) if names else None
        found.append(Bin(low, high, score, len(names), len(set(names))))
    return found


def correlation(
    residuals: Sequence[float] | F64,
    sizes: Sequence[float] | F64,
    clusters: Sequence[Hashable],
    kind: Kind = "pearson",
    level: float = 0.95,
) -> Interval:
    """Correlation over samples of a residual (or any score) with blur size, and its interval, clustered by source video.

    pearson of the values, spearman of their ranks (equal ones share the mean rank). The interval is Student's on Fisher's scale,
    tanh(artanh r ± t s), with G - 1 degrees of freedom and the standard error s of the jackknife that leaves out one of the G videos at
    a time. With 5 to 40 videos a 95 % interval contains the truth in 93 to 98 of 100 cases, that of the clustered percentile bootstrap in
    88 to 94 (`benchmarks/coverage.py`).

    Returns (r, low, high) in [-1, 1]; low and high are None with a single video, or where a video alone makes values differ.
    Source: noroozi2017, Figure 9 (mean length of the motion against the L1 norm of the residual, both scaled to mean 0 and deviation 1,
    which changes no correlation); Fisher 1915; the cluster jackknife as in `statistics.jackknife`.
    Raises PredictionError for unequal lengths, missing or infinite values, and values that are all equal.
    """
    from scipy.special import stdtrit

    columns = _columns(residuals, sizes, clusters)
    for name, column in zip(("residuals", "blur sizes"), columns, strict=True):
        if np.ptp(column) == 0:
            raise PredictionError(
                f"all {len(column)} {name} are {column[0]:g}, nothing correlates with a constant; expected different ones"
            )
    of, labels = numbered(clusters)
    r = _correlate(*columns, kind)
    without = [(columns[0][of != video], columns[1][of != video]) for video in range(len(labels))]
    if len(labels) == 1 or any(np.ptp(column) == 0 for pair in without for column in pair):
        return Interval(r, None, None)
    scaled = _fisher(np.array([_correlate(*pair, kind) for pair in without]))
    error = np.sqrt((len(labels) - 1) / len(labels) * ((scaled - scaled.mean()) ** 2).sum())
    half = stdtrit(len(labels) - 1, (1 + level) / 2) * error
    middle = _fisher(np.array(r))
    return Interval(r, float(np.tanh(middle - half)), float(np.tanh(middle + half)))


def _correlate(left: F64, right: F64, kind: Kind) -> float:
    if kind == "spearman":
        left, right = _ranks(left), _ranks(right)
    left, right = left - left.mean(), right - right.mean()
    return float(np.clip(left @ right / np.sqrt((left @ left) * (right @ right)), -1, 1))


def _ranks(values: F64) -> F64:
    """From 1; equal values share the mean of their ranks."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[which]


def _fisher(r: F64) -> F64:
    """artanh, kept finite for a correlation of 1."""
    return np.asarray(np.arctanh(np.clip(r, -1 + 1e-15, 1 - 1e-15)))


def _columns(scores: Sequence[float] | F64, sizes: Sequence[float] | F64, clusters: Sequence[Hashable]) -> tuple[F64, F64]:
    if not len(scores) == len(sizes) == len(clusters) > 0:
        raise PredictionError(f"{len(scores)} scores, {len(sizes)} blur sizes, {len(clusters)} clusters; expected one of each for a sample")
    both = np.array([scores, sizes], np.float64)
    if bad := int((~np.isfinite(both)).any(axis=0).sum()):
        raise PredictionError(f"{bad} of {len(scores)} samples have no finite score or blur size; leave them out and report how many")
    return both[0], both[1]
