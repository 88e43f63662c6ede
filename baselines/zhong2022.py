"""Animation from Blur: Multi-modal Blur Decomposition with Motion Guidance (Zhong et al., ECCV 2022).

Seven sharp frames, evenly spread over the exposure, from one blurry image and its motion guidance: for each pixel the quadrant in which
it moved, or none (`blurbench.synth.guidance`). Guidance decides between the videos that one blurry image may come from (Eq. 6 and 7).
Two stages (Fig. 2), (B, 3, H, W) RGB in [0, 1], H and W multiples of 4, in `_zhong2022_networks.py`: the first takes image and guidance,
the second image and first frames, and what the second gives is added.

Guidance comes from one of three sources (Sec. 3.3), each a method of its own:

- `zhong2022`: a cVAE-GAN (Fig. 4) predicts it from the image and a latent z of four values from N(0, 1). Each sample is another draw;
  the image is resized to 256x256, and guidance back, by the nearest pixel. `zhong2022-deterministic` takes z = 0 and no dropout;
- `zhong2022-video`: from the exposure before. The flow from this exposure to that one, negated, at full size; less than 0.5 pixel is
  still. Where none lies before (first of a video, single image), all is still, and stage 1 has nothing to do. The authors measure with
  RAFT, here it is OpenCV's DIS (`Zhong2022Video.flow`), which needs no weights;
- `zhong2022-annotated`: from the data set, or a person.

Where paper and released code differ, this is as released, so that the authors' weights give their pictures:

- where guidance is (0, 0), stage 1's output is replaced by the blurry pixel, which the paper does not say;
- stage 2, "residual" in the paper, ends in a sigmoid and can only brighten. Frames are clamped to [0, 1] at the end;
- the predictor's dropout (0.5 at three levels) stays on in the authors' evaluation, a second source of diversity (`Zhong2022.dropout`);
- guidance of training is by component the largest of six flows, or their mean (B-AIST++); the paper adds them up.

The small network differs in more than its width: the blurry picture goes around stage 1 (`Stage`). The published one must learn to copy
before it can learn to move, which takes longer than an hour.

The only weights released are of B-AIST++, i.e. dancers before a static camera; those of GenBlur never were.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from blurbench import weights as files
from blurbench.baselines._network import described, placed
from blurbench.baselines._width import width_of
from blurbench.baselines._zhong2022_guidance import PREDICTING, started
from blurbench.baselines._zhong2022_networks import (
    FINEST,
    FRAMES,
    LATENT,
    SIDE,
    WIDTHS,
    Decomposer,
    Discriminator,
    Encoder,
    Generator,
    Stage,
)
from blurbench.errors import PredictionError, WeightsError
from blurbench.methods import Capabilities, Method, MethodCard, Request, Resources
from blurbench.train.losses import squared
from blurbench.train.recipe import Batch, Networks, Settings, Training, alone
from blurbench.train.recipe import Stage as TrainingStage
from blurbench.types import F32

I8 = NDArray[np.int8]

STEMS = {"decomposer.s1": "decomposer_s1", "decomposer.s2": "decomposer_s2", "predictor": "latest_net_G"}
"""The parts of `Animation`, and the stems of their checkpoint files (.pth or .safetensors)."""


class Animation(nn.Module):
    """All networks of a method: `decomposer` and, for predicted guidance, `predictor`. Widths: share of hidden channels, see `scaled`.

    narrow: what else `Decomposer` takes.
    """

    def __init__(self, predicting: bool = True, predictor_width: float = 1.0, **narrow: Any) -> None:
        super().__init__()
        self.decomposer = Decomposer(**narrow)
        self.predictor = Generator(predictor_width) if predicting else None

    @classmethod
    def like(cls, state: Mapping[str, torch.Tensor], predicting: bool = True) -> Animation:
        """As wide as those of a state, without initial values: drawing 184 million of them takes longer than reading a checkpoint."""
        width, refining_width = (width_of(state, f"decomposer.{stage}.first_conv.conv.bias", FINEST, FINEST) for stage in ("s1", "s2"))
        predictor_width = width_of(state, "predictor.model.down.0.bias", WIDTHS[0])
        around = "decomposer.s1.around" in state
        with torch.device("meta"):
            network = cls(predicting, predictor_width, width=width, refining_width=refining_width, around=around)
        return network.to_empty(device="cpu")


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "zhong2022_decomposer_s1": lambda: Stage(5),
    "zhong2022_decomposer_s2": lambda: Stage(24),
    "zhong2022_predictor_G": Generator,
    "zhong2022_predictor_E": Encoder,
    "zhong2022_predictor_D": Discriminator,
}
"""Networks that have published checkpoints, by the name of their key list. E and D serve training only."""

_REPOSITORY = "github.com/zzh-tech/Animation-from-Blur"


def decomposing(networks: Networks, batch: Batch, settings: Settings) -> dict[str, torch.Tensor]:
    """Mean squared errors of what stage 1 and both stages give, not clamped. Guidance at half resolution is enlarged as in `predict`.

    Own addition, 0 in the paper's recipe: `motion` times the same errors of frames less their mean over time, i.e. of motion alone.
    """
    blurry, sharp = batch["blurry"], batch["sharp"]
    guidance = F.interpolate(batch["guidance"].float(), blurry.shape[-2:], mode="nearest")
    rough, refined = cast(Animation, networks["network"]).decomposer(blurry, guidance)
    made = {"rough": rough.float(), "refined": refined.float()}
    errors = {name: squared(frames, sharp) for name, frames in made.items()}
    if settings["motion"]:
        errors |= {f"{name}-motion": settings["motion"] * squared(moving(frames), moving(sharp)) for name, frames in made.items()}
    return errors


def moving(frames: torch.Tensor) -> torch.Tensor:
    """Frames (B, T, 3, H, W) less their mean over time."""
    return frames - frames.mean(dim=1, keepdim=True)


def predicting(**small: Any) -> Animation:
    """All networks, the predictor with the initial values of the authors."""
    network = Animation(**small)
    assert network.predictor is not None
    started(network.predictor)
    return network


def _and(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _card(suffix: str, title: str, parts: tuple[str, ...]) -> MethodCard:
    released = f"{_and([f'{STEMS[part]}.pth' for part in parts])} by the download links of {_REPOSITORY}"
    return MethodCard(
        id=f"zhong2022{suffix}",
        title=f"Animation from Blur ({title})",
        paper="Z. Zhong, X. Sun, Z. Wu, Y. Zheng, S. Lin, I. Sato: Animation from Blur: "
        "Multi-modal Blur Decomposition with Motion Guidance, ECCV 2022",
        licence="Apache-2.0 (this code, re-implemented); official weights: see their repository",
        citation="""@inproceedings{zhong2022animation,
  title = {Animation from Blur: Multi-modal Blur Decomposition with Motion Guidance},
  author = {Zhong, Zhihang and Sun, Xiao and Wu, Zhirong and Zheng, Yinqiang and Lin, Stephen and Sato, Imari},
  booktitle = {European Conference on Computer Vision (ECCV)},
  year = {2022}
}""",
        training_data="B-AIST++ (dancers, static camera)",
        weights=f"put into one folder {released}",
        released=released,
        weights_of="zhong2022" if parts == tuple(STEMS) else "zhong2022-video",
        shipped_in="zhong2022",
    )


class Guided(Method):
    """What the methods share: from guidance to frames. Subclasses say where guidance comes from."""

    parts: ClassVar[tuple[str, ...]] = ("decomposer.s1", "decomposer.s2")
    """Parts of `Animation` that the method needs."""

    def __init__(self, network: Animation, device: str = "cpu") -> None:
        self.network = placed(network, device)
        self.device = device

    @classmethod
    def load(cls, weights: Path | None = None, device: str = "cpu") -> Self:
        """From a folder of the checkpoint files, or one file of a whole `Animation`, of any width. Raises WeightsError, also for None."""
        get = f"put into one folder {cls.card.released}"
        if weights is None:
            raise files.absent(cls.card.id, get, "FOLDER")
        mend = f"{get}, and give --weights FOLDER"
        parts = files.of_parts(weights, {part: STEMS[part] for part in cls.parts}, mend)
        states = {part: files.read(path) for part, path in parts.items()}
        network = Animation.like(states.get("", {}), "predictor" in cls.parts)
        for part, state in states.items():
            path = parts[part]
            if not part and not any(key.startswith("decomposer.") for key in state):
                raise WeightsError(f"{path} is one network, {cls.card.id} needs {len(cls.parts)}; {mend}")
            if not part and network.predictor is None:
                state = {key: value for key, value in state.items() if not key.startswith("predictor.")}
            _fit(network.get_submodule(part), state, path)
        return described(cls(network, device), list(parts.values()))

    @abstractmethod
    def guidances(self, blurry: F32, request: Request) -> Iterator[I8]:
        """Guidance (H, W, 2) int8 for each of the `request.samples`. blurry: (H, W, 3) in [0, 1]. Raises PredictionError."""

    def predict(self, blurry: F32, request: Request) -> F32:
        """(N, 7, H, W, 3) float32 in [0, 1], a sample for each guidance."""
        return np.stack([self.decompose(blurry, guidance) for guidance in self.guidances(blurry, request)])

    @torch.inference_mode()
    def decompose(self, blurry: F32, guidance: I8) -> F32:
        """Frames (7, H, W, 3) float32 in [0, 1]. blurry: (H, W, 3) in [0, 1]; guidance: (H, W, 2), multiples of 4 both.

        Raises PredictionError for guidance of another size, RecipeError for vectors that are none of the five.
        """
        from blurbench.synth.guidance import classes

        if guidance.shape != (*blurry.shape[:2], 2):
            expected = (*blurry.shape[:2], 2)
            raise PredictionError(f"guidance has shape {guidance.shape}, expected {expected}; bring it to the size of its picture")
        classes(guidance)
        _, refined = self.network.decomposer(self._tensor(blurry), self._tensor(guidance))
        frames: F32 = refined[0].clamp_(0, 1).permute(0, 2, 3, 1).cpu().numpy()
        return frames

    def _tensor(self, array: F32 | I8) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))[None].to(self.device, torch.float32)


class Zhong2022(Guided):
    """Guidance predicted, another one for each sample."""

    card = _card("", "predicted guidance", tuple(STEMS))
    capabilities = Capabilities(frames=FRAMES, multiple=4, stochastic=True, resources=Resources(gpu=True, memory_gb=6.0))
    parts = tuple(STEMS)
    dropout: ClassVar[bool] = True
    """Whether the predictor drops features, as in the authors' evaluation."""
    variants: ClassVar[Mapping[str, str]] = {"guidance": "zhong2022-annotated", "before": "zhong2022-video"}
    """By what else there may be to see, the method that sees it; `blurbench animate` goes there when it is given."""
    training = Training(
        network=predicting,
        recipe="zhong2022-predictor",
        stages={"predictor": PREDICTING},
        given={"decomposer": "`blurbench train --method zhong2022-annotated` or `convert-weights zhong2022-video` makes one"},
    )

    def guidances(self, blurry: F32, request: Request) -> Iterator[I8]:
        """The first sample of many is the only one of one."""
        for _ in range(request.samples):
            latent = request.rng.standard_normal(LATENT, dtype=np.float32)
            yield self.predicted(blurry, latent, request.rng if self.dropout else None)

    @torch.inference_mode()
    def predicted(self, blurry: F32, latent: F32, rng: np.random.Generator | None = None) -> I8:
        """Guidance (H, W, 2) int8 for a latent (4,). blurry: (H, W, 3) in [0, 1]. rng: where dropout draws; None for no dropout."""
        from blurbench.synth.guidance import vectors

        assert self.network.predictor is not None
        image = F.interpolate(self._tensor(blurry), (SIDE, SIDE), mode="nearest")
        logits = self.network.predictor(image, torch.from_numpy(latent)[None].to(self.device), rng)
        numbers = logits.argmax(dim=1, keepdim=True).to(torch.uint8)
        full = F.interpolate(numbers, blurry.shape[:2], mode="nearest")
        return vectors(full[0, 0].cpu().numpy())


class Zhong2022Deterministic(Zhong2022):
    """The guidance of z = 0, the middle of the prior, without dropout."""

    card = _card("-deterministic", "guidance of z = 0", tuple(STEMS))
    capabilities = Capabilities(frames=FRAMES, multiple=4, resources=Resources(gpu=True, memory_gb=6.0))
    dropout = False

    def guidances(self, blurry: F32, request: Request) -> Iterator[I8]:
        for _ in range(request.samples):
            yield self.predicted(blurry, np.zeros(LATENT, np.float32))


class Zhong2022Video(Guided):
    """Guidance from the motion since the exposure before."""

    card = _card("-video", "guidance from the exposure before", Guided.parts)
    capabilities = Capabilities(frames=FRAMES, multiple=4, before=1, resources=Resources(gpu=True, memory_gb=6.0))
    flow: ClassVar[str] = "dis-medium"
    """A flow model of `blurbench.video.flow`."""
    threshold: ClassVar[float] = 0.5
    """Pixels; the authors' in this use. In training it is 0.2 a sixth of the exposure."""

    def guidances(self, blurry: F32, request: Request) -> Iterator[I8]:
        if request.before is None or request.before.shape[-3:] != blurry.shape:
            found = None if request.before is None else request.before.shape[-3:]
            raise PredictionError(f"the exposure before has shape {found}, expected that of this one, {blurry.shape}; give Request.before")
        for _ in range(request.samples):
            yield self.measured(blurry, request.before[-1])

    def measured(self, blurry: F32, before: F32) -> I8:
        """Guidance (H, W, 2) int8 from two exposures (H, W, 3) in [0, 1], which follow each other without a gap."""
        from blurbench.synth.guidance import guidance
        from blurbench.video import flow as flows

        now, then = (np.rint(image * 255).astype(np.uint8) for image in (blurry, before))
        motion = -flows.load(self.flow).between(now, then)
        return guidance(motion[None], threshold=self.threshold, half=False)


class Zhong2022Annotated(Guided):
    """Guidance of the data set: made from the true motion, or by a person."""

    card = _card("-annotated", "guidance of the data set", Guided.parts)
    capabilities = Capabilities(frames=FRAMES, multiple=4, needs=frozenset({"guidance"}), resources=Resources(gpu=True, memory_gb=6.0))
    training = Training(
        network=partial(Animation, predicting=False),
        recipe="zhong2022",
        stages={"decomposer": TrainingStage(alone(decomposing), extras=("guidance",), settings=("motion",), frames=(FRAMES,))},
    )

    def guidances(self, blurry: F32, request: Request) -> Iterator[I8]:
        if request.guidance is None:
            raise PredictionError(f"{self.card.id} was asked without guidance; give Request.guidance")
        for _ in range(request.samples):
            yield request.guidance


def _fit(module: nn.Module, given: dict[str, torch.Tensor], path: Path) -> None:
    """Load a checkpoint, without the `module.` of training on several GPUs and the batch counters, which decide nothing."""
    state = {key.removeprefix("module."): value for key, value in given.items() if not key.endswith(".num_batches_tracked")}
    counters = {key: torch.zeros((), dtype=torch.int64) for key in module.state_dict() if key.endswith(".num_batches_tracked")}
    files.fit(module, state | counters, path)
