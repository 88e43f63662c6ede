"""Motion between frames of a clip, for the metrics that compare it: models kept for the next call, and fetching along a flow."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from blurbench.metrics import select
from blurbench.metrics._metric import Pixels
from blurbench.types import F32, U8
from blurbench.video import flow
from blurbench.video.flow import Flow

_KEPT = threading.local()


def model(name: str) -> Flow:
    """The flow model of a name (`dis-medium`, `ptlflow:raft`); loaded at first use and kept, one object a thread.

    Raises UnknownNameError, and for models of ptlflow WeightsError and BrokenPluginError.
    """
    kept: dict[str, Flow] = _KEPT.__dict__.setdefault("models", {})
    if name not in kept:
        kept[name] = flow.load(name)
    return kept[name]


def facts(options: Mapping[str, Any]) -> dict[str, Any]:
    """What decides the model's output, from a metric's options, for records of a run: hash of weights, how pictures are given, versions."""
    return {"flow": model(options.get("flow", "dis-medium")).facts()}


def in_8_bits(frames: Pixels) -> U8:
    """A clip (T, H, W, 3) as flow models take it: rounded to 8 bits."""
    return np.ascontiguousarray(select.quantise(frames, "round"))


def fetch(values: F32, where: F32) -> F32:
    """values (H, W, C) at the places (x, y) of where (h, w, 2), bilinear; beyond the border the nearest pixel. Returns (h, w, C) float32.

    OpenCV 5 does that itself, but OpenCV 4 rounds places to 1/32 pixel, up to six grey levels on noise. Corners it fetches exactly.
    """
    height, width = values.shape[:2]
    x, y = (np.clip(place, 0, size - 1) for place, size in zip(cv2.split(where.astype(np.float32)), (width, height), strict=True))
    left, top = np.minimum(np.floor(x), max(width - 2, 0)), np.minimum(np.floor(y), max(height - 2, 0))
    across, down = (x - left)[..., None], (y - top)[..., None]

    def corner(right: int, below: int) -> F32:
        found = cv2.remap(values, left + right, top + below, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(found, np.float32).reshape(*left.shape, -1)

    upper, lower = (corner(0, below) * (1 - across) + corner(1, below) * across for below in (0, 1))
    return np.asarray(upper * (1 - down) + lower * down, np.float32)


def seen(there: F32, back: F32) -> NDArray[np.bool_]:
    """(H, W): which pixels of a frame the next one shows as well, by flows to it and from it, (H, W, 2) in pixels.

    Following the flow w there and the flow v that is found there back must end near the start, |w + v|² ≤ 0.01 (|w|² + |v|²) + 0.5, and
    the place must be inside the picture. Source: Sundaram, Brox, Keutzer, ECCV 2010.
    """
    height, width = there.shape[:2]
    where = flow.grid(there.shape) + there
    inside = (where >= 0).all(axis=-1) & (where[..., 0] <= width - 1) & (where[..., 1] <= height - 1)
    returned = fetch(back, where)
    apart = np.square(there + returned).sum(axis=-1)
    length = np.square(there).sum(axis=-1) + np.square(returned).sum(axis=-1)
    return np.asarray(inside & (apart <= 0.01 * length + 0.5))
