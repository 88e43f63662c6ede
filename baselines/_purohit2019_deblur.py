"""The dense deblurring module of *Bringing Alive Blurred Moments* (K. Purohit et al., CVPR 2019, section 2.5 and Fig. 4).

(B, 3, H, W) RGB in [0, 1], H and W multiples of 16, to the sharp picture, not clamped. Space to depth makes 12 channels at half size; the
encoder has residual dense blocks at 1/2, 1/4, 1/8 and 1/16; three times a bottleneck and a deconvolution double the size, and the
encoder's features of that size stand beside, projected by a 1x1 convolution; two convolutions make the picture.

What the paper says -> what is done here:

- space to depth: before the encoder; factor not printed -> 2, undone at the end: with three doublings and three skips the decoder ends
  where the encoder began;
- blocks: "a cascade of Residual Dense Blocks"; "growth rate" studied, neither printed -> two a scale, six convolutions each, growth 32,
  residuals scaled by 0.1 (Lim et al. 2017, whom the paper cites for it);
- channels: 17.9 MB in all -> 64, 112, 144, 192 at 1/2 to 1/16 (17.95 MB); a bottleneck halves what it gets;
- non-linearity: behind each convolution but the last -> ReLU; not behind a block's fusion, which is added to its input;
- output: "the output sharp image" -> what is added to the blurry one;
- initial weights: nothing -> `he`, N(0, 0.001) for the output.

The blocks are not those of `shen2020`: growth and depth differ, and theirs are not scaled.
"""

from __future__ import annotations

import itertools

import torch
from torch import nn
from torch.nn import functional as F

from blurbench.baselines._blocks import almost_still, he
from blurbench.baselines._width import scaled

CHANNELS = (64, 112, 144, 192)
"""At 1/2, 1/4, 1/8 and 1/16."""

GROWTH, LAYERS, BLOCKS, SCALING = 32, 6, 2, 0.1


class DenseBlock(nn.Module):
    """Residual dense block (Zhang et al., CVPR 2018): 3x3 convolutions that each see all before them, a 1x1 fusion, scaled, and x added."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.grow = nn.ModuleList(nn.Conv2d(channels + step * growth, growth, 3, padding=1) for step in range(LAYERS))
        self.fuse = nn.Conv2d(channels + LAYERS * growth, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = x
        for grow in self.grow:
            seen = torch.cat([seen, torch.relu(grow(seen))], dim=1)
        change: torch.Tensor = self.fuse(seen)
        return x + SCALING * change


class Up(nn.Module):
    """One step of the decoder: bottleneck, deconvolution, and the encoder's features of twice the size, projected, beside what came out."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.bottleneck = nn.Conv2d(inputs, inputs // 2, 1)
        self.enlarge = nn.ConvTranspose2d(inputs // 2, outputs, 4, stride=2, padding=1)
        self.project = nn.Conv2d(outputs, outputs, 1)

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.enlarge(torch.relu(self.bottleneck(x))))
        return torch.cat([x, torch.relu(self.project(skip))], dim=1)


class DenseDeblur(nn.Module):
    """DM. width: share of all channels, a multiple of 1/16."""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        channels, growth = [scaled(each, width) for each in CHANNELS], scaled(GROWTH, width)
        self.enter = nn.Conv2d(12, channels[0], 3, padding=1)
        self.dense = nn.ModuleList(nn.Sequential(*(DenseBlock(each, growth) for _ in range(BLOCKS))) for each in channels)
        self.down = nn.ModuleList(nn.Conv2d(fine, coarse, 3, stride=2, padding=1) for fine, coarse in itertools.pairwise(channels))
        # What comes from a scale below has as many channels again beside it, but at the bottom.
        inputs = [channels[3], 2 * channels[2], 2 * channels[1]]
        self.up = nn.ModuleList(Up(before, after) for before, after in zip(inputs, channels[2::-1], strict=True))
        self.leave = nn.Conv2d(2 * channels[0], channels[0], 3, padding=1)
        self.picture = nn.Conv2d(channels[0], 12, 3, padding=1)
        he(self)
        almost_still(self.picture)  # training starts near a copy of the blur

    def forward(self, blurry: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.enter(F.pixel_unshuffle(blurry, 2)))
        skips = []
        for dense, down in zip(self.dense[:-1], self.down, strict=True):
            skips.append(dense(x))
            x = torch.relu(down(skips[-1]))
        x = self.dense[-1](x)
        for up, skip in zip(self.up, reversed(skips), strict=True):
            x = up(x, skip)
        return blurry + F.pixel_shuffle(self.picture(torch.relu(self.leave(x))), 2)
