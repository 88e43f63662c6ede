"""Losses that several methods share. Sequences are (B, T, C, H, W), pictures (B, C, H, W); each returns a scalar."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional as F

from blurbench.metrics.ms_ssim import EXPONENTS
from blurbench.metrics.on_device import ssim_factors
from blurbench.metrics.ssim import GAUSSIAN


def pair_loss(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The ordering-invariant loss (Jin et al., CVPR 2018): 0 for the target, its reversal, and any pair swapped in place.

    With mirror frames i, i' = T+1-i: mean over pairs of mean| |p+p'| - |g+g'| | + mean| |p-p'| - |g-g'| |. The centre frame is not in it.
    """
    half = prediction.shape[1] // 2
    p, q = prediction[:, :half], prediction.flip(1)[:, :half]
    g, h = target[:, :half], target.flip(1)[:, :half]
    sums = (p + q).abs() - (g + h).abs()
    differences = (p - q).abs() - (g - h).abs()
    return sums.abs().mean() + differences.abs().mean()


def centre(sequence: torch.Tensor) -> torch.Tensor:
    """The middle frame (B, C, H, W)."""
    return sequence[:, sequence.shape[1] // 2]


def centre_loss(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean absolute error of the middle frame."""
    return (centre(prediction) - centre(target)).abs().mean()


def squared(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean squared error."""
    return F.mse_loss(prediction, target)


def over_scales(predictions: Sequence[torch.Tensor], targets: Sequence[torch.Tensor]) -> torch.Tensor:
    """Mean squared error of each scale, added up. Pictures of one scale have one size."""
    return torch.stack([squared(made, wanted) for made, wanted in zip(predictions, targets, strict=True)]).sum()


def charbonnier(prediction: torch.Tensor, target: torch.Tensor, epsilon: float) -> torch.Tensor:
    """Mean of sqrt(difference^2 + epsilon^2), in the units of the pictures."""
    return (prediction - target).square().add(epsilon**2).sqrt().mean()


def total_variation(field: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of horizontal neighbours plus that of vertical ones, of (..., H, W)."""
    return field.diff(dim=-1).abs().mean() + field.diff(dim=-2).abs().mean()


def ms_ssim(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Multi-scale SSIM of pictures in [0, 1] as the metric `ms-ssim` defines it, differentiable.

    A picture of less than 176 pixels has fewer scales, with their exponents scaled to sum 1. Factors below 1e-6 count as that.
    """
    made, wanted = prediction.float(), target.float()
    scales = next(n for n in range(len(EXPONENTS), 0, -1) if n == 1 or min(made.shape[-2:]) >= GAUSSIAN.window.side * 2 ** (n - 1))
    value = made.new_ones(())
    for scale, exponent in enumerate(EXPONENTS[:scales], start=1):
        luminance, contrast = ssim_factors(255 * made, 255 * wanted)
        factor = (luminance * contrast if scale == scales else contrast).mean()
        value = value * factor.clamp_min(1e-6) ** (exponent / sum(EXPONENTS[:scales]))
        made, wanted = F.avg_pool2d(made, 2), F.avg_pool2d(wanted, 2)
    return value
