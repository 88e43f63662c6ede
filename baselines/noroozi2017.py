"""DeblurNet: Motion Deblurring in the Wild (M. Noroozi, P. Chandramouli, P. Favaro, GCPR 2017). The authors released no code.

One sharp frame from one blurry image g, (B, 3, H, W) RGB in [0, 1], H and W multiples of 4. Three subgraphs, coarsest first, each of which
gives what is to be added to the blurry image at its scale (Fig. 3); D1/k is the image reduced k-fold:

    x1 = N1(g) + D1/4(g)        x2 = N2(x1) + D1/2(g)        x3 = N3(x2) + g

Table 1, kernel and channels; c: convolution, d: transposed convolution that doubles the size:

| N1 | N2, N3 |
|---|---|
| c11 96 (stride 2), c7 256, c7 384, c7 384 (stride 2), c3 256, c3 256, c3 3 | c5 256, c5 256, c5 256, c5 256, d5 3 |

What the paper says -> what is done here:

- strides: a row with a hole: 2, 1, 1, 2 in N1 is the one reading of 17 columns that gives the stated scales -> that reading;
- batch normalisation and ReLU: behind every convolution, "except for the last layer of N1" -> the outputs of N2 and N3 are linear too: a
  residual that is never negative could only brighten;
- D1/k: "downsampling" -> mean of k x k pixels;
- loss (Eq. 1): squared norms at three scales, summed: 1/4 counts 1/16 as many pixels -> the same, divided by the number of values of g,
  which Adam does not see;
- initial weights: nothing -> PyTorch's; last layers N(0, 0.001), so that training starts near a copy of the blur;
- padding: nothing -> zeros, sizes kept;
- patches: nothing -> 192 pixels: the frames of WILD are 240 high, and an output pixel sees about that far;
- decline of the rate: times 0.75 every 10^k iterations, k unreadable -> every 10,000;
- iterations: 5 days on two Titan X -> 200,000.

24,673,673 parameters in convolutions (biases, which normalisation makes idle, included) and 7,360 in normalisation.

`noroozi2017` is DeblurNet^WILD, trained on averages of frames (`wild`); `noroozi2017-si` is DeblurNet^SI, the same network trained on
pictures of which each has one kernel (`synthetic-uniform`), to show what a network misses that has never seen blur that varies.

The analysis of Figure 9, how much is added over how blurred a picture is, is `blurbench plot residual`, for any method.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import torch
from torch import nn
from torch.nn import functional as F

from blurbench import weights as files
from blurbench.baselines._blocks import almost_still
from blurbench.baselines._network import as_batch, as_frames, described, placed
from blurbench.baselines._width import scaled, width_of
from blurbench.methods import Capabilities, Method, MethodCard, Request, Resources
from blurbench.train.losses import centre
from blurbench.train.recipe import Batch, Networks, Player, Settings, Stage, Training
from blurbench.types import F32

COARSE = ((11, 96, 2), (7, 256, 1), (7, 384, 1), (7, 384, 2), (3, 256, 1), (3, 256, 1), (3, 3, 1))
"""N1: kernel, output channels and stride of each convolution."""

FINE = ((5, 256, 1), (5, 256, 1), (5, 256, 1), (5, 256, 1))
"""N2 and N3 but for the transposed 5x5 convolution to 3 channels behind them."""

WIDTHS = 32
"""Widths come in steps of 1/32: the largest number that divides 96, 256 and 384."""


def _layers(table: tuple[tuple[int, int, int], ...], width: float) -> list[nn.Module]:
    """The convolutions of a table, with batch normalisation and ReLU but behind one of 3 channels."""
    layers: list[nn.Module] = []
    inputs = 3
    for kernel, outputs, stride in table:
        channels = outputs if outputs == 3 else scaled(outputs, width)
        layers.append(nn.Conv2d(inputs, channels, kernel, stride=stride, padding=kernel // 2))
        if outputs != 3:
            layers += [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
        inputs = channels
    return layers


class DeblurNet(nn.Module):
    """(B, 3, H, W) in [0, 1], H and W multiples of 4, to sharp pictures at 1/4, 1/2 and the whole size, not clamped.

    width: share of the channels of Table 1, a multiple of 1/32. Raises RecipeError for another.
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        self.n1 = nn.Sequential(*_layers(COARSE, width))
        self.n2, self.n3 = (nn.Sequential(*_layers(FINE, width), _doubling(scaled(FINE[-1][1], width))) for _ in range(2))
        for part in (self.n1, self.n2, self.n3):
            almost_still(cast(nn.Conv2d | nn.ConvTranspose2d, part[-1]))

    def forward(self, blurry: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        quarter = self.n1(blurry) + reduced(blurry, 4)
        half = self.n2(quarter) + reduced(blurry, 2)
        return quarter, half, self.n3(half) + blurry


def _doubling(inputs: int) -> nn.ConvTranspose2d:
    """d5 3: (B, inputs, h, w) to (B, 3, 2h, 2w)."""
    return nn.ConvTranspose2d(inputs, 3, 5, stride=2, padding=2, output_padding=1)


def reduced(image: torch.Tensor, factor: int) -> torch.Tensor:
    """D1/factor of (B, C, H, W): means of factor x factor pixels."""
    return F.avg_pool2d(image, factor)


def loss(networks: Networks, batch: Batch, settings: Settings) -> dict[str, torch.Tensor]:
    """Eq. 1: squared errors at three scales, summed over the picture and divided by the number of values of the whole one."""
    sharp = centre(batch["sharp"])
    quarter, half, whole = networks["network"](batch["blurry"])
    scales = {"quarter": (quarter, reduced(sharp, 4)), "half": (half, reduced(sharp, 2)), "whole": (whole, sharp)}
    return {name: (made.float() - wanted).square().sum() / sharp.numel() for name, (made, wanted) in scales.items()}


def _card(suffix: str, name: str, training_data: str, weights: str) -> MethodCard:
    return MethodCard(
        id=f"noroozi2017{suffix}",
        title=f"DeblurNet ({name})",
        paper="M. Noroozi, P. Chandramouli, P. Favaro: Motion Deblurring in the Wild, GCPR 2017",
        licence="Apache-2.0 (re-implemented from the paper; the authors released no code)",
        citation="""@inproceedings{noroozi2017motion,
  title = {Motion Deblurring in the Wild},
  author = {Noroozi, Mehdi and Chandramouli, Paramanand and Favaro, Paolo},
  booktitle = {German Conference on Pattern Recognition (GCPR)},
  year = {2017}
}""",
        training_data=training_data,
        weights=weights,
        released="never",
    )


class Noroozi2017(Method):
    """DeblurNet^WILD with the weights of `blurbench train`; those of a small network are shipped."""

    card: ClassVar[MethodCard] = _card(
        suffix="",
        name="WILD",
        training_data="averages of 7 to 23 frames at 240 fps, as the recipe `wild` makes them; the shipped ones on rendered footage",
        weights="shipped, of a small network; the authors never released theirs",
    )
    capabilities: ClassVar[Capabilities] = Capabilities(frames=1, multiple=4, resources=Resources(gpu=True, memory_gb=3.0))
    training: ClassVar[Training] = Training(network=DeblurNet, recipe="noroozi2017", stages={"deblur": Stage(players=(Player(loss),))})

    def __init__(self, network: DeblurNet, device: str = "cpu") -> None:
        self.network = placed(network, device)
        self.device = device

    @classmethod
    def load(cls, weights: Path | None = None, device: str = "cpu") -> Self:
        """From a file of `blurbench train`, of any width. Raises WeightsError, also for None where none are shipped."""
        name = cls.card.id
        if weights is None:
            raise files.absent(name, f"train it (`blurbench train --method {name} --dataset DATA`)")
        state = {key: value.float() if value.is_floating_point() else value for key, value in files.read(weights).items()}
        network = DeblurNet(width_of(state, "n1.0.weight", COARSE[0][1], WIDTHS))
        files.fit(network, state, weights)
        return described(cls(network, device), [weights])

    @torch.inference_mode()
    def predict(self, blurry: F32, request: Request) -> F32:
        """One frame, (1, 1, H, W, 3) float32 in [0, 1]."""
        return as_frames(self.network(as_batch(blurry, self.device))[-1].clamp_(0, 1))


def _varying(made: Mapping[str, Any]) -> str:
    """What a person should be told who trains DeblurNet^SI on data of this recipe."""
    if (made.get("kernels") or {}).get("variant") == "uniform":
        return ""
    return "noroozi2017-si is to learn from pictures of one kernel each, as the recipe synthetic-uniform makes them; these are others"


class Noroozi2017SI(Noroozi2017):
    """DeblurNet^SI: trained on pictures blurred by one kernel each."""

    card = _card(
        suffix="-si",
        name="SI, shift-invariant training",
        training_data="pictures convolved with one kernel each, as the recipe `synthetic-uniform` makes them",
        weights="the authors never released theirs; train it",
    )
    training = replace(Noroozi2017.training, doubt=_varying)
