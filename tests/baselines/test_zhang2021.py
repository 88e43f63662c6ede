"""Motion-ETR: parameters, levels, short floats, and its videos."""

import numpy as np
import pytest
import torch

from blurbench.baselines._zhang2021_deblur import released_shifts
from blurbench.baselines.zhang2021 import MotionAware, MotionETR, OffsetNetwork, Zhang2021
from blurbench.methods import Request
from blurbench.running import predict
from tests.baselines.inputs import picture, tensor
from tests.baselines.official import count
from tests.baselines.zhang2021_pieces import fill, make_sample, slices, still, wander


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
            decoder.shifts = released_shifts
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


# The method.


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
    blurry = picture(height, width)
    answer = predict(Zhang2021(fill(MotionETR(), {"offset.conv_out_0": 60})), make_sample(blurry, slices(3)))
    assert answer.frames.shape == (1, 3, height, width, 3)
    assert 0 <= answer.frames.min() < answer.frames.max() <= 1
