"""What figures show, as numbers: from boards, scores and stored predictions. Draws nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from blurbench.errors import BlurbenchError, PredictionError, RecordError, UnknownNameError
from blurbench.metrics import protocol as protocols
from blurbench.metrics.best_of import best_of_curve
from blurbench.metrics.blur_size import binned, correlation
from blurbench.metrics.protocol import Column, Protocol
from blurbench.metrics.score import score
from blurbench.metrics.select import quantise
from blurbench.metrics.statistics import Interval
from blurbench.registry import PROTOCOLS
from blurbench.report import blur
from blurbench.report.board import Board, Row
from blurbench.run import record as records
from blurbench.run.compare import compare
from blurbench.run.predictions import Header, Predictions
from blurbench.store.reader import MadeDataSet
from blurbench.store.shard import Shard, sample_id

MOST = 20
"""Methods in one figure, the best first; more cannot be told apart."""
_FREEDOM = ("as-is", "best", "patch", "pixel", "channel", "frame")


@dataclass(frozen=True)
class Point:
    """A method's cost and quality with the interval of the latter. front: nothing is both cheaper and better."""

    label: str
    cost: float
    mean: float
    low: float | None
    high: float | None
    front: bool


@dataclass(frozen=True)
class Line:
    """A method's values over something: x, and mean with interval for each."""

    label: str
    values: list[tuple[float, Interval]]


@dataclass(frozen=True)
class Scatter:
    """A method's two numbers of each sample, and how they correlate over samples, with the interval over source videos."""

    label: str
    points: list[tuple[float, float]]
    correlation: Interval


@dataclass(frozen=True)
class Difference:
    """A method's mean difference to the reference in a column, with its interval, and what follows, in words."""

    label: str
    mean: float
    low: float | None
    high: float | None
    verdict: str


def column_of(board: Board, name: str | None = None) -> Column:
    """A column of a board's protocol, by default that which ranks. Raises UnknownNameError."""
    known = {column.name: column for column in board.rules.columns}
    if (name := name or board.rules.rank_by) not in known:
        raise UnknownNameError("column", name, known, f"protocol {board.rules.id}")
    return known[name]


def label(row: Row, board: Board) -> str:
    """The method, with the digits of its weights where the board has it twice."""
    twice = sum(other.label == row.label for other in board.measured) > 1
    weights = row.record.weights["sha256"][:6] if row.record and row.record.weights else "no weights"
    return f"{row.label} {weights}" if twice else row.label


def tradeoff(board: Board, cost: Callable[[Row], float | None], column: Column) -> list[Point]:
    """The measured methods that are not trivial and have both numbers, cheapest first; which are on the Pareto front is marked."""
    found = []
    for row in board.measured:
        cell, price = row.cells[column.name], cost(row)
        if not row.trivial and price is not None and price > 0 and cell.mean is not None:
            found.append(Point(label(row, board), float(price), cell.mean, cell.low, cell.high, False))
    sign = 1 if column.better == "higher" else -1
    found.sort(key=lambda point: (point.cost, -sign * point.mean, point.label))
    front, best = [], None
    for point in found:
        better = best is None or sign * point.mean > sign * best
        best = point.mean if better else best
        front.append(replace(point, front=better))
    return front


def shown(board: Board, column: Column) -> list[Row]:
    """The measured rows with a value in a column, without those of identical pictures, beside which all others would look alike."""
    cap = board.rules.psnr_cap if column.unit == "dB" else float("inf")
    return [row for row in board.measured if (mean := row.cells[column.name].mean) is not None and mean < cap]


def trivial(board: Board, column: Column) -> list[tuple[str, float]]:
    """The trivial methods of a board that have a value, best first."""
    return [(row.label, mean) for row in board.measured if row.trivial and (mean := row.cells[column.name].mean) is not None]


def ladder(rules: Protocol) -> list[Column]:
    """Columns that differ in nothing but how freely the direction of time is chosen, least freely first; at least three, or none.

    A choice for each frame comes last: it is no step of the others, because it may show one frame twice.
    """
    groups: dict[str, list[Column]] = {}
    for column in rules.columns:
        same = replace(column, name="", description="", direction="as-is")
        groups.setdefault(repr(same), []).append(column)
    longest = max(groups.values(), key=lambda group: len({column.direction for column in group}))
    steps = {column.direction: column for column in reversed(longest)}
    return [steps[direction] for direction in _FREEDOM if direction in steps] if len(steps) > 2 else []


def ladders(board: Board) -> list[Line]:
    """Of each measured method that has all values, those of the `ladder` of its protocol, by number of the step.

    Raises RecordError where the protocol has no ladder.
    """
    if not (steps := ladder(board.rules)):
        known = [name for name in PROTOCOLS.names() if ladder(protocols.load(name))]
        told = f"protocol {board.rules.id} has no ladder of directions, expected runs of one that has: {', '.join(known)}"
        raise RecordError(f"{told}; `blurbench evaluate --protocol {known[0]}` makes them")
    found = []
    for row in shown(board, steps[-1]):
        cells = [row.cells[column.name] for column in steps]
        values = [(float(i), Interval(c.mean, c.low, c.high)) for i, c in enumerate(cells) if c.mean is not None]
        if len(values) == len(steps):
            found.append(Line(label(row, board), values))
    return found[:MOST]


def differences(
    board: Board, runs: Path, column: Column, reference: str | None = None, tell: Callable[[str], None] = lambda text: None
) -> tuple[str, list[Difference]]:
    """The label of the reference, and each of the best `MOST` measured methods against it, sample by sample; positive is better.

    runs: the folder of the records. reference: a method's id, by default the best that is not trivial. Runs that cannot be compared with
    it, for one because a sample of theirs failed, are not there, and told. Raises RecordError where the board has no such method, the
    reference has no value in the column, and where nothing can be compared with it.
    """
    rows = board.measured
    candidates = [row for row in rows if row.method == reference] if reference else [row for row in rows if not row.trivial] or rows
    if not candidates:
        raise RecordError(f"reference is {reference!r}, expected a method on the board: {', '.join(sorted({row.method for row in rows}))}")
    chosen = candidates[0]
    _require_value(chosen, column)
    others = [row for row in shown(board, column) if row is not chosen]
    sign = 1 if column.better == "higher" else -1
    found, reasons = [], [f"no other method has a value in {column.name}, where pictures identical to the truth do not count"]
    for row in others[:MOST]:
        assert row.record and chosen.record
        try:
            mine, theirs = (_path(runs, each.name) for each in (row.record, chosen.record))
            (result,) = compare(mine, theirs, [column.name], names=(label(row, board), label(chosen, board))).rows
        except BlurbenchError as error:
            reasons.append(f"{label(row, board)}: {error}")
            continue
        ends = [None if end is None else sign * end for end in (result.low, result.high)]
        low, high = ends if sign > 0 else reversed(ends)
        verdict = {"A is better": "better", "B is better": "worse"}.get(result.verdict, result.verdict)
        found.append(Difference(label(row, board), sign * result.difference, low, high, verdict))
    if not found:
        mend = "" if len(reasons) > 1 else "; evaluate another method, or give another --column"  # a run's own reason has one
        raise RecordError(f"nothing can be compared with {label(chosen, board)}: {reasons[-1]}{mend}")
    for reason in reasons[1:]:
        tell(f"left out of the figure: {reason}")
    return label(chosen, board), found


def _require_value(row: Row, column: Column) -> None:
    """Raises RecordError for a measured row without a value in a column, naming those in which it has one."""
    if row.cells[column.name].mean is None and row.record:
        filled = [name for name, cell in row.cells.items() if cell.mean is not None]
        reason = row.record.empty.get(column.name, "its record does not say why")
        mend = f"give another --reference{', or a --column that it has: ' if filled else ''}{', '.join(filled)}"
        raise RecordError(f"reference {row.label} has no {column.name} ({reason}); {mend}")


def same_data(board: Board, data: MadeDataSet) -> bool:
    """Whether a board is of a split of this data set, made from the very same."""
    manifest = data.manifest
    known = manifest.label == board.dataset and board.split in manifest.splits
    return known and manifest.fingerprint(board.split) == board.fingerprint


def blur_sizes(data: MadeDataSet, split: str) -> dict[str, float]:
    """The blur of each sample of a split in pixels, its median displacement; those where it is not known are not there."""
    picks = blur.picked(data, split, data.count(split))
    return {_id(shard, row): found.median for (shard, row), found in zip(picks, blur.measure(picks), strict=True) if found is not None}


def by_blur_size(board: Board, runs: Path, sizes: Mapping[str, float], column: Column, bins: int = 4) -> list[Line]:
    """For each measured method its mean in bins of blur size, each at the middle of its bin; the best `MOST` methods.

    runs: folder of the records. sizes: of each sample, see `blur_sizes`; samples without one, or without a score, do not count.
    Raises RecordError where the scores of a run are gone.
    """
    lines = []
    for row in shown(board, column)[:MOST]:
        assert row.record
        table = records.scores(_path(runs, row.record.name))
        table = table[table["sample"].isin(list(sizes))].dropna(subset=[column.name])
        if table.empty:
            continue
        lengths = [sizes[sample] for sample in table["sample"]]
        found = binned(table[column.name].tolist(), lengths, table["video"].tolist(), bins)
        values = [((one.low + one.high) / 2, one.score) for one in found if one.score is not None]
        lines.append(Line(label(row, board), values))
    return lines


def best_of(folder: Path, data: MadeDataSet, rules: Protocol, column: Column) -> Line:
    """What the best of k draws scores on average, for k from 1 to as many as are stored, with its interval.

    folder: stored predictions, of the split that their header names. Raises PredictionError as `several_draws` does, and for a sample
    without a value.
    """
    stored, header = several_draws(folder, data)
    alone = replace(rules, samples=1, columns=(replace(column, draws="first"),), rank_by=column.name)
    values, videos = [], []
    for sample in data.samples(header.split):
        made = stored.get(sample)
        draws = [score(alone, replace(made, frames=made.frames[i : i + 1]), sample).values[column.name] for i in range(len(made.frames))]
        kept = [value for value in draws if value is not None]
        if len(kept) < len(draws):
            raise PredictionError(f"{folder}: sample {sample.id} has no {column.name}; choose another column")
        values.append(kept)
        videos.append(sample.video)
    curve = best_of_curve(values, videos, column.better)
    return Line(header.method, [(float(k), interval) for k, interval in enumerate(curve, 1)])


def residuals(folder: Path, data: MadeDataSet) -> Scatter:
    """What a method adds to the blurry picture, over how blurred that is: a point (blur, residual) a sample.

    Blur: mean displacement in pixels, see `blur.Blur`. Residual: mean absolute difference of the middle frame of the first draw to the
    blurry picture, in levels of 255. Source: M. Noroozi et al., GCPR 2017, Figure 9, for their network; the paper integrates the flow along
    the exposure, and scales both to mean 0 and deviation 1, which changes no correlation. Raises PredictionError as `stored_with_header`
    does, for samples whose blur is not known, and for values that are all equal.
    """
    stored, header = stored_with_header(folder, data)
    found = blur.measure(blur.picked(data, header.split, data.count(header.split)))
    points, videos = [], []
    for sample, size in zip(data.samples(header.split), found, strict=True):
        if size is None:
            raise PredictionError(f"how blurred sample {sample.id} is, is {blur.UNKNOWN}; give data with motion, or with several targets")
        frames = stored.get(sample).frames[0]
        added = quantise(frames[len(frames) // 2], "float") - sample.blurry / np.float32(255)  # exactly 0 for a copy
        points.append((size.mean, float(255 * np.abs(added).mean(dtype=np.float64))))
        videos.append(sample.video)
    return Scatter(header.method, points, correlation([y for _, y in points], [x for x, _ in points], videos))


def several_draws(folder: Path, data: MadeDataSet) -> tuple[Predictions, Header]:
    """Stored predictions and their header. Raises PredictionError as `stored_with_header` does, and for those of one draw."""
    stored, header = stored_with_header(folder, data)
    if header.draws < 2:
        raise PredictionError(f"{folder} holds no predictions with several draws; `blurbench predict --dataset D --samples N` makes them")
    return stored, header


def stored_with_header(folder: Path, data: MadeDataSet) -> tuple[Predictions, Header]:
    """Stored predictions and their header. Raises PredictionError for those without header, or of other data."""
    stored = Predictions(folder)
    if stored.header is None:
        raise PredictionError(f"{folder} holds no predictions of `blurbench predict --dataset`, which say of what data they are; make some")
    if stored.header.split not in data.manifest.splits:
        splits = ", ".join(data.manifest.splits)
        raise PredictionError(f"{folder} holds predictions of split {stored.header.split!r}, expected one of {data.folder}: {splits}")
    stored.header.check(data, stored.header.split, folder)
    return stored, stored.header


def _path(runs: Path, name: str) -> Path:
    return runs / f"{name}.json"


def _id(shard: Shard, row: int) -> str:
    return sample_id(shard.video, row)
