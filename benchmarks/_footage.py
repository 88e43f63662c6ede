"""A 1280x720 H.264 video of any length for the benchmarks: a dead-leaves picture panned with sensor noise."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from blurbench.video.photographs import Photographs
from blurbench.video.textures import dead_leaves

WILD = """
id = "wild-like"
version = 1
title = "windows of 15, one target"
description = "for benchmarks"
citation = "none"
licence = "none"
transfer = "pixel"
[window]
length = 15
targets = "centre"
"""


def write_video(path: Path, frames: int, size: tuple[int, int] = (720, 1280)) -> None:
    """Encode the clip; the same frames for the same arguments."""
    rng = np.random.default_rng(0)
    height, width = size
    canvas = dead_leaves(Photographs("train"), (height, width + 256), rng)
    noise = [rng.normal(0, 2, (height, width, 3)).astype(np.int16) for _ in range(8)]
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=240, options={"preset": "veryfast", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt, stream.time_base = width, height, "yuv420p", Fraction(1, 240)
        for index in range(frames):
            left = abs(index * 3 % 512 - 256)
            image = np.clip(canvas[:, left : left + width] + noise[index % 8], 0, 255).astype(np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        file.mux(stream.encode())


def write_recipe(path: Path) -> Path:
    """The wild-like recipe as a file."""
    path.write_text(WILD)
    return path
