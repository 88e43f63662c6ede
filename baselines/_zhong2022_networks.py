"""The networks of "Animation from Blur" (Zhong et al., ECCV 2022): the two-stage decomposer, and the cVAE-GAN that predicts guidance.

Layer names are those of the authors' checkpoints. Which choices are theirs, and where paper and code differ: `zhong2022.py`. What narrow
networks have besides, for trainings of an hour, is in no published one: a way around stage 1 (`around`).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from blurbench.baselines._blocks import constant, way_around
from blurbench.baselines._width import scaled

FRAMES = 7
FINEST = 128
"""Channels of the decomposer at the whole size."""
DARKEST = 0.02
"""Of the blurry picture on its way around stage 1, and as far from white: a sigmoid gives neither 0 nor 1."""
FAINT = -4.0
"""Logits of stage 2, whose output is added and never negative, where there is a way around stage 1: 0.02 at the start."""
CLASSES = 5
"""Of guidance: still, and the quadrants I to IV."""
LATENT = 4
"""Values of the predictor's latent variable."""
SIDE = 256
"""Height and width of the pictures that the predictor takes."""

WIDTHS = (64, 128, 256, 512, 512, 512, 512, 512)
"""Channels of the predictor's levels."""


class Stage(nn.Module):
    """One stage of the decomposer (Fig. 11): (B, inputs, H, W), H and W multiples of 4, to (B, 7, 3, H, W) between 0 and 1.

    64,612,757 parameters with 5 inputs (stage 1), 64,731,925 with 24 (stage 2). Batch norm with running statistics. width: share of all
    hidden channels, see `scaled`. around: see `way_around`, here for the first three inputs, as logits, before the last sigmoid; what is
    left to learn is motion.
    """

    def __init__(self, inputs: int, width: float = 1.0, around: bool = False) -> None:
        super().__init__()
        fine, middle, coarse = (scaled(channels, width) for channels in (FINEST, 256, 512))
        self.first_conv = nn.ModuleDict({"conv": nn.Conv2d(inputs, fine, 7, padding=3), "norm": nn.BatchNorm2d(fine)})
        self.down_blocks = nn.Sequential(Down(fine, middle), Down(middle, coarse))
        self.bottleneck = nn.Sequential(*(Residual(coarse) for _ in range(12)))
        self.up_blocks = nn.Sequential(Up(coarse, middle), Up(middle, fine))
        last = nn.Conv2d(fine, 3 * FRAMES, 7, padding=3)
        self.final_conv = nn.Sequential(last, nn.Sigmoid())
        self.around = way_around(last) if around else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        last, sigmoid = self.final_conv
        y = F.relu(self.first_conv["norm"](self.first_conv["conv"](x)))
        logits = torch.unflatten(last(self.up_blocks(self.bottleneck(self.down_blocks(y)))), 1, (FRAMES, 3))
        if self.around is not None:
            logits = logits + self.around * torch.logit(x[:, :3], eps=DARKEST)[:, None]
        frames: torch.Tensor = sigmoid(logits)
        return frames


class Down(nn.Module):
    """Twice convolution, batch norm, ReLU; the second convolution halves the size."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs)
        self.conv2, self.norm2 = nn.Conv2d(outputs, outputs, 3, stride=2, padding=1), nn.BatchNorm2d(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x))))))


class Residual(nn.Module):
    """x plus twice batch norm, ReLU, convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)
        self.conv2, self.norm2 = nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        change: torch.Tensor = self.conv2(F.relu(self.norm2(self.conv1(F.relu(self.norm1(x))))))
        return x + change


class Up(nn.Module):
    """Transposed convolution to twice the size, then a convolution; batch norm and ReLU behind both."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.trans, self.norm1 = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1), nn.BatchNorm2d(outputs)
        self.conv, self.norm2 = nn.Conv2d(outputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.norm2(self.conv(F.relu(self.norm1(self.trans(x))))))


class Decomposer(nn.Module):
    """Both stages (Fig. 2); 129,344,682 parameters. width: of stage 1; refining_width: of stage 2. around: see `Stage`, here of stage 1."""

    def __init__(self, width: float = 1.0, refining_width: float = 1.0, around: bool = False) -> None:
        super().__init__()
        self.s1 = Stage(3 + 2, width, around)
        self.s2 = Stage(3 + 3 * FRAMES, refining_width)
        if around:
            constant(cast(nn.Conv2d, self.s2.final_conv[0]), FAINT)

    def forward(self, blurry: torch.Tensor, guidance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The output of stage 1, in [0, 1], and the final one, not clamped, in [0, 2]; both (B, 7, 3, H, W).

        blurry: (B, 3, H, W) in [0, 1]; guidance: (B, 2, H, W) of -1, 0 and 1, (x right, y down). Where guidance is (0, 0), stage 1
        gives the blurry pixel.
        """
        rough = self.s1(torch.cat([blurry, guidance], dim=1))
        still = (guidance == 0).all(dim=1)[:, None, None]
        rough = torch.where(still, blurry[:, None], rough)
        refined = rough + self.s2(torch.cat([blurry, rough.flatten(1, 2)], dim=1))
        return rough, refined


class Generator(nn.Module):
    """The guidance predictor's generator P_G, a U-Net: (B, 3, 256, 256) in [0, 1] to logits (B, 5, 256, 256); 54,606,213 parameters."""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        self.model = Level(0, width)

    def forward(self, blurry: torch.Tensor, latent: torch.Tensor, rng: np.random.Generator | None = None) -> torch.Tensor:
        """latent: (B, 4). rng: dropout draws from it, in training and else; without, torch draws in training and nothing drops else."""
        logits: torch.Tensor = self.model(blurry, latent, rng)
        return logits


class Level(nn.Module):
    """One level of the U-Net and those below it: (B, C, H, W) to what comes up from them and, but for level 0, the input behind it."""

    def __init__(self, depth: int, width: float = 1.0) -> None:
        super().__init__()
        self.depth = depth
        inputs, inner = (scaled(WIDTHS[depth - 1], width) if depth else 3), scaled(WIDTHS[depth], width)
        down = nn.Conv2d(inputs + LATENT, inner, 4, stride=2, padding=1)
        if not depth:
            self.down = nn.Sequential(down)
        elif depth < len(WIDTHS) - 1:
            self.down = nn.Sequential(nn.LeakyReLU(0.2), down, nn.InstanceNorm2d(inner))
        else:
            self.down = nn.Sequential(nn.LeakyReLU(0.2), down)  # one pixel has no variance to be divided by
        self.submodule = Level(depth + 1, width) if depth < len(WIDTHS) - 1 else None
        joined = inner if self.submodule is None else 2 * inner
        up = nn.ConvTranspose2d(joined, inputs if depth else CLASSES, 4, stride=2, padding=1)
        self.up = nn.Sequential(nn.ReLU(), up, nn.InstanceNorm2d(inputs)) if depth else nn.Sequential(nn.ReLU(), up)

    def forward(self, x: torch.Tensor, latent: torch.Tensor, rng: np.random.Generator | None) -> torch.Tensor:
        planes = latent[:, :, None, None].expand(-1, -1, *x.shape[2:])
        y = self.down(torch.cat([x, planes], dim=1))
        if self.submodule is not None:
            y = self.submodule(y, latent, rng)
        y = self.up(y)
        if self.depth in (4, 5, 6):
            y = self._dropped(y, rng)
        return torch.cat([y, x], dim=1) if self.depth else y

    def _dropped(self, y: torch.Tensor, rng: np.random.Generator | None) -> torch.Tensor:
        if rng is None:
            return F.dropout(y, 0.5, self.training)
        # Drawn by NumPy: torch's own dropout takes no generator, and draws otherwise on each kind of device.
        return y * torch.from_numpy(2 * rng.integers(2, size=tuple(y.shape), dtype=np.uint8)).to(y)


class Encoder(nn.Module):
    """The guidance predictor's encoder P_E: one-hot guidance (B, 5, 256, 256) to mean and log-variance, each (B, 4); 2,590,024 parameters.

    For training only. width: share of all hidden channels, see `scaled`.
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        channels = [scaled(each, width) for each in (64, 128, 192, 256, 256)]
        first = nn.Conv2d(CLASSES, channels[0], 4, stride=2, padding=1)
        blocks = (Halving(inputs, outputs) for inputs, outputs in pairwise(channels))
        self.conv = nn.Sequential(first, *blocks, nn.LeakyReLU(0.2), nn.AvgPool2d(8))
        self.fc = nn.Sequential(nn.Linear(channels[-1], LATENT))
        self.fcVar = nn.Sequential(nn.Linear(channels[-1], LATENT))

    def forward(self, guidance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.conv(guidance).flatten(1)
        return self.fc(features), self.fcVar(features)


class Halving(nn.Module):
    """A residual block that averages 2x2 pixels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.InstanceNorm2d(inputs),
            nn.LeakyReLU(0.2),
            nn.Conv2d(inputs, inputs, 3, padding=1),
            nn.InstanceNorm2d(inputs),
            nn.LeakyReLU(0.2),
            nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.AvgPool2d(2)),
        )
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(inputs, outputs, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        changed: torch.Tensor = self.conv(x) + self.shortcut(x)
        return changed


class Discriminator(nn.Module):
    """The discriminator: guidance (B, 5, H, W), soft or one-hot, to a score for each patch at two scales; 3,462,050 parameters.

    The picture is not seen. For training only. width: share of all hidden channels, see `scaled`.
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        self.model_0 = nn.Sequential(*_patches(scaled(64, width)))
        self.model_1 = nn.Sequential(*_patches(scaled(32, width)))

    def forward(self, guidance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores (B, 1, H/8 - 2, W/8 - 2) at full and (B, 1, H/16 - 2, W/16 - 2) at half size, for H and W multiples of 16."""
        half = F.avg_pool2d(guidance, 3, stride=2, padding=1, count_include_pad=False)
        return self.model_0(guidance), self.model_1(half)


def _patches(base: int) -> Iterator[nn.Module]:
    yield from (nn.Conv2d(CLASSES, base, 4, stride=2, padding=1), nn.LeakyReLU(0.2))
    for inputs, stride in ((base, 2), (2 * base, 2), (4 * base, 1)):
        yield nn.Conv2d(inputs, 2 * inputs, 4, stride=stride, padding=1)
        yield from (nn.InstanceNorm2d(2 * inputs), nn.LeakyReLU(0.2))
    yield nn.Conv2d(8 * base, 1, 4, padding=1)
