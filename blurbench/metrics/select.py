"""The only place that decides: 8 bits or not, which frames and pixels, which direction, which draw, and how a clip's values become one.

A metric returns a number a frame and knows nothing of this. Papers disagree on every one of these choices, so each has a name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, overload

import numpy as np

from blurbench.errors import PredictionError
from blurbench.metrics._metric import Better, Pixels, to_unit
from blurbench.metrics.psnr import pool
from blurbench.types import F32, F64, U8

Quantise = Literal["round", "truncate", "float"]
Reduction = Literal["mean", "pooled"]
FrameRule = Literal["all", "centre"] | tuple[int, ...]
Region = Literal["patch", "pixel", "channel"]
Box = tuple[int, int, int, int]
_FAR = (-1.0, 2.0)  # networks overshoot and are clamped; what goes further is on another scale


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
    Raises PredictionError for NaN, infinite values, values far outside of [0, 1] and other types.
    """
    if rule not in ("round", "truncate", "float"):
        raise PredictionError(f"quantisation is {rule!r}, expected 'round', 'truncate' or 'float'")
    if frames.dtype == np.uint8:
        codes = frames.astype(np.uint8, copy=False)
        return (codes / np.float32(255)).astype(np.float32, copy=False) if rule == "float" else codes
    if frames.dtype.kind != "f":
        raise PredictionError(f"the prediction has dtype {frames.dtype}, expected floats in [0, 1] or uint8; convert it with .astype")
    # One NaN makes the minimum NaN; one infinity is the minimum or the maximum.
    low, high = (float(frames.min()), float(frames.max())) if frames.size else (0.0, 0.0)
    if not np.isfinite([low, high]).all():
        raise PredictionError(f"the prediction holds {int((~np.isfinite(frames)).sum())} NaN or infinite values of {frames.size}")
    if low < _FAR[0] or high > _FAR[1]:
        raise PredictionError(f"the prediction has values from {low:.6g} to {high:.6g}, expected floats about [0, 1]; divide by 255?")
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


def crop_box(rule: str, size: tuple[int, int]) -> Box:
    """(top, left, height, width) of the part of pictures of `size` (height, width) that counts.

    rule: "" for all; `border:30` without so many rows and columns on each side; `top-left:704x1280` (HxW) from the first row and column.
    Raises PredictionError for pictures too small, and for another rule.
    """
    kind, _, number = rule.partition(":")
    if kind == "border" and number.isdigit():
        edge = int(number)
        box = edge, edge, size[0] - 2 * edge, size[1] - 2 * edge
    elif kind == "top-left" and len(sides := number.split("x")) == 2 and all(side.isdigit() for side in sides):
        box = 0, 0, int(sides[0]), int(sides[1])
    elif not rule:
        box = 0, 0, *size
    else:
        raise PredictionError(f"crop is {rule!r}, expected border:PIXELS or top-left:HEIGHTxWIDTH")
    if min(box[2:]) < 1 or box[0] + box[2] > size[0] or box[1] + box[3] > size[1]:
        raise PredictionError(f"crop {rule!r} does not fit into pictures of {size[0]}x{size[1]} (HxW)")
    return box


def tiles(size: tuple[int, int], side: int) -> list[Box]:
    """The squares (top, left, side, side) that fit beside each other from the first row and column on; a narrower rest is in none."""
    return [(top, left, side, side) for top in range(0, size[0] - side + 1, side) for left in range(0, size[1] - side + 1, side)]


def reversed_is_better(forward: F64, backward: F64, reduction: Reduction = "pooled", cap: float = math.inf) -> bool:
    """The direction of a clip from the PSNRs (T,) of its frames as they are, and reversed: by `reduce` of either, once a clip.

    A tie is forward. Nothing in one blurry picture tells the direction; deciding it per frame, patch or pixel instead raises the score
    of a wrong video by up to 24 dB.
    """
    return reduce(backward, reduction, cap) > reduce(forward, reduction, cap)


def orient_regions(prediction: Pixels, target: Pixels, region: Region, side: int) -> Pixels:
    """A clip (T, H, W, 3) put together from the prediction and its reversal, whichever has the smaller squared error over all frames:

    a choice for each square of `side` pixels (`patch`; those at the right and lower border may be smaller), each pixel, or each of a
    pixel's channels. A tie is forward. What it scores says how much of an error is direction alone; no method could have returned it.
    """
    forward, backward = _squared_error(prediction, target), _squared_error(prediction[::-1], target)
    if region != "channel":
        forward, backward = (errors.sum(axis=-1, keepdims=True) for errors in (forward, backward))
    if region == "patch":
        forward, backward = (_sum_of_patches(errors, side) for errors in (forward, backward))
    return np.where(backward < forward, prediction[::-1], prediction)


def draw_weights(deciding: Sequence[float], rule: str, better: Better) -> F64:
    """How much each of the draws (n,) of a stochastic method counts, (n,) float64 that add up to 1. deciding: the value of each.

    `first`; `mean`; `best`, or `best:k` of the first k; `expected-best:k`, what k draws would score on average: over all choices of k
    out of the n, the unbiased estimate, as for pass@k (Chen et al. 2021, arXiv 2107.03374). One draw stands for any number: the method
    is deterministic. Raises PredictionError for fewer draws than k.
    """
    kind, _, number = rule.partition(":")
    count = len(deciding)
    k = int(number) if number else count
    if count == 1:
        return np.ones(1)
    if k > count:
        raise PredictionError(f"{rule} needs {k} draws, the prediction has {count}")
    weights = np.zeros(count)
    if kind == "mean":
        weights += 1 / count
    elif kind == "first":
        weights[0] = 1
    elif kind == "best":
        weights[best_of(deciding[:k], better)] = 1
    else:
        # The draw of rank r from the worst (1 …) is the best of a choice in which the k - 1 others are worse: C(r - 1, k - 1) of C(n, k).
        order = np.argsort(np.asarray(deciding) * (1 if better == "higher" else -1), kind="stable")
        weights[order] = [math.comb(rank, k - 1) / math.comb(count, k) for rank in range(count)]
    return weights


def best_of(values: Sequence[float], better: Better) -> int:
    """The place of the best value; the first of equal ones."""
    return int(np.argmax(values) if better == "higher" else np.argmin(values))


def weighted(values: Sequence[float], weights: F64) -> float:
    """The mean of values under weights; what has no weight does not count, even if it is infinite."""
    return math.fsum(value * weight for value, weight in zip(values, weights, strict=True) if weight)


def reduce(values: F64 | Sequence[float], reduction: Reduction, cap: float = math.inf) -> float:
    """One value of the values (T,) of a clip's frames.

    `mean`: their mean, each cut to `cap` before. `pooled`, for PSNR only: the PSNR of the error pooled over the frames, cut after.
    The cap keeps one pair of identical frames (inf dB) from being the mean of everything.
    """
    values = np.asarray(values, np.float64)
    if reduction == "pooled":
        return min(pool(values), cap)
    return float(np.minimum(values, cap).mean())


def _squared_error(prediction: Pixels, target: Pixels) -> F64:
    """(H, W, 3) sums over frames. In whole levels where both are: then the order of the frames cannot break a tie."""
    exact = prediction.dtype == target.dtype == np.uint8
    total = np.zeros(target.shape[1:])
    for p, g in zip(prediction, target, strict=True):
        difference = p.astype(np.float64) - g if exact else to_unit(p) - to_unit(g)
        total += difference * difference
    return total


def _sum_of_patches(errors: F64, side: int) -> F64:
    """(H, W, 1) errors to the sum of the square that each pixel is in, (H, W, 1)."""
    rows, columns = (np.arange(0, size, side) for size in errors.shape[:2])
    sums = np.add.reduceat(np.add.reduceat(errors, rows, axis=0), columns, axis=1)
    return np.asarray(sums.repeat(side, axis=0)[: errors.shape[0]].repeat(side, axis=1)[:, : errors.shape[1]])
