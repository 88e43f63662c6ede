"""What a user should know of a run before it begins: each function yields the lines that apply."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import closing, suppress

import numpy as np

from blurbench.errors import DataSetError
from blurbench.store.reader import MadeDataSet
from blurbench.synth import boxes
from blurbench.synth.extras import moves
from blurbench.synth.framing import framed_size
from blurbench.synth.plan import Job, shown
from blurbench.video.source import Source

_SQUASHED = 1.2  # by how much the shape of a picture may change without a word: 16:9 to 640x352 is 1.02
_BOXES = "--set boxes.width=160 --set boxes.height=192"  # as Zhong et al. (ECCV 2022) evaluate


def tell(jobs: list[Job]) -> Iterator[str]:
    """All that there is to say of jobs. Raises SourceError when the recipe's crop is larger than a picture."""
    for remarks in (tell_unlike, tell_squashed, tell_unproven, tell_shared, tell_motionless, tell_boxes):
        yield from remarks(jobs)


def tell_unlike(jobs: list[Job]) -> Iterator[str]:
    """What of the sources is not what the recipe is meant for: a line on rate and one on size, with how many differ, and the first.

    Raises SourceError when the recipe's crop is larger than a picture.
    """
    recipe = jobs[0].recipe
    if rates := [job.source for job in jobs if abs(job.source.fps / recipe.fps - 1) > 0.05]:
        told = f"{len(rates)} of {len(jobs)} sources have another rate than the {recipe.fps:g} frames/s that the recipe is meant for"
        yield f"{told} (first: {rates[0].id}, {rates[0].fps:g}); exposures are longer or shorter by that"
    rule = recipe.frame
    wanted = (rule.crop[1] or rule.height, rule.crop[0] or rule.width)
    sizes = [(job.source.id, framed_size(job.source.size, rule)) for job in jobs if all(wanted)]
    if others := [(name, size) for name, size in sizes if size != wanted]:
        told = f"{len(others)} of {len(jobs)} sources give other pictures than the {shown(wanted)} that the recipe is meant for"
        yield f"{told} (first: {others[0][0]}, {shown(others[0][1])}); frames are never enlarged"


def tell_squashed(jobs: list[Job]) -> Iterator[str]:
    """A line where pictures are brought to quite another shape."""
    rule = jobs[0].recipe.frame
    if rule.fit != "stretch" or not (rule.width and rule.height):
        return
    changes = [job.source.size[1] * rule.height / (job.source.size[0] * rule.width) for job in jobs]
    if others := [job.source for job, change in zip(jobs, changes, strict=True) if max(change, 1 / change) > _SQUASHED]:
        first = f"first: {others[0].id}, {shown(others[0].size)}"
        told = f"{len(others)} of {len(jobs)} sources are squashed to {rule.width}x{rule.height}, quite another shape ({first})"
        yield f"{told}; --set frame.fit=shrink keeps theirs"


def tell_unproven(jobs: list[Job]) -> Iterator[str]:
    """A line where videos may have lost their ends without showing it."""
    loose = [job.source.id for job in jobs if job.source.facts().get("end_checked") is False]
    if loose:
        yield f"{len(loose)} of {len(jobs)} sources do not state their end (first: {loose[0]}), where a lost tail does not show"


def tell_shared(jobs: list[Job]) -> Iterator[str]:
    """A line for each video that is in two splits. Releases number theirs anew in each, so that equal names alone say nothing."""
    by_name: dict[str, list[Job]] = {}
    for job in jobs:
        by_name.setdefault(job.source.id, []).append(job)
    for name, group in by_name.items():
        for one, other in itertools.combinations(group, 2):
            if _begin_alike(one.source, other.source) and one.source.fingerprint() == other.source.fingerprint():
                yield f"{name} is the same video in {one.split}/ and {other.split}/, which share it: leave it out of one of them"


def _begin_alike(one: Source, other: Source) -> bool:
    """Whether the first pictures are equal: all of many images are not read to find that they differ."""
    if (one.size, one.length) != (other.size, other.length):
        return False
    ours, theirs = (next(iter(source.frames())).image for source in (one, other))
    return np.array_equal(ours, theirs)


def tell_boxes(jobs: list[Job]) -> Iterator[str]:
    """A line where the recipe crops to boxes and sources have none, or where they have some and it does not."""
    recipe = jobs[0].recipe
    if recipe.kernels.variant != "none":
        return
    bare = [job.source.id for job in jobs if boxes.find(job.source) is None]
    if recipe.boxes.width and bare:
        yield f"{len(bare)} of {len(jobs)} sources have no boxes (first: no {bare[0]}.boxes.csv); their pictures stay whole"
    if not recipe.boxes.width and len(bare) < len(jobs):
        first = next(job.source.id for job in jobs if job.source.id not in bare)
        told = f"{len(jobs) - len(bare)} of {len(jobs)} sources have boxes that are not used (first: {first}.boxes.csv)"
        yield f"{told}; {_BOXES} crops to them"


def tell_packed_otherwise(data: MadeDataSet, codec: str) -> Iterator[str]:
    """A line where finished videos of a folder, by the first of a split, are packed by another codec than new ones will be."""
    for entries in data.manifest.splits.values():
        with suppress(DataSetError, KeyError), closing(data.shard(entries[0], compare=False)) as shard:
            if shard.codec != codec:
                yield f"finished videos in {data.folder} keep their codec, {shard.codec}; for {codec} give another --out"
                return


def tell_motionless(jobs: list[Job]) -> Iterator[str]:
    """A line where the recipe asks for motion or guidance, and one target has none."""
    source, recipe = jobs[0].source, jobs[0].recipe
    asked = {"motion.flow": recipe.motion.flow, "guidance.aggregate": recipe.guidance.aggregate}
    keys = [key for key, value in asked.items() if value != "none"]
    if keys and not moves(source, recipe):
        yield f"window.targets is {recipe.window.targets!r}, one target a sample: nothing is stored for {' and '.join(keys)}"
