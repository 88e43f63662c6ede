"""Making data sets from 1280x720 H.264, against decoding the same video to RGB alone; two workers against one; twice the footage.

One worker decodes, averages and compresses in threads of its own, so on two cores it leaves a second one little: workers are compared
on all cores, and with a core for each (Linux), on videos long enough that starting a process counts little. Cores of virtual machines are
often halves of one: what two processes do that only hash, against one, is the most that two workers can.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from _footage import write_recipe, write_video

from blurbench.synth.pipeline import make_dataset
from blurbench.video.decode import VideoSource

FRAMES, ROUNDS = 480, 4
NO_GATE = ("gate.largest_step=0",)


def seconds(function: Callable[[], object]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def on_cores(count: int, function: Callable[[], object]) -> Callable[[], object]:
    """The function on the first so many of the cores that this process may use."""

    def call() -> None:
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, sorted(cores)[:count])
        try:
            function()
        finally:
            os.sched_setaffinity(0, cores)

    return call


def hash_much(_number: int) -> None:
    """Work for one core that needs hardly any memory."""
    block = bytes(1 << 20)
    for _ in range(2000):
        hashlib.sha256(block)


def decode(video: Path) -> None:
    """Every frame to RGB, in order."""
    for _ in VideoSource(video).frames():
        pass


def main() -> None:
    with tempfile.TemporaryDirectory() as name, ProcessPoolExecutor(2) as pool:
        folder = Path(name)
        video = folder / "one.mp4"
        write_video(video, FRAMES)
        videos = folder / "videos"
        videos.mkdir()
        double = videos / "double.mp4"
        write_video(double, 2 * FRAMES)
        (videos / "again.mp4").write_bytes(double.read_bytes())
        full_size = str(write_recipe(folder / "wild.toml"))
        number = iter(range(10_000))

        def make(recipe: str, source: Path, changes: tuple[str, ...] = (), workers: int = 1) -> Callable[[], object]:
            return lambda: make_dataset(recipe, source, folder / f"out{next(number)}", changes=changes, workers=workers)

        tasks: dict[str, Callable[[], object]] = {
            "decoding to RGB alone": lambda: decode(video),
            "wild, ungated": make("wild", video, NO_GATE),
            "wild, gated": make("wild", video, ("gate.largest_step=1000",)),
            "window 15 at full size, one target": make(full_size, video),
            "gopro7, every frame stored": make("gopro7", video),
            "two videos, one worker": make("wild", videos, NO_GATE),
            "two videos, two workers": make("wild", videos, NO_GATE, workers=2),
            "twice the footage, wild": make("wild", double, NO_GATE),
            "one process that hashes": lambda: list(pool.map(hash_much, range(1))),
            "two processes that hash": lambda: list(pool.map(hash_much, range(2))),
        }
        if hasattr(os, "sched_setaffinity"):
            tasks |= {
                "one worker, a core": on_cores(1, make("wild", videos, NO_GATE)),
                "two workers, a core each": on_cores(2, make("wild", videos, NO_GATE, workers=2)),
            }
        # Every task runs in every round, so that a busy machine slows all of them; the best round of each counts.
        best = {
            task: min(times)
            for task, times in zip(tasks, zip(*(map(seconds, tasks.values()) for _ in range(ROUNDS)), strict=True), strict=True)
        }
    alone = best["decoding to RGB alone"]
    print(f"decoding to RGB alone: {FRAMES / alone:.0f} frames/s; the others as shares of that rate:")
    aims = {"wild, ungated": 0.8, "wild, gated": None, "window 15 at full size, one target": 0.6, "gopro7, every frame stored": 0.4}
    for task, aim in aims.items():
        print(f"  {task}: {alone / best[task]:.2f}" + (f" (aim: at least {aim})" if aim else ""))
    print(f"two workers against one: {best['two videos, one worker'] / best['two videos, two workers']:.2f} (aim: at least 1.7)")
    if "one worker, a core" in best:
        print(f"  with a core for each: {best['one worker, a core'] / best['two workers, a core each']:.2f}")
    print(f"  two processes that only hash against one: {2 * best['one process that hashes'] / best['two processes that hash']:.2f}")
    print(f"twice the footage takes {best['twice the footage, wild'] / best['wild, ungated']:.2f} times as long (aim: 1.8 to 2.2)")


if __name__ == "__main__":
    main()
