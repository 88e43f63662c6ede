"""Every Moment Matters: Detail-Aware Networks to Bring a Blurry Image Alive (K. Zhang et al., ACM MM 2020).

One encoder-decoder of 30 convolutions takes the luminance of the blurry image, (B, 1, H, W) in [0, 1], and returns seven sharp luminance
frames, (B, 7, H, W), in one pass. Here: the generator, trained with the content losses of stage 1 (Eq. 1 and 2), variant "B" of
Table 1 without its adversarial and flow terms.

The paper fixes the number of convolutions, the luminance input, the seven outputs, N(0, 0.01) initial weights, crops of 128 with
left-right flips, and a learning rate falling from 1e-4 to 1e-5. What it leaves open, and the choice made here:

- widths and layout: 16, 32, 64, 128 channels at full, half, quarter and eighth size; 6 convolutions down, nine residual blocks (18) at
  1/8, 6 up, with additive skips between equal sizes; ReLU; no normalisation;
- global skip: the network predicts what is added to the blurry luminance, so that an untrained network copies the blur;
- colour: luminance is BT.601 full-range; the change of luminance is added to R, G and B, i.e. chrominance is that of the blur;
- norms of Eq. 1 and 2: absolute differences. Eq. 2 as printed is signed (unbounded below) and squares sums and differences; the
  canonical form of `blurbench.train.losses.pair_loss` has neither;
- the perceptual term of Eq. 1 needs VGG19 weights, which cannot ship; the shipped weights are trained without it;
- the shipped weights: He initialisation with a last layer of N(0, 0.01), batches of 16, 65 minutes on two cores (8,159 steps) at a rate
  from 1e-3, because N(0, 0.01) throughout and 1e-4 are too slow for that time; besides flips, quarter turns, softening and less contrast.
  They sharpen most pictures a little, and lose against a copy of the blur on some fine textures and where almost nothing moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import nn

from blurbench import weights as files
from blurbench.methods import Capabilities, Method, MethodCard, Request, Resources
from blurbench.store.augment import Augmentation
from blurbench.train.losses import centre_loss, pair_loss
from blurbench.train.recipe import Training
from blurbench.types import F32

FRAMES = 7
_LUMINANCE = (0.299, 0.587, 0.114)


class Residual(nn.Module):
    """x + conv(relu(conv(x)))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.second(torch.relu(self.first(x)))


class Generator(nn.Module):
    """The generator G: (B, 1, H, W) luminance in [0, 1], H and W multiples of 8, to (B, 7, H, W)."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv2d(1, 16, 5, padding=2)
        self.down_half = nn.Sequential(_down(16, 32), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1))
        self.down_quarter = nn.Sequential(_down(32, 64), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1))
        self.down_eighth = _down(64, 128)
        self.body = nn.Sequential(*(Residual(128) for _ in range(9)))
        self.up_quarter = _up(128, 64)
        self.at_quarter = nn.Conv2d(64, 64, 3, padding=1)
        self.up_half = _up(64, 32)
        self.at_half = nn.Conv2d(32, 32, 3, padding=1)
        self.up_full = _up(32, 16)
        self.frames = nn.Conv2d(16, FRAMES, 5, padding=2)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        for block in self.body:
            nn.init.normal_(block.second.weight, std=0.01)
        nn.init.normal_(self.frames.weight, std=0.01)

    def forward(self, luminance: torch.Tensor) -> torch.Tensor:
        full = torch.relu(self.enter(luminance))
        half = torch.relu(self.down_half(full))
        quarter = torch.relu(self.down_quarter(half))
        x = self.body(torch.relu(self.down_eighth(quarter)))
        x = torch.relu(self.at_quarter(torch.relu(self.up_quarter(x)) + quarter))
        x = torch.relu(self.at_half(torch.relu(self.up_half(x)) + half))
        x = torch.relu(self.up_full(x)) + full
        return luminance + self.frames(x)


def _down(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)


def _up(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1)


def luminance(rgb: torch.Tensor) -> torch.Tensor:
    """BT.601 luminance of (..., 3, H, W), as (..., H, W)."""
    return torch.einsum("...chw,c->...hw", rgb, rgb.new_tensor(_LUMINANCE))


def stage_one_loss(network: nn.Module, batch: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The content losses of stage 1: centre (Eq. 1, pixel term) and pairs (Eq. 2). batch: blurry (B,3,H,W), sharp (B,7,3,H,W)."""
    predicted = network(luminance(batch["blurry"])[:, None])[:, :, None]
    target = luminance(batch["sharp"])[:, :, None]
    return {"centre": centre_loss(predicted, target), "pairs": pair_loss(predicted, target)}


class Zhang2020(Method):
    """The generator with shipped weights, or those of `blurbench train --method zhang2020`."""

    card = MethodCard(
        id="zhang2020",
        title="Every Moment Matters (stage 1, content losses)",
        paper="K. Zhang, W. Luo, B. Stenger, W. Ren, L. Ma, H. Li: Every Moment Matters: "
        "Detail-Aware Networks to Bring a Blurry Image Alive, ACM MM 2020",
        licence="Apache-2.0 (re-implemented from the paper; the authors released no code)",
        citation="""@inproceedings{zhang2020every,
  title = {Every Moment Matters: Detail-Aware Networks to Bring a Blurry Image Alive},
  author = {Zhang, Kaihao and Luo, Wenhan and Stenger, Bj\\"orn and Ren, Wenqi and Ma, Lin and Li, Hongdong},
  booktitle = {ACM Multimedia},
  year = {2020}
}""",
        training_data="genblur recipe on rendered footage (training clips)",
        weights="shipped; the authors never released theirs",
        released="never",
    )
    capabilities = Capabilities(frames=FRAMES, multiple=8, resources=Resources(gpu=True, memory_gb=2.0))
    training = Training(
        frames=FRAMES,
        network=Generator,
        loss=stage_one_loss,
        batch=16,
        crop=128,
        learning_rate=1e-3,
        final_learning_rate=1e-5,
        augmentation=Augmentation(flip=0.5, turns=True, contrast=0.3, soften=1.5),
    )

    def __init__(self, network: Generator) -> None:
        self.network = network

    @classmethod
    def load(cls, weights: Path | None = None, device: str = "cpu") -> Self:
        path = weights or files.shipped("zhang2020.safetensors")
        network = Generator()
        files.fit(network, {key: value.float() for key, value in files.read(path).items()}, path)
        method = cls(network.to(device).eval())
        method.weights = files.describe([path], "given" if weights else "shipped")
        return method

    @torch.inference_mode()
    def predict(self, blurry: F32, request: Request) -> F32:
        image = torch.from_numpy(np.ascontiguousarray(blurry.transpose(2, 0, 1)))[None].to(self.device)
        grey = luminance(image)
        change = self.network(grey[:, None])[0] - grey
        frames = (image + change[:, None]).clamp(0, 1)
        return frames.permute(0, 2, 3, 1)[None].cpu().numpy()
