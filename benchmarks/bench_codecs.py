"""Codecs for the tiles of a shard: size against PNG, speed against zstd, each on one core.

    python benchmarks/bench_codecs.py VIDEO…

Every tenth of the first sixty frames, in tiles of 128x128. Lossless JPEG XL is no codec of blurbench; it is measured where `imagecodecs`
is installed.
"""

from __future__ import annotations

import importlib.util
import itertools
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import zstandard

from blurbench.store.shard import CODECS, TILE
from blurbench.types import U8
from blurbench.video.decode import VideoSource

Pair = tuple[Callable[[U8], bytes], Callable[[bytes], Any]]


def codecs() -> dict[str, Pair]:
    """Name -> from tile to bytes, and back to the tile or its bytes."""
    unpack = {"zstd": zstandard.ZstdDecompressor().decompress, "gzip": zlib.decompress}
    found: dict[str, Pair] = {name: (lambda tile, pack=pack: pack(tile.tobytes()), unpack[name]) for name, (_, pack) in CODECS.items()}
    if importlib.util.find_spec("imagecodecs"):
        import imagecodecs

        for effort in (1, 2, 3):
            found[f"JPEG XL, effort {effort}"] = (
                lambda tile, effort=effort: imagecodecs.jpegxl_encode(tile, lossless=True, effort=effort, numthreads=1),
                lambda data: imagecodecs.jpegxl_decode(data, numthreads=1),
            )
    return found


def tiles(frame: U8) -> list[U8]:
    """The whole tiles of a frame."""
    corners = itertools.product(*(range(0, size - TILE + 1, TILE) for size in frame.shape[:2]))
    return [np.ascontiguousarray(frame[y : y + TILE, x : x + TILE]) for y, x in corners]


def main() -> None:
    cv2.setNumThreads(1)
    for video in map(Path, sys.argv[1:]):
        frames = [frame.image for frame in itertools.islice(VideoSource(video).frames(), 0, 60, 10)]
        cut = [tile for frame in frames for tile in tiles(frame)]
        raw = sum(tile.nbytes for tile in cut)
        png = sum(len(cv2.imencode(".png", frame)[1]) for frame in frames) / sum(frame.nbytes for frame in frames)
        reference: tuple[float, float] | None = None
        for name, (pack, unpack) in codecs().items():
            start = time.process_time()
            packed = [pack(tile) for tile in cut]
            middle = time.process_time()
            whole = [unpack(data) for data in packed]
            writing, reading = middle - start, time.process_time() - middle
            assert all(np.array_equal(np.frombuffer(a, np.uint8), b.ravel()) for a, b in zip(whole, cut, strict=True))
            reference = reference or (writing, reading)
            size = sum(map(len, packed)) / raw / png
            shares = f"writes at {reference[0] / writing:.2f} and reads at {reference[1] / reading:.2f} of the speed of zstd"
            print(f"{video.stem}, {name}: {size:.2f} of PNG's size, {shares}", flush=True)


if __name__ == "__main__":
    main()
