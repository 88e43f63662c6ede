"""BIN: Blurry Video Frame Interpolation (W. Shen et al., CVPR 2020), the four-stage pyramid with inter-pyramid recurrence.

Sharp frames of a blurry video: the centre of an exposure, and the two moments midway between the centre of this exposure and those of
its neighbours. Exposures are numbered 1, 3, 5, ... and what lies midway 2, 4, ...; pictures are (B, 3, H, W) RGB in [0, 1], H and W even.

A pyramid (Fig. 3) turns exposures 1 to 9 into one frame. Each unit is a residual dense network at half the size, whose output is added
to the mean of its inputs; units of one stage share their weights:

| stage | unit | inputs |
|---|---|---|
| 1 | 2, 4, 6, 8 | exposures before and after |
| 2 | 3, 5, 7 | carried, stage 1 before and after |
| 3 | 4, 6 | carried, exposure before, stage 2 before and after, exposure after |
| 4 | 5 | carried, stage 1 before, stage 3 before and after, stage 1 after |

It runs twice, for exposures 1 to 9 and 3 to 11. What the first run gave at 4, 6, 8 (stage 1), 5, 7 (stage 2) and 6 (stage 3) goes through
a convolutional LSTM cell each and is `carried` to the second run's unit that stands at the same place of its pyramid, i.e. one exposure
later. The first run has nothing to carry: it takes a picture of the stage before, the left one.

As released by the authors, which their weights need:

- six exposures go in, but the three pictures that their test code saves do not depend on exposure 1: it takes part in outputs that only
  training sees (`_shen2020_losses.py`).
  `Recurrent.forward` takes six and gives all 14 outputs; `Recurrent.centre` and the methods take the five others, and
  leave out what is not needed: 13 units in place of 20, the same values;
- an LSTM cell takes one step, from an empty state, so its forget gate is without effect.

The second run's frame, at 7, is the deblurred one. The picture at 6 is that of the first run's stage 3, the one at 8 that of the second's.
In units of an exposure, centre at 0.5, they are at 0 and 1 where exposures follow each other without a pause; at 0.1 and 0.9 in the
authors' data, where 11 frames make an exposure and the next begins 8 frames later. The authors repeat border pixels until sizes are
multiples of 128; here even sizes are enough, which changes pixels near the border only.

Own addition, in the small network that ships: stages 2 and 4 stand at an exposure of their own, which no unit of theirs sees, and which
goes around them (`way_around`).

`shen2020` gives the deblurred frame, `shen2020-video` all three. The authors' weights were linked from the
repository, and cannot ship.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, Self

import torch
from torch import nn
from torch.nn import functional as F

from blurbench import weights as files
from blurbench.baselines._blocks import way_around
from blurbench.baselines._network import as_batch, as_frames, described, placed, with_twins
from blurbench.baselines._shen2020_losses import outputs
from blurbench.baselines._width import scaled, width_of
from blurbench.errors import PredictionError
from blurbench.methods import Capabilities, Method, MethodCard, Request, Resources
from blurbench.train.recipe import Stage, Training, alone
from blurbench.types import F32

CHANNELS = 96
"""Of a unit."""

GROWTH = 32
"""Channels that a convolution of a dense block adds."""

PLACES = {"1": 4, "2": 3, "3": 2, "4": 1}
"""Places of each stage's unit in a pyramid of five exposures."""

PICTURES = {"1": 2, "2": 3, "3": 5, "4": 5}
"""Inputs of each stage's unit."""

AT_AN_EXPOSURE = ("2", "4")
"""Stages whose pictures show the moment of an exposure; the others lie midway."""

CELLS = (
    ("clstm_4_prime", "clstm_6_prime", "clstm_8_prime"),
    ("clstm_5_prime_prime", "clstm_7_prime_prime"),
    ("clstm_6_prime_prime_prime",),
)
"""The cells of stage 1, 2 and 3, each with the place in the first run that it reads."""


class _Grow(nn.Module):
    """x beside relu(conv(x))."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(_convolution(inputs, growth), nn.ReLU(inplace=True))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, self.conv(x)], dim=1)


class _Dense(nn.Module):
    """Residual dense block: four convolutions that each see all before them, a 1x1 fusion, and x added."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(*(_Grow(channels + step * growth, growth) for step in range(4)))
        self.LFF = _convolution(channels + 4 * growth, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        change: torch.Tensor = self.LFF(self.convs(x))
        return change.add_(x)


class Unit(nn.Module):
    """One frame from `count` pictures (B, 3, H, W); names are those of the checkpoints.

    around: see `way_around`, here of `own`, the exposure of that moment, in place of so much of the pictures' mean.
    """

    def __init__(self, count: int, width: float = 1.0, around: bool = False) -> None:
        super().__init__()
        channels, growth, fine = (scaled(each, width) for each in (CHANNELS, GROWTH, 64))
        self.SFENet1, self.SFENet2 = _convolution(12 * count, channels, 5), _convolution(channels, channels)
        self.RDBs = nn.ModuleList(_Dense(channels, growth) for _ in range(12))
        self.GFF = nn.Sequential(_convolution(12 * channels, channels, 1), _convolution(channels, channels))
        last = _convolution(fine, 3)
        self.UPNet = nn.Sequential(_convolution(channels, 4 * fine), nn.PixelShuffle(2), last)
        self.around = way_around(last) if around else None

    def forward(self, *pictures: torch.Tensor, own: torch.Tensor | None = None) -> torch.Tensor:
        shallow = self.SFENet1(F.pixel_unshuffle(torch.cat(pictures, dim=1), 2))
        x = self.SFENet2(shallow)
        found = [x := block(x) for block in self.RDBs]
        change: torch.Tensor = self.UPNet(self.GFF(torch.cat(found, dim=1)) + shallow)
        base = sum(pictures[1:], pictures[0]) / len(pictures)
        return change + (base if self.around is None or own is None else base + self.around * (own - base))


class Cell(nn.Module):
    """The convolutional LSTM cell of a picture (B, 3, H, W), for the one step from an empty state that is ever taken; 660 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.Gates = _convolution(6, 12)

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        gates: torch.Tensor = self.Gates(torch.cat([picture, torch.zeros_like(picture)], dim=1))
        # The third gate, forgetting, has nothing to forget.
        enter, value, _, leave = gates.chunk(4, dim=1)
        return torch.tanh(torch.sigmoid(enter) * torch.tanh(value)) * torch.sigmoid(leave)


class Pyramid(nn.Module):
    """The units, one a stage, each under the names of all its places. around: of those at an exposure, see `Unit`."""

    def __init__(self, width: float = 1.0, around: bool = False) -> None:
        super().__init__()
        for stage, places in PLACES.items():
            unit = Unit(PICTURES[stage], width, around and stage in AT_AN_EXPOSURE)
            for place in range(1, places + 1):
                self.add_module(f"model{stage}_{place}", unit)

    def between(self, exposures: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Stage 1: a picture between each two neighbouring exposures."""
        unit = self.get_submodule("model1_1")
        return [unit(a, b) for a, b in itertools.pairwise(exposures)]

    def forward(
        self, exposures: Sequence[torch.Tensor], one: Sequence[torch.Tensor], carried: Sequence[Sequence[torch.Tensor]] | None = None
    ) -> list[list[torch.Tensor]]:
        """All stages of a run over four or five exposures; `one` is their stage 1. Four give no stage 4.

        carried: what the cells made of stage 1, 2 and 3 of the run before; None in the first run.
        """
        unit2, unit3, unit4 = (self.get_submodule(f"model{stage}_1") for stage in (2, 3, 4))
        carried2, carried3, carried4 = carried or (one, None, one[1:])
        of2 = zip(carried2, itertools.pairwise(one), exposures[1:], strict=False)
        two = [unit2(held, a, b, own=own) for held, (a, b), own in of2]
        of3 = zip(carried3 or two, itertools.pairwise(two), itertools.pairwise(exposures[1:]), strict=False)
        three = [unit3(held, before, a, b, after) for held, (a, b), (before, after) in of3]
        of4 = zip(carried4, itertools.pairwise(three), itertools.pairwise(one[1:]), exposures[2:], strict=False)
        four = [unit4(held, before, a, b, after, own=own) for held, (a, b), (before, after), own in of4]
        return [list(one), two, three, four]


class Recurrent(nn.Module):
    """The whole network; 11,441,668 parameters. width: share of the channels of units, see `scaled`. around: see `Pyramid`."""

    def __init__(self, width: float = 1.0, around: bool = False) -> None:
        super().__init__()
        for name in (name for stage in CELLS for name in stage):
            self.add_module(name, Cell())
        self.model = Pyramid(width, around)

    def forward(self, exposures: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Six exposures (B, 3, H, W), 1 to 11, to the 14 outputs of training, not clamped: those of the first run, stage by stage, then
        the last of each stage of the second. 13 is the deblurred frame at 7; 8 and 12 are those at 6 and 8.
        """
        one = self.model.between(exposures)
        first = self.model(exposures[:5], one[:4])
        second = self.model(exposures[1:], one[1:], self._carry([stage[1:] for stage in first[:3]]))
        return [*itertools.chain(*first), *(stage[-1] for stage in second)]

    def centre(self, exposures: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Five exposures, 3 to 11, to the frames at 6, 7 and 8: outputs 8, 13 and 12 of `forward`."""
        one = self.model.between(exposures)
        first = self.model(exposures[:4], one[:3])
        second = self.model(exposures, one, self._carry(first[:3]))
        return [first[2][0], second[3][0], second[2][1]]

    def _carry(self, stages: Sequence[Sequence[torch.Tensor]]) -> list[list[torch.Tensor]]:
        pairs = (zip(names, stage, strict=True) for names, stage in zip(CELLS, stages, strict=True))
        return [[self.get_submodule(name)(picture) for name, picture in pair] for pair in pairs]


def once(network: nn.Module) -> dict[str, torch.Tensor]:
    """The state with each unit under the name of its first place."""
    return {key: value for key, value in network.state_dict().items() if not re.match(r"model\.model\d_[2-9]\.", key)}


NETWORKS: dict[str, Callable[[], nn.Module]] = {"bin2020_stage4": Recurrent}
"""Networks that have published checkpoints, by the name of their key list."""


def _convolution(inputs: int, outputs: int, size: int = 3) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, padding=size // 2)


_ORIGIN = "adobe_bin.pth by the download link of github.com/laomao0/BIN"


def _card(suffix: str, title: str) -> MethodCard:
    return MethodCard(
        id=f"shen2020{suffix}",
        title=title,
        paper="W. Shen, W. Bao, G. Zhai, L. Chen, X. Min, Z. Gao: Blurry Video Frame Interpolation, CVPR 2020",
        licence="Apache-2.0 (this code, re-implemented); official weights: see their repository",
        citation="""@inproceedings{shen2020blurry,
  title = {Blurry Video Frame Interpolation},
  author = {Shen, Wang and Bao, Wenbo and Zhai, Guangtao and Chen, Li and Min, Xiongkuo and Gao, Zhiyong},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)},
  year = {2020}
}""",
        training_data="Adobe240 at 640x352, averages of 11 frames as stored, every 8 frames",
        weights=f"get {_ORIGIN}",
        released=_ORIGIN,
        weights_of="shen2020",
    )


class Shen2020(Method):
    """The deblurred frame of an exposure among its neighbours, with the official weights or any in their format."""

    card: ClassVar[MethodCard] = _card("", "BIN, deblurred frame")
    capabilities: ClassVar[Capabilities] = Capabilities(
        frames=1, multiple=2, before=2, after=2, resources=Resources(gpu=True, memory_gb=6.0)
    )
    # The deblurred exposure is the fourth of six.
    training: ClassVar[Training] = Training(
        network=Recurrent,
        recipe="shen2020",
        stages={"video": Stage(alone(outputs), settings=("epsilon",), frames=range(3, 1000, 2))},
        before=3,
        after=2,
        state=once,
    )
    kept: ClassVar[slice] = slice(1, 2)
    """Which of the frames at 6, 7, 8."""

    def __init__(self, network: Recurrent, device: str = "cpu") -> None:
        self.network = placed(network, device)
        self.device = device

    @classmethod
    def load(cls, weights: Path | None = None, device: str = "cpu") -> Self:
        """From a checkpoint or safetensors file, of any width. Raises WeightsError, also for None."""
        if weights is None:
            raise files.absent(cls.card.id, f"get {_ORIGIN}")
        state = _state(weights)
        width = width_of(state, "model.model1_1.SFENet1.bias", CHANNELS)
        network = Recurrent(width, around="model.model2_1.around" in state)
        files.fit(network, state, weights)
        return described(cls(network, device), [weights])

    def state(self) -> dict[str, torch.Tensor]:
        """Each unit under the name of its first place; `_state` gives it the others."""
        return once(self.network)

    @torch.inference_mode()
    def predict(self, blurry: F32, request: Request) -> F32:
        """(1, T, H, W, 3) float32 in [0, 1]. Raises PredictionError for neighbours that are missing or of another size."""
        exposures = [
            *self._neighbours("before", blurry, request.before)[-2:],
            blurry,
            *self._neighbours("after", blurry, request.after)[:2],
        ]
        pictures = [as_batch(exposure, self.device) for exposure in exposures]
        sharp = torch.cat(self.network.centre(pictures)[self.kept]).clamp_(0, 1)
        return as_frames(sharp)

    def _neighbours(self, side: str, blurry: F32, given: F32 | None) -> F32:
        if given is None or len(given) < 2 or given.shape[1:] != blurry.shape:
            found = None if given is None else given.shape
            told = f"Request.{side} has shape {found}, expected at least {(2, *blurry.shape)}: neighbouring exposures of the same size"
            raise PredictionError(f"{self.card.id}: {told}")
        return given


class Shen2020Video(Shen2020):
    """The deblurred frame, and before and behind it those midway to the neighbouring exposures."""

    card = _card("-video", "BIN, deblurred frame and two between exposures")
    capabilities = Capabilities(frames=3, multiple=2, before=2, after=2, resources=Resources(gpu=True, memory_gb=6.0))
    kept = slice(0, 3)


def _state(path: Path) -> dict[str, torch.Tensor]:
    """A checkpoint without prefixes, each unit under the names of all its places. Raises WeightsError where those hold different values."""
    state = {re.sub(r"^(module\.|InterpNet\.)+", "", key): value.float() for key, value in files.read(path).items()}
    return with_twins(state, _twins, path, "unit")


def _twins(key: str) -> list[str]:
    """A name with all places of its unit: `model.model3_1.GFF.0.bias` and `model.model3_2.GFF.0.bias`."""
    found = re.match(r"(model\.model(\d)_)\d(\..*)", key)
    places = PLACES.get(found[2], 0) if found else 0
    return [f"{found[1]}{place}{found[3]}" for place in range(1, places + 1)] if found else []
