"""The difference of two systems on the same samples: its interval, and the probability of one as large by chance."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from blurbench.errors import PredictionError, counted
from blurbench.metrics.statistics import Interval, interval, per_video, video_means
from blurbench.types import F64

Average = Literal["samples", "videos"]
Scores = Mapping[str, float | None]
Names = tuple[str, str]
EXACT = 14
"""Up to so many videos all 2^G sign patterns are tried; from there on 2^14 - 1 drawn ones."""
_NAMES = "the first", "the second"
_PATTERNS = 1 << EXACT
_BLOCK = 2**20  # signs that are in memory at once
_SHOWN = 3  # ids that an error names


@dataclass(frozen=True)
class Paired:
    """Two systems on the same samples: `first` and `second`, their means, and the difference first - second with its interval.

    p: of the permutation test. samples and videos that were compared; missing: samples for which neither has a value.
    """

    first: float
    second: float
    difference: Interval
    p: float
    samples: int
    videos: int
    missing: int


@dataclass(frozen=True)
class Matched:
    """Scores (U, 2) of two systems for the same units, the videos (U,) that these are of; a unit is a sample, or a video's mean.

    samples: how many were matched. missing: those for which neither has a value.
    """

    scores: F64
    videos: list[Hashable]
    samples: int
    missing: int

    @property
    def means(self) -> tuple[float, float]:
        """Of the first and of the second system."""
        left, right = (math.fsum(column) / len(column) for column in self.scores.T)
        return left, right

    @property
    def differences(self) -> F64:
        """(U,) first - second."""
        return np.asarray(self.scores[:, 0] - self.scores[:, 1])


def paired(
    first: Scores,
    second: Scores,
    videos: Mapping[str, Hashable],
    *,
    average: Average = "samples",
    level: float = 0.95,
    seed: int = 0,
    names: Names = _NAMES,
) -> Paired:
    """Compare two systems by their scores of the same samples.

    The interval is that of `statistics.interval` for the mean of the samples' differences: the mean is linear, so that is the difference
    of both means over the same resampled videos, and what makes a video hard for both cancels. p is from `permutation_test`.

    first, second: score by sample id; None or NaN for none. videos: the source video of each sample. average: means over all samples, or
    over videos, each the mean of its samples. names: of the two, for errors. Raises PredictionError, naming samples, where only one of
    the two has a value, for infinite scores and for no samples at all.
    """
    pair = match(first, second, videos, average, names)
    difference = interval(pair.differences, pair.videos, level, seed=seed)
    p = permutation_test(pair.differences, pair.videos, seed)
    return Paired(*pair.means, difference, p, pair.samples, len(set(pair.videos)), pair.missing)


def match(first: Scores, second: Scores, videos: Mapping[str, Hashable], average: Average = "samples", names: Names = _NAMES) -> Matched:
    """The scores of two systems side by side, in the order of the sample ids. Arguments and errors as of `paired`."""
    kept = _common(first, second, names)
    of = [videos[sample] for sample in kept]
    scores = np.array([[first[sample], second[sample]] for sample in kept], np.float64)
    if infinite := [sample for sample, pair in zip(kept, scores, strict=True) if not np.isfinite(pair).all()]:
        raise PredictionError(f"infinite scores have no difference: {named(infinite)}; score under a protocol with a cap")
    if average == "videos":
        (left, of), (right, _) = (video_means(column, of) for column in scores.T)
        scores = np.stack([left, right], axis=1)
    return Matched(scores, of, len(kept), len({*first, *second}) - len(kept))


def permutation_test(differences: F64, videos: Sequence[Hashable], seed: int = 0) -> float:
    """Probability (two-sided p) of a mean difference at least as large if whole videos' differences could have had the other sign.

    The video is the unit: if two systems are equally good, they could be exchanged in each video, but not in a clip without its
    neighbours. Exact for up to `EXACT` videos, with all 2^G patterns of signs; else from 2^14 - 1 patterns drawn by `seed`, with the
    observed one counted among them. `smallest_p` is what it can reach.

    differences, videos: one a sample; as many samples as there are count alike, so a long video counts for more.
    Source: Fisher, The Design of Experiments, 1935; Phipson, Smyth, "Permutation p-values should never be zero", 2010 (the +1).
    """
    sums, _, labels = per_video(differences, videos)
    observed = abs(sums.sum())
    least = observed - 1e-12 * np.abs(sums).sum()  # what differs by rounding is equal
    if len(labels) <= EXACT:
        patterns = np.arange(2 ** len(labels))[:, None] >> np.arange(len(labels)) & 1
        return float(np.mean(np.abs((2 * patterns - 1) @ sums) >= least))
    rng = np.random.default_rng(seed)
    rows = max(1, _BLOCK // len(labels))
    reached = 1
    for start in range(0, _PATTERNS - 1, rows):
        signs = 2 * rng.integers(2, size=(min(rows, _PATTERNS - 1 - start), len(labels)), dtype=np.int8) - 1
        reached += int((np.abs(signs @ sums) >= least).sum())
    return reached / _PATTERNS


def smallest_p(videos: int) -> float:
    """The smallest p that `permutation_test` can give: with five videos none is below 0.0625, whatever the difference."""
    return float(2.0 ** (1 - videos)) if videos <= EXACT else 1 / _PATTERNS


def named(samples: list[str]) -> str:
    """ "2 samples (a/0001, b/0003)", the first few of many."""
    more = ", …" if len(samples) > _SHOWN else ""
    return f"{counted(len(samples), 'sample')} ({', '.join(samples[:_SHOWN])}{more})"


def _common(first: Scores, second: Scores, names: Names) -> list[str]:
    """The samples that both have a value for, sorted. Raises PredictionError for those that one alone has."""
    there = [{sample for sample, value in scores.items() if value is not None and not math.isnan(value)} for scores in (first, second)]
    for here, other, name in ((there[0], there[1], names[1]), (there[1], there[0], names[0])):
        if only := sorted(here - other):
            raise PredictionError(f"{name} has no value for {named(only)}; compare what was scored on the same samples")
    if not there[0]:
        raise PredictionError(f"neither {names[0]} nor {names[1]} has a value for any sample, expected some in common")
    return sorted(there[0])
