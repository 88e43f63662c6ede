"""Multi-scale structural similarity."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from blurbench.errors import PredictionError
from blurbench.metrics._metric import Pixels, metric
from blurbench.metrics.ssim import GAUSSIAN
from blurbench.metrics.ssim_sum import expect_side
from blurbench.types import F32, F64

EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the scales, from the finest on."""
_LEAST = GAUSSIAN.window.side * 2 ** (len(EXPONENTS) - 1)


@metric(id="ms-ssim", title="Multi-scale structural similarity (five scales, RGB)", unit="1", better="higher")
def ms_ssim(prediction: Pixels, target: Pixels, *, border: Literal["valid", "reflect"] = "valid") -> F64:
    """MS-SSIM of each frame: cs_1^.0448 · cs_2^.2856 · cs_3^.3001 · cs_4^.2363 · ssim_5^.1333.

    ssim_j is `ssim` of the pictures halved j - 1 times, and cs_j the mean over pixels and RGB of its second factor,
    (2 v_xy + C2) / (v_x + v_y + C2); a negative mean counts as 0. Halving is the mean of 2x2 pixels; the last of an odd number of rows or
    columns is left out. border: of the coarsest scale count the pixels where the window fits, or, "reflect", all pixels of the picture
    mirrored about its outermost ones; on frames of 176x176 that moves the value by 5e-5 to 4e-3.

    prediction, target: (T, H, W, 3), uint8 or float in [0, 1], H and W at least 176. Returns (T,) float64 without unit in [0, 1], 1 for
    identical frames, higher is better.

    Source: Wang, Simoncelli, Bovik, Asilomar 2003, eq. 7, with that paper's exponents; means before products, as in that paper's code.
    torchmetrics with normalize="relu" has border="reflect". Raises PredictionError (shapes, types, ranges, NaN, frames too small for
    five scales, an unknown border).
    """
    if border not in ("valid", "reflect"):
        raise PredictionError(f"ms-ssim: border is {border!r}, expected 'valid' or 'reflect'")
    expect_side("ms-ssim", prediction.shape, _LEAST, "five scales of the 11x11 window")
    return np.array([_frame(_unit(p), _unit(g), border == "reflect") for p, g in zip(prediction, target, strict=True)])


def _frame(prediction: F32, target: F32, reflect: bool) -> float:
    factors = []
    for _ in EXPONENTS[:-1]:
        factors.append(GAUSSIAN.of_frame(prediction, target, contrast=True)[1])
        prediction, target = _halved(prediction), _halved(target)
    if reflect:
        prediction, target = _mirrored(prediction), _mirrored(target)
    factors.append(GAUSSIAN.of_frame(prediction, target)[0])
    return float(np.prod(np.maximum(factors, 0) ** np.array(EXPONENTS)))


def _mirrored(frame: F32) -> F32:
    radius = GAUSSIAN.window.radius
    return np.pad(frame, ((radius, radius), (radius, radius), (0, 0)), mode="reflect")


def _unit(frame: Pixels) -> F32:
    """(H, W, 3) float32 in [0, 1]."""
    unit = frame.astype(np.float32)
    return unit / np.float32(255) if frame.dtype == np.uint8 else unit


def _halved(frame: F32) -> F32:
    height, width = frame.shape[0] // 2, frame.shape[1] // 2
    return np.asarray(cv2.resize(frame[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA), np.float32)
