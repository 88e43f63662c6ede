"""Initial weights, the way around narrow networks, and the residual block, that several networks share.

What differs between them in the least is in their own files.
"""

from __future__ import annotations

import torch
from torch import nn


class Residual(nn.Module):
    """x + conv(relu(conv(x))), both 3x3."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        change: torch.Tensor = self.second(torch.relu(self.first(x)))
        return x + change


def he(module: nn.Module) -> None:
    """Give all convolutions the initial weights of He et al., ICCV 2015: those of PyTorch let the signal die out behind ReLUs."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            set_bias(layer)


def xavier(module: nn.Module) -> None:
    """Give all convolutions the initial weights of Glorot and Bengio, AISTATS 2010, evenly spread, and no bias."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(layer.weight)
            set_bias(layer)


def almost_still(layer: nn.Conv2d | nn.ConvTranspose2d, std: float = 1e-3) -> None:
    """Give a last layer, whose output is added to something, weights of N(0, std) and no bias."""
    nn.init.normal_(layer.weight, std=std)
    set_bias(layer)


def way_around(*last: nn.Conv2d) -> nn.Parameter:
    """The share, learnt from 1, at which a narrow network adds its blurry picture to what these last layers give, which start at 0.

    Own addition, in no paper, for trainings of an hour: the network starts as a copy of the picture, which it would else learn first.
    """
    for layer in last:
        constant(layer)
    return nn.Parameter(torch.ones(1))


def constant(layer: nn.Conv2d, value: float = 0.0) -> None:
    """Make a last layer give that value everywhere; from the second step on, what comes before it learns as well."""
    nn.init.zeros_(layer.weight)
    set_bias(layer, value)


def set_bias(layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear, value: float = 0.0) -> None:
    """Set the bias, where there is one."""
    if layer.bias is not None:
        nn.init.constant_(layer.bias, value)
