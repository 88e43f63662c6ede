"""A method's video of one picture: a moving picture for each solution, and one sheet with all of their frames."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from blurbench import methods, running
from blurbench import weights as files
from blurbench.errors import BlurbenchError, DataSetError, SourceError
from blurbench.methods import Capabilities, Method
from blurbench.metrics.psnr import psnr
from blurbench.metrics.select import quantise, reversed_is_better
from blurbench.remarks import remarks
from blurbench.report import animation
from blurbench.report.figures import solutions_sheet
from blurbench.run.predict import FRAMES, photograph
from blurbench.store.reader import open_dataset
from blurbench.synth.annotation import read_labelme
from blurbench.types import U8, Prediction, Sample
from blurbench.video.images import read_rgb, write_rgb


@dataclass(frozen=True)
class Animated:
    """What was made: a moving picture a solution, the sheet of all, what a person should know of this run, and the prediction itself."""

    files: list[Path]
    sheet: Path
    notes: list[str]
    prediction: Prediction


@dataclass(frozen=True)
class Hint:
    """What `--guidance` says: a labelme file, how many solutions to draw, or the pictures before and after; None where it does not."""

    file: Path | None = None
    samples: int | None = None
    before: Path | None = None
    after: Path | None = None

    @classmethod
    def parse(cls, text: str | None) -> Self:
        """From `FILE.json`, `sample:N` or `neighbours:PREV[,NEXT]`; None is no hint. Raises BlurbenchError for anything else."""
        kind, _, rest = (text or "").partition(":")
        if text is None:
            return cls()
        if kind == "sample" and re.fullmatch("[1-9][0-9]{0,3}", rest):
            return cls(samples=int(rest))
        if kind == "neighbours" and all(paths := rest.split(",", 1)):
            return cls(before=Path(paths[0]), after=Path(paths[1]) if len(paths) > 1 else None)
        if text.endswith(".json"):
            return cls(file=Path(text))
        raise BlurbenchError(
            f"guidance is {text!r}, expected FILE.json, sample:N (N from 1 to 9999) or neighbours:PREV[,NEXT]; give one of them"
        )

    @property
    def shows(self) -> str:
        """What a method must be able to see to make use of it: "guidance", "before" or "" for nothing."""
        return "guidance" if self.file else "before" if self.before else ""


def animate(
    method: str,
    image: Path | str | None = None,
    out: Path | str = "animations",
    *,
    dataset: str | Path | None = None,
    sample: str | None = None,
    split: str | None = None,
    weights: Path | str | None = None,
    options: Mapping[str, str] | None = None,
    guidance: str | None = None,
    frames: int | None = None,
    format: str = "webp",
    fps: float = 10,
    bounce: bool = False,
    device: str = "cpu",
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Animated:
    """Run a method on a photograph, or on a sample of a made data set, and write `<id>-<method>[-<k>].<format>` and `…-sheet.png`.

    image: of the photograph; or dataset and sample (its id), from which guidance, neighbours and truth are taken. split: of the sample,
    needed where several have its id. guidance: see `Hint.parse`; what it gives goes before what the sample has. A method that names
    another for it in `variants` makes room for that one.
    options: of the method, see `methods.load_method`.
    frames: how many to ask for, 7 by default; a sample has its own number. format: one of `blurbench.report.animation.FORMATS`.
    bounce: run to the last frame and back to the first, as nothing in one picture tells the direction.
    progress: called with the solutions written and their total. Raises BlurbenchError.
    """
    image, out = None if image is None else Path(image), Path(out)
    animation.check(format, fps)
    hint = Hint.parse(guidance)
    name, cls = _interface(method, hint)
    _refuse_misfit(cls, hint)
    if image is not None and dataset is None and sample is None:
        seen = _photograph(image, cls, hint, frames)
    elif image is None and dataset is not None:
        seen = _stored(dataset, sample, split, cls.capabilities, frames)
    else:
        told = f"{image} and a sample of {dataset or 'a data set'} were both given" if image else "no picture was given"
        raise BlurbenchError(f"{told}, expected one; give IMAGE, or --dataset and --sample")
    seen = replace(seen, extras={**seen.extras, **_extras(hint, seen, cls.capabilities)})
    if weights is None and name != method and files.found(cls.card.keeper) is None:
        weights = files.found(methods.method_class(method).card.keeper)  # a variant has the weights of what was asked for
    runner = methods.load_method(name, weights, device, options)
    prediction = running.predict(runner, seen, samples=hint.samples or 1, seed=seed)
    solutions = [quantise(one, "round") for one in prediction.frames]
    stem = f"{seen.id}-{runner.label}".replace("/", "-")
    paths = []
    for number, shown in enumerate(solutions, 1):
        paths.append(out / (f"{stem}-{number}.{format}" if len(solutions) > 1 else f"{stem}.{format}"))
        animation.write_moving(paths[-1], [*shown, *shown[-2:0:-1]] if bounce else list(shown), fps)
        progress(number, len(solutions))
    rows = {} if image else {"truth": seen.sharp}
    rows |= {_title(number, solutions, cls.card.id, rows.get("truth")): shown for number, shown in enumerate(solutions)}
    sheet = out / f"{stem}-sheet.png"
    write_rgb(sheet, solutions_sheet(_looked_at(seen, cls.capabilities), rows, f"seed {seed}" if cls.capabilities.stochastic else ""))
    notes = [*remarks(runner), *_notes(method, cls, hint, frames, image is not None)]
    return Animated(paths, sheet, notes, prediction)


def _interface(name: str, hint: Hint) -> tuple[str, type[Method]]:
    """The method that is meant by a name and a hint: itself, or that of its `variants` which can see what the hint shows."""
    cls = methods.method_class(name)
    name = cls.variants.get(hint.shows, name)
    return name, methods.method_class(name)


def _refuse_misfit(cls: type[Method], hint: Hint) -> None:
    """Raises BlurbenchError for a hint of which the method can make nothing."""
    can, name = cls.capabilities, cls.card.id
    if hint.samples and not can.stochastic:
        raise BlurbenchError(f"{name} has one solution a picture, expected a method that draws for sample:{hint.samples}; leave it out")
    if hint.file and "guidance" not in can.needs:
        raise BlurbenchError(f"{name} takes no motion guidance, which {hint.file} is; leave it out, or take a method that does")
    if hint.before and not can.before and not can.after:
        raise BlurbenchError(f"{name} looks at no neighbour, which {hint.before} is; leave it out, or take a method that does")
    if hint.after and not can.after:
        raise BlurbenchError(f"{name} looks at no exposure after, which {hint.after} is; give neighbours:{hint.before} alone")


def _photograph(image: Path, cls: type[Method], hint: Hint, frames: int | None) -> Sample:
    """Raises SourceError, BlurbenchError for a method that must see what a photograph does not have."""
    can, name = cls.capabilities, cls.card.id
    if "sharp" in can.needs:
        raise SourceError(f"{name} needs sharp frames, which plain images do not have; give --dataset and --sample instead of {image}")
    if "guidance" in can.needs and hint.file is None:
        raise BlurbenchError(f"{name} needs motion guidance, which {image} does not have; give --guidance FILE.json, drawn with labelme")
    return photograph(image, can.frames or frames or FRAMES)


def _stored(dataset: str | Path, name: str | None, split: str | None, can: Capabilities, frames: int | None) -> Sample:
    """A sample by id, with the neighbours that a method looks at. Raises BlurbenchError for one that is not there, or for any `frames`."""
    data = open_dataset(dataset)
    if frames is not None:
        raise BlurbenchError(f"{frames} frames were asked of a sample, expected the number that it has; leave --frames out")
    if name is None:
        first = min((id for split in data.manifest.splits for id in data.ids(split)), default="VIDEO/00000")
        raise DataSetError(f"data set {dataset} was given without a sample, expected its id; give --sample, e.g. {first}")
    return data.sample(name, can.before, can.after, split)


def _extras(hint: Hint, sample: Sample, can: Capabilities) -> dict[str, Any]:
    """What the hint adds to a sample: guidance; neighbours, each as often as the method looks at one. Raises BlurbenchError."""
    size = sample.blurry.shape[:2]
    extras: dict[str, Any] = {}
    if hint.file:
        extras["guidance"] = read_labelme(hint.file, (size[0], size[1]))
    for side, path, count in (("before", hint.before, can.before), ("after", hint.after, can.after)):
        if path and count:
            picture = read_rgb(path)
            if picture.shape[:2] != size:
                told = f"{picture.shape[1]}x{picture.shape[0]}, expected {size[1]}x{size[0]} (width x height) as {sample.id}"
                raise SourceError(f"neighbour {path} is {told}; give an exposure of the same video")
            extras[side] = np.repeat(picture[None], count, axis=0)
    return extras


def _looked_at(sample: Sample, can: Capabilities) -> Sample:
    """The sample without guidance where the method sees none: on the sheet it would look as if it had followed it."""
    return replace(sample, extras={key: value for key, value in sample.extras.items() if key != "guidance" or key in can.needs})


def _title(number: int, solutions: Sequence[U8], name: str, truth: U8 | None) -> str:
    """Of a row of the sheet, with how near it comes to the truth where that has as many frames."""
    title = f"{name}, solution {number + 1} of {len(solutions)}" if len(solutions) > 1 else name
    if truth is None or truth.shape != solutions[number].shape:
        return title
    forward, backward = psnr(solutions[number], truth), psnr(solutions[number][::-1], truth)
    turned = reversed_is_better(forward, backward)
    return f"{title}: mean PSNR {(backward if turned else forward).mean():.2f} dB" + (", read backwards" if turned else "")


def _notes(asked: str, cls: type[Method], hint: Hint, frames: int | None, plain: bool) -> Iterator[str]:
    can, name = cls.capabilities, cls.card.id
    if hint.shows and name != methods.method_class(asked).card.id:
        yield f"{name}: the variant of {asked} that sees what --guidance gives"
    if can.frames == 1:
        yield f"{name} gives one frame, so that each file shows a still picture"
    elif can.frames and frames and frames != can.frames:
        free = cls.variants.get("frames")
        yield f"{name} always gives {can.frames} frames, not {frames}" + (f"; --method {free} gives as many as asked" if free else "")
    for side, path, count in (("before", hint.before, can.before), ("after", hint.after, can.after)):
        if count and not path and plain:
            yield f"{name} looks at {count} exposures {side}; none was given, the picture itself stands for them"
        elif path and count > 1:
            yield f"{name} looks at {count} exposures {side}; {path} stands for all"
