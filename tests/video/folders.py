"""What the tests of image folders and of finding share: pictures that all differ, and folders of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from blurbench.types import U8
from blurbench.video.images import write_rgb


def noise(seed: int = 0, height: int = 10, width: int = 14) -> U8:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def fill(folder: Path, names: list[str], **size: int) -> Path:
    """Write noise number n under the n-th name."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(names):
        write_rgb(folder / name, noise(seed, **size))
    return folder


def numbered(numbers: Iterable[int], name: str = "{:06d}") -> list[str]:
    return [f"{name.format(number)}.png" for number in numbers]
