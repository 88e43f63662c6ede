"""PSNR, SSIM and ordering error of a 7-frame 1280x720 sequence, against scikit-image's PSNR and Gaussian SSIM of the same.

    python benchmarks/bench_metrics.py

One process, OpenCV with as many threads as it takes by itself and then with one; scikit-image has no threads. Both sides get the same
8-bit frames, and in turns, so that what else the machine does meets both.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2
import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from blurbench.metrics.ordering import ordering
from blurbench.metrics.psnr import psnr
from blurbench.metrics.ssim import ssim
from blurbench.types import F64, U8
from blurbench.video.render import RenderedSource

FRAMES, HEIGHT, WIDTH, ROUNDS = 7, 720, 1280, 3


def clips() -> tuple[U8, U8]:
    """A rendered clip with noise, and the clip: (7, H, W, 3) uint8 each."""
    target = np.stack([frame.image for frame in RenderedSource("test", 0, FRAMES, (HEIGHT, WIDTH)).frames()])
    noise = np.random.default_rng(0).normal(0, 6, target.shape)
    return np.clip(np.rint(target + noise), 0, 255).astype(np.uint8), target


def ours(prediction: U8, target: U8) -> tuple[F64, F64, F64]:
    """PSNR and SSIM a frame, and the ordering error of the clip."""
    return psnr(prediction, target), ssim(prediction, target), ordering(prediction, target)


def scikit_image(prediction: U8, target: U8) -> tuple[F64, F64]:
    """PSNR and SSIM a frame."""
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "channel_axis": 2, "data_range": 255}
    pairs = list(zip(prediction, target, strict=True))
    errors = [peak_signal_noise_ratio(g, p, data_range=255) for p, g in pairs]
    return np.array(errors), np.array([structural_similarity(p, g, **options) for p, g in pairs])


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    prediction, target = clips()
    found, expected = ours(prediction, target), scikit_image(prediction, target)
    print(f"difference: PSNR {np.abs(found[0] - expected[0]).max():.1e} dB, SSIM {np.abs(found[1] - expected[1]).max():.1e} (aim: 1e-5)")
    for threads in (cv2.getNumThreads(), 1):
        cv2.setNumThreads(threads)
        mine, theirs = float("inf"), float("inf")
        for _ in range(ROUNDS):
            theirs = min(theirs, seconds(lambda: scikit_image(prediction, target)))
            mine = min(mine, *(seconds(lambda: ours(prediction, target)) for _ in range(3)))
        print(f"{threads} threads: {mine * 1000:.0f} ms, scikit-image {theirs * 1000:.0f} ms, ratio {theirs / mine:.1f} (aim: at least 10)")


if __name__ == "__main__":
    main()
