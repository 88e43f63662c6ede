"""What the losses of *Every Moment Matters* look at beside pixels: VGG19 features and optical flow, each with a substitute without weights.

`vgg19` is the network of the paper, read from where torch keeps torchvision's weights; nothing is downloaded here. `random` stands in where
weights must not be needed, as for those that ship: four convolutions with fixed random filters. Random filters separate textures nearly as
well as learned ones do (Ustyuzhaninov et al., "What does it take to generate natural textures?", ICLR 2017; He, Wang, Hopcroft, "A Powerful
Generative Model Using Random Weights for the Deep Image Representation", NIPS 2016), and unlike a second sum over pixels they see
neighbours.

Flow is by any model of `blurbench.video.flow`, as a constant: `ptlflow:pwcnet` is the paper's, `dis-medium` (OpenCV) the substitute.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from torch import nn

from blurbench import weights
from blurbench.baselines._zhang2020_losses import Features, FlowBetween
from blurbench.errors import RecipeError, WeightsError
from blurbench.metrics.lpips import trunk_of
from blurbench.types import U8
from blurbench.video import flow as flows

FeatureName = Literal["vgg19", "random"]

VGG19_FILE = "vgg19-dcbb9e9d.pth"
VGG19_URL = f"https://download.pytorch.org/models/{VGG19_FILE}"

_VGG19 = (64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512, 512, 512, 512)  # 0: halve
_RANDOM = (1, 32, 64, 64, 64)
_SEED = 2020
_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, R, G, B: what VGG19 was trained with


class Vgg19(nn.Module):
    """VGG19 (Simonyan, Zisserman, ICLR 2015) up to its last convolution, conv5_4, before the ReLU, with torchvision's names of tensors.

    (B, 1, H, W) luminance in [0, 1], H and W at least 16, to (B, 512, H/16, W/16); the luminance stands for R, G and B.
    """

    mean: torch.Tensor
    spread: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(*_vgg19_layers())
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("spread", torch.tensor(_SPREAD).view(1, 3, 1, 1), persistent=False)

    def forward(self, grey: torch.Tensor) -> torch.Tensor:
        return self.features((grey - self.mean) / self.spread)  # type: ignore[no-any-return]


def _vgg19_layers() -> list[nn.Module]:
    """Those of torchvision's `vgg19().features`, so that their numbers in the names of tensors are the same, without the last ReLU."""
    layers: list[nn.Module] = []
    inputs = 3
    for outputs in _VGG19:
        if not outputs:
            layers.append(nn.MaxPool2d(2))
            continue
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True)]
        inputs = outputs
    return layers[:-1]


class RandomFeatures(nn.Module):
    """(B, 1, H, W) luminance in [0, 1] to (B, 64, H/8, W/8): convolutions of 3 x 3 with filters drawn once for all, ReLU, halving."""

    def __init__(self) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(_SEED)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(_RANDOM):
            layer = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
            filters = torch.randn(layer.weight.shape, generator=rng)
            # Without the mean of each filter, evenly lit places would drown what happens at edges.
            filters -= filters.mean(dim=(1, 2, 3), keepdim=True)
            layer.weight.data = filters * (2 / (9 * inputs)) ** 0.5
            layers += [layer, nn.ReLU(inplace=True), nn.AvgPool2d(2)]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, grey: torch.Tensor) -> torch.Tensor:
        return self.layers(grey)  # type: ignore[no-any-return]


@cache
def load_features(name: str, device: torch.device | str = "cpu") -> Features:
    """`vgg19` or `random`, frozen. Raises RecipeError for another name, WeightsError where the file of VGG19 is missing."""
    if name not in get_args(FeatureName):
        raise RecipeError(f"features is {name!r}, expected one of {', '.join(get_args(FeatureName))}; change it")
    # Layers start at random before they get their values; training must not be moved by that. And what is made while predicting would
    # serve no gradient later.
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False):
        network = _vgg19() if name == "vgg19" else RandomFeatures()
    return network.to(device).eval().requires_grad_(False)


def vgg19_file() -> Path:
    """Where torchvision keeps its weights of VGG19."""
    return Path(torch.hub.get_dir()) / "checkpoints" / VGG19_FILE


def _vgg19() -> Vgg19:
    """With the weights of torchvision's file. Raises WeightsError."""
    path = vgg19_file()
    if not path.is_file():
        mend = f"put it there ({VGG19_URL}), or train zhang2020, whose recipe does without (vgg19 = 0)"
        raise WeightsError(f"{VGG19_FILE} is not in {path.parent}; {mend}")
    network = Vgg19()
    weights.fit(network, trunk_of(weights.read(path)), path)
    return network


class ConstantFlow:
    """A model of `blurbench.video.flow` for batches of luminance. Raises what `blurbench.video.flow.load` raises."""

    def __init__(self, name: str) -> None:
        self._model = flows.load(name)

    def __call__(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """As `FlowBetween` says."""
        found = [self._model.between(*pair) for pair in zip(_pictures(a), _pictures(b), strict=True)]
        return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2).to(a.device)


def _pictures(grey: torch.Tensor) -> U8:
    """(B, 1, H, W) in [0, 1], or somewhat beyond, to (B, H, W, 3) uint8."""
    levels = (grey.detach().float().clamp(0, 1) * 255).round().to(torch.uint8).cpu()
    return levels.permute(0, 2, 3, 1).expand(-1, -1, -1, 3).contiguous().numpy()


@cache
def load_flow(name: str) -> FlowBetween:
    """A flow model by name, `ptlflow:pwcnet` or `dis-medium`. Raises what `blurbench.video.flow.load` raises."""
    return ConstantFlow(name)
