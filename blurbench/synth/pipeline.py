"""Making a data set: one shard a source, each finished before it is entered in the manifest; what is finished is not made again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2

import blurbench
from blurbench.errors import DataSetError, RecipeError
from blurbench.store import manifest as manifests
from blurbench.store.manifest import Entry, Manifest
from blurbench.store.reader import data_root
from blurbench.store.shard import CODECS, PART, Shard, ShardWriter
from blurbench.synth import recipe as recipes
from blurbench.synth.expose import Samples, framed_size
from blurbench.synth.recipe import Recipe
from blurbench.video import interpolate
from blurbench.video.discover import find_sources
from blurbench.video.render import RenderedSource
from blurbench.video.source import HasMotion, Source

SYNTHESIS = 1  # raise it whenever the same recipe and source would give other values
BUILT_IN_CLIPS = {"train": 8, "test": 8}
WINDOWS_A_CLIP = 4


@dataclass(frozen=True)
class Job:
    """One unit of work: a source of a split, by a recipe, into a folder."""

    source: Source
    split: str
    recipe: Recipe
    folder: Path
    codec: str

    @property
    def file(self) -> str:
        return f"{self.split}/{self.source.id}.h5"

    def fingerprint(self, interpolator: interpolate.Interpolator) -> str:
        """SHA-256 of all that decides the stored values."""
        parts = {"synthesis": SYNTHESIS, "source": self.source.fingerprint(), "recipe": self.recipe.processing()}
        parts["interpolation"] = {k: v for k, v in interpolator.facts().items() if k != "opencv"}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Made:
    """A finished unit. `fresh` is False when the shard was there already."""

    split: str
    entry: Entry
    fresh: bool


Progress = Callable[[str, int], None]
"""Called with a source's id and how many of its frames were read since the last call."""


def make_dataset(
    recipe: str,
    source: Path | str | None = None,
    out: Path | str | None = None,
    *,
    splits: tuple[str, ...] = (),
    clips: dict[str, int] | None = None,
    size: tuple[int, int] = (192, 320),
    seed: int = 0,
    workers: int = 1,
    codec: str = "zstd",
    keep_variable_rate: bool = False,
    progress: Progress = lambda source, frames: None,
    planned: Callable[[list[Job]], None] = lambda jobs: None,
) -> Manifest:
    """Make a data set and return its manifest.

    recipe: name or TOML file. source: a video, an image folder, or a folder of either; None for the built-in rendered footage, of which
    `clips` are made a split at `size` (height, width) from `seed`. splits: only these. workers: processes, each with one source at a time.
    Raises BlurbenchError (bad source, recipe, folder); finished shards stay and are taken up by the next run.
    """
    if codec not in CODECS:
        raise RecipeError(f"codec is {codec!r}, expected one of {', '.join(CODECS)}")
    base = recipes.load(recipe)
    chosen = base.for_built_in() if source is None else base
    folder = Path(out) if out is not None else data_root() / base.id
    if source is None:
        found = _built_in(chosen, {**BUILT_IN_CLIPS, **(clips or {})}, size, seed)
    else:
        found = _from_path(chosen, Path(source), keep_variable_rate)
    if unknown := set(splits) - {split for split, _ in found}:
        raise RecipeError(f"--split {sorted(unknown)[0]}: the source has only {', '.join(sorted({s for s, _ in found}))}")
    jobs = [Job(s, split, chosen, folder, codec) for split, s in found if not splits or split in splits]
    planned(jobs)
    manifest = _open_manifest(folder, chosen, "rendered" if source is None else "video")
    _sweep(folder)
    for made in _run(jobs, workers, progress):
        manifest.enter(made.split, made.entry)
        manifest.write(folder)
    return manifest


def make_shard(job: Job, progress: Progress = lambda source, frames: None) -> Made:
    """Make one shard, or find it finished and intact. Raises SourceError; then nothing is left behind."""
    cv2.setNumThreads(1)  # sources run side by side; OpenCV's own threads would only get in the way
    interpolator = interpolate.load(job.recipe.interpolation.method)
    fingerprint = job.fingerprint(interpolator)
    path = job.folder / job.file
    with closing(Shard(path, job.source.id)) as old:
        if path.is_file() and old.intact(fingerprint):
            counts = json.loads(old.file.attrs["counts"])
            return Made(
                job.split,
                Entry(job.source.id, job.file, len(old), **counts, fingerprint=fingerprint, content=str(old.file.attrs["content"])),
                False,
            )
    samples = Samples(job.source, job.recipe, interpolator, lambda: progress(job.source.id, 1))
    with ShardWriter(path, job.codec) as writer:
        for sample in samples:
            writer.append(sample)
        counts = {"frames": samples.frames, "unused": samples.unused}
        provenance = {
            "source": {**job.source.facts(), "sha256": job.source.fingerprint()},
            "recipe": job.recipe.processing(),
            "interpolation": interpolator.facts(),
            "made_with": {"blurbench": blurbench.__version__, "opencv": cv2.__version__, "synthesis": SYNTHESIS},
        }
        content = writer.finish(
            {
                "fingerprint": fingerprint,
                "transfer": job.recipe.transfer,
                "counts": json.dumps(counts),
                "provenance": json.dumps(provenance),
            }
        )
    return Made(job.split, Entry(job.source.id, job.file, writer.samples, **counts, fingerprint=fingerprint, content=content), True)


def _built_in(recipe: Recipe, clips: dict[str, int], size: tuple[int, int], seed: int) -> list[tuple[str, Source]]:
    """Rendered clips just long enough for a few windows each."""
    windows = recipe.windows("")
    last = windows.start(WINDOWS_A_CLIP - 1) + windows.length - 1
    frames = -(-last // recipe.interpolation.factor) + 1
    return [(split, RenderedSource(split, n, frames, size, seed)) for split, count in clips.items() for n in range(count)]


def _from_path(recipe: Recipe, path: Path, keep_variable_rate: bool) -> list[tuple[str, Source]]:
    """Sources below a path; the split is that of the folder, else that of the recipe's lists, else test."""
    found = find_sources(path, fps=recipe.fps, keep_variable_rate=keep_variable_rate)
    return [(one.split or recipe.split_of(one.source.id) or "test", one.source) for one in found]


def _open_manifest(folder: Path, recipe: Recipe, footage: str) -> Manifest:
    """The manifest to go on with, or a new one. Raises DataSetError when the folder holds something else."""
    fresh = Manifest(
        recipe.id, recipe.version, recipe.title, footage, recipe.transfer, recipe.processing(), blurbench=blurbench.__version__
    )
    if not (folder / manifests.NAME).exists():
        if folder.exists() and not folder.is_dir():
            raise DataSetError(f"{folder} is a file, expected a folder to make the data set in; give another --out")
        return fresh
    old = manifests.read(folder)
    if old.recipe != fresh.recipe or old.footage != footage:
        raise DataSetError(
            f"{folder} already holds {old.label!r} version {old.version} made by another recipe or from other footage; "
            "give another --out, or delete the folder"
        )
    return old


def _sweep(folder: Path) -> None:
    """Remove what a killed run left half-written."""
    for part in folder.glob(f"**/.*{PART}"):
        part.unlink(missing_ok=True)


def _run(jobs: list[Job], workers: int, progress: Progress) -> Iterator[Made]:
    if workers <= 1 or len(jobs) <= 1:
        for job in jobs:
            yield make_shard(job, progress)
        return
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(make_shard, job): job for job in jobs}
        try:
            for future in as_completed(futures):
                made = future.result()
                progress(made.entry.video, made.entry.frames)
                yield made
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def describe(jobs: list[Job]) -> dict[str, Any]:
    """What a run is about to do, for a dry run: sources a split and bytes of pixels before compression (None where lengths are unknown)."""
    plan: dict[str, Any] = {"splits": {}, "bytes": 0}
    for job in jobs:
        plan["splits"][job.split] = plan["splits"].get(job.split, 0) + 1
        windows, factor = job.recipe.windows(job.source.id), job.recipe.interpolation.factor
        if plan["bytes"] is None or job.source.length is None:
            plan["bytes"] = None
            continue
        count = windows.count((job.source.length - 1) * factor + 1)
        height, width = framed_size(job.source.size, job.recipe.frame)
        flow = (len(windows.targets) - 1) * 2 * 2 if isinstance(job.source, HasMotion) else 0  # two float16 a pixel
        plan["bytes"] += count * height * width * (3 * (1 + len(windows.targets)) + flow)
    return plan
