"""Transfer functions: how light becomes the number in a picture, and back.

Averaging frames is only physical in linear light, and papers differ in what they assume (FIELD: up to 28 dB between the blurs they make):
`pixel` averages the stored numbers as they are, `gamma(2.2)` undoes a power law, `srgb` the exact sRGB curve (IEC 61966-2-1).
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurbench.errors import RecipeError
from blurbench.types import F32, F64

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Transfer(ABC):
    """A transfer function between encoded values and linear light, both in [0, 1]."""

    name: str

    @abstractmethod
    def to_linear(self, encoded: Floats) -> F64:
        """Linear light of encoded values; same shape, float64."""

    @abstractmethod
    def to_encoded(self, linear: Floats) -> F64:
        """Encoded values of linear light; same shape, float64. The exact inverse of `to_linear`."""

    @cached_property
    def table(self) -> F32:
        """(256,) float32: linear light of each 8-bit code."""
        return self.to_linear(np.arange(256) / 255).astype(np.float32)


class Pixel(Transfer):
    """No transfer function: the stored numbers count as light (GoPro's `blur`, BIN, the older papers)."""

    def to_linear(self, encoded: Floats) -> F64:
        return np.asarray(encoded, np.float64)

    def to_encoded(self, linear: Floats) -> F64:
        return np.asarray(linear, np.float64)


@dataclass(frozen=True)
class Gamma(Transfer):
    """Power law: light = code ** exponent (GoPro's `blur_gamma` with 2.2)."""

    exponent: float

    def to_linear(self, encoded: Floats) -> F64:
        return np.power(np.asarray(encoded, np.float64), self.exponent)

    def to_encoded(self, linear: Floats) -> F64:
        return np.power(np.asarray(linear, np.float64), 1 / self.exponent)


class Srgb(Transfer):
    """The sRGB curve with its linear toe (IEC 61966-2-1)."""

    def to_linear(self, encoded: Floats) -> F64:
        x = np.asarray(encoded, np.float64)
        return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)

    def to_encoded(self, linear: Floats) -> F64:
        y = np.asarray(linear, np.float64)
        return np.where(y <= 0.04045 / 12.92, y * 12.92, 1.055 * np.maximum(y, 0) ** (1 / 2.4) - 0.055)


PIXEL = Pixel("pixel")
SRGB = Srgb("srgb")


def gamma(exponent: float) -> Gamma:
    """The power law with this exponent, named `gamma(2.2)`."""
    return Gamma(f"gamma({exponent:g})", exponent)


def parse(name: str) -> Transfer:
    """The transfer function of a name: `pixel`, `srgb`, `gamma(2.2)` (any exponent in [1, 4]). Raises RecipeError."""
    if name == "pixel":
        return PIXEL
    if name == "srgb":
        return SRGB
    if (match := re.fullmatch(r"gamma\((\d+(?:\.\d+)?)\)", name)) and 1 <= float(match[1]) <= 4:
        return gamma(float(match[1]))
    raise RecipeError(f"unknown transfer function {name!r}; expected pixel, srgb or gamma(E) with E in [1, 4], e.g. gamma(2.2)")
