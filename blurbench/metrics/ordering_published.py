"""The ordering-invariant errors as two papers print them. `ordering` is the canonical form; its mirrored pairs are used here too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from blurbench.metrics._metric import Pixels, metric, to_unit
from blurbench.metrics.ordering import Reduction, check_options, over_pairs
from blurbench.strict import one_of
from blurbench.types import F64

Form = Literal["canonical", "printed"]


@metric(
    id="ordering-purohit2019",
    title="Ordering-invariant error as printed by Purohit et al. 2019",
    unit="levels",
    better="lower",
    whole_clip=True,
    min_frames=2,
)
def ordering_purohit2019(prediction: Pixels, target: Pixels, *, reduction: Reduction = "sum", scale: int = 255) -> F64:
    """Sum (or mean) over the pairs (i, i') with i' = T + 1 - i, i = 1 … floor(T / 2), of

        mean | p_i + p_i' - |g_i + g_i'| |  +  mean | p_i - p_i' - |g_i - g_i'| |

    where the inner means run over pixels and channels on the scale 0 … 255, or 0 … 1 with scale 1. The absolute values stand on the
    target's side alone: the target itself scores above zero wherever p_i is darker than p_i', the reversed target scores something else,
    and the lowest score belongs to whoever puts the brighter pixel of each pair first. For ranking take `ordering`.

    prediction, target: (T, H, W, 3), uint8 or float in [0, 1], T at least 2. Returns (1,) float64 in grey levels, from 0 to 1020 times the
    number of pairs (not times it with reduction "mean"), or without unit in the scale of 1; lower is better.

    Source: Purohit, Shah, Rajagopalan, "Bringing Alive Blurred Moments", CVPR 2019, eq. 6. Its mirror index N - n and its upper limit N/2
    fit neither counting from 0 nor from 1; they are read as T + 1 - i and floor(T / 2). The paper states no scale, and "1" norm may be a
    sum or a mean: the mean on 0 … 255 gives values of the size of its 44 to 49, which nothing confirms.
    Raises PredictionError (shapes, types, ranges, NaN, one frame), RecipeError (options).
    """
    check_options("ordering-purohit2019", reduction, scale)
    values = []
    for p, p_mirror, g, g_mirror in _pairs(prediction, target, scale):
        sums = np.abs(p + p_mirror - (g + g_mirror)).mean()
        values.append(float(sums + np.abs(p - p_mirror - np.abs(g - g_mirror)).mean()))
    return np.array([over_pairs(values, reduction)])


@metric(
    id="ordering-zhang2020",
    title="Ordering-invariant error by squares (K. Zhang et al. 2020)",
    unit="levels²",
    better="lower",
    whole_clip=True,
    min_frames=2,
)
def ordering_zhang2020(
    prediction: Pixels, target: Pixels, *, form: Form = "canonical", reduction: Reduction = "sum", scale: int = 255
) -> F64:
    """Sum (or mean) over the pairs (i, i') with i' = T + 1 - i, i = 1 … floor(T / 2), of

        canonical:  mean | (g_i + g_i')² - (p_i + p_i')² |  +  mean | (g_i - g_i')² - (p_i - p_i')² |
        printed:    mean ( (g_i + g_i')² - (p_i + p_i')² )  +  mean ( (g_i - g_i')² - (p_i - p_i')² )

    where the means run over pixels and channels on the scale 0 … 255, or 0 … 1 with scale 1. The printed form is signed: it equals
    2 mean (g_i² + g_i'² - p_i² - p_i'²), sees nothing but brightness, and is lowest for a white clip. The canonical form takes the absolute
    value, as the sentence above the equation suggests ("the same content loss"), and is zero for the target, its reversal and a swapped
    pair. The centre frame of an odd T does not count.

    prediction, target: (T, H, W, 3), uint8 or float in [0, 1], T at least 2. Returns (1,) float64 in squared grey levels (without unit in
    the scale of 1), at least 0 in canonical form; lower is better.

    Source: K. Zhang et al., "Every Moment Matters", ACM MM 2020, eq. 2, a training loss for seven frames in luminance; here on R, G, B.
    Raises PredictionError (shapes, types, ranges, NaN, one frame), RecipeError (options).
    """
    check_options("ordering-zhang2020", reduction, scale)
    one_of("ordering-zhang2020", "form", form, Form)
    values = []
    for p, p_mirror, g, g_mirror in _pairs(prediction, target, scale):
        terms = (g + g_mirror) ** 2 - (p + p_mirror) ** 2, (g - g_mirror) ** 2 - (p - p_mirror) ** 2
        values.append(float(sum((np.abs(term) if form == "canonical" else term).mean() for term in terms)))
    return np.array([over_pairs(values, reduction)])


def _pairs(prediction: Pixels, target: Pixels, scale: int) -> Iterator[tuple[F64, F64, F64, F64]]:
    """Each frame with its mirror image in time, of the prediction and of the target, (H, W, 3) from 0 to `scale`."""
    for i in range(len(target) // 2):
        p, p_mirror, g, g_mirror = (to_unit(frame) * scale for frame in (prediction[i], prediction[-1 - i], target[i], target[-1 - i]))
        yield p, p_mirror, g, g_mirror
