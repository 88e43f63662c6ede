"""Losses that several methods share. Tensors are (B, T, C, H, W)."""

from __future__ import annotations

import torch


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


def centre_loss(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean absolute error of the middle frame."""
    middle = prediction.shape[1] // 2
    return (prediction[:, middle] - target[:, middle]).abs().mean()
