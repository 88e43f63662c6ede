"""Structural similarity with a Gaussian window, counted where the window fits into the picture (`gauss11_valid_rgb`)."""

from __future__ import annotations

import cv2

from blurbench.metrics._metric import Pixels, metric
from blurbench.metrics.ssim_sum import Similarity, Window, gaussian
from blurbench.types import F32, F64

RADIUS, SIGMA = 5, 1.5
_WEIGHTS = gaussian(RADIUS, SIGMA)


def gaussian_mean(plane: F32, mean: F32) -> None:
    """Means of a plane (h, W) or (h, W, 3) under the 11x11 Gaussian of sigma 1.5, written to `mean`."""
    cv2.sepFilter2D(plane, cv2.CV_32F, _WEIGHTS, _WEIGHTS, dst=mean, borderType=cv2.BORDER_REPLICATE)


GAUSSIAN = Similarity(Window(RADIUS, gaussian_mean))


@metric(id="ssim", title="Structural similarity (Gaussian 11x11, valid region, RGB)", unit="1", better="higher")
def ssim(prediction: Pixels, target: Pixels) -> F64:
    """SSIM of each frame, the mean over pixels and RGB channels of

        (2 m_x m_y + C1) (2 v_xy + C2) / ((m_x² + m_y² + C1) (v_x + v_y + C2))

    with means m, variances v_x, v_y and covariance v_xy (of the population) under an 11x11 Gaussian window of sigma 1.5, and
    C1 = (0.01 L)², C2 = (0.03 L)² for peak L. The 5 outer rows and columns, where the window does not fit, do not count.

    prediction, target: (T, H, W, 3), uint8 or float in [0, 1], H and W at least 11. Returns (T,) float64 without unit in [-1, 1],
    1 for identical frames, higher is better. Within 1e-5 of float64 arithmetic, 2e-6 on photographs.

    Source: Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 2004, eq. 13, with that paper's window and constants. The same variant as
    scikit-image with gaussian_weights=True, sigma=1.5, use_sample_covariance=False; libraries' defaults differ from it by up to 0.1:
    see `blurbench.metrics.ssim_variants`. Raises PredictionError (shapes, types, ranges, NaN, frames smaller than the window).
    """
    return GAUSSIAN.of_clip("ssim", prediction, target)
