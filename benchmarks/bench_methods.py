"""What every method costs on a CPU: seconds, peak memory, parameters, multiply-adds of one prediction, as a table.

    python benchmarks/bench_methods.py [--methods a,b] [--size 1280x720] [--threads 1] [--out TABLE.csv]

Each method runs in a process of its own, whose peak memory (libraries included, 0.3 to 0.5 GB) is the method's. Networks are as wide as in
the paper, their weights random, which changes no cost. Methods of any number of frames give seven. For zhang2019 and zhang2021 the
processor time of `predict` and of nothing but their networks is compared in one process, for zhang2021 also its warps with a loop over the
offsets.
On a busy machine seconds are too long; CPU seconds, those of all threads, then say more.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from blurbench import running
from blurbench.baselines import gong2017, purohit2019, zhang2020, zhong2022
from blurbench.baselines._zhang2021_offsets import reblur, warp
from blurbench.methods import Method, Request, method_class
from blurbench.registry import METHODS
from blurbench.run import cost
from blurbench.synth import kernels
from blurbench.types import Sample
from blurbench.video.photographs import Photographs
from blurbench.video.textures import dead_leaves

FRAMES = 7
WARM_UP = (64, 96)
COLUMNS = ("method", "width", "height", "frames", "seconds", "cpu_seconds", "peak_mib", "parameters", "multiply_adds", "weights")


def blur_to_video() -> nn.Module:
    """As `load` leaves it: the video encoder is for training."""
    network = purohit2019.BlurToVideo()
    del network.video_encoder
    return network


BUILT: dict[str, Callable[[], nn.Module]] = {
    "gong2017": gong2017.MotionFlow,
    "purohit2019": blur_to_video,
    "zhang2020-bg": zhang2020.Generator,
    "zhang2020-iterated": zhang2020.Generator,
    "zhong2022-video": lambda: zhong2022.Animation(predicting=False),
}
"""The networks of methods that have no training of their own, or train more than they run."""


def build(name: str) -> tuple[Method, str]:
    """A method with the network of its paper, and which weights it has: random ones, for two classical ones a kernel, or none."""
    cls: Any = method_class(name)
    if name in ("wiener", "richardson-lucy"):
        return cls(kernels.kernel(17, 9)), "kernel given"
    if not cls.card.wants_weights:
        return cls.load(), "none"
    torch.manual_seed(0)
    return cls(BUILT[name]() if name in BUILT else cls.training.network()), "random"


def sample(height: int, width: int) -> Sample:
    """A picture of dead leaves that moves by two pixels a frame, its mean, and all that methods ask for besides."""
    canvas = dead_leaves(Photographs("train"), (height, width + 2 * 3 * FRAMES), np.random.default_rng(0))
    frames = np.stack([canvas[:, 2 * index : 2 * index + width] for index in range(3 * FRAMES)])
    blurry = [np.rint(part.mean(axis=0)).astype(np.uint8) for part in np.split(frames, 3)]
    guidance = np.broadcast_to(np.array([1, 1], np.int8), (height, width, 2))
    around = {"before": np.stack([blurry[0]] * 2), "after": np.stack([blurry[2]] * 2)}
    return Sample("s", "v", blurry[1], frames[FRAMES : 2 * FRAMES], np.linspace(0, 1, FRAMES), "srgb", {**around, "guidance": guidance})


def trimmed(given: Sample, method: Method) -> Sample:
    """With as many neighbours as the method sees."""
    can = method.capabilities
    sides = {"before": given.extras["before"][: can.before], "after": given.extras["after"][: can.after]}
    return Sample(given.id, given.video, given.blurry, given.sharp, given.times, given.transfer, {**given.extras, **sides})


def measure(name: str, height: int, width: int) -> dict[str, Any]:
    """A row of the table, from this process."""
    method, weights = build(name)
    with cost.counting():  # the first time, counting takes a second by itself
        running.predict(method, trimmed(sample(*WARM_UP), method))
    given = trimmed(sample(height, width), method)
    begin = time.process_time()
    with cost.counting() as counted:
        made = running.predict(method, given)
    seconds = time.process_time() - begin
    networks = [value for value in vars(method).values() if isinstance(value, nn.Module)]
    # Not getrusage: its peak outlives exec.
    peak = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert peak
    values = (made.frames.shape[1], made.seconds, seconds, int(peak[1]) // 1024, cost.parameters(*networks), counted(), weights)
    return dict(zip(COLUMNS, (name, width, height, *values), strict=True))


def ratios(name: str, height: int, width: int) -> list[str]:
    """Lines that compare `predict` with its networks alone, and warps with a loop over the offsets."""
    method: Any = build(name)[0]
    blurry = sample(height, width).blurry.astype(np.float32) / 255
    image = torch.from_numpy(blurry.transpose(2, 0, 1).copy())[None]
    request = Request(np.linspace(0, 1, method.capabilities.frames or FRAMES), 1, np.random.default_rng(0))
    with torch.inference_mode():
        parts = [method.network] if name == "zhang2019" else [method.network.deblur, method.network.offset]
        bare, whole = alternately(lambda: [part(image) for part in parts], lambda: method.predict(blurry, request), times=2)
        lines = [f"{name}: predict {whole:.2f} s, its networks alone {bare:.2f} s: ratio {whole / bare:.2f} (aim: at most 1.2)"]
        if name == "zhang2021":
            shift = 8 * F.interpolate(torch.randn(1, 30, height // 40, width // 40), (height, width), mode="bilinear")
            shift = shift.view(1, 15, 2, height, width)
            for what, ours, reference in (
                ("frames", lambda: warp(image, shift), lambda: torch.stack(loop(image, shift), dim=1)),
                ("re-blurring", lambda: reblur(image, shift), lambda: sum(loop(image, shift)) / 15),
            ):
                difference = (ours() - reference()).abs().max()
                one, other = alternately(ours, reference, times=5)
                figures = f"{1000 * one:.0f} ms, loop {1000 * other:.0f} ms: {other / one:.2f} times as fast (aim: 3)"
                lines.append(f"15 warps, {what}: {figures}; largest difference {difference:.1e}")
    return lines


def loop(sharp: torch.Tensor, shift: torch.Tensor) -> list[torch.Tensor]:
    """One offset after the other, as one would write it: a grid, moved, brought to [-1, 1], sampled."""
    height, width = sharp.shape[-2:]
    frames = []
    for number in range(shift.shape[1]):
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        places = torch.stack([columns, rows])[None].float() + shift[:, number].flip(1)
        x, y = (2 * places[:, 0] + 1) / width - 1, (2 * places[:, 1] + 1) / height - 1
        frames.append(F.grid_sample(sharp, torch.stack([x, y], dim=-1), align_corners=False))
    return frames


def alternately(first: Callable[[], object], second: Callable[[], object], times: int) -> list[float]:
    """The least processor seconds of each, taken in turns: what else the machine does is hardly in them."""
    least = [np.inf, np.inf]
    for _ in range(times):
        for index, run in enumerate((first, second)):
            begin = time.process_time()
            run()
            least[index] = min(least[index], time.process_time() - begin)
    return least


def table(rows: list[dict[str, Any]]) -> str:
    """The rows in Markdown, in the units that people use."""
    head = "| method | frames | seconds | CPU seconds | peak memory, MiB | parameters | multiply-adds, 10^9 | weights |"
    lines = [head, "|---|--:|--:|--:|--:|--:|--:|---|"]
    for row in rows:
        size = f"{row['parameters']:,}" if row["parameters"] else ""
        adds = f"{row['multiply_adds'] / 1e9:,.1f}" if row["multiply_adds"] else ""
        seconds, peak = f"{row['seconds']:.2f} | {row['cpu_seconds']:.2f}", f"{row['peak_mib']:,}"
        lines.append(f"| {row['method']} | {row['frames']} | {seconds} | {peak} | {size} | {adds} | {row['weights']} |")
    return "\n".join(lines)


def names() -> list[str]:
    """All methods that are registered, without aliases."""
    entries = list(METHODS.entries())
    for entry in entries:
        if entry.broken:
            print(f"{entry.name} is left out: {entry.broken}", file=sys.stderr)
    return [entry.name for entry in entries if not entry.broken and method_class(entry.name).card.id == entry.name]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", help="names, separated by commas; all unless given")
    parser.add_argument("--size", default="1280x720", help="WIDTHxHEIGHT")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, help="a CSV file of the same rows")
    parser.add_argument("--in-this-process", choices=["measure", "ratios"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    width, height = map(int, given.size.split("x"))
    chosen = given.methods.split(",") if given.methods else names()
    torch.set_num_threads(given.threads)
    if given.in_this_process:
        print(json.dumps({"measure": measure, "ratios": ratios}[given.in_this_process](chosen[0], height, width)))
        return

    def child(name: str, what: str) -> Any:
        command = [sys.executable, __file__, "--methods", name, "--size", given.size, "--threads", str(given.threads)]
        done = subprocess.run([*command, "--in-this-process", what], stdout=subprocess.PIPE, text=True)
        return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None

    rows = []
    for name in chosen:
        print(f"{name} ...", file=sys.stderr, flush=True)
        row = child(name, "measure")
        if row is None:
            print(f"{name} is left out: it failed, see above", file=sys.stderr)
            continue
        rows.append(row)
        if given.out:  # after each, for the whole takes long
            with given.out.open("w", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS)
                writer.writeheader()
                writer.writerows(rows)
    print(f"{width}x{height}, CPU, {given.threads} thread(s), one prediction each:\n\n{table(rows)}\n")
    for name in ("zhang2019", "zhang2021"):
        if name in chosen:
            print("\n".join(child(name, "ratios") or [f"{name}: failed, see above"]))


if __name__ == "__main__":
    main()
