"""DMPHN: Deep Stacked Hierarchical Multi-Patch Network for Image Deblurring (H. Zhang et al., CVPR 2019): 1-2-4, 1-2-4-8 and stacked.

One sharp frame from one blurry image, (B, 3, H, W) RGB in [0, 1] on both sides. The networks, and what in them is as released:
`_zhang2019_network.py`.

`zhang2019` has three levels, on 4, 2 and 1 patches of the image, and wants H and W in multiples of 8. `zhang2019-1248` puts a fourth level
in front, and wants multiples of 16. `zhang2019-stack4` is four 1-2-4 networks in a row (SDNet4 in the authors' files), each starting from
the image before.

`predict` clamps to [0, 1] what the network returns, as the authors do when they save 8 bits.

The official weights were trained on the `blur` images of GoPro, i.e. frames averaged as stored (`gopro-linear`), not on `blur_gamma`.
They cannot ship, because their repository states no licence; `load` takes the folder as it lies there, or one safetensors file of the
whole network.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import ClassVar, Self, cast

import torch
from torch import nn

from blurbench import weights as files
from blurbench.baselines._network import as_batch, as_frames, described, placed
from blurbench.baselines._width import width_of
from blurbench.baselines._zhang2019_network import CHANNELS, Decoder, Encoder, MultiPatch, Stack, started
from blurbench.errors import WeightsError
from blurbench.methods import Capabilities, Method, MethodCard, Request, Resources
from blurbench.train.losses import centre, squared
from blurbench.train.recipe import Batch, Loss, Networks, Settings, Stage, Training, alone
from blurbench.types import F32

NETWORKS: dict[str, Callable[[], nn.Module]] = {"dmphn_encoder": Encoder, "dmphn_decoder": Decoder}
"""Networks that have published checkpoints, by the name of their key list."""


_CITATION = """@inproceedings{zhang2019deep,
  title = {Deep Stacked Hierarchical Multi-Patch Network for Image Deblurring},
  author = {Zhang, Hongguang and Dai, Yuchao and Li, Hongdong and Koniusz, Piotr},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)},
  year = {2019}
}"""


def _blocks(levels: int, stage: str = "") -> tuple[str, ...]:
    """File stems of one network: `encoder_lv1`, ..., in a stack `encoder_s2_lv1`."""
    return tuple(f"{kind}_{stage}lv{level}" for kind in ("encoder", "decoder") for level in range(1, levels + 1))


PARTS = _blocks(3)
"""The sub-networks of `MultiPatch()`, and the stems of its checkpoint files."""


def _origin(stems: tuple[str, ...], folder: str) -> str:
    """Which files, and where from, as an ending of error messages."""
    names = [f"{stem}.pkl" for stem in stems]
    return f"{', '.join(names[:-1])} and {names[-1]} from checkpoints/{folder} of github.com/HongguangZhang/DMPHN-cvpr19-master"


def _card(suffix: str, title: str, origin: str) -> MethodCard:
    return MethodCard(
        id=f"zhang2019{suffix}",
        title=title,
        paper="H. Zhang, Y. Dai, H. Li, P. Koniusz: Deep Stacked Hierarchical Multi-Patch Network for Image Deblurring, CVPR 2019",
        licence="Apache-2.0 (this code, re-implemented); official repository and weights: not stated",
        citation=_CITATION,
        training_data="GoPro, `blur` images (frames averaged as stored)",
        weights=f"put into one folder {origin}",
        released=origin,
    )


def deblurring(networks: Networks, batch: Batch, settings: Settings) -> dict[str, torch.Tensor]:
    """Mean squared error of the image of level 1 against the sharp centre frame."""
    return {"squared": squared(networks["network"](batch["blurry"]).float(), centre(batch["sharp"]))}


def deblurring_in_a_row(networks: Networks, batch: Batch, settings: Settings) -> dict[str, torch.Tensor]:
    """The same error of the image of each network of the row; the sum is minimised."""
    made = cast(Stack, networks["network"]).images(batch["blurry"])
    return {f"squared-{number}": squared(image.float(), centre(batch["sharp"])) for number, image in enumerate(made, 1)}


def _training(network: Callable[..., nn.Module], recipe: str, loss: Loss = deblurring) -> Training:
    return Training(network=network, recipe=recipe, stages={"deblur": Stage(alone(loss))})


class Zhang2019(Method):
    """DMPHN(1-2-4) with the official weights, or any in their format."""

    stems: ClassVar[tuple[str, ...]] = PARTS
    """Checkpoint files; `encoder_s2_lv1` is the sub-network `s2.encoder_lv1`."""
    origin: ClassVar[str] = _origin(PARTS, "DMPHN_1_2_4")
    card: ClassVar[MethodCard] = _card("", "DMPHN (1-2-4)", origin)
    capabilities: ClassVar[Capabilities] = Capabilities(frames=1, multiple=8, resources=Resources(gpu=True, memory_gb=2.0))
    build: ClassVar[Callable[..., nn.Module]] = MultiPatch
    first: ClassVar[str] = ""
    """Where in a whole network the first multi-patch network is."""
    training: ClassVar[Training] = _training(partial(started, MultiPatch), "zhang2019")

    def __init__(self, network: nn.Module, device: str = "cpu") -> None:
        self.network = placed(network, device)
        self.device = device

    @classmethod
    def load(cls, weights: Path | None = None, device: str = "cpu") -> Self:
        """From a folder of the checkpoint files, or one safetensors file of the network, of any width.

        Raises WeightsError, also for None.
        """
        if weights is None:
            raise files.absent(cls.card.id, f"put into one folder {cls.origin}", "FOLDER")
        whole = weights.suffix == ".safetensors" and weights.is_file()
        parts = {"": weights} if whole else cls._checkpoint(weights)
        states = {part: files.read(path) for part, path in parts.items()}
        known = states.get("", {})
        width = width_of(known, f"{cls.first}encoder_lv1.layer1.bias", CHANNELS[0])
        network = cls.build(width=width, around=f"{cls.first}around" in known)
        for part, state in states.items():
            files.fit(network.get_submodule(part), state, parts[part])
        return described(cls(network, device), list(parts.values()))

    @classmethod
    def _checkpoint(cls, folder: Path) -> dict[str, Path]:
        """Sub-networks and their files. Raises WeightsError for a folder that is not there, lacks some, or is of a deeper network."""
        if not folder.is_dir():
            raise WeightsError(f"weights folder {folder} is not a folder; {cls.card.id} needs one with {cls.origin}")
        # DMPHN(1-2-4-8) and its first three levels have the same shapes: they would load, and give pictures that look almost right.
        if "encoder_lv4" not in cls.stems and (folder / "encoder_lv4.pkl").exists():
            found = "is of DMPHN(1-2-4-8), for it has encoder_lv4.pkl"
            raise WeightsError(f"weights folder {folder} {found}; {cls.card.id} needs {cls.origin}")
        paths = [folder / f"{stem}.pkl" for stem in cls.stems]
        if missing := [path.name for path in paths if not path.is_file()]:
            raise WeightsError(f"weights folder {folder} lacks {', '.join(missing)}; {cls.card.id} needs {cls.origin}")
        return {re.sub(r"^(\w+)_(s\d)_(lv\d)$", r"\2.\1_\3", path.stem): path for path in paths}

    @torch.inference_mode()
    def predict(self, blurry: F32, request: Request) -> F32:
        """One frame, (1, 1, H, W, 3) float32, clamped to [0, 1]."""
        return as_frames(self.network(as_batch(blurry, self.device)).clamp_(0, 1))


class Zhang2019Deeper(Zhang2019):
    """DMPHN(1-2-4-8): a fourth, finest level."""

    stems = _blocks(4)
    origin = _origin(stems, "DMPHN_1_2_4_8")
    card = _card("-1248", "DMPHN (1-2-4-8)", origin)
    capabilities = Capabilities(frames=1, multiple=16, resources=Resources(gpu=True, memory_gb=2.0))

    build = partial(MultiPatch, 4)
    training = _training(partial(started, MultiPatch, 4), "zhang2019-1248")


class Zhang2019Stack(Zhang2019):
    """Stack(4)-DMPHN: four 1-2-4 networks in a row."""

    stems = tuple(stem for number in range(1, 5) for stem in _blocks(3, f"s{number}_"))
    origin = _origin(stems, "SDNet4")
    card = _card("-stack4", "Stack(4)-DMPHN", origin)
    capabilities = Capabilities(frames=1, multiple=8, resources=Resources(gpu=True, memory_gb=3.0))
    build = Stack
    first = "s1."
    training = _training(partial(started, Stack), "zhang2019-stack4", deblurring_in_a_row)
