"""PSNR, SSIM and the ordering error of torch tensors, on whatever device they are: for validation while training, and for GPUs.

The definitions are those of `blurbench.metrics.psnr`, `.ssim` and `.ordering`, whose values these equal to 1e-4; boards use those.
Clips are (T, H, W, 3) or, as networks hold them, views of (T, 3, H, W) by `permute(0, 2, 3, 1)`, which copies nothing. uint8, or floats
in [0, 1], which are neither checked nor clamped: a check would make the device wait. Sums are in float64 where the device has it.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import torch
from torch.nn import functional

from blurbench.device import exact
from blurbench.errors import PredictionError
from blurbench.metrics.ssim import GAUSSIAN, RADIUS, SIGMA
from blurbench.metrics.ssim_sum import expect_side, gaussian


def psnr(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """(T,) in dB, inf for identical frames. Raises PredictionError (shapes, types, devices)."""
    _check("psnr", prediction, target)
    difference = _levels(prediction) - _levels(target)
    return -10 * torch.log10(_mean(difference * difference) / 255**2)


def ssim(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """(T,) in [-1, 1]. Raises PredictionError (shapes, types, devices, frames smaller than 11x11)."""
    _check("ssim", prediction, target)
    expect_side("ssim", prediction.shape, GAUSSIAN.window.side, "the 11x11 window")
    # Frame by frame: the planes of a whole clip of large frames do not fit into every GPU.
    values = [_ssim(p[None], g[None]) for p, g in zip(prediction, target, strict=True)]
    return torch.cat(values)


def ordering(prediction: torch.Tensor, target: torch.Tensor, *, reduction: Literal["mean", "sum"] = "mean") -> torch.Tensor:
    """(1,) in grey levels. Raises PredictionError (shapes, types, devices, one frame, an unknown reduction)."""
    _check("ordering", prediction, target)
    if reduction not in ("mean", "sum"):
        raise PredictionError(f"ordering: reduction is {reduction!r}, expected 'mean' or 'sum'")
    if len(prediction) < 2:
        raise PredictionError(f"ordering: the clips have {len(prediction)} frame(s), expected at least 2")
    pairs = len(prediction) // 2
    p, g = _levels(prediction), _levels(target)
    (p, p_mirror), (g, g_mirror) = ((clip[:pairs], clip.flip(0)[:pairs]) for clip in (p, g))
    sums = ((p + p_mirror) - (g + g_mirror)).abs()
    differences = ((p - p_mirror).abs() - (g - g_mirror).abs()).abs()
    errors = _mean(sums + differences)
    return (errors.mean() if reduction == "mean" else errors.sum())[None]


def ssim_factors(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The two factors of SSIM, luminance and contrast-structure, at each place of the window, (N, C, H - 10, W - 10) each.

    x, y: (N, C, H, W) on the scale 0 … 255, H and W at least 11. Differentiable. The formula over sum and difference of the pictures: see
    `blurbench.metrics.ssim_sum`.
    """
    s, d = x + y, x - y
    centre = s.mean(dim=(1, 2, 3), keepdim=True)
    s = s - centre
    mean_s, mean_d, square_s, square_d = _filter(torch.cat([s, d, s * s, d * d])).chunk(4)
    variance_s, variance_d = square_s - mean_s**2, square_d - mean_d**2
    mean_s, mean_d = (mean_s + centre) ** 2 + 2 * GAUSSIAN.c1, mean_d**2
    variance_s = variance_s + 2 * GAUSSIAN.c2
    return (mean_s - mean_d) / (mean_s + mean_d), (variance_s - variance_d) / (variance_s + variance_d)


def _ssim(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    luminance, contrast = ssim_factors(*(_levels(frames).permute(0, 3, 1, 2) for frames in (prediction, target)))
    return _mean(luminance * contrast)


def _filter(planes: torch.Tensor) -> torch.Tensor:
    """(N, C, H - 10, W - 10): Gaussian means of (N, C, H, W) where the window fits."""
    channels = planes.shape[1]
    window = _window(planes.device, planes.dtype).expand(channels, 1, -1)
    # In bfloat16 or TF32, variances of bright pictures would be noise.
    with torch.autocast(planes.device.type, enabled=False), exact(str(planes.device)):
        planes = functional.conv2d(planes, window[:, :, :, None], groups=channels)
        return functional.conv2d(planes, window[:, :, None, :], groups=channels)


@cache
def _window(device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    # First asked for in a validation, it must serve gradients later.
    with torch.inference_mode(False):
        return torch.from_numpy(gaussian(RADIUS, SIGMA)).to(device, dtype)


def _levels(frames: torch.Tensor) -> torch.Tensor:
    """On the scale 0 … 255, float32, or float64 where it was that."""
    if frames.dtype == torch.uint8:
        return frames.float()
    return (frames if frames.dtype == torch.float64 else frames.float()) * 255


def _mean(values: torch.Tensor) -> torch.Tensor:
    """(N,) means of the elements of (N, …)."""
    return values.mean(dim=tuple(range(1, values.ndim)), dtype=torch.float32 if values.device.type == "mps" else torch.float64)


def _check(name: str, prediction: torch.Tensor, target: torch.Tensor) -> None:
    for role, clip in (("prediction", prediction), ("target", target)):
        if clip.ndim != 4 or clip.shape[-1] != 3 or not clip.numel():
            raise PredictionError(f"{name}: {role} has shape {tuple(clip.shape)}, expected (T, H, W, 3) in RGB")
        if clip.dtype != torch.uint8 and not clip.is_floating_point():
            raise PredictionError(f"{name}: {role} has dtype {clip.dtype}, expected torch.uint8 or floats in [0, 1]")
    if prediction.shape != target.shape or prediction.device != target.device:
        found = f"{tuple(prediction.shape)} on {prediction.device}, target {tuple(target.shape)} on {target.device}"
        raise PredictionError(f"{name}: prediction is {found}; crop them to one shape and move them to one device")
