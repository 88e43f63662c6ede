"""Scoring: a prediction of one sample becomes the columns of one or more protocols."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from blurbench import metrics
from blurbench.errors import BlurbenchError, PredictionError, UnavailableError
from blurbench.metrics import select
from blurbench.metrics._metric import Pixels
from blurbench.metrics.clip import Clip, facts_of
from blurbench.metrics.protocol import Column, Protocol
from blurbench.metrics.trajectory import at_times, true_trajectory
from blurbench.types import F32, F64, Prediction, Sample, cut


@dataclass(frozen=True)
class SampleScore:
    """The columns of one sample; None where there is no such value, and `empty` says why.

    reversed: the direction that was decided for `best` columns. draw: the draw, counted from 0, that was decided on. Both None where
    every column decides for itself.
    """

    sample: str
    video: str
    values: dict[str, float | None]
    reversed: bool | None
    draw: int | None
    empty: dict[str, str] = field(default_factory=dict)


def score(protocol: Protocol, prediction: Prediction, sample: Sample) -> SampleScore:
    """`score_all` under one protocol."""
    return score_all([protocol], prediction, sample)[0]


def score_all(protocols: Sequence[Protocol], prediction: Prediction, sample: Sample) -> list[SampleScore]:
    """Score one prediction under several protocols; what they share is computed once.

    A prediction of one frame for several targets fills only the `centre` columns, the others are None; so are columns of frames that the
    clip does not have, of metrics that need more frames, and of what the data or this installation lack. A prediction of several frames
    for one target is scored by its centre frame. Raises PredictionError, naming the sample, for any other mismatch, NaN, fewer draws
    than a protocol asks for, and when no column of a protocol can be filled.
    """
    shared: dict[tuple[str, str], _Draws] = {}
    scores = []
    try:
        for protocol in protocols:
            key = protocol.quantise, protocol.crop
            if key not in shared:
                shared[key] = _Draws(protocol, prediction, sample)
            scores.append(_Scoring(protocol, shared[key]).score())
    except PredictionError as error:
        raise PredictionError(f"sample {sample.id}: {error}") from error
    return scores


class _Draws:
    """All draws of a prediction as clips, quantised, cut, and aligned with the targets; each made when it is asked for."""

    def __init__(self, protocol: Protocol, prediction: Prediction, sample: Sample) -> None:
        shape, targets = prediction.frames.shape, sample.sharp
        if len(shape) != 5 or not shape[0] or shape[2:] != targets.shape[1:]:
            expected = ", ".join(map(str, targets.shape))
            raise PredictionError(f"the prediction has shape {shape}, expected (N, T, H, W, 3) with (T, H, W, 3) = ({expected})")
        self.predicted, wanted, self.centre_only = _common_frames(shape[1], len(targets))
        self.box = select.crop_box(protocol.crop, (targets.shape[1], targets.shape[2]))
        self.quantise = protocol.quantise
        self.prediction, self.whole, self.sample = prediction, sample, sample.cut(self.box)
        self.targets: Pixels = self.sample.sharp[wanted]
        self._clips: dict[int, Clip] = {}
        self._truths: dict[str, F32 | None] = {}

    def __len__(self) -> int:
        return len(self.prediction.frames)

    def clip(self, number: int) -> Clip:
        """One draw."""
        if number not in self._clips:
            frames = self._cut(self.prediction.frames[number][self.predicted])
            self._clips[number] = Clip(select.quantise(frames, self.quantise), self.targets, self.sample)
        return self._clips[number]

    def motion(self, number: int) -> tuple[Pixels, Pixels]:
        """Predicted and true motion over the exposure, (M, H, W, 2), at the times of the method, or where the data do not know the truth
        there, at those of the targets. Raises UnavailableError where the method or the data give none.
        """
        made = self.prediction
        if made.motion is None or made.motion_times is None:
            raise UnavailableError("the method gives no motion")
        motion = made.motion[number]
        if (truth := self._truth(made.motion_times)) is None and (truth := self._truth(None)) is not None:
            motion = at_times(motion, made.motion_times, self.whole.times)
        if truth is None:
            raise UnavailableError("the data have no motion over the exposure")
        return self._cut(motion), self._cut(truth)

    def _truth(self, times: F64 | None) -> F32 | None:
        key = "targets" if times is None else repr(times.tolist())
        if key not in self._truths:
            self._truths[key] = true_trajectory(self.whole, times)
        return self._truths[key]

    def _cut(self, array: Pixels) -> Pixels:
        return cut(array, self.whole.blurry.shape[:2], self.box)


class _Scoring:
    """One protocol on the draws of one sample."""

    def __init__(self, protocol: Protocol, draws: _Draws) -> None:
        self.protocol, self.draws = protocol, draws
        count = min(len(draws), protocol.samples)
        if 1 < count < protocol.samples:
            raise PredictionError(
                f"the prediction has {count} draws, {protocol.id} asks for {protocol.samples}; predict again with as many"
            )
        self.clips = [draws.clip(number) for number in range(count)]
        together = protocol.decide_by != "each"
        self.turned = [together and self._turned(clip) for clip in self.clips]
        self.deciding = [self._deciding(clip, turned) for clip, turned in zip(self.clips, self.turned, strict=True)]

    def score(self) -> SampleScore:
        values: dict[str, float | None] = {}
        empty: dict[str, str] = {}
        for column in self.protocol.columns:
            try:
                values[column.name] = self._column(column)
            except UnavailableError as reason:
                values[column.name], empty[column.name] = None, str(reason)
            except BlurbenchError:
                raise
            except Exception as error:  # a metric of the user's own may raise anything
                error.add_note(f"raised while {column.name} of sample {self.draws.sample.id} was scored by the metric {column.metric}")
                raise
        if all(value is None for value in values.values()):
            told = f"no column of {self.protocol.id} can be filled: {next(iter(empty.values()))}"
            raise PredictionError(told if ";" in told else f"{told}; leave that protocol out")  # some reasons have a mend of their own
        draw = None if self.protocol.decide_by == "each" else select.best_of(self.deciding, "higher")
        sample = self.draws.sample
        return SampleScore(sample.id, sample.video, values, None if draw is None else self.turned[draw], draw, empty)

    def _turned(self, clip: Clip) -> bool:
        """The decision on a clip's direction."""
        if self.protocol.direction == "as-is" or len(clip.target) < 2:
            return False
        places = self._deciding_frames(clip)
        forward, backward = _psnr(clip, places, places), _psnr(clip, clip.mirrored(places), places)
        return select.reversed_is_better(forward, backward, self._deciding_reduction, self.protocol.psnr_cap)

    def _deciding(self, clip: Clip, turned: bool) -> float:
        """What decides between draws, higher is better: the PSNR in the decided direction. Not computed where nothing is decided."""
        if len(self.clips) == 1 or self.protocol.decide_by == "each":
            return 0.0
        places = self._deciding_frames(clip)
        decided = _psnr(clip, clip.mirrored(places) if turned else places, places)
        return select.reduce(decided, self._deciding_reduction, self.protocol.psnr_cap)

    @property
    def _deciding_reduction(self) -> select.Reduction:
        return "mean" if self.protocol.decide_by == "psnr-ends" else "pooled"

    def _deciding_frames(self, clip: Clip) -> list[int]:
        return [0, len(clip.target) - 1] if self.protocol.decide_by == "psnr-ends" else clip.every

    def _column(self, column: Column) -> float:
        """A column's value over the draws. Raises UnavailableError where there is none."""
        if metrics.get(column.metric).info.of == "samples":
            return self._of_all_draws(column)
        together = self.protocol.decide_by != "each"
        # A draw that cannot count is not scored; which can count, the decision knows unless every column decides for itself.
        counts = select.draw_weights(self.deciding, column.draws, "higher") if together or column.draws == "first" else None
        values = [self._of_draw(column, n) if counts is None or counts[n] else 0.0 for n in range(len(self.clips))]
        return select.weighted(values, select.draw_weights(values, column.draws, column.better) if counts is None else counts)

    def _of_draw(self, column: Column, number: int) -> float:
        if metrics.get(column.metric).info.of == "motion":
            return self._of_motion(column, number)
        clip, turned = self.clips[number], self.turned[number]
        if not column.tile:
            return self._of_clip(column, clip, turned)
        parts = clip.tiles(column.tile)
        if not parts:
            raise PredictionError(f"column {column.name}: frames of {clip.target.shape[1:3]} hold no tile of {column.tile} pixels")
        # A tile is a clip of its own, with a decision of its own.
        return math.fsum(self._of_clip(column, part, self._turned(part)) for part in parts) / len(parts)

    def _of_clip(self, column: Column, clip: Clip, turned: bool) -> float:
        """A column's value of a clip whose decided direction is `turned`."""
        clip = clip if column.against == "sharp" else clip.against_blurry
        places = self._places(column, clip)
        each = self.protocol.decide_by == "each"
        if column.direction == "patch" or column.direction == "pixel" or column.direction == "channel":
            return self._value(column, clip.region(column.direction, self.protocol.patch), places, places)
        if column.direction == "frame":
            return self._value(column, clip, _better_frames(column.metric if each else "psnr", column, clip, places), places)
        mirrored = clip.mirrored(places)
        if column.direction == "best" and each:
            both = [self._value(column, clip, sources, places) for sources in (places, mirrored)]
            return both[select.best_of(both, column.better)]
        return self._value(column, clip, mirrored if column.direction == "best" and turned else places, places)

    def _value(self, column: Column, clip: Clip, sources: list[int], places: list[int]) -> float:
        return self._reduce(column, clip.values(column.metric, column.options, sources, places))

    def _places(self, column: Column, clip: Clip) -> list[int]:
        """The target frames that a column scores. Raises UnavailableError where the clip does not have them."""
        if self.draws.centre_only and column.frames != "centre":
            raise UnavailableError("the method gives the centre frame only")
        chosen = select.frame_subset(column.frames, len(clip.target))
        if chosen is None:
            raise UnavailableError(f"the data have {len(clip.target)} frames, of which none is the centre or some are missing")
        if len(chosen) < (least := metrics.get(column.metric).info.min_frames):
            raise UnavailableError(f"{column.metric} needs {least} frames, the column has {len(chosen)}")
        return chosen

    def _of_all_draws(self, column: Column) -> float:
        places = self._places(column, self.clips[0])
        if len(self.clips) < 2:
            raise UnavailableError("there is one draw: the method is deterministic, or the protocol asks for one")
        frames: Any = np.stack([clip.prediction[places] for clip in self.clips])
        return self._reduce(column, metrics.get(column.metric)(frames, self.draws.targets[places], **column.options))

    def _of_motion(self, column: Column, number: int) -> float:
        motion, truth = self.draws.motion(number)
        turned = column.direction == "best" and self.turned[number]
        function = metrics.get(column.metric)
        if len(truth) < function.info.min_frames:
            raise UnavailableError(f"{column.metric} needs {function.info.min_frames} times, the motion has {len(truth)}")
        facts = facts_of(self.draws.sample, function.info)
        return self._reduce(column, function(motion[::-1] if turned else motion, truth, **facts, **column.options))

    def _reduce(self, column: Column, values: F64) -> float:
        return select.reduce(values, column.reduction, self.protocol.psnr_cap if column.unit == "dB" else math.inf)


def _psnr(clip: Clip, sources: Sequence[int], places: Sequence[int]) -> F64:
    return clip.values("psnr", {}, sources, places)


def _better_frames(metric: str, column: Column, clip: Clip, places: list[int]) -> list[int]:
    """For each place the better predicted frame: the one that stands there forward, or reversed; by PSNR, or the column's own metric."""
    options = column.options if metric == column.metric else {}
    mirrored = clip.mirrored(places)
    forward, backward = clip.values(metric, options, places, places), clip.values(metric, options, mirrored, places)
    turned = backward > forward if metrics.get(metric).info.better == "higher" else backward < forward
    return [there if swap else here for here, there, swap in zip(places, mirrored, turned, strict=True)]


def _common_frames(predicted: int, wanted: int) -> tuple[slice, slice, bool]:
    """Which predicted and target frames belong together, and whether the prediction is only the centre of the targets."""
    if predicted == wanted:
        return slice(None), slice(None), False
    if min(predicted, wanted) != 1 or not (predicted % 2 and wanted % 2):
        raise PredictionError(
            f"the prediction has {predicted} frame(s), the data {wanted}; expected as many, or one of the two being a single "
            "frame and the other an odd number, for the centre"
        )
    ours, theirs = (slice(count // 2, count // 2 + 1) for count in (predicted, wanted))
    return ours, theirs, predicted == 1
