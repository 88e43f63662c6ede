"""Means with intervals that respect what is independent: source videos, not the clips cut from them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from blurbench.errors import PredictionError
from blurbench.types import F64

C = TypeVar("C", bound=Hashable)
_BLOCK = 2**20  # drawn videos that are in memory at once


class Interval(NamedTuple):
    """An estimate and its confidence interval, in the unit of the values; low and high are None where nothing is known of the spread."""

    mean: float
    low: float | None
    high: float | None


def interval(
    values: Sequence[float] | F64,
    clusters: Sequence[Hashable],
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Mean of `values` over all samples and its bootstrap-t interval, resampling whole clusters (source videos).

    Each resample draws as many videos as there are, with replacement, and takes the mean m* over all samples of the drawn videos and its
    standard error s*, by the jackknife that leaves out one video at a time. Where t* = (m* - m) / s* has the quantiles q, the interval is
    from m - s q((1 + level) / 2) to m - s q((1 - level) / 2). Neither end is further from m than Student's t with one degree of freedom
    would put it, which is what two videos give: resamples of one video alone have s* = 0 and say no more than that.

    With 8 to 40 videos of equal or unequal numbers of samples, a 95 % interval contains the truth in 91 to 95 of 100 cases where the
    videos' effects are normal or exponential, and in 86 to 93 where they are log-normal; the percentile bootstrap does in 83 to 94 and 76
    to 90 (`benchmarks/coverage.py`). With fewer videos it is wide. It may go beyond what the values can be (an SSIM above 1). The same
    input and seed give the same interval, whatever the order of the samples.

    values, clusters: one a sample. Returns (mean, low, high); low and high are None with a single video and for infinite values.

    Source: Efron, "Nonparametric standard errors and confidence intervals", Canadian Journal of Statistics 1981 (bootstrap-t); Cameron,
    Gelbach, Miller, "Bootstrap-based improvements for inference with clustered errors", Review of Economics and Statistics 2008.
    Raises PredictionError for no values, missing ones (None, NaN; `drop_missing` first and report its count), unequal lengths and a level
    that is not between 0 and 1.
    """
    numbers = _numbers(values, clusters)
    require_level(level)
    mean = _mean(numbers)
    sums, counts, labels = per_video(numbers, clusters)
    if len(labels) == 1 or not np.isfinite(sums).all():
        return Interval(mean, None, None)
    sums -= mean * counts  # of deviations, whose sums lose fewer digits
    deviations = np.sort(_studentised(sums, counts, resamples, seed))
    outside = round(resamples * (1 - level) / 2)
    farthest = math.tan(math.pi * level / 2)  # the quantile of Student's t with one degree of freedom
    error = float(jackknife(sums, counts)[1])
    above, below = (float(np.clip(end, -farthest, farthest)) * error for end in (deviations[-1 - outside], deviations[outside]))
    return Interval(mean, mean - above, mean - below)


def require_level(level: float) -> None:
    """Raises PredictionError for a level of confidence that is none."""
    if not 0 < level < 1:
        raise PredictionError(f"level is {level}, expected a number between 0 and 1, e.g. 0.95")


def video_means(values: Sequence[float] | F64, clusters: Sequence[C]) -> tuple[F64, list[C]]:
    """The mean of each video's samples, and the videos, in an order of their own. Raises PredictionError as `interval` does."""
    sums, counts, labels = per_video(_numbers(values, clusters), clusters)
    return sums / counts, labels


def per_video(numbers: F64, clusters: Sequence[C]) -> tuple[F64, F64, list[C]]:
    """Sums and counts (G,) of the numbers (S,) of each video, and the videos; the same for any order of the samples."""
    of, labels = numbered(clusters)
    order = np.lexsort((numbers, of))  # keeps the order of the samples out of the last bit of the sums
    sums: F64 = np.bincount(of[order], numbers[order]).astype(np.float64, copy=False)
    return sums, np.bincount(of).astype(np.float64), labels


def numbered(clusters: Sequence[C]) -> tuple[NDArray[np.int64], list[C]]:
    """Of each sample (S,) the number of its video, and the videos in the order of these numbers."""
    labels = sorted(set(clusters), key=repr)
    place = {label: number for number, label in enumerate(labels)}
    return np.array([place[label] for label in clusters], np.int64), labels


def jackknife(sums: F64, counts: F64) -> tuple[F64, F64]:
    """Means (...) over all samples of G videos, and their standard errors (...) by leaving out one video at a time.

    sums, counts: (..., G), of the values and samples of each video, G of at least 2.
    Source: the cluster jackknife, e.g. MacKinnon, Nielsen, Webb, "Leverage, influence, and the jackknife in clustered regression
    models", Stata Journal 2023 (their CV3J).
    """
    total, number = sums.sum(axis=-1, keepdims=True), counts.sum(axis=-1, keepdims=True)
    without = (total - sums) / (number - counts)
    videos = sums.shape[-1]
    spread = without - without.mean(axis=-1, keepdims=True)
    return (total / number)[..., 0], np.sqrt((videos - 1) / videos * (spread * spread).sum(axis=-1))


def drop_missing(values: Sequence[float | None], clusters: Sequence[C]) -> tuple[list[float], list[C], int]:
    """The values that are there, their clusters, and how many were missing (None or NaN); that number belongs beside the mean."""
    kept = [(value, label) for value, label in zip(values, clusters, strict=True) if value is not None and not math.isnan(value)]
    return [value for value, _ in kept], [label for _, label in kept], len(values) - len(kept)


def _studentised(sums: F64, counts: F64, resamples: int, seed: int) -> F64:
    """t* (resamples,) of resampled videos; the mean of all is 0. Infinite where one video was drawn again and again."""
    rng = np.random.default_rng(seed)
    rows = max(1, _BLOCK // len(sums))
    parts = []
    for start in range(0, resamples, rows):
        drawn = rng.integers(len(sums), size=(min(rows, resamples - start), len(sums)))
        means, errors = jackknife(sums[drawn], counts[drawn])
        with np.errstate(divide="ignore", invalid="ignore"):
            parts.append(np.nan_to_num(means / errors, nan=0.0, posinf=math.inf, neginf=-math.inf))
    return np.concatenate(parts)


def _mean(numbers: F64) -> float:
    """Correctly rounded, so that it does not depend on the order; infinite values may make it infinite, or NaN with both signs."""
    return math.fsum(numbers) / len(numbers) if np.isfinite(numbers).all() else sum(numbers.tolist())


def _numbers(values: Sequence[float] | F64, clusters: Sequence[Hashable]) -> F64:
    if len(values) != len(clusters):
        raise PredictionError(f"{len(values)} values but {len(clusters)} clusters, expected one cluster for each value")
    if not len(values):
        raise PredictionError("no values to average, expected at least one")
    numbers = np.array([math.nan if value is None else value for value in values], np.float64)
    if missing := int(np.isnan(numbers).sum()):
        raise PredictionError(f"{missing} of {len(values)} values are missing; drop them with drop_missing and report how many")
    return numbers
