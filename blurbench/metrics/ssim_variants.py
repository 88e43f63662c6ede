"""Structural similarity as other evaluators compute it: the same pictures score up to 0.1 apart, so each variant has a name of its own.

All follow the formula of `blurbench.metrics.ssim`; what differs is the window, the constants, the border, the colours.
"""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np

from blurbench.metrics._metric import Pixels, metric
from blurbench.metrics.ssim import GAUSSIAN, RADIUS, SIGMA, gaussian_mean
from blurbench.metrics.ssim_sum import Similarity, Window, expect_side, gaussian
from blurbench.types import F32, F64


def _box_mean(plane: F32, mean: F32) -> None:
    cv2.blur(plane, (7, 7), dst=mean, borderType=cv2.BORDER_REPLICATE)


# The (co)variance of a sample is n / (n - 1) times that of the population, above and below the line: as if C2 were so much smaller.
_SAMPLE = (49 - 1) / 49
_BOX = Window(3, _box_mean)
UNIFORM = Similarity(_BOX, c2=(0.03 * 255) ** 2 * _SAMPLE)
RANGE_2 = Similarity(_BOX, c1=(0.01 * 510) ** 2, c2=(0.03 * 510) ** 2 * _SAMPLE)


@metric(id="ssim-uniform7", title="Structural similarity (uniform 7x7, valid region, RGB)", unit="1", better="higher")
def ssim_uniform7(prediction: Pixels, target: Pixels) -> F64:
    """SSIM of each frame under a 7x7 window of equal weights, with the variances of a sample (n - 1 in the denominator).

    The mean over RGB and over the pixels at least 3 from the border. prediction, target: (T, H, W, 3), uint8 or float in [0, 1], H and W
    at least 7. Returns (T,) float64 without unit in [-1, 1], 1 for identical frames, higher is better; within 1e-5 of float64 arithmetic.

    Source: scikit-image's structural_similarity on 8-bit pictures with its defaults and colour; the score of Shen et al., "Blurry Video
    Frame Interpolation", CVPR 2020. Raises PredictionError (shapes, types, ranges, NaN, frames smaller than the window).
    """
    return UNIFORM.of_clip("ssim-uniform7", prediction, target)


@metric(id="ssim-float-range2", title="Structural similarity (uniform 7x7, constants of range 2)", unit="1", better="higher")
def ssim_float_range2(prediction: Pixels, target: Pixels) -> F64:
    """`ssim_uniform7` with C1 and C2 of peak 2 on pictures of peak 1: four times too large, so the value is too high.

    prediction, target, returns, raises: see `ssim_uniform7`.

    Source: scikit-image up to 0.19 took floats for pictures in [-1, 1] where no range was given; newer releases refuse. The `metrics.py`
    of Y. Zhang et al., "Exposure Trajectory Recovery", TPAMI 2021, scores so.
    """
    return RANGE_2.of_clip("ssim-float-range2", prediction, target)


def _colour_weights() -> F32:
    """(3, 3): the weights of the Gaussian along the three colours, where the first and the last repeat beyond the ends."""
    weights = np.zeros((3, 3))
    for out in range(3):
        for step, weight in zip(range(-RADIUS, RADIUS + 1), gaussian(RADIUS, SIGMA), strict=True):
            weights[out, min(max(out + step, 0), 2)] += weight
    return weights.astype(np.float32)


_COLOURS = _colour_weights()


def _volume_mean(plane: F32, mean: F32) -> None:
    gaussian_mean(plane, mean)
    cv2.transform(mean, _COLOURS, dst=mean)


VOLUME = Similarity(Window(RADIUS, _volume_mean))


@metric(id="ssim-matlab3d", title="Structural similarity (RGB as a volume, Gaussian 11x11x11)", unit="1", better="higher")
def ssim_matlab3d(prediction: Pixels, target: Pixels) -> F64:
    """SSIM of each frame taken for a volume H x W x 3: an 11x11x11 Gaussian of sigma 1.5 mixes the colours too.

    Beyond its ends the volume is continued by its outermost values, and the mean runs over all pixels and colours. prediction, target:
    (T, H, W, 3), uint8 or float in [0, 1]. Returns (T,) float64 without unit in [-1, 1], 1 for identical frames, higher is better;
    within 1e-5 of float64 arithmetic.

    Source: MATLAB's ssim given an RGB picture; so came the SSIM of Nah et al., CVPR 2017, whose author calls it a mistake
    (SeungjunNah/DeepDeblur_release issue 51), and that of Tao et al., CVPR 2018. Raises PredictionError (shapes, types, ranges, NaN).
    """
    return VOLUME.of_clip("ssim-matlab3d", _continued(prediction), _continued(target))


def _continued(frames: Pixels) -> Pixels:
    """The outer rows and columns repeated, so that every pixel is one where the window fits."""
    return cast(Pixels, np.pad(frames, ((0, 0), (RADIUS, RADIUS), (RADIUS, RADIUS), (0, 0)), mode="edge"))


_STUDIO, _BLACK = np.array([65.481, 128.553, 24.966]) / 255, 16 / 255
_FULL = np.array([0.299, 0.587, 0.114])


@metric(id="ssim-y", title="Structural similarity of luma (Gaussian 11x11, valid region)", unit="1", better="higher")
def ssim_y(prediction: Pixels, target: Pixels) -> F64:
    """`ssim` of the luma Y = 16 + 65.481 R + 128.553 G + 24.966 B, for R, G, B in [0, 1]; not rounded, peak L = 255.

    That is BT.601 in studio range, 16 … 235; `ssim-gray` has the full range and scores lower, and Y rounded to 8 bits differs in the
    third decimal. prediction, target: (T, H, W, 3), uint8 or float in [0, 1], H and W at least 11. Returns (T,) float64 without unit in
    [-1, 1], 1 for identical frames, higher is better.

    Source: the Y channel of MATLAB's rgb2ycbcr and of BasicSR, as restoration papers score it.
    Raises PredictionError (shapes, types, ranges, NaN, frames smaller than the window).
    """
    return _of_one_plane("ssim-y", prediction, target, _STUDIO, _BLACK)


@metric(id="ssim-gray", title="Structural similarity of grey levels (Gaussian 11x11, valid region)", unit="1", better="higher")
def ssim_gray(prediction: Pixels, target: Pixels) -> F64:
    """`ssim` of grey levels 0.299 R + 0.587 G + 0.114 B, BT.601 in full range; not rounded.

    Parameters, returns, raises: as `ssim_y`. Source: the form of Wang et al. 2004, which is of grey pictures.
    """
    return _of_one_plane("ssim-gray", prediction, target, _FULL, 0.0)


def _of_one_plane(id: str, prediction: Pixels, target: Pixels, weights: F64, black: float) -> F64:
    """(T,): of the plane black + weights · RGB, in [0, 1]."""
    expect_side(id, prediction.shape, GAUSSIAN.window.side, "the 11x11 window")

    def plane(frame: Pixels) -> F64:
        return np.asarray(frame @ (weights / 255 if frame.dtype == np.uint8 else weights) + black)

    return np.array([GAUSSIAN.of_frame(plane(p), plane(g))[0] for p, g in zip(prediction, target, strict=True)])
