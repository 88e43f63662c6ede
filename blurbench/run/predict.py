"""A method on plain photographs: pictures in, sharper pictures (or a frame each) out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from blurbench import methods, running
from blurbench.errors import BlurbenchError, PredictionError, SourceError, warn
from blurbench.methods import Method
from blurbench.metrics.select import quantise
from blurbench.remarks import remarks
from blurbench.store.disk import telling
from blurbench.types import U8, Sample
from blurbench.video.images import IMAGE_SUFFIXES, image_files, read_rgb, write_rgb

FRAMES = 7
"""Frames asked for on a photograph, of a method that lets one choose."""


def predict_images(
    method: str,
    inputs: Path | str | Sequence[Path | str],
    out: Path | str,
    *,
    weights: Path | str | None = None,
    options: Mapping[str, str] | None = None,
    frames: int | None = None,
    samples: int = 1,
    device: str = "cpu",
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
    note: Callable[[str], None] = warn,
) -> list[Path]:
    """Run a method on images (files or folders of them, or one of either) and write PNGs.

    `<stem>.png` for one frame, `<stem>/<frame>.png` for several.
    Of several samples the k-th, from 1, has `<stem>-<k>` in place of `<stem>`.

    options: of the method, see `methods.load_method`.
    frames: how many are asked of a method that lets one choose, 7 by default. samples, seed: of a stochastic method.
    note: called with what a user must know of the weights, and with how many earlier pictures are replaced.
    All images are looked at, and the folders made, before the first is predicted. Raises SourceError for one that cannot be read or would
    be written over, or a method that needs more than an image; BlurbenchError for a number of frames that the method does not give;
    DataSetError for a folder that cannot be made; PredictionError.
    """
    inputs = [inputs] if isinstance(inputs, str | Path) else inputs
    runner = methods.load_method(method, weights, device, options)
    _require_plain(runner)
    methods.require_samples(runner, samples)
    count = _frames(runner, frames)
    images, out = _expand([Path(each) for each in inputs]), Path(out)
    for path in images:
        read_rgb(path)
    targets = {path: _targets(out, path.stem, samples, count) for path in images}
    every = [target for each in targets.values() for target in each]
    resolved = {target.resolve() for target in every}
    for path in images:
        if path.resolve() in resolved:
            raise SourceError(f"the prediction of {path} would be written over it; give another --out than {out}")
    with telling(out):
        for folder in {target.parent for target in every}:
            folder.mkdir(parents=True, exist_ok=True)
    for remark in remarks(runner):
        note(remark)
    if earlier := sum(target.is_file() for target in every):
        note(f"{earlier} earlier {'pictures' if earlier > 1 else 'picture'} in {out} {'are' if earlier > 1 else 'is'} replaced")
    for done, path in enumerate(images, 1):
        for target, frame in zip(targets[path], _pictures(runner, path, count, samples, seed), strict=True):
            write_rgb(target, frame)
        progress(done, len(images))
    return every


def _targets(out: Path, stem: str, samples: int, frames: int) -> list[Path]:
    """Where the frames of an image are written, sample by sample."""
    names = [f"{stem}-{number}" for number in range(1, samples + 1)] if samples > 1 else [stem]
    return [out / f"{name}.png" if frames == 1 else out / name / f"{frame:03d}.png" for name in names for frame in range(frames)]


def _require_plain(runner: Method) -> None:
    """Raises SourceError for a method that must see what plain images do not have."""
    name, needs = runner.card.id, runner.capabilities.needs
    if "guidance" in needs:
        mend = f"draw it and run `blurbench animate IMAGE --method {name} --guidance FILE.json`"
        raise SourceError(f"{name} needs motion guidance, which plain images do not have; {mend}")
    if needs:
        raise SourceError(f"{name} needs {', '.join(sorted(needs))} frames, which plain images do not have; give --dataset instead")


def _frames(runner: Method, asked: int | None) -> int:
    """How many frames an image becomes. Raises BlurbenchError for another number than the method's own, where that is fixed."""
    own = runner.capabilities.frames
    if own and asked not in (None, own):
        mend = f", or take --method {free}" if (free := runner.variants.get("frames")) else ""
        told = f"{runner.card.id} always gives {own} frame{'s' * (own > 1)}, but --frames {asked} was given"
        raise BlurbenchError(f"{told}; leave it out{mend}")
    return own or asked or FRAMES


def _pictures(runner: Method, path: Path, count: int, samples: int, seed: int) -> U8:
    """The frames of an image, (samples * T, H, W, 3), sample by sample. Raises PredictionError, naming the image."""
    frames = running.predict(runner, photograph(path, count), samples, seed).frames
    try:
        return quantise(frames.reshape(-1, *frames.shape[2:]), "round")
    except PredictionError as error:
        raise PredictionError(f"{runner.card.id} on {path}: {error}") from error


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
            mend = "; folders in it are not read, give them" if any(each.is_dir() for each in path.iterdir()) else ""
            raise SourceError(f"{path} holds no image, expected files with one of the suffixes {', '.join(IMAGE_SUFFIXES)}{mend}")
        images += inside
    stems: dict[str, Path] = {}
    for path in images:
        if path.stem in stems:
            mend = "predict them apart, each with an --out of its own"
            raise SourceError(f"{stems[path.stem]} and {path} would both be written as {path.stem}; {mend}")
        stems[path.stem] = path
    return images
