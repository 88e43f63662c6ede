"""The sums that all variants of structural similarity are means of: one frame, any window, OpenCV in float32, bands of rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from blurbench.errors import PredictionError
from blurbench.metrics._metric import Pixels
from blurbench.types import F32, F64

_BAND = 2**18  # values in a band of rows, 1 MiB a plane: large frames need no more memory than small ones


@dataclass(frozen=True)
class Window:
    """A square window of 2 radius + 1 pixels. mean: writes the means of a plane (h, W) or (h, W, 3), its first argument, to the second;
    what it writes to the outer `radius` rows and columns is not used.
    """

    radius: int
    mean: Callable[[F32, F32], None]

    @property
    def side(self) -> int:
        """Pixels."""
        return 2 * self.radius + 1


@dataclass(frozen=True)
class Similarity:
    """Which similarity: the window and the two constants, on the scale 0 … 255."""

    window: Window
    c1: float = (0.01 * 255) ** 2
    c2: float = (0.03 * 255) ** 2

    def of_frame(self, prediction: Pixels, target: Pixels, *, contrast: bool = False) -> tuple[float, float]:
        """The mean of the similarity map where the window fits into the frame; with `contrast` also that of its contrast-structure term.

        prediction, target: (H, W) or (H, W, 3), uint8 or float in [0, 1], not smaller than the window. Within 1e-5 of float64 arithmetic.
        """
        radius = self.window.radius
        height, width = map(int, prediction.shape[:2])
        inside, values = height - 2 * radius, int(np.prod(prediction.shape[1:]))
        rows = min(inside, max(16, _BAND // values))
        # Written over for each band: allocating planes of this size anew may cost more than the arithmetic.
        planes = np.empty((6, rows + 2 * radius, *prediction.shape[1:]), np.float32)
        totals = np.zeros(2)
        for top in range(0, inside, rows):
            band = slice(top, top + rows + 2 * radius)
            totals += self._of_band(prediction[band], target[band], planes, contrast)
        similarity, structure = totals / (inside * (width - 2 * radius) * (values // width))
        return float(similarity), float(structure)

    def of_clip(self, name: str, prediction: Pixels, target: Pixels) -> F64:
        """(T,) of clips (T, H, W) or (T, H, W, 3). Raises PredictionError, naming the metric, for frames smaller than the window."""
        expect_side(name, prediction.shape, self.window.side, f"the {self.window.side}x{self.window.side} window")
        return np.array([self.of_frame(p, g)[0] for p, g in zip(prediction, target, strict=True)])

    def _of_band(self, prediction: Pixels, target: Pixels, planes: F32, contrast: bool) -> tuple[float, float]:
        """Sums over the valid region of a band (h, W) or (h, W, 3).

        With s = x + y and d = x - y the formula needs four filtered planes: (m_s² - m_d² + 2 C1) (v_s - v_d + 2 C2) over the same with
        plus signs. In float32, v = E[s²] - m_s² cancels where the picture is flat; therefore s is taken about the band's mean, and what
        error is left in v_s stands above and below the line alike. d needs none of this: it is small where x and y agree.
        """
        s, d, mean_s, mean_d, variance_s, variance_d = planes[:, : len(prediction)]
        x, y = _cv(prediction), _cv(target)
        channels = 1 if prediction.ndim == 2 else prediction.shape[2]
        centre = round((_scale(x) * sum(cv2.mean(x)) + _scale(y) * sum(cv2.mean(y))) / channels)
        cv2.addWeighted(x, _scale(x), y, _scale(y), -centre, dst=s, dtype=cv2.CV_32F)
        cv2.addWeighted(x, _scale(x), y, -_scale(y), 0.0, dst=d, dtype=cv2.CV_32F)
        self.window.mean(s, mean_s)
        self.window.mean(d, mean_d)
        self.window.mean(np.multiply(s, s, out=s), variance_s)
        self.window.mean(np.multiply(d, d, out=d), variance_d)
        radius = self.window.radius
        above, below, mean_s, mean_d, variance_s, variance_d = planes[:, radius : len(prediction) - radius, radius : s.shape[1] - radius]
        np.multiply(mean_d, mean_d, out=mean_d)
        variance_d -= mean_d
        variance_s -= np.multiply(mean_s, mean_s, out=above)
        mean_s += np.float32(centre)
        np.multiply(mean_s, mean_s, out=mean_s)
        mean_s += np.float32(2 * self.c1)
        variance_s += np.float32(2 * self.c2)
        np.subtract(mean_s, mean_d, out=above)
        np.add(mean_s, mean_d, out=below)
        above *= np.subtract(variance_s, variance_d, out=mean_s)
        below *= np.add(variance_s, variance_d, out=mean_d)
        above /= below
        structure = sum(cv2.sumElems(np.divide(mean_s, mean_d, out=mean_s))) if contrast else 0.0
        return sum(cv2.sumElems(above)), structure  # in float64, four times as fast as numpy's


def gaussian(radius: int, sigma: float) -> F64:
    """(2 radius + 1,) float64 weights that add to 1."""
    weights = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
    return np.asarray(weights / weights.sum())


def expect_side(name: str, shape: tuple[int, ...], least: int, why: str) -> None:
    """Raises PredictionError, naming the metric, for frames of a shape (T, H, W, …) of less than `least` rows or columns."""
    height, width = shape[1:3]
    if min(height, width) < least:
        raise PredictionError(f"{name}: frames are {height}x{width} (HxW), expected at least {least}x{least} for {why}; score larger crops")


def _cv(frame: Pixels) -> Pixels:
    """OpenCV does not calculate in half precision."""
    return frame.astype(np.float32) if frame.dtype == np.float16 else frame


def _scale(frame: Pixels) -> float:
    return 1.0 if frame.dtype == np.uint8 else 255.0
