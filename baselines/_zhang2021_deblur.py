"""The motion-aware deblurring network of Motion-ETR (Y. Zhang et al., TPAMI 2021; Eq. 16 of arXiv 2020); 6,554,000 parameters.

It holds an offset network of its own, trained further with it, and DMPHN(1-2-4), whose last two residual blocks at full size have
motion-aware convolutions: their nine taps lie at places that follow the offsets. Other than in DMPHN, the input is not shifted, and what
comes out is added to it. H and W are multiples of 8.

As released, which the official weights need:

- the 18 tap coordinates stand as nine dy, then nine dx, while the convolution reads pairs (dy, dx). So tap 0 moves by (dy of block 3, dy
  of block 4), tap 4 by (dy of block 11, dx of block 3), and the regular grid, subtracted in the same order, does not cancel either;
- the offsets taken are blocks 3 to 11 of the network's 15, which are not in order of time: -3/7 ... -6/7, 0, 1/7 ... 4/7;
- they are scaled by 0.08, a constant that stands in the checkpoint as `ratio_3`.

As printed, tap n lies at alpha times offset n, alpha = 0.1, nine offsets with zero in the middle. The paper does not say which nine: here
the middle ones of the 15 in order of time, -4/7 ... 4/7.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from blurbench.baselines._blocks import xavier
from blurbench.baselines._width import scaled
from blurbench.baselines._zhang2019_network import CHANNELS, Encoder, Residual, join, split
from blurbench.baselines._zhang2021_offsets import Constraint, OffsetNetwork, offsets, released_order

Shifts = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From offsets (B, 15, 2, H, W) and a ratio () to where nine taps lie, (B, 9, 2, H, W)."""


class Taps(NamedTuple):
    """Where nine taps read: pixels (9, B*H*W, 4) int32, counted over the batch row by row, and their bilinear shares, float32."""

    pixels: torch.Tensor
    shares: torch.Tensor


def released_shifts(offsets: torch.Tensor, ratio: torch.Tensor) -> torch.Tensor:
    """(B, 15, 2, H, W) to (B, 9, 2, H, W): the (row, column) of each tap from the output pixel, packed as in the released code."""
    channels = released_order(offsets)[:, 6:24]
    stacked = torch.cat([channels[:, 0::2], channels[:, 1::2]], dim=1) * ratio
    grid = torch.cartesian_prod(torch.arange(-1, 2), torch.arange(-1, 2)).to(offsets)
    deformation = stacked - grid.T.reshape(18, 1, 1)
    return deformation.reshape(len(offsets), 9, 2, *offsets.shape[-2:]) + grid[..., None, None]


def printed_shifts(offsets: torch.Tensor, ratio: torch.Tensor) -> torch.Tensor:
    """(B, 15, 2, H, W) to (B, 9, 2, H, W): the (row, column) of each tap from the output pixel as in Eq. 16, a piece of the trajectory."""
    return offsets[:, 3:12] * ratio


def taps(shifts: torch.Tensor) -> Taps:
    """Bilinear sampling of shifts (B, 9, 2, H, W), (row, column) in pixels from the own one; outside the picture lie zeros."""
    batch, count, _, height, width = shifts.shape
    device = shifts.device
    rows, columns = (torch.arange(size, device=device, dtype=torch.float32) for size in (height, width))
    shifts = shifts.float()
    # Beyond one pixel outside nothing is read; the limit keeps integers small.
    row, column = (shifts[:, :, 0] + rows[:, None]).clamp(-1, height), (shifts[:, :, 1] + columns).clamp(-1, width)
    top, left = row.floor(), column.floor()
    first = torch.arange(batch, device=device, dtype=torch.int32).view(-1, 1, 1, 1) * height
    pixels, shares = [], []
    for below in (0, 1):
        y = top.int() + below
        share_y = (1 - (row - top - below).abs()) * ((y >= 0) & (y < height))
        line = (first + y.clamp(0, height - 1)) * width
        for beside in (0, 1):
            x = left.int() + beside
            pixels.append(line + x.clamp(0, width - 1))
            shares.append(share_y * (1 - (column - left - beside).abs()) * ((x >= 0) & (x < width)))
    return Taps(*(torch.stack(each, dim=-1).transpose(0, 1).reshape(count, -1, 4) for each in (pixels, shares)))


class MotionAwareConvolution(nn.Module):
    """A 3x3 convolution whose nine taps lie at given places: (B, C, H, W) to (B, D, H, W); a deformable convolution with mask 1."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        regular = nn.Conv2d(inputs, outputs, 3)  # for its initial values only
        xavier(regular)
        self.weight, self.bias = regular.weight, regular.bias

    def forward(self, x: torch.Tensor, at: Taps) -> torch.Tensor:
        batch, channels, height, width = x.shape
        assert self.bias is not None
        rows = x.permute(0, 2, 3, 1).reshape(-1, channels).to(self.weight.dtype)
        total = self.bias.expand(len(rows), -1).clone()
        # Tap by tap, for all nine side by side would take nine times the memory of the picture.
        for pixels, shares, weight in zip(at.pixels, at.shares, self.weight.flatten(2).permute(2, 1, 0), strict=True):
            total.addmm_(F.embedding_bag(pixels, rows, mode="sum", per_sample_weights=shares.to(rows.dtype)), weight)
        return total.view(batch, height, width, -1).permute(0, 3, 1, 2)


class Decoder(nn.Module):
    """Features (B, 128, H/4, W/4) and offsets (B, 15, 2, H, W) to a residual (B, 3, H, W); names are those of the checkpoints."""

    def __init__(self, ratio: float, shifts: Shifts, width: float = 1.0) -> None:
        super().__init__()
        fine, middle, coarse = (scaled(each, width) for each in CHANNELS)
        self.shifts = shifts
        self.ratio_3 = nn.Parameter(torch.tensor(ratio), requires_grad=False)
        self.layer13, self.layer14 = Residual(coarse), Residual(coarse)
        self.layer16 = nn.ConvTranspose2d(coarse, middle, 4, stride=2, padding=1)
        self.layer17, self.layer18 = Residual(middle), Residual(middle)
        self.layer20 = nn.ConvTranspose2d(middle, fine, 4, stride=2, padding=1)
        self.dcn_5_0, self.dcn_5_1 = MotionAwareConvolution(fine, fine), MotionAwareConvolution(fine, fine)
        self.dcn_6_0, self.dcn_6_1 = MotionAwareConvolution(fine, fine), MotionAwareConvolution(fine, fine)
        self.layer24 = nn.Conv2d(fine, 3, 3, padding=1)

    def forward(self, features: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        at = taps(self.shifts(offsets, self.ratio_3))
        x = self.layer16(self.layer14(self.layer13(features)))
        x = self.layer20(self.layer18(self.layer17(x)))
        x = x + self.dcn_5_1(torch.relu(self.dcn_5_0(x, at)), at)
        x = x + self.dcn_6_1(torch.relu(self.dcn_6_0(x, at)), at)
        residual: torch.Tensor = self.layer24(x)
        return residual


class MultiPatch(nn.Module):
    """DMPHN(1-2-4) with motion-aware decoders: image (B, 3, H, W) in [0, 1] and offsets (B, 15, 2, H, W) to the sharp image."""

    def __init__(self, ratio: float, shifts: Shifts, width: float = 1.0) -> None:
        super().__init__()
        self.encoder_lv1, self.encoder_lv2, self.encoder_lv3 = (Encoder(width) for _ in range(3))
        self.decoder_lv1, self.decoder_lv2, self.decoder_lv3 = (Decoder(ratio, shifts, width) for _ in range(3))

    def forward(self, image: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        # Halves see the offsets of their half, in pixels of the whole, and zeros beyond the cut.
        halves = split(offsets.flatten(1, 2), 2, 1)
        halves = halves.view(len(halves), -1, 2, *halves.shape[-2:])
        features = join(self.encoder_lv3(split(image, 2, 2)), 1, 2)
        residual = self.decoder_lv3(features, halves)
        features = join(self.encoder_lv2(split(image, 2, 1) + residual) + features, 2, 1)
        residual = self.decoder_lv2(features, offsets)
        features = self.encoder_lv1(image + residual) + features
        change: torch.Tensor = self.decoder_lv1(features, offsets)
        return image + change


class MotionAware(nn.Module):
    """The deblurring network: (B, 3, H, W) in [0, 1] to sharp ones, not clamped; 6,554,000 parameters. H, W as in `OffsetNetwork`.

    as_released: taps packed as in the released code and 0.08; else as printed, and 0.1. width: share of all hidden channels, see `scaled`.
    """

    def __init__(self, as_released: bool = True, width: float = 1.0, constraint: Constraint = "quadratic") -> None:
        super().__init__()
        self.offset_net = OffsetNetwork(constraint, width)
        self.deblur_net = MultiPatch(*((0.08, released_shifts) if as_released else (0.1, printed_shifts)), width)

    def forward(self, blurry: torch.Tensor) -> torch.Tensor:
        sharp: torch.Tensor = self.deblur_net(blurry, offsets(self.offset_net, blurry))
        return sharp
