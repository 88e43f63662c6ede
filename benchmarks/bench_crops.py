"""Random 256x256 crops of a blurry picture and 7 targets from a data set, against the same from a folder of PNGs with cv2.imread.

    python benchmarks/bench_crops.py [VIDEO]

VIDEO is 1280x720; without one, rendered footage is encoded as H.264 first, which takes half a minute. Both sides read the same pixels, then
both make the float32 tensors of training of them; one process, one thread.
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
import torch

from blurbench.store.dataset import BlurDataset
from blurbench.store.manifest import Entry, Manifest
from blurbench.store.reader import open_dataset
from blurbench.store.shard import ShardWriter
from blurbench.store.tiles import Tiles
from blurbench.video.decode import VideoSource
from blurbench.video.render import RenderedSource

HEIGHT, WIDTH, CROP, TARGETS, SAMPLES, ROUNDS = 720, 1280, 256, 7, 8, 6


def rendered(path: Path) -> Path:
    """A rendered clip as H.264."""
    source = RenderedSource("train", 0, SAMPLES * TARGETS, (HEIGHT, WIDTH))
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=240, options={"preset": "veryfast", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for frame in source.frames():
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame.image, format="rgb24")))
        file.mux(stream.encode())
    return path


def samples(video: Path) -> Iterator[np.ndarray]:
    """(8, H, W, 3) uint8: the mean of seven frames, and the seven."""
    frames = (frame.image for frame in VideoSource(video).frames())
    while len(sharp := list(islice(frames, TARGETS))) == TARGETS:
        yield np.stack([np.mean(sharp, axis=0).round().astype(np.uint8), *sharp])


def write(video: Path, folder: Path) -> int:
    """The first samples as a made data set and as PNGs; returns how many there are."""
    manifest = Manifest("crops", 1, "crops", "video", "pixel", {}, "benchmark")
    (folder / "png").mkdir()
    with ShardWriter(folder / "train" / "v.h5") as writer:
        for number, pictures in enumerate(islice(samples(video), SAMPLES)):
            writer.append({"blurry": pictures[0], "sharp": pictures[1:], "times": np.linspace(0, 1, TARGETS)})
            for index, picture in enumerate(pictures):
                cv2.imwrite(str(folder / "png" / f"{number}_{index}.png"), picture[..., ::-1])
        count = writer.samples
        content = writer.finish({"fingerprint": "f", "transfer": "pixel", "provenance": "{}"})
    manifest.enter("train", Entry("v", "train/v.h5", count, count * TARGETS, 0, "f", content))
    manifest.write(folder)
    return count


def from_shard(tiles: tuple[Tiles, Tiles], number: int, top: int, left: int) -> np.ndarray:
    """(8, c, c, 3) uint8 RGB."""
    blurry, sharp = (array.crop(number, slice(top, top + CROP), slice(left, left + CROP)) for array in tiles)
    return np.concatenate([blurry[None], sharp])


def from_png(folder: Path, number: int, top: int, left: int) -> np.ndarray:
    """The same out of eight PNGs."""
    pictures = [cv2.imread(str(folder / "png" / f"{number}_{index}.png")) for index in range(1 + TARGETS)]
    return np.stack([picture[top : top + CROP, left : left + CROP, ::-1] for picture in pictures])


def tensors(crop: np.ndarray) -> torch.Tensor:
    """(8, 3, c, c) float32 in [0, 1]."""
    return torch.from_numpy(crop).permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format).div_(255)


def seconds(read: Callable[[int], object], crops: int) -> float:
    start = time.perf_counter()
    for number in range(crops):
        read(number)
    return (time.perf_counter() - start) / crops


def main() -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        count = write(Path(sys.argv[1]) if len(sys.argv) > 1 else rendered(folder / "video.mp4"), folder)
        rng = np.random.default_rng(0)
        places = [(int(rng.integers(count)), int(rng.integers(HEIGHT - CROP + 1)), int(rng.integers(WIDTH - CROP + 1))) for _ in range(8)]
        file = open_dataset(folder).shards("train")[0].file
        tiles = Tiles(file["blurry"]), Tiles(file["sharp"])
        assert np.array_equal(from_shard(tiles, *places[0]), from_png(folder, *places[0]))
        dataset = BlurDataset(folder, "train", CROP)
        ways: dict[str, tuple[Callable[[int], object], int]] = {
            "shard pixels": (lambda crop: from_shard(tiles, *places[crop % len(places)]), 32),
            "png pixels": (lambda crop: from_png(folder, *places[crop]), len(places)),
            "shard tensors": (dataset.__getitem__, 32),
            "png tensors": (lambda crop: tensors(from_png(folder, *places[crop])), len(places)),
        }
        best = dict.fromkeys(ways, float("inf"))
        for _ in range(ROUNDS):  # in turns, so that what else the machine does meets all
            best = {way: min(best[way], seconds(*ways[way])) for way in ways}
        size = (folder / "train" / "v.h5").stat().st_size / sum(file.stat().st_size for file in (folder / "png").iterdir())
    for kind in ("pixels", "tensors"):
        ours, png = best[f"shard {kind}"], best[f"png {kind}"]
        print(f"crops as {kind}: {1 / ours:.0f} a second, from PNGs {1 / png:.1f}, ratio {png / ours:.1f} (aim: at least 30)")
    print(f"size: {size:.2f} of the PNGs (aim: at most 1.5)")


if __name__ == "__main__":
    main()
