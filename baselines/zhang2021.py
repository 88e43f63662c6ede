"""Motion-ETR: Exposure Trajectory Recovery from Motion Blur (Y. Zhang et al., TPAMI 2021; equations as numbered in arXiv 2020).

A deblurring network gives the sharp centre frame, an offset network where each of its pixels was at other moments, and the sharp frame
warped along these offsets is the video (Eq. 17): any number of frames from one blurry image, (B, 3, H, W) RGB in [0, 1], H and W
multiples of 8. Offsets, their curves, `warp` and `reblur`: `_zhang2021_offsets.py`.

Two methods, because the deblurring network of paper and released code differ: `_zhang2021_deblur.py` says in what. `zhang2021` is as
released, which the official weights need; `zhang2021-paper` as printed, and nobody released weights of it. In both:

- the video takes the offsets of the separate offset network (quadratic), not of the one inside the deblurring network;
- the 15 averaged frames are slices of the exposure, so exposure time x (0 opens, 1 closes) is curve time 15/14 (2x - 1): who asks for 15
  evenly spread frames gets those of the authors. The centre is the deblurred image itself. Which end is first is the network's guess;
- clamping to [0, 1] comes last, behind the warp.

The authors average code values, as GoPro's blur is made. Where data were exposed in linear light, `train --gamma 2.2` averages there, and
the weights remember it; own addition, for of such data the true motion itself, averaged in code values, does not make the blur.

Both are the quadratic model unless `--option constraint=` names another row of the paper's Tables 2 and 6: `zero`, `linear`, `bi-linear`.
Both offset networks then have this constraint, in training as well; see `_zhang2021_offsets.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self, cast, get_args

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from blurbench import weights as files
from blurbench.baselines._blocks import constant, xavier
from blurbench.baselines._network import as_batch, described, placed
from blurbench.baselines._width import width_of
from blurbench.baselines._zhang2021_deblur import MotionAware
from blurbench.baselines._zhang2021_offsets import (
    COUNT,
    FINEST,
    GRID,
    Constraint,
    OffsetNetwork,
    load_offsets,
    offsets,
    reblur,
    reblurring,
    state_of,
    warp,
)
from blurbench.errors import UnknownNameError, WeightsError
from blurbench.methods import Answer, Capabilities, Method, MethodCard, Request, Resources
from blurbench.train.losses import centre, squared
from blurbench.train.recipe import Batch, Networks, Settings, Stage, Training, alone
from blurbench.types import F32, F64

__all__ = ["NETWORKS", "MotionAware", "OffsetNetwork", "Zhang2021", "Zhang2021Paper", "load_offsets", "offsets", "reblur", "warp"]

GAMMAS = ("1", "2.2")
"""Of the light in which blur is made: that of the code values, as released, and linear light."""

STEMS = {"offset": "latest_net_offset", "deblur": "latest_net_deblur"}
"""The parts of `MotionETR`, and the stems of their checkpoint files (.pth or .safetensors)."""


class MotionETR(nn.Module):
    """All that a video needs: `offset`, and `deblur` with an offset network of its own; both have the constraint.

    begins_as_copy: deblurring does, as trainings of an hour want it; own addition, of the small network that ships. gamma: of `exposed`.
    """

    def __init__(
        self,
        as_released: bool = True,
        width: float = 1.0,
        constraint: Constraint = "quadratic",
        begins_as_copy: bool = False,
        gamma: float = 1.0,
    ) -> None:
        super().__init__()
        self.gamma = gamma
        self.offset = OffsetNetwork(constraint, width)
        self.deblur = MotionAware(as_released, width, constraint)
        xavier(self)  # Section 6.1
        if begins_as_copy:
            for level in (1, 2, 3):
                constant(cast(nn.Conv2d, self.deblur.get_submodule(f"deblur_net.decoder_lv{level}.layer24")))


def constrained(as_released: bool, constraint: str = "quadratic", gamma: str = "1", **small: Any) -> MotionETR:
    """The networks with the constraint of this name, and this one of `GAMMAS`. Raises UnknownNameError."""
    for option, value, known in (("constraint", constraint, get_args(Constraint)), ("gamma", gamma, GAMMAS)):
        if value not in known:
            raise UnknownNameError(option, value, known, "zhang2021")
    return MotionETR(as_released, constraint=cast(Constraint, constraint), gamma=float(gamma), **small)


def offset_stage(networks: Networks, batch: Batch, settings: Settings) -> dict[str, torch.Tensor]:
    """The self-supervised loss of the offset network: the sharp centre frame, blurred along its curves, against the blurry picture."""
    network = cast(MotionETR, networks["network"])
    return reblurring(network.offset, batch["blurry"], centre(batch["sharp"]), settings, network.gamma)


def deblur_stage(networks: Networks, batch: Batch, settings: Settings) -> dict[str, torch.Tensor]:
    """Mean squared error of the deblurred picture; the offset network inside learns with it."""
    network = cast(MotionETR, networks["network"])
    return {"squared": squared(network.deblur(batch["blurry"]).float(), centre(batch["sharp"]))}


def begin_deblurring(networks: Networks) -> None:
    """The offset network inside the deblurring network starts as what the separate one has learnt."""
    network = cast(MotionETR, networks["network"])
    network.deblur.offset_net.load_state_dict(network.offset.state_dict())


def once(network: nn.Module) -> dict[str, torch.Tensor]:
    """The state without the second names of bottleneck layers, which `state_of` gives them."""
    return {key: value for key, value in network.state_dict().items() if ".model." not in key}


def _training(as_released: bool) -> Training:
    offset = Stage(alone(offset_stage, "network.offset"), settings=("structure", "smoothness", "size"))
    stages = {
        "offset": offset,
        "smooth": offset,
        "deblur": Stage(alone(deblur_stage, "network.deblur"), prepare=begin_deblurring),
    }
    return Training(
        network=partial(constrained, as_released),
        recipe="zhang2021",
        stages=stages,
        state=once,
        options={"constraint": get_args(Constraint), "gamma": GAMMAS},
    )


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "etr_offset_quad": OffsetNetwork,
    "etr_offset_lin": lambda: OffsetNetwork("linear"),
    "etr_motion_aware_deblur": MotionAware,
}
"""Networks that have published checkpoints, by the name of their key list."""

_FILES = "latest_net_offset.pth (quadratic) and latest_net_deblur.pth"
_ORIGIN = f"{_FILES} of github.com/yjzhang96/Motion-ETR (the second by the download link there)"


class Zhang2021(Method):
    """Motion-ETR as released, with the official weights or any in their format."""

    card: ClassVar[MethodCard] = MethodCard(
        id="zhang2021",
        title="Motion-ETR (as released)",
        paper="Y. Zhang, C. Wang, S. J. Maybank, D. Tao: Exposure Trajectory Recovery from Motion Blur, TPAMI 2021 (arXiv 2020)",
        licence="Apache-2.0 (this code, re-implemented); official weights: see their repository",
        citation="""@article{zhang2021exposure,
  title = {Exposure Trajectory Recovery from Motion Blur},
  author = {Zhang, Youjian and Wang, Chaoyue and Maybank, Stephen J. and Tao, Dacheng},
  journal = {IEEE Transactions on Pattern Analysis and Machine Intelligence},
  year = {2021}
}""",
        training_data="GoPro",
        weights=f"put into one folder {_ORIGIN}",
        released=_ORIGIN,
    )
    capabilities = Capabilities(multiple=8, resources=Resources(gpu=True, memory_gb=6.0))
    as_released: ClassVar[bool] = True
    training: ClassVar[Training | None] = _training(True)
    origin: ClassVar[str] = f"put into one folder {_ORIGIN}"
    options: ClassVar[Mapping[str, str]] = {"constraint": "of trajectories: quadratic (if left out), bi-linear, linear or zero"}

    def __init__(self, network: MotionETR, device: str = "cpu") -> None:
        self.network = placed(network, device)
        self.device = device

    @classmethod
    def load(cls, weights: Path | None = None, device: str = "cpu", constraint: str = "quadratic") -> Self:
        """From a folder of the two checkpoint files, or one file of a whole `MotionETR`, of any width. constraint: see `options`.

        Raises WeightsError, also for None, and UnknownNameError for another constraint.
        """
        if weights is None:
            raise files.absent(cls.card.id, cls.origin, "FOLDER")
        parts = files.of_parts(weights, STEMS, cls.origin)
        states = {part: state_of(files.read(path), path) for part, path in parts.items()}
        width = width_of(states.get("", {}), "offset.conv_1.1.bias", FINEST)
        learnt = files.learnt(parts[""]) if "" in parts else None
        network = constrained(cls.as_released, constraint, (learnt or {}).get("gamma", "1"), width=width)
        for part, state in states.items():
            cls._check(state, network, parts[part], whole=not part)
            files.fit(network.get_submodule(part), state, parts[part])
        return described(cls(network, device), list(parts.values()))

    def state(self) -> dict[str, torch.Tensor]:
        """Without the second names of bottleneck layers, which `state_of` gives them."""
        return once(self.network)

    @classmethod
    def _check(cls, state: dict[str, torch.Tensor], network: MotionETR, path: Path, whole: bool) -> None:
        """What `fit` cannot tell: half of a checkpoint given as a whole, and weights of the other variant, whose shapes are the same."""
        if whole and not any(key.startswith("deblur.") for key in state):
            raise WeightsError(f"{path} is one network, {cls.card.id} needs two; {cls.origin}, and give --weights FOLDER")
        # Bi-linear and quadratic weights have the same shapes; files of others do not say which they are.
        options, constraint = files.learnt(path), network.offset.constraint
        learnt = constraint if options is None else options.get("constraint", "quadratic")
        if learnt != constraint:
            mend = f"give --option constraint={learnt}" if learnt != "quadratic" else "leave out --option constraint"
            raise WeightsError(f"{path} holds {learnt} trajectories, expected {constraint} ones; {mend}, or other weights")
        own = float(network.deblur.deblur_net.decoder_lv1.ratio_3)
        for key, value in state.items():
            if key.endswith("ratio_3") and value.numel() == 1 and abs(float(value) - own) > 1e-3:
                other = Zhang2021Paper if cls.as_released else Zhang2021
                found = f"{key!r} is {float(value):.3g}, expected {own:.3g}"
                raise WeightsError(f"{path} is not of {cls.card.id}: {found}; try --method {other.card.id}")

    @torch.inference_mode()
    def predict(self, blurry: F32, request: Request) -> F32 | Answer:
        """(1, T, H, W, 3) float32 in [0, 1] at `request.times`, in their order, and the trajectories at 15 times.

        For the motion, start and end of the curve are those of the exposure, as the paper's motion error takes them. An offset leads from
        a pixel of another time to where it is in the centre frame; its opposite, at the same pixel, is taken for the way there.
        """
        height, width = blurry.shape[:2]
        image = picture(blurry, self.device)
        sharp = self.network.deblur(image)
        curves = offsets(self.network.offset, image, [*curve_times(request.times), *GRID])
        asked, path = curves[:, : -len(GRID)], curves[:, -len(GRID) :]
        frames = warp(sharp, asked)[..., :height, :width].clamp(0, 1).permute(0, 1, 3, 4, 2)
        motion = -path[..., :height, :width].flip(2).permute(0, 1, 3, 4, 2)  # (dy, dx) to (x, y)
        return Answer(frames.cpu().numpy(), motion.float().cpu().numpy(), np.linspace(0, 1, len(GRID)))


class Zhang2021Paper(Zhang2021):
    """Motion-ETR with the motion-aware convolution as the paper describes it."""

    card = replace(
        Zhang2021.card,
        id="zhang2021-paper",
        title="Motion-ETR (as in the paper)",
        licence="Apache-2.0 (re-implemented from the paper)",
        training_data="rendered footage (genblur), with the photographs of BSDS500's train and val",
        weights="shipped, of a small network; the authors never released theirs",
        released="never",
    )
    as_released = False
    training = _training(False)
    origin = f"nobody released any; put into one folder {_FILES} of your own training"


def curve_times(times: F64) -> F64:
    """Times in the exposure, 0 to 1, as times on the curve: 1/30 (middle of the first of 15 slices) is -1, 0.5 is 0, 29/30 is 1."""
    return times * (2 * COUNT / (COUNT - 1)) - COUNT / (COUNT - 1)


def picture(image: F32, device: str) -> torch.Tensor:
    """(H, W, 3) as (1, 3, H, W) on the device, the last row and column repeated up to the 16 that the offset network needs."""
    height, width = image.shape[:2]
    return F.pad(as_batch(image, device), (0, max(0, 16 - width), 0, max(0, 16 - height)), mode="replicate")
