"""Means with intervals that respect what is independent: source videos, not the clips cut from them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import TypeVar

import numpy as np

from blurbench.errors import PredictionError
from blurbench.types import F64

C = TypeVar("C", bound=Hashable)


def interval(
    values: Sequence[float] | F64,
    clusters: Sequence[Hashable],
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float | None, float | None]:
    """Mean of `values` and its percentile-bootstrap interval, resampling whole clusters (source videos).

    Each resample draws as many videos as there are, with replacement, and takes the mean over all samples of the drawn videos; `low` and
    `high` are the outer order statistics at (1 - level) / 2 on either side. The same input and seed give the same interval, whatever the
    order of the samples. Infinite values are legal and make the mean, and maybe an end, infinite. With few videos (under about 10) the
    interval is too narrow, as every percentile bootstrap is.

    values, clusters: one a sample. Returns (mean, low, high) in the unit of the values; low and high are None with a single video, of
    whose spread nothing is known.

    Source: Field, Welsh, "Bootstrapping clustered data", JRSS B 2007 (the randomized cluster bootstrap).
    Raises PredictionError for no values, missing ones (None, NaN; `drop_missing` first and report its count) and unequal lengths.
    """
    numbers = _numbers(values, clusters)
    mean = math.fsum(numbers) / len(numbers)
    labels = {label: number for number, label in enumerate(sorted(set(clusters), key=repr))}
    if len(labels) == 1:
        return mean, None, None
    of = np.array([labels[label] for label in clusters])
    order = np.lexsort((numbers, of))  # keeps the order of the samples out of the last bit of the sums
    sums, counts = np.bincount(of[order], numbers[order]), np.bincount(of)
    drawn = np.random.default_rng(seed).integers(len(labels), size=(resamples, len(labels)))
    means = np.sort(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1))
    # Order statistics instead of interpolated quantiles: between two infinite ones there is nothing to interpolate.
    outside = round(resamples * (1 - level) / 2)
    return mean, float(means[outside]), float(means[-1 - outside])


def drop_missing(values: Sequence[float | None], clusters: Sequence[C]) -> tuple[list[float], list[C], int]:
    """The values that are there, their clusters, and how many were missing (None or NaN); that number belongs beside the mean."""
    kept = [(value, label) for value, label in zip(values, clusters, strict=True) if value is not None and not math.isnan(value)]
    return [value for value, _ in kept], [label for _, label in kept], len(values) - len(kept)


def _numbers(values: Sequence[float] | F64, clusters: Sequence[Hashable]) -> F64:
    if len(values) != len(clusters):
        raise PredictionError(f"{len(values)} values but {len(clusters)} clusters, expected one cluster for each value")
    if not len(values):
        raise PredictionError("no values to average, expected at least one")
    numbers = np.array([math.nan if value is None else value for value in values], np.float64)
    if missing := int(np.isnan(numbers).sum()):
        raise PredictionError(f"{missing} of {len(values)} values are missing; drop them with drop_missing and report how many")
    return numbers
