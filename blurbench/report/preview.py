"""A moving picture of samples, blurry beside sharp: APNG, which keeps every colour and plays in browsers; elsewhere it is a still."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from blurbench.report.animation import write_loop
from blurbench.report.figures import below, beside, framed, label, resized, title
from blurbench.types import U8, Sample

_STEP, _LAST = 160, 700  # milliseconds a frame, and the last; each of two


def preview(samples: Sequence[Sample], width: int = 320) -> list[U8]:
    """Frames (H', W', 3) uint8, all of one size: a row a sample, its blurry image and one of its targets, in order of time.

    A sample with fewer targets than another shows its last ones longer. With one target the frames go to and fro between it and the
    blurry image, which shows whether the two lie on each other.
    """
    moving = [sample.sharp if len(sample.sharp) > 1 else np.stack([sample.blurry, *sample.sharp]) for sample in samples]
    return [
        framed(below([_row(sample, frames, step, width) for sample, frames in zip(samples, moving, strict=True)]))
        for step in range(max(map(len, moving)))
    ]


def write_animation(path: Path, frames: Sequence[U8]) -> None:
    """Write frames as an endless APNG; the file appears whole or not at all. Raises BlurbenchError when it cannot be written."""
    write_loop(path, frames, [*[_STEP if len(frames) > 2 else _LAST] * (len(frames) - 1), _LAST])


def _row(sample: Sample, frames: U8, step: int, width: int) -> U8:
    index = min(step, len(frames) - 1)
    single = len(sample.sharp) == 1
    name = ("blurry", "target")[index] if single else f"target {index + 1} of {len(frames)}"
    pictures = beside([label(resized(sample.blurry, width), "blurry"), label(resized(frames[index], width), name)])
    return np.vstack([title(sample.id, "", pictures.shape[1]), pictures])
