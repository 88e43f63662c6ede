"""Adding up 15 frames of 1280x720 with gamma 2.2, against the plain numpy expression."""

from __future__ import annotations

import time

import numpy as np

from blurbench.synth.accumulate import Exposure, Shutter
from blurbench.video.transfer import gamma


def ours(frames: np.ndarray) -> np.ndarray:
    shutter = Shutter(gamma(2.2))
    exposure = Exposure(shutter)
    for frame in frames:
        exposure.add(shutter.light(frame))
    return exposure.result()


def plain(frames: np.ndarray) -> np.ndarray:
    return ((frames / 255) ** 2.2).mean(0) ** (1 / 2.2)


def best(function, frames: np.ndarray, runs: int = 5) -> float:
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        function(frames)
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (15, 720, 1280, 3), dtype=np.uint8)
    wrong = np.abs(ours(frames) - np.floor(plain(frames) * 255 + 0.5))
    fast, slow = best(ours, frames), best(plain, frames)
    print(f"accumulate: {fast * 1e3:.1f} ms, numpy expression {slow * 1e3:.1f} ms, ratio {slow / fast:.1f} (aim: at least 5)")
    print(f"largest difference {wrong.max():.0f} level, in {100 * (wrong > 0).mean():.4f} % of values (aim: 1, 0.01 %)")


if __name__ == "__main__":
    main()
