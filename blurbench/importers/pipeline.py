"""Importing a release: one shard a video, the manifest when all are finished; what is finished is not read again but for its hashes."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

import blurbench
from blurbench.errors import SourceError, UnknownNameError, warn
from blurbench.importers import layouts, settings
from blurbench.importers.layouts import Layout
from blurbench.importers.read import read_sample
from blurbench.importers.scan import MEND, Files, Problem, Video, missing, scan
from blurbench.store import build
from blurbench.store import manifest as manifests
from blurbench.store.build import Made, Progress
from blurbench.store.fingerprint import UNREADABLE, of_release
from blurbench.store.manifest import Entry, Manifest
from blurbench.store.reader import data_root
from blurbench.store.shard import Shard, ShardWriter
from blurbench.synth import boxes
from blurbench.synth.recipe import Recipe
from blurbench.types import U8
from blurbench.video.images import folder_name, read_rgb


@dataclass(frozen=True)
class Job:
    """One unit of work: a video of a release, into a folder."""

    video: Video
    root: Path
    layout: Layout
    options: dict[str, str]
    recipe: Recipe
    folder: Path
    codec: str
    skip_broken: bool

    @property
    def split(self) -> str:
        """That of the video."""
        return self.video.split

    @property
    def file(self) -> str:
        """Path of the shard, relative to the folder."""
        return f"{self.video.split}/{self.video.id}.h5"


def import_dataset(
    layout: str,
    source: Path | str,
    out: Path | str | None = None,
    *,
    changes: Sequence[str] = (),
    splits: tuple[str, ...] = (),
    codec: str = "zstd",
    workers: int = 1,
    skip_broken: bool = False,
    progress: Progress = lambda video, samples: None,
    planned: Callable[[list[Job]], None] = lambda jobs: None,
    note: Callable[[str], None] = warn,
) -> Manifest:
    """Import a release and return the manifest of the data set made from it.

    layout: its name. source: the folder. changes: `key=value` of the layout's options or its recipe's keys. splits: only these.
    skip_broken: what is missing, unpaired or unreadable is left out, counted and named in the manifest and shards; else it is an error.
    The manifest appears when every video is finished; one that is there meanwhile names the new ones as unfinished. Raises BlurbenchError.
    """
    build.check("import_dataset", changes, splits, codec, workers)
    form, root = layouts.find(layout), Path(source)
    options, recipe = settings.read(form, changes)
    folder = Path(out) if out is not None else data_root() / form.id
    videos = scan(root, form, options, recipe, splits, note)
    lacking = missing(videos, recipe)
    if unknown := set(splits) - {video.split for video in videos}:
        raise UnknownNameError("split", min(unknown), {video.split for video in videos}, str(root))
    videos = [video for video in videos if not splits or video.split in splits]
    lacking = {split: names for split, names in lacking.items() if not splits or split in splits}
    _refuse(root, videos, lacking, skip_broken, recipe)
    jobs = [Job(video, root, form, options, recipe, folder, codec, skip_broken) for video in videos]
    planned(jobs)
    broken: Counter[str] = Counter()
    with build.making(folder, settings.manifest(form, options, recipe)) as manifest:
        there = build.videos(jobs)
        kept = [e.video for split, names in there.items() for e in manifest.splits.get(split, []) if e.video not in names]
        build.tell_kept(folder, kept, note)
        build.plan(folder, manifest, jobs, note)
        for made in build.run(jobs, make_shard, workers, progress, note):
            if made.entry.samples:
                manifest.enter(made.split, made.entry)
            else:
                manifest.drop(made.split, made.entry.video)
                lacking.setdefault(made.split, []).append(made.entry.video)
                broken.update(made.entry.left_out)
        lacking = {split: [name for name in names if name not in kept] for split, names in lacking.items()}
        others = {split: names for split, names in manifest.missing.items() if splits and split not in splits}
        manifest.missing = others | {split: names for split, names in lacking.items() if names}
        if not manifest.splits:
            (folder / manifests.NAME).unlink(missing_ok=True)  # of shards that are no more
            raise SourceError(f"{root} has no whole sample, {_reasons(broken, videos)}; mend that, or copy the release again")
        manifest.write(folder)
    _remark(form, manifest, note)
    return manifest


@build.one_thread()
def make_shard(job: Job, progress: Progress = lambda video, samples: None) -> Made:
    """Make one shard, or find it finished and intact. Raises SourceError; then, and when no sample is whole, nothing is left behind."""
    video = job.video
    hashes = _hashes(job)
    fingerprint = _fingerprint(job, hashes)
    path = job.folder / job.file
    with closing(Shard(path, video.id)) as old:
        if path.is_file() and old.intact(fingerprint):
            progress(video.id, len(video.samples))
            return Made(video.split, _entry(job, len(old), fingerprint, old.file.attrs["content"], old.file.attrs["counts"]), False)
    problems = list(video.problems)
    with ShardWriter(path, job.codec) as writer:
        for sample in _samples(job, hashes, problems):
            if sample is not None:
                writer.append(sample)
            progress(video.id, 1)
        counts = json.dumps(_counts(video, writer.samples, problems))
        if not writer.samples:
            path.unlink(missing_ok=True)  # of other files of this name
            return Made(video.split, _entry(job, 0, fingerprint, "", counts), True)
        content = writer.finish(
            {
                "fingerprint": fingerprint,
                "transfer": job.recipe.curve().spelling(),
                "counts": counts,
                "provenance": json.dumps(_provenance(job, problems)),
            }
        )
    return Made(video.split, _entry(job, writer.samples, fingerprint, content, counts), True)


def describe(jobs: list[Job]) -> dict[str, Any]:
    """What an import is about to do: videos a split, samples, and bytes of pixels before compression."""
    size = 0
    for job in (job for job in jobs if job.video.samples):
        first = job.video.samples[0].roles
        with suppress(SourceError):  # a broken file is told when its turn comes
            picture = read_rgb(job.root / first.get("blurry", first.get("pair", ()))[0])
            area = 3 * job.recipe.boxes.width * job.recipe.boxes.height or picture.nbytes
            size += len(job.video.samples) * area * (1 + len(first.get("sharp", ())))
    samples = sum(len(job.video.samples) for job in jobs)
    return {"splits": Counter(job.video.split for job in jobs), "samples": samples, "bytes": size}


def _refuse(root: Path, videos: list[Video], lacking: dict[str, list[str]], skip_broken: bool, recipe: Recipe) -> None:
    """Raises SourceError for what is missing or does not fit, unless it may be left out."""
    if skip_broken:
        return
    if lacking:
        split, names = next(iter(lacking.items()))
        listed = len((recipe.split or {})[split])
        raise SourceError(
            f"{root} lacks {len(names)} of the {listed} {split} videos, the first is {names[0]}; "
            "copy them, name the splits that are there with --split, or leave them out with --skip-broken"
        )
    problems = [problem for video in videos for problem in video.problems]
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise SourceError(f"{root / problems[0].file} {problems[0].detail}{more}; {MEND}")


def _reasons(broken: Mapping[str, int], videos: list[Video]) -> str:
    """What is wrong with the samples that were left out: kinds with their counts, and an example where the names alone told it."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(broken.items()))
    example = next((problem for video in videos for problem in video.problems), None)
    return kinds + (f" (e.g. {example.file} {example.detail})" if example else "")


def _hashes(job: Job) -> dict[str, str]:
    """SHA-256 by file; a file that cannot be read has the hash of nothing, and is told when it is decoded."""
    found = {}
    for sample in job.video.samples:
        for file in sample.all():
            try:
                found[file] = hashlib.sha256((job.root / file).read_bytes()).hexdigest()
            except OSError:
                found[file] = hashlib.sha256().hexdigest()
    return found


def _fingerprint(job: Job, hashes: dict[str, str]) -> str:
    """SHA-256 of all that decides the stored values: contents and roles of the files, in order, and how they are read."""
    samples = job.video.samples
    files = [[sample.number, {role: [hashes[file] for file in names] for role, names in sample.roles.items()}] for sample in samples]
    return of_release(settings.IMPORT, job.layout.id, settings.rules(job.recipe), files)


def _samples(job: Job, hashes: dict[str, str], problems: list[Problem]) -> Any:
    """The arrays of each sample, None for one that is left out; what is wrong is added to the problems."""
    window = job.recipe.windows(job.video.id).window(0)
    shapes: dict[str, tuple[int, ...]] = {}
    width = max((len(file.encode()) for file in hashes), default=1)
    for files in job.video.samples:
        try:
            sample = read_sample(job.root, files)
            for name, array in sample.items():
                if array.shape != shapes.get(name, array.shape):
                    path = job.root / files.roles.get(name, files.roles.get("pair", files.all()))[0]
                    raise SourceError(f"{path}: shape {array.shape}, expected {shapes[name]} as in the video's first sample")
            whole = {name: array.shape for name, array in sample.items()}
            if job.recipe.boxes.width:
                _crop(job, files, sample)
        except SourceError as error:
            if not job.skip_broken:
                raise SourceError(f"{error}; {MEND}") from error
            problems.append(Problem(files.all()[0], UNREADABLE, str(error)))
            yield None
            continue
        shapes = shapes or whole
        yield {**sample, "times": window.times(), **_averaged(job, files), **_origin(files, hashes, width)}


def _crop(job: Job, files: Files, sample: dict[str, Any]) -> None:
    """Crop a sample to its box, in place. Raises SourceError for a box outside the picture."""
    left, top, right, bottom = sample["bbox"].tolist()
    height, width = size = sample["blurry"].shape[:2]
    if (where := boxes.part((left, top, right, bottom), job.recipe.boxes, size)) is None:
        path = job.root / files.roles["bbox"][0]
        raise SourceError(f"{path}: bbox is {left:g}, {top:g}, {right:g}, {bottom:g}, expected a part of the picture, {width}x{height}")
    boxes.crop_sample(sample, where, job.recipe.boxes)


def _averaged(job: Job, files: Files) -> dict[str, NDArray[np.float64]]:
    """Positions and times of the averaged frames, where the layout has the whole sharp video: it counts its frames from 1."""
    if "frames" not in job.layout.files:
        return {}
    length = job.recipe.window.length
    positions = files.number - 1 - length // 2 + np.arange(length, dtype=np.float64)
    return {"averaged": positions, "seconds": positions / job.recipe.fps}


def _origin(files: Files, hashes: dict[str, str], width: int) -> dict[str, NDArray[Any]]:
    """`files` (K,) the names, `files_sha256` (K, 32) uint8: an attribute of HDF5 would be too short for those of all samples.

    The first name ends in the number of the exposure: `Shard.runs` relies on it.
    """
    names = files.all()
    digests: U8 = np.frombuffer(bytes.fromhex("".join(hashes[name] for name in names)), np.uint8).reshape(-1, 32)
    return {"files": np.array([name.encode() for name in names], f"S{width}"), "files_sha256": digests}


def _counts(video: Video, samples: int, problems: list[Problem]) -> dict[str, Any]:
    left_out = Counter(video.left_out)
    for problem in problems:
        left_out[problem.kind] += problem.count
    return {"frames": video.found, "unused": video.found - samples, "left_out": dict(left_out)}


def _entry(job: Job, samples: int, fingerprint: str, content: Any, counts: Any) -> Entry:
    return Entry(job.video.id, job.file, samples, fingerprint=fingerprint, content=str(content), **json.loads(str(counts)))


def _provenance(job: Job, problems: list[Problem]) -> dict[str, Any]:
    skipped = {problem.file: problem.detail for problem in problems[:100]}  # an attribute of HDF5 holds 64 KiB
    return {
        "source": {
            "kind": "released",
            "folder": folder_name(job.root),
            "layout": job.layout.id,
            "step": job.layout.step,
            "blurry pictures": job.video.found,
        },
        "layout": {**job.options, **settings.rules(job.recipe)},
        "skipped": skipped,
        "made_with": {"blurbench": blurbench.__version__, "opencv": cv2.__version__, "import": settings.IMPORT},
    }


def _remark(layout: Layout, manifest: Manifest, note: Callable[[str], None]) -> None:
    """Say where the data set is not the whole release."""
    for split, whole in layout.published.items():
        count = sum(entry.samples for entry in manifest.splits.get(split, []))
        if split in manifest.splits and count != whole:
            note(f"note: {count} samples in {split}, the whole release has {whole}")
    for split, names in manifest.missing.items():
        note(f"note: {len(names)} videos of {split} are missing or wholly broken (first: {names[0]}); the manifest names them")
