"""Starting values for a narrow decomposer of `zhong2022`: both stages begin near a copy of the blurry picture.

The decomposer has neither skip connections nor a way around its first stage, so it must learn to copy before it can learn to move. With
usual starting values 1,800 steps of the narrow one go into that, colours last, and guidance stays without effect; from here it begins
with motion. Own choice, for short trainings; the paper's size starts as PyTorch has it.

Colours go through the first channels of each layer, unchanged: 3 at the whole size, the 2x2 pixels of each in 12 at half of it, 48 at a
quarter, and back. They are not negative, so no ReLU stops them, and batch norm leaves them as long as its statistics are those that it
starts with, mean 0 and variance 1 (`statistics = "kept"` in the recipe).
"""

from __future__ import annotations

import itertools
from typing import cast

import torch
from torch import nn

from blurbench.baselines._zhong2022_networks import FRAMES, Decomposer, Down, Residual, Stage, Up
from blurbench.errors import RecipeError

COLOURS = 3
STEEPNESS = 4.4
"""Of the logits: sigmoid(4.4 x - 2.2) differs from x by 0.1 at most, in black and white."""
FAINT = -4.0
"""Logits of stage 2, whose output is added and never negative: 0.02 at the start."""

Tap = tuple[int, int, int, int]
"""Output channel, input channel, and row and column of the kernel."""


@torch.no_grad()
def as_copy(network: Decomposer) -> Decomposer:
    """The network itself, started as a copy. Raises RecipeError for one too narrow for 4x4 pixels of colours."""
    room, needed = network.s1.bottleneck[0].conv1.in_channels, 16 * COLOURS
    if room < needed:
        told = f"start is 'copy' with {room} channels at a quarter of the size"
        raise RecipeError(f"{told}, expected {needed} or more; take a width of 0.125 or more")
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    for stage in (network.s1, network.s2):
        _let_through(stage)
    first, second = (cast(nn.Conv2d, stage.final_conv[0]) for stage in (network.s1, network.s2))
    _wire(first, [(COLOURS * frame + colour, colour, 3, 3) for frame in range(FRAMES) for colour in range(COLOURS)], STEEPNESS)
    nn.init.constant_(cast(nn.Parameter, first.bias), -STEEPNESS / 2)
    second.weight.mul_(0.1)
    nn.init.constant_(cast(nn.Parameter, second.bias), FAINT)
    return network


def _let_through(stage: Stage) -> None:
    """Set all layers but the last."""
    _wire(cast(nn.Conv2d, stage.first_conv["conv"]), [(colour, colour, 3, 3) for colour in range(COLOURS)])
    for down, channels in zip(stage.down_blocks, (COLOURS, 4 * COLOURS), strict=True):
        assert isinstance(down, Down)
        _wire(down.conv1, _straight(channels))
        _wire(down.conv2, _halving(channels))
    for block in stage.bottleneck:
        assert isinstance(block, Residual)
        nn.init.zeros_(block.conv2.weight)
        nn.init.zeros_(cast(nn.Parameter, block.conv2.bias))
    for up, channels in zip(stage.up_blocks, (4 * COLOURS, COLOURS), strict=True):
        assert isinstance(up, Up)
        _wire(up.trans, [(fine, coarse, row, column) for coarse, fine, row, column in _halving(channels)])
        _wire(up.conv, _straight(channels))


def _straight(channels: int) -> list[Tap]:
    """Through a 3x3 kernel, in place."""
    return [(channel, channel, 1, 1) for channel in range(channels)]


def _halving(channels: int) -> list[Tap]:
    """The 2x2 pixels of each channel to four channels, for stride 2 and padding 1; what a transposed 4x4 kernel takes back."""
    places = itertools.product(range(channels), (0, 1), (0, 1))
    return [(4 * channel + 2 * row + column, channel, row + 1, column + 1) for channel, row, column in places]


def _wire(layer: nn.Conv2d | nn.ConvTranspose2d, taps: list[Tap], value: float = 1.0) -> None:
    """Give the outputs of `taps` those inputs alone, without bias."""
    kernel = layer.weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else layer.weight
    outputs = sorted({tap[0] for tap in taps})
    kernel[outputs] = 0
    cast(nn.Parameter, layer.bias)[outputs] = 0
    for tap in taps:
        kernel[tap] = value
