"""DMPHN: Deep Stacked Hierarchical Multi-Patch Network for Image Deblurring (H. Zhang et al., CVPR 2019): 1-2-4, 1-2-4-8 and stacked.

One sharp frame from one blurry image, (B, 3, H, W) RGB in [0, 1] on both sides, H and W multiples of 8. Three levels, each an encoder
(to 128 channels at 1/4 size) and a decoder of its own, work on 4, 2 and 1 patches of the image, finest patches first (Fig. 2):

- level 3 encodes the four quadrants, joins the features left to right, and decodes a residual for the top and the bottom half;
- level 2 encodes the two halves plus their residuals, joins the features top to bottom, adds those of level 3, decodes a residual;
- level 1 encodes the whole image plus that residual, adds the features of level 2, and decodes the sharp image.

`zhang2019` is this one. `zhang2019-1248` puts a fourth level in front, which works on the upper and the lower halves of the quadrants.
`zhang2019-stack4` is four 1-2-4 networks in a row (SDNet4 in the authors' files), each starting from the image before.

As released by the authors, and kept so that their weights give their pictures:

- the input is shifted to [-0.5, 0.5], and the level-1 decoder gives the shifted image itself: there is no global skip;
- no normalisation, and no activation behind strided convolutions and transposed ones;
- in the stack, each level also adds the features that the same level gave in the network before, and the level-2 residual of every
  network but the first adds the image that the *first* one gave, not the one before.

Two things are added: `predict` clamps to [0, 1] what the network returns, as the authors do when they save 8 bits; and the blurry picture
goes around the small networks that ship (`way_around`), for one like the authors' must learn to copy first.

The official weights were trained on the `blur` images of GoPro, i.e. frames averaged as stored (`gopro-linear`), not on `blur_gamma`.
They cannot ship, because their repository states no licence; `load` takes the folder as it lies there, or one safetensors file of the
whole network.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import ClassVar, NamedTuple, Self, TypeVar, cast

import torch
from torch import nn

from blurbench import weights as files
from blurbench.baselines._blocks import constant, set_bias, way_around
from blurbench.baselines._network import as_batch, as_frames, described, placed
from blurbench.baselines._width import scaled, width_of
from blurbench.errors import WeightsError
from blurbench.methods import Capabilities, Method, MethodCard, Request, Resources
from blurbench.train.losses import centre, squared
from blurbench.train.recipe import Batch, Loss, Networks, Settings, Stage, Training, alone
from blurbench.types import F32

CHANNELS = (32, 64, 128)
"""Of features at the whole size, 1/2 and 1/4."""

_Network = TypeVar("_Network", bound=nn.Module)

CUTS = ((2, 1), (1, 2), (2, 1))
"""Rows and columns into which a patch of level 1, 2 and 3 is cut for the next level."""


class Residual(nn.Sequential):
    """x + conv(relu(conv(x))), both 3x3."""

    def __init__(self, channels: int) -> None:
        super().__init__(_convolution(channels, channels), nn.ReLU(inplace=True), _convolution(channels, channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, activation, second = self
        change: torch.Tensor = second(activation(first(x)))
        return change.add_(x)


class Encoder(nn.Sequential):
    """(B, 3, H, W) in [-0.5, 0.5] to features (B, 128, H/4, W/4); 868,288 parameters. Layer names are those of the checkpoints."""

    def __init__(self, width: float = 1.0) -> None:
        fine, middle, coarse = (scaled(each, width) for each in CHANNELS)
        layers = OrderedDict[str, nn.Module](
            layer1=_convolution(3, fine),
            layer2=Residual(fine),
            layer3=Residual(fine),
            layer5=_convolution(fine, middle, stride=2),
            layer6=Residual(middle),
            layer7=Residual(middle),
            layer9=_convolution(middle, coarse, stride=2),
            layer10=Residual(coarse),
            layer11=Residual(coarse),
        )
        super().__init__(layers)


class Decoder(nn.Sequential):
    """Features (B, 128, H/4, W/4) to (B, 3, H, W), a residual or an image in [-0.5, 0.5], not clamped; 939,843 parameters."""

    def __init__(self, width: float = 1.0) -> None:
        fine, middle, coarse = (scaled(each, width) for each in CHANNELS)
        layers = OrderedDict[str, nn.Module](
            layer13=Residual(coarse),
            layer14=Residual(coarse),
            layer16=nn.ConvTranspose2d(coarse, middle, 4, stride=2, padding=1),
            layer17=Residual(middle),
            layer18=Residual(middle),
            layer20=nn.ConvTranspose2d(middle, fine, 4, stride=2, padding=1),
            layer21=Residual(fine),
            layer22=Residual(fine),
            layer24=_convolution(fine, 3),
        )
        super().__init__(layers)


class Pass(NamedTuple):
    """What one multi-patch network gives: the image (B, 3, H, W) in [-0.5, 0.5], not clamped, and features (B', 128, H'/4, W'/4) a level.

    Features are those behind the sum, level 1 first; for level 2 and finer they are joined to the patches of the level before.
    """

    image: torch.Tensor
    features: list[torch.Tensor]


class MultiPatch(nn.Module):
    """One network: (B, 3, H, W) in [0, 1] to sharp ones, not clamped; H and W multiples of 8, for four levels H of 16.

    5,424,393 parameters with levels=3 (1-2-4), 7,232,524 with 4 (1-2-4-8). width: share of all hidden channels, see `scaled`. around: see
    `way_around`, here around all levels.
    """

    def __init__(self, levels: int = 3, width: float = 1.0, around: bool = False) -> None:
        super().__init__()
        self.levels = levels
        for kind, part in (("encoder", Encoder), ("decoder", Decoder)):
            for level in range(1, levels + 1):
                self.add_module(f"{kind}_lv{level}", part(width))
        self.around = way_around(self.last) if around else None

    @property
    def last(self) -> nn.Conv2d:
        """The layer that gives the image."""
        return cast(nn.Conv2d, self.get_submodule("decoder_lv1.layer24"))

    def forward(self, blurry: torch.Tensor) -> torch.Tensor:
        return self.restore(blurry - 0.5).image + 0.5

    def restore(self, image: torch.Tensor, before: Pass | None = None, first: torch.Tensor | None = None) -> Pass:
        """From level `levels` down to 1. In a stack, `before` is what the network before gave, `first` the image of the first one."""
        patches = [image]
        for rows, columns in CUTS[: self.levels - 1]:
            patches.append(split(patches[-1], rows, columns))
        kept: list[torch.Tensor] = []
        residual = features = None
        for level in range(self.levels, 0, -1):
            encoder, decoder = self.get_submodule(f"encoder_lv{level}"), self.get_submodule(f"decoder_lv{level}")
            patch = patches[level - 1]
            found: torch.Tensor = encoder(patch if residual is None else patch + residual)
            if features is not None:
                found = found + features
            features = join(found, *CUTS[level - 2]) if level > 1 else found
            if before is not None:
                features = features + before.features[level - 1]
            kept.insert(0, features)
            residual = decoder(features)
            if level == 2 and first is not None:
                residual = residual + first
        assert residual is not None
        return Pass(residual if self.around is None else residual + self.around * image, kept)


class Stack(nn.Module):
    """SDNet: networks `s1`, `s2`, ... in a row, (B, 3, H, W) in [0, 1] to sharp ones, not clamped; 21,697,572 parameters for four.

    width, around: of each network, see `MultiPatch`.
    """

    def __init__(self, count: int = 4, width: float = 1.0, around: bool = False) -> None:
        super().__init__()
        for number in range(1, count + 1):
            self.add_module(f"s{number}", MultiPatch(width=width, around=around))

    def forward(self, blurry: torch.Tensor) -> torch.Tensor:
        return self.images(blurry)[-1]

    def images(self, blurry: torch.Tensor) -> list[torch.Tensor]:
        """What each network of the row gives, the first one's first, all as `forward` gives the last."""
        image, before, first = blurry - 0.5, None, None
        found = []
        for network in self.children():
            assert isinstance(network, MultiPatch)
            before = network.restore(image, before, first)
            image = before.image
            first = image if first is None else first
            found.append(image + 0.5)
        return found


def started(build: Callable[..., _Network], *arguments: int, **small: float | bool) -> _Network:
    """A network with the initial values of the authors: kernels from N(0, 1 / (2 k k outputs)), biases 0."""
    network = build(*arguments, **small)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, std=(0.5 / (layer.kernel_size[0] * layer.kernel_size[1] * layer.out_channels)) ** 0.5)
            set_bias(layer)
    for part in network.modules():
        if isinstance(part, MultiPatch) and part.around is not None:
            constant(part.last)
    return network


NETWORKS: dict[str, Callable[[], nn.Module]] = {"dmphn_encoder": Encoder, "dmphn_decoder": Decoder}
"""Networks that have published checkpoints, by the name of their key list."""


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1)


def split(image: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Cut (B, C, rows*H, columns*W) into patches (B*rows*columns, C, H, W), row by row."""
    batch, channels, height, width = image.shape
    grid = image.reshape(batch, channels, rows, height // rows, columns, width // columns)
    return grid.permute(0, 2, 4, 1, 3, 5).reshape(-1, channels, height // rows, width // columns)


def join(patches: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Undo `split`: (B*rows*columns, C, H, W) to (B, C, rows*H, columns*W)."""
    _, channels, height, width = patches.shape
    grid = patches.reshape(-1, rows, columns, channels, height, width)
    return grid.permute(0, 3, 1, 4, 2, 5).reshape(-1, channels, rows * height, columns * width)


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
