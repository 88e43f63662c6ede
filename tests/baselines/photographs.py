"""Photographs, blurred by known kernels with what really lies around them, and what is gained on them."""

import numpy as np
from scipy.signal import convolve
from skimage import data

from blurbench.running import predict
from blurbench.synth import kernels
from tests.baselines.inputs import make_sample, unit

CROP = slice(30, 286), slice(100, 388)


def shake(length, seed, side=25):
    """A kernel (side, side): light that wanders along a random curve of this length in pixels, each place shared among four pixels."""
    rng, steps = np.random.default_rng(seed), 2000
    angle = np.cumsum(0.03 * rng.normal(0, 1, steps)) + rng.uniform(0, 2 * np.pi)
    path = np.cumsum(np.stack([np.sin(angle), np.cos(angle)], axis=1), axis=0) * length / steps
    path += side // 2 - path.mean(axis=0)
    whole = np.floor(path).astype(int)
    part, kernel = path - whole, np.zeros((side, side))
    for down, across in np.ndindex(2, 2):
        np.add.at(kernel, (whole[:, 0] + down, whole[:, 1] + across), abs(1 - down - part[:, 0]) * abs(1 - across - part[:, 1]))
    return kernel / kernel.sum()


KERNELS = {
    "line 9.3, 4.7": kernels.kernel(9.3, 4.7),
    "line -3.2, 12.6": kernels.kernel(-3.2, 12.6),
    "line 15.5, 0": kernels.kernel(15.5, 0),
    "shake 18": shake(18, 0),
    "shake 25": shake(25, 1),
    "shake 22": shake(22, 2),
}


def photograph(name, border=(0, 0)):
    """(256, 288, 3) of a photograph of scikit-image in [0, 1], and `border` more rows and columns on each side."""
    (top, bottom), (left, right) = ((part.start - more, part.stop + more) for part, more in zip(CROP, border, strict=True))
    return getattr(data, name)()[top:bottom, left:right] / 255


def blurred(name, kernel, noise=0.0):
    """A photograph, and 8 bits of it blurred with what really lies around it; noise: standard deviation in grey levels."""
    large = photograph(name, (kernel.shape[0] // 2, kernel.shape[1] // 2))
    exact = 255 * convolve(large, kernel[..., None], mode="valid") + np.random.default_rng(0).normal(0, noise, (256, 288, 3))
    return photograph(name), np.rint(np.clip(exact, 0, 255)).astype(np.uint8)


def psnr(image, truth):
    return -10 * np.log10(np.mean((image - truth) ** 2))


def gain(method, sharp, blurry):
    """dB by which a method's picture is nearer to the truth than the blurry one."""
    return psnr(predict(method, make_sample(blurry)).frames[0, 0], sharp) - psnr(unit(blurry), sharp)
