"""Offsets of Motion-ETR: the curves through the control points, and the blur that they make."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from blurbench.baselines import _zhang2021_offsets as motion
from blurbench.baselines.zhang2021 import OffsetNetwork
from blurbench.errors import PredictionError
from tests.baselines.inputs import tensor
from tests.baselines.zhang2021_pieces import fill, wander

# Curves.

TIMES = st.lists(st.floats(-1, 1, allow_subnormal=False), min_size=1, max_size=5)


def curve(constraint, times, *points):
    """Offsets (N, 2) of one pixel whose control points are given as (dy, dx)."""
    control = torch.from_numpy(np.array(points)).view(1, -1, 2, 1, 1)
    return motion.trajectory(control, constraint, times)[0, :, :, 0, 0].numpy()


@given(TIMES)
def test_quadratic_is_equation_14(times):
    start, end, t = np.array([3.0, -2.0]), np.array([1.0, 5.0]), np.array(times)[:, None]
    expected = (start + end) / 2 * t**2 + (end - start) / 2 * t
    np.testing.assert_allclose(curve("quadratic", times, start, end), expected, atol=1e-12)


@given(TIMES)
def test_linear_and_bi_linear_are_equations_12_and_13(times):
    start, end, t = np.array([3.0, -2.0]), np.array([1.0, 5.0]), np.array(times)[:, None]
    np.testing.assert_allclose(curve("linear", times, start), -t * start, atol=1e-12)
    np.testing.assert_allclose(curve("bi-linear", times, start, end), np.where(t < 0, -t * start, t * end), atol=1e-12)


@given(TIMES)
def test_opposite_ends_make_all_constraints_linear(times):
    start = np.array([3.0, -2.0])
    for constraint in ("quadratic", "bi-linear"):
        np.testing.assert_allclose(curve(constraint, times, start, -start), curve("linear", times, start), atol=1e-12)


@pytest.mark.parametrize(("constraint", "points"), [("quadratic", 2), ("bi-linear", 2), ("linear", 1)])
def test_centre_is_exactly_zero_and_ends_are_the_control_points(constraint, points):
    network = fill(OffsetNetwork(constraint), {"conv_out_0": 60})
    with torch.no_grad():
        given, offsets = network(tensor(16, 24)), motion.offsets(network, tensor(16, 24))
    assert given.shape == (1, points, 2, 16, 24)
    assert offsets.shape == (1, 15, 2, 16, 24)
    assert offsets[:, 7].abs().max() == 0
    assert torch.equal(offsets[:, 0], given[:, 0])
    assert torch.equal(offsets[:, -1], -given[:, 0] if constraint == "linear" else given[:, 1])


def test_zero_constraint_gives_its_fifteen_points_and_lines_between():
    network = fill(OffsetNetwork("zero"))
    with torch.no_grad():
        given, offsets = network(tensor(16, 24)), motion.offsets(network, tensor(16, 24))
        between = motion.offsets(network, tensor(16, 24), [0.5 / 7, 2.0])
    torch.testing.assert_close(offsets, given, rtol=0, atol=1e-6)
    assert offsets[:, 7].abs().max() > 0.01
    torch.testing.assert_close(between[:, 0], (given[:, 7] + given[:, 8]) / 2, rtol=0, atol=1e-6)
    torch.testing.assert_close(between[:, 1], given[:, 14], rtol=0, atol=1e-6)


def test_any_time_lies_on_the_curve_through_the_fifteen():
    """A parabola through three of the 15 offsets predicts every other time."""
    network = fill(OffsetNetwork(), {"conv_out_0": 60})
    with torch.no_grad():
        fifteen = motion.offsets(network, tensor(16, 24))[0, :, 0, 5, 6].double().numpy()
        seven = motion.offsets(network, tensor(16, 24), np.linspace(-1, 1, 7))[0, :, 0, 5, 6].double().numpy()
    parabola = np.polyfit(np.take(motion.GRID, [0, 5, 12]), fifteen[[0, 5, 12]], 2)
    np.testing.assert_allclose(seven, np.polyval(parabola, np.linspace(-1, 1, 7)), atol=1e-4)


def test_released_order_is_that_of_the_released_network():
    """Block by block, from the order as documented, with time as dy and minus time as dx."""
    times = torch.tensor(motion.GRID)
    channels = motion.released_order(torch.stack([times, -times], dim=1).view(1, 15, 2, 1, 1)).flatten()
    order = [-7, -1, -2, -3, -4, -5, -6, 0, 1, 2, 3, 4, 5, 6, 7]
    np.testing.assert_allclose(channels[0::2], np.array(order) / 7, rtol=1e-6)
    np.testing.assert_allclose(channels[1::2], -np.array(order) / 7, rtol=1e-6)


def test_unknown_constraint():
    with pytest.raises(ValueError, match="constraint 'cubic' is unknown, expected one of zero, linear, bi-linear, quadratic"):
        OffsetNetwork("cubic")


@pytest.mark.parametrize(("height", "width"), [(20, 24), (16, 8)])
def test_offsets_of_a_picture_of_wrong_size(height, width):
    with pytest.raises(PredictionError, match=f"the picture is {width}x{height}, expected multiples of 8, at least 16"):
        motion.offsets(OffsetNetwork(), torch.zeros(1, 3, height, width))


# Blur creation.


def test_warp_and_reblur_equal_interpolation_by_scipy():
    sharp, offsets = torch.cat([tensor(9, 13), tensor(9, 13, 1.0)]), wander(2, 5, 9, 13)
    rows, columns = np.mgrid[:9, :13]
    expected = np.zeros((2, 5, 3, 9, 13))
    for b, n, c in np.ndindex(2, 5, 3):
        places = [rows + offsets[b, n, 0].numpy(), columns + offsets[b, n, 1].numpy()]
        expected[b, n, c] = map_coordinates(sharp[b, c].double().numpy(), places, order=1, mode="grid-constant", cval=0.0)
    np.testing.assert_allclose(motion.warp(sharp, offsets), expected, atol=3e-6)
    np.testing.assert_allclose(motion.reblur(sharp, offsets), expected.mean(axis=1), atol=3e-6)


def test_reblur_keeps_a_constant_picture_and_darkens_where_offsets_leave_it():
    grey, offsets = torch.full((1, 3, 12, 16), 0.6), torch.zeros(1, 15, 2, 12, 16)
    offsets[:, :, 1] = 3 * torch.tensor(motion.GRID).view(1, 15, 1, 1)
    blurry = motion.reblur(grey, offsets)[0, 0, 5]
    np.testing.assert_allclose(blurry[3:13], 0.6, rtol=1e-6)
    # At the left border offset -3n/7 reads outside: what is left of it is max(0, 1 - 3n/7).
    inside = 8 + sum(max(0, 1 - 3 * n / 7) for n in range(1, 8))
    assert blurry[0].item() == pytest.approx(0.6 * inside / 15, rel=1e-5)


def test_half_a_pixel_outside_reads_half():
    offsets = torch.zeros(1, 1, 2, 4, 4)
    offsets[:, :, 0] = 0.5
    column = motion.warp(torch.ones(1, 1, 4, 4), offsets)[0, 0, 0, :, 1]
    assert column.tolist() == pytest.approx([1, 1, 1, 0.5])


def test_reblur_is_differentiable_in_sharp_and_offsets():
    """The slope of a ramp: moving one pixel's offset right by d reads d times the slope more."""
    ramp = (torch.arange(8.0) * 0.1).expand(1, 1, 6, 8).clone().requires_grad_()
    offsets = torch.full((1, 2, 2, 6, 8), 0.25).requires_grad_()
    motion.reblur(ramp, offsets)[0, 0, 2, 3].backward()
    assert offsets.grad[0, :, 1, 2, 3].tolist() == pytest.approx([0.05, 0.05], abs=1e-6)
    assert offsets.grad[0, :, 0, 2, 3].tolist() == pytest.approx([0, 0], abs=1e-6)
    assert ramp.grad.sum().item() == pytest.approx(1, abs=1e-6)


def test_what_moves_right_has_negative_offsets_later():
    sharp = torch.zeros(1, 3, 8, 16)
    sharp[..., 6] = 1
    offsets = motion.trajectory(torch.tensor([0.0, 3.0]).view(1, 1, 2, 1, 1).expand(1, 1, 2, 8, 16), "linear", [-1, 0, 1])
    frames = motion.warp(sharp, offsets)[0, :, 0, 4]
    assert frames.argmax(dim=1).tolist() == [3, 6, 9]
