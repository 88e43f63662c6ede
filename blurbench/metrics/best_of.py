"""What several draws of a stochastic method are worth: mean of N, and the unbiased estimate of the best of k out of n >= k draws."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from blurbench.errors import PredictionError
from blurbench.metrics import select
from blurbench.metrics._metric import Better
from blurbench.metrics.statistics import Interval, interval
from blurbench.types import F64


def expected_best(values: Sequence[float] | F64, k: int, better: Better) -> float:
    """What the best of k draws scores on average, from n >= k draws of one sample: the mean of the best over all C(n, k) choices of k.

        sum over r = k … n of  C(r - 1, k - 1) / C(n, k)  v_(r),    v_(1) the worst, v_(n) the best of the draws

    Unbiased for any n, whereas the best of the first k out of n throws n - k draws away. k = 1 is the mean of the draws, k = n their best;
    it never gets worse with k. `select.draw_weights` has the weights: a protocol's column asks for the same as `expected-best:k`.

    values: (n,) of one sample, NaN excluded. Source: Chen et al., "Evaluating large language models trained on code", arXiv 2107.03374
    (pass@k, the same for values 0 and 1).
    Raises PredictionError for k outside 1 … n, and NaN.
    """
    if not 1 <= k <= len(values):
        raise PredictionError(f"best of {k} from {len(values)} draws, expected from 1 to as many as there are; draw more or ask for fewer")
    if np.isnan(values).any():
        raise PredictionError(f"{int(np.isnan(values).sum())} of {len(values)} draws have no value, expected a number for each")
    draws = [float(value) for value in values]
    return select.weighted(draws, select.draw_weights(draws, f"expected-best:{k}", better))


def best_of_curve(
    values: Sequence[Sequence[float]] | F64, clusters: Sequence[Hashable], better: Better, level: float = 0.95, seed: int = 0
) -> list[Interval]:
    """Mean over samples of `expected_best` for k = 1 … n, each with the clustered interval; the first is the mean of N.

    values: (S, n), of each sample's draws. clusters: the source video of each sample.
    Raises PredictionError as `expected_best` and `statistics.interval` do, and for samples with unequal numbers of draws.
    """
    counts = {len(row) for row in values}
    if len(counts) > 1:
        raise PredictionError(f"samples have {min(counts)} to {max(counts)} draws, expected as many for each")
    ks = range(1, max(counts, default=0) + 1)
    return [interval([expected_best(row, k, better) for row in values], clusters, level, seed=seed) for k in ks]
