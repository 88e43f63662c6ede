"""Peak signal-to-noise ratio: a frame, and of a whole clip's error."""

from __future__ import annotations

import math

import cv2
import numpy as np

from blurbench.metrics._metric import Pixels, metric, to_unit
from blurbench.types import F64


@metric(id="psnr", title="Peak signal-to-noise ratio, per frame", unit="dB", better="higher")
def psnr(prediction: Pixels, target: Pixels) -> F64:
    """PSNR of each frame: -10 log10 MSE_t, the mean squared error over pixels and RGB channels with peak 1 (255 of uint8).

    prediction, target: (T, H, W, 3), uint8 or float in [0, 1]. Returns (T,) float64 in dB, at least 0, higher is better; inf for
    identical frames. Two uint8 clips are summed as integers, exactly; anything else in float64.

    Source: the common definition, that of scikit-image's peak_signal_noise_ratio. Raises PredictionError (shapes, types, ranges, NaN).
    """
    errors = np.array([_mean_squared_error(p, g) for p, g in zip(prediction, target, strict=True)])
    with np.errstate(divide="ignore"):
        return np.asarray(-10 * np.log10(errors))


def pooled_psnr(prediction: Pixels, target: Pixels) -> float:
    """PSNR of the error pooled over all frames: -10 log10 mean_t MSE_t, in dB, higher is better; inf for identical clips.

    Never above the mean of the per-frame values, and lower the more they differ. Arguments, raises: see `psnr`.
    Source: the evaluation code of Zhong et al., "Animation from Blur", ECCV 2022.
    """
    return pool(psnr(prediction, target))


def pool(values: F64) -> float:
    """The PSNR of the pooled error of frames of one size, from their PSNRs (T,) in dB: -10 log10 mean_t 10^(-PSNR_t / 10).

    The sum is exactly rounded, so that the order of the frames does not matter to the last bit: a tie of directions stays a tie.
    """
    error = math.fsum(10 ** (-values / 10)) / len(values)
    return -10 * math.log10(error) if error else math.inf


def _mean_squared_error(prediction: Pixels, target: Pixels) -> float:
    """Of two frames (H, W, 3), on the scale [0, 1]."""
    if prediction.dtype == target.dtype == np.uint8:
        # The sum is an integer; rounding takes away what the square of a root inside cv2.norm may add.
        return round(cv2.norm(prediction, target, cv2.NORM_L2SQR)) / (255**2 * prediction.size)
    difference = to_unit(prediction) - to_unit(target)
    return float(np.vdot(difference, difference)) / difference.size
