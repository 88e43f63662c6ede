"""What BIN learns from: all 14 outputs of `Recurrent.forward`, and that three pairs of them, of the same moment, agree (CVPR 2020, code).

Six exposures are numbered 1, 3, ..., 11 after their centres, the moments midway 2, 4, ..., 10. What is true midway is the last target of
the exposure before: exactly so in data of the recipe `adobe240`, elsewhere as nearly as exposures follow each other without a pause.
"""

from __future__ import annotations

import torch

from blurbench.train.losses import charbonnier
from blurbench.train.recipe import Batch, Networks, Settings

EXPOSURES = 6

MOMENTS = (2, 4, 6, 8, 3, 5, 7, 4, 6, 5, 10, 9, 8, 7)
"""Of each output."""

PAIRS = ((1, 7), (5, 9), (2, 8))
"""Outputs of the first run that show one moment: at 4 and 6 of stages 1 and 3, at 5 of stages 2 and 4."""


def true_frames(sharp: torch.Tensor) -> dict[int, torch.Tensor]:
    """Targets (B, 6, T, 3, H, W) of the exposures, T odd and at least 3, to the frame (B, 3, H, W) of each moment."""
    centres = {2 * number + 1: sharp[:, number, sharp.shape[2] // 2] for number in range(EXPOSURES)}
    return centres | {2 * number + 2: sharp[:, number, -1] for number in range(EXPOSURES - 1)}


def outputs(networks: Networks, batch: Batch, settings: Settings) -> dict[str, torch.Tensor]:
    """The mean of 17 Charbonnier errors: of 14 outputs against the true frames, and of three against each other."""
    true, epsilon = true_frames(batch["sharp_around"]), settings["epsilon"]
    made = [image.float() for image in networks["network"](batch["blurry_around"].unbind(1))]
    errors = [charbonnier(image, true[moment], epsilon) for image, moment in zip(made, MOMENTS, strict=True)]
    differences = [charbonnier(made[one], made[other], epsilon) for one, other in PAIRS]
    count = len(errors) + len(differences)
    return {"frames": torch.stack(errors).sum() / count, "agreement": torch.stack(differences).sum() / count}
