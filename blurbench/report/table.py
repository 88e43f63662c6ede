"""Leaderboards from run records: a file for each data-set split, fingerprint, protocol and version; rows are never mixed."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from blurbench.errors import RecordError, UnknownNameError
from blurbench.report import published
from blurbench.report.board import Board, Cell, Row, boards, collect
from blurbench.report.typeset import latex, markdown
from blurbench.store.disk import replacing

FORMATS = {"csv": "csv", "markdown": "md", "latex": "tex"}
"""Names of the formats, and the suffixes of their files."""
_HEAD = ("rank", "method", "weights")
_PARTS = ("", ":low", ":high", ":samples", ":difference", ":comparable")
_TAIL = (
    *("psnr_cap", "samples", "videos", "seconds", "device", "date", "fingerprint", "kind", "variant", "trivial", "title"),
    *("weights_sha256", "failed", "draws", "protocol_draws", "direction", "decide_by", "ranked_by", "parameters", "model_mb"),
    *("paper", "table", "reason", "dataset", "split", "protocol", "protocol_version", "record"),
)


def leaderboard(
    runs: Path | str = "runs",
    out: Path | str = "leaderboards",
    *,
    formats: Sequence[str] = ("csv",),
    intervals: bool = False,
    alone: bool = False,
    tell: Callable[[str], None] = warnings.warn,
) -> list[tuple[Path, Board]]:
    """Build every board from the records of a folder and what papers printed, and write them; returns the first file of each.

    formats: csv, markdown, latex, see docs/leaderboards.md. intervals: also in the latter two; the CSV always has them. alone: also
    boards of printed numbers that nobody has measured here. tell: is given a line for each record that is left out, with the reason.
    Raises RecordError when there is no record, or none that can stand on a board, UnknownNameError for a format, DataSetError where the
    files cannot be written.
    """
    if unknown := [name for name in formats if name not in FORMATS]:
        raise UnknownNameError("format", unknown[0], FORMATS)
    found, left_out = collect(runs)
    if not (found or left_out or alone):
        raise RecordError(f"no run records in {runs}/; `blurbench evaluate` writes them")
    if not (found or alone):
        raise RecordError(f"none of {len(left_out)} run records in {runs}/ can stand on a board; the first: {left_out[0]}")
    for line in left_out:
        tell(f"left out: {line}")
    written = []
    for board in boards(found, published.read(), alone):
        files = [Path(out) / f"{board.name}.{FORMATS[name]}" for name in formats]
        for name, path in zip(formats, files, strict=True):
            with replacing(path) as part:
                part.write_text(text(board, name, intervals), encoding="utf-8", newline="")
        written.append((files[0], board))
    return written


def text(board: Board, format: str = "csv", intervals: bool = False) -> str:
    """A board as the text of a file in one of FORMATS."""
    return to_csv(board) if format == "csv" else {"markdown": markdown, "latex": latex}[format](board, intervals)


def header(board: Board) -> list[str]:
    """The names of the CSV's columns, in their order, which docs/leaderboards.md explains."""
    return [*_HEAD, *(f"{column.name}{part}" for column in board.rules.columns for part in _PARTS), *_TAIL]


def to_csv(board: Board) -> str:
    """The table as CSV: one header, fixed order, full precision; an empty cell is what the row does not have."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(header(board))
    for row in board.rows:
        cells = [cell for column in board.rules.columns for cell in _cells(row.cells[column.name], row.measured)]
        tail = {**_board_facts(board), **_measured(row), **_printed(row)}
        table.writerow(["" if row.rank is None else row.rank, row.method, row.weights, *cells, *(tail.get(name, "") for name in _TAIL)])
    return out.getvalue()


def _cells(cell: Cell, measured: bool) -> list[str]:
    numbers = [_number(cell.mean), _number(cell.low), _number(cell.high), _number(cell.samples)]
    if cell.published is None:
        return [*numbers, "", ""]
    comparable = "yes" if cell.published.comparable else "no"
    return [*numbers, _number(cell.difference) if measured else "", comparable if cell.mean is not None else ""]


def _board_facts(board: Board) -> dict[str, object]:
    rules = board.rules
    return {
        "psnr_cap": rules.psnr_cap,
        "protocol_draws": rules.samples,
        "direction": rules.direction,
        "decide_by": rules.decide_by,
        "ranked_by": rules.rank_by,
        "dataset": board.dataset,
        "split": board.split,
        "protocol": rules.id,
        "protocol_version": rules.version,
    }


def _measured(row: Row) -> dict[str, object]:
    record = row.record
    if record is None:
        return {}
    return {
        "samples": record.samples,
        "videos": record.videos,
        "seconds": _number(record.seconds),
        "device": record.device,
        "date": record.date,
        "fingerprint": record.fingerprint,
        "kind": "measured",
        "variant": row.variant,
        "trivial": "yes" if row.trivial else "no",
        "title": record.title,
        "weights_sha256": record.weights["sha256"] if record.weights else "",
        "failed": len(record.failed),
        "draws": record.draws,
        "parameters": _number(row.parameters),
        "record": f"{record.name}.json",
    }


def _printed(row: Row) -> dict[str, object]:
    if row.measured:
        return {}
    return {
        "seconds": _number(row.seconds),
        "kind": "published",
        "variant": row.variant,
        "trivial": "no",
        "title": row.published[0].name,
        "model_mb": _number(row.cost("model_size")),
        "paper": row.published[0].paper,
        "table": row.published[0].table,
        "reason": row.reason,
    }


def _number(value: float | None) -> str:
    """All digits; whole numbers, which counts are, without a point."""
    return "" if value is None else str(value) if isinstance(value, int) else repr(float(value))
