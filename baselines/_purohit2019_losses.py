"""The losses of *Bringing Alive Blurred Moments* (K. Purohit et al., CVPR 2019, section 2.4), one function a stage of training.

Eq. 4 sums over scales j and frames n: lambda_j [ L_j + mu TV(f_n,j) ]. Sums over frames are divided by their number, sums over a picture by
its pixels, both in L_j and TV, which changes no balance within a scale.

What the paper says -> what is done here:

- lambda_j: "adopted according to the loss weight suggested in" DispNet, which turns from coarse to fine while it learns -> fixed:
  `eighth` 0.125, `quarter` 0.25, `half` 0.5, `whole` 1, its last state without giving the coarse scales up;
- mu: 0.02 -> `smoothness`; pictures in [0, 1], flows in pixels of their scale;
- smaller frames: "suitably down-sampled" -> means of k x k pixels;
- Eq. 6, ordering: absolute value only on the side of the truth; mirror frame N - n -> `train.losses.pair_loss`: absolute values on both,
  mirror N + 1 - n, else the truth has an error;
- Eq. 6, centre: no term: nothing holds the centre frame in its place -> `centre` times its absolute error, as the work does that Eq. 6 is
  taken from; 0 is the letter of the paper;
- deblurring module: loss not printed -> mean squared error;
- centre of N frames: x_floor(N/2) -> counted from 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import torch
from torch.nn import functional as F

from blurbench.baselines._purohit2019_motion import transform
from blurbench.train.losses import centre, centre_loss, pair_loss, squared
from blurbench.train.recipe import Batch, Networks, Settings

if TYPE_CHECKING:
    from blurbench.baselines.purohit2019 import BlurToVideo

SCALES = {"eighth": 8, "quarter": 4, "half": 2, "whole": 1}
"""The four scales, coarsest first, as the decoder gives them; their names are the settings that weigh them."""

Data = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Made and true frames (B, N, 3, h, w) to L_j."""


def total_variation(flows: torch.Tensor) -> torch.Tensor:
    """TV: (B, N, 2, h, w) to the mean over pixels of |differences| between neighbours in x and in y, components added."""
    flows = flows.float()
    across, down = flows.diff(dim=-1).abs().sum(), flows.diff(dim=-2).abs().sum()
    return 2 * (across + down) / flows.numel()


def frame_loss(made: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Eq. 5: absolute differences, summed over colours, mean over pixels and frames."""
    return 3 * (made - true).abs().mean()


def ordering_loss(made: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Eq. 6 on the same scale: the sum over pairs, divided by the number of frames."""
    count = made.shape[1]
    return 3 * (count // 2) / count * pair_loss(made, true)


def coarse_to_fine(flows: list[torch.Tensor], frames: torch.Tensor, settings: Settings, data: Data) -> dict[str, torch.Tensor]:
    """Eq. 4 of flows at four scales, for frames (B, N, 3, H, W): the terms `data` and `smooth`."""
    middle = centre(frames)
    found, smooth = frames.new_zeros(()), frames.new_zeros(())
    for (name, factor), flow in zip(SCALES.items(), flows, strict=True):
        true = torch.unflatten(F.avg_pool2d(frames.flatten(0, 1), factor), 0, frames.shape[:2])
        found = found + settings[name] * data(transform(F.avg_pool2d(middle, factor), flow), true)
        smooth = smooth + settings[name] * total_variation(flow)
    return {"data": found, "smooth": settings["smoothness"] * smooth}


def autoencoder(networks: Networks, batch: Batch, settings: Settings) -> dict[str, torch.Tensor]:
    """Stage 1: the video encoder sees the frames that the decoder is to make (Eq. 4 and 5)."""
    network, frames = _whole(networks), batch["sharp"]
    flows = network.decoder(network.video_encoder(frames), frames.shape[1])
    return coarse_to_fine(flows, frames, settings, frame_loss)


def guided(networks: Networks, batch: Batch, settings: Settings) -> dict[str, torch.Tensor]:
    """Stage 2: the blurred image's encoder sees the blur and the true centre frame (Eq. 4 and 6)."""
    network, frames = _whole(networks), batch["sharp"]

    def data(made: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
        weight: float = 3 * settings["centre"] / made.shape[1]
        return ordering_loss(made, true) + weight * centre_loss(made, true)

    motion = network.image_encoder(batch["blurry"], centre(frames))
    return coarse_to_fine(network.decoder(motion, frames.shape[1]), frames, settings, data)


def _whole(networks: Networks) -> BlurToVideo:
    return cast("BlurToVideo", networks["network"])


def deblurring(networks: Networks, batch: Batch, settings: Settings) -> dict[str, torch.Tensor]:
    """The deblurring module, on its own: mean squared error of the centre frame."""
    return {"squares": squared(_whole(networks).deblur(batch["blurry"]), centre(batch["sharp"]))}
