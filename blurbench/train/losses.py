"""Losses that several methods share. Sequences are (B, T, C, H, W), pictures (B, C, H, W); each returns a scalar."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional as F


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


_MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def ms_ssim(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Multi-scale SSIM (Wang et al., 2003) of pictures in [0, 1], differentiable: five scales, Gaussian 11x11 of sigma 1.5, valid region.

    A picture of less than 176 pixels has fewer scales, with their weights scaled to sum 1. Negative contrast factors count as 0. Under
    autocast too all is float32: a variance is a small difference of squares.
    """
    with torch.autocast(prediction.device.type, enabled=False):
        return _ms_ssim(prediction.float(), target.float())


def _ms_ssim(made: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    scales = next(n for n in range(len(_MS_WEIGHTS), 0, -1) if n == 1 or min(made.shape[-2:]) >= 11 * 2 ** (n - 1))
    total = sum(_MS_WEIGHTS[:scales])
    value = made.new_ones(())
    for scale in range(scales):
        full, contrast = _ssim(made, wanted)
        factor = full if scale == scales - 1 else contrast
        value = value * factor.clamp_min(1e-6) ** (_MS_WEIGHTS[scale] / total)
        made, wanted = F.avg_pool2d(made, 2), F.avg_pool2d(wanted, 2)
    return value


def _ssim(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean SSIM, and mean of its contrast and structure factor alone."""
    x = torch.arange(-5, 6, dtype=a.dtype, device=a.device)
    taps = torch.exp(-(x**2) / (2 * 1.5**2))
    taps = taps / taps.sum()
    stack = torch.cat([a, b, a * a, b * b, a * b], dim=1).flatten(0, 1)[:, None]
    smooth = F.conv2d(F.conv2d(stack, taps.view(1, 1, -1, 1)), taps.view(1, 1, 1, -1))
    mean_a, mean_b, aa, bb, ab = smooth.view(len(a), -1, *smooth.shape[-2:]).chunk(5, dim=1)
    c1, c2 = 0.01**2, 0.03**2
    covariance, variances = ab - mean_a * mean_b, (aa - mean_a**2) + (bb - mean_b**2)
    contrast = (2 * covariance + c2) / (variances + c2)
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return (luminance * contrast).mean(), contrast.mean()
