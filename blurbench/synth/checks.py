"""What is known to fail, told before anything is made: nobody waits for a night to hear of clip 57."""

from __future__ import annotations

from contextlib import closing, suppress
from typing import Any

from blurbench.errors import DataSetError, RecipeError, SourceError
from blurbench.store.shard import Shard
from blurbench.synth import boxes
from blurbench.synth.extras import between_targets, moves
from blurbench.synth.framing import framed_size
from blurbench.synth.plan import Job, shown
from blurbench.synth.recipe import Recipe
from blurbench.video import flow

# Bytes of a video's name, as much as leaves room in that of the shard while it is written.
_NAME = 255 - len(".") - len(".h5") - len(".4194304.part")


def check(jobs: list[Job]) -> None:
    """Raises BlurbenchError for what the recipe needs and does not have, and for sources that are known not to fit it.

    That is: names that files can have, a camera response, flow models, motion that guidance follows from and pictures large enough for it,
    frames for one window, boxes that can be read; and that what is finished was taken by the same choice of rates.
    """
    recipe = jobs[0].recipe
    recipe.curve()
    _check_names(jobs)
    _check_rates(jobs)
    if recipe.kernels.variant != "none":
        return
    _check_flows(recipe, jobs)
    _check_guidance(recipe, jobs)
    _check_lengths(recipe, jobs)
    if recipe.boxes.width:
        for job in jobs:
            boxes.read_boxes(job.source)


def _check_names(jobs: list[Job]) -> None:
    for job in jobs:
        if (length := len(job.source.id.encode())) > _NAME:
            raise SourceError(
                f"{job.source.id[:20]}… has a name of {length} bytes, expected at most {_NAME}, as the file made of it has a longer one; "
                "rename it"
            )


def _check_rates(jobs: list[Job]) -> None:
    """Finished videos whose frames are not evenly spaced, which would be refused if they were made now."""
    for job in jobs:
        path = job.folder / job.file
        if getattr(job.source, "keep_variable_rate", True) or not path.is_file():
            continue
        facts: dict[str, Any] = {}
        with suppress(DataSetError, KeyError, ValueError), closing(Shard(path, job.source.id)) as shard:
            facts = shard.provenance["source"]
        if facts.get("variable_rate") and facts.get("sha256") == job.source.fingerprint():
            raise SourceError(
                f"{job.source.id} has frames that are not evenly spaced, and is in {job.folder} by --keep-variable-rate; pass it again, or "
                "leave the video out and give another --out"
            )


def _check_flows(recipe: Recipe, jobs: list[Job]) -> None:
    """Load those that are used; of others the name, where that needs no weights."""
    used = {name for job in jobs for name in job.flows.values()}
    idle = {name for name in (recipe.motion.flow, recipe.gate.flow) if name != "none" and not name.startswith("ptlflow:")}
    for name in sorted(used | idle):
        flow.load(name)


def _check_guidance(recipe: Recipe, jobs: list[Job]) -> None:
    source = jobs[0].source
    if recipe.guidance.aggregate != "none" and moves(source, recipe):
        for job in jobs:
            if min(size := framed_size(job.source.size, recipe.frame)) < 2:
                raise SourceError(
                    f"{job.source.id} gives pictures of {shown(size)}, of which guidance has half the size, expected 2 pixels a side or "
                    "more; leave it out, or add --set guidance.aggregate=none"
                )
    wanted = recipe.guidance.aggregate != "none" and recipe.motion.flow == "none"
    if wanted and moves(source, recipe) and between_targets(source, recipe) is None:
        raise RecipeError(
            f"guidance.aggregate is {recipe.guidance.aggregate!r}, but nothing tells how the targets of {source.id} move; "
            "add --set motion.flow=dis-medium to measure it, or --set guidance.aggregate=none"
        )


def _check_lengths(recipe: Recipe, jobs: list[Job]) -> None:
    """Sources that state fewer frames than one window takes; where a source states no length, nothing is known."""
    known = [(job.source, job.source.length) for job in jobs]
    if recipe.window.skip_last and (silent := [source.id for source, length in known if length is None]):
        raise SourceError(
            f"{len(silent)} of {len(jobs)} sources do not state their length (first: {silent[0]}), which window.skip_last needs; "
            "re-encode them as .mp4 or .mkv"
        )
    needs = [(source.id, length, recipe.frames_for(1, source.id)) for source, length in known if length is not None]
    if short := [(name, length, need) for name, length, need in needs if length < need]:
        name, length, need = short[0]
        raise SourceError(
            f"{name} has {length} frames, the recipe {recipe.id!r} needs {need} for one window and what it skips around it"
            + (f", and {len(short) - 1} more of {len(jobs)} sources are as short" if len(short) > 1 else "")
            + "; leave such sources out, give more frames or shorten window.length"
        )
