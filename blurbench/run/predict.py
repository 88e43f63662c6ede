"""A method on plain photographs: pictures in, sharper pictures (or a frame each) out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from blurbench import methods
from blurbench.errors import SourceError
from blurbench.metrics.select import quantise
from blurbench.types import Sample
from blurbench.video.images import IMAGE_SUFFIXES, image_files, read_rgb, write_rgb


def predict_images(
    method: str,
    inputs: list[Path],
    out: Path,
    *,
    weights: Path | str | None = None,
    options: Mapping[str, str] | None = None,
    frames: int = 7,
    device: str = "cpu",
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Path]:
    """Run a method on images (files or folders of them) and write PNGs: `<stem>.png` for one frame, `<stem>/<frame>.png` for several.

    options: of the method, see `methods.load_method`.
    frames: how many are asked of a method that lets one choose. Raises SourceError, also for a method that needs the sharp frames.
    """
    runner = methods.load_method(method, weights, device, options)
    if runner.capabilities.needs:
        raise SourceError(f"{runner.card.id} needs {', '.join(runner.capabilities.needs)} frames, which plain images do not have")
    images = _expand(inputs)
    count = runner.capabilities.frames or frames
    written: list[Path] = []
    for done, path in enumerate(images):
        prediction = methods.predict(runner, photograph(path, count), seed=seed)
        for number, frame in enumerate(quantise(prediction.frames[0], "round")):
            target = out / f"{path.stem}.png" if count == 1 else out / path.stem / f"{number:03d}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            write_rgb(target, frame)
            written.append(target)
        progress(done + 1, len(images))
    return written


def photograph(path: Path, frames: int) -> Sample:
    """An image file as a sample with so many target times, evenly spread over the exposure; the targets, which nobody knows, are black.

    Its id is the file's name without suffix. Raises SourceError.
    """
    blurry = read_rgb(path)
    blank = np.broadcast_to(np.uint8(0), (frames, *blurry.shape))
    times = (np.arange(frames) + 0.5) / frames
    return Sample(id=path.stem, video=path.stem, blurry=blurry, sharp=blank, times=times, transfer="pixel")


def _expand(inputs: list[Path]) -> list[Path]:
    """Files as given, folders as the images in them. Raises SourceError for two files that would be written to one name."""
    images: list[Path] = []
    for path in inputs:
        inside = image_files(path) if path.is_dir() else [path]
        if not inside:
            raise SourceError(f"{path} holds no image, expected files with one of the suffixes {', '.join(IMAGE_SUFFIXES)}")
        images += inside
    stems: dict[str, Path] = {}
    for path in images:
        if path.stem in stems:
            raise SourceError(f"{stems[path.stem]} and {path} would both be written as {path.stem}; rename one")
        stems[path.stem] = path
    return images
