"""Scoring stored predictions on one core and on two, the memory it takes, and what `evaluate` adds to reading and metrics.

    python benchmarks/bench_score.py [SEQUENCES]

Seven-frame sequences of 1280x720 in four videos, 100 unless told; protocol blurbench-1. Prints three ratios: two processes against one,
peak memory of all sequences against that of one video, `evaluate --method copy-blur` against a bare loop of reading samples and calling
the metrics.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _footage import write_video

from blurbench.metrics import get
from blurbench.metrics.select import quantise
from blurbench.run.evaluate import evaluate
from blurbench.run.runner import predict_dataset
from blurbench.store.reader import open_dataset
from blurbench.synth.pipeline import make_dataset

PEAK = """
import os, re, sys
if sys.argv[4] == "1":
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
from pathlib import Path
from blurbench.run.score import score
score(sys.argv[1], sys.argv[2], split="test", out=sys.argv[3], workers=int(sys.argv[4]))
print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


def scored(folder: Path, data: Path, workers: int) -> tuple[float, float]:
    """Seconds and peak MiB of scoring in a process of its own (and `workers` below it, which are not counted); one: on one core."""
    with tempfile.TemporaryDirectory() as out:
        begin = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", PEAK, folder, data, out, str(workers)], check=True, capture_output=True, text=True)
        return time.perf_counter() - begin, int(done.stdout.split()[-1]) / 1024


def bare(data: Path) -> float:
    """Seconds of reading all samples and computing the metrics of blurbench-1 on copies of the blur, in both directions."""
    psnr, ssim, ordering, reblur = (get(name) for name in ("psnr", "ssim", "ordering", "reblur-psnr"))
    begin = time.perf_counter()
    for sample in open_dataset(data).samples("test"):
        frames = quantise((sample.blurry.astype("float32") / 255)[None].repeat(len(sample.sharp), axis=0), "round")
        psnr(frames, sample.sharp)
        psnr(frames[::-1], sample.sharp)
        ssim(frames, sample.sharp)
        ordering(frames, sample.sharp)
        reblur(frames, sample.sharp, transfer=sample.transfer, blurry=sample.blurry)
    return time.perf_counter() - begin


def main() -> None:
    sequences = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for videos, label in ((1, "few"), (4, "all")):
            for number in range(videos):
                (folder / f"{label}-videos").mkdir(exist_ok=True)
                write_video(folder / f"{label}-videos" / f"{number}.mp4", 7 * (sequences // 4))
            make_dataset("gopro7", folder / f"{label}-videos", out=folder / label)
            predict_dataset("copy-blur", folder / label, folder / f"{label}-predictions", split="test", store="uint8")
        one, memory = scored(folder / "all-predictions", folder / "all", 1)
        two, _ = scored(folder / "all-predictions", folder / "all", 2)
        _, less = scored(folder / "few-predictions", folder / "few", 1)
        print(f"score, {sequences // 4 * 4} sequences: one core {one:.1f} s, two {two:.1f} s: ratio {one / two:.2f} (aim 1.8)")
        print(f"peak memory: {less:.0f} MiB for one video, {memory:.0f} MiB for four: ratio {memory / less:.3f}")
        loop = bare(folder / "all")
        begin = time.perf_counter()
        evaluate("copy-blur", folder / "all", split="test", out=folder / "runs")
        took = time.perf_counter() - begin
        print(f"evaluate copy-blur {took:.1f} s, reading and metrics {loop:.1f} s: ratio {took / loop:.2f} (aim at most 1.3)")


if __name__ == "__main__":
    main()
