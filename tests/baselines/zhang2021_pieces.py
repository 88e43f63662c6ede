"""What the tests of zhang2021 share: filled networks, networks of one motion, offsets and times."""

import numpy as np
import torch

from blurbench.baselines.zhang2021 import MotionETR, Zhang2021
from blurbench.types import Sample
from tests.baselines import official


def fill(network, gain=None):
    """Aliases, which come last, get the values of their layers."""
    return official.fill(network, (".model.",), gain)


def wander(batch, number, height, width, size=3.0):
    """Offsets that differ from pixel to pixel and leave the picture."""
    generator = torch.Generator().manual_seed(1)
    return size * torch.randn(batch, number, 2, height, width, generator=generator)


def still(start, end):
    """Everything zero but the motion: the deblurred image is the blurry one, and all pixels move alike; (dy, dx) each."""
    network = MotionETR()
    with torch.no_grad():
        for parameter in (p for name, p in network.named_parameters() if not name.endswith("ratio_3")):
            parameter.zero_()
        network.offset.conv_out_0.bias.copy_(torch.tensor([*start, *end]))
    return Zhang2021(network)


def make_sample(blurry, times):
    return Sample("s", "v", blurry, blurry[None].repeat(len(times), axis=0), np.array(times, np.float64), "pixel")


def slices(number):
    """The middles of equal slices of the exposure."""
    return (np.arange(number) + 0.5) / number
