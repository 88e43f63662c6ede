"""Middle frames of real triples by each interpolation method, and its cost. Arguments: video files.

PSNR of a frame between two frames `gap` apart, mean over triples spread evenly over the video; triples across a cut (grey levels change
by more than 40 on average from one frame to the next) are left out. The mean of the two frames is the reference.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from blurbench.metrics.psnr import pooled_psnr
from blurbench.types import F32, U8
from blurbench.video import interpolate
from blurbench.video.decode import VideoSource
from blurbench.video.textures import dead_leaves

TRIPLES, CUT = 13, 40
SIZES = ((360, 640), (540, 960), (720, 1280))
Between = Callable[[F32, F32, float], F32]


def methods() -> dict[str, Between]:
    """The mean of the two frames, and every method that can run here."""
    table: dict[str, Between] = {"mean": lambda a, b, t: a * np.float32(1 - t) + b * np.float32(t)}
    for name in ("flow", "rife"):
        if reason := interpolate.available(name):
            print(f"{name} is left out: {reason}")
            continue
        method = interpolate.load(name)
        table[name] = lambda a, b, t, method=method: method.between(a, b, [t])[0]
    return table


def quality(video: Path, table: dict[str, Between]) -> None:
    """Print a line for each gap and time."""
    frames = [frame.image for frame in VideoSource(video).frames()]
    for gap, place in ((2, 1), (4, 2), (4, 1)):
        spread = np.linspace(0, len(frames) - 1 - gap, TRIPLES).astype(int)
        starts = [start for start in spread if not any(cut(frames[k], frames[k + 1]) for k in range(start, start + gap))]
        found: dict[str, list[float]] = {name: [] for name in table}
        for start in starts:
            a, truth, b = (np.ascontiguousarray(frames[start + k].transpose(2, 0, 1), np.float32) / 255 for k in (0, place, gap))
            for name, between in table.items():
                made = between(a, b, place / gap)
                found[name].append(float(pooled_psnr(made.transpose(1, 2, 0)[None], truth.transpose(1, 2, 0)[None])))
        means = {name: np.mean(values) for name, values in found.items()}
        line = ", ".join(f"{name} {value:.1f} dB ({value - means['mean']:+.1f})" for name, value in means.items())
        print(f"{video.name}, gap {gap}, t = {place}/{gap}, n = {len(starts)}: {line}")


def cut(a: U8, b: U8) -> bool:
    """Whether the scene changes between two frames."""
    return bool(np.abs(a.astype(np.int16) - b).mean() > CUT)


def cost(table: dict[str, Between]) -> None:
    """Print seconds a frame at each size; the best of three."""
    for height, width in SIZES:
        canvas = dead_leaves("train", (height, width + 8), np.random.default_rng(0)).transpose(2, 0, 1).astype(np.float32) / 255
        a, b = np.ascontiguousarray(canvas[..., :width]), np.ascontiguousarray(canvas[..., 8:])
        seconds = {}
        for name, between in table.items():
            times = []
            for _ in range(3):
                start = time.perf_counter()
                between(a, b, 0.5)
                times.append(time.perf_counter() - start)
            seconds[name] = min(times)
        print(f"{width}x{height}: " + ", ".join(f"{name} {value:.3f} s" for name, value in seconds.items()))


def main() -> None:
    table = methods()
    for argument in sys.argv[1:]:
        quality(Path(argument), table)
    cost(table)


if __name__ == "__main__":
    main()
