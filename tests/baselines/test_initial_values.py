"""Initial weights that papers state: those of Glorot and Bengio for `tao2018` and `zhang2021`; what their small networks begin with."""

import numpy as np
import pytest
import torch
from torch import nn

from blurbench.baselines import tao2018, zhang2021
from blurbench.baselines._zhang2021_deblur import MotionAwareConvolution
from blurbench.train import recipe
from tests.baselines.inputs import tensor


def evenly_spread(weight, margin=0.05):
    """Whether it looks drawn from U(-b, b), b^2 = 6 / (fan in + fan out)."""
    area = weight[0, 0].numel()
    bound = np.sqrt(6 / (area * sum(weight.shape[:2])))
    return weight.abs().max() <= bound and abs(weight.std().item() * np.sqrt(3) / bound - 1) < margin


@pytest.mark.parametrize(
    "build",
    [*tao2018.NETWORKS.values(), zhang2021.MotionETR, lambda: zhang2021.MotionETR(as_released=False)],
    ids=[*tao2018.NETWORKS, "zhang2021", "zhang2021-paper"],
)
def test_evenly_spread_and_no_bias(build):
    torch.manual_seed(0)
    network = build()
    kinds = (nn.Conv2d, nn.ConvTranspose2d, MotionAwareConvolution)
    layers = {name: layer for name, layer in network.named_modules() if isinstance(layer, kinds) and name != "lstm"}
    assert len(layers) > 30
    for name, layer in layers.items():
        assert not layer.bias.any(), name
        assert layer.weight.numel() < 2000 or evenly_spread(layer.weight), name


def test_the_lstm_begins_near_nothing():
    gates = tao2018.NETWORKS["tao2018"]().lstm
    assert not gates.bias.any() and gates.weight.abs().max() <= 2e-3
    # A normal distribution of 1e-3, cut at two of it, has 0.88 of its width.
    assert gates.weight.std().item() == pytest.approx(0.88e-3, rel=0.02)


@torch.no_grad()
def test_small_zhang2021_begins_as_a_copy():
    training = zhang2021.Zhang2021.training
    network, image = training.network(**recipe.find(training, "small").network), tensor(32, 48)
    torch.testing.assert_close(network.deblur(image), image, rtol=0, atol=0)


@pytest.mark.parametrize("name", tao2018.NETWORKS)
def test_grey_networks_learn_from_luminance(name):
    """The squared errors of three sizes, in NumPy: of one grey picture, not of three."""
    seen = []

    class Halves(nn.Module):
        enc1 = (nn.Conv2d(6 if name == "tao2018-color" else 2, 1, 1),)

        def forward(self, blurry):
            seen.append(blurry)
            return tuple(0.5 * blurry[..., ::step, ::step] for step in (4, 2, 1))

    blurry, sharp = tensor(16, 24), tensor(16, 24, 0.7)
    terms = tao2018.deblurring({"network": Halves()}, {"blurry": blurry, "sharp": sharp[:, None]}, {})
    shares = np.array([0.2989, 0.587, 0.114]).reshape(3, 1, 1)
    pictures = [np.float64(each[0]) for each in (blurry, sharp)]
    if name != "tao2018-color":
        pictures = [(each * shares).sum(axis=0) for each in pictures]
    errors = [np.mean((0.5 * pictures[0] - pictures[1])[..., ::step, ::step] ** 2) for step in (4, 2, 1)]
    assert terms["squared"].item() == pytest.approx(sum(errors), rel=1e-5)
    assert seen[0].shape == (1, 3 if name == "tao2018-color" else 1, 16, 24)
