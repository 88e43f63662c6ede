"""The shutter on an accelerator: frames are added up where an interpolator made them, and only the sums and the targets leave it.

Adds the same float32 numbers in the same order as `blurbench.synth.accumulate`, so the sums are the same bits.
"""

from __future__ import annotations

import numpy as np
import torch

from blurbench.synth.accumulate import Exposure, Light, Picture, Rounding, Shutter
from blurbench.types import U8
from blurbench.video.transfer import Pixel, Transfer


class DeviceShutter(Shutter):
    """A `Shutter` for 8-bit frames on a device, or on their way to it."""

    def __init__(self, transfer: Transfer, rounding: Rounding, device: str) -> None:
        super().__init__(transfer, rounding)
        self.device = device
        # One row of 256 for all channels, or one for each.
        self._table = torch.from_numpy(transfer.table.reshape(256, -1).T.copy()).to(device)

    def light(self, frame: Picture) -> torch.Tensor:
        """(H, W, 3) uint8 -> the same values (`pixel`) or float32 linear light in [0, 1], on the device."""
        codes = torch.as_tensor(frame, device=self.device)
        if isinstance(self.transfer, Pixel):
            return codes
        channel = torch.arange(codes.shape[-1] if len(self._table) > 1 else 1, device=self.device)
        return self._table[channel, codes.int()]

    def codes(self, frame: Picture) -> U8:
        return np.asarray(frame.cpu() if isinstance(frame, torch.Tensor) else frame, np.uint8)

    def exposure(self) -> DeviceExposure:
        return DeviceExposure(self)


class DeviceExposure(Exposure):
    """One window being added up on a device."""

    _light: torch.Tensor | None = None

    def add(self, light: Light) -> None:
        assert isinstance(light, torch.Tensor)
        if self._light is None:
            self._light = light.to(torch.float32, copy=True)
            self._integers = light.dtype == torch.uint8
        else:
            self._light += light
        self.frames += 1

    def result(self) -> U8:
        self._sum = None if self._light is None else self._light.cpu().numpy()
        return super().result()
