"""Starting values for a narrow decomposer of `zhong2022`: both stages begin near a copy of the blurry picture, with guidance at hand.

The decomposer has neither skip connections nor a way around its first stage, so it must learn to copy before it can learn to move. With
usual starting values 1,800 steps of the narrow one go into that, colours last; started as a mere copy it learns in 4,300 steps to copy
better, and guidance stays without effect. From here it moves after 900, but has lost most of its colours after 2,800. Own choice, for short
trainings; the paper's size starts as PyTorch has it.

Through the first channels of each layer go, unchanged, the colours: 3 at the whole size, the 2x2 pixels of each in 12 at half of it, 48 at
a quarter, and back. In stage 1 the *gates* go with them, at half the resolution (4, 4, 16): ten times the grey picture where guidance is of
quadrant I, II, III or IV, black elsewhere. The last layer begins with the colours alone; what it does with the gates is left to learning.
None of these is negative, so no ReLU stops them, and batch norm leaves them as long as its statistics are those that it starts with, mean 0
and variance 1 (`statistics = "kept"` in the recipe).
"""

from __future__ import annotations

import itertools
from typing import cast

import numpy as np
import torch
from torch import nn

from blurbench.baselines._zhong2022_networks import CLASSES, FRAMES, Decomposer, Down, Residual, Stage, Up
from blurbench.errors import RecipeError
from blurbench.synth.guidance import vectors

COLOURS = 3
STEEPNESS = 4.4
"""Of the logits: sigmoid(4.4 x - 2.2) differs from x by 0.1 at most, in black and white."""
FAINT = -4.0
"""Logits of stage 2, whose output is added and never negative: 0.02 at the start."""
GAIN = 10
"""Of the gates: with so much to work on, the last layer needs small weights, which are learnt in few steps."""
QUADRANTS = vectors(np.arange(1, CLASSES)).tolist()
"""Guidance of I, II, III and IV, (x right, y down)."""

Tap = tuple[int, int, int, int]
"""Output channel, input channel, and row and column of the kernel."""


@torch.no_grad()
def as_copy(network: Decomposer) -> Decomposer:
    """The network itself, started as a copy with gates. Raises RecipeError for one that is too narrow."""
    room, needed = network.s1.bottleneck[0].conv1.in_channels, 16 * COLOURS + 4 * len(QUADRANTS)
    if room < needed:
        told = f"start is 'copy' with {room} channels at a quarter of the size"
        raise RecipeError(f"{told}, expected {needed} or more; take a width of 0.125 or more")
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    _let_through(network.s1, len(QUADRANTS))
    _gate(cast(nn.Conv2d, network.s1.first_conv["conv"]))
    _let_through(network.s2)
    first, second = (cast(nn.Conv2d, stage.final_conv[0]) for stage in (network.s1, network.s2))
    _wire(first, [(COLOURS * frame + colour, colour, 3, 3) for frame in range(FRAMES) for colour in range(COLOURS)], STEEPNESS)
    nn.init.constant_(cast(nn.Parameter, first.bias), -STEEPNESS / 2)
    second.weight.mul_(0.1)
    nn.init.constant_(cast(nn.Parameter, second.bias), FAINT)
    return network


def _let_through(stage: Stage, gates: int = 0) -> None:
    """Set all layers but the last. gates: how many channels behind the colours are handed on at half the resolution."""
    whole, half = COLOURS + gates, 4 * COLOURS + gates
    _wire(cast(nn.Conv2d, stage.first_conv["conv"]), [(colour, colour, 3, 3) for colour in range(COLOURS)])
    first, second = cast(list[Down], list(stage.down_blocks))
    _wire(first.conv1, _straight(whole))
    _wire(first.conv2, _halving(COLOURS))
    corners = list(itertools.product(range(gates), (1, 2), (1, 2)))
    _wire(first.conv2, [(4 * COLOURS + gate, COLOURS + gate, row, column) for gate, row, column in corners], 0.25)
    _wire(second.conv1, _straight(half))
    _wire(second.conv2, _halving(half))
    for block in cast(list[Residual], list(stage.bottleneck)):
        nn.init.zeros_(block.conv2.weight)
        nn.init.zeros_(cast(nn.Parameter, block.conv2.bias))
    first, second = cast(list[Up], list(stage.up_blocks))
    _wire(first.trans, _doubling(half))
    _wire(first.conv, _straight(half))
    _wire(second.trans, _doubling(COLOURS))
    _wire(second.trans, [(COLOURS + gate, 4 * COLOURS + gate, row, column) for gate, row, column in corners])
    _wire(second.conv, _straight(whole))


def _gate(layer: nn.Conv2d) -> None:
    """The channels behind the colours: grey times `GAIN` where guidance, inputs 3 and 4, is of the quadrant; else not above 0."""
    for channel, (right, down) in enumerate(QUADRANTS, start=COLOURS):
        layer.weight[channel] = 0
        layer.weight[channel, :, 3, 3] = GAIN * torch.tensor([1 / COLOURS] * COLOURS + [right / 2, down / 2])
        cast(nn.Parameter, layer.bias)[channel] = -GAIN


def _straight(channels: int) -> list[Tap]:
    """Through a 3x3 kernel, in place."""
    return [(channel, channel, 1, 1) for channel in range(channels)]


def _halving(channels: int) -> list[Tap]:
    """The 2x2 pixels of each channel to four channels, for stride 2 and padding 1; what a transposed 4x4 kernel takes back."""
    places = itertools.product(range(channels), (0, 1), (0, 1))
    return [(4 * channel + 2 * row + column, channel, row + 1, column + 1) for channel, row, column in places]


def _doubling(channels: int) -> list[Tap]:
    """The way back, for transposed 4x4 kernels."""
    return [(fine, coarse, row, column) for coarse, fine, row, column in _halving(channels)]


def _wire(layer: nn.Conv2d | nn.ConvTranspose2d, taps: list[Tap], value: float = 1.0) -> None:
    """Give the outputs of `taps` those inputs alone, without bias."""
    kernel = layer.weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else layer.weight
    outputs = sorted({tap[0] for tap in taps})
    kernel[outputs] = 0
    cast(nn.Parameter, layer.bias)[outputs] = 0
    for tap in taps:
        kernel[tap] = value
