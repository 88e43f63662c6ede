"""Every Moment Matters: the generator, its shipped weights, its variants."""

import hashlib

import numpy as np
import pytest
import torch

from blurbench import weights
from blurbench.baselines._zhang2020_stages import Discriminator
from blurbench.baselines.zhang2020 import Generator, Zhang2020BG, Zhang2020BGH, luminance
from blurbench.methods import load_method
from blurbench.registry import METHODS
from blurbench.running import predict
from tests.baselines.inputs import make_sample, picture, tensor, unit
from tests.baselines.official import count, fill, refused, run, without_weights

SHIPPED = "zhang2020.safetensors"


# The generator and its weights.


def test_generator_has_thirty_convolutions_and_the_shipped_names():
    network = Generator()
    layers = [layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d | torch.nn.ConvTranspose2d)]
    assert len(layers) == 30 and count(network) == 3_021_223
    shipped = weights.read(weights.shipped(SHIPPED))
    assert {key: value.shape for key, value in shipped.items()} == {key: value.shape for key, value in network.state_dict().items()}
    lines = sorted(f"{key}\t{'x'.join(map(str, value.shape))}" for key, value in shipped.items())
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == "a732b689a0f6b223bb9a3e6513acca692e7ccc51ddcf6da942b00ff09c3b3b7b"


def test_golden_values_of_the_generator():
    """The published rule of weights, on the formula picture; values of the first implementation."""
    made = run(fill(Generator()), luminance(tensor(48, 64))[:, None])
    assert made.shape == (1, 7, 48, 64)
    assert made.double().mean().item() == pytest.approx(0.55693537, rel=1e-5)
    assert made.double().std().item() == pytest.approx(0.24160949, rel=1e-5)
    assert made[0, [0, 3, 6], [0, 20, 47], [0, 30, 63]].tolist() == pytest.approx([0.58305597, 0.08487894, 0.22034474], rel=1e-4)


def test_colour_is_that_of_the_blur():
    method, image = load_method("zhang2020"), picture(48, 64)
    frames = predict(method, make_sample(image)).frames[0]
    assert frames.shape == (7, 48, 64, 3) and method.weights.origin == "shipped"
    grey = unit(image) @ np.float32([0.299, 0.587, 0.114])
    network = run(method.network, torch.from_numpy(grey)[None, None])[0].numpy()
    np.testing.assert_allclose(frames, np.clip(unit(image) + (network - grey)[..., None], 0, 1), atol=1e-5)
    inside = ((frames > 0) & (frames < 1)).all(axis=-1)
    assert inside.mean() > 0.5
    change = frames - unit(image)
    assert np.ptp(change, axis=-1)[inside].max() < 1e-5 < np.abs(change).max()


# The methods.


def test_variants_take_own_weights(tmp_path):
    for name, cls in (("zhang2020-bg", Zhang2020BG), ("zhang2020-bgh", Zhang2020BGH)):
        assert METHODS.get(name) is cls and cls.card.wants_weights
        assert without_weights(name, "FILE") == "train it by `blurbench train --method zhang2020-bgh`"
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(weights.shipped(SHIPPED).read_bytes())
        own = load_method(name, path)
        assert own.weights.origin == "given"
        sample = make_sample(picture(16, 24))
        np.testing.assert_array_equal(predict(own, sample).frames, predict(load_method("zhang2020"), sample).frames)


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save(Discriminator().state_dict(), tmp_path / "d.pth")
    assert "is not a checkpoint of Generator: key 'at_half.bias' is missing" in refused("zhang2020-bgh", tmp_path / "d.pth")
