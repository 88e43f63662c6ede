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

from blurbench.types import F32, U8
from blurbench.video import flow as flows
from blurbench.video.interpolate import check

_LEAST = np.float32(1e-3)  # weight of a pixel whose motion does not agree: it counts where nothing else arrives


class FlowInterpolation:
    """An interpolator, see `blurbench.video.interpolate`."""

    chunk: int | None = 8  # 0.1 GB at 1280x720

    def __init__(self, flow: str = "dis-medium") -> None:
        """flow: a flow model, see `blurbench.video.flow.load`."""
        self._flow = flows.load(flow)
        self._last: _Pair | None = None

    def facts(self) -> dict[str, Any]:
        """What decides its output, JSON-ready."""
        return {"name": "flow", "version": 3, "flow": self._flow.name, "opencv": cv2.__version__}

    def between(self, a: F32, b: F32, times: Sequence[float]) -> F32:
        """a, b: (3, H, W) float32 in [0, 1]; times in [0, 1]. Returns (len(times), 3, H, W) float32 in [0, 1].

        Both frames are rounded to 8 bits first. What does not depend on the time is kept for the next call with the same frames.
        Raises SourceError, see `interpolate.check`.
        """
        check(a, b, times)
        codes = [np.ascontiguousarray(np.rint(picture.transpose(1, 2, 0) * 255).astype(np.uint8)) for picture in (a, b)]
        if self._last is None or not self._last.shows(codes):
            self._last = _Pair(codes, self._flow)
        frames = np.empty((len(times), *a.shape), np.float32)
        for index, t in enumerate(times):
            frames[index] = self._last.at(t)
        return frames


class _Pair:
    """Two frames with what is known of them whatever the time; motion is splatted at half their size, which is what DIS measures."""

    def __init__(self, codes: list[U8], flow: flows.Flow) -> None:
        """codes: both frames, (H, W, 3) uint8."""
        self._codes = codes
        self._pictures = [code.astype(np.float32) / np.float32(255) for code in codes]
        there, back = flow.between(codes[0], codes[1]), flow.between(codes[1], codes[0])
        self._trust = agreement(there, back), agreement(back, there)
        self._grid = flows.grid(there.shape)
        height, width = there.shape[:2]
        half = (width + 1) // 2, (height + 1) // 2
        self._scale = np.array([half[0] / width, half[1] / height], np.float32)
        self._flows = [cv2.resize(way, half, interpolation=cv2.INTER_AREA) * self._scale for way in (there, back)]
        self._weights = [cv2.resize(sure, half, interpolation=cv2.INTER_AREA) + _LEAST for sure in self._trust]

    def shows(self, codes: list[U8]) -> bool:
        """Whether these are the frames of the pair."""
        return all(np.array_equal(mine, other) for mine, other in zip(self._codes, codes, strict=True))

    def at(self, t: float) -> F32:
        """The frame at time t, (3, H, W) float32 in [0, 1]."""
        motion = self._motion(t)
        mixed, total = np.zeros_like(self._pictures[0]), np.zeros_like(self._trust[0])
        for picture, sure, way, nearness in zip(self._pictures, self._trust, (-t, 1 - t), (1 - t, t), strict=True):
            where = self._grid + np.float32(way) * motion
            weight = (_fetch(sure, where, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT) + _LEAST) * np.float32(nearness)
            mixed += _fetch(picture, where, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE) * weight[..., None]
            total += weight
        return np.asarray(np.clip(mixed / total[..., None], 0, 1).transpose(2, 0, 1))

    def _motion(self, t: float) -> F32:
        """Motion from the first frame to the second of each pixel at time t, (H, W, 2)."""
        there, seen_there = splat(self._flows[0], self._weights[0], t)
        back, seen_back = splat(self._flows[1], self._weights[1], 1 - t)
        seen = seen_there + seen_back
        motion = (seen_there[..., None] * there - seen_back[..., None] * back) / np.maximum(seen, np.float32(1e-12))[..., None]
        height, width = self._grid.shape[:2]
        return np.asarray(cv2.resize(_fill(motion, seen > 0) / self._scale, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def splat(flow: F32, weight: F32, time: float) -> tuple[F32, F32]:
    """Carry a flow (H, W, 2) along itself for `time` of its length: the weighted mean of what arrives at each pixel, and its weight.

    Places are rounded to whole pixels; where nothing arrives, both are 0.
    """
    height, width = flow.shape[:2]
    x, y = cv2.split(np.rint(flows.grid(flow.shape) + np.float32(time) * flow))
    weight = weight * ((x >= 0) & (x < width) & (y >= 0) & (y < height))
    place = (np.clip(y, 0, height - 1).astype(np.int64) * width + np.clip(x, 0, width - 1).astype(np.int64)).ravel()
    arrived, *sums = (np.bincount(place, values.ravel(), height * width) for values in (weight, *cv2.split(flow * weight[..., None])))
    mean = np.stack(sums, axis=-1) / np.maximum(arrived, 1e-12)[:, None]
    return mean.reshape(height, width, 2).astype(np.float32), arrived.reshape(height, width).astype(np.float32)


def agreement(there: F32, back: F32) -> F32:
    """(H, W) float32 in (0, 1]: 1 where following the flow and then the other flow back returns to the same pixel."""
    x, y = cv2.split(there + _fetch(back, flows.grid(there.shape) + there, cv2.INTER_LINEAR, cv2.BORDER_REPLICATE))
    return np.asarray(np.exp(-(x * x + y * y)), np.float32)


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


def _fetch(values: F32, where: F32, kernel: int, border: int) -> F32:
    """The values at the places (x, y) of `where`, (H, W, 2)."""
    return np.asarray(cv2.remap(values, where, None, kernel, borderMode=border), np.float32)  # type: ignore[call-overload]
