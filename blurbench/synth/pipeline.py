"""Making a data set: one shard a source, each finished before it is entered in the manifest; what is finished is not made again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2

import blurbench
from blurbench.errors import EmptySourceError, RecipeError, WeightsError, warn
from blurbench.store import build
from blurbench.store import manifest as manifests
from blurbench.store.build import Made, Progress
from blurbench.store.disk import looking
from blurbench.store.manifest import Entry, Manifest
from blurbench.store.reader import MadeDataSet, data_root
from blurbench.store.shard import Shard, ShardWriter
from blurbench.strict import require, whole
from blurbench.synth import checks, plan, remarks
from blurbench.synth import recipe as recipes
from blurbench.synth.expose import Samples
from blurbench.synth.kernel_samples import KernelSamples
from blurbench.synth.plan import BUILT_IN, BUILT_IN_CLIPS, BUILT_IN_SIZE, SYNTHESIS, BuiltIn, Job
from blurbench.synth.recipe import Recipe
from blurbench.video import interpolate

_WRITE_EVERY = 2.0  # seconds between two writings of the manifest: with 10,000 shards it is long


def make_dataset(
    recipe: str,
    source: Path | str | None = None,
    out: Path | str | None = None,
    *,
    changes: Sequence[str] = (),
    splits: tuple[str, ...] = (),
    clips: dict[str, int] | None = None,
    size: tuple[int, int] | None = None,
    frames: int | None = None,
    photographs: Path | str | None = None,
    seed: int | None = None,
    workers: int = 1,
    codec: str = "zstd",
    keep_variable_rate: bool = False,
    weights: Path | str | None = None,
    progress: Progress = lambda source, frames: None,
    planned: Callable[[list[Job]], None] = lambda jobs: None,
    note: Callable[[str], None] = warn,
) -> Manifest:
    """Make a data set and return its manifest.

    recipe: name or TOML file. source: a video, an image folder, or a folder of either; None for the built-in rendered footage, of which
    `clips` of `frames` are made a split at `size` (height, width); photographs: a folder of some that training clips may show beside those
    of scikit-image. changes: `key=value` for keys of the recipe. splits: only these.
    seed: of all that is drawn, the built-in footage too; None for the recipe's own. workers: processes, each with one source at a time.
    weights: of the interpolation network, where not the fetched ones. `note` is told in one line what a user should know. Raises
    BlurbenchError (bad source, recipe, folder; a folder with built-in footage of another seed, size or length, with more clips, or that
    another run is making); finished shards stay and are taken up by the next run, until which the manifest names the others as unfinished.
    """
    build.check("make_dataset", changes, splits, codec, workers)
    require("make_dataset", "seed", seed, seed is None or whole(seed, 0), "a whole number, at least 0, or None for the recipe's own")
    for name, value in (("clips", clips), ("size", size), ("frames", frames), ("photographs", photographs)):
        require("make_dataset", name, value, source is None or value is None, "None beside a source: it is for the built-in footage")
    chosen = recipes.load(recipe, changes, built_in=source is None)
    changed = recipes.differences(recipes.load(recipe, built_in=source is None), chosen)
    seed = chosen.seed if seed is None else seed
    chosen = _usable(replace(chosen, seed=seed) if chosen.random else chosen, weights, note)
    folder = Path(out) if out is not None else data_root() / chosen.id
    if source is None:
        own = Path(photographs) if photographs is not None else None
        found = plan.built_in(chosen, BuiltIn(BUILT_IN_CLIPS | (clips or {}), size or BUILT_IN_SIZE, seed, frames, own))
    else:
        with looking(Path(source)):
            found = plan.from_path(chosen, Path(source), keep_variable_rate, splits, note)
    if unknown := set(splits) - {split for split, _ in found}:
        raise RecipeError(f"--split {sorted(unknown)[0]}: the source has only {', '.join(sorted({s for s, _ in found}))}")
    network = Path(weights) if weights else None
    jobs = [Job(s, split, chosen, folder, codec, network) for split, s in found if not splits or split in splits]
    if photographs is not None and not any(job.split == "train" for job in jobs):
        raise RecipeError("--photographs is for training clips, but none are asked for; give e.g. --clips train=900, or leave it out")
    checks.check(jobs)
    for remark in remarks.tell(jobs):
        note(f"note: {remark}")
    planned(jobs)
    with build.making(folder, _manifest(chosen, BUILT_IN if source is None else "video", changed)) as manifest:
        held = MadeDataSet(folder, manifest)
        for remark in remarks.tell_packed_otherwise(held, codec):
            note(f"note: {remark}")
        if source is None:
            plan.refuse_other_clips(held, jobs)
        else:
            kept = plan.not_in_source(folder, manifest, found, jobs)
            manifest.missing = plan.missing(chosen, {source.id for _, source in found} | manifest.videos())
            _tell_missing(chosen, manifest, note)
            build.tell_kept(folder, kept, note)
        build.plan(folder, manifest, jobs, note)
        _fill(folder, manifest, build.run(jobs, make_shard, workers, progress, note))
        _tell_empty(manifest, jobs, note)
    return manifest


def _fill(folder: Path, manifest: Manifest, finished: Iterator[Made]) -> None:
    """Enter shards into the manifest, which is written now and then, and at the end however that comes."""
    written = -_WRITE_EVERY
    try:
        for made in finished:
            if made.empty:
                manifest.leave_out(made.split, made.entry.video, made.empty)
            else:
                manifest.enter(made.split, made.entry)
            if manifest.splits and time.monotonic() - written > _WRITE_EVERY:
                manifest.write(folder)
                written = time.monotonic()
    finally:
        if manifest.splits:
            manifest.write(folder)
        else:
            (folder / manifests.NAME).unlink(missing_ok=True)  # it named what has given way to footage of which nothing is left


@build.one_thread()
def make_shard(job: Job, progress: Progress = lambda source, frames: None) -> Made:
    """Make one shard, or find it finished and intact; none where the recipe leaves out every window.

    Raises SourceError; then nothing is left behind.
    """
    interpolator = job.interpolator()
    fingerprint = job.fingerprint(interpolator)
    path = job.folder / job.file
    with closing(Shard(path, job.source.id)) as old:
        if path.is_file() and old.intact(fingerprint):
            counts = json.loads(old.file.attrs["counts"])
            progress(job.source.id, counts["frames"])
            return Made(job.split, _entry(job, len(old), counts, old.file.attrs), False)
    samples = _samples(job, interpolator, lambda: progress(job.source.id, 1))
    with ShardWriter(path, job.codec) as writer:
        try:
            for sample in samples:
                writer.append(sample)
        except EmptySourceError as error:
            path.unlink(missing_ok=True)  # of other footage of this name
            return Made(job.split, _entry(job, 0, _counts(samples), {"fingerprint": fingerprint, "content": ""}), True, str(error))
        counts = _counts(samples)
        provenance = {
            "source": {**job.source.facts(), "sha256": job.source.fingerprint()},
            "recipe": job.recipe.processing(),
            "interpolation": interpolator.facts(),
            "motion": samples.facts(),
            "made_with": {"blurbench": blurbench.__version__, "opencv": cv2.__version__, "synthesis": SYNTHESIS},
        }
        if job.inputs:
            provenance["inputs"] = job.inputs
        attributes = {
            "fingerprint": fingerprint,
            "transfer": job.recipe.curve().spelling(),
            "counts": json.dumps(counts),
            "provenance": json.dumps(provenance),
        }
        content = writer.finish(attributes)
    return Made(job.split, _entry(job, writer.samples, counts, {"fingerprint": fingerprint, "content": content}), True)


def _counts(samples: Samples | KernelSamples) -> dict[str, Any]:
    return {"frames": samples.frames, "unused": samples.unused, "left_out": dict(samples.left_out)}


def _entry(job: Job, samples: int, counts: dict[str, Any], hashes: Mapping[str, Any]) -> Entry:
    return Entry(job.source.id, job.file, samples, fingerprint=str(hashes["fingerprint"]), content=str(hashes["content"]), **counts)


def _samples(job: Job, interpolator: interpolate.Interpolator, tick: Callable[[], None]) -> Samples | KernelSamples:
    """What makes the samples of this recipe."""
    if job.recipe.kernels.variant != "none":
        return KernelSamples(job.source, job.recipe, job.split, tick)
    return Samples(job.source, job.recipe, interpolator, tick)


def _usable(recipe: Recipe, weights: Path | str | None, note: Callable[[str], None]) -> Recipe:
    """The recipe with its interpolation method, or with the fallback it names where that method cannot run here.

    Raises RecipeError for weights that it does not take, WeightsError for none.
    """
    rule = recipe.interpolation
    if weights and rule.used != "rife":
        raise RecipeError(f"--rife-weights is {str(weights)!r}, but here {recipe.id} interpolates by {rule.used!r}; leave it out")
    if weights and not Path(weights).is_file():
        raise WeightsError(f"--rife-weights is {str(weights)!r}, expected the file flownet.pkl of RIFE v4; check the path")
    if weights or not rule.fallback or not (reason := interpolate.available(rule.used)):
        return recipe
    note(f"interpolating by {rule.fallback}, not by {rule.method}: {reason}")
    return replace(recipe, interpolation=replace(rule, method=rule.fallback))


def _tell_empty(manifest: Manifest, jobs: list[Job], note: Callable[[str], None]) -> None:
    """Say which sources gave no sample. Raises EmptySourceError where none did."""
    reasons = [manifest.empty.get(job.split, {}).get(job.source.id, "") for job in jobs]
    told = [reason for reason in reasons if reason]
    if told and not manifest.splits:
        raise EmptySourceError(told[0] if len(told) == 1 else f"none of {len(told)} sources gives a sample; {told[0]}")
    if told:
        note(f"note: {len(told)} of {len(jobs)} sources give no sample, the manifest names them; the first: {told[0]}")


def _tell_missing(recipe: Recipe, manifest: Manifest, note: Callable[[str], None]) -> None:
    """Say which videos of the recipe's lists the source lacks."""
    if lacking := manifest.missing:
        counts = ", ".join(f"{len(names)} of {len((recipe.split or {})[split])} {split}" for split, names in lacking.items())
        first = next(iter(lacking.values()))[0]
        note(f"note: the source lacks videos of the recipe's lists ({counts}; first: {first}); the manifest names them")


def _manifest(recipe: Recipe, footage: str, changes: list[str]) -> Manifest:
    return Manifest(
        recipe.id,
        recipe.version,
        recipe.title,
        footage,
        recipe.curve().name,
        recipe.processing(),
        blurbench=blurbench.__version__,
        changes=changes,
    )
