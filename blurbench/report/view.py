"""One sample and what methods made of it: a contact sheet and an animation, without a site."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from blurbench.errors import PredictionError
from blurbench.metrics.psnr import pool, psnr
from blurbench.metrics.select import quantise, reversed_is_better
from blurbench.report import animation
from blurbench.report.figures import below, beside, framed, label, resized, sample_sheet, title
from blurbench.run.predictions import Predictions
from blurbench.run.record import file_name
from blurbench.store.disk import telling
from blurbench.store.reader import MadeDataSet, open_dataset
from blurbench.types import F64, U8, Sample
from blurbench.video.images import write_rgb

_ROW = 4  # pictures beside each other in the animation


def view(
    dataset: Path | str,
    sample: str,
    runs: Sequence[Path | str] = (),
    out: Path | str = "views",
    *,
    split: str | None = None,
    format: str = "webp",
    fps: float = 6.0,
) -> list[Path]:
    """Write `<data>__<sample>-sheet.png` and `<data>__<sample>.<format>`, the data as records name them; returns their paths.

    The sheet has the first, middle and last frame of the truth and of each run, the animation all of them side by side. runs: folders of
    stored predictions, of which the first draw is shown, in the better direction of the clip by PSNR pooled over its frames.
    split: of the sample, where several have its id; that of the predictions by default. format, fps: see
    `blurbench.report.animation.write_moving`. Raises BlurbenchErrors: PredictionError for predictions that are missing or of other
    data, others.
    """
    animation.check(format, fps)
    data, stored = open_dataset(dataset), [Predictions(Path(folder)) for folder in runs]
    split, _, _ = data.place(sample, split or _predicted(data, sample, stored))
    seen = data.sample(sample, split=split)
    clips: dict[str, U8] = {}
    notes: dict[str, str] = {}
    for each in stored:
        if each.header:
            each.header.check(data, split, each.folder)
        name, frames, note = _clip(each, seen)
        name = name if name not in clips else f"{name} ({each.folder})"
        clips[name] = frames
        if note:
            notes[name] = note
    stem = f"{file_name(data.manifest.label)}-{split}-{data.manifest.fingerprint(split)[:8]}__{sample.replace('/', '-')}"
    paths = [Path(out) / f"{stem}-sheet.png", Path(out) / f"{stem}.{format}"]
    with telling(Path(out)):
        Path(out).mkdir(parents=True, exist_ok=True)
    write_rgb(paths[0], sample_sheet(seen, clips, notes))
    animation.write_moving(paths[1], moving(seen, clips), fps)
    return paths


def moving(sample: Sample, clips: dict[str, U8], width: int = 320) -> list[U8]:
    """Frames (H', W', 3) uint8 of the blurry picture, the truth and each clip side by side, each `width` wide, with labels.

    A clip of fewer frames than another stands still on its last.
    """
    shown = {"blurry input": sample.blurry[None], "truth": sample.sharp, **clips}
    count = max(map(len, shown.values()))
    return [_frame(sample.id, shown, step, count, width) for step in range(count)]


def _predicted(data: MadeDataSet, sample: str, stored: Sequence[Predictions]) -> str | None:
    """The first split that has the sample and predictions; None where none has."""
    splits = [each.header.split for each in stored if each.header]
    return next((split for split in splits if split in data.manifest.splits and sample in data.ids(split)), None)


def _frame(id: str, shown: dict[str, U8], step: int, count: int, width: int) -> U8:
    cells = [label(resized(frames[min(step, len(frames) - 1)], width), name) for name, frames in shown.items()]
    rows = below([beside(cells[start : start + _ROW]) for start in range(0, len(cells), _ROW)])
    return framed(below([title(id, f"frame {step + 1} of {count}", rows.shape[1]), rows]))


def _clip(stored: Predictions, sample: Sample) -> tuple[str, U8, str]:
    """The name and frames of the first draw, reversed where that is nearer to the truth, and how near it comes."""
    frames = quantise(stored.get(sample).frames[0], "round")
    name = stored.header.method if stored.header else stored.folder.name
    if frames.shape[1:] != sample.blurry.shape:
        size, wanted = (f"{shape[1]}x{shape[0]}" for shape in (frames.shape[1:], sample.blurry.shape))
        raise PredictionError(f"{stored.folder} has frames of {size} for {sample.id}, expected {wanted} (width x height); predict again")
    if len(frames) != len(sample.sharp):
        return name, frames, ""
    forward, backward = psnr(frames, sample.sharp), psnr(frames[::-1], sample.sharp)
    if reversed_is_better(forward, backward):
        return f"{name}, reversed", frames[::-1], _near(backward)
    return name, frames, _near(forward)


def _near(values: F64) -> str:
    """In words how near the frames with these PSNRs (T,) come to the truth, by what decides the direction."""
    value = pool(values)
    return f"PSNR of all frames {value:.2f} dB" if math.isfinite(value) else "the truth itself"
