"""What the tests of decoding share: frames that all differ, and how a file is read."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from blurbench.types import U8
from blurbench.video.decode import VideoSource


def moving(count: int, height: int = 48, width: int = 64, seed: int = 0) -> list[U8]:
    """Smooth texture sliding by two pixels a frame; no two frames alike, no symmetry."""
    noise = np.random.default_rng(seed).integers(0, 255, (height, width + 2 * count, 3), dtype=np.uint8)
    wide = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 4), None, 0, 255, cv2.NORM_MINMAX)
    return [wide[:, 2 * n : 2 * n + width] for n in range(count)]


def read_all(path: Path) -> int:
    return sum(1 for _ in VideoSource(path).frames())


def mean_difference(one: U8, two: U8) -> float:
    return float(np.abs(one.astype(np.int16) - two).mean())
