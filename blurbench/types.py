"""The values that travel between the rooms: frozen, numpy only, no behaviour beyond being cut.

Images are RGB, rows x columns x channels. Arrays of stored data are uint8; predictions are float32 in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from blurbench.video.transfer import Transfer

U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """One blurry image and what the shutter added up to make it.

    blurry: (H, W, 3) uint8. sharp: (T, H, W, 3) uint8 target frames in order of time.
    times: (T,) float64, when each target was seen, in units of the exposure (0 = shutter opens, 1 = closes).
    video: id of the source video, the unit of clustering in statistics. transfer: the transfer function of the data, or its name.
    extras: what the recipe added, e.g. `flow` (T-1, H, W, 2) float16, pixels from a target to the next.
    """

    id: str
    video: str
    blurry: U8
    sharp: U8
    times: F64
    transfer: str | Transfer
    extras: dict[str, Any] = field(default_factory=dict)

    def cut(self, box: tuple[int, int, int, int]) -> Sample:
        """The part (top, left, height, width) of it: of every array of pictures or fields of the size of `blurry`; others stay whole."""
        size = self.blurry.shape[:2]
        if box == (0, 0, *size):
            return self
        extras = {name: cut(value, size, box) if isinstance(value, np.ndarray) else value for name, value in self.extras.items()}
        return replace(self, blurry=cut(self.blurry, size, box), sharp=cut(self.sharp, size, box), extras=extras)


def cut(array: NDArray[Any], size: tuple[int, ...], box: tuple[int, int, int, int]) -> NDArray[Any]:
    """The box (top, left, height, width) of an array (..., H, W, C) of pictures of this size; a view. Others are left whole."""
    top, left, height, width = box
    if array.ndim < 3 or array.shape[-3:-1] != size:
        return array
    return array[..., top : top + height, left : left + width, :]


@dataclass(frozen=True)
class Prediction:
    """What a method returned for N samples of T frames.

    frames: (N, T, H, W, 3), float32 in [0, 1], or uint8 where they come from 8-bit files. seconds it took, NaN where nobody knows and for
    one that warmed up; device it ran on.
    motion: (N, M, H, W, 2) float32 where the method gives it, displacement in pixels (x right, y down) of what is at a pixel in the
    middle of the exposure, at each of the M `motion_times`, float64, rising, in units of the exposure.
    """

    sample: str
    frames: F32 | U8
    seconds: float
    device: str
    motion: F32 | None = None
    motion_times: F64 | None = None
