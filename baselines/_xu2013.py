"""Estimating one blur kernel for a whole picture: L0 gradients, coarse to fine, after L. Xu, S. Zheng, J. Jia: Unnatural L0 Sparse
Representation for Natural Image Deblurring (CVPR 2013).

From a few pixels of kernel to its full size, each size sqrt(2) times the one before, two steps take turns:

- picture: minimise |k * x - y|^2 + w sum phi(grad x) with phi(z) = min(|z|^2 / e^2, 1), which nears the count of gradients other than 0
  as e halves, three times. For each e, gradients up to e are set to 0, and x is fitted to the rest in the Fourier domain. What comes
  out has few, strong edges and no texture: no natural picture, but what a kernel can be told from;
- kernel: least squares between the gradients of x and those of y with a ridge.

Simplified or ours: e is not the same for all pictures, but ends where 3 % of the blurry picture's gradients are above it; the ridge is a
share of the picture's power; the kernel is solved for on its support only, by normal equations; weights below 1/20 of the largest and
specks are dropped. The numbers were chosen on nine synthetic cases. Blur of one kernel only; the paper's non-uniform version is not here.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft, linalg

from blurbench.baselines._deconvolution import DIFFERENCES, centred, taper
from blurbench.types import F32, F64

_ROUNDS = 5
"""Turns that the two steps take at each size."""
_SHARE = 0.03
"""Of the blurry picture's gradients are above the last e."""
_WEIGHT = 0.4
"""w / e^2 in the last round: how much gradients weigh against the data."""
_RIDGE = 0.2
"""Share of the power of the gradients of x."""


def estimate_kernel(blurry: F32, largest: int) -> F64:
    """The kernel (K, K) of a grey picture (H, W) in [0, 1]: K odd, at most `largest`; not negative, sum 1, centre of mass in the middle.

    Pictures of less than 9 pixels a side tell nothing: one pixel of 1.
    """
    side = min(largest, (min(blurry.shape) // 3 - 1) // 2 * 2 + 1)  # at most a third of the picture, and odd
    if side < 3:
        return np.ones((1, 1))
    kernel = np.zeros((3, 3))
    kernel[1, 1:] = 0.5
    for length in sizes(side):
        ratio = length / side
        height, width = (max(3 * length, round(n * ratio)) for n in blurry.shape)
        small = blurry if ratio == 1 else np.asarray(cv2.resize(blurry, (width, height), interpolation=cv2.INTER_AREA), np.float32)
        kernel = tidy(np.asarray(cv2.resize(kernel, (length, length), interpolation=cv2.INTER_LINEAR), np.float64))
        for _ in range(_ROUNDS):
            kernel = tidy(fit_kernel(edges(small, kernel), small, length))
    return middle(kernel)


def sizes(largest: int) -> list[int]:
    """Odd sides of the kernel, from about 3 to `largest`, growing by about sqrt(2)."""
    steps = int(np.floor(2 * np.log2(largest / 3)))
    return sorted({int(largest / 2 ** (step / 2)) // 2 * 2 + 1 for step in range(max(0, steps) + 1)})


def edges(blurry: F32, kernel: F64) -> F64:
    """(H, W) to (H, W): the picture of few gradients that, blurred, comes near `blurry`."""
    padded, crop = taper(blurry[..., None], kernel)
    y = padded[..., 0]
    size = y.shape
    blur = fft.rfft2(centred(kernel, size))
    filters = [fft.rfft2(centred(difference, size)) for difference in DIFFERENCES]
    data, power = blur.conj() * fft.rfft2(y), np.abs(blur) ** 2
    regular = sum(np.abs(d) ** 2 for d in filters)
    spectrum = fft.rfft2(y)
    limit = _least_gradient(blurry)
    for step in (8, 4, 2, 1):
        weight = _WEIGHT / step**2
        for _ in range(8 // step):
            gradients = [fft.irfft2(d * spectrum, size) for d in filters]
            keep = sum(g**2 for g in gradients) > (step * limit) ** 2
            pulled = sum(d.conj() * fft.rfft2(np.where(keep, g, 0)) for d, g in zip(filters, gradients, strict=True))
            spectrum = (data + weight * pulled) / (power + weight * regular)
    return np.asarray(fft.irfft2(spectrum, size)[crop])


def _least_gradient(blurry: F32) -> float:
    """The last e: what a share of the gradients of a picture (H, W) is above; at least 1/64."""
    down, across = np.diff(blurry, axis=0)[:, 1:], np.diff(blurry, axis=1)[1:]
    return max(1 / 64, float(np.quantile(np.hypot(down, across), 1 - _SHARE)))


def fit_kernel(sharp: F64, blurry: F32, side: int) -> F64:
    """The kernel (side, side) that blurs the gradients of one (H, W) into those of the other, by least squares with a ridge."""
    half, count = side // 2, side * side
    auto, cross = np.zeros((2 * side - 1, 2 * side - 1)), np.zeros((side, side))
    for axis in (0, 1):
        x, y = np.diff(sharp, axis=axis), np.diff(blurry.astype(np.float64), axis=axis)
        size = [fft.next_fast_len(n + 2 * side, real=True) for n in x.shape]
        spectrum = fft.rfft2(x, size)
        correlation = fft.irfft2(np.abs(spectrum) ** 2, size)
        auto += correlation[np.ix_(np.arange(1 - side, side), np.arange(1 - side, side))]
        correlation = fft.irfft2(spectrum.conj() * fft.rfft2(y, size), size)
        cross += correlation[np.ix_(np.arange(-half, half + 1), np.arange(-half, half + 1))]
    # Row (i, j) of the normal equations holds the autocorrelation at every distance from (i, j): windows of `auto`, last first.
    normal = sliding_window_view(auto, (side, side))[::-1, ::-1].reshape(count, count)
    ridge = _RIDGE * auto[side - 1, side - 1] + 1e-12
    return np.asarray(linalg.solve(normal + ridge * np.eye(count), cross.ravel(), assume_a="pos")).reshape(side, side)


def tidy(kernel: F64) -> F64:
    """Without negative and small weights and stray specks; sum 1."""
    kept = np.where(kernel > 0.05 * kernel.max(), kernel, 0)
    labels, parts = cv2.connectedComponents((kept > 0).astype(np.uint8), connectivity=8)
    masses = np.bincount(parts.ravel(), kept.ravel(), minlength=labels)
    kept = np.where(masses[parts] >= 0.1 * masses.sum(), kept, 0)
    if kept.sum() <= 0:  # no edge anywhere
        kept = np.zeros_like(kernel)
        kept[kernel.shape[0] // 2, kernel.shape[1] // 2] = 1
    return np.asarray(kept / kept.sum())


def middle(kernel: F64) -> F64:
    """Moved by whole pixels so that the centre of mass is in the middle; what would leave the square is cut off."""
    rows, columns = kernel.shape
    down = rows // 2 - round(float((kernel.sum(axis=1) * np.arange(rows)).sum()))
    across = columns // 2 - round(float((kernel.sum(axis=0) * np.arange(columns)).sum()))
    moved = cv2.warpAffine(kernel, np.array([[1, 0, across], [0, 1, down]], np.float64), (columns, rows), flags=cv2.INTER_NEAREST)
    return np.asarray(moved / moved.sum(), np.float64)
