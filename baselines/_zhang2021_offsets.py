"""Motion offsets: the network that estimates them, the curves they lie on, and the blur-creation module (Y. Zhang et al., TPAMI 2021).

A motion offset (dy, dx) in pixels says where in the centre frame a pixel of another moment is found: frame_t(p) = centre(p + offset_t)
(Eq. 2), so what moves to the right has a negative dx later. Offsets are (B, N, 2, H, W) in order of time. Times are the paper's
2n/(N-1) - 1: -1 for the first of the averaged frames, 0 for the centre, 1 for the last; the network is trained with N = 15.

The network gives control points and a constraint says how the offsets follow from them (Section 4.2):

| constraint | control points | offset at time t |
|---|---|---|
| quadratic | start S, end E | (t^2 - t)/2 S + (t^2 + t)/2 E (Eq. 14) |
| bi-linear | start S, end E | -t S before the centre, t E after it (Eq. 13) |
| linear | start S | -t S, i.e. E = -S (Eq. 12) |
| zero | an offset for each of 15 times | the points themselves, linear between them, constant beyond; the centre is free too |

Where paper and released code differ, and the choice made here:

- Table 1 prints transposed convolutions of 5x5; the released weights are 4x4, and so is this network;
- zero constraint: the paper tabulates it, the released code lacks it. Here the last convolution gives 30 channels, in order of time;
- offsets that leave the picture read zeros, as in the code and Eq. 5, so a warped frame darkens at the borders;
- the released network returns 30 channels in an order that is not that of time; `released_order` gives them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from blurbench import weights as files
from blurbench.baselines._network import with_twins
from blurbench.baselines._width import scaled, width_of
from blurbench.errors import PredictionError
from blurbench.train import losses
from blurbench.types import F64

Constraint = Literal["zero", "linear", "bi-linear", "quadratic"]

FINEST = 16
"""Channels of the offset network at half size."""

COUNT = 15
"""Offsets of one picture in training, in re-blurring and in the paper's tables."""

GRID: tuple[float, ...] = tuple(n / (COUNT // 2) for n in range(-(COUNT // 2), COUNT // 2 + 1))
"""Their times, -1 to 1."""

_POINTS: dict[str, int] = {"zero": COUNT, "linear": 1, "bi-linear": 2, "quadratic": 2}
_RELEASED = (0, 6, 5, 4, 3, 2, 1, *range(7, COUNT))


class _Residual(nn.Module):
    """x + conv(relu(conv(x))), both 5x5, the border repeated."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        pad = nn.ReplicationPad2d(2)
        first, second = nn.Conv2d(channels, channels, 5), nn.Conv2d(channels, channels, 5)
        self.conv_block = nn.Sequential(pad, first, nn.ReLU(), pad, second)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        change: torch.Tensor = self.conv_block(x)
        return x + change


class _Bottleneck(nn.Module):
    """1x1 and 3x3 convolutions, LeakyReLU 0.2 behind each. Checkpoints name each of the two twice."""

    def __init__(self, inputs: int, middle: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, middle, 1)
        self.conv2 = nn.Conv2d(middle, outputs, 3, padding=1)
        self.model = nn.Sequential(self.conv1, nn.LeakyReLU(0.2), self.conv2, nn.LeakyReLU(0.2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.model(x)
        return y


class OffsetNetwork(nn.Module):
    """(B, 3, H, W) RGB in [0, 1] to control points (B, K, 2, H, W), (dy, dx) in pixels; K = 1, 2, 2 or 15 by constraint.

    H and W are multiples of 8 and at least 16. Parameters: 1,129,604; linear 1,128,002; zero 1,150,430. Source: Table 1. width: share of
    all hidden channels, see `scaled`.
    """

    def __init__(self, constraint: Constraint = "quadratic", width: float = 1.0) -> None:
        super().__init__()
        if constraint not in _POINTS:
            raise ValueError(f"constraint {constraint!r} is unknown, expected one of {', '.join(get_args(Constraint))}")
        self.constraint: Constraint = constraint
        fine, middle, coarse, wide = (scaled(channels, width) for channels in (FINEST, 32, 64, 128))
        self.conv_1 = _stage(12, fine, nn.ReflectionPad2d(2), stride=1)
        self.conv_2 = _stage(fine, middle, nn.ReflectionPad2d((1, 2, 1, 2)), stride=2)
        self.conv_3 = _stage(middle, coarse, nn.ReflectionPad2d((1, 2, 1, 2)), stride=2)
        self.bottleneck_1 = _Bottleneck(coarse, wide, coarse)
        self.uconv_1 = nn.ConvTranspose2d(coarse, middle, 4, stride=2, padding=1)
        self.bottleneck_2 = _Bottleneck(coarse, wide, coarse)
        self.uconv_2 = nn.ConvTranspose2d(coarse, fine, 4, stride=2, padding=1)
        self.bottleneck_3 = _Bottleneck(middle, coarse, middle)
        self.uconv_3 = nn.ConvTranspose2d(middle, middle, 4, stride=2, padding=1)
        self.conv_out_0 = nn.Conv2d(middle, 2 * _POINTS[constraint], 5, padding=2)

    def forward(self, blurry: torch.Tensor) -> torch.Tensor:
        half = self.conv_1(_space_to_depth(blurry))
        quarter = self.conv_2(half)
        x = self.bottleneck_1(self.conv_3(quarter))
        x = self.bottleneck_2(torch.cat([F.leaky_relu(self.uconv_1(x), 0.2), quarter], dim=1))
        x = self.bottleneck_3(torch.cat([F.leaky_relu(self.uconv_2(x), 0.2), half], dim=1))
        points: torch.Tensor = self.conv_out_0(torch.relu(self.uconv_3(x)))
        return points.view(len(points), -1, 2, *points.shape[-2:])


def _stage(inputs: int, outputs: int, pad: nn.Module, stride: int) -> nn.Sequential:
    blocks = nn.Sequential(*(_Residual(outputs) for _ in range(3)))
    return nn.Sequential(pad, nn.Conv2d(inputs, outputs, 5, stride=stride), nn.ReLU(), blocks)


def _space_to_depth(image: torch.Tensor) -> torch.Tensor:
    """(B, 3, H, W) to (B, 12, H/2, W/2): even rows and columns, even rows, even columns, the rest; RGB each."""
    batch, channels, height, width = image.shape
    cells = image.reshape(batch, channels, height // 2, 2, width // 2, 2)
    return cells.permute(0, 3, 5, 1, 2, 4).reshape(batch, 4 * channels, height // 2, width // 2)


def coefficients(constraint: Constraint, times: Sequence[float] | F64) -> F64:
    """(N, K) float64: how much of each control point is in the offset at each time. Exact at -1, 0 and 1. Source: Eq. 12 to 14."""
    t = np.asarray(times, np.float64)
    if constraint == "quadratic":
        return np.stack([(t * t - t) / 2, (t * t + t) / 2], axis=1)
    if constraint == "bi-linear":
        return np.stack([np.maximum(-t, 0), np.maximum(t, 0)], axis=1)
    if constraint == "linear":
        return -t[:, None]
    return np.stack([np.interp(t, GRID, point) for point in np.eye(COUNT)], axis=1)


def trajectory(points: torch.Tensor, constraint: Constraint, times: Sequence[float] | F64 = GRID) -> torch.Tensor:
    """Control points (B, K, 2, H, W) to offsets (B, N, 2, H, W) at `times` (-1 to 1; the curve goes on beyond)."""
    share = torch.from_numpy(coefficients(constraint, times)).to(points)
    return torch.einsum("nk,bkchw->bnchw", share, points)


def offsets(network: OffsetNetwork, blurry: torch.Tensor, times: Sequence[float] | F64 = GRID) -> torch.Tensor:
    """Exposure trajectories of a blurry picture: offsets (B, N, 2, H, W), (dy, dx) in pixels, in the order of `times`.

    blurry: (B, 3, H, W) RGB in [0, 1], H and W multiples of 8 and at least 16. times: -1 first averaged frame, 0 centre, 1 last; the
    default is the 15 of the paper, for `reblur`. `times=(-1, 1)` gives start and end, whose difference the paper's motion error compares
    with the true motion. Which end comes first in time a single picture cannot tell. Raises PredictionError.
    """
    height, width = blurry.shape[-2:]
    if height % 8 or width % 8 or min(height, width) < 16:
        raise PredictionError(f"motion offsets: the picture is {width}x{height}, expected multiples of 8, at least 16; pad or crop it")
    return trajectory(network(blurry), network.constraint, times)


def released_order(offsets: torch.Tensor) -> torch.Tensor:
    """The 15 offsets (B, 15, 2, H, W) as the 30 channels (B, 30, H, W) of the released network: times -1, -1/7 ... -6/7, 0, 1/7 ... 1."""
    return offsets[:, list(_RELEASED)].flatten(1, 2)


def warp(sharp: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """Frames (B, N, C, H, W) out of the centre frame (B, C, H, W): frame_n(p) = sharp(p + offset_n), bilinear, zeros outside (Eq. 2, 4).

    offsets: (B, N, 2, H, W), (dy, dx) in pixels. Computed in float32, returned in the type of `sharp`. Differentiable in both.
    """
    if not _in_strips(sharp, offsets):
        return _whole(sharp.float(), offsets.float()).to(sharp.dtype)
    batch, count, _, height, width = offsets.shape
    # NumPy asks for huge pages: a fresh tensor of torch costs as much as the sampling where the system has small ones.
    frames = torch.from_numpy(np.empty((batch, count, sharp.shape[1], height, width), np.float32))
    for number, rows, pixels in _strips(sharp, offsets):
        frames[number, :, :, rows] = pixels
    return frames.to(sharp.dtype)


def reblur(sharp: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """The blur-creation module: the mean of the frames `warp` gives, (B, C, H, W) (Eq. 3), in the light of `sharp` (no linearising).

    sharp: (B, C, H, W); offsets: (B, N, 2, H, W), (dy, dx) in pixels, in any order. Where an offset leaves the picture, zero is averaged
    in. For the paper's re-blur score give the true centre frame and the 15 offsets of the blurry one.
    """
    if not _in_strips(sharp, offsets):
        return warp(sharp, offsets).mean(dim=1)
    total = torch.zeros(sharp.shape)
    for number, rows, pixels in _strips(sharp, offsets):
        total[number, :, rows] = pixels.sum(dim=0)
    return (total / offsets.shape[1]).to(sharp.dtype)


_FLOOR = 2e-3
"""Light added before the root of a loss: at 0 its slope has no bound, and dark pixels would drown all others."""


def exposed(sharp: torch.Tensor, offsets: torch.Tensor, gamma: float, floor: float = 0.0) -> torch.Tensor:
    """`reblur` in linear light, for data that were exposed so: (mean(frames^gamma) + floor)^(1/gamma). gamma 1 is `reblur` itself."""
    return reblur(sharp, offsets) if gamma == 1 else _encoded(reblur(_light(sharp, gamma), offsets), gamma, floor)


def _light(codes: torch.Tensor, gamma: float) -> torch.Tensor:
    return codes.float().clamp(0, 1) ** gamma


def _encoded(light: torch.Tensor, gamma: float, floor: float) -> torch.Tensor:
    return (light + floor) ** (1 / gamma)


def reblurring(
    network: OffsetNetwork, blurry: torch.Tensor, sharp: torch.Tensor, settings: Mapping[str, Any], gamma: float = 1.0
) -> dict[str, torch.Tensor]:
    """The terms that an offset network learns from, without any true motion (Eq. 6 to 10).

    blurry, sharp (the centre frame): (B, 3, H, W) in [0, 1]. settings: the weights `structure` of 1 - MS-SSIM, `smoothness` of the total
    variation of the offsets, `size` of their mean square. gamma: see `exposed`. Multi-scale SSIM is the canonical one; the authors' package
    raises the last scale's factor into each of the others.
    """
    curves = offsets(network, blurry).float()
    again = exposed(sharp, curves, gamma, _FLOOR)
    blurry = blurry if gamma == 1 else _encoded(_light(blurry, gamma), gamma, _FLOOR)
    return {
        "reblur": losses.squared(again, blurry),
        "structure": settings["structure"] * (1 - losses.ms_ssim(again, blurry)),
        "smoothness": settings["smoothness"] * losses.total_variation(curves),
        "size": settings["size"] * curves.square().mean(),
    }


_ROWS = 8
"""Sampled together on a CPU: places and pixels of that many rows of all frames stay in its cache."""


def _in_strips(sharp: torch.Tensor, offsets: torch.Tensor) -> bool:
    """A GPU wants all at once, and so do gradients."""
    return sharp.device.type == "cpu" and not (torch.is_grad_enabled() and (sharp.requires_grad or offsets.requires_grad))


def _strips(sharp: torch.Tensor, offsets: torch.Tensor) -> Iterator[tuple[int, slice, torch.Tensor]]:
    """One strip of a picture after the other: the picture's number, the rows, and the pixels of all frames there (N, C, h, W) float32."""
    (centres, scale), height = _lattice(offsets), offsets.shape[-2]
    for number, (picture, shifts) in enumerate(zip(sharp.float(), offsets, strict=True)):
        # The sampler's threads share pictures: each frame is of one of its own, which costs nothing as none is copied.
        pictures = picture.expand(len(shifts), -1, -1, -1)
        for top in range(0, height, _ROWS):
            rows = slice(top, min(top + _ROWS, height))
            yield number, rows, _sample(pictures, _places(centres[:, rows], scale, shifts[:, :, rows].float()))


def _whole(sharp: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """All frames at once, (B, N, C, H, W) float32, sampled as one that is N times as tall, so that no picture is there N times."""
    places = _places(*_lattice(offsets), offsets)
    return torch.unflatten(_sample(sharp, places.flatten(1, 2)), 2, places.shape[1:3]).transpose(1, 2)


def _lattice(offsets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Where pixels are, (2, H, W) float32, (row, column), and the size of one, (2, 1, 1), as `grid_sample` counts: the outer edges of the
    picture are -1 and 1.
    """
    scale = torch.tensor([2 / size for size in offsets.shape[-2:]], device=offsets.device)
    axes = [(torch.arange(size, device=offsets.device) + 0.5) * (2 / size) - 1 for size in offsets.shape[-2:]]
    return torch.stack(torch.meshgrid(axes, indexing="ij")), scale.view(2, 1, 1)


def _places(centres: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Where pixels at `centres` (2, h, W) with offsets (..., 2, h, W) are found, (..., h, W, 2), row first, as `_lattice` counts."""
    return torch.addcmul(centres, shift, scale).movedim(-3, -1)


def _sample(pictures: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Pixels (B, C, h, W) of pictures (B, C, H, W) at places (B, h, W, 2), bilinear, zeros outside."""
    # The sampler wants the column first: it gets pictures that lie on their side.
    return F.grid_sample(pictures.mT, places, mode="bilinear", padding_mode="zeros", align_corners=False)


def load_offsets(path: Path, constraint: Constraint = "quadratic", device: str = "cpu") -> OffsetNetwork:
    """The network of a `latest_net_offset.pth` or safetensors file, for inference. The file does not say quadratic or bi-linear.

    Raises WeightsError for a file of another network or another number of control points.
    """
    state = state_of(files.read(path), path)
    network = OffsetNetwork(constraint, width_of(state, "conv_1.1.bias", FINEST))
    files.fit(network, state, path)
    return network.eval().to(device)


def state_of(given: Mapping[str, torch.Tensor], path: Path) -> dict[str, torch.Tensor]:
    """A checkpoint of these authors as `weights.fit` wants it: float32, without `module.`, both names of each bottleneck layer there.

    Raises WeightsError where the two names of one layer hold different values.
    """
    state = {key.removeprefix("module."): value.float() for key, value in given.items() if not key.endswith("num_batches_tracked")}
    return with_twins(state, _twin, path, "layer")


def _twin(key: str) -> list[str]:
    """The other name of a bottleneck layer: `bottleneck_1.conv1.bias` for `bottleneck_1.model.0.bias` and back; none of other layers."""
    names = ((".conv1.", ".model.0."), (".conv2.", ".model.2.")) if "bottleneck_" in key else ()
    there = [key.replace(own, other) for own, other in names if own in key]
    return there + [key.replace(other, own) for own, other in names if other in key]
