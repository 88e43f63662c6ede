"""Bringing Alive Blurred Moments: its modules by their layers, the transformer, the losses, three stages of training, and the method."""

import copy
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from scipy.ndimage import map_coordinates
from torch import nn

from blurbench.baselines import _purohit2019_losses as losses
from blurbench.baselines._purohit2019_deblur import DenseBlock, DenseDeblur
from blurbench.baselines._purohit2019_motion import ImageEncoder, VideoDecoder, VideoEncoder, transform
from blurbench.baselines.purohit2019 import BlurToVideo, Purohit2019, without_video_encoder
from blurbench.errors import BlurbenchError, RecipeError
from blurbench.methods import load_method
from blurbench.registry import METHODS
from blurbench.running import predict
from blurbench.train import recipe
from tests.baselines.inputs import as_tensor, make_sample, padded, picture, tensor, unit
from tests.baselines.official import count, fill, refused, run, without_weights

SMALL = 1 / 16
SETTINGS = {"eighth": 0.125, "quarter": 0.25, "half": 0.5, "whole": 1.0, "smoothness": 0.02, "centre": 1.0}
STAGES = {"deblur": losses.deblurring, "autoencoder": losses.autoencoder, "guided": losses.guided}


def video(network):
    """Flow layers strong enough that frames move by pixels."""
    for layer in network.decoder.decoder.flow:
        nn.init.normal_(layer.weight, std=0.2)
    return network


@pytest.fixture(scope="module")
def filled():
    """A small system that moves and deblurs, with statistics of pictures, as training leaves it."""
    torch.manual_seed(0)
    network = video(BlurToVideo(SMALL))
    nn.init.normal_(network.deblur.picture.weight, std=0.05)
    for _ in range(20):
        network.image_encoder(*(torch.cat([tensor(32, 48, phase), tensor(32, 48, phase + 1)]) for phase in (0.0, 0.5)))
    return network.eval()


@pytest.fixture(scope="module")
def weights(filled, tmp_path_factory):
    return file_of(without_video_encoder(filled), tmp_path_factory.mktemp("purohit2019") / "w.safetensors")


def file_of(state, path):
    save_file({key: value.contiguous() for key, value in state.items()}, path)
    return path


def batch(frames=5, size=32, pictures=2):
    """Clips of a pattern that moves by two pixels a frame, one to the right and one down, and their averages."""
    torch.manual_seed(3)
    big = nn.functional.interpolate(torch.rand(pictures, 3, size // 2, size // 2), size=2 * size, mode="bilinear")
    starts = [(2 * frame, 0) for frame in range(frames)], [(0, 2 * frame) for frame in range(frames)]
    sharp = torch.stack(
        [
            torch.stack([big[number, :, top : top + size, left : left + size] for top, left in starts[number % 2]])
            for number in range(pictures)
        ]
    )
    return {"blurry": sharp.mean(dim=1), "sharp": sharp}


def convolution(kernel, inputs, outputs, bias=True):
    return kernel**2 * inputs * outputs + bias * outputs


def pyramid(inputs):
    enter = convolution(3, inputs, 16)
    return enter + sum(convolution(3, a, b) + 2 * convolution(3, b, b) for a, b in ((16, 32), (32, 64), (64, 128)))


def dense(channels):
    grown = sum(convolution(3, channels + 32 * step, 32) for step in range(6))
    return 2 * (grown + convolution(1, channels + 192, channels))


def test_parameters_by_the_layers():
    with torch.device("meta"):
        network = BlurToVideo()
    lstm = convolution(3, 256, 512)
    assert count(network.video_encoder) == pyramid(3) + lstm == 1_665_120
    ups = convolution(4, 128, 64) + convolution(4, 130, 32) + convolution(4, 66, 16)
    flows = sum(convolution(3, channels, 2) for channels in (128, 130, 66, 34))
    assert count(network.decoder) == pyramid(2) + lstm + ups + flows == 1_886_068
    chain = ((7, 6, 32), (5, 32, 64), (5, 64, 128), (3, 128, 256), (3, 256, 256), (3, 256, 256))
    seven = sum(convolution(*layer, bias=False) + 2 * layer[2] for layer in chain) + convolution(3, 256, 128)
    assert count(network.image_encoder) == seven == 2_036_992
    levels = (64, 112, 144, 192)
    blocks = sum(dense(channels) for channels in levels)
    downs = sum(convolution(3, a, b) for a, b in itertools.pairwise(levels))
    steps = ((192, 144), (288, 112), (224, 64))
    doublings = sum(convolution(1, a, a // 2) + convolution(4, a // 2, b) + convolution(1, b, b) for a, b in steps)
    ends = convolution(3, 12, 64) + convolution(3, 128, 64) + convolution(3, 64, 12)
    assert count(network.deblur) == blocks + downs + doublings + ends == 4_486_956
    megabytes = 4 * (count(network) - count(network.video_encoder)) / 1e6
    assert (round(4 * count(network.deblur) / 1e6, 1), round(megabytes)) == (17.9, 34), "as printed"


def test_dense_block_spelled_out():
    block = fill(DenseBlock(4, 2))
    seen = x = torch.cat([tensor(5, 6), tensor(5, 6)[:, :1]], dim=1)
    with torch.inference_mode():
        for layer in block.grow:
            grown = nn.functional.conv2d(seen, layer.weight, layer.bias, padding=1).clamp(min=0)
            seen = torch.cat([seen, grown], dim=1)
        wanted = x + 0.1 * nn.functional.conv2d(seen, block.fuse.weight, block.fuse.bias)
        torch.testing.assert_close(block(x), wanted, rtol=0, atol=1e-6)


@settings(max_examples=10, deadline=None)
@given(height=st.integers(1, 4), width=st.integers(1, 4), pictures=st.integers(1, 3))
def test_no_residual_returns_the_input(height, width, pictures):
    network = DenseDeblur(SMALL)
    nn.init.zeros_(network.picture.weight)
    blurry = torch.rand(pictures, 3, 16 * height, 16 * width)
    torch.testing.assert_close(run(network, blurry), blurry, rtol=0, atol=0)


@settings(max_examples=20, deadline=None)
@given(height=st.integers(1, 9), width=st.integers(1, 9), frames=st.integers(1, 4), seed=st.integers(0, 99))
def test_transformer(height, width, frames, seed):
    """No flow is the identity; any flow gives what SciPy samples, the border repeated."""
    rng = np.random.default_rng(seed)
    image = torch.from_numpy(rng.random((2, 3, height, width), np.float32))
    still = transform(image, torch.zeros(2, frames, 2, height, width))
    torch.testing.assert_close(still, image[:, None].expand_as(still), rtol=0, atol=2e-6)
    flows = rng.uniform(-4, 4, (2, frames, 2, height, width)).astype(np.float32)
    made = transform(image, torch.from_numpy(flows)).numpy()
    rows, columns = np.mgrid[:height, :width]
    for place in itertools.product(range(2), range(frames), range(3)):
        clip, frame, colour = place
        x, y = columns + flows[clip, frame, 0], rows + flows[clip, frame, 1]
        at = [y.clip(0, height - 1), x.clip(0, width - 1)]
        np.testing.assert_allclose(made[place], map_coordinates(image[clip, colour].numpy(), at, order=1), rtol=0, atol=1e-5)


def test_decoder_begins_with_the_motion_and_goes_on_from_its_own_flow(filled):
    """Eq. 1 and 2 written out, and frames do not depend on how many are asked for."""
    decoder, motion = filled.decoder, torch.randn(2, 8, 3, 2, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        hidden, cell, flow, wanted = motion, torch.zeros_like(motion), torch.zeros(2, 2, 24, 16), []
        for _ in range(3):
            features = decoder.encoder(flow)
            enter, value, keep, show = decoder.gates(torch.cat([features[-1], hidden], dim=1)).chunk(4, dim=1)
            cell = cell * torch.sigmoid(keep + 1) + torch.sigmoid(enter) * torch.tanh(value)
            hidden = torch.tanh(cell) * torch.sigmoid(show)
            flow = decoder.decoder(hidden, features)[-1]
            wanted.append(flow)
        three, five = decoder(motion, 3), decoder(motion, 5)
    assert [tuple(scale.shape) for scale in three] == [(2, 3, 2, *size) for size in ((3, 2), (6, 4), (12, 8), (24, 16))]
    torch.testing.assert_close(three[-1], torch.stack(wanted, dim=1), rtol=0, atol=1e-5)
    for ours, longer in zip(three, five, strict=True):
        torch.testing.assert_close(ours, longer[:, :3], rtol=0, atol=0)
    assert (wanted[0] - wanted[2]).abs().max() > 1e-3


def test_flow_decoder_hands_flows_up_doubled():
    """With nothing but the enlarged flow let through, a constant flow is the same motion at every scale."""
    decoder = VideoDecoder(SMALL)
    with torch.no_grad():
        for number, layer in enumerate(decoder.decoder.flow):
            layer.weight.zero_()
            if number == 0:
                layer.bias.copy_(torch.tensor([0.5, -1.0]))
            else:
                channels = decoder.decoder.up[number - 1][0].out_channels
                layer.weight[0, channels, 1, 1] = layer.weight[1, channels + 1, 1, 1] = 1
    for step, flow in enumerate(run(decoder, torch.zeros(1, 8, 2, 2), 1)):
        expected = 2**step * torch.tensor([0.5, -1.0]).view(2, 1, 1).expand_as(flow[0, 0])
        torch.testing.assert_close(flow[0, 0], expected, rtol=0, atol=1e-6)


def test_video_encoder_sees_the_order_of_time():
    torch.manual_seed(0)
    encoder = VideoEncoder(SMALL).eval()
    nn.init.normal_(encoder.gates.weight, std=0.5)
    frames = batch()["sharp"]
    there, back, still = (run(encoder, each) for each in (frames, frames.flip(1), frames[:, :1].expand(-1, 5, -1, -1, -1)))
    assert there.shape == (2, 8, 4, 4)
    assert (there - back).norm() > 1e-3 * there.norm()
    torch.testing.assert_close(run(encoder, frames[:, :1].expand(-1, 5, -1, -1, -1).flip(1)), still, rtol=0, atol=0)
    assert there.abs().max() < 1, "a hidden state"


def test_image_encoder_has_seven_convolutions():
    layers = [type(layer).__name__ for layer in ImageEncoder(SMALL).body]
    assert layers == [*["Conv2d", "BatchNorm2d", "LeakyReLU"] * 6, "Conv2d"]
    assert run(ImageEncoder(SMALL).eval(), tensor(24, 32), tensor(24, 32)).shape == (1, 8, 3, 4)


@pytest.mark.parametrize("frames", [1, 2, 7, 11])
def test_any_number_of_frames_and_a_batch_is_its_pictures(filled, frames):
    """In double precision: random flows that feed on themselves make much of the last digit."""
    network = copy.deepcopy(filled).double()
    pictures = torch.cat([tensor(16, 32, phase) for phase in (0.0, 1.0, 2.0, 3.0)]).double()
    together = run(network, pictures, frames)
    assert together.shape == (4, frames, 3, 16, 32)
    alone = torch.cat([run(network, image[None], frames) for image in pictures])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


def test_total_variation():
    """A ramp of slopes 2 and 3 in x and y: over 4x5 pixels, 4*4 and 3*5 differences, in one of two components."""
    flows = torch.zeros(1, 1, 2, 4, 5)
    flows[0, 0, 0] = 2 * torch.arange(5) + 3 * torch.arange(4)[:, None]
    assert losses.total_variation(flows).item() == pytest.approx((2 * 16 + 3 * 15) / 20)
    assert losses.total_variation(torch.ones(1, 2, 2, 1, 1)) == 0


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99), frames=st.integers(2, 7))
def test_the_order_of_frames_costs_nothing_in_the_second_stage_only(seed, frames):
    generator = torch.Generator().manual_seed(seed)
    true = torch.rand(2, frames, 3, 4, 4, generator=generator)
    made = torch.rand(2, frames, 3, 4, 4, generator=generator)
    assert losses.ordering_loss(true, true) == 0
    assert losses.ordering_loss(true.flip(1), true).item() == pytest.approx(0, abs=1e-6)
    assert losses.frame_loss(true, true) == 0 < losses.frame_loss(true.flip(1), true)
    total = 0.0
    for n in range(frames // 2):  # Eq. 6, mirror N + 1 - n
        p, q, g, h = made[:, n], made[:, -1 - n], true[:, n], true[:, -1 - n]
        for sign in (1, -1):
            total += ((p + sign * q).abs() - (g + sign * h).abs()).abs().sum().item()
    assert losses.ordering_loss(made, true).item() == pytest.approx(total / (2 * frames * 16), rel=1e-4)


def test_coarse_to_fine_spelled_out():
    """Eq. 4 of a constant flow of one pixel at each scale, against numpy."""
    frames = batch()["sharp"]
    flows = [torch.ones(2, 5, 2, 32 // factor, 32 // factor) for factor in (8, 4, 2, 1)]
    flows[-1][:, :, 0, :, 16:] = 3
    terms = losses.coarse_to_fine(flows, frames, SETTINGS, losses.frame_loss)
    data = 0.0
    for weight, factor, flow in zip((0.125, 0.25, 0.5, 1), (8, 4, 2, 1), flows, strict=True):
        small = frames.numpy().reshape(2, 5, 3, 32 // factor, factor, 32 // factor, factor).mean(axis=(4, 6))
        rows, columns = np.mgrid[: 32 // factor, : 32 // factor]
        y, x = (rows + 1).clip(max=32 // factor - 1), (columns + flow[0, 0, 0].int().numpy()).clip(max=32 // factor - 1)
        data += weight * np.abs(small[:, 2][:, None][..., y, x] - small).mean() * 3
    assert terms["data"].item() == pytest.approx(data, rel=1e-4)
    assert terms["smooth"].item() == pytest.approx(0.02 * 2 * 32 / 32**2)


@pytest.mark.parametrize("stage", STAGES)
def test_gradients_reach_every_parameter_that_a_stage_trains(stage):
    torch.manual_seed(0)
    network = BlurToVideo(1 / 4)
    sum(STAGES[stage]({"network": network}, batch(), SETTINGS).values()).backward()
    (player,) = Purohit2019.training.stages[stage].players
    for name, parameter in network.named_parameters():
        reached = parameter.grad is not None and bool(parameter.grad.abs().max() > 0)
        assert reached == f"network.{name}".startswith(player.trains), name


@pytest.mark.parametrize(("stage", "steps", "rate"), [("deblur", 40, 3e-3), ("autoencoder", 60, 3e-3), ("guided", 60, 3e-3)])
def test_a_few_steps_lower_the_loss(stage, steps, rate):
    """Of one batch of clips that move; the deblurring module must beat the copy of the blur, where it begins."""
    torch.manual_seed(0)
    network, clips = BlurToVideo(2 * SMALL), batch()
    optimiser = torch.optim.Adam(network.parameters(), lr=rate)
    course = []
    for _ in range(steps):
        terms = STAGES[stage]({"network": network}, clips, SETTINGS)
        optimiser.zero_grad()
        sum(terms.values()).backward()
        optimiser.step()
        course.append(sum(terms.values()).item())
    assert min(course[-5:]) < 0.85 * course[0], course[:: steps // 6]


def test_the_recipe_has_the_printed_numbers():
    stages = recipe.find(Purohit2019.training).stages
    assert list(stages) == ["deblur", "autoencoder", "guided"]
    assert [(s.steps, s.batch, s.crop, s.learning_rate) for s in stages.values()] == [
        (450_000, 16, 256, 1e-4),
        (50_000, 10, 256, 1e-4),
        (50_000, 10, 256, 1e-4),
    ]
    assert stages["guided"].rates == {"network.decoder": 2e-5}
    assert stages["guided"].settings["smoothness"] == stages["autoencoder"].settings["smoothness"] == 0.02


def test_names():
    assert METHODS.get("purohit2019") is Purohit2019


@pytest.mark.parametrize("frames", [1, 4, 7])
def test_prediction_by_name(filled, weights, frames):
    """Any size is padded and cropped back; a single frame is the deblurred one."""
    blurry = picture(21, 30)
    method = load_method("purohit2019", weights)
    answer = predict(method, make_sample(blurry, frames=frames)).frames
    image = padded(blurry, 16)
    wanted = run(filled.centre, image)[:, None] if frames == 1 else run(filled, image, frames)
    wanted = wanted[0].clamp(0, 1)[:, :, :21, :30].permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(answer[0], wanted, rtol=0, atol=1e-4)
    assert frames == 1 or np.abs(answer[0, 0] - answer[0, -1]).max() > 0.005, "something moves"


def test_state_round_trip_without_the_video_encoder(filled, weights, tmp_path):
    method = load_method("purohit2019", weights)
    state = method.state()
    assert {key.partition(".")[0] for key in state} == {"decoder", "image_encoder", "deblur"}
    again = load_method("purohit2019", file_of(state, tmp_path / "kept.safetensors"))
    sample = make_sample(picture(16, 32))
    np.testing.assert_array_equal(predict(again, sample).frames, predict(method, sample).frames)
    assert sum(value.numel() for key, value in filled.state_dict().items()) > sum(value.numel() for value in state.values())


def test_another_method_deblurs(filled, weights):
    """Frames are its centre frame, moved; what is not used is not counted, and the run has a name of its own."""
    blurry = picture(16, 32)
    method = load_method("purohit2019", weights, options={"deblur-with": "wiener"})
    centre = as_tensor(predict(load_method("wiener"), make_sample(blurry)).frames[0, 0])
    wanted = run(filled, as_tensor(unit(blurry)), 5, centre)[0].clamp(0, 1).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(predict(method, make_sample(blurry, frames=5)).frames[0], wanted, rtol=0, atol=1e-4)
    assert method.label == "purohit2019+deblur-with-wiener" and method.card.id == "purohit2019"
    assert not hasattr(method.network, "deblur")


def test_another_method_of_many_frames_and_its_weights(filled, weights, tmp_path):
    """zhang2020 makes seven frames, of which the fourth is the centre; both files are in the record."""
    blurry = picture(16, 32)
    method = load_method("purohit2019", weights, options={"deblur-with": "zhang2020"})
    inner = load_method("zhang2020")
    centre = as_tensor(predict(inner, make_sample(blurry)).frames[0, 3])
    wanted = run(filled, as_tensor(unit(blurry)), 2, centre)[0].clamp(0, 1).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(predict(method, make_sample(blurry, frames=2)).frames[0], wanted, rtol=0, atol=1e-4)
    assert method.weights.files == ("w.safetensors", *inner.weights.files)
    assert method.weights.sha256 not in (inner.weights.sha256, load_method("purohit2019", weights).weights.sha256)
    own = load_method("purohit2019", weights, options={"deblur-with": "purohit2019", "deblur-weights": str(weights)})
    plain = load_method("purohit2019", weights)
    sample = make_sample(blurry, frames=3)
    np.testing.assert_allclose(predict(own, sample).frames, predict(plain, sample).frames, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            {"deblur-with": "oracle"},
            "option deblur-with is 'oracle', which must see sharp, expected a method of one blurry picture, as dmphn",
        ),
        (
            {"deblur-with": "bin"},
            "option deblur-with is 'bin', which must see neighbouring exposures, expected a method of one blurry picture",
        ),
        ({"deblur-with": "dmhpn"}, "unknown method 'dmhpn'; did you mean 'dmphn'?"),
        ({"deblur-weights": "w"}, "option deblur-weights is 'w' without deblur-with, expected both; give --option deblur-with=METHOD"),
        (
            {"deblur": "dmphn"},
            "unknown option 'deblur' in purohit2019; did you mean 'deblur-weights' or 'deblur-with'? known: deblur-weights",
        ),
    ],
)
def test_options_that_do_not_fit(weights, options, told):
    with pytest.raises(BlurbenchError) as caught:
        load_method("purohit2019", weights, options=options)
    assert str(caught.value).startswith(told) and "\n" not in str(caught.value)


def test_options_of_a_method_without_any():
    told = r"^copy-blur takes no options, but --option deblur-with=dmphn was given; leave it out$"
    with pytest.raises(RecipeError, match=told):
        load_method("copy-blur", options={"deblur-with": "dmphn"})


def test_no_weights_say_how_to_make_them():
    assert without_weights("purohit2019", "FILE") == "train it (`blurbench train --method purohit2019 --dataset DATA`)"


def test_weights_of_something_else(filled, tmp_path):
    path, state = tmp_path / "w.safetensors", without_video_encoder(filled)
    file_of(filled.state_dict(), path)
    assert refused("purohit2019", path).startswith(f"{path} is not a checkpoint of BlurToVideo: unknown key 'video_encoder.")
    file_of({key: value for key, value in state.items() if not key.startswith("deblur.")}, path)
    assert refused("purohit2019", path).startswith(
        f"{path} is not a checkpoint of BlurToVideo: key 'deblur.dense.0.0.fuse.bias' is missing"
    )
    with pytest.raises(RecipeError, match=r"^width is 0.3, which makes 4.8 of 16 channels, expected a whole number above 0, as of 0.25$"):
        BlurToVideo(0.3)
