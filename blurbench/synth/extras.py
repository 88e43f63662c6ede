"""What a sample holds beside the pictures: crops around persons, motion between the targets, guidance."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from blurbench.synth import boxes, guidance, motion
from blurbench.synth.recipe import Recipe
from blurbench.synth.tables import Frame as FrameRule
from blurbench.types import F32
from blurbench.video import flow
from blurbench.video.source import HasMotion, Source


def exact(source: Source, recipe: Recipe) -> HasMotion | None:
    """The source where it knows how the recipe's pictures move: rendered footage, and pictures as they were rendered."""
    return source if isinstance(source, HasMotion) and recipe.frame == FrameRule() else None


def between_targets(source: Source, recipe: Recipe) -> HasMotion | None:
    """The source where it knows the motion between the targets of every sample: none of them is interpolated."""
    known = exact(source, recipe)
    return known if known and recipe.windows(source.id).on_source_frames(recipe.interpolation.factor) else None


def flow_model(source: Source, recipe: Recipe) -> str:
    """The model that measures the motion between targets; none where it is not asked for or known, and where there is one target."""
    return recipe.motion.flow if moves(source, recipe) and between_targets(source, recipe) is None else "none"


def moves(source: Source, recipe: Recipe) -> bool:
    """Whether samples have several targets, between which there is motion."""
    return len(recipe.windows(source.id).window(0).targets) > 1


class Extras:
    """Adds to samples what the recipe asks for and the source can give."""

    def __init__(self, source: Source, recipe: Recipe) -> None:
        """Raises SourceError for boxes that cannot be read."""
        self._recipe = recipe
        self._frame_size = source.size
        self._exact = between_targets(source, recipe) if moves(source, recipe) else None
        self._model = flow.load(name) if (name := flow_model(source, recipe)) != "none" else None
        self._boxes = boxes.read_boxes(source) if recipe.boxes.width else None

    def add(self, sample: dict[str, Any], positions: list[float]) -> str | None:
        """Add to the sample in place; positions: of its targets, in source frames. Returns why the sample must be left out, or None."""
        if self._boxes is None:
            self._add_motion(sample, positions)
            return None
        box = self._boxes.get(round(positions[len(positions) // 2]))
        if box is None:
            return "no box"
        here, rule = boxes.framed(box, self._frame_size, self._recipe.frame), self._recipe.boxes
        where = boxes.part(here, rule, sample["blurry"].shape[:2])
        if where is None:
            return "box outside the picture"
        self._add_motion(sample, positions)  # of the whole pictures
        boxes.crop_sample(sample, where, rule)
        sample["bbox"] = np.array(here, np.float32)
        return None

    def facts(self) -> dict[str, Any]:
        """Where motion comes from, JSON-ready."""
        return {"flow": "exact" if self._exact is not None else self._model.facts() if self._model else "none"}

    def _add_motion(self, sample: dict[str, Any], positions: list[float]) -> None:
        there = back = None
        if self._exact is not None:
            frames = [int(position) for position in positions]
            there = np.stack([self._exact.motion(a, b) for a, b in itertools.pairwise(frames)])
            sample["flow"] = there.astype(np.float16)
            sample["flow_first_last"] = self._exact.motion(frames[0], frames[-1]).astype(np.float16)
            if self._recipe.guidance.aggregate != "none":
                back = np.stack([self._exact.motion(b, a) for a, b in itertools.pairwise(frames)])
        elif self._model is not None:
            sample.update(motion.measured(sample["sharp"], self._model))
            if self._recipe.guidance.aggregate != "none":
                back = motion.backward(sample["sharp"], self._model)
        if back is not None:
            sample["guidance"] = self._guidance(back)

    def _guidance(self, back: F32) -> np.ndarray[Any, np.dtype[np.int8]]:
        rule = self._recipe.guidance
        return guidance.guidance(-back, aggregate=rule.aggregate, threshold=rule.threshold)
