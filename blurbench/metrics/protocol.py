"""Protocols: how predictions become numbers, as data, and the one function that follows them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from blurbench import metrics, strict
from blurbench.errors import BlurbenchError, PredictionError, RecipeError, UnknownNameError
from blurbench.metrics import select
from blurbench.metrics._metric import Better, Pixels
from blurbench.metrics.select import FrameRule, Quantise, Reduction
from blurbench.registry import PROTOCOLS
from blurbench.strict import one_of, require, whole
from blurbench.types import F32, F64, Sample

ClipDirection = Literal["as-is", "clip"]
ColumnDirection = Literal["as-is", "best"]


@dataclass(frozen=True)
class Column:
    """One number of the table.

    metric: its id. frames: all, centre or 0-based indices. direction: `as-is`, as the method returned the frames, or `best`, as the
    protocol's decision turned them. reduction: mean over frames, or the PSNR of the error pooled over frames.
    """

    name: str
    metric: str
    description: str
    frames: FrameRule = "all"
    direction: ColumnDirection = "as-is"
    reduction: Reduction = "mean"

    @property
    def better(self) -> Better:
        """Which way is better; the metric says it."""
        return metrics.get(self.metric).info.better

    @property
    def unit(self) -> str:
        """Unit of the values; the metric says it."""
        return metrics.get(self.metric).info.unit


@dataclass(frozen=True)
class Protocol:
    """One way to score.

    quantise: what a prediction becomes before scoring. psnr_cap: what counts for a higher PSNR, in dB. direction: `as-is`, or `clip` for
    one decision a clip, forward or reversed, by the metric `decide_by` pooled over all frames. samples: how many a stochastic method
    draws. rank_by: the column that orders a board.
    """

    id: str
    version: int
    title: str
    description: str
    quantise: Quantise
    psnr_cap: float
    direction: ClipDirection
    rank_by: str
    columns: tuple[Column, ...]
    decide_by: Literal["psnr"] = "psnr"
    samples: int = 1


@dataclass(frozen=True)
class SampleScore:
    """The columns of one sample; None where there is no such value. reversed: the direction that was chosen for `best` columns."""

    sample: str
    video: str
    values: dict[str, float | None]
    reversed: bool


def load(name: str) -> Protocol:
    """A protocol by id or from a TOML file. Raises UnknownNameError, RecipeError."""
    return read(PROTOCOLS.get(name))


def read(path: Path) -> Protocol:
    """Read and check a protocol file. Raises RecipeError with the place of the mistake."""
    table = strict.read(path)
    rows = table.get("columns", [])
    if not isinstance(rows, list) or not rows:
        raise RecipeError(f"{path}: columns is {rows!r}, expected at least one table [[columns]]")
    columns = tuple(_column(row, f"column {number} of {path}") for number, row in enumerate(rows, 1))
    protocol = strict.build(Protocol, {**table, "columns": columns}, str(path))
    _check(protocol, str(path))
    return protocol


def score(protocol: Protocol, prediction: F32, sample: Sample) -> SampleScore:
    """Score the first sample of a prediction (N, T, H, W, 3), float in [0, 1] (clamped) or uint8, against the sample's targets.

    A prediction of one frame for several targets fills only the `centre` columns, the others are None; so are columns of frames that the
    clip does not have, and metrics that need more frames. A prediction of several frames for one target is scored by its centre frame.
    Raises PredictionError for any other mismatch, NaN, and when no column can be filled.
    """
    try:
        frames, targets, centre_only = _align(prediction, sample)
        clip = _Clip(select.quantise(frames, protocol.quantise), targets, sample)
        turned = protocol.direction == "clip" and len(targets) > 1 and clip.reversed_is_better(protocol.decide_by)
        values = {
            column.name: None if centre_only and column.frames != "centre" else clip.value(column, turned, protocol.psnr_cap)
            for column in protocol.columns
        }
        if all(value is None for value in values.values()):
            raise PredictionError(f"{len(prediction[0])} predicted and {len(sample.sharp)} target frame(s) fill no column of {protocol.id}")
    except PredictionError as error:
        raise PredictionError(f"sample {sample.id}: {error}") from error
    return SampleScore(sample.id, sample.video, values, turned)


def _align(prediction: F32, sample: Sample) -> tuple[Pixels, Pixels, bool]:
    """Predicted and target frames of equal number, and whether they are only the centre of a clip."""
    targets = sample.sharp
    if prediction.ndim != 5 or not len(prediction) or prediction.shape[2:] != targets.shape[1:]:
        expected = ", ".join(map(str, targets.shape))
        raise PredictionError(f"the prediction has shape {prediction.shape}, expected (N, T, H, W, 3) with (T, H, W, 3) = ({expected})")
    frames: Pixels = prediction[0]
    if len(frames) == len(targets):
        return frames, targets, False
    predicted, wanted = select.frame_subset("centre", len(frames)), select.frame_subset("centre", len(targets))
    if min(len(frames), len(targets)) != 1 or predicted is None or wanted is None:
        raise PredictionError(
            f"the prediction has {len(frames)} frame(s), the data {len(targets)}; expected as many, or one of the two being a single "
            "frame and the other an odd number, for the centre"
        )
    return frames[predicted], targets[wanted], len(frames) == 1


class _Clip:
    """One clip against its targets. A metric sees each pair of frames once, however many columns and decisions share it."""

    def __init__(self, prediction: Pixels, target: Pixels, sample: Sample) -> None:
        self.prediction, self.target, self.sample = prediction, target, sample
        self._frame_values: dict[tuple[str, int, int], float] = {}
        self._clip_values: dict[tuple[str, tuple[int, ...], tuple[int, ...]], F64] = {}

    def reversed_is_better(self, metric: str) -> bool:
        every = list(range(len(self.target)))
        return select.reversed_is_better(self.values(metric, every, False), self.values(metric, every, True))

    def value(self, column: Column, turned: bool, cap: float) -> float | None:
        """A column's value; None if the clip lacks the frames."""
        chosen = select.frame_subset(column.frames, len(self.target))
        if chosen is None or len(chosen) < metrics.get(column.metric).info.min_frames:
            return None
        values = self.values(column.metric, chosen, turned and column.direction == "best")
        return select.reduce(values, column.reduction, cap if column.unit == "dB" else math.inf)

    def values(self, metric: str, chosen: list[int], turned: bool) -> F64:
        """What the metric returns for these target frames and the predicted ones at their places, in reversed order if `turned`."""
        sources = [len(self.target) - 1 - index if turned else index for index in chosen]
        if metrics.get(metric).info.whole_clip:
            key = metric, tuple(sources), tuple(chosen)
            if key not in self._clip_values:
                self._clip_values[key] = self._compute(metric, sources, chosen)
            return self._clip_values[key]
        keys = [(metric, *pair) for pair in zip(sources, chosen, strict=True)]
        if missing := [key for key in keys if key not in self._frame_values]:
            computed = self._compute(metric, [key[1] for key in missing], [key[2] for key in missing])
            self._frame_values.update(zip(missing, computed.tolist(), strict=True))
        return np.array([self._frame_values[key] for key in keys])

    def _compute(self, metric: str, sources: list[int], chosen: list[int]) -> F64:
        function = metrics.get(metric)
        options = {name: getattr(self.sample, name) for name in function.info.needs}
        return function(self.prediction[sources], self.target[chosen], **options)


def _column(row: Any, where: str) -> Column:
    if isinstance(row, dict) and isinstance(row.get("frames"), list):
        row = {**row, "frames": tuple(row["frames"])}
    column = strict.build(Column, row, where)
    try:
        info = metrics.get(column.metric).info
    except BlurbenchError as error:
        raise RecipeError(f"{where}: {error}") from error
    indices = isinstance(column.frames, tuple) and bool(column.frames) and all(whole(index, 0) for index in column.frames)
    require(where, "frames", column.frames, column.frames in ("all", "centre") or indices, "all, centre or a list of 0-based indices")
    one_of(where, "direction", column.direction, ColumnDirection)
    one_of(where, "reduction", column.reduction, Reduction)
    # Pooling turns values back into squared errors, which only a PSNR a frame allows.
    require(where, "reduction", column.reduction, column.reduction == "mean" or column.metric == "psnr", "mean, for all metrics but psnr")
    require(where, "frames", column.frames, column.frames != "centre" or info.min_frames == 1, f"several frames for {column.metric}")
    return column


def _check(protocol: Protocol, where: str) -> None:
    """Values that the types alone do not rule out."""
    names = [column.name for column in protocol.columns]
    cap = protocol.psnr_cap
    require(where, "version", protocol.version, whole(protocol.version, 1), "a whole number of at least 1")
    require(where, "psnr_cap", cap, isinstance(cap, int | float) and not isinstance(cap, bool) and cap > 0, "dB, above 0")
    require(where, "samples", protocol.samples, whole(protocol.samples, 1) and protocol.samples == 1, "1: nothing chooses among samples")
    one_of(where, "quantise", protocol.quantise, Quantise)
    one_of(where, "direction", protocol.direction, ClipDirection)
    require(where, "decide_by", protocol.decide_by, protocol.decide_by == "psnr", "psnr")
    for number, column in enumerate(protocol.columns):
        decided = column.direction == "as-is" or protocol.direction == "clip"
        require(where, f"{column.name}.direction", column.direction, decided, "as-is, because the protocol's direction is as-is")
        require(where, "column name", column.name, column.name not in names[:number], "a name that no other column has")
    if protocol.rank_by not in names:
        raise RecipeError(str(UnknownNameError("column", str(protocol.rank_by), names, f"rank_by of {where}")))
