"""What the tests of baselines share: parameters by the published formula, official values, checkpoints small and malicious."""

import hashlib
import json
import os

import numpy as np
import pytest
import torch

from blurbench.errors import WeightsError
from blurbench.methods import load_method, method_class
from blurbench.weights import place
from tests.conftest import ROOT

NETS = json.loads((ROOT / "tests/golden/nets.json").read_text())
"""Values of the official code, by net and output."""
KEYS = json.loads((ROOT / "tests/golden/keys.json").read_text())
"""Number of tensors, and SHA-256 of the sorted lines NAME TAB SHAPE, of the official checkpoints."""


def fill(module, skip=(), gain=None):
    """The published rule of the official values, in place: tensors in order of names, k their rank, v = sin(0.7 n + k).

    Matrices and kernels: v / sqrt(size of a row); 1-d `weight`: 1 + 0.1 v; running variances: 1 + 0.1 v^2; other 1-d: 0.1 v; single
    numbers stay. skip: parts of names that are not counted. gain: beginnings of names, and what their kernels and biases are multiplied by.
    """
    state = module.state_dict()
    for rank, key in enumerate(sorted(key for key in state if not any(part in key for part in ("num_batches_tracked", *skip)))):
        tensor = state[key]
        if tensor.ndim == 0:
            continue
        values = np.sin(0.7 * np.arange(tensor.numel()) + rank).reshape(tensor.shape)
        factor = next((factor for start, factor in (gain or {}).items() if key.startswith(start)), 1)
        if values.ndim > 1:
            values *= factor / np.sqrt(values[0].size)
        elif key.endswith("running_var"):
            values = 1 + 0.1 * values**2
        elif key.endswith(".weight"):
            values = 1 + 0.1 * values
        else:
            values *= 0.1 * (1 if key.endswith("running_mean") else factor)
        tensor.copy_(torch.from_numpy(values))
    return module.eval()


def windows(key, shape, rank):
    """Other values than those of `fill`, as a window into a short row of numbers, so that a file of millions of them stays small."""
    if len(shape) < 2:
        return torch.full(shape, 7 if not shape else 1.0 if key.endswith((".weight", "running_var")) else 0.01)
    steps = (7, 5, 3, 1)[-len(shape) :]
    length = 1 + sum(step * (size - 1) for step, size in zip(steps, shape, strict=True))
    values = torch.sin(0.7 * torch.arange(length) ** 2 + rank) / np.sqrt(np.prod(shape[1:]))
    return values.float().as_strided(shape, steps)


def small_state(network):
    """A state_dict of `windows`."""
    return {key: windows(key, value.shape, rank) for rank, (key, value) in enumerate(network.state_dict().items())}


def tensorflow_shapes(channels, recurrent):
    """Names and shapes of SRN's TensorFlow variables: convolutions (h, w, in, out), transposed ones (h, w, out, in)."""
    shapes = {}

    def layer(scope, *shape, biases):
        shapes[f"g_net/{scope}/weights"], shapes[f"g_net/{scope}/biases"] = shape, (biases,)

    width = {1: 32, 2: 64, 3: 128}
    for stage, inputs in ((1, 2 * channels), (2, 32), (3, 64)):
        layer(f"enc{stage}_1", 5, 5, inputs, width[stage], biases=width[stage])
        for block in [*(f"enc{stage}_{n}" for n in (2, 3, 4)), *(f"dec{stage}_{n}" for n in (3, 2, 1))]:
            for conv in ("conv1", "conv2"):
                layer(f"{block}/{conv}", 5, 5, width[stage], width[stage], biases=width[stage])
    for stage in (2, 1):
        layer(f"dec{stage}_4", 4, 4, width[stage], width[stage + 1], biases=width[stage])
    layer("dec1_0", 5, 5, 32, channels, biases=channels)
    if recurrent:
        layer("convLSTM/LSTM_conv", 3, 3, 256, 512, biases=512)
    return shapes


def tensorflow_arrays(name, seed=0):
    """Random weights of an SRN under their TensorFlow names; the last bias of 0.5 and small weights keep the picture inside [0, 1]."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for key, shape in tensorflow_shapes(3 if name == "tao2018-color" else 1, name == "tao2018").items():
        scale = 0.05 if len(shape) == 1 else 0.6 / np.sqrt(np.prod(shape[:3]))
        arrays[key] = (scale * rng.standard_normal(shape)).astype(np.float32)
    arrays["g_net/dec1_0/weights"] *= 0.5
    arrays["g_net/dec1_0/biases"][:] = 0.5
    return arrays


def cut(path):
    """The second half of a file is lost, as when a download breaks off."""
    os.truncate(path, path.stat().st_size // 2)


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def refused(name, path):
    """The message of the WeightsError that must come of a method's weights, which must be one line."""
    with pytest.raises(WeightsError) as caught:
        load_method(name, path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def without_weights(name, given="FOLDER"):
    """What a method without weights says of where to get them; that it says where they may go is tested here."""
    with pytest.raises(WeightsError) as caught:
        method_class(name).load(None)
    message = str(caught.value)
    ending = f", and give --weights {given}, or run once `blurbench convert-weights {name} {given}`, which writes {place(name)}"
    assert message.startswith(f"{name} was given no weights; ") and message.endswith(ending)
    return message.removeprefix(f"{name} was given no weights; ").removesuffix(ending)


def run(module, *inputs):
    with torch.inference_mode():
        return module(*inputs)


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def agrees(actual, expected):
    """An official output: shape, moments and the values at single pixels, or a plain list of numbers, to 1e-4 of what they vary by."""
    if isinstance(expected, list):
        np.testing.assert_allclose(actual.double().numpy(), expected, rtol=1e-4, atol=1e-6)
        return
    tolerance = max(1e-4 * expected["std"], 3e-7 * expected["abs_mean"])
    assert list(actual.shape) == expected["shape"]
    assert actual.double().mean().item() == pytest.approx(expected["mean"], abs=tolerance)
    assert actual.double().std().item() == pytest.approx(expected["std"], abs=tolerance)
    assert actual.double().abs().mean().item() == pytest.approx(expected["abs_mean"], abs=tolerance)
    pixels = [key for key in expected if key.startswith("[0..2")]
    assert pixels
    for key in pixels:
        row, column = map(int, key[1:-1].split(",")[1:])
        assert actual[0].flatten(0, -3)[:3, row, column].tolist() == pytest.approx(expected[key], rel=1e-4, abs=tolerance)


def same_names_and_shapes(network, stem):
    """Those of the official checkpoint, each one and no other."""
    lines = sorted(f"{key}\t{'x'.join(map(str, value.shape))}" for key, value in network.state_dict().items())
    assert {"tensors": len(lines), "sha256": hashlib.sha256("\n".join(lines).encode()).hexdigest()} == KEYS[stem]
