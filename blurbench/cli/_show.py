"""Showing run records and boards; `evaluate`, `score`, `leaderboard` and `demo` share it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from blurbench.cli._terminal import progress, say, table
from blurbench.metrics import protocol as protocols
from blurbench.metrics.protocol import Column
from blurbench.report.table import Board, ranked, weights_name
from blurbench.run.evaluate import evaluate
from blurbench.run.record import RunRecord, Value
from blurbench.store.reader import open_dataset


def run_evaluate(method: str, dataset: str | Path, *, split: str = "test", **options: Any) -> list[RunRecord]:
    """Evaluate with a progress bar."""
    with counting(f"evaluating {method}", dataset, split) as tell:
        return evaluate(method, dataset, split=split, progress=tell, **options)


@contextmanager
def counting(title: str, dataset: str | Path, split: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar over the samples of a split; yields a function of the samples done and their total."""
    done = 0
    with progress(title, open_dataset(dataset).count(split), "samples") as advance:

        def tell(now: int, total: int) -> None:
            nonlocal done
            if not done and 0 < now > 1:
                say(f"going on with a stopped run: {now} of {total} samples are done")
            advance(now - done)
            done = now

        yield tell


def show_record(record: RunRecord, protocol: str, folder: str | Path) -> None:
    """A run's values under a protocol, by id or file, on stdout; where its files are on stderr."""
    rules = protocols.load(protocol)
    rows = []
    for column in rules.columns:
        value = record.values[column.name]
        rows.append([column.name, _number(value, column, rules.psnr_cap), _range(value), column.unit, column.description])
    say(f"\n{record.dataset}, split {record.split}, protocol {rules.id} version {rules.version}:")
    table(["column", "mean", "95 % interval", "unit", "what it is"], rows)
    for reason, names in _reasons(record).items():
        say(f"empty: {', '.join(names)}: {reason}")
    took = "" if record.seconds is None else f", {record.seconds:.3f} s a sample on {record.device}"
    say(f"{record.samples} samples of {record.videos} videos{took}")
    if record.failed:
        sample, reason = next(iter(record.failed.items()))
        say(f"{len(record.failed)} samples FAILED and are in no mean; the first, {sample}: {reason}")
    say(f"wrote {Path(folder) / record.name}.json and {record.scores}")


def show_board(board: Board) -> None:
    """A board on stdout."""
    row = board.rows[0]
    rules = board.rules
    say(f"{row.dataset}, split {row.split}, {row.samples} samples of {row.videos} videos, protocol {rules.id} version {rules.version}:")
    header = ["", "method", "weights", *(f"{c.name} {'↑' if c.better == 'higher' else '↓'}" for c in rules.columns), "s/sample"]
    rows = []
    for rank, row in ranked(board.rows, rules):
        values = [_number(row.values.get(column.name, Value(None)), column, rules.psnr_cap) for column in rules.columns]
        rows.append([rank or "", row.method, weights_name(row), *values, "" if row.seconds is None else f"{row.seconds:.3f}"])
    table(header, rows)
    if any(value.mean == rules.psnr_cap for row in board.rows for value in row.values.values()):
        say(f"≥{rules.psnr_cap:g}: identical pixels, whose PSNR is infinite; it counts as {rules.psnr_cap:g} dB")
    say(f"ranked by {rules.rank_by}; an empty cell is a value that the method cannot give")


def _reasons(record: RunRecord) -> dict[str, list[str]]:
    """The columns without a value, by reason."""
    found: dict[str, list[str]] = {}
    for name, reason in record.empty.items():
        if record.values[name].mean is None:
            found.setdefault(reason, []).append(name)
    return found


def _number(value: Value, column: Column, cap: float) -> str:
    if value.mean is None:
        return ""
    text = f"{value.mean:.4f}" if column.unit in ("", "1") else f"{value.mean:.2f}"
    return f"≥{cap:g}" if column.unit == "dB" and value.mean >= cap else text


def _range(value: Value) -> str:
    if value.mean is None or value.low is None or value.high is None:
        return ""
    return f"{value.low:.4g} … {value.high:.4g}"
