"""Deconvolution without learning: reference points for one kernel over the whole picture.

One sharp frame from one blurry image, (H, W, 3) RGB in [0, 1] on both sides, y = k * x on the values as encoded (no linearisation):

- `richardson-lucy`: x <- x * A'(y / Ax) / A'1, 30 times (Richardson 1972, Lucy 1974);
- `wiener`: X = K* Y / (|K|^2 + 0.01 |D|^2), D the gradient (Wiener 1949);
- `xu2013-type`: estimates the kernel in the manner of L. Xu et al., "Unnatural L0 Sparse Representation" (CVPR 2013; what is simplified
  stands in `_xu2013.py`), then minimises |k * x - y|^2 + 0.001 sum |grad x|^0.8 (Krishnan & Fergus, NIPS 2009).

The first two take the kernel as `--weights KERNEL.npy` or `KERNEL.png`: two-dimensional, what one point of light becomes, its middle at
(rows // 2, columns // 2); it is brought to a sum of 1. Without one they estimate it as `xu2013-type` does, up to 31 pixels wide.
An estimated kernel has its centre of mass in the middle; where the true one has not, the picture is shifted by some pixels, and PSNR falls.
"""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Self

import cv2
import numpy as np

from blurbench import weights as files
from blurbench.baselines._deconvolution import UniformBlur, richardson_lucy, sparse_gradients, wiener
from blurbench.baselines._xu2013 import estimate_kernel
from blurbench.errors import WeightsError
from blurbench.methods import Capabilities, Method, MethodCard, Request, Resources
from blurbench.types import F32, F64

LARGEST = 31
"""Side of the largest kernel that is estimated, pixels."""

_GIVEN = "none needed; --weights KERNEL.npy or KERNEL.png gives the true kernel, else it is estimated"


def _card(id: str, title: str, paper: str, weights: str = _GIVEN, citation: str = "") -> MethodCard:
    return MethodCard(id, title, paper, licence="Apache-2.0 (this code, re-implemented)", citation=citation, weights=weights)


class Deconvolution(Method):
    """Finds one kernel, unless it has one, and removes it. kernel: (K, L) float64, odd sizes, sum 1."""

    capabilities = Capabilities(frames=1, resources=Resources(memory_gb=2.0))

    def __init__(self, kernel: F64 | None = None) -> None:
        self.kernel = kernel

    @abstractmethod
    def restore(self, blurry: F32, kernel: F64) -> F32:
        """(H, W, 3) and the kernel that blurred it to (H, W, 3)."""

    def predict(self, blurry: F32, request: Request) -> F32:
        """One frame, (1, 1, H, W, 3) float32, clamped to [0, 1]."""
        kernel = self.kernel
        if kernel is None:
            kernel = estimate_kernel(np.asarray(cv2.cvtColor(blurry, cv2.COLOR_RGB2GRAY), np.float32), LARGEST)
        return np.clip(self.restore(blurry, kernel), 0, 1).astype(np.float32)[None, None]


class WithKernel(Deconvolution):
    """Takes a kernel where weights are given."""

    @classmethod
    def load(cls, weights: Path | None = None, device: str = "cpu") -> Self:
        """`weights`: a kernel as .npy or .png, None to estimate one for each picture. Raises WeightsError."""
        method = cls(None if weights is None else read_kernel(weights))
        if weights is not None:
            method.weights = files.describe([weights])
        return method


class RichardsonLucy(WithKernel):
    """Multiplicative steps towards the likeliest picture under Poisson noise; noise grows with the steps."""

    card = _card(
        "richardson-lucy",
        "Richardson-Lucy, one kernel",
        "W. H. Richardson: Bayesian-Based Iterative Method of Image Restoration, JOSA 62, 1972; L. B. Lucy, AJ 79, 1974",
    )
    iterations = 30

    def restore(self, blurry: F32, kernel: F64) -> F32:
        return richardson_lucy(blurry, UniformBlur(kernel, (blurry.shape[0], blurry.shape[1])), self.iterations)


class Wiener(WithKernel):
    """The linear filter."""

    card = _card(
        "wiener", "Wiener filter, one kernel", "N. Wiener: Extrapolation, Interpolation, and Smoothing of Stationary Time Series, 1949"
    )
    balance = 0.01

    def restore(self, blurry: F32, kernel: F64) -> F32:
        return wiener(blurry, kernel, self.balance)


class Xu2013Type(Deconvolution):
    """Blind: estimates the kernel of each picture."""

    card = _card(
        "xu2013-type",
        "Blind, one kernel from L0 gradients (in the manner of Xu et al. 2013, simplified)",
        "L. Xu, S. Zheng, J. Jia: Unnatural L0 Sparse Representation for Natural Image Deblurring, CVPR 2013",
        weights="none needed",
        citation="""@inproceedings{xu2013unnatural,
  title = {Unnatural L0 Sparse Representation for Natural Image Deblurring},
  author = {Xu, Li and Zheng, Shicheng and Jia, Jiaya},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition (CVPR)},
  year = {2013}
}""",
    )
    weight = 1e-3

    def restore(self, blurry: F32, kernel: F64) -> F32:
        return sparse_gradients(blurry, kernel, self.weight)


def read_kernel(path: Path) -> F64:
    """A kernel file as (K, L) float64 of odd sizes and sum 1. Raises WeightsError."""
    if not path.is_file():
        raise WeightsError(f"kernel file {path} does not exist")
    try:
        values = np.load(path, allow_pickle=False) if path.suffix == ".npy" else cv2.imread(str(path), cv2.IMREAD_ANYDEPTH)
    except Exception as error:  # damaged files raise several types
        raise WeightsError(
            f"kernel file {path} cannot be read ({type(error).__name__}: {str(error)[:120]}); give a .npy or .png"
        ) from error
    if values is None:
        raise WeightsError(f"kernel file {path} cannot be read as a picture; give a .npy or .png")
    if not isinstance(values, np.ndarray) or values.ndim != 2 or values.dtype.kind not in "uif" or not values.size:
        found = f"{values.dtype} {values.shape}" if isinstance(values, np.ndarray) else type(values).__name__
        raise WeightsError(f"kernel file {path} holds {found}, expected a two-dimensional array of numbers")
    kernel: F64 = values.astype(np.float64)
    if not np.isfinite(kernel).all() or kernel.min() < 0 or kernel.sum() <= 0:
        raise WeightsError(f"kernel file {path} has values from {kernel.min():g} to {kernel.max():g}, expected 0 or more, and not all 0")
    # A row or column of zeros behind keeps the middle where it is.
    kernel = np.pad(kernel, [(0, 1 - size % 2) for size in kernel.shape])
    return np.asarray(kernel / kernel.sum())
