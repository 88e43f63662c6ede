"""What the tests of baselines put in: the formula picture as the framework and as networks take it, and samples of it."""

import numpy as np
import torch

from blurbench.types import Sample
from tests import formulas


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
    """8 bits as a network gets them, (1, 3, H', W') float32: last rows and columns mirrored until both sizes are multiples."""
    rows, columns = -image.shape[0] % multiple, -image.shape[1] % multiple
    return as_tensor(np.pad(unit(image), [(0, rows), (0, columns), (0, 0)], mode="symmetric"))


def make_sample(blurry, frames=7, **extras):
    """A sample whose sharp frames are all the blurry picture."""
    return Sample("s", "v", blurry, blurry[None].repeat(frames, axis=0), np.linspace(0, 1, frames), "srgb", extras)
