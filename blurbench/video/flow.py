"""Optical flow between two frames, by a named model. `dis-…` needs no weights: OpenCV's DIS (Kroeger et al., ECCV 2016)."""

from __future__ import annotations

from typing import Any, Protocol

import cv2
import numpy as np

from blurbench.errors import UnknownNameError
from blurbench.types import F32, U8

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


def load(name: str) -> Flow:
    """A flow model by name: `dis-…`, or `ptlflow:NAME` where ptlflow is installed.

    Raises UnknownNameError, and for models of ptlflow WeightsError and BrokenPluginError.
    """
    if name in _PRESETS:
        return Dis(name)
    if name.startswith("ptlflow:"):
        from blurbench.video.ptlflow_models import PtlFlow

        return PtlFlow(name)
    raise UnknownNameError("flow model", name, [*_PRESETS, "ptlflow:NAME"])
