"""What the losses of zhang2020 look through: VGG-19 against its layers by hand, random features."""

import pytest
import torch
from torch.nn import functional

from blurbench.baselines import _zhang2020_features as sight
from blurbench.baselines import _zhang2020_stages as stages
from blurbench.baselines._zhang2020_stages import Discriminator
from blurbench.errors import RecipeError, WeightsError
from tests.baselines.official import count, fill, run
from tests.baselines.zhang2020_frames import LIGHT, Counting, noise


@pytest.fixture
def torch_home(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    sight.load_features.cache_clear()
    yield tmp_path / "checkpoints"
    sight.load_features.cache_clear()


def vgg19_by_hand(state, grey):
    """torchvision's layers by their numbers, one convolution after the other; halving comes before 5, 10, 19 and 28."""
    x = (grey - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    for number in (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34):
        if number:
            x = torch.relu(x)
        if number in (5, 10, 19, 28):
            x = functional.max_pool2d(x, 2)
        x = functional.conv2d(x, state[f"features.{number}.weight"], state[f"features.{number}.bias"], padding=1)
    return x


def test_vgg19_has_the_layers_of_torchvision_up_to_conv5_4(torch_home):
    torch_home.mkdir()
    state = fill(sight.Vgg19()).state_dict()
    torch.save({**state, "classifier.0.bias": torch.zeros(1)}, torch_home / "vgg19-dcbb9e9d.pth")
    ours = sight.load_features("vgg19")
    grey = noise(2, 1, 32, 48)
    expected = vgg19_by_hand(state, grey)
    assert expected.shape == (2, 512, 2, 3) and expected.min() < 0 < expected.max()
    torch.testing.assert_close(run(ours, grey), expected)
    assert not any(parameter.requires_grad for parameter in ours.parameters()) and count(ours) == 20_024_384


def test_missing_vgg19_and_wrong_names(torch_home):
    batch = {"blurry": noise(1, 3, 32, 32), "sharp": noise(1, 7, 3, 32, 32)}
    networks = {"network": Counting(), "discriminator": Discriminator()}
    with pytest.raises(WeightsError) as caught:
        stages.generate(networks, batch, {**vars(LIGHT), "vgg19": 1})
    said = str(caught.value)
    assert (
        said.startswith(f"vgg19-dcbb9e9d.pth is not in {torch_home}; put it there (https://") and "vgg19 = 0" in said and "\n" not in said
    )
    torch_home.mkdir()
    torch.save({"features.0.weight": torch.zeros(1)}, torch_home / "vgg19-dcbb9e9d.pth")
    with pytest.raises(WeightsError, match=r"is not a checkpoint of Vgg19: key 'features.0.bias' is missing"):
        sight.load_features("vgg19")
    with pytest.raises(RecipeError, match="features is 'vgg16', expected one of vgg19, random"):
        sight.load_features("vgg16")


def test_features_first_seen_in_a_validation_serve_gradients_later():
    sight.load_features.cache_clear()
    with torch.inference_mode():
        sight.load_features("random")(noise(1, 1, 16, 16))
    grey = noise(1, 1, 16, 16).requires_grad_()
    sight.load_features("random")(grey).sum().backward()
    assert grey.grad.abs().max() > 0


def test_random_features_are_the_same_everywhere_and_see_structure():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    sight.load_features.cache_clear()
    one = sight.load_features("random")
    assert torch.equal(before, torch.get_rng_state())
    grey = noise(1, 1, 96, 96)
    seen = run(one, grey)
    assert seen.shape == (1, 64, 12, 12)
    torch.testing.assert_close(seen, run(sight.RandomFeatures(), grey))
    torch.testing.assert_close(run(one, grey + 0.3)[..., 3:-3, 3:-3], seen[..., 3:-3, 3:-3], atol=1e-5, rtol=1e-4)  # brightness is not seen
    assert (run(one, grey.flip(-1)) - seen).abs().max() > 0.01
