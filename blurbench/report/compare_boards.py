"""What changed between two states of the leaderboards: two folders of records, two folders of CSVs, or two CSVs."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from blurbench.errors import RecordError
from blurbench.run import record as records
from blurbench.run.record import file_name

_KEY = ("kind", "method", "variant", "weights", "paper", "table")
Values = Mapping[str, Mapping[str, float | None]]
"""Numbers by column, by name of the row."""


@dataclass(frozen=True)
class Change:
    """A row that came or went (column is empty), or a number of it that changed; None: it has no such number.

    row: board and method.
    """

    what: Literal["added", "removed", "changed"]
    row: str
    column: str = ""
    old: float | None = None
    new: float | None = None

    @property
    def difference(self) -> float | None:
        """New minus old, None where one of them is missing."""
        return None if self.old is None or self.new is None else self.new - self.old


def compare(old: Path | str, new: Path | str) -> list[Change]:
    """The changes from old to new, rows in order of their names: first what went, then what came, then what is another number.

    old, new: folders of run records or of CSVs as `blurbench leaderboard build` writes them, or two such CSVs. Of boards the means are
    compared. Raises RecordError for anything else, and for two of different kinds.
    """
    (before, kind), (after, other) = _read(Path(old)), _read(Path(new))
    if kind != other:
        raise RecordError(f"{old} holds {kind}, {new} holds {other}; give two of one kind")
    removed = [Change("removed", row) for row in sorted(before) if row not in after]
    added = [Change("added", row) for row in sorted(after) if row not in before]
    return removed + added + [change for row in sorted(before) if row in after for change in _changes(row, before[row], after[row])]


def _changes(row: str, before: Mapping[str, float | None], after: Mapping[str, float | None]) -> list[Change]:
    names = [*before, *(name for name in after if name not in before)]
    pairs = {name: (before.get(name), after.get(name)) for name in names}
    return [Change("changed", row, name, old, new) for name, (old, new) in pairs.items() if old != new]


def _read(path: Path) -> tuple[Values, str]:
    """The numbers of a folder or file, and which kind of thing it holds."""
    if path.is_file():
        return _table(path, ""), "a CSV"
    if not path.is_dir():
        raise RecordError(f"{path} is neither a folder nor a file; expected a folder of run records or of CSVs, or a CSV")
    if (path / "index.html").is_file() and (path / "boards").is_dir():  # a site that was built
        path = path / "boards"
    if found := sorted(path.glob("*.json")):
        return _records(found), "run records"
    boards = [each for each in sorted(path.glob("*.csv")) if each.name != "published.csv"]
    if not boards:
        raise RecordError(f"{path} holds neither run records (*.json) nor boards (*.csv)")
    return {row: values for each in boards for row, values in _table(each, f"{each.stem}: ").items()}, "boards"


def _records(paths: list[Path]) -> Values:
    found: dict[str, dict[str, float | None]] = {}
    for path in paths:
        row = records.read(path)
        weights = f" {row.weights['sha256'][:8]}" if row.weights else ""
        seed = f" seed {row.seed}" if row.seed else ""
        data = f"{file_name(row.dataset)}-{row.split}-{row.fingerprint[:8]}"
        found[f"{data}.{row.protocol}-v{row.protocol_version}: {row.method}{weights}{seed}"] = {
            **{name: value.mean for name, value in row.values.items()},
            "samples": row.samples,
            "failed": len(row.failed),
        }
    return found


def _table(path: Path, board: str) -> Values:
    """The means of a CSV by row; a row is told by method, variant, weights and source."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            header, rows = list(reader.fieldnames or []), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RecordError(f"{path} cannot be read as a board: {error}") from error
    columns = [name for name in header if f"{name}:low" in header]
    if missing := [name for name in (*_KEY, "samples", "failed") if name not in header]:
        raise RecordError(f"{path} is no board of blurbench: it has no column {missing[0]!r}; build it again")
    found: dict[str, dict[str, float | None]] = {}
    for number, row in enumerate(rows, 1):
        if None in row or None in row.values():
            raise RecordError(f"{path}, row {number}: other cells than the header has")
        name = board + ", ".join(row[key] for key in _KEY[1:] if row[key] not in ("", "-"))
        found[name] = {each: _number(row[each], f"{path}, row {number}, column {each}") for each in (*columns, "samples", "failed")}
    return found


def _number(cell: str, where: str) -> float | None:
    try:
        number = float(cell) if cell else None
    except ValueError:
        number = math.nan
    if number is not None and math.isnan(number):
        raise RecordError(f"{where}: {cell!r}, expected a number or nothing")
    return number
