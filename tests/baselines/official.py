"""What the parity tests share: parameters by the published formula, official values, small files in the layout of big checkpoints."""

import numpy as np
import pytest
import torch

from blurbench.types import Sample
from tests import formulas


def fill(network, gain=1.0):
    """The formula of the official values: tensors in order of names, k their rank, v = sin(0.7 n + k).

    Matrices and kernels: gain v / sqrt(size of a row); scales of a normalisation: 1 + 0.1 v; biases: 0.1 gain v. No running statistics.
    """
    state = network.state_dict()
    for rank, key in enumerate(sorted(state)):
        values = np.sin(0.7 * np.arange(state[key].numel()) + rank).reshape(state[key].shape)
        if values.ndim > 1:
            values *= gain / np.sqrt(values[0].size)
        elif key.endswith(".weight"):
            values = 1 + 0.1 * values
        else:
            values *= 0.1 * gain
        state[key].copy_(torch.from_numpy(values))
    return network.eval()


def windows(key, shape, rank):
    """Other values than those of `fill`, as a window into a short row of numbers, so that a file of millions of them stays small."""
    if len(shape) == 1:
        return torch.full(shape, 1.0 if "norm" in key and key.endswith("weight") else 0.01)
    steps = (7, 5, 3, 1)[-len(shape) :]
    length = 1 + sum(step * (size - 1) for step, size in zip(steps, shape, strict=True))
    values = torch.sin(0.7 * torch.arange(length) ** 2 + rank) / np.sqrt(np.prod(shape[1:]))
    return values.float().as_strided(shape, steps)


def small_state(network):
    """A state_dict of `windows`."""
    return {key: windows(key, value.shape, rank) for rank, (key, value) in enumerate(network.state_dict().items())}


def tensor(height, width, phase=0.0):
    """The formula picture, (1, 3, H, W) float32."""
    return torch.from_numpy(formulas.image(height, width, phase).astype(np.float32))[None]


def picture(height, width, phase=0.0):
    """The formula picture in 8 bits, (H, W, 3)."""
    return np.rint(255 * formulas.image(height, width, phase)).astype(np.uint8).transpose(1, 2, 0)


def unit(image):
    """8 bits to float32 in [0, 1], as the framework does."""
    return image.astype(np.float32) / np.float32(255)


def as_tensor(image):
    """(H, W, 3) to (1, 3, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None]


def padded(image, multiple):
    """(H, W, 3) with its last rows and columns mirrored until both sizes are multiples."""
    rows, columns = -image.shape[0] % multiple, -image.shape[1] % multiple
    return np.pad(image, [(0, rows), (0, columns), (0, 0)], mode="symmetric")


def make_sample(blurry, frames=7, **extras):
    return Sample("s", "v", blurry, blurry[None].repeat(frames, axis=0), np.linspace(0, 1, frames), "srgb", extras)


def run(module, *inputs):
    with torch.inference_mode():
        return module(*inputs)


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def agrees(actual, expected, rel=1e-4):
    """Shape, moments and the values at single pixels of an official output (B, 3, H, W)."""
    assert list(actual.shape) == expected["shape"]
    assert actual.double().mean().item() == pytest.approx(expected["mean"], rel=rel)
    assert actual.double().std().item() == pytest.approx(expected["std"], rel=rel)
    assert actual.double().abs().mean().item() == pytest.approx(expected["abs_mean"], rel=rel)
    pixels = [key for key in expected if key.startswith("[0..2")]
    assert pixels
    for key in pixels:
        row, column = map(int, key[1:-1].split(",")[1:])
        assert actual[0, :, row, column].tolist() == pytest.approx(expected[key], rel=rel)


def same_names_and_shapes(network, shared, stem):
    """Those of the official checkpoint, each one and no other."""
    lines = [line.split("\t") for line in (shared / "reference" / "keys" / f"{stem}.tsv").read_text().splitlines()]
    own = {key: "x".join(map(str, value.shape)) for key, value in network.state_dict().items()}
    assert own == dict(lines)
