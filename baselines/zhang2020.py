"""Every Moment Matters: Detail-Aware Networks to Bring a Blurry Image Alive (K. Zhang et al., ACM MM 2020).

One encoder-decoder of 30 convolutions takes the luminance of the blurry image, (B, 1, H, W) in [0, 1], and returns seven sharp luminance
frames, (B, 7, H, W), in one pass. It is trained in three stages that share its weights, the rows of Table 1: B (BaseGAN), BG (GramGAN), BGH
(HeptaGAN). Here: the generator, and a method for the weights of each. Losses: `_zhang2020_losses.py`; stages: `_zhang2020_stages.py`.

`zhang2020` has shipped weights. `zhang2020-bg` and `zhang2020-bgh` are the same network with your own weights of these stages: a method a
row, so that a board has a row for each. `zhang2020-iterated` is `zhang2020` applied to averages of its own frames, for more of them.

The paper fixes the number of convolutions, the luminance input, the seven outputs, N(0, 0.01) initial weights, crops of 128 with
left-right flips, and a learning rate falling from 1e-4 to 1e-5. What it leaves open, and the choice made here:

- widths and layout: 16, 32, 64, 128 channels at full, half, quarter and eighth size; 6 convolutions down, nine residual blocks (18) at
  1/8, 6 up, with additive skips between equal sizes; ReLU; no normalisation;
- global skip: the network predicts what is added to the blurry luminance, so that an untrained network copies the blur;
- initial weights: by He with a last layer of N(0, 0.01), because N(0, 0.01) throughout is too slow to learn from;
- colour: luminance is BT.601 full-range; the change of luminance is added to R, G and B, i.e. chrominance is that of the blur;
- norms: Eq. 1 is printed as a norm, the text calls it MSE: a key of the recipe says which, and the published recipe takes MSE. Eq. 2 as
  printed is signed (unbounded below) and squares sums and differences; the canonical form of `blurbench.train.losses.pair_loss` has
  neither, and is weighted by 3 for the printed sum over three pairs;
- the shipped weights: content losses (Eq. 1 by absolute differences without features, Eq. 2 as a mean) alone, since VGG19 and PWC-Net
  cannot ship; batches of 16, trainings from 1e-3, because 1e-4 is too slow for that time: 8,159 and 5,580 steps on clips of
  scikit-image's photographs, then on clips of 300 more (`make-dataset --photographs`) 9,000 and, with the centre weighted by 4, 6,500 from
  7e-4 and 8,900 from 6e-4 (two runs); besides flips, quarter turns, softening and less contrast.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

import torch
from torch import nn

from blurbench import weights as files
from blurbench.baselines._blocks import Residual, almost_still, he
from blurbench.baselines._network import as_batch, as_frames, described, placed
from blurbench.baselines._zhang2020_iterate import chosen, iterated, rounds_for
from blurbench.baselines._zhang2020_losses import FRAMES, luminance
from blurbench.baselines._zhang2020_stages import CONTENT, adversarial_stage
from blurbench.methods import Capabilities, Method, MethodCard, Request, Resources
from blurbench.train.recipe import Training
from blurbench.types import F32


class Generator(nn.Module):
    """The generator G: (B, 1, H, W) luminance in [0, 1], H and W multiples of 8, to (B, 7, H, W)."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv2d(1, 16, 5, padding=2)
        self.down_half = nn.Sequential(_down(16, 32), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1))
        self.down_quarter = nn.Sequential(_down(32, 64), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1))
        self.down_eighth = _down(64, 128)
        blocks = [Residual(128) for _ in range(9)]
        self.body = nn.Sequential(*blocks)
        self.up_quarter = _up(128, 64)
        self.at_quarter = nn.Conv2d(64, 64, 3, padding=1)
        self.up_half = _up(64, 32)
        self.at_half = nn.Conv2d(32, 32, 3, padding=1)
        self.up_full = _up(32, 16)
        self.frames = nn.Conv2d(16, FRAMES, 5, padding=2)
        he(self)
        for layer in (*(block.second for block in blocks), self.frames):
            almost_still(layer, std=0.01)

    def forward(self, luminance: torch.Tensor) -> torch.Tensor:
        full = torch.relu(self.enter(luminance))
        half = torch.relu(self.down_half(full))
        quarter = torch.relu(self.down_quarter(half))
        x = self.body(torch.relu(self.down_eighth(quarter)))
        x = torch.relu(self.at_quarter(torch.relu(self.up_quarter(x)) + quarter))
        x = torch.relu(self.at_half(torch.relu(self.up_half(x)) + half))
        x = torch.relu(self.up_full(x)) + full
        change: torch.Tensor = self.frames(x)
        return luminance + change


def _down(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)


def _up(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1)


_STAGES = {name: adversarial_stage() for name in ("b", "bg", "bgh")}
_CITATION = """@inproceedings{zhang2020every,
  title = {Every Moment Matters: Detail-Aware Networks to Bring a Blurry Image Alive},
  author = {Zhang, Kaihao and Luo, Wenhan and Stenger, Bj\\"orn and Ren, Wenqi and Ma, Lin and Li, Hongdong},
  booktitle = {ACM Multimedia},
  year = {2020}
}"""


def _card(name: str, title: str, weights: str, training_data: str, weights_of: str = "") -> MethodCard:
    return MethodCard(
        id=name,
        title=f"Every Moment Matters ({title})",
        paper="K. Zhang, W. Luo, B. Stenger, W. Ren, L. Ma, H. Li: Every Moment Matters: "
        "Detail-Aware Networks to Bring a Blurry Image Alive, ACM MM 2020",
        licence="Apache-2.0 (re-implemented from the paper; the authors released no code)",
        citation=_CITATION,
        training_data=training_data,
        weights=weights,
        released="never",
        weights_of=weights_of,
    )


_SHIPPED = "shipped; the authors never released theirs"
_TRAIN = "not shipped, the authors never released theirs; `blurbench train --method zhang2020-bgh` makes them, stage by stage"
_DATA = "genblur recipe on rendered footage (training clips, with the photographs of BSDS500's train and val)"


class _Seven(Method):
    """Seven frames in one pass, for weights of any stage."""

    capabilities = Capabilities(frames=FRAMES, multiple=8, resources=Resources(gpu=True, memory_gb=2.0))

    def __init__(self, network: Generator, device: str = "cpu") -> None:
        self.network = placed(network, device)
        self.device = device

    @classmethod
    def load(cls, weights: Path | None = None, device: str = "cpu") -> Self:
        """From a file of `blurbench train`, else the shipped weights. Raises WeightsError, also for None where none are shipped."""
        name = cls.card.keeper
        if weights is None:
            raise files.absent(name, "train it by `blurbench train --method zhang2020-bgh`")
        network = Generator()
        files.fit(network, {key: value.float() for key, value in files.read(weights).items()}, weights)
        return described(cls(network, device), [weights])

    @torch.inference_mode()
    def predict(self, blurry: F32, request: Request) -> F32:
        """(1, T, H, W, 3) float32 in [0, 1], coloured as the blur is; T is 7, or as `_frames` has it."""
        image = as_batch(blurry, self.device)
        grey = luminance(image)
        change = self._frames(grey, request) - grey
        return as_frames((image + change[:, None]).clamp(0, 1))

    def _frames(self, grey: torch.Tensor, request: Request) -> torch.Tensor:
        """Sharp luminance (T, H, W) of the blurry (1, H, W)."""
        return self.network(grey[:, None])[0]  # type: ignore[no-any-return]


class Zhang2020(_Seven):
    """The generator with shipped weights, or those of `blurbench train --method zhang2020`.

    Its training needs no file of anybody: content losses first, which is what shipped weights have seen, then the three stages with random
    features for VGG19 and OpenCV's flow for PWC-Net. For the training of the paper see `Zhang2020BGH`.
    """

    card = _card("zhang2020", "B, content losses", _SHIPPED, _DATA)
    variants: ClassVar[Mapping[str, str]] = {"frames": "zhang2020-iterated"}
    training = Training(network=Generator, recipe="zhang2020-shipped", stages={"content": CONTENT, **_STAGES})


class Zhang2020BG(_Seven):
    """The generator after BaseGAN and GramGAN, row BG of Table 1. Stage `bg` of the training of `Zhang2020BGH`."""

    card = _card("zhang2020-bg", "BG, after two stages", _TRAIN, "your own")


class Zhang2020BGH(_Seven):
    """The generator after all three stages, row BGH of Table 1. Its training is that of the paper, with VGG19 and PWC-Net."""

    card = _card("zhang2020-bgh", "BGH, after three stages", _TRAIN, "your own")
    training = Training(network=Generator, recipe="zhang2020", stages=_STAGES)


class Zhang2020Iterated(_Seven):
    """As many frames as asked: 7, 42, 252, ... by iterated application (Sec. 4.3), or those nearest to the times asked for."""

    card = _card("zhang2020-iterated", "iterated", _SHIPPED, _DATA, weights_of="zhang2020")
    capabilities = Capabilities(multiple=8, resources=Resources(gpu=True, memory_gb=2.0))

    def _frames(self, grey: torch.Tensor, request: Request) -> torch.Tensor:
        rounds = rounds_for(len(request.times))
        frames, times = iterated(lambda blurry: self.network(blurry[None, None])[0], grey[0], rounds)
        return frames[chosen(times, torch.from_numpy(request.times)).to(frames.device)]
