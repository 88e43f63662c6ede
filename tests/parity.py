"""What the re-implemented networks give for parameters filled by any rule, to compare with what official code gives for the same.

The published values and their rule are tested in tests/baselines/test_parity.py.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import nn
from torch.nn import functional as F

from blurbench.baselines import _zhang2021_offsets as etr
from blurbench.baselines import jin2018, nah2017, shen2020, zhang2021, zhong2022


class Fill(Protocol):
    """Sets the parameters of a network, in place.

    skip: parts of names; tensors whose names have one are left out of the order in which names are counted (they are aliases of others,
    or counters). gain: beginnings of names, "" for all, with the factor of the kernels and biases so named.
    """

    def __call__(self, module: nn.Module, *, skip: tuple[str, ...], gain: Mapping[str, float]) -> object: ...


class Img(Protocol):
    """The test picture, (1, 3, height, width) float32; ph shifts its waves."""

    def __call__(self, height: int, width: int, ph: float = 0.0, /) -> torch.Tensor: ...


@torch.no_grad()
def outputs(net: str, fill: Fill, img: Img) -> dict[str, torch.Tensor]:
    """All outputs of a net of golden_nets.json, by their names there. Raises KeyError for another net."""
    return _NETS[net](fill, img)


def _jin2018(fill: Fill, img: Img) -> dict[str, torch.Tensor]:
    network = jin2018.Sequence()
    for part in jin2018.STEMS:
        fill(network.get_submodule(part), skip=(), gain={})
    frames = network.eval()(img(40, 60))
    return {f"f{number}": frames[:, number - 1] for number in range(1, 8)}


def _nah2017(fill: Fill, img: Img) -> dict[str, torch.Tensor]:
    network = nah2017.MSResNet()
    fill(network, skip=(), gain={"": 0.25})
    sharp = network.eval()([255 * img(32, 48), 255 * img(16, 24), 255 * img(8, 12)])
    return {f"out{scale}": image for scale, image in enumerate(sharp)}


def _bin2020(fill: Fill, img: Img) -> dict[str, torch.Tensor]:
    network = shen2020.Recurrent()
    fill(network, skip=(), gain={})
    frames = network.eval()([img(16, 24, 0.2 * number) for number in range(6)])
    return {f"out{number}": frames[number] for number in (8, 12, 13)}


def _decomposer(fill: Fill, img: Img) -> dict[str, torch.Tensor]:
    network = zhong2022.Decomposer()
    for stage in (network.s1, network.s2):
        fill(stage, skip=("num_batches_tracked",), gain={})
    columns = torch.tensor([[1, -1], [-1, 1], [0, 0]]).repeat_interleave(16, dim=0)
    guidance = columns.T[None, :, None].expand(1, 2, 32, 48).float()
    rough, refined = network.eval()(img(32, 48), guidance)
    return {"stage1": rough, "final_unclamped": refined}


def _predictor(fill: Fill, img: Img) -> dict[str, torch.Tensor]:
    generator, encoder = zhong2022.Generator(), zhong2022.Encoder()
    for network in (generator, encoder):
        fill(network, skip=("num_batches_tracked",), gain={})
    row, column = torch.arange(256)[:, None], torch.arange(256)
    classes = F.one_hot((row // 40 + column // 50) % 5, 5).permute(2, 0, 1)[None].float()
    mean, log_variance = encoder.eval()(classes)
    logits = generator.eval()(img(256, 256), torch.tensor([[0.5, -1, 0.25, 2]]))
    return {"G_logits": logits, "mu": mean[0], "logvar": log_variance[0]}


def _offsets(constraint: etr.Constraint) -> Callable[[Fill, Img], dict[str, torch.Tensor]]:
    def net(fill: Fill, img: Img) -> dict[str, torch.Tensor]:
        network, image = etr.OffsetNetwork(constraint), img(48, 64)
        fill(network, skip=(".model.",), gain={"conv_out_0.": 60})
        offsets = etr.offsets(network.eval(), image)
        channels = etr.released_order(offsets)
        return {
            "offsets(30ch, as released order)": channels,
            "block_means": channels.view(etr.COUNT, 2, -1).mean(dim=2),
            "reblur(warp the same image)": etr.reblur(image, offsets),
        }

    return net


def _motion_aware(fill: Fill, img: Img) -> dict[str, torch.Tensor]:
    network, image = zhang2021.MotionAware(), img(48, 64)
    fill(network, skip=(".model.",), gain={"offset_net.conv_out_0.": 200})
    network.eval()
    return {"offsets": etr.released_order(etr.offsets(network.offset_net, image)), "output": network(image)}


_NETS: dict[str, Callable[[Fill, Img], dict[str, torch.Tensor]]] = {
    "jin2018": _jin2018,
    "nah2017": _nah2017,
    "bin2020": _bin2020,
    "zhong2022_decomposer": _decomposer,
    "zhong2022_predictor": _predictor,
    "etr_offset_quad": _offsets("quadratic"),
    "etr_offset_bilin": _offsets("bi-linear"),
    "etr_offset_lin": _offsets("linear"),
    "etr_motion_aware_deblur": _motion_aware,
}
