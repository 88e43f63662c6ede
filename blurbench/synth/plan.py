"""What a run will make: which sources go into which split, and how much disk that takes."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blurbench.errors import RecipeError, SourceError
from blurbench.synth.framing import framed_size
from blurbench.synth.kernel_samples import estimate, find_pictures
from blurbench.synth.recipe import Recipe
from blurbench.video import interpolate
from blurbench.video.discover import find_sources
from blurbench.video.render import RenderedSource
from blurbench.video.source import HasMotion, Source

SYNTHESIS = 2  # raise it whenever the same recipe and source would give other values
BUILT_IN_CLIPS = {"train": 8, "test": 16}
WINDOWS_A_CLIP = 4


@dataclass(frozen=True)
class BuiltIn:
    """The rendered footage wanted: clips a split, (height, width), seed, and frames a clip (None: enough for a few windows)."""

    clips: dict[str, int]
    size: tuple[int, int] = (192, 320)
    seed: int = 0
    frames: int | None = None


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
        options = {"weights": self.weights} if self.weights and self.recipe.interpolation.method == "rife" else {}
        return interpolate.load(self.recipe.interpolation.method, **options)

    def fingerprint(self, interpolator: interpolate.Interpolator) -> str:
        """SHA-256 of all that decides the stored values."""
        parts = {"synthesis": SYNTHESIS, "source": self.source.fingerprint(), "recipe": self.recipe.processing()}
        if self.recipe.kernels.variant != "none":
            parts["maps"] = self.recipe.kernels.samples(self.split)
        parts["interpolation"] = {k: v for k, v in interpolator.facts().items() if k != "opencv"}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def built_in(recipe: Recipe, wanted: BuiltIn) -> list[tuple[str, Source]]:
    """(split, source) of rendered clips, at the recipe's rate. Raises RecipeError for a recipe that blurs pictures, not video."""
    if recipe.kernels.variant != "none":
        raise RecipeError(f"recipe {recipe.id!r} blurs pictures; give their folder with --source")
    frames = wanted.frames
    if frames is None:
        windows = WINDOWS_A_CLIP + recipe.window.skip_first + recipe.window.skip_last
        last = recipe.windows("").window(windows - recipe.window.skip_first - 1).last + recipe.window.tail
        frames = -(-last // recipe.interpolation.factor) + 1
    return [
        (split, RenderedSource(split, number, frames, wanted.size, wanted.seed, recipe.fps))
        for split, count in wanted.clips.items()
        for number in range(count)
    ]


def from_path(recipe: Recipe, path: Path, keep_variable_rate: bool) -> list[tuple[str, Source]]:
    """(split, source) below a path; the split is that of the folder, else that of the recipe's lists, else test."""
    if recipe.kernels.variant != "none":
        found = find_pictures(path, recipe.fps)
    else:
        found = find_sources(path, fps=recipe.fps, keep_variable_rate=keep_variable_rate)
    placed = [(one.split or recipe.split_of(one.source.id) or "test", one.source) for one in found]
    for split, source in placed:
        if (listed := recipe.split_of(source.id)) not in (None, split):
            raise SourceError(f"{source.id} lies in {split}/, but the recipe {recipe.id!r} lists it in {listed}; move it there")
    return placed


def missing(recipe: Recipe, sources: list[tuple[str, Source]]) -> dict[str, list[str]]:
    """Videos of the recipe's lists that are not among the sources, by split; empty when none of the sources is in a list."""
    there = {source.id for _, source in sources}
    if not any(recipe.split_of(name) for name in there):
        return {}
    lists = {split: [name for name in names if name not in there] for split, names in (recipe.split or {}).items()}
    return {split: names for split, names in lists.items() if names}


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
    if recipe.boxes.width:
        height, width = recipe.boxes.height, recipe.boxes.width
    count = windows.count(stream)
    targets = len(windows.window(0).targets)
    flows = targets if targets > 1 and (isinstance(job.source, HasMotion) or recipe.motion.flow != "none") else 0
    return count * height * width * (3 * (1 + targets) + 2 * 2 * flows)
