"""Parameters and multiply-adds: single layers by hand, whole networks against the sizes that their layers meet."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from blurbench.baselines._zhang2019_network import MultiPatch
from blurbench.baselines._zhang2021_deblur import MotionAware, MotionAwareConvolution
from blurbench.baselines.gong2017 import MotionFlow
from blurbench.run import cost

LAYERS = {
    "3x3, border of zeros": (nn.Conv2d(3, 8, 3, padding=1), (2, 3, 10, 12), 2 * 8 * 10 * 12 * 3 * 9),
    "strided": (nn.Conv2d(4, 6, 5, stride=2), (1, 4, 11, 15), 6 * 4 * 6 * 4 * 25),
    "dilated": (nn.Conv2d(1, 1, 3, dilation=2), (1, 1, 9, 9), 5 * 5 * 9),
    "grouped": (nn.Conv2d(8, 8, 3, padding=1, groups=4), (1, 8, 5, 5), 8 * 25 * 2 * 9),
    "transposed": (nn.ConvTranspose2d(4, 6, 4, stride=2, padding=1), (1, 4, 5, 7), 4 * 5 * 7 * 6 * 16),
    "linear": (nn.Linear(7, 5), (3, 7), 3 * 7 * 5),
    "norm": (nn.BatchNorm2d(4).eval(), (1, 4, 8, 8), 0),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_layers_by_hand(name, device):
    layer, shape, expected = LAYERS[name]
    assert cost.multiply_adds(layer.to_empty(device=device), torch.zeros(shape, device=device)) == expected


@settings(max_examples=20, deadline=None)
@given(*[st.integers(1, 6) for _ in range(4)])
def test_products_added_in_place_count_like_others(rows, inner, columns, batch):
    a, b = torch.ones(batch, rows, inner), torch.ones(batch, inner, columns)
    with cost.counting() as counted:
        torch.ones(rows, columns).addmm_(a[0], b[0])
        assert counted() == rows * inner * columns
        torch.ones(batch, rows, columns).baddbmm_(a, b)
        torch.bmm(a, b)
    assert counted() == (1 + 2 * batch) * rows * inner * columns


def met(network, *inputs):
    """Multiply-adds from the shapes that convolutions see."""
    total = 0

    def see(layer, given, made):
        nonlocal total
        # Each weight is met once for each place: of the input where it is spread, of the output where it is gathered.
        places = made if isinstance(layer, nn.Conv2d) else given[0]
        total += places.shape[0] * places.shape[2:].numel() * layer.weight.numel()

    kinds = (nn.Conv2d, nn.ConvTranspose2d, MotionAwareConvolution)
    hooks = [layer.register_forward_hook(see) for layer in network.modules() if isinstance(layer, kinds)]
    with torch.inference_mode():
        network(*inputs)
    for hook in hooks:
        hook.remove()
    return total


@pytest.mark.parametrize("build", [MultiPatch, MotionFlow])
def test_networks_equal_the_sum_of_their_layers(build):
    network, image = build().eval(), torch.zeros(2, 3, 16, 32)
    assert cost.multiply_adds(network, image) == met(network, image) > 0


def test_motion_aware_convolutions_are_counted():
    """All but the curves: 15 offsets from two control points a pixel and direction."""
    network, image = MotionAware().eval(), torch.zeros(1, 3, 16, 32)
    curves = 15 * 2 * 2 * 16 * 32
    assert cost.multiply_adds(network, image) == met(network, image) + curves


def test_multiply_adds_grow_with_the_picture():
    with torch.device("meta"):
        network = MultiPatch()
        small, large = (cost.multiply_adds(network, torch.zeros(1, 3, 64 * scale, 96 * scale)) for scale in (1, 3))
    assert large == 9 * small


def test_nothing_is_counted_outside():
    with cost.counting() as counted:
        pass
    nn.Linear(3, 3)(torch.zeros(1, 3))
    assert counted() == 0


def test_shared_parameters_count_once():
    shared = nn.Linear(3, 4)
    fixed = nn.Parameter(torch.zeros(7), requires_grad=False)
    network = nn.Sequential(shared, nn.Linear(4, 3), shared)
    network.register_parameter("fixed", fixed)
    assert cost.parameters(network) == (3 * 4 + 4) + (4 * 3 + 3) + 7
    assert cost.parameters(network, shared) == cost.parameters(network)
    assert cost.parameters(MotionAware()) == 6_554_000
    assert cost.parameters() == 0
