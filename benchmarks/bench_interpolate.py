"""Middle frames of real triples by each interpolation method, and its cost. Arguments: video files.

PSNR of a frame between two frames `gap` apart, mean over triples spread evenly over the video; triples across a cut (grey levels change
by more than 40 on average from one frame to the next) are left out. The mean of the two frames is the reference.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from blurbench.metrics.psnr import pooled_psnr
from blurbench.types import F32, U8
from blurbench.video import interpolate
from blurbench.video.decode import VideoSource
from blurbench.video.photographs import Photographs
from blurbench.video.textures import dead_leaves

TRIPLES, CUT = 13, 40
SIZES = ((360, 640), (540, 960), (720, 1280))
EIGHTHS = [step / 8 for step in range(1, 8)]


class Mean:
    """The reference: the mean of the two frames, each weighted by its nearness."""

    chunk = None

    def between(self, a: F32, b: F32, times: list[float]) -> F32:
        return np.stack([a * np.float32(1 - t) + b * np.float32(t) for t in times])


Method = interpolate.Interpolator | Mean


def methods() -> dict[str, Method]:
    """The mean of the two frames, and every method that can run here."""
    table: dict[str, Method] = {"mean": Mean()}
    for name in ("flow", "rife"):
        if reason := interpolate.available(name):
            print(f"{name} is left out: {reason}")
            continue
        table[name] = interpolate.load(name)
    return table


def quality(video: Path, table: dict[str, Method]) -> None:
    """Print a line for each gap and time."""
    frames = [frame.image for frame in VideoSource(video).frames()]
    for gap, place in ((2, 1), (4, 2), (4, 1)):
        spread = np.linspace(0, len(frames) - 1 - gap, TRIPLES).astype(int)
        starts = [start for start in spread if not any(cut(frames[k], frames[k + 1]) for k in range(start, start + gap))]
        found: dict[str, list[float]] = {name: [] for name in table}
        for start in starts:
            a, truth, b = (np.ascontiguousarray(frames[start + k].transpose(2, 0, 1), np.float32) / 255 for k in (0, place, gap))
            for name, method in table.items():
                made = method.between(a, b, [place / gap])[0]
                found[name].append(float(pooled_psnr(made.transpose(1, 2, 0)[None], truth.transpose(1, 2, 0)[None])))
        means = {name: np.mean(values) for name, values in found.items()}
        line = ", ".join(f"{name} {value:.1f} dB ({value - means['mean']:+.1f})" for name, value in means.items())
        print(f"{video.name}, gap {gap}, t = {place}/{gap}, n = {len(starts)}: {line}")


def cut(a: U8, b: U8) -> bool:
    """Whether the scene changes between two frames."""
    return bool(np.abs(a.astype(np.int16) - b).mean() > CUT)


def cost(table: dict[str, Method]) -> None:
    """Print seconds a frame at each size where one, and where seven frames are inserted into a pair; the best of three."""
    for height, width in SIZES:
        canvas = (
            dead_leaves(Photographs("train"), (height, width + 8), np.random.default_rng(0)).transpose(2, 0, 1).astype(np.float32) / 255
        )
        a, b = np.ascontiguousarray(canvas[..., :width]), np.ascontiguousarray(canvas[..., 8:])
        found = []
        for name, method in table.items():
            one, seven = seconds(method, a, b, [0.5]), seconds(method, a, b, EIGHTHS)
            found.append(f"{name} {one:.3f} s for one, {seven / 7:.3f} s for each of seven")
        print(f"{width}x{height}: " + "; ".join(found))


def seconds(method: Method, a: F32, b: F32, times: list[float]) -> float:
    """Seconds for these times, in the chunks that the method wants."""
    best, chunk = np.inf, method.chunk or len(times)
    for _ in range(3):
        a, b = b, a  # another pair each time: a method may keep what it knows of the last
        start = time.perf_counter()
        for first in range(0, len(times), chunk):
            method.between(a, b, times[first : first + chunk])
        best = min(best, time.perf_counter() - start)
    return best


def main() -> None:
    table = methods()
    for argument in sys.argv[1:]:
        quality(Path(argument), table)
    cost(table)


if __name__ == "__main__":
    main()
