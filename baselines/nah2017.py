"""MSResNet: Deep Multi-scale Convolutional Neural Network for Dynamic Scene Deblurring (S. Nah et al., CVPR 2017).

One sharp frame from one blurry image, (B, 3, H, W) RGB in [0, 255] inside the network, H and W multiples of 4. Three scales, coarsest
first (Fig. 3), each a body of its own weights: 5x5 convolution, 19 residual blocks without normalisation (Fig. 2c), 5x5 convolution. What
a scale gives is enlarged twofold by a 5x5 convolution and pixel shuffle and goes, beside the image, into the next finer one.

Paper and released code differ; this is the authors' later PyTorch code, so that its weights give its pictures:

- the paper has 40 convolutions a scale and up-convolutions; so has this, with pixel shuffle for the latter, and 11,721,321 parameters;
- the body has no sum over the whole scale: each gives the image itself, its range shifted by -127.5 on the way in and back at the end;
- training: here the L1 error of each scale; in the paper the squared error and an adversarial term;
- pictures smaller than the input by Gaussian blur (sigma 2/3 pixel, seven taps, mirrored border) and the mean of 2x2 pixels.

Two things are added: `Nah2017.predict` clamps to [0, 255], as the authors do before they save 8 bits; and the blurry picture goes around
the bodies of the small network that ships (`way_around`), for one like the authors' must learn to copy first. Sizes that are no multiples
of 4 are padded by mirroring, not by repeating the last line.

The official weights were trained on `blur_gamma` images (`gopro-gamma`), others of the same layout on REDS. They are linked from the
repository, and cannot ship; `Nah2017.load` takes the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Self, cast

import torch
from torch import nn
from torch.nn import functional as F

from blurbench import weights as files
from blurbench.baselines._blocks import way_around
from blurbench.baselines._network import as_batch, as_frames, described, placed
from blurbench.methods import Capabilities, Method, MethodCard, Request, Resources
from blurbench.strict import one_of
from blurbench.train.losses import centre
from blurbench.train.recipe import Batch, Networks, Settings, Stage, Training, alone
from blurbench.types import F32

Norm = Literal["l1", "l2"]

SCALES = 3
MIDDLE = 127.5
"""Half of the range of pixels."""


class Block(nn.Module):
    """x + conv(relu(conv(x))), both 5x5."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_convolution(channels, channels), nn.ReLU(inplace=True), _convolution(channels, channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        change: torch.Tensor = self.body(x)
        return change.add_(x)


class Body(nn.Module):
    """One scale: (B, inputs, H, W) to (B, 3, H, W)."""

    def __init__(self, inputs: int, width: int = 64, blocks: int = 19) -> None:
        super().__init__()
        self.body = nn.Sequential(_convolution(inputs, width), *(Block(width) for _ in range(blocks)), _convolution(width, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        image: torch.Tensor = self.body(x)
        return image


class Enlarge(nn.Module):
    """(B, 3, H, W) to (B, 3, 2H, 2W)."""

    def __init__(self) -> None:
        super().__init__()
        self.uppath = nn.Sequential(_convolution(3, 12), nn.PixelShuffle(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        image: torch.Tensor = self.uppath(x)
        return image


class MSResNet(nn.Module):
    """All scales: blurry images in [0, 255], finest first, (B, 3, H, W), (B, 3, H/2, W/2), ..., to sharp ones in the same order.

    Nothing is clamped. 11,721,321 parameters. width, blocks: channels and residual blocks of a body; others than the authors' are ours.
    around: see `way_around`, here around each body.
    """

    def __init__(self, width: int = 64, blocks: int = 19, around: bool = False) -> None:
        super().__init__()
        bodies = [*(Body(6, width, blocks) for _ in range(SCALES - 1)), Body(3, width, blocks)]
        self.body_models = nn.ModuleList(bodies)
        # From each scale to the finer one; the finest has none, and keeps its place in the names.
        self.conv_end_models = nn.ModuleDict({str(scale): Enlarge() for scale in range(1, SCALES)})
        self.around = way_around(*(cast(nn.Conv2d, body.body[-1]) for body in bodies)) if around else None

    def forward(self, pyramid: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        sharp: list[torch.Tensor] = []
        for scale in reversed(range(SCALES)):
            blurry = image = pyramid[scale] - MIDDLE
            if sharp:
                image = torch.cat([image, self.conv_end_models[str(scale + 1)](sharp[0])], dim=1)
            made = self.body_models[scale](image)
            sharp.insert(0, made if self.around is None else made + self.around * blurry)
        return [image + MIDDLE for image in sharp]


NETWORKS: dict[str, Callable[[], nn.Module]] = {"nah2017_MSResNet": MSResNet}
"""Networks that have published checkpoints, by the name of their key list."""


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 5, padding=2)


def pyramid(image: torch.Tensor) -> list[torch.Tensor]:
    """The image (B, C, H, W) and its reductions by 2 and 4, finest first; H and W multiples of 4.

    Equal to scikit-image's `pyramid_gaussian` with factor 2, which the authors use.
    """
    levels = [image]
    for _ in range(SCALES - 1):
        levels.append(F.avg_pool2d(_smooth(_smooth(levels[-1], 2), 3), 2))
    return levels


def _smooth(image: torch.Tensor, axis: int) -> torch.Tensor:
    """Gaussian of sigma 2/3 pixel, cut at three pixels, along rows (axis 2) or columns (3); the border is mirrored, its pixel repeated."""
    size = image.shape[axis]
    steps = torch.arange(-3, 4, device=image.device)
    taps = torch.exp(-0.5 * (1.5 * steps.double()) ** 2)
    taps = (taps / taps.sum()).to(image.dtype)
    # Of a picture smaller than the kernel more than one mirror image is seen.
    places = (torch.arange(size, device=image.device)[:, None] + steps) % (2 * size)
    places = torch.where(places < size, places, 2 * size - 1 - places)
    total = torch.zeros_like(image)
    for tap, place in zip(taps, places.T, strict=True):
        total.add_(image.index_select(axis, place) * tap)
    return total


def _sized(state: Mapping[str, torch.Tensor]) -> MSResNet:
    """A network of the width and depth of a checkpoint; that of the authors where it does not say."""
    first = state.get("body_models.0.body.0.weight")
    layers = {int(found[1]) for key in state if (found := re.match(r"body_models\.0\.body\.(\d+)\.", key))}
    return MSResNet() if first is None or len(layers) < 3 else MSResNet(len(first), len(layers) - 2, around="around" in state)


def deblurring(networks: Networks, batch: Batch, settings: Settings) -> dict[str, torch.Tensor]:
    """The error of each scale against the reduced sharp centre frame, added up, in levels of 0 to 255; `norm`: l1 or l2."""
    one_of("settings of nah2017", "norm", settings["norm"], Norm)
    norm = {"l1": F.l1_loss, "l2": F.mse_loss}[settings["norm"]]
    blurry, sharp = (pyramid(image * (2 * MIDDLE)) for image in (batch["blurry"], centre(batch["sharp"])))
    made = networks["network"](blurry)
    return {f"scale{scale}": norm(image.float(), target) for scale, (image, target) in enumerate(zip(made, sharp, strict=True))}


_ORIGIN = "GOPRO_L1/models/model-1000.pt (or another model-EPOCH.pt) by the demo links of github.com/SeungjunNah/DeepDeblur-PyTorch"


class Nah2017(Method):
    """MSResNet with the official weights, or any in their format."""

    card = MethodCard(
        id="nah2017",
        title="DeepDeblur (MSResNet)",
        paper="S. Nah, T. H. Kim, K. M. Lee: Deep Multi-scale Convolutional Neural Network for Dynamic Scene Deblurring, CVPR 2017",
        licence="Apache-2.0 (this code, re-implemented); official weights: see their repository",
        citation="""@inproceedings{nah2017deep,
  title = {Deep Multi-scale Convolutional Neural Network for Dynamic Scene Deblurring},
  author = {Nah, Seungjun and Kim, Tae Hyun and Lee, Kyoung Mu},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition (CVPR)},
  year = {2017}
}""",
        training_data="GoPro, `blur_gamma` images (frames averaged after decoding with 2.2)",
        weights=f"get {_ORIGIN}",
        released=_ORIGIN,
    )
    capabilities = Capabilities(frames=1, multiple=2 ** (SCALES - 1), resources=Resources(gpu=True, memory_gb=3.0))
    training = Training(network=MSResNet, recipe="nah2017", stages={"deblur": Stage(alone(deblurring), settings=("norm",))})

    def __init__(self, network: MSResNet, device: str = "cpu") -> None:
        self.network = placed(network, device)
        self.device = device

    @classmethod
    def load(cls, weights: Path | None = None, device: str = "cpu") -> Self:
        """From a checkpoint or safetensors file. Raises WeightsError, also for None."""
        if weights is None:
            raise files.absent(cls.card.id, f"get {_ORIGIN}")
        state = {key.removeprefix("module."): value.float() for key, value in files.read(weights, under="G").items()}
        network = _sized(state)
        files.fit(network, state, weights)
        return described(cls(network, device), [weights])

    @torch.inference_mode()
    def predict(self, blurry: F32, request: Request) -> F32:
        """One frame, (1, 1, H, W, 3) float32 in [0, 1]."""
        image = as_batch(blurry, self.device) * (2 * MIDDLE)
        sharp = self.network(pyramid(image))[0].clamp_(0, 2 * MIDDLE) / (2 * MIDDLE)
        return as_frames(sharp)
