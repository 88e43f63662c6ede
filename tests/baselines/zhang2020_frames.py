"""What the tests of zhang2020 share: frames that move, a generator that counts its passes, Gram matrices by loops."""

import cv2
import numpy as np
import torch

from blurbench.baselines._zhang2020_stages import Setting

LIGHT = Setting(vgg19=0, pwcnet=0, inputs=0)


SHIFT = (3, -2)  # pixels from the first frame to the last, x right and y down


def noise(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def small_frames(batch=1, size=16, seed=0):
    return noise(batch, 7, 1, size, size, seed=seed)


def moving(size=96):
    """Seven frames (1, 7, 1, H, W) of a smooth texture that moves by SHIFT over them."""
    rng = np.random.default_rng(0)
    texture = cv2.GaussianBlur(rng.random((size + 40, size + 40), np.float32), (0, 0), 2)
    texture = np.clip((texture - texture.mean()) * 4 + 0.5, 0, 1)
    places = [np.float32([[1, 0, SHIFT[0] * n / 6 - 20], [0, 1, SHIFT[1] * n / 6 - 20]]) for n in range(7)]
    return torch.from_numpy(np.stack([cv2.warpAffine(texture, place, (size, size)) for place in places]))[None, :, None]


class Counting(torch.nn.Module):
    """A generator that shifts its input by a learned value a frame, and counts its passes."""

    def __init__(self):
        super().__init__()
        self.add = torch.nn.Parameter(torch.linspace(-0.1, 0.1, 7).view(1, 7, 1, 1))
        self.calls = []

    def forward(self, grey):
        self.calls.append(grey.detach())
        return grey + self.add


def naive_gram(features):
    """(3, C, h, w) to (3C, 3C), one product after the other."""
    three, channels, height, width = features.shape
    found = np.zeros((three * channels, three * channels))
    for i in range(three):
        for j in range(three):
            for c in range(channels):
                for d in range(channels):
                    found[i * channels + c, j * channels + d] = (features[i, c] * features[j, d]).sum() / (channels * height * width)
    return found
