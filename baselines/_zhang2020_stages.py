"""The three stages of *Every Moment Matters* (K. Zhang et al., ACM MM 2020): BaseGAN, GramGAN, HeptaGAN, as losses of one shared generator.

Frames are luminance, (B, 7, 1, H, W) in [0, 1]; G takes a blurry picture (B, 1, H, W) to (B, 7, H, W). A stage adds its term to those of
the stages before it, for the same weights of G:

1. BaseGAN: content of the centre (Eq. 1) and of the pairs (Eq. 2), adversarial (Eq. 3) and cycle-flow loss (Eq. 4), weighted as Eq. 5.
2. GramGAN: three frames at equal distances that G made are averaged and given to G again; Gram matrices of what comes out are compared with
   those of true frames, for the nine ways to take three (Eq. 7).
3. HeptaGAN: seven frames made in stage 2 are averaged, F, and recovered, G; blur and frames must return (Eq. 8).

What the paper leaves open is a key of `Setting`, with the choice and why. Besides:

- what a stage is given by the one before it is a constant: gradients reach G through its last application. The paper shows stages in a row
  and says no more; end to end it would take the memory of eleven passes;
- the earlier terms stay: Eq. 7 is introduced as "additional", and Eq. 8 alone, trained "in an unsupervised manner", has its least value,
  zero, for a generator that copies what it is given seven times;
- the discriminator is nowhere described: see `Discriminator`. It judges single frames of the first pass, as Eq. 3 does.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import nn

from blurbench import strict
from blurbench.baselines import _zhang2020_features as sight
from blurbench.baselines import _zhang2020_losses as losses
from blurbench.baselines._blocks import set_bias
from blurbench.baselines._zhang2020_losses import FRAMES, TRIPLES, Features, FlowBetween, luminance
from blurbench.errors import BrokenPluginError, WeightsError
from blurbench.train.losses import centre, centre_loss, pair_loss, squared
from blurbench.train.recipe import Batch, Networks, Player, Settings, Stage

ENDS = (0, FRAMES // 2, FRAMES - 1)
"""Start, middle and end of what G makes of three frames."""


PWCNET = "ptlflow:pwcnet"


@dataclass(frozen=True)
class Setting:
    """The numbers of a stage: the weights of its terms, and what else the paper leaves open. A term of weight 0 is not computed.

    content: of Eq. 1's pixel term. pairs: of Eq. 2's mean over pairs, 3 for the printed sum over three. perceptual: of Eq. 1's second
    term. adversarial, flow: alpha and beta of Eq. 5. gram: of Eq. 7; cycle: of Eq. 8; neither weight is told: 1, as the content has in
    Eq. 5.
    Of the others, 1 is yes and 0 is no. squared: Eq. 1's pixel term is a mean squared error, as the text before it says ("both MSE and
    perceptual loss"), else the mean absolute one, as its norm is printed without a square. inputs: the nine triples of Eq. 7 are those of
    what G made first: each three frames are averaged, G makes seven of them, and the first, middle and last of the seven are compared with
    the true three (Sec. 3.2: "use the corresponding input three frames to constrain them"), nine passes of G; else only frames 1, 4 and 7
    are averaged, and the nine triples of the seven that G makes are compared with those of the true seven, one pass: also read in the
    text, and far cheaper. vgg19: Eq. 1 and 7 look at features of VGG19, as in the paper, else at those of random filters. pwcnet: Eq. 4
    takes flow by PWC-Net of ptlflow, else by OpenCV's DIS.
    """

    content: float = 1.0
    pairs: float = 3.0
    perceptual: float = 1.0
    adversarial: float = 0.0005
    flow: float = 0.001
    gram: float = 0.0
    cycle: float = 0.0
    squared: float = 1.0
    inputs: float = 1.0
    vgg19: float = 1.0
    pwcnet: float = 1.0

    def __post_init__(self) -> None:
        """Raises RecipeError for a switch that is neither 0 nor 1."""
        for name in ("squared", "inputs", "vgg19", "pwcnet"):
            value = getattr(self, name)
            strict.require("settings of zhang2020", name, value, value in (0, 1), "1 (yes) or 0 (no)")


SETTINGS = tuple(field.name for field in fields(Setting))


class Discriminator(nn.Module):
    """D: frames (B, 1, H, W) to the logits (B,) of being true. H and W at least 32.

    Five convolutions of 4 x 4 that halve, without normalisation (what a frame is judged by must not depend on the batch it is in), averaged
    over places so that crops of any size are judged alike. Weights by He: with the paper's N(0, 0.01) nothing of a frame comes through.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 1
        for outputs in (32, 64, 128, 256, 256):
            layer = nn.Conv2d(inputs, outputs, 4, stride=2, padding=1)
            nn.init.kaiming_normal_(layer.weight, a=0.2)
            set_bias(layer)
            layers += [layer, nn.LeakyReLU(0.2)]
            inputs = outputs
        self.body = nn.Sequential(*layers)
        self.judge = nn.Linear(inputs, 1)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return self.judge(self.body(frames).mean(dim=(2, 3)))[:, 0]  # type: ignore[no-any-return]


def greys(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Luminance of a batch, `blurry` (B, 3, H, W) and `sharp` (B, 7, 3, H, W): (B, 1, H, W) and (B, 7, 1, H, W)."""
    return luminance(batch["blurry"])[:, None], luminance(batch["sharp"])[:, :, None]


def squared_centre(made: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean squared error of the middle frame."""
    return squared(centre(made), centre(target))


@dataclass(frozen=True)
class Objective:
    """What the generator minimises: a setting, and the frozen networks that the losses look through (None where no term asks for one)."""

    setting: Setting
    features: Features | None = None
    flow: FlowBetween | None = None

    @classmethod
    def of(cls, setting: Setting, device: torch.device) -> Self:
        """With what its terms ask for. Raises WeightsError without the file of VGG19; without PWC-Net see `blurbench.video.flow.load`."""
        features = flow = None
        if setting.perceptual or setting.gram:
            features = sight.load_features("vgg19" if setting.vgg19 else "random", device)
        if setting.flow:
            flow = sight.load_flow(PWCNET if setting.pwcnet else "dis-medium")
        return cls(setting, features, flow)

    def terms(self, generator: nn.Module, discriminator: nn.Module, made: torch.Tensor, target: torch.Tensor) -> dict[str, torch.Tensor]:
        """The weighted terms whose sum the generator minimises. made: (B, 7, 1, H, W), what it made of the blurry picture.

        The discriminator gets gradients as well, which are not for it: freeze it, or clear them.
        """
        weigh = self.setting
        terms: dict[str, torch.Tensor] = {}
        if weigh.content:
            terms["centre"] = weigh.content * (squared_centre if weigh.squared else centre_loss)(made, target)
        if weigh.pairs:
            terms["pairs"] = weigh.pairs * pair_loss(made, target)
        if weigh.perceptual:
            assert self.features is not None
            terms["perceptual"] = weigh.perceptual * losses.perceptual_loss(made, target, self.features)
        if weigh.adversarial:
            terms["adversarial"] = weigh.adversarial * losses.adversarial_loss(discriminator(made.flatten(0, 1)))
        if weigh.flow:
            assert self.flow is not None
            terms["flow"] = weigh.flow * losses.cycle_flow_loss(made, target, self.flow)
        if weigh.gram or weigh.cycle:
            terms |= self._later(generator, made.detach(), target)
        return terms

    def _later(self, generator: nn.Module, first: torch.Tensor, target: torch.Tensor) -> dict[str, torch.Tensor]:
        """Of stages 2 and 3. first: what the first stage made, (B, 7, 1, H, W)."""
        weigh = self.setting
        terms: dict[str, torch.Tensor] = {}
        if not weigh.gram:
            with torch.no_grad():
                second = again(generator, first, TRIPLES[-1])
        else:
            assert self.features is not None
            compared, second = _compared(generator, first, target, bool(weigh.inputs))
            terms["gram"] = weigh.gram * torch.stack([losses.gram_loss(*pair, self.features) for pair in compared]).sum()
        if weigh.cycle:
            given = second.detach()
            terms["cycle"] = weigh.cycle * losses.bi_cycle_loss(given, again(generator, given))
        return terms


def again(generator: nn.Module, frames: torch.Tensor, which: tuple[int, ...] = tuple(range(FRAMES))) -> torch.Tensor:
    """The average of some frames of (B, 7, 1, H, W), blurry as an exposure over them is, taken apart by the generator: (B, 7, 1, H, W)."""
    return generator(frames[:, list(which)].mean(dim=1))[:, :, None].float()  # type: ignore[no-any-return]


def _compared(
    generator: nn.Module, first: torch.Tensor, target: torch.Tensor, inputs: bool
) -> tuple[list[tuple[torch.Tensor, torch.Tensor]], torch.Tensor]:
    """The nine pairs of made and true triples whose Gram matrices Eq. 7 compares, and the frames made of the last triple."""
    if not inputs:
        second = again(generator, first, TRIPLES[-1])
        return [(second[:, list(triple)], target[:, list(triple)]) for triple in TRIPLES], second
    pairs = []
    for triple in TRIPLES:
        second = again(generator, first, triple)
        pairs.append((second[:, list(ENDS)], target[:, list(triple)]))
    return pairs, second


def judge(networks: Networks, batch: Batch, settings: Settings) -> dict[str, torch.Tensor]:
    """The turn of the discriminator, with true frames and those of the generator as it is."""
    blurry, target = greys(batch)
    with torch.no_grad():
        made = networks["network"](blurry)
    discriminator = networks["discriminator"]
    real, fake = (discriminator(frames.reshape(-1, 1, *frames.shape[-2:])) for frames in (target, made))
    return {"discriminator": losses.discriminator_loss(real, fake)}


def generate(networks: Networks, batch: Batch, settings: Settings) -> dict[str, torch.Tensor]:
    """The turn of the generator. Raises what `Objective.of` raises."""
    blurry, target = greys(batch)
    objective = Objective.of(Setting(**settings), blurry.device)
    generator = networks["network"]
    return objective.terms(generator, networks["discriminator"], generator(blurry)[:, :, None].float(), target)


def require_backbones(settings: Settings) -> None:
    """Raises WeightsError naming those of VGG19 and PWC-Net that the terms look through and that are not here, and where they go."""
    setting = Setting(**settings)
    absent = []
    vgg19 = sight.vgg19_file()
    if setting.vgg19 and (setting.perceptual or setting.gram) and not vgg19.is_file():
        absent.append(f"{vgg19.name} is not in {vgg19.parent} (put it there: {sight.VGG19_URL})")
    if setting.pwcnet and setting.flow:
        try:
            sight.load_flow(PWCNET)
        except BrokenPluginError:
            absent.append("PWC-Net needs ptlflow (pip install 'ptlflow>=0.4.2' 'opencv-python<5')")
        except WeightsError as error:
            absent.append(
                f"the weights of PWC-Net, which ptlflow fetches, cannot be had ({' '.join(str(error.__cause__ or error).split())[:200]})"
            )
    if absent:
        mend = "else train zhang2020, or take --recipe with a copy of zhang2020.toml that has vgg19 = 0 and pwcnet = 0"
        raise WeightsError(f"zhang2020's losses look through networks of others: {'; '.join(absent)}; {mend}")


def adversarial_stage() -> Stage:
    """Any of the three: their settings tell them apart. The discriminator begins anew with each."""
    return Stage(
        players=(Player(judge, trains=("discriminator",)), Player(generate, trains=("network",))),
        helpers={"discriminator": Discriminator},
        settings=SETTINGS,
        frames=(FRAMES,),
        require=require_backbones,
    )


def content(networks: Networks, batch: Batch, settings: Settings) -> dict[str, torch.Tensor]:
    """The content losses alone: `content` times Eq. 1 as the mean absolute error, `pairs` times Eq. 2 as the mean over pairs."""
    blurry, target = greys(batch)
    made = networks["network"](blurry)[:, :, None].float()
    return {"centre": settings["content"] * centre_loss(made, target), "pairs": settings["pairs"] * pair_loss(made, target)}


CONTENT = Stage(players=(Player(content),), frames=(FRAMES,), settings=("content", "pairs"))
