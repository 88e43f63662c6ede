"""The networks of DMPHN (H. Zhang et al., CVPR 2019): encoder and decoder of a level, levels on patches, and networks in a row.

Pictures are (B, 3, H, W), H and W multiples of 8. Three levels, each an encoder (to 128 channels at 1/4 size) and a decoder of its own,
work on 4, 2 and 1 patches of the picture, finest patches first (Fig. 2):

- level 3 encodes the four quadrants, joins the features left to right, and decodes a residual for the top and the bottom half;
- level 2 encodes the two halves plus their residuals, joins the features top to bottom, adds those of level 3, decodes a residual;
- level 1 encodes the whole image plus that residual, adds the features of level 2, and decodes the sharp image.

A fourth level in front works on the upper and the lower halves of the quadrants. As released by the authors, and kept so that their
weights give their pictures:

- the input is shifted to [-0.5, 0.5], and the level-1 decoder gives the shifted image itself: there is no global skip;
- no normalisation, and no activation behind strided convolutions and transposed ones;
- in a row, each level also adds the features that the same level gave in the network before, and the level-2 residual of every network
  but the first adds the image that the *first* one gave, not the one before.

Own addition, in the small networks that ship: the blurry picture goes around them (`way_around`), for one like the authors' must learn to
copy first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple, TypeVar, cast

import torch
from torch import nn

from blurbench.baselines._blocks import constant, set_bias, way_around
from blurbench.baselines._width import scaled

CHANNELS = (32, 64, 128)
"""Of features at the whole size, 1/2 and 1/4."""

CUTS = ((2, 1), (1, 2), (2, 1))
"""Rows and columns into which a patch of level 1, 2 and 3 is cut for the next level."""

Network = TypeVar("Network", bound=nn.Module)


class Residual(nn.Sequential):
    """x + conv(relu(conv(x))), both 3x3."""

    def __init__(self, channels: int) -> None:
        super().__init__(_convolution(channels, channels), nn.ReLU(inplace=True), _convolution(channels, channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, activation, second = self
        change: torch.Tensor = second(activation(first(x)))
        return change.add_(x)


class Encoder(nn.Sequential):
    """(B, 3, H, W) in [-0.5, 0.5] to features (B, 128, H/4, W/4); 868,288 parameters. Layer names are those of the checkpoints."""

    def __init__(self, width: float = 1.0) -> None:
        fine, middle, coarse = (scaled(each, width) for each in CHANNELS)
        layers = OrderedDict[str, nn.Module](
            layer1=_convolution(3, fine),
            layer2=Residual(fine),
            layer3=Residual(fine),
            layer5=_convolution(fine, middle, stride=2),
            layer6=Residual(middle),
            layer7=Residual(middle),
            layer9=_convolution(middle, coarse, stride=2),
            layer10=Residual(coarse),
            layer11=Residual(coarse),
        )
        super().__init__(layers)


class Decoder(nn.Sequential):
    """Features (B, 128, H/4, W/4) to (B, 3, H, W), a residual or an image in [-0.5, 0.5], not clamped; 939,843 parameters."""

    def __init__(self, width: float = 1.0) -> None:
        fine, middle, coarse = (scaled(each, width) for each in CHANNELS)
        layers = OrderedDict[str, nn.Module](
            layer13=Residual(coarse),
            layer14=Residual(coarse),
            layer16=nn.ConvTranspose2d(coarse, middle, 4, stride=2, padding=1),
            layer17=Residual(middle),
            layer18=Residual(middle),
            layer20=nn.ConvTranspose2d(middle, fine, 4, stride=2, padding=1),
            layer21=Residual(fine),
            layer22=Residual(fine),
            layer24=_convolution(fine, 3),
        )
        super().__init__(layers)


class Pass(NamedTuple):
    """What one multi-patch network gives: the image (B, 3, H, W) in [-0.5, 0.5], not clamped, and features (B', 128, H'/4, W'/4) a level.

    Features are those behind the sum, level 1 first; for level 2 and finer they are joined to the patches of the level before.
    """

    image: torch.Tensor
    features: list[torch.Tensor]


class MultiPatch(nn.Module):
    """One network: (B, 3, H, W) in [0, 1] to sharp ones, not clamped; H and W multiples of 8, for four levels H of 16.

    5,424,393 parameters with levels=3 (1-2-4), 7,232,524 with 4 (1-2-4-8). width: share of all hidden channels, see `scaled`. around: see
    `way_around`, here around all levels.
    """

    def __init__(self, levels: int = 3, width: float = 1.0, around: bool = False) -> None:
        super().__init__()
        self.levels = levels
        for kind, part in (("encoder", Encoder), ("decoder", Decoder)):
            for level in range(1, levels + 1):
                self.add_module(f"{kind}_lv{level}", part(width))
        self.around = way_around(self.last) if around else None

    @property
    def last(self) -> nn.Conv2d:
        """The layer that gives the image."""
        return cast(nn.Conv2d, self.get_submodule("decoder_lv1.layer24"))

    def forward(self, blurry: torch.Tensor) -> torch.Tensor:
        return self.restore(blurry - 0.5).image + 0.5

    def restore(self, image: torch.Tensor, before: Pass | None = None, first: torch.Tensor | None = None) -> Pass:
        """From level `levels` down to 1. In a stack, `before` is what the network before gave, `first` the image of the first one."""
        patches = [image]
        for rows, columns in CUTS[: self.levels - 1]:
            patches.append(split(patches[-1], rows, columns))
        kept: list[torch.Tensor] = []
        residual = features = None
        for level in range(self.levels, 0, -1):
            encoder, decoder = self.get_submodule(f"encoder_lv{level}"), self.get_submodule(f"decoder_lv{level}")
            patch = patches[level - 1]
            found: torch.Tensor = encoder(patch if residual is None else patch + residual)
            if features is not None:
                found = found + features
            features = join(found, *CUTS[level - 2]) if level > 1 else found
            if before is not None:
                features = features + before.features[level - 1]
            kept.insert(0, features)
            residual = decoder(features)
            if level == 2 and first is not None:
                residual = residual + first
        assert residual is not None
        return Pass(residual if self.around is None else residual + self.around * image, kept)


class Stack(nn.Module):
    """SDNet: networks `s1`, `s2`, ... in a row, (B, 3, H, W) in [0, 1] to sharp ones, not clamped; 21,697,572 parameters for four.

    width, around: of each network, see `MultiPatch`.
    """

    def __init__(self, count: int = 4, width: float = 1.0, around: bool = False) -> None:
        super().__init__()
        for number in range(1, count + 1):
            self.add_module(f"s{number}", MultiPatch(width=width, around=around))

    def forward(self, blurry: torch.Tensor) -> torch.Tensor:
        return self.images(blurry)[-1]

    def images(self, blurry: torch.Tensor) -> list[torch.Tensor]:
        """What each network of the row gives, the first one's first, all as `forward` gives the last."""
        image, before, first = blurry - 0.5, None, None
        found = []
        for network in self.children():
            assert isinstance(network, MultiPatch)
            before = network.restore(image, before, first)
            image = before.image
            first = image if first is None else first
            found.append(image + 0.5)
        return found


def started(build: Callable[..., Network], *arguments: int, **small: float | bool) -> Network:
    """A network with the initial values of the authors: kernels from N(0, 1 / (2 k k outputs)), biases 0."""
    network = build(*arguments, **small)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, std=(0.5 / (layer.kernel_size[0] * layer.kernel_size[1] * layer.out_channels)) ** 0.5)
            set_bias(layer)
    for part in network.modules():
        if isinstance(part, MultiPatch) and part.around is not None:
            constant(part.last)
    return network


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1)


def split(image: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Cut (B, C, rows*H, columns*W) into patches (B*rows*columns, C, H, W), row by row."""
    batch, channels, height, width = image.shape
    grid = image.reshape(batch, channels, rows, height // rows, columns, width // columns)
    return grid.permute(0, 2, 4, 1, 3, 5).reshape(-1, channels, height // rows, width // columns)


def join(patches: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Undo `split`: (B*rows*columns, C, H, W) to (B, C, rows*H, columns*W)."""
    _, channels, height, width = patches.shape
    grid = patches.reshape(-1, rows, columns, channels, height, width)
    return grid.permute(0, 3, 1, 4, 2, 5).reshape(-1, channels, rows * height, columns * width)
