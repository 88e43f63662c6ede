"""DMPHN: Deep Stacked Hierarchical Multi-Patch Network for Image Deblurring (H. Zhang et al., CVPR 2019), the 1-2-4 network.

One sharp frame from one blurry image, (B, 3, H, W) RGB in [0, 1] on both sides, H and W multiples of 8. Three levels, each an encoder
(to 128 channels at 1/4 size) and a decoder of its own, work on 4, 2 and 1 patches of the image, finest patches first (Fig. 2):

- level 3 encodes the four quadrants, joins the features left to right, and decodes a residual for the top and the bottom half;
- level 2 encodes the two halves plus their residuals, joins the features top to bottom, adds those of level 3, decodes a residual;
- level 1 encodes the whole image plus that residual, adds the features of level 2, and decodes the sharp image.

As released by the authors, and kept so that their weights give their pictures:

- the input is shifted to [-0.5, 0.5], and the level-1 decoder gives the shifted image itself: there is no global skip;
- no normalisation, and no activation behind strided convolutions and transposed ones.

One thing is added: `Zhang2019.predict` clamps to [0, 1] what the network returns; the authors do so when they save 8 bits.

The official weights were trained on the `blur` images of GoPro, i.e. frames averaged as stored (`gopro-linear`), not on `blur_gamma`.
They cannot ship, because their repository states no licence; `Zhang2019.load` takes the folder as it lies there.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import nn

from blurbench import weights as files
from blurbench.errors import WeightsError
from blurbench.methods import Capabilities, Method, MethodCard, Request, Resources
from blurbench.types import F32

PARTS = ("encoder_lv1", "encoder_lv2", "encoder_lv3", "decoder_lv1", "decoder_lv2", "decoder_lv3")
"""The sub-networks of `MultiPatch`, and the stems of the checkpoint files."""

_ORIGIN = (
    "encoder_lv1.pkl, encoder_lv2.pkl, encoder_lv3.pkl, decoder_lv1.pkl, decoder_lv2.pkl and decoder_lv3.pkl "
    "from checkpoints/DMPHN_1_2_4 of github.com/HongguangZhang/DMPHN-cvpr19-master"
)


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

    def __init__(self) -> None:
        layers = OrderedDict[str, nn.Module](
            layer1=_convolution(3, 32),
            layer2=Residual(32),
            layer3=Residual(32),
            layer5=_convolution(32, 64, stride=2),
            layer6=Residual(64),
            layer7=Residual(64),
            layer9=_convolution(64, 128, stride=2),
            layer10=Residual(128),
            layer11=Residual(128),
        )
        super().__init__(layers)


class Decoder(nn.Sequential):
    """Features (B, 128, H/4, W/4) to (B, 3, H, W), a residual or an image in [-0.5, 0.5], not clamped; 939,843 parameters."""

    def __init__(self) -> None:
        layers = OrderedDict[str, nn.Module](
            layer13=Residual(128),
            layer14=Residual(128),
            layer16=nn.ConvTranspose2d(128, 64, 4, stride=2, padding=1),
            layer17=Residual(64),
            layer18=Residual(64),
            layer20=nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
            layer21=Residual(32),
            layer22=Residual(32),
            layer24=_convolution(32, 3),
        )
        super().__init__(layers)


class MultiPatch(nn.Module):
    """The whole network: (B, 3, H, W) in [0, 1], H and W multiples of 8, to sharp ones, not clamped; 5,424,393 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder_lv1, self.encoder_lv2, self.encoder_lv3 = Encoder(), Encoder(), Encoder()
        self.decoder_lv1, self.decoder_lv2, self.decoder_lv3 = Decoder(), Decoder(), Decoder()

    def forward(self, blurry: torch.Tensor) -> torch.Tensor:
        image = blurry - 0.5
        features = _join(self.encoder_lv3(_split(image, 2, 2)), 1, 2)
        residual = self.decoder_lv3(features)
        features = _join(self.encoder_lv2(_split(image, 2, 1) + residual) + features, 2, 1)
        residual = self.decoder_lv2(features)
        features = self.encoder_lv1(image + residual) + features
        sharp: torch.Tensor = self.decoder_lv1(features)
        return sharp + 0.5


NETWORKS: dict[str, Callable[[], nn.Module]] = {"dmphn_encoder": Encoder, "dmphn_decoder": Decoder}
"""Networks that have published checkpoints, by the name of their key list."""


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1)


def _split(image: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Cut (B, C, rows*H, columns*W) into patches (B*rows*columns, C, H, W), row by row."""
    batch, channels, height, width = image.shape
    grid = image.reshape(batch, channels, rows, height // rows, columns, width // columns)
    return grid.permute(0, 2, 4, 1, 3, 5).reshape(-1, channels, height // rows, width // columns)


def _join(patches: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Undo `_split`: (B*rows*columns, C, H, W) to (B, C, rows*H, columns*W)."""
    _, channels, height, width = patches.shape
    grid = patches.reshape(-1, rows, columns, channels, height, width)
    return grid.permute(0, 3, 1, 4, 2, 5).reshape(-1, channels, rows * height, columns * width)


class Zhang2019(Method):
    """DMPHN(1-2-4) with the official weights, or any in their format."""

    card = MethodCard(
        id="zhang2019",
        title="DMPHN (1-2-4)",
        paper="H. Zhang, Y. Dai, H. Li, P. Koniusz: Deep Stacked Hierarchical Multi-Patch Network for Image Deblurring, CVPR 2019",
        licence="Apache-2.0 (this code, re-implemented); official repository and weights: not stated",
        citation="""@inproceedings{zhang2019deep,
  title = {Deep Stacked Hierarchical Multi-Patch Network for Image Deblurring},
  author = {Zhang, Hongguang and Dai, Yuchao and Li, Hongdong and Koniusz, Piotr},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)},
  year = {2019}
}""",
        training_data="GoPro, `blur` images (frames averaged as stored)",
        weights=f"not shipped; put into one folder {_ORIGIN}",
    )
    capabilities = Capabilities(frames=1, multiple=8, resources=Resources(gpu=True, memory_gb=2.0))

    def __init__(self, network: MultiPatch, device: str = "cpu") -> None:
        # On a CPU the layout with channels last is a quarter to a third faster.
        layout = torch.channels_last if device == "cpu" else torch.contiguous_format
        self.network = network.eval().to(device, memory_format=layout)  # type: ignore[call-overload]
        self.device = device

    @classmethod
    def load(cls, weights: Path | None = None, device: str = "cpu") -> Self:
        """Build from a folder of the six checkpoint files. Raises WeightsError, also for None: no weights are shipped."""
        if weights is None:
            raise WeightsError(f"zhang2019 ships no weights; put into one folder {_ORIGIN}, and give --weights FOLDER")
        paths = _checkpoint(weights)
        network = MultiPatch()
        for path in paths:
            files.fit(network.get_submodule(path.stem), files.read(path), path)
        method = cls(network, device)
        method.weights = files.describe(paths, "given")
        return method

    @torch.inference_mode()
    def predict(self, blurry: F32, request: Request) -> F32:
        """One frame, (1, 1, H, W, 3) float32, clamped to [0, 1]."""
        image = torch.from_numpy(np.ascontiguousarray(blurry.transpose(2, 0, 1)))[None].to(self.device)
        sharp = self.network(image).clamp_(0, 1)
        frames: F32 = sharp.permute(0, 2, 3, 1)[None].cpu().numpy()
        return frames


def _checkpoint(folder: Path) -> list[Path]:
    """The six files of a checkpoint folder. Raises WeightsError for one that is not there, lacks some, or is of a deeper network."""
    if not folder.is_dir():
        raise WeightsError(f"weights folder {folder} is not a folder; zhang2019 needs one with {_ORIGIN}")
    # DMPHN(1-2-4-8) and its first three levels have the same shapes: they would load, and give pictures that look almost right.
    if (folder / "encoder_lv4.pkl").exists():
        raise WeightsError(f"weights folder {folder} is of DMPHN(1-2-4-8), for it has encoder_lv4.pkl; zhang2019 needs {_ORIGIN}")
    paths = [folder / f"{part}.pkl" for part in PARTS]
    if missing := [path.name for path in paths if not path.is_file()]:
        raise WeightsError(f"weights folder {folder} lacks {', '.join(missing)}; zhang2019 needs {_ORIGIN}")
    return paths
