"""Motion-aware convolution of Motion-ETR: where its taps lie, and its values by a slow loop."""

import numpy as np
import pytest
import torch
from torch import nn

from blurbench.baselines import _zhang2021_deblur as etr
from blurbench.baselines import _zhang2021_offsets as motion
from tests.baselines.zhang2021_pieces import wander

TABLE = {  # tap: place without motion, then the two numbers added to it, as names of components of the released blocks
    0: ((0, 0), "dy3", "dy4"),
    1: ((0, 0), "dy5", "dy6"),
    2: ((-1, 1), "dy7", "dy8"),
    3: ((-1, -2), "dy9", "dy10"),
    4: ((-1, 1), "dy11", "dx3"),
    5: ((0, 0), "dx4", "dx5"),
    6: ((2, -1), "dx6", "dx7"),
    7: ((0, 1), "dx8", "dx9"),
    8: ((1, 0), "dx10", "dx11"),
}


def test_tap_table_of_the_released_code():
    offsets = torch.randn(1, 15, 2, 1, 1)
    channels = motion.released_order(offsets).flatten().tolist()
    named = {f"d{axis}{block}": channels[2 * block + (axis == "x")] for block in range(15) for axis in "yx"}
    shifts = etr.released_shifts(offsets, torch.tensor(0.08))[0, :, :, 0, 0].tolist()
    for tap, ((row, column), first, second) in TABLE.items():
        assert shifts[tap] == pytest.approx([row + 0.08 * named[first], column + 0.08 * named[second]], abs=1e-6)


def test_taps_of_the_paper_are_the_middle_of_the_trajectory():
    offsets = motion.trajectory(torch.tensor([[-20.0, 10.0], [30.0, 0.0]]).view(1, 2, 2, 1, 1), "quadratic")
    shifts = etr.printed_shifts(offsets, torch.tensor(0.1))[0, :, :, 0, 0].numpy()
    t = np.arange(-4, 5)[:, None] / 7
    np.testing.assert_allclose(shifts, 0.1 * ((t**2 - t) / 2 * [-20, 10] + (t**2 + t) / 2 * [30, 0]), atol=1e-6)
    assert shifts[4].tolist() == [0, 0]


def slow_convolution(x, shifts, weight, bias):
    """Sum over taps of weight times the bilinear value at the pixel plus the shift of the tap; pixel by pixel, zeros outside."""

    def value(c, row, column):
        top, left = int(np.floor(row)), int(np.floor(column))
        total = 0.0
        for i, j in np.ndindex(2, 2):
            if 0 <= top + i < x.shape[2] and 0 <= left + j < x.shape[3]:
                total += x[b, c, top + i, left + j] * (1 - abs(row - top - i)) * (1 - abs(column - left - j))
        return total

    out = np.zeros((len(x), len(weight), *x.shape[2:]))
    for b, d, row, column in np.ndindex(out.shape):
        out[b, d, row, column] = bias[d]
        for tap, c in np.ndindex(9, x.shape[1]):
            place = shifts[b, tap, :, row, column]
            out[b, d, row, column] += weight[d, c, tap // 3, tap % 3] * value(c, row + place[0], column + place[1])
    return out


def test_motion_aware_convolution_equals_the_slow_loop():
    torch.manual_seed(2)
    layer, x = etr.MotionAwareConvolution(2, 3), torch.randn(2, 2, 5, 6)
    shifts = wander(2, 9, 5, 6)
    shifts[0, 0, :, 2, 2] = torch.tensor([1e12, -1e12])
    shifts[1, 3, :, 1, 4] = torch.tensor([1.0, -2.0])
    expected = slow_convolution(*(value.detach().double().numpy() for value in (x, shifts, layer.weight, layer.bias)))
    np.testing.assert_allclose(layer(x, etr.taps(shifts)).detach(), expected, atol=2e-6)


def test_motion_aware_convolution_at_rest_is_a_convolution():
    """Taps on the regular grid: the same numbers as a 3x3 convolution with zeros around."""
    torch.manual_seed(3)
    layer, plain, x = etr.MotionAwareConvolution(4, 5), nn.Conv2d(4, 5, 3, padding=1), torch.randn(2, 4, 7, 9)
    plain.load_state_dict(layer.state_dict())
    grid = torch.tensor([[i, j] for i in (-1.0, 0.0, 1.0) for j in (-1.0, 0.0, 1.0)])
    at = etr.taps(grid[None, ..., None, None].expand(2, -1, -1, 7, 9))
    torch.testing.assert_close(layer(x, at), plain(x), rtol=0, atol=1e-5)


def test_gradient_of_the_taps_is_the_slope_of_the_picture():
    ramp = 0.1 * torch.arange(8.0).expand(1, 1, 8, 8) + 0.3 * torch.arange(8.0)[:, None]
    layer = etr.MotionAwareConvolution(1, 1)
    shifts = torch.full((1, 9, 2, 8, 8), 0.25, requires_grad=True)
    layer(ramp, etr.taps(shifts))[0, 0, 3, 4].backward()
    slope = torch.tensor([0.3, 0.1]) * layer.weight.detach().flatten()[:, None]
    torch.testing.assert_close(shifts.grad[0, :, :, 3, 4], slope, rtol=1e-4, atol=1e-6)
    assert shifts.grad.count_nonzero() == 18
