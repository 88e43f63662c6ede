"""Structural similarity with a Gaussian window, counted where the window fits into the picture (`gauss11_valid_rgb`)."""

from __future__ import annotations

import cv2
import numpy as np

from blurbench.errors import PredictionError
from blurbench.metrics._metric import Pixels, metric
from blurbench.types import F32, F64

_RADIUS = 5
_SIGMA = 1.5
_WINDOW = np.exp(-(np.arange(-_RADIUS, _RADIUS + 1) ** 2) / (2 * _SIGMA**2))
_WINDOW /= _WINDOW.sum()
_C1 = np.float32((0.01 * 255) ** 2)
_C2 = np.float32((0.03 * 255) ** 2)
_BAND = 2**18  # values in a band of rows, 1 MiB a plane: large frames need no more memory than small ones


@metric(id="ssim", title="Structural similarity (Gaussian 11x11, valid region, RGB)", unit="1", better="higher")
def ssim(prediction: Pixels, target: Pixels) -> F64:
    """SSIM of each frame, the mean over pixels and RGB channels of

        (2 m_x m_y + C1) (2 v_xy + C2) / ((m_x² + m_y² + C1) (v_x + v_y + C2))

    with means m, variances v_x, v_y and covariance v_xy (of the population) under an 11x11 Gaussian window of sigma 1.5, and
    C1 = (0.01 L)², C2 = (0.03 L)² for peak L. The 5 outer rows and columns, where the window does not fit, do not count.

    prediction, target: (T, H, W, 3), uint8 or float in [0, 1], H and W at least 11. Returns (T,) float64 without unit in [-1, 1],
    1 for identical frames, higher is better. Within 1e-5 of float64 arithmetic, 2e-6 on photographs.

    Source: Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 2004, eq. 13, with that paper's window and constants. The same variant as
    scikit-image with gaussian_weights=True, sigma=1.5, use_sample_covariance=False; libraries' defaults differ from it by up to 0.1.
    Raises PredictionError (shapes, types, ranges, NaN, frames smaller than the window).
    """
    height, width = prediction.shape[1:3]
    if min(height, width) < len(_WINDOW):
        raise PredictionError(f"ssim: frames are {height}x{width} (HxW), expected at least 11x11 for the 11x11 window; score larger crops")
    return np.array([_frame(p, g) for p, g in zip(prediction, target, strict=True)])


def _frame(prediction: Pixels, target: Pixels) -> float:
    height, width, channels = map(int, prediction.shape)
    inside = height - 2 * _RADIUS
    rows = min(inside, max(16, _BAND // (width * channels)))
    # Written over for each band: allocating planes of this size anew may cost more than the arithmetic.
    planes = np.empty((6, rows + 2 * _RADIUS, width, channels), np.float32)
    total = 0.0
    for top in range(0, inside, rows):
        band = slice(top, top + rows + 2 * _RADIUS)
        total += _sum_of_band(prediction[band], target[band], planes)
    return total / (inside * (width - 2 * _RADIUS) * channels)


def _sum_of_band(prediction: Pixels, target: Pixels, planes: F32) -> float:
    """Sum of the SSIM map over the valid region of a band (h, W, 3).

    With s = x + y and d = x - y the formula needs four filtered planes: (m_s² - m_d² + 2 C1) (v_s - v_d + 2 C2) over the same with
    plus signs. In float32, v = E[s²] - m_s² cancels where the picture is flat; therefore s is taken about the band's mean, and what error
    is left in v_s stands above and below the line alike. d needs none of this: it is small where x and y agree.
    """
    s, d, mean_s, mean_d, variance_s, variance_d = planes[:, : len(prediction)]
    x, y = _cv(prediction), _cv(target)
    centre = round(_scale(x) * sum(cv2.mean(x)) / 3 + _scale(y) * sum(cv2.mean(y)) / 3)
    cv2.addWeighted(x, _scale(x), y, _scale(y), -centre, dst=s, dtype=cv2.CV_32F)
    cv2.addWeighted(x, _scale(x), y, -_scale(y), 0.0, dst=d, dtype=cv2.CV_32F)
    _filter(s, mean_s)
    _filter(d, mean_d)
    _filter(np.multiply(s, s, out=s), variance_s)
    _filter(np.multiply(d, d, out=d), variance_d)
    above, below, mean_s, mean_d, variance_s, variance_d = planes[:, _RADIUS : len(prediction) - _RADIUS, _RADIUS:-_RADIUS]
    np.multiply(mean_d, mean_d, out=mean_d)
    variance_d -= mean_d
    variance_s -= np.multiply(mean_s, mean_s, out=above)
    mean_s += np.float32(centre)
    np.multiply(mean_s, mean_s, out=mean_s)
    mean_s += 2 * _C1
    variance_s += 2 * _C2
    np.subtract(mean_s, mean_d, out=above)
    np.add(mean_s, mean_d, out=below)
    above *= np.subtract(variance_s, variance_d, out=mean_s)
    below *= np.add(variance_s, variance_d, out=mean_s)
    above /= below
    return float(above.sum(dtype=np.float64))


def _filter(plane: F32, mean: F32) -> None:
    """Gaussian mean of a plane (h, W, 3), written to `mean`; its outer 5 rows and columns are not used."""
    cv2.sepFilter2D(plane, cv2.CV_32F, _WINDOW, _WINDOW, dst=mean, borderType=cv2.BORDER_REPLICATE)


def _cv(frame: Pixels) -> Pixels:
    """OpenCV does not calculate in half precision."""
    return frame.astype(np.float32) if frame.dtype == np.float16 else frame


def _scale(frame: Pixels) -> float:
    return 1.0 if frame.dtype == np.uint8 else 255.0
