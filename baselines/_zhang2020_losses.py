"""The losses of *Every Moment Matters* (K. Zhang et al., ACM MM 2020) that are its own.

Frames are luminance, (B, 7, 1, H, W) in [0, 1].

The pair loss (Eq. 2) and the pixel term of the centre (Eq. 1) are those of `blurbench.train.losses`. Choices where the paper says nothing,
or what cannot be meant:

- norms: means over pixels and batch, as in the content losses, but for Eq. 4, which alone prints a squared L2 norm: there the squares are
  summed over the picture, else beta = 0.001 would leave nothing of that term beside the others; and for Eq. 7, a Frobenius norm;
- warping (Eq. 4): a transformer network looks backwards, so frame 1 is made out of frame 7 with the flow from 1 to 7. With the flow from 7
  to 1, as printed, things would move away from where they should go. Pixels whose place lies outside the picture are left out;
- flows are constants: gradients reach the generator through the frames that are warped, not through the flow network, so that any flow
  model serves and the generator learns no patterns that deceive it;
- the Gram matrix (Eq. 6): rows are (frame, channel), columns are places, F F^T: blocks of channels by channels for each two of three
  frames, as Fig. 4 has it. As printed, F^T F would have the places in its rows.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

from blurbench.baselines._zhang2021_offsets import warp

FRAMES = 7
_LUMINANCE = (0.299, 0.587, 0.114)

TRIPLES = tuple((first, first + gap, first + 2 * gap) for gap in (1, 2, 3) for first in range(FRAMES - 2 * gap))
"""The nine ways to take three of seven frames at equal distances; the last is (0, 3, 6), that of the whole exposure."""

Features = Callable[[torch.Tensor], torch.Tensor]
"""Pictures (B, 1, H, W) in [0, 1] to maps (B, C, h, w)."""

FlowBetween = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From pictures a and b, (B, 1, H, W) in [0, 1], where each pixel of a is in b: (B, 2, H, W), (x, y) in pixels, without gradient."""


def luminance(rgb: torch.Tensor) -> torch.Tensor:
    """BT.601 luminance of (..., 3, H, W), as (..., H, W)."""
    # Not as a matrix product, which autocast would round to bfloat16.
    return (rgb * rgb.new_tensor(_LUMINANCE).view(3, 1, 1)).sum(dim=-3)


def perceptual_loss(prediction: torch.Tensor, target: torch.Tensor, features: Features) -> torch.Tensor:
    """The second term of Eq. 1: mean absolute difference of the features of the middle frames."""
    middle = prediction.shape[1] // 2
    with torch.no_grad():
        wanted = features(target[:, middle])
    return (features(prediction[:, middle]) - wanted).abs().mean()


def adversarial_loss(logits: torch.Tensor) -> torch.Tensor:
    """Eq. 3 of what the discriminator says of made frames, before its sigmoid: the mean of log(1 - D)."""
    return functional.logsigmoid(-logits.float()).mean()


def discriminator_loss(real: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
    """What the discriminator minimises, from its logits of true and made frames: the means of -log D(true) and -log(1 - D(made)), added."""
    return -functional.logsigmoid(real.float()).mean() - functional.logsigmoid(-made.float()).mean()


def cycle_flow_loss(prediction: torch.Tensor, target: torch.Tensor, flow: FlowBetween) -> torch.Tensor:
    """Eq. 4: the true first frame against the made last one, warped by the motion between the made ones, and the other way round.

    Squared differences, summed over the picture, averaged over the batch; for a picture whose every pixel is seen in the other, zero for
    the truth. Its reversal costs as much as the motion changes the picture: this is what fixes the order of time.
    """
    first, last = prediction[:, 0].float(), prediction[:, -1].float()
    return _returned(target[:, 0], last, flow(first, last)) + _returned(target[:, -1], first, flow(last, first))


def _returned(target: torch.Tensor, other: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """The error of `other` seen through the flow from the target's moment to its own."""
    offsets = flow.detach().flip(1)[:, None]  # (dy, dx)
    seen, inside = (warp(picture, offsets)[:, 0] for picture in (other, torch.ones_like(other)))
    return ((target.float() - seen).square() * (inside > 0.999)).flatten(1).sum(dim=1).mean()


def gram(features: torch.Tensor) -> torch.Tensor:
    """Eq. 6: from the features of three frames, (B, 3, C, h, w), the matrices (B, 3C, 3C) of their products over places, over C h w."""
    rows = features.float().flatten(1, 2).flatten(2)
    with torch.autocast(rows.device.type, enabled=False):  # what is compared are small differences of sums of squares
        products: torch.Tensor = rows @ rows.mT / features[0, 0].numel()
        return products


def gram_loss(prediction: torch.Tensor, target: torch.Tensor, features: Features) -> torch.Tensor:
    """One term of Eq. 7: the Frobenius norm of the difference of Gram matrices, averaged over the batch. Both (B, 3, 1, H, W)."""
    made, wanted = (gram(torch.unflatten(features(three.flatten(0, 1)), 0, three.shape[:2])) for three in (prediction, target))
    norms: torch.Tensor = torch.linalg.matrix_norm(made - wanted)
    return norms.mean()


def bi_cycle_loss(given: torch.Tensor, recovered: torch.Tensor) -> torch.Tensor:
    """Eq. 8: mean absolute difference of the blurs (means over time) of the given and the recovered frames, and that of the frames
    themselves.

    The printed 1/7 makes the second a mean over frames; the sums over pixels of both are means here.
    """
    blurs = given.mean(dim=1) - recovered.mean(dim=1)
    return blurs.abs().mean() + (given - recovered).abs().mean()
