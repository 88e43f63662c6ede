"""Complex-wavelet structural similarity as the package pyssim computes it: neither complex nor two-dimensional, but it was printed."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from blurbench.metrics._metric import Pixels, metric
from blurbench.types import F64, U8

_WIDTHS = range(1, 31)
_K = 0.01
_REACH = 10 * max(_WIDTHS) // 2  # values that a wavelet reaches to either side
_BLOCK = 4096  # values of one transform; shorter ones waste more on the reach, longer ones leave the cache
_BLOCKS = 32  # transformed at once
_C128 = NDArray[np.complex128]


@metric(id="cw-ssim", title="Complex-wavelet SSIM of pyssim (grey levels in one row)", unit="1", better="higher")
def cw_ssim(prediction: Pixels, target: Pixels) -> F64:
    """CW-SSIM of each frame. The picture is turned to 8-bit grey levels and read row by row into one signal of H W values; with its 30
    coefficients a_w, b_w at each place, of Ricker wavelets of widths w = 1 … 30, the score is the mean over places of

        (2 Σ|a_w b_w| + k) / (Σ a_w² + Σ b_w² + k)  ·  (2 |Σ a_w b_w| + k) / (2 Σ|a_w b_w| + k),     k = 0.01,

    where Σ|a_w b_w| cancels, since real coefficients have no phase.
    Rows run into each other, the signal is zero beyond its ends, and only horizontal detail counts: far higher than `ssim`, and not to
    be compared with it. Grey is (19595 R + 38470 G + 7471 B + 32768) >> 16, Pillow's "L", of 8-bit values; floats are rounded to them.
    The wavelet of width w has n = min(10 w, H W) values 2 / (√(3 w) π^¼) (1 - x²/w²) exp(-x²/2w²) at x = i - (n - 1) / 2.

    prediction, target: (T, H, W, 3), uint8 or float in [0, 1]. Returns (T,) float64 without unit in [0, 1], 1 for identical frames,
    higher is better. A third of a second a megapixel.

    Source: pyssim up to 0.6 (`SSIM(a).cw_ssim_value(b)`, width 30, with scipy's wavelets), which the test script of Y. Zhang et al.,
    "Exposure Trajectory Recovery", TPAMI 2021, prints as SSIM; pyssim 0.7 takes other samples of the wavelet. Named after Sampat et al.,
    IEEE TIP 2009, whose steerable pyramid it does not use. Raises PredictionError (shapes, types, ranges, NaN).
    """
    return np.array([_frame(grey(p), grey(g)) for p, g in zip(prediction, target, strict=True)])


def grey(frame: Pixels) -> U8:
    """(H, W) uint8 of a frame (H, W, 3), as Pillow converts RGB to L."""
    levels = frame if frame.dtype == np.uint8 else np.clip(np.rint(frame.astype(np.float64) * 255), 0, 255).astype(np.uint8)
    return np.asarray((levels.astype(np.int32) @ np.array([19595, 38470, 7471], np.int32) + 32768) >> 16, np.uint8)


def _frame(a: U8, b: U8) -> float:
    # Both signals share each transform, one as the real and one as the imaginary part: the wavelets are real.
    signal = a.ravel() + 1j * b.ravel()
    length = min(_BLOCK, 1 << (len(signal) + 2 * _REACH - 1).bit_length())
    step = length - 2 * _REACH
    count = -(-len(signal) // step)
    padded = np.zeros(count * step + 2 * _REACH, np.complex128)
    padded[_REACH : _REACH + len(signal)] = signal
    blocks = np.lib.stride_tricks.sliding_window_view(padded, length)[::step]
    total = 0.0
    for first in range(0, count, _BLOCKS):
        values = _similarity(blocks[first : first + _BLOCKS], _spectra(length, min(len(signal), 10 * max(_WIDTHS)))).ravel()
        total += float(values[: len(signal) - first * step].sum())
    return total / len(signal)


def _similarity(blocks: _C128, spectra: _C128) -> F64:
    """(n, length - 2 _REACH): the score at each place of overlapping pieces (n, length) of the two signals."""
    from scipy import fft

    transformed = fft.fft(blocks)
    products, energies = np.zeros((2, len(blocks), blocks.shape[1] - 2 * _REACH))
    for spectrum in spectra:
        coefficients = fft.ifft(transformed * spectrum, overwrite_x=True)[:, _REACH:-_REACH]
        a, b = coefficients.real, coefficients.imag
        products += a * b
        energies += a * a
        energies += b * b
    return np.asarray((2 * np.abs(products) + _K) / (energies + _K))


@cache
def _spectra(length: int, values: int) -> _C128:
    """(30, length): transforms of the wavelets, none longer than `values`, placed as scipy's convolution "same" places them."""
    from scipy import fft

    spectra = np.empty((len(_WIDTHS), length), np.complex128)
    for row, width in enumerate(_WIDTHS):
        wavelet = ricker(min(10 * width, values), width)
        placed = np.zeros(length)
        placed[: len(wavelet)] = wavelet
        spectra[row] = fft.fft(np.roll(placed, -((len(wavelet) - 1) // 2)))
    return spectra


def ricker(points: int, width: float) -> F64:
    """(points,) float64: the Ricker wavelet, the negative second derivative of a Gaussian, with unit energy."""
    x = (np.arange(points) - (points - 1) / 2) / width
    return np.asarray(2 / (np.sqrt(3 * width) * np.pi**0.25) * (1 - x**2) * np.exp(-(x**2) / 2))
