"""What the guidance predictor of "Animation from Blur" learns from: a cVAE-GAN (ECCV 2022, Sec. 3.3, Fig. 4 and Eq. 9; numbers: the code).

The encoder turns the true guidance of half of a batch into a latent; from it and the blurry picture the generator must give this guidance
(cross-entropy), while the latent stays near N(0, 1) (Kullback-Leibler divergence). The discriminator sees guidance alone, without the
picture, and tells true guidance from that of an encoded latent, and that of the other half of the batch from that of a latent drawn from
N(0, 1). It is shown one of five classes at each pixel, drawn in proportion to the generator's probabilities, with a gradient as if it were
these (Gumbel-softmax, hard, temperature 1).

Here the discriminator learns before the generator in each step, from guidance made anew; in the code it is the other way round.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar, cast

import torch
from torch import nn
from torch.nn import functional as F

from blurbench.baselines._blocks import set_bias
from blurbench.baselines._zhong2022_networks import CLASSES, SIDE, Discriminator, Encoder
from blurbench.errors import RecipeError
from blurbench.train.recipe import Batch, Networks, Player, Settings, Stage

_Network = TypeVar("_Network", bound=nn.Module)


def numbers(guidance: torch.Tensor) -> torch.Tensor:
    """Vectors (B, 2, h, w), (x right, y down), to the numbers (B, h, w) int64 of `synth.guidance.classes`."""
    right, down = (guidance > 0).unbind(1)
    quadrant = 1 + 2 * down.long() + (right == down).long()
    return torch.where((guidance == 0).all(dim=1), 0, quadrant)


class Made(NamedTuple):
    """Half of a batch, from encoded latents and from others: logits (b, 5, 256, 256) both; mean and log-variance (b, 4) of the first.

    true: numbers (2b, 256, 256) of the whole batch.
    """

    encoded: torch.Tensor
    prior: torch.Tensor
    mean: torch.Tensor
    log_variance: torch.Tensor
    true: torch.Tensor


def make(networks: Networks, batch: Batch) -> Made:
    """Resizes to 256x256 by the nearest pixel, as the method does. Raises RecipeError for an odd batch."""
    blurry, guidance = (F.interpolate(batch[name].float(), (SIDE, SIDE), mode="nearest") for name in ("blurry", "guidance"))
    half = len(blurry) // 2
    if len(blurry) % 2:
        told = f"the guidance predictor learns from two halves of a batch, a device has {len(blurry)} crops"
        raise RecipeError(f"{told}; take an even number")
    true = numbers(guidance)
    mean, log_variance = networks["encoder"](_one_hot(true[:half]))
    latent = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
    generator = cast(nn.Module, networks["network"].predictor)
    # One pass: pictures of a batch do not see each other.
    logits = generator(blurry[:half].repeat(2, 1, 1, 1), torch.cat([latent, torch.randn_like(mean)])).float()
    encoded, prior = logits.chunk(2)
    return Made(encoded, prior, mean.float(), log_variance.float(), true)


def judge(networks: Networks, batch: Batch, settings: Settings) -> dict[str, torch.Tensor]:
    """Squared errors of the discriminator: 1 for true guidance, 0 for the generator's."""
    with torch.no_grad():
        made = make(networks, batch)
    discriminator, half = networks["discriminator"], len(made.mean)
    pairs = {"encoded": (made.encoded, made.true[:half]), "prior": (made.prior, made.true[half:])}
    return {
        f"judge-{name}": _squared(discriminator(_drawn(logits)), 0) + _squared(discriminator(_one_hot(true)), 1)
        for name, (logits, true) in pairs.items()
    }


def generate(networks: Networks, batch: Batch, settings: Settings) -> dict[str, torch.Tensor]:
    """The loss of encoder and generator, with the weights `encoded`, `prior`, `cross_entropy` and `divergence`."""
    made = make(networks, batch)
    discriminator = networks["discriminator"]
    divergence = -0.5 * (1 + made.log_variance - made.mean.square() - made.log_variance.exp()).sum(dim=1)
    return {
        "encoded": settings["encoded"] * _squared(discriminator(_drawn(made.encoded)), 1),
        "prior": settings["prior"] * _squared(discriminator(_drawn(made.prior)), 1),
        "cross-entropy": settings["cross_entropy"] * F.cross_entropy(made.encoded, made.true[: len(made.mean)]),
        "divergence": settings["divergence"] * divergence.mean(),
    }


def started(network: _Network) -> _Network:
    """With the initial values of the authors: kernels by Xavier's normal rule, times 0.02, biases 0."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.xavier_normal_(layer.weight, gain=0.02)
            set_bias(layer)
    return network


PREDICTING = Stage(
    players=(Player(judge, ("discriminator",)), Player(generate, ("network.predictor", "encoder"))),
    helpers={"encoder": lambda **small: started(Encoder(**small)), "discriminator": lambda **small: started(Discriminator(**small))},
    extras=("guidance",),
    settings=("encoded", "prior", "cross_entropy", "divergence"),
)


def _one_hot(true: torch.Tensor) -> torch.Tensor:
    return F.one_hot(true, CLASSES).permute(0, 3, 1, 2).float()


def _drawn(logits: torch.Tensor) -> torch.Tensor:
    return F.gumbel_softmax(logits, tau=1, hard=True, dim=1)


def _squared(scores: tuple[torch.Tensor, ...], wanted: float) -> torch.Tensor:
    """Mean squared error of each scale, added up."""
    return torch.stack([(each.float() - wanted).square().mean() for each in scores]).sum()
