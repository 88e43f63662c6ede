"""SRN: Scale-Recurrent Network for Deep Image Deblurring (X. Tao et al., CVPR 2018), in the three variants that the authors released.

One sharp frame from one blurry image, both in [0, 1], H and W multiples of 16. One encoder-decoder with skips works on 1/4, 1/2 and the
whole size with the same weights (Eq. 2-4, Fig. 3); its input at each size is the blurry image beside what it gave at the size before,
enlarged (at 1/4: the blurry image twice). All convolutions 5x5, RB(c) = x + conv(relu(conv(x))):

- encoder: conv 32, 64 (stride 2), 128 (stride 2), each with a ReLU and three RBs behind it; in `lstm` a 3x3 convolutional LSTM at the end,
  its state (cell, then hidden) handed from size to size and enlarged like a picture;
- decoder: three RBs; 4x4 transposed conv to 64, ReLU, plus the encoder's 64 channels, three RBs; the same to 32; conv to the picture.

`tao2018` (lstm) and `tao2018-gray` take R, G and B as three grey images of one batch, and learn from luminance; `tao2018-color` takes them
as one image.

TensorFlow's ways, kept so that the official weights give their pictures:

- 'SAME' padding: of an odd sum of zeros the larger half lies below and to the right; 5x5 with stride 2 on even sizes: 1 before, 2 behind;
- resizing without half-pixel centres: to 1/2 and 1/4 it takes every 2nd and 4th pixel, doubling puts a mean between each two pixels;
- the LSTM's gates come in the order input, candidate, forget (plus 1), output.

As released, not as printed: the picture of the size before is taken as a constant in training; a picture taller than wide is transposed
first. Not kept: their program repeated border pixels up to 1280x720, the size of its input, shrank larger pictures, and cut to 8 bits
without rounding; here borders are mirrored up to multiples of 16. Added: the blurry picture goes around the small network that ships
(`way_around`), for one like the authors' must learn to copy first.

The official weights are TensorFlow 1 checkpoints, read here as an .npz of their arrays under their own names (`g_net/enc1_1/weights`, …;
the LSTM's may stand under any scope that ends in `convLSTM/LSTM_conv`). To write it, where TensorFlow is installed:
`r = tf.train.load_checkpoint(PATH); numpy.savez("srn.npz", **{k: r.get_tensor(k) for k in r.get_variable_to_shape_map()})`.
They were trained on the `blur` images of GoPro, i.e. frames averaged as stored (`gopro-linear`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import ClassVar, Self, cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from blurbench import weights as files
from blurbench.baselines._blocks import way_around, xavier
from blurbench.baselines._network import described
from blurbench.baselines._width import scaled, width_of
from blurbench.errors import WeightsError
from blurbench.methods import Capabilities, Method, MethodCard, Request, Resources
from blurbench.train.losses import centre, over_scales
from blurbench.train.recipe import Batch, Networks, Settings, Stage, Training, alone
from blurbench.types import F32

SCALES = 3
FINEST = 32
"""Channels at the whole size."""


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and behind an axis of `size` pixels under TensorFlow's 'SAME' rule, which gives ceil(size / stride) pixels."""
    total = max(0, (-(-size // stride) - 1) * stride + kernel - size)
    return total // 2, total - total // 2


class SameConv(nn.Conv2d):
    """(B, I, H, W) to (B, O, ceil(H / stride), ceil(W / stride)): square convolution with 'SAME' padding, and a ReLU where asked."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 5, stride: int = 1, relu: bool = False) -> None:
        super().__init__(inputs, outputs, kernel, stride=stride)
        self.relu = relu

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        down, across = (same_padding(size, self.kernel_size[0], self.stride[0]) for size in x.shape[-2:])
        out = super().forward(F.pad(x, (*across, *down)))
        return out.relu_() if self.relu else out


class Residual(nn.Module):
    """x + conv(relu(conv(x))), both 5x5."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = SameConv(channels, channels, relu=True)
        self.conv2 = SameConv(channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        change: torch.Tensor = self.conv2(self.conv1(x))
        return change.add_(x)


class Doubling(nn.ConvTranspose2d):
    """(B, I, H, W) to (B, O, 2H, 2W): 4x4 transposed convolution and ReLU. 'SAME' is symmetric here."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 4, stride=2, padding=1)

    def forward(self, x: torch.Tensor, output_size: list[int] | None = None) -> torch.Tensor:
        return super().forward(x, output_size).relu_()


def _stage(first: nn.Module | None, channels: int, names: str) -> nn.Sequential:
    """A first layer, if any, and three RBs. The names are the last digits of the checkpoint's scopes: enc1_2 is module `enc1.2`."""
    layers = [*([first] if first is not None else []), *(Residual(channels) for _ in range(3))]
    stage = nn.Sequential()
    for name, layer in zip(names, layers, strict=True):
        stage.add_module(name, layer)
    return stage


class ScaleRecurrent(nn.Module):
    """(B, C, H, W) in [0, 1], H and W multiples of 16, to sharp pictures at 1/4, 1/2 and the whole size, not clamped.

    C = 3 in the colour variant, else 1. Parameters: 6,881,251 (colour), 6,876,449 (grey), 8,056,609 (grey with LSTM). width: share of all
    hidden channels, see `scaled`. around: see `way_around`, here at each size. Initial weights are those of the authors.
    """

    def __init__(self, channels: int, recurrent: bool, width: float = 1.0, around: bool = False) -> None:
        super().__init__()
        fine, middle, coarse = (scaled(each, width) for each in (FINEST, 64, 128))
        self.enc1 = _stage(SameConv(2 * channels, fine, relu=True), fine, "1234")
        self.enc2 = _stage(SameConv(fine, middle, stride=2, relu=True), middle, "1234")
        self.enc3 = _stage(SameConv(middle, coarse, stride=2, relu=True), coarse, "1234")
        self.lstm = SameConv(2 * coarse, 4 * coarse, 3) if recurrent else None
        self.dec3 = _stage(None, coarse, "321")
        self.dec2 = _stage(Doubling(coarse, middle), middle, "4321")
        self.dec1 = _stage(Doubling(middle, fine), fine, "4321")
        last = SameConv(fine, channels)
        self.dec1.add_module("0", last)
        xavier(self)
        if self.lstm is not None:
            nn.init.trunc_normal_(self.lstm.weight, std=1e-3, a=-2e-3, b=2e-3)
        self.around = way_around(last) if around else None

    def forward(self, blurry: torch.Tensor) -> tuple[torch.Tensor, ...]:
        state = None
        outputs: list[torch.Tensor] = []
        for step in (2**level for level in reversed(range(SCALES))):
            image = blurry[..., ::step, ::step]
            before = enlarge(outputs[-1].detach()) if outputs else image
            sharp, state = self._at_one_size(torch.cat([image, before], dim=1), state)
            outputs.append(sharp if self.around is None else sharp + self.around * image)
        return tuple(outputs)

    def _at_one_size(self, pair: torch.Tensor, state: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """(B, 2C, h, w) and the LSTM's (B, 256, h/8, w/8) of the size before to (B, C, h, w) and the LSTM's (B, 256, h/4, w/4)."""
        fine = self.enc1(pair)
        middle = self.enc2(fine)
        coarse: torch.Tensor = self.enc3(middle)
        if self.lstm is not None:
            state = torch.cat([torch.zeros_like(coarse)] * 2, dim=1) if state is None else enlarge(state)
            state = remember(self.lstm, coarse, state)
            coarse = state[:, coarse.shape[1] :]
        out = self.dec3(coarse)
        out = self.dec2[1:](self.dec2[0](out) + middle)
        out = self.dec1[1:](self.dec1[0](out) + fine)
        return out, state


def remember(gates: nn.Module, x: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
    """One step of the LSTM: x (B, C, h, w), state and result (B, 2C, h, w) with the cell's channels first, the hidden ones behind."""
    cell, hidden = state.chunk(2, dim=1)
    take, candidate, keep, show = gates(torch.cat([x, hidden], dim=1)).chunk(4, dim=1)
    cell = cell * torch.sigmoid(keep + 1) + torch.sigmoid(take) * torch.tanh(candidate)
    return torch.cat([cell, torch.tanh(cell) * torch.sigmoid(show)], dim=1)


def enlarge(x: torch.Tensor) -> torch.Tensor:
    """(B, C, h, w) to (B, C, 2h, 2w): pixel 2i is pixel i, pixel 2i + 1 the mean of i and i + 1; the last is repeated."""
    for axis in (2, 3):
        following = torch.cat([x.narrow(axis, 1, x.shape[axis] - 1), x.narrow(axis, x.shape[axis] - 1, 1)], dim=axis)
        x = torch.stack([x, (x + following) / 2], dim=axis + 1).flatten(axis, axis + 1)
    return x


NETWORKS: dict[str, Callable[..., ScaleRecurrent]] = {
    "tao2018": partial(ScaleRecurrent, 1, True),
    "tao2018-gray": partial(ScaleRecurrent, 1, False),
    "tao2018-color": partial(ScaleRecurrent, 3, False),
}
"""The released variants, by the id of their method."""


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint, named as in `ScaleRecurrent`: .npz with the arrays of the official one, .safetensors or .pth with ours.

    Of an .npz what is no weight (step counters, the optimiser's moments) is left out. Raises WeightsError.
    """
    if path.is_dir() or path.suffix in (".index", ".meta", ".ckpt") or ".data-" in path.name:
        raise WeightsError(f"{path} is a TensorFlow checkpoint, expected its arrays as .npz; baselines/tao2018.py says how to write that")
    if path.suffix != ".npz":
        return files.read(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files if re.search(r"(weights|biases)(:0)?$", name)}
    except FileNotFoundError as error:
        raise WeightsError(f"weights file {path} does not exist") from error
    except Exception as error:  # a damaged archive raises half a dozen types
        raise WeightsError(f"weights file {path} cannot be read safely ({type(error).__name__}: {str(error)[:120]})") from error
    return {_own_name(name): _own_layout(array) for name, array in arrays.items()}


def _own_name(name: str) -> str:
    """`g_net/enc1_2/conv1/weights:0` to `enc1.2.conv1.weight`."""
    name = re.sub(r"^(.*/)?convLSTM/LSTM_conv/", "lstm/", name.removesuffix(":0").removeprefix("g_net/"))
    name = re.sub(r"^(enc|dec)(\d)_(\d)/", r"\1\2/\3/", name)
    return name.replace("weights", "weight").replace("biases", "bias").replace("/", ".")


def _own_layout(array: np.ndarray) -> torch.Tensor:
    """HWIO to OIHW; a transposed convolution's HWOI to IOHW is the same exchange of axes."""
    return torch.from_numpy(np.ascontiguousarray(array.transpose(3, 2, 0, 1) if array.ndim == 4 else array, dtype=np.float32))


_PAPER = "X. Tao, H. Gao, X. Shen, J. Wang, J. Jia: Scale-recurrent Network for Deep Image Deblurring, CVPR 2018"
_CITATION = """@inproceedings{tao2018scale,
  title = {Scale-recurrent Network for Deep Image Deblurring},
  author = {Tao, Xin and Gao, Hongyun and Shen, Xiaoyong and Wang, Jue and Jia, Jiaya},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)},
  year = {2018}
}"""


def _origin(model: str) -> str:
    return (
        f"the arrays of the TensorFlow checkpoint checkpoints/{model}/deblur.model-523000, which checkpoints/download_model.sh of "
        "github.com/jiangsutx/SRN-Deblur fetches, written to one .npz under their own names"
    )


def _card(name: str, title: str, model: str) -> MethodCard:
    return MethodCard(
        id=name,
        title=title,
        paper=_PAPER,
        licence="Apache-2.0 (this code, re-implemented); official weights: see their repository",
        citation=_CITATION,
        training_data="GoPro, `blur` images (frames averaged as stored)",
        weights=f"{_origin(model)}",
        released=_origin(model),
    )


def deblurring(networks: Networks, batch: Batch, settings: Settings) -> dict[str, torch.Tensor]:
    """Mean squared error of each size, added up. Targets are reduced as the blurry picture is; grey variants learn from luminance."""
    network = cast(ScaleRecurrent, networks["network"])
    blurry, sharp = batch["blurry"], centre(batch["sharp"])
    if cast(SameConv, network.enc1[0]).in_channels == 2:
        blurry, sharp = luminance(blurry), luminance(sharp)
    targets = [sharp[..., :: 2**level, :: 2**level] for level in reversed(range(SCALES))]
    return {"squared": over_scales([made.float() for made in network(blurry)], targets)}


def luminance(image: torch.Tensor) -> torch.Tensor:
    """(B, 3, H, W) to (B, 1, H, W), with TensorFlow's shares of red, green and blue."""
    shares = torch.tensor([0.2989, 0.5870, 0.1140], dtype=image.dtype, device=image.device)
    return (image * shares.view(3, 1, 1)).sum(dim=1, keepdim=True)


def _training(name: str) -> Training:
    return Training(network=NETWORKS[name], recipe="tao2018", stages={"deblur": Stage(alone(deblurring))})


class Tao2018(Method):
    """SRN with the LSTM, which the authors' numbers are of."""

    card: ClassVar[MethodCard] = _card("tao2018", "SRN (LSTM)", "lstm")
    capabilities = Capabilities(frames=1, multiple=16, resources=Resources(gpu=True, memory_gb=6.0))
    training: ClassVar[Training] = _training("tao2018")

    def __init__(self, network: ScaleRecurrent, device: str = "cpu") -> None:
        self.network = network.eval().to(device)
        self.device = device

    @classmethod
    def load(cls, weights: Path | None = None, device: str = "cpu") -> Self:
        """From an .npz of the official arrays, or a .safetensors or .pth of `ScaleRecurrent`, of any width.

        Raises WeightsError, also for None.
        """
        name = cls.card.id
        if weights is None:
            raise files.absent(name, f"get {cls.card.released}", "FILE.npz")
        state = read_state(weights)
        if (found := _variant(state)) not in (None, name):
            raise WeightsError(f"{weights} holds weights of {found}, expected those of {name}; try --method {found}")
        network = NETWORKS[name](width=width_of(state, "enc1.1.bias", FINEST), around="around" in state)
        files.fit(network, state, weights)
        return described(cls(network, device), [weights])

    @torch.inference_mode()
    def predict(self, blurry: F32, request: Request) -> F32:
        """One frame, (1, 1, H, W, 3) float32, clamped to [0, 1]."""
        height, width = blurry.shape[:2]
        axes = (2, 1, 0) if height > width else (2, 0, 1)
        image = torch.from_numpy(np.ascontiguousarray(blurry.transpose(axes))).to(self.device)
        channels = cast(nn.Conv2d, self.network.enc1[0]).in_channels // 2
        sharp = self.network(image[:, None] if channels == 1 else image[None])[-1].reshape(image.shape).clamp_(0, 1).cpu().numpy()
        frame: F32 = sharp.transpose((2, 1, 0) if height > width else (1, 2, 0))
        return np.ascontiguousarray(frame[None, None])


class Tao2018Gray(Tao2018):
    """SRN on R, G and B one by one, without the LSTM."""

    card = _card("tao2018-gray", "SRN (grey, no LSTM)", "gray")
    training = _training("tao2018-gray")


class Tao2018Color(Tao2018):
    """SRN on all three colours together, without the LSTM."""

    card = _card("tao2018-color", "SRN (colour, no LSTM)", "color")
    training = _training("tao2018-color")


def _variant(state: dict[str, torch.Tensor]) -> str | None:
    """The method that a checkpoint is of; None when it is of no SRN."""
    first = state.get("enc1.1.weight")
    if first is None or first.ndim != 4:
        return None
    return {2: "tao2018" if "lstm.weight" in state else "tao2018-gray", 6: "tao2018-color"}.get(first.shape[1])
