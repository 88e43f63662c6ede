"""Motion-ETR's re-blurring: the true sharp frame is warped along the trajectories estimated from the blurry picture, and averaged.

One picture, (1, 1, H, W, 3), which should be the blurry one again: how the paper measures its motion (Tables 2 to 4), and what protocol
`zhang2021-reblur` scores. It sees the sharp frame, so it is no deblurring method.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from blurbench.baselines._zhang2021_offsets import exposed, offsets
from blurbench.baselines.zhang2021 import Zhang2021, picture
from blurbench.methods import Capabilities, Request, Resources
from blurbench.types import F32


class Zhang2021Reblur(Zhang2021):
    """The mean of 15 warps of the middle target, in the light that the weights learnt in; weights as for `zhang2021`."""

    card = replace(
        Zhang2021.card, id="zhang2021-reblur", title="Motion-ETR, the blurry picture from the sharp one", weights_of=Zhang2021.card.id
    )
    training = None
    capabilities = Capabilities(frames=1, multiple=8, needs=frozenset({"sharp"}), resources=Resources(gpu=True, memory_gb=6.0))

    @torch.inference_mode()
    def predict(self, blurry: F32, request: Request) -> F32:
        """(1, 1, H, W, 3) float32 in [0, 1]."""
        assert request.sharp is not None
        height, width = blurry.shape[:2]
        image, sharp = (picture(image, self.device) for image in (blurry, request.sharp[len(request.sharp) // 2]))
        again = exposed(sharp, offsets(self.network.offset, image), self.network.gamma)[..., :height, :width].clamp(0, 1)
        return np.asarray(again.permute(0, 2, 3, 1)[:, None].cpu().numpy())
