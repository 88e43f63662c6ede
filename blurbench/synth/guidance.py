"""Four-quadrant motion guidance: for each pixel of a blurry image, the quadrant in which it moved (Zhong et al., ECCV 2022, Sec. 3.2).

Guidance is (h, w, 2) int8 of signs (x right, y down): (0, 0) where nothing moves, else one of (1, -1), (-1, -1), (-1, 1), (1, 1).
It is made as the authors' published script makes it: per-component aggregate of the motion between consecutive targets at half
resolution, a threshold on its length, signs. Their paper sums over the sequence instead, which has the signs of `avg`.

Training labels: `guidance(flows)`, with "max" (GenBlur's) or "avg" (the folder that the authors read for B-AIST++). Motion between
adjacent blurred frames, which they use when the input is a video: `guidance(flow[None], threshold=0.5, half=False)`.
Flips, quarter turns and time reversal are those of any field of vectors: `blurbench.store.augment`.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from blurbench.errors import RecipeError
from blurbench.types import F32, U8

I8 = NDArray[np.int8]

_VECTORS = np.array([(0, 0), (1, -1), (-1, -1), (-1, 1), (1, 1)], np.int8)
_COLOURS = np.array([(0, 0, 0), (255, 0, 0), (0, 255, 0), (255, 255, 0), (0, 0, 255)], np.uint8)
_CLASS_OF = np.full(9, 255, np.uint8)
_CLASS_OF[[3 * (x + 1) + (y + 1) for x, y in _VECTORS.tolist()]] = range(5)


def guidance(flows: NDArray[Any], aggregate: str = "max", threshold: float = 0.2, half: bool = True) -> I8:
    """Guidance from flows (N, H, W, 2), any float, in pixels (x right, y down) at full resolution; N = T - 1 for T targets.

    Flow j is the motion from target j to j + 1 *on the grid of the later one*: the flow from j + 1 back to j, negated. On the earlier
    grid borders would be shifted by the motion.
    aggregate: "max" takes each component of the largest magnitude (of two equal ones the earlier), "avg" the mean.
    threshold: full-resolution pixels a step; vectors shorter than that are still.
    half: 2x2 means first, lengths and threshold halved with them; an odd last row or column is left out.
    Returns (H // 2, W // 2, 2) int8, or (H, W, 2) if not `half`. A vector on an axis counts to the next quadrant: right to (1, -1), up
    to (-1, -1), left to (-1, 1), down to (1, 1).
    Raises RecipeError for another aggregate, a negative threshold, another shape or a flow that is not finite.
    """
    if aggregate not in ("max", "avg"):
        raise RecipeError(f"guidance aggregate is {aggregate!r}, expected max or avg; give one of them")
    if not threshold >= 0:
        raise RecipeError(f"guidance threshold is {threshold}, expected pixels, at least 0; give another")
    if flows.ndim != 4 or flows.shape[-1] != 2 or not len(flows):
        raise RecipeError(f"flows for guidance have shape {flows.shape}, expected (N, H, W, 2) with N at least 1; give one flow a step")
    moved = np.asarray(flows, np.float32)
    if not np.isfinite(moved).all():
        raise RecipeError("flows for guidance hold values that are not finite, expected pixels; set them to 0 where motion is unknown")
    if half:
        moved = np.stack([_halved(flow) for flow in moved])
    motion = moved.mean(axis=0) if aggregate == "avg" else _largest(moved)
    still = np.sqrt((motion**2).sum(axis=-1)) < np.float32(threshold * (0.5 if half else 1))
    signs = np.sign(motion).astype(np.int8)
    signs[still] = 0
    return _off_axes(signs)


def classes(field: I8) -> U8:
    """The class of each vector of guidance (..., 2): (...) uint8, 0 still, 1 to 4 the quadrants I to IV. Raises RecipeError for others."""
    if field.shape[-1:] != (2,) or strangers(field).any():
        raise RecipeError(f"guidance of shape {field.shape} is none, expected (..., 2) of (0, 0) or (±1, ±1); make it by guidance()")
    found: U8 = _CLASS_OF[3 * (field[..., 0] + 1) + (field[..., 1] + 1)]
    return found


def strangers(field: NDArray[Any]) -> NDArray[np.bool_]:
    """Where a field (..., 2) of any numbers holds none of the five vectors of guidance: (...)."""
    on_one_axis = (field[..., 0] == 0) != (field[..., 1] == 0)
    return np.asarray(on_one_axis | ~np.isin(field, (-1, 0, 1)).all(axis=-1))


def vectors(numbers: NDArray[Any]) -> I8:
    """Guidance (..., 2) int8 from classes 0 to 4 (...), any integer type; the inverse of `classes`."""
    found: I8 = _VECTORS[numbers]
    return found


def colours(numbers: NDArray[Any]) -> U8:
    """Classes (...) as (..., 3) uint8 RGB, in the authors' colours: 0 black, I red, II green, III yellow, IV blue."""
    found: U8 = _COLOURS[numbers]
    return found


def enlarged(field: I8, size: tuple[int, int]) -> I8:
    """Guidance (h, w, 2) at the (height, width) of its picture, by the nearest pixel, as the authors' readers do."""
    return np.asarray(cv2.resize(field, (size[1], size[0]), interpolation=cv2.INTER_NEAREST), np.int8)


def _halved(flow: F32) -> F32:
    height, width = flow.shape[0] // 2, flow.shape[1] // 2
    even = np.ascontiguousarray(flow[: 2 * height, : 2 * width])
    return np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), np.float32) * np.float32(0.5)


def _largest(flows: F32) -> F32:
    where = np.abs(flows).argmax(axis=0)
    largest: F32 = np.take_along_axis(flows, where[None], axis=0)[0]
    return largest


def _off_axes(signs: I8) -> I8:
    """(x, y) with one zero moved to the quadrant that follows counterclockwise: (0, y) to (y, y), (x, 0) to (x, -x)."""
    x, y = signs[..., 0], signs[..., 1]
    return np.stack([np.where(x == 0, y, x), np.where(y == 0, -x, y)], axis=-1)
