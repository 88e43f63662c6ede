"""The shutter: frames are taken to linear light, added up, divided, and encoded to 8 bits again.

8-bit `pixel` data are summed as integers, so the mean and its rounding are exact. Other transfer functions go through a table of 256
float32 values into a float32 sum; against float64 the result differs by at most one level, rounded half up in fewer than 0.01 % of
values, truncated in fewer than 0.01 % up to 25 frames and 0.04 % up to 128.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, Union

import cv2
import numpy as np

from blurbench.types import F32, U8, U16
from blurbench.video.transfer import Gamma, Pixel, Transfer

if TYPE_CHECKING:
    import torch

Rounding = Literal["half-up", "truncate"]
Picture: TypeAlias = Union[U8, U16, "torch.Tensor"]
Light: TypeAlias = Union[U8, F32, "torch.Tensor"]


class Shutter:
    """Turns frames into what `Exposure` adds: linear light, computed once a frame however many exposures it belongs to."""

    def __init__(self, transfer: Transfer, rounding: Rounding = "half-up") -> None:
        self.transfer = transfer
        self.rounding = rounding

    def light(self, frame: Picture) -> Light:
        """(H, W, 3) -> the same values (8-bit `pixel`) or float32 linear light in [0, 1]."""
        assert isinstance(frame, np.ndarray)
        if frame.dtype == np.uint16:
            encoded = frame.astype(np.float32) * np.float32(1 / 65535)
            return encoded if isinstance(self.transfer, Pixel) else self.transfer.to_linear(encoded).astype(np.float32)
        if isinstance(self.transfer, Pixel):
            return np.asarray(frame, np.uint8)
        return np.asarray(cv2.LUT(frame, self.transfer.table), np.float32)

    def codes(self, frame: Picture) -> U8:
        """The frame as it is stored beside the blur, 8 bits: 16-bit values are divided by 257 and rounded half up."""
        assert isinstance(frame, np.ndarray)
        if frame.dtype == np.uint8:
            return np.asarray(frame, np.uint8)
        return ((frame.astype(np.uint32) + 128) // 257).astype(np.uint8)

    def exposure(self) -> Exposure:
        """A new window."""
        return Exposure(self)

    def encode(self, linear: F32, frames: int = 1) -> U8:
        """Linear light (float32, [0, 1]), the mean of so many frames, to 8-bit codes."""
        if isinstance(self.transfer, Gamma):
            encoded = cv2.pow(linear, 1 / self.transfer.exponent)
        else:
            encoded = self.transfer.to_encoded(linear).astype(np.float32)
        # One pass that scales, shifts, rounds to the nearest and saturates. Ties, which it rounds to even, are lifted by a hair. To
        # truncate is to round half a level lower, less a hair: a level that went through the table, the sum and back may come out below
        # itself, the further the more frames were added up.
        shift = -0.5 + 2e-5 * (1 + frames / 8) if self.rounding == "truncate" else 2e-5
        return np.asarray(cv2.convertScaleAbs(encoded, alpha=255, beta=shift), np.uint8)


class Exposure:
    """One window being added up."""

    def __init__(self, shutter: Shutter) -> None:
        self.shutter = shutter
        self.frames = 0
        self._sum: F32 | None = None
        self._integers = False

    def add(self, light: Light) -> None:
        """Add one frame of light, as `Shutter.light` returned it."""
        assert isinstance(light, np.ndarray)
        if self._sum is None:
            self._sum = light.astype(np.float32, order="C")
            self._integers = light.dtype == np.uint8
        else:
            cv2.accumulate(light, self._sum)
        self.frames += 1

    def result(self) -> U8:
        """The blurry image (H, W, 3) uint8."""
        assert self._sum is not None, "an exposure of no frames has no image"
        if not self._integers:
            return self.shutter.encode(self._sum * np.float32(1 / self.frames), self.frames)
        # The mean is a whole number of 1 / frames, so a shift by a part of that decides ties and makes rounding to the nearest exact: up
        # at one half, or to the whole below. float32 errs by less than the shift up to 8,000 frames.
        shift = 0.25 if self.shutter.rounding == "half-up" else 0.5 - self.frames / 2
        return np.asarray(cv2.convertScaleAbs(self._sum, alpha=1 / self.frames, beta=shift / self.frames), np.uint8)
