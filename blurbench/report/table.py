"""Leaderboards from run records alone: one CSV for each data-set split, fingerprint, protocol and version; rows are never mixed."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from blurbench.errors import RecordError
from blurbench.metrics import protocol as protocols
from blurbench.metrics.protocol import Column, Protocol
from blurbench.run import record as records
from blurbench.run.record import RunRecord, file_name


@dataclass(frozen=True)
class Board:
    """One table: the protocol that all rows share, and the rows from best to worst."""

    rules: Protocol
    rows: list[RunRecord]

    @property
    def name(self) -> str:
        """File name without suffix: data set, split, first digits of the fingerprint, protocol and version."""
        row = self.rows[0]
        return f"{file_name(row.dataset)}-{row.split}-{row.fingerprint[:8]}.{row.protocol}-v{row.protocol_version}"

    def csv(self) -> str:
        """The table as CSV: one header, fixed column order, full precision; an empty cell is a value that the method cannot give."""
        columns = [column.name for column in self.rules.columns]
        out = io.StringIO()
        table = csv.writer(out, lineterminator="\n")
        spread = [f"{name}{part}" for name in columns for part in ("", ":low", ":high")]
        table.writerow(["rank", "method", "weights", *spread, "psnr_cap", "samples", "videos", "seconds", "device", "date", "fingerprint"])
        for rank, row in ranked(self.rows, self.rules):
            cells = [cell for name in columns for cell in _cells(row, name)]
            tail = [self.rules.psnr_cap, row.samples, row.videos, _seconds(row), row.device, row.date, row.fingerprint]
            table.writerow([rank, row.method, weights_name(row), *cells, *tail])
        return out.getvalue()


def leaderboard(runs: Path | str = "runs", out: Path | str = "leaderboards") -> list[tuple[Path, Board]]:
    """Build every board from the records of a folder and write the CSVs. Raises RecordError when there is no record or one is damaged."""
    found = sorted(Path(runs).glob("*.json"))
    if not found:
        raise RecordError(f"no run records in {runs}/; `blurbench evaluate` writes them")
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for board in build(records.read(path) for path in found):
        path = folder / f"{board.name}.csv"
        path.write_text(board.csv(), encoding="utf-8")
        written.append((path, board))
    return written


def build(rows: Iterable[RunRecord]) -> list[Board]:
    """Group records into boards and sort each by the protocol's ranking column. Raises RecordError for an unknown protocol version."""
    groups: dict[tuple[str, str, str, str, int], list[RunRecord]] = {}
    for row in rows:
        groups.setdefault(row.board, []).append(row)
    boards = []
    for key in sorted(groups):
        rules = protocols.load(key[3])
        for row in groups[key]:
            if rules.version != row.protocol_version or rules.digest() != row.rules:
                other = f"version {rules.version}" if rules.version != row.protocol_version else "another text of that version"
                raise RecordError(
                    f"{row.name} was scored under {row.protocol} version {row.protocol_version}, here is {other}; evaluate again"
                )
        boards.append(Board(rules, [row for _, row in ranked(groups[key], rules)]))
    return boards


def ranked(rows: list[RunRecord], rules: Protocol) -> list[tuple[int | None, RunRecord]]:
    """Rows from best to worst with their rank; equal values share a rank, rows without a value come last and have none."""
    column = next(column for column in rules.columns if column.name == rules.rank_by)
    with_value = [row for row in rows if _mean(row, column) is not None]
    without = sorted((row for row in rows if _mean(row, column) is None), key=lambda row: row.method)
    sign = -1 if column.better == "higher" else 1
    order = sorted(with_value, key=lambda row: (sign * (_mean(row, column) or 0.0), row.method))
    means = [_mean(row, column) for row in order]
    return [(means.index(mean) + 1, row) for mean, row in zip(means, order, strict=True)] + [(None, row) for row in without]


def weights_name(row: RunRecord) -> str:
    """ "shipped", "given" with the first digits of the hash, or "-"."""
    return f"{row.weights['origin']} {row.weights['sha256'][:8]}" if row.weights else "-"


def _seconds(row: RunRecord) -> str:
    return "" if row.seconds is None else f"{row.seconds:.4f}"


def _mean(row: RunRecord, column: Column) -> float | None:
    value = row.values.get(column.name)
    return value.mean if value else None


def _cells(row: RunRecord, name: str) -> list[str]:
    value = row.values.get(name)
    return ["" if part is None else repr(float(part)) for part in ((value.mean, value.low, value.high) if value else (None,) * 3)]
