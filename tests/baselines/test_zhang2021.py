"""Motion-ETR: parameters, official values, curves of offsets, the blur-creation module, motion-aware taps, videos, weight files."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from scipy.ndimage import map_coordinates
from torch import nn

from blurbench import weights
from blurbench.baselines import _zhang2021_offsets as motion
from blurbench.baselines import zhang2021 as etr
from blurbench.baselines.zhang2021 import MotionAware, MotionETR, OffsetNetwork, Zhang2021, Zhang2021Paper
from blurbench.errors import BlurbenchError, PredictionError, RecipeError, UnknownNameError, WeightsError
from blurbench.methods import Request, load_method, predict
from blurbench.types import Sample
from tests import formulas
from tests.baselines import official
from tests.baselines.official import count, refused, tensor, without_weights
from tests.train.shrunk import shrunk, trained


def fill(network, gain=None):
    """Aliases, which come last, get the values of their layers."""
    return official.fill(network, (".model.",), gain)


@pytest.fixture(scope="module")
def deblurring():
    """The deblurring network of the golden values."""
    return fill(MotionAware(), {"offset_net.conv_out_0": 200})


# Parameters and official values.


def test_parameter_counts():
    counts = {constraint: count(OffsetNetwork(constraint)) for constraint in ("quadratic", "bi-linear", "linear", "zero")}
    assert counts == {"quadratic": 1_129_604, "bi-linear": 1_129_604, "linear": 1_128_002, "zero": 1_126_400 + 30 * (32 * 25 + 1)}
    assert count(MotionAware()) == count(MotionAware(as_released=False)) == 6_554_000


def test_ratios_are_constants_of_the_checkpoint():
    for network, ratio in ((MotionAware(), 0.08), (MotionAware(as_released=False), 0.1)):
        ratios = {name: value for name, value in network.named_parameters() if name.endswith("ratio_3")}
        assert len(ratios) == 3
        assert all(value.item() == pytest.approx(ratio) and not value.requires_grad for value in ratios.values())


def test_levels_equal_the_network_taken_patch_by_patch():
    """DMPHN's levels spelled out, one patch at a time, each half with the offsets of its own rows."""
    net, image = fill(MotionAware()).deblur_net, tensor(32, 48)
    offsets = torch.cat([10 * wander(1, 15, 16, 48), -10 * wander(1, 15, 16, 48)], dim=3)
    top, bottom = image[:, :, :16], image[:, :, 16:]
    with torch.no_grad():
        top3, bottom3 = (torch.cat([net.encoder_lv3(half[..., :24]), net.encoder_lv3(half[..., 24:])], dim=3) for half in (top, bottom))
        top_residual, bottom_residual = net.decoder_lv3(top3, offsets[..., :16, :]), net.decoder_lv3(bottom3, offsets[..., 16:, :])
        features2 = torch.cat([net.encoder_lv2(top + top_residual) + top3, net.encoder_lv2(bottom + bottom_residual) + bottom3], dim=2)
        features1 = net.encoder_lv1(image + net.decoder_lv2(features2, offsets)) + features2
        expected = image + net.decoder_lv1(features1, offsets)
        actual = net(image, offsets)
        swapped = net.decoder_lv3(top3, offsets[..., 16:, :])
    assert (swapped - top_residual).abs().max() > 1e-3
    torch.testing.assert_close(actual, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize(("dtype", "largest", "mean"), [(torch.bfloat16, 1e-2, 2e-3), (torch.float16, 2e-3, 4e-4)])
def test_short_floats(dtype, largest, mean):
    """Measured: 0.0052 and 0.0011 in bfloat16, 0.0007 and 0.0002 in half; the places of taps stay in float32."""
    network = fill(MotionAware(), {"offset_net.conv_out_0": 200})
    with torch.inference_mode():
        expected = network(tensor(48, 64))
        error = (network.to(dtype)(tensor(48, 64).to(dtype)).float() - expected).abs()
    assert error.max() < largest
    assert error.mean() < mean


def test_variants_differ_in_the_taps_alone(deblurring):
    """The same weights in both: other pictures; the taps of the released one put into that of the paper: the same."""
    printed = MotionAware(as_released=False).eval()
    printed.load_state_dict(deblurring.state_dict())
    with torch.no_grad():
        released, expected = deblurring(tensor(16, 24)), printed(tensor(16, 24))
        assert (released - expected).abs().max() > 1e-3
        for decoder in (printed.deblur_net.decoder_lv1, printed.deblur_net.decoder_lv2, printed.deblur_net.decoder_lv3):
            decoder.shifts = etr.released_shifts
        torch.testing.assert_close(printed(tensor(16, 24)), released, rtol=0, atol=0)


def test_channels_last_and_batches_do_not_change_the_result(deblurring):
    images = torch.cat([tensor(16, 24, phase) for phase in (0.0, 0.4, 0.8, 1.2)])
    with torch.no_grad():
        together = deblurring(images)
        apart = torch.cat([deblurring(image[None]) for image in images])
        last = deblurring.to(memory_format=torch.channels_last)(images.to(memory_format=torch.channels_last))
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-5)
    torch.testing.assert_close(together, last, rtol=0, atol=1e-5)
    deblurring.to(memory_format=torch.contiguous_format)


def test_gradients_reach_every_trained_parameter():
    torch.manual_seed(0)
    network = MotionAware()
    network(tensor(16, 16)).square().mean().backward()
    trained = {name: value.grad for name, value in network.named_parameters() if value.requires_grad}
    assert [name for name, gradient in trained.items() if gradient is None or gradient.abs().max() == 0] == []


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


def wander(batch, number, height, width, size=3.0):
    """Offsets that differ from pixel to pixel and leave the picture."""
    generator = torch.Generator().manual_seed(1)
    return size * torch.randn(batch, number, 2, height, width, generator=generator)


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


# Motion-aware taps.

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


# The method.


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


def dots():
    blurry = np.zeros((24, 32, 3), np.uint8)
    blurry[12, 16] = 255
    return blurry


def test_fifteen_frames_are_those_of_the_authors():
    """Seven pixels to the right and seven down in 15 frames: half a pixel each frame, the centre untouched."""
    frames = predict(still((3.5, 3.5), (-3.5, -3.5)), make_sample(dots(), slices(15))).frames[0]
    assert frames.shape == (15, 24, 32, 3)
    np.testing.assert_allclose(frames[7], dots() / 255, atol=1e-5)
    for number, frame in enumerate(frames[..., 0]):
        rows, columns = np.mgrid[:24, :32]
        centre = [(frame * rows).sum() / frame.sum(), (frame * columns).sum() / frame.sum()]
        assert centre == pytest.approx([12 + (number - 7) / 2, 16 + (number - 7) / 2], abs=1e-3)


@pytest.mark.parametrize("number", [1, 2, 7, 16])
def test_any_number_of_frames(number):
    """An accelerating motion, S = 2, E = -6, at the times asked, read off the centre of mass."""
    frames = predict(still((0, 2), (0, -6)), make_sample(dots(), slices(number))).frames[0, ..., 0]
    t = 15 / 14 * (2 * slices(number) - 1)
    expected = 16 - ((t * t - t) / 2 * 2 + (t * t + t) / 2 * -6)
    found = (frames * np.arange(32)).sum(axis=(1, 2)) / frames.sum(axis=(1, 2))
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_frames_come_in_the_order_of_the_times_asked():
    forward = predict(still((0, 3), (0, -3)), make_sample(dots(), [0.1, 0.5, 0.9])).frames
    backward = predict(still((0, 3), (0, -3)), make_sample(dots(), [0.9, 0.5, 0.1])).frames
    np.testing.assert_array_equal(forward[:, ::-1], backward)
    assert forward[0, 0, 12].argmax() < forward[0, 2, 12].argmax()


def test_centre_frame_is_the_deblurred_image_clamped(deblurring):
    network = MotionETR()
    network.deblur = deblurring
    image = tensor(16, 24)
    with torch.inference_mode():
        expected = deblurring(image)[0].permute(1, 2, 0).clamp(0, 1).numpy()
    blurry = np.ascontiguousarray(image[0].permute(1, 2, 0).numpy())
    for times in ([0.5], [0.1, 0.5]):
        frames = Zhang2021(network).predict(blurry, Request(np.array(times), 1, np.random.default_rng(0))).frames
        np.testing.assert_allclose(frames[0, -1], expected, atol=1e-5)
    deblurring.to(memory_format=torch.contiguous_format)


@pytest.mark.parametrize(("height", "width"), [(21, 27), (8, 8), (1, 3), (8, 40)])
def test_any_size(height, width):
    blurry = np.rint(255 * formulas.image(height, width)).astype(np.uint8).transpose(1, 2, 0)
    answer = predict(Zhang2021(fill(MotionETR(), {"offset.conv_out_0": 60})), make_sample(blurry, slices(3)))
    assert answer.frames.shape == (1, 3, height, width, 3)
    assert 0 <= answer.frames.min() < answer.frames.max() <= 1


# Weight files.


def without_aliases(network):
    return {key: value.contiguous() for key, value in network.state_dict().items() if ".model." not in key}


@pytest.fixture(scope="module")
def filled():
    return fill(MotionETR(), {"offset.conv_out_0": 60, "deblur.offset_net.conv_out_0": 60})


@pytest.fixture
def checkpoint(tmp_path, filled):
    """A folder as the authors publish it: one network under plain names, one under `module.`, layers of the bottlenecks twice."""
    torch.save(filled.offset.state_dict(), tmp_path / "latest_net_offset.pth")
    torch.save({f"module.{key}": value for key, value in filled.deblur.state_dict().items()}, tmp_path / "latest_net_deblur.pth")
    return tmp_path


def run(method):
    blurry = np.rint(255 * formulas.image(16, 24)).astype(np.uint8).transpose(1, 2, 0)
    return predict(method, make_sample(blurry, slices(3))).frames


def test_official_folder_gives_a_video(checkpoint, filled):
    method = load_method("motion-etr", checkpoint)
    assert method.weights.files == ("latest_net_offset.pth", "latest_net_deblur.pth")
    assert method.weights.origin == "given"
    frames = run(method)
    np.testing.assert_array_equal(frames, run(Zhang2021(filled)))
    assert np.abs(frames[0, 0] - frames[0, 2]).mean() > 0.01


def test_one_safetensors_file_without_aliases(tmp_path, filled):
    save_file(without_aliases(filled), tmp_path / "zhang2021.safetensors")
    np.testing.assert_array_equal(run(load_method("zhang2021", tmp_path / "zhang2021.safetensors")), run(Zhang2021(filled)))


def test_variant_of_the_paper_takes_its_own_weights(tmp_path):
    network = MotionETR(as_released=False)
    torch.save(network.offset.state_dict(), tmp_path / "latest_net_offset.pth")
    save_file(without_aliases(network.deblur), tmp_path / "latest_net_deblur.safetensors")
    method = load_method("zhang2021-paper", tmp_path)
    assert method.network.deblur.deblur_net.decoder_lv2.shifts is etr.printed_shifts
    np.testing.assert_array_equal(run(method), run(Zhang2021Paper(network)))


def test_offset_network_alone(checkpoint, tmp_path):
    network = motion.load_offsets(checkpoint / "latest_net_offset.pth", "bi-linear")
    assert network.constraint == "bi-linear" and not network.training
    with pytest.raises(WeightsError, match=r"'conv_out_0.weight' has shape \(4, 32, 5, 5\), expected \(2, 32, 5, 5\)"):
        motion.load_offsets(checkpoint / "latest_net_offset.pth", "linear")


def test_no_weights_tells_what_to_fetch_and_where_it_goes():
    message = without_weights("zhang2021")
    assert "latest_net_offset.pth" in message and "latest_net_deblur.pth" in message and "github.com/yjzhang96/Motion-ETR" in message
    assert without_weights("zhang2021-paper").startswith("nobody released any; put into one folder")


def test_missing_file(checkpoint):
    (checkpoint / "latest_net_offset.pth").unlink()
    assert refused("zhang2021", checkpoint).startswith(f"weights folder {checkpoint} lacks latest_net_offset (.pth or .safetensors); put ")


def test_one_network_where_two_are_needed(checkpoint):
    path = checkpoint / "latest_net_deblur.pth"
    assert refused("zhang2021", path).startswith(f"{path} is one network, zhang2021 needs two; put into one folder latest_net_offset.pth")


def test_released_weights_in_the_variant_of_the_paper(checkpoint):
    expected = f"{checkpoint}/latest_net_deblur.pth is not of zhang2021-paper: 'deblur_net.decoder_lv1.ratio_3' is 0.08, expected 0.1; "
    assert refused("zhang2021-paper", checkpoint) == expected + "try --method zhang2021"


def test_linear_weights_in_the_method(checkpoint):
    path = checkpoint / "latest_net_offset.pth"
    torch.save(OffsetNetwork("linear").state_dict(), path)
    expected = f"{path} is not a checkpoint of OffsetNetwork: 'conv_out_0.weight' has shape (2, 32, 5, 5), expected (4, 32, 5, 5)"
    assert refused("zhang2021", checkpoint) == expected


# Other constraints, and their training.

CONSTRAINTS = ("quadratic", "bi-linear", "linear", "zero")
SETTINGS = {"structure": 0.1, "smoothness": 5e-4, "size": 2e-5}


def lines(size=32):
    """A batch of a texture, and its mean over shifts of -3 to 3 columns."""
    texture = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    texture = torch.nn.functional.avg_pool2d(texture, 5, stride=1, padding=2)
    return {"blurry": sum(texture.roll(shift, dims=-1) for shift in range(-3, 4)) / 7, "sharp": texture[:, None]}


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_the_loss_of_a_constraint_by_its_equation(constraint):
    """Offsets by Equations 12 to 14, warped by SciPy, averaged; the error, and the regularisers of Equations 9 and 10, in NumPy."""
    network, batch = etr.constrained(True, constraint), lines(16)
    fill(network.offset, {"conv_out_0": 20})
    terms = etr.offset_stage({"network": network}, batch, SETTINGS)
    with torch.no_grad():
        points = network.offset(batch["blurry"]).double().numpy()
    t = np.linspace(-1, 1, 15)[:, None, None, None]
    curve_of = {
        "quadratic": lambda p: (t * t - t) / 2 * p[0] + (t * t + t) / 2 * p[-1],
        "bi-linear": lambda p: np.where(t < 0, -t * p[0], t * p[-1]),
        "linear": lambda p: -t * p[0],
        "zero": lambda p: p,
    }[constraint]
    paths = np.stack([curve_of(each) for each in points])
    sharp, blurry = (batch[name].double().numpy() for name in ("sharp", "blurry"))
    again = np.zeros_like(blurry)
    for picture, planes, moved in zip(again, sharp[:, 0], np.indices((16, 16)) + paths, strict=True):
        for made, plane in zip(picture, planes, strict=True):
            made += np.mean([map_coordinates(plane, places, order=1, mode="grid-constant") for places in moved], axis=0)
    assert terms["reblur"].item() == pytest.approx(np.mean((again - blurry) ** 2), rel=1e-4)
    variation = np.abs(np.diff(paths, axis=-1)).mean() + np.abs(np.diff(paths, axis=-2)).mean()
    assert terms["smoothness"].item() == pytest.approx(5e-4 * variation, rel=1e-4)
    assert terms["size"].item() == pytest.approx(2e-5 * (paths**2).mean(), rel=1e-4)


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_a_few_steps_lower_the_loss_of_a_constraint(constraint):
    torch.manual_seed(0)
    network, batch = etr.constrained(True, constraint), lines()
    (player,) = Zhang2021.training.stages["offset"].players
    optimiser = torch.optim.Adam(network.offset.parameters(), lr=1e-3)
    course = []
    for _ in range(20):
        terms = player.loss({"network": network}, batch, SETTINGS)
        optimiser.zero_grad()
        sum(terms.values()).backward()
        optimiser.step()
        course.append(sum(terms.values()).item())
    assert course[-1] < 0.9 * course[0], course[::4]


def test_both_offset_networks_have_the_constraint():
    for constraint, points in zip(CONSTRAINTS, (2, 2, 1, 15), strict=True):
        network = etr.constrained(False, constraint)
        for each in (network.offset, network.deblur.offset_net):
            assert each.constraint == constraint and each(tensor(16, 16)).shape == (1, points, 2, 16, 16)
            shapes = [{key: value.shape for key, value in other.state_dict().items()} for other in (each, OffsetNetwork(constraint))]
            assert shapes[0] == shapes[1]
        etr.begin_deblurring({"network": network})


@pytest.mark.parametrize("constraint", ["linear", "bi-linear"])
def test_trained_weights_of_a_constraint(made, tmp_path, monkeypatch, constraint):
    """Both stages; the file is refused as one of another constraint, which bi-linear weights would fit."""
    shrunk(Zhang2021, tmp_path, monkeypatch, by_loss=False, crop=32, batch=2)
    path, chosen = tmp_path / "w.safetensors", {"constraint": constraint}
    trained("zhang2021", made / "data/genblur", path, budget="2", options=chosen)
    card = weights.card(path)
    assert card["validated_by"] == "blurbench-1 psnr-centre"
    assert card["options"] == chosen and f"--option constraint={constraint}" in card["command"]
    method = load_method("zhang2021", path, options=chosen)
    assert method.label == f"zhang2021+constraint-{constraint}" and method.network.offset.constraint == constraint
    torch.manual_seed(0)
    assert np.abs(run(method) - run(Zhang2021(Zhang2021.training.network(constraint=constraint)))).max() > 1e-5
    told = f"{path} holds {constraint} trajectories, expected quadratic ones; give --option constraint={constraint}, or other weights"
    assert refused("zhang2021", path) == told
    with pytest.raises(WeightsError, match="expected zero ones; give --option"):
        load_method("zhang2021-reblur", path, options={"constraint": "zero"})
    with pytest.raises(RecipeError, match=f"options.constraint = '{constraint}', now it is 'zero'"):
        trained("zhang2021", made / "data/genblur", path, budget="2", options={"constraint": "zero"}, resume=True)


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("zhang2021", {"constraint": "cubic"}, "unknown constraint 'cubic' in training zhang2021"),
        ("zhang2021", {"constrain": "zero"}, "unknown option 'constrain' in training zhang2021; did you mean 'constraint'"),
        ("dmphn", {"constraint": "zero"}, "training zhang2019 takes no options, but --option constraint=zero was given; leave it out"),
    ],
)
def test_options_that_do_not_fit_the_training(made, tmp_path, name, options, told):
    with pytest.raises(BlurbenchError, match=f"^{told}"):
        trained(name, made / "data/genblur", tmp_path / "w.safetensors", options=options)
    assert not list(tmp_path.iterdir())


def test_unknown_constraint_of_the_method(checkpoint):
    with pytest.raises(UnknownNameError, match="unknown constraint 'bilinear' in zhang2021; did you mean 'bi-linear'"):
        load_method("zhang2021", checkpoint, options={"constraint": "bilinear"})


def test_missing_key(checkpoint, filled):
    path = checkpoint / "latest_net_deblur.pth"
    state = filled.deblur.state_dict()
    del state["deblur_net.decoder_lv2.dcn_5_1.weight"]
    torch.save(state, path)
    assert refused("zhang2021", checkpoint).startswith(
        f"{path} is not a checkpoint of MotionAware: key 'deblur_net.decoder_lv2.dcn_5_1.weight' is missing"
    )


def test_names_of_one_layer_that_disagree(checkpoint, filled):
    path = checkpoint / "latest_net_offset.pth"
    state = {key: value.clone() for key, value in filled.offset.state_dict().items()}
    state["bottleneck_2.model.2.bias"][5] += 1
    torch.save(state, path)
    twins = "'bottleneck_2.conv2.bias' and 'bottleneck_2.model.2.bias'"
    assert refused("zhang2021", checkpoint) == f"{path} holds two versions of one layer: {twins} differ, expected the same values"
