"""A board as its page shows it: head, rows and cells as text and sorting keys. Decides on words only, on no number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from blurbench.metrics.protocol import Column
from blurbench.report import site_words, typeset
from blurbench.report.board import Board, Cell, Row
from blurbench.report.site_files import page_name

_ORIGINS = {"shipped": "shipped", "given": "own", "found": "own", "submitted": "submitted"}


@dataclass(frozen=True)
class Head:
    """The head of a column: its name, unit, which way is better, what was done (`rule`), and how many samples have a value (`count`)."""

    name: str
    unit: str
    better: str
    arrow: str
    rule: str
    count: str
    description: str
    ranks: bool = False


@dataclass(frozen=True)
class Shown:
    """A cell: text, interval, difference to print; key: what to sort by, empty to come last. prize: best, second or nothing."""

    text: str
    key: str = ""
    spread: str = ""
    difference: str = ""
    prize: str = ""
    note: str = ""


@dataclass(frozen=True)
class Line:
    """A row; links are relative to the root of the site, empty where there is nothing to link to."""

    classes: str
    rank: str
    label: str
    page: str
    trivial: bool
    weights: str
    sha256: str
    cells: list[Shown]
    costs: list[Shown]
    device: str
    date: str
    record: str
    command: str
    failed: int
    source: str
    reason: str


@dataclass(frozen=True)
class Cost:
    """A column of costs: lower is better everywhere. `of`: the number of a row, None where it has none."""

    name: str
    unit: str
    title: str
    of: Callable[[Row], float | None]
    text: Callable[[float], str]


def _recorded(key: str, scale: float = 1.0) -> Callable[[Row], float | None]:
    def value(row: Row) -> float | None:
        number = row.record.cost.get(key) if row.record else None
        return number / scale if isinstance(number, int | float) and not isinstance(number, bool) else None

    return value


COSTS = (
    Cost("time", "s", "seconds a sample, the first not counted", lambda row: row.seconds, lambda x: f"{x:.3f}" if x >= 0.001 else "<0.001"),
    Cost("parameters", "M", "parameters of the network, in millions", _recorded("parameters", 1e6), lambda x: f"{x:.3g}"),
    Cost("multiply-adds", "G", "multiply-adds a sample, in thousand millions", _recorded("multiply_adds", 1e9), lambda x: f"{x:.3g}"),
    Cost("memory", "MiB", "largest memory in use", _recorded("peak_memory_mib"), lambda x: f"{x:.0f}"),
    Cost("model", "MB", "size of the model, as printed", lambda row: row.cost("model_size"), lambda x: f"{x:g}"),
)


def heads(board: Board) -> list[Head]:
    """The heads of the protocol's columns."""
    return [_head(column, board) for column in board.rules.columns]


def costs(board: Board) -> list[Cost]:
    """The columns of costs in which some row has a number."""
    return [cost for cost in COSTS if any(cost.of(row) is not None for row in board.rows)]


def lines(board: Board, known: frozenset[str]) -> list[Line]:
    """The rows. known: ids of methods that have a page."""
    won, shown = typeset.prizes(board), costs(board)
    return [_line(index, row, board, won, shown, known) for index, row in enumerate(board.rows)]


def weights(row: Row) -> str:
    """Whose weights: shipped with blurbench, own (the user's), submitted with predictions, or none; empty for a printed row."""
    if row.record is None:
        return ""
    origin = row.record.weights["origin"] if row.record.weights else "none"
    return _ORIGINS.get(origin, origin)


def _head(column: Column, board: Board) -> Head:
    counts = {_samples(row, column.name) for row in board.measured} - {0}
    count = "" if not counts else str(min(counts)) if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
    rule = site_words.rule(column, board.rules)
    arrow = site_words.ARROWS[column.better]
    ranks = column.name == board.rules.rank_by
    return Head(column.name, site_words.unit(column), column.better, arrow, rule, count, column.description, ranks)


def _samples(row: Row, column: str) -> int:
    """How many samples of a measured row have a value in a column."""
    cell = row.cells[column]
    if cell.mean is None or row.record is None:
        return 0
    return row.record.samples if cell.samples is None else cell.samples


def _line(index: int, row: Row, board: Board, won: dict[tuple[int, str], typeset.Prize], shown: list[Cost], known: frozenset[str]) -> Line:
    record = row.record
    return Line(
        classes=" ".join(["printed"] * (not row.measured) + ["trivial"] * row.trivial),
        rank="" if row.rank is None else str(row.rank),
        label=row.label,
        page=f"methods/{page_name(row.method)}.html" if row.method in known else "",
        trivial=row.trivial,
        weights=weights(row),
        sha256=record.weights["sha256"][:8] if record and record.weights else "",
        cells=[_cell(row, column, board, won.get((index, column.name))) for column in board.rules.columns],
        costs=[_cost(row, cost) for cost in shown],
        device=record.device if record else "",
        date=record.date[:10] if record else "",
        record=f"records/{page_name(record.name)}.json" if record else "",
        command=record.command if record else "",
        failed=len(record.failed) if record else 0,
        source=row.source,
        reason=row.reason,
    )


def _cell(row: Row, column: Column, board: Board, prize: typeset.Prize | None) -> Shown:
    cell: Cell = row.cells[column.name]
    if cell.mean is None:
        return Shown("")
    key = f"{cell.mean:.6g}"
    if not row.measured:
        return Shown(cell.published.printed if cell.published else "", key)
    total = row.record.samples if row.record else None
    return Shown(
        typeset.number(cell.mean, column, board.rules.psnr_cap),
        key,
        spread=_spread(cell, column),
        difference=typeset.difference(cell, column).strip("()"),
        prize=prize or "",
        note="" if cell.samples in (None, total) else f"{cell.samples} of {total} samples",
    )


def _spread(cell: Cell, column: Column) -> str:
    if cell.low is None or cell.high is None:
        return ""
    return f"{typeset.number(cell.low, column)} … {typeset.number(cell.high, column)}"


def _cost(row: Row, cost: Cost) -> Shown:
    value = cost.of(row)
    return Shown("") if value is None else Shown(cost.text(value), f"{value:.6g}")
