"""Showing run records and boards; `evaluate`, `score`, `leaderboard` and `demo` share it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from blurbench.cli._terminal import by_reason, progress, say, table
from blurbench.errors import counted
from blurbench.metrics.protocol import Column
from blurbench.report.board import Board, Row, empty_reasons
from blurbench.report.typeset import difference, identical, number, seconds
from blurbench.run.evaluate import evaluate
from blurbench.run.record import RunRecord, Value, rules_of
from blurbench.store.reader import open_dataset


def run_evaluate(method: str, dataset: str | Path, *, split: str = "test", **options: Any) -> list[RunRecord]:
    """Evaluate with a progress bar."""
    with counting(f"evaluating {method}", dataset, split) as tell:
        return evaluate(method, dataset, split=split, progress=tell, note=say, **options)


@contextmanager
def counting(title: str, dataset: str | Path, split: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar over the samples of a split; yields a function of the samples done and their total."""
    done = 0
    with progress(title, open_dataset(dataset).count(split), "samples") as advance:

        def tell(now: int, total: int) -> None:
            nonlocal done
            advance(now - done)
            done = now

        yield tell


def show_record(record: RunRecord, folder: str | Path) -> None:
    """A run's values on stdout; where its files are on stderr."""
    rules = rules_of(record)
    rows = []
    for column in rules.columns:
        value = record.values[column.name]
        rows.append([column.name, number(value.mean, column, rules.psnr_cap), _range(value), column.unit, column.description])
    say(f"\n{record.dataset}, split {record.split}, protocol {rules.id} version {rules.version}:")
    table(["column", "mean", "95 % interval", "unit", "what it is"], rows)
    empty = {name: reason for name, reason in record.empty.items() if record.values[name].mean is None}
    for reason, names in by_reason(empty).items():
        say(f"empty: {', '.join(names)}: {reason}")
    took = "" if record.seconds is None else f", {record.seconds:.3f} s a sample on {record.device}"
    say(f"{counted(record.samples, 'sample')} of {counted(record.videos, 'video')}{took}")
    if record.failed:
        sample, reason = next(iter(record.failed.items()))
        say(f"{_failed(record)}; the first, {sample}: {reason}")
    say(f"wrote {Path(folder) / record.name}.json and {Path(folder) / record.scores}")


def _failed(record: RunRecord) -> str:
    """How many samples of a run failed, in words."""
    count = len(record.failed)
    return f"{counted(count, 'sample')} FAILED and {'is' if count == 1 else 'are'} in no mean"


def show_board(board: Board) -> None:
    """A board on stdout; what a reader must know of it on stderr."""
    rules = board.rules
    counts = {f", {counted(row.record.samples, 'sample')} of {counted(row.record.videos, 'video')}" for row in board.measured if row.record}
    say(f"{board.dataset}, split {board.split}{''.join(sorted(counts))}, protocol {rules.id} version {rules.version}:")
    header = ["", "method", "weights", *(f"{c.name} {'↑' if c.better == 'higher' else '↓'}" for c in rules.columns), "s/sample"]
    rows = []
    for row in board.rows:
        values = [_cell(row, column, rules.psnr_cap) for column in rules.columns]
        name = f"{row.label} · {row.source}" if row.published else f"{row.label} †" if row.trivial else row.label
        rows.append([row.rank or "", name, row.weights, *values, seconds(row)])
    table(header, rows, keys=2)
    if any(cell.mean == rules.psnr_cap for row in board.measured for cell in row.cells.values()):
        say(identical(rules.psnr_cap))
    say(f"ranked by {rules.rank_by}")
    for reason, methods in empty_reasons(board):
        say(f"empty cells of {', '.join(methods)}: {reason}")
    for row in board.measured:
        if row.record and row.record.failed:
            say(f"{row.label}: {_failed(row.record)}")
    if any(row.trivial for row in board.rows):
        say("† trivial: shows what a number is worth")
    elif board.measured:
        say(f"no trivial method is on this board; run `blurbench evaluate` with --method {board.missing_trivial[0]}")
    if any(row.published for row in board.rows):
        say("rows without a rank and with a source are printed by papers; in parentheses the difference to them, * where not comparable")


def _cell(row: Row, column: Column, cap: float) -> str:
    """The number, and for a measured row how far it is from what was printed of the method."""
    cell = row.cells[column.name]
    if cell.published is not None and not row.measured:
        return cell.published.printed
    return f"{number(cell.mean, column, cap)} {difference(cell, column)}".strip()


def _range(value: Value) -> str:
    if value.mean is None or value.low is None or value.high is None:
        return ""
    return f"{value.low:.4g} … {value.high:.4g}"
