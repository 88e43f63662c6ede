"""Making a wild-like data set (window 15, one target) from 1280x720 H.264, against decoding the same video to RGB alone."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from _footage import write_recipe, write_video

from blurbench.synth.pipeline import make_dataset
from blurbench.video.decode import VideoSource

FRAMES, ROUNDS = 480, 4


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        video = folder / "video.mp4"
        write_video(video, FRAMES)
        recipe = write_recipe(folder / "wild.toml")
        decode, make = [], []
        for number in range(ROUNDS):
            start = time.perf_counter()
            for _ in VideoSource(video).frames():
                pass
            decode.append(time.perf_counter() - start)
            start = time.perf_counter()
            make_dataset(str(recipe), video, folder / f"out{number}")
            make.append(time.perf_counter() - start)
    alone, whole = FRAMES / min(decode), FRAMES / min(make)
    print(f"make-dataset: {whole:.0f} frames/s, decoding alone {alone:.0f} frames/s, ratio {whole / alone:.2f} (aim: at least 0.6)")


if __name__ == "__main__":
    main()
