"""Learning to Extract a Video Sequence from a Single Motion-Blurred Image (M. Jin, G. Meishvili, P. Favaro, CVPR 2018).

Seven sharp frames from one blurry image, (B, 3, H, W) RGB in [0, 1], H and W multiples of 20. The centre frame comes first, then pairs
outwards, each network seeing the blurry image B and two frames found before:

    f4 = centre(B)
    f3 = third(B, f4, f4)   f5 = fifth(B, f3, f4)     two networks; that f5 sees f3 settles the direction of time
    f2 = outer(B, f4, f3)   f6 = outer(B, f4, f5)     one network for both (F26)
    f1 = outermost(B, f3, f2)   f7 = outermost(B, f5, f6)     one network for both (F17)

Red, green and blue go one by one through the same weights, as r*r maps of 1/r of the size (r = 4 for the centre, 5 for pairs), and are
merged at full size. Each network adds what it finds to an image: to B, or to the frame nearer the centre. 18,213,376 parameters in all.

As released by the authors, which their weights need; only their test code is public:

- no convolution has a bias. Instance normalisation takes the statistics of the picture at hand, so a cut-out of a picture gives other
  values than the whole; the running averages in the checkpoints were never used and are dropped;
- the supplement draws the layers behind the taps as plain 3x3 convolutions, and the 1x1 branch in another order; the weights have two
  branches, 1x1 and 3x3, each behind a normalisation of its own;
- the authors cut pictures at the right and the bottom to multiples of 20, and drop the fractions of 8-bit values. Here the framework pads
  by mirroring, which changes the statistics a little (crop beforehand for their values), and rounding belongs to the protocol.

Nobody tells how training began. Here the last layer of each network starts near 0, so that each starts at the image that it adds to.

Which of the two directions of time comes out is the network's guess. The weights cannot ship; `Jin2018.load` takes the folder of four.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Self, cast

import torch
from torch import nn
from torch.nn import functional as F

from blurbench import weights as files
from blurbench.baselines._blocks import almost_still
from blurbench.baselines._network import as_batch, as_frames, described, placed
from blurbench.baselines._width import scaled, width_of
from blurbench.errors import WeightsError
from blurbench.methods import Capabilities, Method, MethodCard, Request, Resources
from blurbench.train.losses import centre, pair_loss, squared
from blurbench.train.recipe import Batch, Networks, Settings, Stage, Training, alone
from blurbench.types import F32


class Split(nn.Module):
    """Two branches, conv1(relu(norm1 x)) of 1x1 and conv2(relu(norm2 x)) of 3x3, added up."""

    def __init__(self, inputs: int, outputs: int, dilation: int = 1) -> None:
        super().__init__()
        self.norm1, self.norm2 = _norm(inputs), _norm(inputs)
        self.conv1, self.conv2 = _convolution(inputs, outputs, 1), _convolution(inputs, outputs, 3, dilation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        near: torch.Tensor = self.conv1(torch.relu(self.norm1(x)))
        return near + self.wide(x)

    def wide(self, x: torch.Tensor) -> torch.Tensor:
        """The 3x3 branch."""
        change: torch.Tensor = self.conv2(torch.relu(self.norm2(x)))
        return change


class Residual(Split):
    """x + both branches; the wide one has a second convolution. dilations: of the first and the second."""

    def __init__(self, channels: int, dilations: tuple[int, int] = (1, 1)) -> None:
        super().__init__(channels, channels, dilations[0])
        self.norm4, self.conv4 = _norm(channels), _convolution(channels, channels, 3, dilations[1])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + super().forward(x)

    def wide(self, x: torch.Tensor) -> torch.Tensor:
        change: torch.Tensor = self.conv4(torch.relu(self.norm4(super().wide(x))))
        return change


class Extractor(nn.Module):
    """What both kinds of network share: taps along chains of residual blocks, their sum as r*r maps, and the merging of the colours.

    rate: r. width: channels of the chains. chains: the dilations of each block of each. merged: channels at full size; `last`: the
    block there. Layer names are those of the checkpoints.
    """

    def __init__(self, rate: int, width: int, chains: list[list[tuple[int, int]]], merged: int, last: nn.Module) -> None:
        super().__init__()
        self.rate = rate
        self.chains = len(chains)
        for number, chain in enumerate(chains, 1):
            self.add_module(f"LocalGrad{number}", nn.Sequential(*(Residual(width, dilations) for dilations in chain)))
            self.add_module(f"fuse{number}", nn.Sequential(Split(width, rate * rate)))
        self.conv2 = _convolution(3, merged, 3)
        self.GlobalGrad = nn.Sequential(last)
        self.norm3 = _norm(merged)
        self.conv3 = _convolution(merged, 3, 3)
        almost_still(self.conv3)

    def maps(self, image: torch.Tensor) -> torch.Tensor:
        """Colours one by one: (B, 3, H, W) to (3 B, r*r, H/r, W/r)."""
        return F.pixel_unshuffle(image.flatten(0, 1)[:, None], self.rate)

    def change(self, features: torch.Tensor, base: torch.Tensor) -> torch.Tensor:
        """Features (3 B, width, H/r, W/r) and the image (B, 3, H, W) to what is to be added to the image."""
        total = self.maps(base)
        for number in range(1, self.chains + 1):
            features = self.get_submodule(f"LocalGrad{number}")(features)
            total = total + self.get_submodule(f"fuse{number}")(features)
        colours = F.pixel_shuffle(total, self.rate).view_as(base)
        merged: torch.Tensor = self.conv3(torch.relu(self.norm3(self.GlobalGrad(self.conv2(colours)))))
        return merged


class Centre(Extractor):
    """The blurry image (B, 3, H, W) in [0, 1] to the middle frame, not clamped; sizes multiples of 4; 4,972,032 parameters."""

    def __init__(self, width: float = 1.0) -> None:
        chains = [[(1, 1)] * 3, [(1, 2), (2, 4), (4, 8)], [(8, 4), (4, 2), (2, 1)], [(1, 1)] * 3]
        inner, merged = scaled(144, width), scaled(64, width)
        super().__init__(4, inner, chains, merged, Residual(merged))
        self.conv1_B = _convolution(16, inner, 5)

    def forward(self, blurry: torch.Tensor) -> torch.Tensor:
        return blurry + self.change(self.conv1_B(self.maps(blurry)), blurry)


class Neighbour(Extractor):
    """Blurry image, a near frame and the frame to start from, each (B, 3, H, W), to the next frame outwards; sizes multiples of 5.

    blocks: residual blocks of the first and the last chain, 4 in N8 (3,934,464 parameters), 2 in N9 (2,686,208).
    """

    def __init__(self, blocks: int, width: float = 1.0) -> None:
        plain = [(1, 1)] * blocks
        inner, half, merged = (scaled(channels, width) for channels in (128, 64, 32))
        super().__init__(5, inner, [plain, [(1, 2), (4, 8), (8, 4), (2, 1)], plain], merged, Split(merged, merged))
        self.conv1_B, self.conv1_S1, self.conv1_S2 = (_convolution(25, outputs, 5) for outputs in (half, merged, merged))

    def forward(self, blurry: torch.Tensor, near: torch.Tensor, base: torch.Tensor) -> torch.Tensor:
        seen = [self.conv1_B(self.maps(blurry)), self.conv1_S1(self.maps(near)), self.conv1_S2(self.maps(base))]
        return base + self.change(torch.cat(seen, dim=1), base)


class _Pair(nn.Module):
    """One checkpoint of neighbours. blocks: see `Neighbour`. names: of the networks in it."""

    def __init__(self, blocks: int, *names: str, width: float = 1.0) -> None:
        super().__init__()
        for name in names:
            self.add_module(name, Neighbour(blocks, width))


NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "jin2018_centerEsti": Centre,
    "jin2018_F35_N8": partial(_Pair, 4, "generateFrame3", "generateFrame5"),
    "jin2018_F26_N9": partial(_Pair, 2, "generateFrame2_6"),
    "jin2018_F17_N9": partial(_Pair, 2, "generateFrame1_7"),
}
"""Networks that have published checkpoints, by the name of their key list."""

STEMS = {"centre": "center_v3", "F35": "F35_N8", "F26": "F26_N9_from_F35_N8", "F17": "F17_N9_from_F26_N9_from_F35_N8"}
"""The parts of `Sequence`, and the stems of their checkpoint files (.pth or .safetensors)."""


class Sequence(nn.Module):
    """All networks: blurry images (B, 3, H, W) in [0, 1] to frames (B, 7, 3, H, W), not clamped; 18,213,376 parameters.

    width: share of all hidden channels but the r*r maps, see `scaled`.
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        for part, network in zip(STEMS, NETWORKS.values(), strict=True):
            self.add_module(part, network(width=width))

    def forward(self, blurry: torch.Tensor, distance: int = 3) -> torch.Tensor:
        """distance: how many frames on each side of the middle; 3 gives all seven."""
        third, fifth, outer, outermost = (
            self.get_submodule(name)
            for name in ("F35.generateFrame3", "F35.generateFrame5", "F26.generateFrame2_6", "F17.generateFrame1_7")
        )
        f4 = self.get_submodule("centre")(blurry)
        f3 = third(blurry, f4, f4)
        f5 = fifth(blurry, f3, f4)
        if distance == 1:
            return torch.stack([f3, f4, f5], dim=1)
        f2, f6 = outer(blurry, f4, f3), outer(blurry, f4, f5)
        if distance == 2:
            return torch.stack([f2, f3, f4, f5, f6], dim=1)
        f1, f7 = outermost(blurry, f3, f2), outermost(blurry, f5, f6)
        return torch.stack([f1, f2, f3, f4, f5, f6, f7], dim=1)


def centre_stage(networks: Networks, batch: Batch, settings: Settings) -> dict[str, torch.Tensor]:
    """Mean squared error of the middle frame (the pixel term of the paper's loss)."""
    return {"centre": squared(networks["network"].get_submodule("centre")(batch["blurry"]).float(), centre(batch["sharp"]))}


def pair_stage(networks: Networks, batch: Batch, settings: Settings, distance: int) -> dict[str, torch.Tensor]:
    """The ordering-invariant loss of the pair at this distance from the middle frame."""
    made, target = cast(Sequence, networks["network"])(batch["blurry"], distance).float(), batch["sharp"]
    middle = target.shape[1] // 2
    return {"pair": pair_loss(made[:, [0, -1]], target[:, [middle - distance, middle + distance]])}


_STAGES = {"centre": Stage(alone(centre_stage, "network.centre"), frames=(7,))} | {
    part: Stage(alone(partial(pair_stage, distance=distance), f"network.{part}"), frames=(7,))
    for distance, part in enumerate(("F35", "F26", "F17"), 1)
}
"""What was learnt before stays as it is, for each network sees the frames of those before it."""


def _convolution(inputs: int, outputs: int, size: int, dilation: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, padding=dilation * (size // 2), dilation=dilation, bias=False)


def _norm(channels: int) -> nn.InstanceNorm2d:
    return nn.InstanceNorm2d(channels, affine=True)


_REPOSITORY = "github.com/MeiguangJin/Learning-to-Extract-a-Video-Sequence-from-a-Single-Motion-Blurred-Image"
_ORIGIN = f"{', '.join(f'{stem}.pth' for stem in STEMS.values())} by the download link of {_REPOSITORY}"


class Jin2018(Method):
    """Seven frames with the official weights, or any in their format."""

    card = MethodCard(
        id="jin2018",
        title="Learning to Extract a Video Sequence",
        paper="M. Jin, G. Meishvili, P. Favaro: Learning to Extract a Video Sequence from a Single Motion-Blurred Image, CVPR 2018",
        licence="Apache-2.0 (this code, re-implemented); official weights: see their repository",
        citation="""@inproceedings{jin2018learning,
  title = {Learning to Extract a Video Sequence from a Single Motion-Blurred Image},
  author = {Jin, Meiguang and Meishvili, Givi and Favaro, Paolo},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)},
  year = {2018}
}""",
        training_data="averages of seven frames of high-speed video; the repository does not say which",
        weights=f"put into one folder {_ORIGIN}",
        released=_ORIGIN,
    )
    capabilities = Capabilities(frames=7, multiple=20, resources=Resources(gpu=True, memory_gb=3.0))
    training = Training(network=Sequence, recipe="jin2018", stages=_STAGES)

    def __init__(self, network: Sequence, device: str = "cpu") -> None:
        self.network = placed(network, device)
        self.device = device

    @classmethod
    def load(cls, weights: Path | None = None, device: str = "cpu") -> Self:
        """From a folder of the four checkpoint files, or one file of a whole `Sequence`, of any width.

        Raises WeightsError, also for None.
        """
        mend = f"put into one folder {_ORIGIN}, and give --weights FOLDER"
        if weights is None:
            raise files.absent(cls.card.id, f"put into one folder {_ORIGIN}", "FOLDER")
        parts = files.of_parts(weights, STEMS, mend)
        states = {part: _state(path) for part, path in parts.items()}
        network = Sequence(width_of(states.get("", {}), "centre.conv1_B.weight", 144))
        for part, state in states.items():
            path = parts[part]
            if not part and not any(key.startswith("centre.") for key in state):
                raise WeightsError(f"{path} is one network, {cls.card.id} needs four; {mend}")
            files.fit(network.get_submodule(part), state, path)
        return described(cls(network, device), list(parts.values()))

    @torch.inference_mode()
    def predict(self, blurry: F32, request: Request) -> F32:
        """(1, 7, H, W, 3) float32 in [0, 1]."""
        return as_frames(self.network(as_batch(blurry, self.device))[0].clamp_(0, 1))


def _state(path: Path) -> dict[str, torch.Tensor]:
    """A checkpoint without `module.` and without the running statistics of instance normalisation, which decide nothing."""
    unused = ("running_mean", "running_var", "num_batches_tracked")
    state = files.read(path, under="state_dict_G")
    return {key.removeprefix("module."): value.float() for key, value in state.items() if not key.endswith(unused)}
