"""Which frames one shutter adds up, and which of them are targets.

All numbers count frames of the stream that is averaged, i.e. after interpolation.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from blurbench.errors import RecipeError
from blurbench.types import F64


@dataclass(frozen=True)
class Windows:
    """Window number n covers frames n*stride ... n*stride + length - 1; `targets` are positions inside it, in order of time."""

    length: int
    stride: int
    targets: tuple[int, ...]

    def start(self, number: int) -> int:
        """First frame of a window."""
        return number * self.stride

    def count(self, frames: int) -> int:
        """How many whole windows fit in that many frames."""
        return 0 if frames < self.length else (frames - self.length) // self.stride + 1

    def covering(self, frame: int) -> Iterable[int]:
        """Numbers of the windows that contain this frame, oldest first."""
        oldest = max(0, math.ceil((frame - self.length + 1) / self.stride))
        return range(oldest, frame // self.stride + 1)

    def times(self) -> F64:
        """(T,) when each target was seen, in units of the exposure: frame k of L stands for the slice [k/L, (k+1)/L], its middle counts."""
        return (np.array(self.targets, np.float64) + 0.5) / self.length


def targets(rule: str, length: int) -> tuple[int, ...]:
    """Target positions for a rule: `all`, `centre`, `even:N` (N from the first to the last frame, rounded half up).

    `centre` of an even length is the later of the two middle frames. Raises RecipeError.
    """
    if rule == "all":
        return tuple(range(length))
    if rule == "centre":
        return (length // 2,)
    if (match := re.fullmatch(r"even:(\d+)", rule)) and 2 <= (count := int(match[1])) <= length:
        return tuple(math.floor(k * (length - 1) / (count - 1) + 0.5) for k in range(count))
    raise RecipeError(f"window.targets is {rule!r}, expected all, centre or even:N with 2 <= N <= window.length = {length}")
