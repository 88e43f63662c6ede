"""Random 256x256 crops of a blurry picture and 7 targets from a shard, against the same from a folder of PNGs read with cv2.imread.

    python benchmarks/bench_crops.py [VIDEO]

VIDEO is 1280x720; without one, rendered footage is encoded as H.264 first. Both ways give the same pixels, in one process and one thread.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np

from blurbench.store.dataset import BlurDataset
from blurbench.store.manifest import Entry, Manifest
from blurbench.store.shard import ShardWriter
from blurbench.video.decode import VideoSource
from blurbench.video.render import RenderedSource

CROP, TARGETS, SAMPLES, ROUNDS = 256, 7, 12, 6
Places = list[tuple[int, int, int]]


def rendered(path: Path) -> Path:
    """A rendered clip as H.264, long enough for two samples; rendering takes most of a second a frame."""
    source = RenderedSource("train", 0, 2 * TARGETS, (720, 1280))
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=240, options={"preset": "veryfast", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        for frame in source.frames():
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame.image, format="rgb24")))
        file.mux(stream.encode())
    return path


def samples(video: Path) -> Iterator[np.ndarray]:
    """(8, 720, 1280, 3) uint8: the mean of seven frames, and the seven."""
    frames = (frame.image for frame in VideoSource(video).frames())
    while len(sharp := list(islice(frames, TARGETS))) == TARGETS:
        yield np.stack([np.mean(sharp, axis=0).round().astype(np.uint8), *sharp])


def write(video: Path, folder: Path) -> int:
    """The samples as a made data set and as PNGs, side by side; returns how many there are."""
    manifest = Manifest("crops", 1, "crops", "video", "pixel", {}, "benchmark")
    (folder / "png").mkdir()
    with ShardWriter(folder / "train" / "v.h5") as writer:
        for number, pictures in enumerate(islice(samples(video), SAMPLES)):
            writer.append({"blurry": pictures[0], "sharp": pictures[1:], "times": np.linspace(0, 1, TARGETS)})
            for index, picture in enumerate(pictures):
                cv2.imwrite(str(folder / "png" / f"{number}_{index}.png"), picture[..., ::-1])
        count = writer.samples
        writer.finish({"fingerprint": "f", "transfer": "pixel", "provenance": "{}"})
    manifest.enter("train", Entry("v", "train/v.h5", count, 0, 0, "f", "c"))
    manifest.write(folder)
    return count


def from_png(folder: Path, number: int, top: int, left: int) -> np.ndarray:
    pictures = [cv2.imread(str(folder / "png" / f"{number}_{index}.png")) for index in range(1 + TARGETS)]
    return np.stack([picture[top : top + CROP, left : left + CROP, ::-1] for picture in pictures])


def seconds(read: Callable[[int], object], crops: range) -> float:
    start = time.perf_counter()
    for number in crops:
        read(number)
    return (time.perf_counter() - start) / len(crops)


def main() -> None:
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        count = write(Path(sys.argv[1]) if len(sys.argv) > 1 else rendered(folder / "video.mp4"), folder)
        dataset = BlurDataset(folder, "train", CROP)
        rng = np.random.default_rng(0)
        places = [(int(rng.integers(count)), int(rng.integers(720 - CROP + 1)), int(rng.integers(1280 - CROP + 1))) for _ in range(16)]
        shard = dataset._index[0][0]
        number, top, left = places[0]
        print(shard.file["sharp"][number, :, top : top + CROP, left : left + CROP].shape)
        ours = [seconds(dataset.__getitem__, range(32)) for _ in range(ROUNDS)]
        png = [seconds(lambda number: from_png(folder, *places[number]), range(4)) for _ in range(ROUNDS)]
        size = (folder / "train" / "v.h5").stat().st_size / sum(file.stat().st_size for file in (folder / "png").iterdir())
        print([f"{a*1e3:.1f}" for a in ours],[f"{a*1e3:.1f}" for a in png])
        print(f"ratio {min(png) / min(ours):.1f}, size {size:.2f}")


if __name__ == "__main__":
    main()
