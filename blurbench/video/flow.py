"""Optical flow between two frames, by a named model. `dis-…` needs no weights: OpenCV's DIS (Kroeger et al., ECCV 2016)."""

from __future__ import annotations

from typing import Any, Protocol

import cv2
import numpy as np

from blurbench.errors import UnknownNameError
from blurbench.types import F32, U8

_LEAST = 96  # pixels a side
_PRESETS = {
    "dis-ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "dis-fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "dis-medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}


class Flow(Protocol):
    """A flow model. One object a thread."""

    name: str

    def facts(self) -> dict[str, Any]:
        """What decides its output, JSON-ready: name, hash of weights, how pictures are normalised."""
        ...

    def between(self, a: U8, b: U8) -> F32:
        """(H, W, 2) float32: where each pixel of `a` is in `b`, as (x right, y down) pixels. a, b: (H, W, 3) uint8 RGB."""
        ...


class Dis:
    """Dense inverse search on grey levels, at one of its presets; OpenCV keeps its buffers."""

    def __init__(self, name: str = "dis-medium") -> None:
        self.name = name
        self._dis = cv2.DISOpticalFlow.create(_PRESETS[name])

    def facts(self) -> dict[str, Any]:
        return {"model": self.name, "weights": None, "input": "grey levels, BT.601", "opencv": cv2.__version__}

    def between(self, a: U8, b: U8) -> F32:
        grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (a, b)]
        return np.asarray(self._dis.calc(grey[0], grey[1], None), np.float32)  # type: ignore[call-overload]


def grid(size: tuple[int, ...]) -> F32:
    """(H, W, 2) float32: the place (x, y) of each pixel. size: begins with H and W."""
    rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float32)
    return np.dstack([columns, rows])


def padded(picture: U8, height: int, width: int) -> U8:
    """A picture (H, W) or (H, W, C) whose last row and column are repeated until it has at least that height and width."""
    down, right = max(0, height - picture.shape[0]), max(0, width - picture.shape[1])
    if not (down or right):
        return picture
    return np.pad(picture, [(0, down), (0, right), *[(0, 0)] * (picture.ndim - 2)], mode="edge")


class Padded:
    """A flow model for pictures of any size: it sees the last row and column repeated until both sides have 96 pixels.

    OpenCV's DIS may end the process where one side is below 32 (4.13 and 5.0 do), and after a small picture it keeps another pyramid for
    all that follow (5.0 does); learned models reduce pictures many times.
    """

    def __init__(self, model: Flow) -> None:
        self.name = model.name
        self.facts = model.facts
        self._model = model

    def between(self, a: U8, b: U8) -> F32:
        height, width = a.shape[:2]
        a, b = (padded(picture, _LEAST, _LEAST) for picture in (a, b))
        return self._model.between(a, b)[:height, :width]


def load(name: str) -> Flow:
    """A flow model by name: `dis-…`, or `ptlflow:NAME` where ptlflow is installed. It takes pictures of any size.

    Raises UnknownNameError, and for models of ptlflow WeightsError and BrokenPluginError.
    """
    if name in _PRESETS:
        return Padded(Dis(name))
    if name.startswith("ptlflow:"):
        from blurbench.video.ptlflow_models import PtlFlow

        return Padded(PtlFlow(name))
    raise UnknownNameError("flow model", name, [*_PRESETS, "ptlflow:NAME"])
