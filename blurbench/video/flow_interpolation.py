"""Frames in between by two-way optical flow, without learned weights.

Flow is splatted: every pixel carries its motion forward to the moment in between, from both frames; where several arrive, those count
whose motion agrees with the way back. Colours are then fetched along the splatted motion, each frame counting by its nearness in time
and by that same agreement, so that a pixel which one frame does not see is taken from the other. Splatting motion instead of colours
(Bao et al., "Depth-Aware Video Frame Interpolation", CVPR 2019, project it in the same way) keeps pictures as sharp as a cubic kernel does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from blurbench.types import F32
from blurbench.video import flow as flows

_LEAST = np.float32(1e-3)  # weight of a pixel whose motion does not agree: it counts where nothing else arrives


class FlowInterpolation:
    """An interpolator, see `blurbench.video.interpolate`."""

    chunk: int | None = None

    def __init__(self, flow: str = "dis-medium") -> None:
        """flow: a flow model, see `blurbench.video.flow.load`."""
        self._flow = flows.load(flow)

    def facts(self) -> dict[str, Any]:
        """What decides its output, JSON-ready."""
        return {"name": "flow", "version": 2, "flow": self._flow.name, "opencv": cv2.__version__}

    def between(self, a: F32, b: F32, times: Sequence[float]) -> F32:
        """a, b: (3, H, W) float32 in [0, 1]; times in (0, 1). Returns (len(times), 3, H, W) float32 in [0, 1]."""
        codes = [np.ascontiguousarray(np.rint(picture.transpose(1, 2, 0) * 255).astype(np.uint8)) for picture in (a, b)]
        there, back = self._flow.between(codes[0], codes[1]), self._flow.between(codes[1], codes[0])
        trust = agreement(there, back), agreement(back, there)
        pictures = [code.astype(np.float32) / np.float32(255) for code in codes]
        frames = np.empty((len(times), *a.shape), np.float32)
        for index, t in enumerate(times):
            motion = _motion_at(t, (there, back), trust)
            mixed, total = np.zeros((*a.shape[1:], 3), np.float32), np.zeros(a.shape[1:], np.float32)
            for picture, sure, way, nearness in zip(pictures, trust, (-t, 1 - t), (1 - t, t), strict=True):
                where = _grid(a.shape[1:]) + np.float32(way) * motion
                weight = (_fetch(sure, where, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT) + _LEAST) * np.float32(nearness)
                mixed += _fetch(picture, where, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE) * weight[..., None]
                total += weight
            frames[index] = np.clip(mixed / total[..., None], 0, 1).transpose(2, 0, 1)
        return frames


def splat(flow: F32, weight: F32, time: float) -> tuple[F32, F32]:
    """Carry a flow (H, W, 2) along itself for `time` of its length: the weighted mean of what arrives at each pixel, and its weight.

    Places are rounded to whole pixels; where nothing arrives, both are 0.
    """
    height, width = flow.shape[:2]
    place = np.rint(_grid((height, width)) + np.float32(time) * flow).astype(np.int64)
    inside = (place[..., 0] >= 0) & (place[..., 0] < width) & (place[..., 1] >= 0) & (place[..., 1] < height)
    index, count = (place[..., 1] * width + place[..., 0])[inside], height * width
    arrived = np.bincount(index, weight[inside], count)
    sums = [np.bincount(index, (weight * flow[..., axis])[inside], count) for axis in (0, 1)]
    mean = np.stack(sums, axis=-1) / np.maximum(arrived, 1e-12)[:, None]
    return mean.reshape(height, width, 2).astype(np.float32), arrived.reshape(height, width).astype(np.float32)


def agreement(there: F32, back: F32) -> F32:
    """(H, W) float32 in (0, 1]: 1 where following the flow and then the other flow back returns to the same pixel."""
    returned = _fetch(back, _grid(there.shape[:2]) + there, cv2.INTER_LINEAR, cv2.BORDER_REPLICATE)
    miss = ((there + returned) ** 2).sum(axis=2)
    return np.asarray(np.exp(-miss), np.float32)


def _motion_at(t: float, flows: tuple[F32, F32], trust: tuple[F32, F32]) -> F32:
    """Motion from the first frame to the second of each pixel at time t, (H, W, 2)."""
    there, seen_there = splat(flows[0], trust[0] + _LEAST, t)
    back, seen_back = splat(flows[1], trust[1] + _LEAST, 1 - t)
    seen = seen_there + seen_back
    motion = (seen_there[..., None] * there - seen_back[..., None] * back) / np.maximum(seen, np.float32(1e-12))[..., None]
    return _fill(motion, seen > 0)


def _fill(field: F32, known: np.ndarray[Any, np.dtype[np.bool_]]) -> F32:
    """Give pixels that nothing reached the mean of what is known around them, in growing windows."""
    filled, side = field.copy(), 3
    values, weights = field * known[..., None], known.astype(np.float32)
    while not known.all() and side < 2 * max(field.shape[:2]):
        near = cv2.blur(weights, (side, side))
        reached = ~known & (near > 1e-6)
        filled[reached] = (cv2.blur(values, (side, side)) / np.maximum(near, np.float32(1e-9))[..., None])[reached]
        known, side = known | reached, 2 * side + 1
    return filled


def _grid(size: tuple[int, ...]) -> F32:
    rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float32)
    return np.dstack([columns, rows])


def _fetch(values: F32, where: F32, kernel: int, border: int) -> F32:
    """The values at the places (x, y) of `where`, (H, W, 2)."""
    return np.asarray(cv2.remap(values, where, None, kernel, borderMode=border), np.float32)  # type: ignore[call-overload]
