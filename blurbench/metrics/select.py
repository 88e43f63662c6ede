"""The only place that decides: 8 bits or not, which frames, which direction, and how a clip's values become one.

A metric returns a number a frame and knows nothing of this. Papers disagree on every one of these choices, so each has a name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, overload

import numpy as np

from blurbench.errors import PredictionError
from blurbench.metrics._metric import Pixels
from blurbench.metrics.psnr import pool, psnr
from blurbench.types import F32, F64, U8

Quantise = Literal["round", "truncate", "float"]
Reduction = Literal["mean", "pooled"]
FrameRule = Literal["all", "centre"] | tuple[int, ...]


@overload
def quantise(frames: Pixels, rule: Literal["round", "truncate"]) -> U8: ...
@overload
def quantise(frames: Pixels, rule: Literal["float"]) -> F32: ...
@overload
def quantise(frames: Pixels, rule: Quantise) -> U8 | F32: ...


def quantise(frames: Pixels, rule: Quantise) -> U8 | F32:
    """Predicted frames of any shape as they are scored: clamped to [0, 1], then

    `round`: floor(255 x + 0.5) as uint8 (NAH, DMPHN); `truncate`: floor(255 x) as uint8, which darkens by half a level (ETR, Jin, BIN);
    `float`: left as float32 (ZHO). uint8 frames have been through it: they stay, or become x / 255 for `float`.
    Raises PredictionError for NaN, infinite values and other types.
    """
    if rule not in ("round", "truncate", "float"):
        raise PredictionError(f"quantisation is {rule!r}, expected 'round', 'truncate' or 'float'")
    if frames.dtype == np.uint8:
        codes = frames.astype(np.uint8, copy=False)
        return (codes / np.float32(255)).astype(np.float32, copy=False) if rule == "float" else codes
    if frames.dtype.kind != "f":
        raise PredictionError(f"the prediction has dtype {frames.dtype}, expected floats in [0, 1] or uint8; convert it with .astype")
    # One NaN makes the minimum NaN; one infinity is the minimum or the maximum.
    if frames.size and not np.isfinite([frames.min(), frames.max()]).all():
        raise PredictionError(f"the prediction holds {int((~np.isfinite(frames)).sum())} NaN or infinite values of {frames.size}")
    clamped = np.clip(frames.astype(np.float32, copy=False), 0, 1)
    if rule == "float":
        return clamped
    clamped *= np.float32(255)
    if rule == "round":
        clamped += np.float32(0.5)
    return clamped.astype(np.uint8)


def frame_subset(rule: FrameRule, count: int) -> list[int] | None:
    """0-based indices of the frames that a column scores; None if a clip of `count` frames does not have them.

    `all`; `centre`, which a clip of an even number of frames lacks; or a list, e.g. (0, 3, 6) for frames 1, 4 and 7 of 7.
    """
    if rule == "all":
        return list(range(count))
    if rule == "centre":
        return [count // 2] if count % 2 else None
    return list(rule) if max(rule) < count else None


def direction(prediction: Pixels, target: Pixels) -> bool:
    """Whether the prediction (T, H, W, 3) fits the target better reversed: by PSNR pooled over all frames, once a clip.

    A tie is forward. Nothing in one blurry picture tells the direction; deciding it per frame, patch or pixel instead raises the score
    of a wrong video by up to 24 dB. Raises PredictionError.
    """
    return reversed_is_better(psnr(prediction, target), psnr(prediction[::-1], target))


def reversed_is_better(forward: F64, backward: F64) -> bool:
    """The decision of `direction` from the PSNRs (T,) of the prediction as it is, and reversed."""
    return pool(backward) > pool(forward)


def orient(prediction: Pixels, reversed: bool) -> Pixels:
    """The prediction (T, …) as `direction` decided; a view."""
    return prediction[::-1] if reversed else prediction


def reduce(values: F64 | Sequence[float], reduction: Reduction, cap: float = math.inf) -> float:
    """One value of the values (T,) of a clip's frames.

    `mean`: their mean, each cut to `cap` before. `pooled`, for PSNR only: the PSNR of the error pooled over the frames, cut after.
    The cap keeps one pair of identical frames (inf dB) from being the mean of everything.
    """
    values = np.asarray(values, np.float64)
    if reduction == "pooled":
        return min(pool(values), cap)
    return float(np.minimum(values, cap).mean())
