"""The difference of two systems on the same samples: its interval, and the probability of one as large by chance."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from blurbench.errors import PredictionError
from blurbench.metrics.statistics import Interval, interval, per_video, video_means
from blurbench.types import F64

Average = Literal["samples", "videos"]
Scores = Mapping[str, float | None]
EXACT = 14
"""Up to so many videos all 2^G sign patterns are tried; from there on 2^14 - 1 drawn ones."""
_PATTERNS = 2**EXACT
_BLOCK = 2**20  # signs that are in memory at once
_NAMED = 3  # ids that an error names


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


def paired(
    first: Scores,
    second: Scores,
    videos: Mapping[str, Hashable],
    *,
    average: Average = "samples",
    level: float = 0.95,
    seed: int = 0,
) -> Paired:
    """Compare two systems by their scores of the same samples.

    The interval is that of `statistics.interval` for the mean of the samples' differences: the mean is linear, so that is the difference
    of both means over the same resampled videos, and what makes a video hard for both cancels. p is from `sign_flips` of whole videos.

    first, second: score by sample id; None or NaN for none. videos: the source video of each sample. average: means over all samples, or
    over videos, each the mean of its samples. Raises PredictionError, naming samples, where only one of the two has a value, for infinite
    differences and for no samples at all.
    """
    kept = _common(first, second)
    names = [videos[sample] for sample in kept]
    both = np.array([[first[sample], second[sample]] for sample in kept], np.float64)
    if infinite := [sample for sample, pair in zip(kept, both, strict=True) if not np.isfinite(pair).all()]:
        raise PredictionError(f"infinite scores have no difference: {_named(infinite)}; score under a protocol with a cap")
    samples = len(kept)
    if average == "videos":
        # From here on a video is a sample.
        (left, labels), (right, _) = (video_means(column, names) for column in both.T)
        both, names = np.stack([left, right], axis=1), labels
    differences = both[:, 0] - both[:, 1]
    sums, _, labels = per_video(differences, names)
    return Paired(
        *(math.fsum(column) / len(column) for column in both.T),
        interval(differences, names, level, seed=seed),
        sign_flips(sums, seed),
        samples,
        len(labels),
        len({*first, *second}) - samples,
    )


def sign_flips(sums: F64, seed: int = 0) -> float:
    """Probability (two-sided p) of a total at least as large if each video's difference could as well have had the other sign.

    sums: (G,) differences of two systems added up in each video; they are what is exchangeable if the two are equally good, clips of one
    video are not. Exact for up to `EXACT` videos, with all 2^G patterns of signs; else from 2^14 - 1 patterns drawn by `seed`, with the
    observed one counted among them. The smallest p is `smallest_p`.

    Source: Fisher, The Design of Experiments, 1935; Phipson, Smyth, "Permutation p-values should never be zero", 2010 (the +1).
    """
    sums = np.asarray(sums, np.float64)
    observed = abs(sums.sum())
    # What differs by rounding is equal.
    least = observed - 1e-12 * np.abs(sums).sum()
    videos = len(sums)
    rows = max(1, _BLOCK // videos)
    if videos <= EXACT:
        patterns = np.arange(2**videos)[:, None] >> np.arange(videos) & 1
        return float((np.abs((2 * patterns - 1) @ sums) >= least).mean())
    rng = np.random.default_rng(seed)
    reached = 1
    for start in range(0, _PATTERNS - 1, rows):
        signs = 2 * rng.integers(2, size=(min(rows, _PATTERNS - 1 - start), videos), dtype=np.int8) - 1
        reached += int((np.abs(signs @ sums) >= least).sum())
    return reached / _PATTERNS


def smallest_p(videos: int) -> float:
    """The smallest p that `sign_flips` can give: with five videos none is below 0.0625, whatever the difference."""
    return 2.0 ** (1 - videos) if videos <= EXACT else 1 / _PATTERNS


def _common(first: Scores, second: Scores) -> list[str]:
    """The samples that both have a value for, sorted. Raises PredictionError for those that one alone has."""
    there = [{sample for sample, value in scores.items() if value is not None and not math.isnan(value)} for scores in (first, second)]
    for here, other, name in ((there[0], there[1], "second"), (there[1], there[0], "first")):
        if only := sorted(here - other):
            raise PredictionError(f"the {name} has no value for {_named(only)}; compare systems that were scored on the same samples")
    if not there[0]:
        raise PredictionError("neither has a value for any sample, expected at least one in common")
    return sorted(there[0])


def _named(samples: list[str]) -> str:
    """ "2 samples (a/0001, b/0003)", the first few of many."""
    more = ", …" if len(samples) > _NAMED else ""
    return f"{len(samples)} sample{'s' * (len(samples) > 1)} ({', '.join(samples[:_NAMED])}{more})"
