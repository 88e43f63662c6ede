"""Transfer functions: how light becomes the number in a picture, and back.

Averaging frames is only physical in linear light, and papers differ in what they assume (FIELD: up to 28 dB between the blurs they make):
`pixel` averages the stored numbers as they are, `gamma(2.2)` undoes a power law, `srgb` the exact sRGB curve (IEC 61966-2-1). `linear`
says that the numbers are light already, as a scientific sensor gives them; it computes what `pixel` does. A calibrated camera's response
is read from a file.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
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

    def spelling(self) -> str:
        """A text from which `parse` makes the same function: the name, and the values where a name is not enough."""
        return self.name

    @cached_property
    def exact_table(self) -> F64:
        """Linear light of each 8-bit code as `cv2.LUT` takes it: (256,) float64, or (256, 1, 3) where the channels differ."""
        return self.to_linear(np.arange(256) / 255)

    @cached_property
    def table(self) -> F32:
        """`exact_table` as float32."""
        return self.exact_table.astype(np.float32)


class Pixel(Transfer):
    """No transfer function: the stored numbers count as light (GoPro's `blur`, BIN, the older papers; linear sensors)."""

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


@dataclass(frozen=True)
class Response(Transfer):
    """A measured inverse camera response. curve: 256 rows of (red, green, blue) light in [0, 1], rising; linear between codes."""

    curve: tuple[tuple[float, float, float], ...]

    def spelling(self) -> str:
        return "response:" + json.dumps(self.curve)

    @cached_property
    def exact_table(self) -> F64:
        return np.array(self.curve)[:, None]

    def to_linear(self, encoded: Floats) -> F64:
        return self._channels(encoded, lambda values, light: np.interp(values * 255, np.arange(256), light))

    def to_encoded(self, linear: Floats) -> F64:
        return self._channels(linear, lambda values, light: np.interp(values, light, np.arange(256)) / 255)

    def _channels(self, image: Floats, function: Callable[[Floats, F64], F64]) -> F64:
        """The function of each channel and its curve; image: (..., 3)."""
        light = np.array(self.curve)
        return np.stack([function(image[..., channel], light[:, channel]) for channel in range(3)], axis=-1)


PIXEL = Pixel("pixel")
LINEAR = Pixel("linear")
SRGB = Srgb("srgb")
STRAIGHT = (0, *range(2, 256))
"""What `straight_from` of a response may be."""
_NOISE = 0.01  # of the range of a response, by which it may fall


def gamma(exponent: float) -> Gamma:
    """The power law with this exponent, named `gamma(2.2)`."""
    return Gamma(f"gamma({exponent:g})", exponent)


def response(curve: Floats) -> Response:
    """The response whose inverse is `curve`, (256, 3) RGB; scaled to 1 at code 255 and named by a hash of its values.

    A step down, as calibrations have in noise, is levelled to a rise of 1e-9, so that the inverse is a function.
    """
    rising = np.maximum.accumulate(np.asarray(curve, np.float64)) + np.arange(256)[:, None] * 1e-9
    return _named(rising / rising[-1])


def _named(curve: F64) -> Response:
    name = hashlib.sha256(curve.tobytes()).hexdigest()[:12]
    return Response(f"response({name})", tuple((float(r), float(g), float(b)) for r, g, b in curve))


def read_response(path: Path, order: str = "rgb", straight_from: int = 0) -> Response:
    """The inverse camera response of a `.npy` file: light of each of 256 codes, of shape (256,), (256, 3) or (256, 1, 3).

    order: of its channels; OpenCV's calibration writes bgr. straight_from: codes from there on are replaced by the straight line that
    goes on with slope (c[n] - c[n-2]) / 2 from code n-1; calibrations are wild near saturation, and REDS (Nah et al., CVPRW 2019) is used
    with 251; 0 replaces none. Raises RecipeError, also for light that falls from a code to a later one by more than a hundredth of all:
    less is noise, see `response`.
    """
    if straight_from not in STRAIGHT:
        raise RecipeError(f"straight_from is {straight_from!r}, expected 0 or a code from 2 to 255")
    curve = _load(path).squeeze()
    if curve.ndim == 1:
        curve = np.repeat(curve[:, None], 3, axis=1)
    if curve.shape != (256, 3) or not np.isfinite(curve).all():
        raise RecipeError(f"camera response {path} has shape {curve.shape}, expected finite light of 256 codes, e.g. (256, 1, 3)")
    if order == "bgr":
        curve = curve[:, ::-1]
    if straight_from:
        slope = (curve[straight_from] - curve[straight_from - 2]) / 2
        steps = np.arange(1, 256 - straight_from + 1)[:, None]
        curve = np.concatenate([curve[:straight_from], curve[straight_from - 1] + slope * steps])
    _require_rising(path, curve)
    return response(curve)


def _require_rising(path: Path, curve: F64) -> None:
    """Raises RecipeError for light that falls by more than noise does, or nowhere rises."""
    highest = np.maximum.accumulate(curve)
    falls = highest - curve
    code, channel = np.unravel_index(falls.argmax(), falls.shape)
    if falls[code, channel] > _NOISE * np.ptp(curve[:, channel]) or not (curve[-1] > curve[0]).all():
        told = (
            f"light {curve[code, channel]:.4g} at code {code} after {highest[code, channel]:.4g}"
            if falls.any()
            else "the same light at all codes"
        )
        raise RecipeError(f"camera response {path} has {told}, expected light that rises from code to code; measure it again")


def _load(path: Path) -> F64:
    """The numbers of a `.npy` file. Raises RecipeError."""
    try:
        return np.asarray(np.lib.format.read_array(io.BytesIO(path.read_bytes()), allow_pickle=False), np.float64)
    except OSError as error:
        raise RecipeError(f"camera response {path} cannot be read: {error.strerror or error}; check the path") from error
    except (ValueError, TypeError) as error:
        raise RecipeError(f"camera response {path} is no .npy file of numbers; give one of 256 codes, as numpy.save writes it") from error


def parse(name: str | Transfer) -> Transfer:
    """The transfer function of a name: `pixel`, `linear`, `srgb`, `gamma(2.2)` (any exponent in [1, 4]), or of a `spelling`.

    One that is one already is returned. Raises RecipeError.
    """
    if isinstance(name, Transfer):
        return name
    if name.startswith("response:"):
        return _named(np.array(json.loads(name.removeprefix("response:"))))
    named = {curve.name: curve for curve in (PIXEL, LINEAR, SRGB)}
    if name in named:
        return named[name]
    if (match := re.fullmatch(r"gamma\((\d+(?:\.\d+)?)\)", name)) and 1 <= float(match[1]) <= 4:
        return gamma(float(match[1]))
    raise RecipeError(f"unknown transfer function {name!r}; expected pixel, linear, srgb or gamma(E) with E in [1, 4], e.g. gamma(2.2)")
