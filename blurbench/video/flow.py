"""Optical flow between two frames without learned weights: OpenCV's DIS (Kroeger et al., ECCV 2016)."""

from __future__ import annotations

import cv2
import numpy as np

from blurbench.types import F32, U8


class Dis:
    """Dense inverse search at its medium preset. One object a thread; OpenCV keeps its buffers."""

    name = "dis-medium"

    def __init__(self) -> None:
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def between(self, a: U8, b: U8) -> F32:
        """(H, W, 2) float32: where each pixel of `a` is in `b`, as (x right, y down) pixels. a, b: (H, W, 3) uint8 RGB."""
        grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (a, b)]
        return np.asarray(self._dis.calc(grey[0], grey[1], None), np.float32)  # type: ignore[call-overload]
