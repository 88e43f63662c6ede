"""Numbers that papers printed: `leaderboards/published.csv`, read strictly. Its columns are explained in docs/leaderboards.md."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path

from blurbench.errors import RecordError, UnknownNameError

COSTS = {"time": "s", "model_size": "MB"}
"""Metrics that are no quality, and so no column of a protocol; their units."""


@dataclass(frozen=True)
class Published:
    """One printed number.

    paper: id of the source (`zhang2020`; `…-code` for the README of published code); table: where it stands there. name, variant: the
    method and what of it, as the source has them. data, conditions: what the source says of the data and of the scoring. metric, unit:
    as printed. printed: the digits; value: what they are worth. dataset, split, protocol, column, method: ids of blurbench that it
    belongs to, empty where there is none; samples: how many the paper's split has, where it says. comparable: whether a number measured
    by blurbench under that protocol may be held against it; reason: why not. note: whatever else a reader must know.
    """

    paper: str
    table: str
    name: str
    variant: str
    data: str
    conditions: str
    metric: str
    printed: str
    unit: str
    dataset: str
    split: str
    samples: int | None
    protocol: str
    column: str
    method: str
    comparable: bool
    reason: str
    note: str

    @property
    def value(self) -> float:
        """The number, in `unit`."""
        return float(self.printed)

    @property
    def row(self) -> tuple[str, str, str, str]:
        """What the numbers of one row of a board have in common."""
        return self.paper, self.table, self.name, self.variant


HEADER = tuple("value" if field.name == "printed" else field.name for field in fields(Published))
_REQUIRED = ("paper", "table", "name", "metric", "value")
_BELONGS = ("dataset", "split", "protocol")


def read(path: Path | None = None) -> list[Published]:
    """All printed numbers, in the order of the file; path: another file than the one of blurbench.

    Raises RecordError, naming row (counted from 1 without the header) and column, for whatever the file may not hold. Whether its ids
    exist is not looked at here: a test does that for the file of blurbench.
    """
    path = path or Path(str(resources.files("blurbench.leaderboards"))) / "published.csv"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RecordError(f"{path} cannot be read as published numbers: {error}") from error
    if not rows or tuple(rows[0]) != HEADER:
        _header(path, rows[0] if rows else [])
    found = [_entry(cells, f"{path}, row {number}") for number, cells in enumerate(rows[1:], 1)]
    _no_doubles(found, path)
    return found


def _header(path: Path, header: list[str]) -> None:
    """Raises RecordError for the first name of the header that is wrong."""
    for name in header:
        if name not in HEADER:
            raise RecordError(str(UnknownNameError("column", name, HEADER, str(path))))
    missing = [name for name in HEADER if name not in header]
    wrong = f"lacks the column {missing[0]}" if missing else "has its columns in another order, or twice"
    raise RecordError(f"{path} {wrong}; expected {', '.join(HEADER)}")


def _entry(cells: list[str], where: str) -> Published:
    if len(cells) != len(HEADER):
        raise RecordError(f"{where}: {len(cells)} cells, expected {len(HEADER)}; quote cells that hold a comma")
    table = dict(zip(HEADER, cells, strict=True))
    for name, cell in table.items():
        _require(where, name, cell, cell == cell.strip(), "no space around it")
    for name in _REQUIRED:
        _require(where, name, table[name], bool(table[name]), "something")
    _require(where, "value", table["value"], _is_number(table["value"]), "a finite number")
    _require(where, "comparable", table["comparable"], table["comparable"] in ("yes", "no"), "yes or no")
    _require(where, "samples", table["samples"], not table["samples"] or table["samples"].isdecimal(), "a whole number or nothing")
    _check_place(table, where)
    printed, comparable, samples = table.pop("value"), table.pop("comparable") == "yes", table.pop("samples")
    return Published(**table, printed=printed, comparable=comparable, samples=int(samples) if samples else None)


def _check_place(table: dict[str, str], where: str) -> None:
    """A number stands in one column of one board, or in none; one that cannot be compared says why."""
    given = [bool(table[name]) for name in _BELONGS]
    empty = next((name for name in _BELONGS if not table[name]), "")
    _require(where, empty, "", all(given) or not any(given), f"something: {', '.join(_BELONGS)} are given together or not at all")
    quality = table["metric"] not in COSTS
    expected = "a column of the protocol" if quality else f"nothing: {table['metric']} is no column of a protocol"
    _require(where, "column", table["column"], bool(table["column"]) == (quality and all(given)), expected if all(given) else "nothing")
    if not quality:
        _require(where, "unit", table["unit"], table["unit"] == COSTS[table["metric"]], COSTS[table["metric"]])
    comparable = table["comparable"] == "yes"
    _require(where, "comparable", "yes", not comparable or bool(table["column"]), "no, for what is in no column of a board")
    expected = "nothing, since the number is comparable" if comparable else "why the number is not comparable"
    _require(where, "reason", table["reason"], bool(table["reason"]) != comparable, expected)


def _require(where: str, column: str, cell: str, right: bool, expected: str) -> None:
    if not right:
        raise RecordError(f"{where}, column {column}: {cell!r}, expected {expected}")


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _no_doubles(found: Iterable[Published], path: Path) -> None:
    """Raises RecordError where a row of a board would have two numbers in one cell."""
    seen: dict[tuple[object, ...], int] = {}
    for number, entry in enumerate(found, 1):
        key = (*entry.row, entry.data, entry.protocol, entry.metric, entry.column)
        if key in seen:
            raise RecordError(f"{path}, row {number}, column metric: {entry.metric!r} of {entry.name!r} stands in row {seen[key]} already")
        seen[key] = number
