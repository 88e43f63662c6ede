"""The values that travel between the rooms: frozen, numpy only, no behaviour beyond checking themselves.

Images are RGB, rows x columns x channels. Arrays of stored data are uint8; predictions are float32 in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class Prediction:
    """What a method returned: frames (N, T, H, W, 3) float32 in [0, 1] for N samples of T frames; seconds it took; device it ran on."""

    sample: str
    frames: F32
    seconds: float
    device: str
