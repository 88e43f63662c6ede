"""What a run will make: which sources go into which split, and how much disk that takes."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from blurbench.errors import DataSetError, RecipeError
from blurbench.store.fingerprint import of_video
from blurbench.store.manifest import Entry, Manifest
from blurbench.store.reader import MadeDataSet
from blurbench.strict import require, whole
from blurbench.synth import boxes, splits
from blurbench.synth.extras import between_targets, exact, flow_model
from blurbench.synth.framing import framed_size
from blurbench.synth.kernel_samples import estimate, find_pictures
from blurbench.synth.recipe import Recipe
from blurbench.video import flow, interpolate
from blurbench.video.discover import Found, find_sources, not_taken, split_above, split_named
from blurbench.video.photographs import Folder
from blurbench.video.render import RenderedSource
from blurbench.video.source import Source

SYNTHESIS = 2  # raise it whenever the same recipe and source would give other values
BUILT_IN = "rendered"  # what the built-in footage is called, and the recipe that is for it alone
BUILT_IN_CLIPS = {"train": 8, "test": 16}
BUILT_IN_SIZE = (192, 320)
WINDOWS_A_CLIP = 4
_ALIKE = ("seed", "size", "frames")  # in all built-in footage of a data set


@dataclass(frozen=True)
class BuiltIn:
    """The rendered footage wanted: clips a split, (height, width), seed, frames a clip (None: enough for a few windows), and a folder of
    photographs for training clips, beside the bundled ones."""

    clips: dict[str, int]
    size: tuple[int, int] = BUILT_IN_SIZE
    seed: int = 0
    frames: int | None = None
    photographs: Path | None = None

    def check(self) -> None:
        """Raises RecipeError for clips, a size or frames that cannot be."""
        for split, count in self.clips.items():
            require("built-in footage", "clips", split, split in BUILT_IN_CLIPS, f"a split of {' and '.join(BUILT_IN_CLIPS)}")
            require("built-in footage", f"clips of {split}", count, whole(count, 0), "a whole number, at least 0")
        pair = isinstance(self.size, tuple | list) and len(self.size) == 2 and all(whole(side, 1) for side in self.size)
        require("built-in footage", "size", self.size, pair, "(height, width) in pixels, e.g. (192, 320)")
        frames = self.frames is None or whole(self.frames, 1)
        require("built-in footage", "frames", self.frames, frames, "a whole number a clip, at least 1, or None for enough")


@dataclass(frozen=True)
class Job:
    """One unit of work: a source of a split, by a recipe, into a folder. weights: of the interpolation network."""

    source: Source
    split: str
    recipe: Recipe
    folder: Path
    codec: str
    weights: Path | None = None

    @property
    def file(self) -> str:
        """Path of the shard, relative to the folder."""
        return f"{self.split}/{self.source.id}.h5"

    def interpolator(self) -> interpolate.Interpolator:
        """The recipe's interpolation method, loaded. Raises UnknownNameError, WeightsError."""
        method = self.recipe.interpolation.used
        options = {"weights": self.weights} if self.weights and method == "rife" else {}
        return interpolate.load(method, **options)

    @property
    def flows(self) -> dict[str, str]:
        """The flow models that measure something here, by the key of the recipe that names them."""
        recipe, models = self.recipe, dict[str, str]()
        if recipe.kernels.variant == "none":
            if (model := flow_model(self.source, recipe)) != "none":
                models["motion.flow"] = model
            if recipe.gate.largest_step and exact(self.source, recipe) is None:
                models["gate.flow"] = recipe.gate.flow
        return models

    @cached_property
    def inputs(self) -> dict[str, str | None]:
        """What decides the stored values beside source, recipe and interpolator, JSON-ready; empty for most recipes.

        `boxes`: SHA-256 of the file of a source's boxes, None without one. `motion.flow`, `gate.flow`: that of the weights of a flow model
        that has any: a name of the recipe does not say which they are. Raises as `flow.load`.
        """
        found = {"boxes": boxes.fingerprint(self.source)} if self.recipe.boxes.width else {}
        weights = {key: flow.load(name).facts()["weights"] for key, name in self.flows.items()}
        return found | {key: digest for key, digest in weights.items() if digest}

    def fingerprint(self, interpolator: interpolate.Interpolator) -> str:
        """SHA-256 of all that decides the stored values."""
        kernels = self.recipe.kernels
        maps = kernels.samples(self.split) if kernels.variant != "none" else None
        return of_video(SYNTHESIS, self.source.fingerprint(), self.recipe.processing(), interpolator.facts(), maps, self.inputs)


def built_in(recipe: Recipe, wanted: BuiltIn) -> list[tuple[str, Source]]:
    """(split, source) of rendered clips, at the recipe's rate.

    Raises RecipeError for a recipe that blurs pictures, not video, and when no clip is wanted, SourceError as `Folder.open`.
    """
    if recipe.kernels.variant != "none":
        raise RecipeError(f"recipe {recipe.id!r} blurs pictures; give their folder with --source")
    wanted.check()
    if not any(count > 0 for count in wanted.clips.values()):
        asked = ", ".join(f"{split}={count}" for split, count in wanted.clips.items())
        raise RecipeError(f"--clips is {asked}, expected at least one clip; give e.g. --clips test={BUILT_IN_CLIPS['test']}")
    frames = recipe.frames_for(WINDOWS_A_CLIP) if wanted.frames is None else wanted.frames
    folders = {"train": Folder.open(wanted.photographs)} if wanted.photographs else {}
    return [
        (split, RenderedSource(split, number, frames, wanted.size, wanted.seed, recipe.fps, folder=folders.get(split)))
        for split, count in wanted.clips.items()
        for number in range(count)
    ]


def from_path(recipe: Recipe, path: Path, keep_variable_rate: bool, chosen: Collection[str], note: splits.Note) -> list[tuple[str, Source]]:
    """(split, source) below a path, as `splits.place` has it; chosen: the splits that are wanted, empty for all.

    `note` is told of what is left out. Raises SourceError as `find_sources`, `find_pictures` and `place`, and RecipeError for the recipe of
    the built-in footage, whose name would pass other footage off as that.
    """
    if recipe.id == BUILT_IN:
        raise RecipeError(
            f"recipe {recipe.id!r} is for the built-in footage, but --source is {str(path)!r}; take another recipe, e.g. gopro7"
        )
    if recipe.kernels.variant != "none":
        found = find_pictures(path, recipe.fps)
    else:
        found = find_sources(path, fps=recipe.fps, keep_variable_rate=keep_variable_rate)
    if others := not_taken(path):
        note(f"note: {len(others)} files are of a kind that is not read (first: {others[0]}); convert them, e.g. to .mp4 or .png")
    placed = splits.place(recipe, [(one.source.id, one.split) for one in found], note, chosen)
    _tell_astray(recipe, path, found, placed, note)
    return [(split, one.source) for one, split in zip(found, placed, strict=True) if split]


def _tell_astray(recipe: Recipe, path: Path, found: list[Found], placed: list[str | None], note: splits.Note) -> None:
    """Say so where footage goes to `test` from somewhere below a folder of another split, which counts for what lies directly in it."""
    above = split_above(path)
    if above is None or (named := split_named(above.name)) == "test":
        return
    ids = [one.source.id for one, split in zip(found, placed, strict=True) if split == "test" and not recipe.split_of(one.source.id)]
    if ids:
        note(
            f"note: {path} lies below {above}, but goes to test ({len(ids)} of {len(found)} sources; first: {ids[0]}), as a folder counts "
            f"for what lies directly in it; if that is {named} footage, put it directly into a folder {named}/"
        )


def refuse_other_clips(data: MadeDataSet, jobs: list[Job]) -> None:
    """For a folder that built-in footage goes into, where the clips of all splits are alike.

    Raises DataSetError when it holds clips of another seed, size or length, or in a split of the jobs clips that are not among them or show
    other photographs.
    """
    wanted = jobs[0].source.facts()
    for split, entries in data.manifest.splits.items():
        there = _footage(data, entries)
        for key in _ALIKE:
            if (found := there.get(key, wanted[key])) != wanted[key]:
                raise DataSetError(
                    f"{data.folder} holds clips of {_option(key, found)}, asked for are clips of {_option(key, wanted[key])}; "
                    "give another --out, or delete the folder"
                )
        mine = [job for job in jobs if job.split == split]
        if mine and there:
            _refuse_other_photographs(data.folder, split, there, mine[0].source.facts())
        asked = {job.source.id for job in mine}
        more = [entry.video for entry in entries if entry.video not in asked]
        if asked and more:
            raise DataSetError(
                f"{data.folder} holds {len(more)} clips of {split} beyond the {len(asked)} asked for (first: {more[0]}); "
                f"ask for as many with --clips {split}=N, leave them alone with --clips {split}=0, or give another --out"
            )


def _refuse_other_photographs(folder: Path, split: str, there: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Raises DataSetError. there, wanted: facts of a clip of the split that the folder holds, and of one asked for."""
    found, asked = (facts.get("photographs", {}) for facts in (there, wanted))
    if found.get("sha256") != asked.get("sha256"):  # a folder may have another name by now
        before, now = (
            f"with --photographs {each['folder']} ({each['files']} files)" if each else "without --photographs" for each in (found, asked)
        )
        raise DataSetError(
            f"{folder} holds clips of {split} made {before}, asked for are clips made {now}; give the same --photographs, "
            f"leave them alone with --clips {split}=0, or give another --out"
        )


def not_in_source(folder: Path, manifest: Manifest, sources: list[tuple[str, Source]], jobs: list[Job]) -> list[str]:
    """Videos that a folder holds in the splits of the jobs, and that are not among the sources.

    Raises DataSetError for a source that the folder holds in another split: training and test data would share it; and as
    `splits.refuse_mixed`.
    """
    splits.refuse_mixed(jobs[0].recipe, folder, manifest, sources)
    there = {(split, source.id) for split, source in sources}
    places = {source.id: split for split, source in sources}
    gone = [(split, entry.video) for split, entries in manifest.splits.items() for entry in entries if (split, entry.video) not in there]
    for split, video in gone:
        if video in places:
            raise DataSetError(
                f"{folder} holds {video} in {split}, the source has it in {places[video]}; move it back, or give another --out"
            )
    made = {job.split for job in jobs}
    return [video for split, video in gone if split in made]


def missing(recipe: Recipe, there: set[str]) -> dict[str, list[str]]:
    """Videos of the recipe's lists that are not there, by split; empty when nothing that is there is in a list."""
    if not any(recipe.split_of(name) for name in there):
        return {}
    lists = {split: [name for name in names if name not in there] for split, names in (recipe.split or {}).items()}
    return {split: names for split, names in lists.items() if names}


def command_for(data: MadeDataSet, split: str) -> str | None:
    """The command that makes the clips of a split of built-in footage again; None for other footage, or where no shard can be read.

    Photographs beside the bundled ones are named by their folder alone.
    """
    facts = _footage(data, data.entries(split)) if data.manifest.footage == BUILT_IN else {}
    if not facts:
        return None
    words = ["blurbench", "make-dataset", data.manifest.dataset, *(f"--set={change}" for change in data.manifest.changes)]
    clips = {name: len(data.entries(split)) if name == split else 0 for name in BUILT_IN_CLIPS}
    options = [f"--clips {name}={count}" for name, count in clips.items()] + [_option(key, facts[key]) for key in _ALIKE]
    if own := facts.get("photographs"):
        options.append(f"--photographs {shlex.quote(own['folder'])}")
    return " ".join([shlex.join(words), *options])


def describe(jobs: list[Job]) -> dict[str, Any]:
    """What a run is about to do, for a dry run: sources a split and bytes of pixels before compression (None where lengths are unknown)."""
    plan: dict[str, Any] = {"splits": Counter(job.split for job in jobs)}
    recipe = jobs[0].recipe
    if recipe.kernels.variant != "none":
        return {**plan, "bytes": estimate([(job.source, job.split) for job in jobs], recipe)}
    sizes = [_bytes(job) for job in jobs]
    return {**plan, "bytes": None if None in sizes else sum(size or 0 for size in sizes)}


def _bytes(job: Job) -> int | None:
    """Bytes of a source's pictures and flows; None where its length is not known."""
    recipe, length = job.recipe, job.source.length
    if length is None:
        return None
    stream = (length - 1) * recipe.interpolation.factor + 1
    windows = recipe.windows(job.source.id, stream)
    height, width = framed_size(job.source.size, recipe.frame)
    if recipe.boxes.width and boxes.find(job.source):
        height, width = recipe.boxes.height, recipe.boxes.width
    count = windows.count(stream)
    targets = len(windows.window(0).targets)
    known = between_targets(job.source, recipe) is not None or recipe.motion.flow != "none"
    flows = targets if targets > 1 and known else 0
    return count * height * width * (3 * (1 + targets) + 2 * 2 * flows)


def _footage(data: MadeDataSet, entries: list[Entry]) -> dict[str, Any]:
    """What the first shard of the entries that can be read says of its source; empty when there is none."""
    for entry in entries:
        with suppress(DataSetError, KeyError, ValueError), closing(data.shard(entry, compare=False)) as shard:
            facts: dict[str, Any] = shard.provenance["source"]
            return facts
    return {}


def _option(key: str, value: Any) -> str:
    """A fact of built-in footage as the command line takes it."""
    return f"--{key} {shown(value) if key == 'size' else value}"


def shown(size: Sequence[int]) -> str:
    """A (height, width) as people write it."""
    height, width = size
    return f"{width}x{height}"
