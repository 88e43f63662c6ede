"""Error of a clip whose direction nobody can know, by pairs of frames that mirror each other in time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np

from blurbench.errors import PredictionError
from blurbench.metrics._metric import Pixels, metric, to_unit
from blurbench.strict import one_of, require
from blurbench.types import F64

Reduction = Literal["mean", "sum"]


@metric(id="ordering", title="Ordering-invariant error of mirrored pairs", unit="levels", better="lower", whole_clip=True, min_frames=2)
def ordering(prediction: Pixels, target: Pixels, *, reduction: Reduction = "mean", scale: int = 255, centre: bool = False) -> F64:
    """Mean (or sum) over the pairs (i, i') with i' = T + 1 - i, i = 1 … floor(T / 2), of

        mean | |p_i + p_i'| - |g_i + g_i'| |  +  mean | |p_i - p_i'| - |g_i - g_i'| |

    where the inner means run over pixels and channels on the scale 0 … 255, or 0 … 1 with scale 1. The centre frame of an odd T is in no
    pair and does not count, unless `centre` adds mean |p_c - g_c|, once. Zero for the target, for the target reversed, and for the target
    with any one pair swapped: the sum of a pair is blind to its order, and so is the absolute difference. That makes it weaker than
    choosing the direction of the clip.

    prediction, target: (T, H, W, 3), uint8 or float in [0, 1], T at least 2, odd with `centre`. Returns (1,) float64 in grey levels, from
    0 to 510 (times the number of pairs with reduction "sum"; up to 255 more with the centre), or without unit in the scale of 1; lower is
    better.

    Source: Jin, Meishvili, Favaro, CVPR 2018 (training loss: reduction "sum", scale 1, the centre as a term of its own), taken over as a
    score in Purohit, Shah, Rajagopalan, CVPR 2019, eq. 6, which prints another form: `ordering-purohit2019`. That paper states neither
    scale nor reduction: its 44 to 49 cannot be compared with these values.
    Raises PredictionError (shapes, types, ranges, NaN, one frame, no centre frame), RecipeError (options).
    """
    check_options("ordering", reduction, scale)
    if centre and len(prediction) % 2 == 0:
        raise PredictionError(f"ordering: {len(prediction)} frames have no centre frame; leave out centre, or score an odd number")
    p, g = _levels(prediction, target)
    value = over_pairs([_pair(p[i], p[-1 - i], g[i], g[-1 - i]) for i in range(len(p) // 2)], reduction)
    if centre:
        middle = len(p) // 2
        value += cv2.norm(p[middle], g[middle], cv2.NORM_L1) / p[middle].size
    return np.array([value * scale / 255])


def check_options(id: str, reduction: str, scale: int) -> None:
    """What the metrics of this family have in common. Raises RecipeError."""
    one_of(id, "reduction", reduction, Reduction)
    require(id, "scale", scale, not isinstance(scale, bool) and scale in (1, 255), "255 or 1, the value of white")


def over_pairs(values: Sequence[float], reduction: Reduction) -> float:
    """The values of the pairs as one."""
    total = math.fsum(values)
    return total / len(values) if reduction == "mean" else total


def _levels(prediction: Pixels, target: Pixels) -> tuple[Pixels, Pixels]:
    """Both on the scale 0 … 255: as they are if both are uint8, which keeps the sums exact, else in float64."""
    if prediction.dtype == target.dtype == np.uint8:
        return prediction, target
    return to_unit(prediction) * 255, to_unit(target) * 255


def _pair(p: Pixels, p_mirror: Pixels, g: Pixels, g_mirror: Pixels) -> float:
    """The two terms of one pair of frames (H, W, 3) of one dtype. Pixels are not negative, so the sums need no absolute value."""
    depth = cv2.CV_16U if p.dtype == np.uint8 else cv2.CV_64F
    sums = cv2.norm(cv2.add(p, p_mirror, dtype=depth), cv2.add(g, g_mirror, dtype=depth), cv2.NORM_L1)
    differences = cv2.norm(cv2.absdiff(p, p_mirror), cv2.absdiff(g, g_mirror), cv2.NORM_L1)
    return (sums + differences) / p.size
