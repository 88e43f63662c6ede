"""Animation from Blur: parameters, arithmetic against official values, the three sources of guidance, and how wrong weights are told."""

import shutil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from blurbench.baselines.zhong2022 import (
    NETWORKS,
    STEMS,
    Animation,
    Zhong2022,
    Zhong2022Annotated,
    Zhong2022Deterministic,
    Zhong2022Video,
)
from blurbench.errors import PredictionError, RecipeError
from blurbench.methods import Request, load_method
from blurbench.registry import METHODS
from blurbench.running import predict
from blurbench.types import Sample
from tests import formulas
from tests.baselines.inputs import tensor
from tests.baselines.official import count, fill, refused, run, small_state, without_weights

PARAMETERS = {
    "zhong2022_decomposer_s1": 64_612_757,
    "zhong2022_decomposer_s2": 64_731_925,
    "zhong2022_predictor_G": 54_606_213,
    "zhong2022_predictor_D": 3_462_050,
    "zhong2022_predictor_E": 2_590_024,
}
QUADRANTS = {(0, 0), (1, -1), (-1, -1), (-1, 1), (1, 1)}


@pytest.fixture(scope="module")
def network():
    """All of a method, filled with formula values; built once, for it has 184 million parameters."""
    animation = Animation.like({})
    for part in STEMS:
        fill(animation.get_submodule(part))
    return animation.eval()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A folder in the official layout. Tensors are windows into small rows of numbers, so that 740 MB of weights are 3 MB of files."""
    folder = tmp_path_factory.mktemp("checkpoint")
    with torch.device("meta"):
        animation = Animation()
    for part, stem in STEMS.items():
        own = small_state(animation.get_submodule(part))
        state = {f"module.{key}": larger(key, value) for key, value in own.items()}
        torch.save(state, folder / f"{stem}.pth")
    return folder


def larger(key, value):
    """The last layer gets dark pictures with edges; memory stays shared."""
    if key == "final_conv.0.weight":
        return (30 * value.as_strided((value.untyped_storage().size() // 4,), (1,))).as_strided(value.shape, value.stride())
    return torch.full_like(value, -1.0) if key == "final_conv.0.bias" else value


@pytest.fixture
def copied(checkpoint, tmp_path):
    """A copy of the checkpoint to damage."""
    return shutil.copytree(checkpoint, tmp_path / "copied")


def picture(height, width):
    """(H, W, 3) float32 in [0, 1]."""
    return formulas.image(height, width).astype(np.float32).transpose(1, 2, 0)


def request(samples=1, seed=0, **given):
    return Request(np.linspace(0, 1, 7), samples, np.random.default_rng(seed), **given)


def make_sample(blurry, **extras):
    return Sample("s", "v", blurry, blurry[None].repeat(7, axis=0), np.linspace(0, 1, 7), "srgb", extras)


def three_columns(height, width):
    """Guidance (1, 2, H, W): a third of quadrant I, a third of quadrant III, a third still."""
    guidance = torch.zeros(1, 2, height, width)
    third = width // 3
    guidance[:, :, :, :third] = torch.tensor([1.0, -1.0]).reshape(1, 2, 1, 1)
    guidance[:, :, :, third : 2 * third] = torch.tensor([-1.0, 1.0]).reshape(1, 2, 1, 1)
    return guidance


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters(name):
    with torch.device("meta"):
        assert count(NETWORKS[name]()) == PARAMETERS[name]


def test_discriminator_equals_its_layers_spelled_out():
    discriminator = fill(NETWORKS["zhong2022_predictor_D"]())
    state = discriminator.state_dict()
    guidance = F.one_hot(torch.randint(5, (1, 64, 96), generator=torch.Generator().manual_seed(0)), 5).permute(0, 3, 1, 2).float()
    seen = F.avg_pool2d(F.pad(guidance, (1, 1, 1, 1)), 3, 2) * 9
    seen /= F.avg_pool2d(F.pad(torch.ones_like(guidance), (1, 1, 1, 1)), 3, 2) * 9
    for scale, (x, scores) in enumerate(zip((guidance, seen), run(discriminator, guidance), strict=True)):
        for layer, stride in ((0, 2), (2, 2), (5, 2), (8, 1), (11, 1)):
            weight, bias = (state[f"model_{scale}.{layer}.{name}"] for name in ("weight", "bias"))
            x = F.conv2d(F.pad(x, (1, 1, 1, 1)), weight, bias, stride)
            if layer in (2, 5, 8):
                centred = x - x.mean(dim=(2, 3), keepdim=True)
                x = centred / (centred.square().mean(dim=(2, 3), keepdim=True) + 1e-5).sqrt()
            x = torch.where(x > 0, x, 0.2 * x) if layer < 11 else x
        assert scores.shape[1] == 1
        torch.testing.assert_close(scores, x, rtol=1e-4, atol=1e-5)


def test_still_pixels_come_from_the_blur(network):
    """Stage 1 copies the blur where guidance is (0, 0); stage 2 adds something between 0 and 1."""
    blurry = tensor(8, 12)
    rough, refined = run(network.decomposer, blurry, three_columns(8, 12))
    assert torch.equal(rough[..., 8:], blurry[:, None, :, :, 8:].expand(-1, 7, -1, -1, -1))
    assert not torch.isclose(rough[..., :8], blurry[:, None, :, :, :8], atol=1e-3).all()
    assert (refined > rough).all()
    assert (refined < rough + 1).all()


def test_dropout_halves_three_levels_behind_their_norm(network):
    """Half of what comes up from levels 4 to 6 is zero, which a norm behind it would not leave so; the rest counts twice."""
    level, latent = network.predictor.model, torch.zeros(1, 4)
    for depth, (channels, size) in enumerate([(64, 128), (128, 64), (256, 32), (512, 16), (512, 8), (512, 4), (512, 2)], start=1):
        level = level.submodule
        x = torch.randn(1, channels, size, size, generator=torch.Generator().manual_seed(depth))
        up, skip = run(level, x, latent, np.random.default_rng(depth)).split(channels, dim=1)
        assert torch.equal(skip, x)
        zeros = (up == 0).float().mean().item()
        assert abs(zeros - 0.5) < 0.02 if depth in (4, 5, 6) else zeros == 0
    ones = torch.ones(1, 8, 4, 4)
    assert run(level._dropped, ones, np.random.default_rng(0)).unique().tolist() == [0, 2]
    assert torch.equal(run(level._dropped, ones, None), ones)


def test_dropout_comes_from_the_generator_alone(network):
    inputs = tensor(256, 256), torch.zeros(1, 4)
    first = run(network.predictor, *inputs, np.random.default_rng(1))
    torch.manual_seed(5)
    assert torch.equal(first, run(network.predictor, *inputs, np.random.default_rng(1)))
    assert not torch.equal(first, run(network.predictor, *inputs, np.random.default_rng(2)))


@pytest.mark.parametrize(("height", "width"), [(20, 28), (264, 300)])
def test_guidance_is_predicted_on_nearest_pixels(network, height, width):
    """The pixel taken is floor(index * from / to) both ways; classes are the quadrants in their order."""
    blurry, latent = picture(height, width), np.array([0.5, -1, 0.25, 2], np.float32)
    guidance = Zhong2022(network).predicted(blurry, latent)
    small = blurry[np.arange(256)[:, None] * height // 256, np.arange(256) * width // 256]
    numbers = run(network.predictor, torch.from_numpy(small).permute(2, 0, 1)[None], torch.from_numpy(latent)[None])[0].argmax(dim=0)
    vectors = np.array([(0, 0), (1, -1), (-1, -1), (-1, 1), (1, 1)], np.int8)[numbers]
    assert len(np.unique(numbers)) == 5
    np.testing.assert_array_equal(guidance, vectors[np.arange(height)[:, None] * 256 // height, np.arange(width) * 256 // width])
    assert guidance.dtype == np.int8


def test_samples_differ_and_more_samples_begin_with_fewer(network):
    method, blurry = Zhong2022(network), picture(12, 16)
    three = method.predict(blurry, request(3))
    assert three.shape == (3, 7, 12, 16, 3)
    assert three.dtype == np.float32
    np.testing.assert_array_equal(three[:1], method.predict(blurry, request(1)))
    assert np.abs(three[0] - three[1]).max() > 0.01
    assert np.abs(three[1] - three[2]).max() > 0.01
    assert three.min() >= 0
    assert three.max() == 1  # stage 2 only brightens: these weights saturate


def test_same_seed_gives_the_same_guidance(network):
    method, blurry = Zhong2022(network), picture(64, 64)
    first = next(method.guidances(blurry, request(seed=3)))
    np.testing.assert_array_equal(first, next(method.guidances(blurry, request(seed=3))))
    assert (first != next(method.guidances(blurry, request(seed=4)))).any()


def test_dropout_is_an_option(network, monkeypatch):
    """Without it the guidance of a seed is that of the seed's latent alone; with it, not."""
    method, blurry = Zhong2022(network), picture(64, 64)
    plain = method.predicted(blurry, np.random.default_rng(0).standard_normal(4, dtype=np.float32))
    assert (next(method.guidances(blurry, request())) != plain).any()
    monkeypatch.setattr(Zhong2022, "dropout", False)
    np.testing.assert_array_equal(next(method.guidances(blurry, request())), plain)


def test_deterministic_variant_ignores_the_seed(network):
    method, blurry = Zhong2022Deterministic(network), picture(12, 16)
    assert not method.capabilities.stochastic
    expected = method.decompose(blurry, method.predicted(blurry, np.zeros(4, np.float32)))
    for seed in (0, 1):
        np.testing.assert_array_equal(method.predict(blurry, request(seed=seed)), expected[None])


def test_frames_are_the_clamped_output_of_stage_two(network):
    blurry, guidance = picture(12, 16), np.ones((12, 16, 2), np.int8)
    _, refined = run(network.decomposer, torch.from_numpy(blurry).permute(2, 0, 1)[None], torch.ones(1, 2, 12, 16))
    frames = Zhong2022Annotated(network).predict(blurry, request(guidance=guidance))
    assert refined.max() > 1
    np.testing.assert_allclose(frames[0], refined[0].clamp(0, 1).permute(0, 2, 3, 1).numpy(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["zhong2022", "zhong2022-video", "zhong2022-annotated"])
@pytest.mark.parametrize(("height", "width"), [(1, 3), (13, 22)])
def test_any_size(network, name, height, width):
    classes = {"zhong2022": Zhong2022, "zhong2022-video": Zhong2022Video, "zhong2022-annotated": Zhong2022Annotated}
    blurry = np.rint(255 * picture(height, width)).astype(np.uint8)
    before = np.roll(blurry, 1, axis=1)[None]
    guidance = np.ones((max(1, height // 2), width // 2, 2), np.int8)
    answer = predict(classes[name](network), make_sample(blurry, before=before, guidance=guidance), samples=2)
    assert answer.frames.shape == (2 if name == "zhong2022" else 1, 7, height, width, 3)


def test_first_exposure_of_a_video_stands_still(network):
    """Nothing lies before it but itself: the frames are the blur plus what stage 2 adds."""
    blurry = np.rint(255 * picture(16, 20)).astype(np.uint8)
    answer = predict(Zhong2022Video(network), make_sample(blurry, before=blurry[None]))
    still = Zhong2022Annotated(network).decompose(blurry.astype(np.float32) / np.float32(255), np.zeros((16, 20, 2), np.int8))
    np.testing.assert_array_equal(answer.frames[0], still)


def test_annotation_reaches_the_decomposer(network):
    """At half size, as a data set stores it, and enlarged by the framework."""
    method, blurry = Zhong2022Annotated(network), np.rint(255 * picture(16, 20)).astype(np.uint8)
    half = np.random.default_rng(0).choice(np.array(sorted(QUADRANTS), np.int8), (8, 10))
    answer = predict(method, make_sample(blurry, guidance=half))
    expected = method.decompose(blurry.astype(np.float32) / np.float32(255), half.repeat(2, axis=0).repeat(2, axis=1))
    np.testing.assert_array_equal(answer.frames[0], expected)


def test_sample_without_guidance(network):
    with pytest.raises(PredictionError, match="zhong2022-annotated needs motion guidance, which sample s lacks"):
        predict(Zhong2022Annotated(network), make_sample(np.zeros((8, 8, 3), np.uint8)))
    with pytest.raises(PredictionError, match="zhong2022-annotated was asked without guidance; give "):
        Zhong2022Annotated(network).predict(picture(8, 8), request())


@given(x=st.integers(-2, 2), y=st.integers(-2, 2))
@settings(max_examples=25, deadline=None)
def test_only_the_five_vectors_are_guidance(x, y):
    """Others are refused before the network sees them."""
    method = Zhong2022Annotated.__new__(Zhong2022Annotated)
    method.network, method.device = Identity(), "cpu"
    guidance = np.full((4, 4, 2), (x, y), np.int8)
    if (x, y) in QUADRANTS:
        assert method.decompose(picture(4, 4), guidance).shape == (7, 4, 4, 3)
    else:
        with pytest.raises(RecipeError, match="is none, expected"):
            method.decompose(picture(4, 4), guidance)


class Identity:
    """Stands in for the networks: seven copies of the blur."""

    def decomposer(self, blurry, guidance):
        frames = blurry[:, None].repeat(1, 7, 1, 1, 1)
        return frames, frames


def test_guidance_and_neighbours_of_another_size(network):
    with pytest.raises(PredictionError, match=r"guidance has shape \(8, 4, 2\), expected \(8, 8, 2\); "):
        Zhong2022Annotated(network).predict(picture(8, 8), request(guidance=np.zeros((8, 4, 2), np.int8)))
    with pytest.raises(PredictionError, match=r"before has shape \(8, 12, 3\), expected that of this one, \(8, 8, 3\)"):
        Zhong2022Video(network).predict(picture(8, 8), request(before=picture(8, 12)[None]))
    with pytest.raises(PredictionError, match="before has shape None"):
        Zhong2022Video(network).predict(picture(8, 8), request())


def test_official_layout_from_file_to_frames(checkpoint):
    """`module.` and batch counters are put up with; what is loaded is what predicts, and the record names the files."""
    method = load_method("zhong2022", checkpoint)
    for part, stem in STEMS.items():
        saved = torch.load(checkpoint / f"{stem}.pth", weights_only=True)
        for key, value in method.network.get_submodule(part).state_dict().items():
            assert key.endswith("num_batches_tracked") or torch.equal(value, saved[f"module.{key}"]), key
    assert not any(module.training for module in method.network.modules())
    assert method.weights.files == ("decomposer_s1.pth", "decomposer_s2.pth", "latest_net_G.pth")
    answer = predict(method, make_sample(np.rint(255 * picture(10, 14)).astype(np.uint8)), samples=2)
    assert answer.frames.shape == (2, 7, 10, 14, 3)
    assert answer.frames.std() > 0.01


def test_video_needs_no_predictor(copied):
    (copied / "latest_net_G.pth").unlink()
    method = load_method("zhong2022-video", copied)
    assert method.network.predictor is None
    assert method.weights.files == ("decomposer_s1.pth", "decomposer_s2.pth")
    message = refused("zhong2022", copied)
    assert message.startswith(f"weights folder {copied} lacks latest_net_G (.pth or .safetensors); put into one folder ")


def test_one_file_of_everything(checkpoint, tmp_path):
    whole = {}
    for part, stem in STEMS.items():
        state = torch.load(checkpoint / f"{stem}.pth", weights_only=True)
        whole |= {key.replace("module.", f"{part}.", 1): value for key, value in state.items()}
    path = tmp_path / "whole.pth"
    torch.save(whole, path)
    for name, parts in (("zhong2022", 3), ("zhong2022-annotated", 2)):
        network = load_method(name, path).network
        assert len(list(network.children())) == (2 if parts == 3 else 1)
        assert torch.equal(network.decomposer.s2.final_conv[0].weight, whole["decomposer.s2.final_conv.0.weight"])


@pytest.mark.parametrize("name", ["zhong2022", "zhong2022-deterministic", "zhong2022-video", "zhong2022-annotated"])
def test_no_weights_tells_what_to_fetch_and_where_it_goes(name):
    message = without_weights(name)
    assert message.startswith("put into one folder decomposer_s1.pth")
    assert ("latest_net_G.pth" in message) == (name in ("zhong2022", "zhong2022-deterministic"))
    assert message.endswith("github.com/zzh-tech/Animation-from-Blur")


def test_one_of_the_files_in_place_of_the_folder(checkpoint):
    path = checkpoint / "decomposer_s1.pth"
    assert refused("zhong2022", path).startswith(f"{path} is one network, zhong2022 needs 3; put into one folder decomposer_s1.pth, ")


def test_stages_in_each_others_place(copied):
    shutil.copy(copied / "decomposer_s1.pth", copied / "decomposer_s2.pth")
    expected = "is not a checkpoint of Stage: 'first_conv.conv.weight' has shape (128, 5, 7, 7), expected (128, 24, 7, 7)"
    assert refused("zhong2022-video", copied) == f"{copied}/decomposer_s2.pth {expected}"


def test_encoder_in_place_of_the_generator(copied):
    encoder = {f"module.{key}": value for key, value in NETWORKS["zhong2022_predictor_E"]().state_dict().items()}
    torch.save(encoder, copied / "latest_net_G.pth")
    message = refused("zhong2022", copied)
    told = "key 'model.down.0.bias' is missing (32 of 32 are); it has 'conv.0.bias', which is unknown"
    assert message == f"{copied}/latest_net_G.pth is not a checkpoint of Generator: {told}"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda state: state.pop("module.bottleneck.7.conv1.weight"), "key 'bottleneck.7.conv1.weight' is missing (1 of 233 are)"),
        (lambda state: state.update({"module.extra": torch.zeros(1)}), "unknown key 'extra' (1 too many)"),
    ],
)
def test_missing_and_extra_keys(copied, change, told):
    path = copied / "decomposer_s1.pth"
    state = torch.load(path, weights_only=True)
    change(state)
    torch.save(state, path)
    assert refused("zhong2022-video", copied) == f"{path} is not a checkpoint of Stage: {told}"


def test_truncated_file(copied):
    path = copied / "decomposer_s2.pth"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert refused("zhong2022-annotated", copied).startswith(f"weights file {path} cannot be read safely (")


def test_registered_names_are_the_cards():
    for method in (Zhong2022, Zhong2022Deterministic, Zhong2022Video, Zhong2022Annotated):
        assert METHODS.get(method.card.id) is method
