"""MSResNet: parameters, official values, the pyramid against scikit-image, its checkpoints and how wrong ones are told."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from skimage.transform import pyramid_gaussian

from blurbench.baselines.nah2017 import NETWORKS, MSResNet, Nah2017, pyramid
from blurbench.methods import Request, load_method
from blurbench.running import predict
from tests.baselines.inputs import as_tensor, make_sample, padded, picture, tensor
from tests.baselines.official import count, cut, fill, refused, run, small_state, without_weights


@pytest.fixture(scope="module")
def filled():
    return fill(MSResNet(), gain={"": 0.25})


@pytest.fixture(scope="module")
def state():
    """Values whose picture is neither grey nor noise."""
    values = small_state(MSResNet())
    return {key: value if key.endswith("bias") else 0.7 * value for key, value in values.items()}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, state):
    """A file in the official layout: the network under G, beside a discriminator."""
    path = tmp_path_factory.mktemp("nah2017") / "model-1000.pt"
    torch.save({"G": state, "D": {"weight": torch.zeros(1)}}, path)
    return path


def test_parameters():
    assert count(NETWORKS["nah2017_MSResNet"]()) == 11_721_321


def three(height, width):
    """The formula picture in [0, 255] at three sizes, not reduced from one another."""
    return [255 * tensor(height // step, width // step) for step in (1, 2, 4)]


def test_finer_scales_see_coarser_ones_and_not_the_other_way():
    network = MSResNet().eval()
    images = three(16, 24)
    before = run(network, images)
    for changed in range(3):
        other = [image + 9 * (scale == changed) * torch.sin(image) for scale, image in enumerate(images)]
        after = run(network, other)
        assert [torch.equal(a, b) for a, b in zip(before, after, strict=True)] == [scale > changed for scale in range(3)]


@pytest.mark.parametrize(("height", "width"), [(44, 36), (8, 120), (4, 4), (4, 12)])
def test_pyramid_is_that_of_scikit_image(height, width):
    image = 255 * tensor(height, width)[0].permute(1, 2, 0).numpy()
    expected = list(pyramid_gaussian(image, max_layer=2, downscale=2, channel_axis=-1))
    actual = pyramid(as_tensor(image))
    assert len(actual) == len(expected) == 3
    for ours, theirs in zip(actual, expected, strict=True):
        np.testing.assert_allclose(ours[0].permute(1, 2, 0).numpy(), theirs, rtol=0, atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(height=st.integers(1, 8), width=st.integers(1, 8), level=st.floats(0, 255), seed=st.integers(0, 99))
def test_pyramid_keeps_flat_pictures_and_turns_with_others(height, width, level, seed):
    flat = torch.full((1, 3, 4 * height, 4 * width), level)
    for image in pyramid(flat):
        torch.testing.assert_close(image, torch.full_like(image, level), rtol=1e-6, atol=1e-6)
    noise = torch.rand(2, 3, 4 * height, 4 * width, generator=torch.Generator().manual_seed(seed))
    for plain, turned in zip(pyramid(noise), pyramid(torch.rot90(noise, 1, (2, 3))), strict=True):
        torch.testing.assert_close(turned, torch.rot90(plain, 1, (2, 3)), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(13, 22), (1, 3)])
def test_prediction_with_an_official_file(checkpoint, state, height, width):
    """The file's values get to their places, and the picture is padded, scaled, cropped and clamped."""
    method = load_method("nah2017", checkpoint)
    blurry = picture(height, width)
    answer = predict(method, make_sample(blurry)).frames
    network = MSResNet()
    network.load_state_dict(state)
    levels = pyramid(255 * padded(blurry, 4))
    raw = run(network.eval(), levels)[0][0, :, :height, :width].permute(1, 2, 0).numpy() / 255
    assert answer.shape == (1, 1, height, width, 3)
    np.testing.assert_allclose(answer[0, 0], raw.clip(0, 1), rtol=0, atol=1e-5 * np.abs(raw).max())
    assert 0.01 < np.std(answer) < 0.5
    assert method.weights.files == ("model-1000.pt",)


def test_prediction_is_clamped(filled):
    network = MSResNet()
    network.load_state_dict(filled.state_dict())
    with torch.no_grad():
        network.get_parameter("body_models.0.body.20.bias").copy_(torch.tensor([-200.0, 0.0, 200.0]))
    frames = Nah2017(network).predict(np.full((8, 16, 3), 0.5, np.float32), Request(np.array([0.5]), 1, np.random.default_rng(0)))
    assert frames.dtype == np.float32
    assert np.unique(frames[..., 0]).tolist() == [0]
    assert 0.4 < frames[..., 1].min() <= frames[..., 1].max() < 0.6
    assert np.unique(frames[..., 2]).tolist() == [1]


@pytest.mark.parametrize("layout", ["plain", "module", "safetensors"])
def test_other_layouts(checkpoint, state, tmp_path, layout):
    path = tmp_path / ("w.safetensors" if layout == "safetensors" else "w.pth")
    if layout == "safetensors":
        save_file({key: value.contiguous() for key, value in state.items()}, path)
    else:
        torch.save({f"module.{key}" if layout == "module" else key: value for key, value in state.items()}, path)
    expected, actual = (Nah2017.load(file).network.state_dict() for file in (checkpoint, path))
    assert all(torch.equal(actual[key], expected[key]) for key in expected)


def test_no_weights_tells_what_to_fetch_and_where_it_goes():
    message = without_weights("nah2017", "FILE")
    assert message.startswith("get GOPRO_L1/models/model-1000.pt ") and message.endswith("github.com/SeungjunNah/DeepDeblur-PyTorch")


def test_missing_file(tmp_path):
    assert refused("nah2017", tmp_path / "w.pt") == f"weights file {tmp_path}/w.pt does not exist"


def test_missing_and_unknown_keys(state, tmp_path):
    path = tmp_path / "w.pt"
    torch.save({"G": {key: value for key, value in state.items() if key != "conv_end_models.1.uppath.0.bias"}}, path)
    assert (
        refused("nah2017", path)
        == f"{path} is not a checkpoint of MSResNet: key 'conv_end_models.1.uppath.0.bias' is missing (1 of 244 are)"
    )
    torch.save({"G": {**state, "conv_end_models.0.uppath.0.bias": torch.zeros(12)}}, path)
    assert refused("nah2017", path) == f"{path} is not a checkpoint of MSResNet: unknown key 'conv_end_models.0.uppath.0.bias' (1 too many)"


def test_no_network_under_the_key(tmp_path):
    path = tmp_path / "w.pt"
    torch.save({"G": [torch.zeros(1)]}, path)
    assert refused("nah2017", path) == f"weights file {path} holds list, expected a plain dictionary of tensors"


def test_truncated_file(checkpoint, tmp_path):
    path = tmp_path / "w.pt"
    path.write_bytes(checkpoint.read_bytes())
    cut(path)
    assert refused("nah2017", path).startswith(f"weights file {path} cannot be read safely (RuntimeError: ")
