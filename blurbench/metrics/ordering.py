"""Error of a clip whose direction nobody can know, by pairs of frames that mirror each other in time."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from blurbench.errors import PredictionError
from blurbench.metrics._metric import Pixels, metric, to_unit
from blurbench.types import F64


@metric(id="ordering", title="Ordering-invariant error of mirrored pairs", unit="levels", better="lower", whole_clip=True, min_frames=2)
def ordering(prediction: Pixels, target: Pixels, *, reduction: Literal["mean", "sum"] = "mean") -> F64:
    """Mean (or sum) over the pairs (i, i') with i' = T + 1 - i, i = 1 … floor(T / 2), of

        mean | |p_i + p_i'| - |g_i + g_i'| |  +  mean | |p_i - p_i'| - |g_i - g_i'| |

    where the inner means run over pixels and channels on the scale 0 … 255. The centre frame of an odd T is in no pair and does not
    count. Zero for the target, for the target reversed, and for the target with any one pair swapped: the sum of a pair is blind to
    its order, and so is the absolute difference. That makes it weaker than choosing the direction of the clip.

    prediction, target: (T, H, W, 3), uint8 or float in [0, 1], T at least 2. Returns (1,) float64 in grey levels, from 0 to 510 (times
    the number of pairs with reduction "sum"); lower is better.

    Source: Jin, Meishvili, Favaro, CVPR 2018 (training loss), taken over as a score in Purohit, Shah, Rajagopalan, CVPR 2019, eq. 6.
    That equation prints the absolute value on the target's side only, under which the target itself scores above zero, and the paper
    states neither scale nor reduction: its 44 to 49 cannot be compared with these values.
    Raises PredictionError (shapes, types, ranges, NaN, one frame).
    """
    if reduction not in ("mean", "sum"):
        raise PredictionError(f"ordering: reduction is {reduction!r}, expected 'mean' or 'sum'")
    pairs = len(prediction) // 2
    clips = _levels(prediction, target)
    total = sum(_pair(clips[0][i], clips[0][-1 - i], clips[1][i], clips[1][-1 - i]) for i in range(pairs))
    return np.array([total / pairs if reduction == "mean" else total])


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
