"""Boards as values: what was measured, and what papers printed, in one table for each split of data, protocol and version.

Every writer (CSV, Markdown, LaTeX, terminal, pages) is given these; none of them decides on order, rank or comparison itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from blurbench.errors import BlurbenchError, RecordError
from blurbench.metrics import protocol as protocols
from blurbench.metrics.protocol import Column, Protocol
from blurbench.report.published import Published
from blurbench.run import record as records
from blurbench.run.record import RunRecord, file_name, rules_of

TRIVIAL = ("copy-blur", "oracle-centre", "oracle-reversed", "oracle")
"""Methods that anybody has without a method: they show what a number is worth, and take no prize."""
_RELEASED = "-released"  # what an import adds to a data set's name: the very pictures of the paper
_NAMED = 20  # methods named beside a reason


@dataclass(frozen=True)
class Cell:
    """One number of a row, in the unit of its column; None where the method has no such value.

    low, high: 95 % interval. samples: how many have a value, where not all do. published: in a published row the printed number itself,
    in a measured row the printed number of the same method, if there is one.
    """

    mean: float | None
    low: float | None = None
    high: float | None = None
    samples: int | None = None
    published: Published | None = None

    @property
    def difference(self) -> float | None:
        """Measured minus printed, None where one of them is missing. `published.comparable` says what it is worth."""
        return None if self.mean is None or self.published is None else self.mean - self.published.value


@dataclass(frozen=True)
class Row:
    """One method on a board: measured (`record`) or printed by a paper (`published`, its numbers, costs included).

    method: its id in blurbench, or for a published row without one the paper's name of it. variant: the paper's word, or the seed of a
    measured row of another than 0. rank: among measured rows; None for published ones and where the ranking column is empty. cells: by
    column, every column of the protocol.
    """

    method: str
    variant: str
    rank: int | None
    cells: dict[str, Cell]
    record: RunRecord | None = None
    published: tuple[Published, ...] = ()

    @property
    def measured(self) -> bool:
        """Whether blurbench measured it."""
        return self.record is not None

    @property
    def trivial(self) -> bool:
        """Whether it is one of the methods that nobody had to invent."""
        return self.measured and self.method in TRIVIAL

    @property
    def label(self) -> str:
        """The method with its variant."""
        return f"{self.method} ({self.variant})" if self.variant else self.method

    @property
    def weights(self) -> str:
        """Origin ("shipped", "given", "submitted") and first digits of the hash; "-" without weights, empty for a published row."""
        if self.record is None:
            return ""
        weights = self.record.weights
        return f"{weights['origin']} {weights['sha256'][:8]}" if weights else "-"

    @property
    def source(self) -> str:
        """Paper and table of a published row, else empty."""
        return f"{self.published[0].paper}, {self.published[0].table}" if self.published else ""

    @property
    def reason(self) -> str:
        """Why numbers of a published row, its costs aside, are not comparable: each reason once, in the order of the columns."""
        reasons = (reason for entry in self.published if entry.column for reason in entry.reason.split("; "))
        return "; ".join(dict.fromkeys(filter(None, reasons)))

    @property
    def seconds(self) -> float | None:
        """Seconds a sample, measured or printed (on hardware of its own)."""
        return self.record.seconds if self.record else self.cost("time")

    @property
    def parameters(self) -> int | None:
        """Of the network, where the record says."""
        return self.record.cost.get("parameters") if self.record else None

    def cost(self, metric: str) -> float | None:
        """A printed cost, see `published.COSTS`."""
        return next((entry.value for entry in self.published if entry.metric == metric), None)


@dataclass(frozen=True)
class Board:
    """One table: the protocol that all rows share, the data, and the rows from best to worst, those without a value last.

    fingerprint: of the data; empty for a board of published numbers alone.
    """

    rules: Protocol
    dataset: str
    split: str
    fingerprint: str
    rows: list[Row] = field(default_factory=list)

    @property
    def name(self) -> str:
        """File name without suffix: data set, split, first digits of the fingerprint, protocol and version."""
        data = "-".join(filter(None, [file_name(self.dataset), file_name(self.split), self.fingerprint[:8] or "published"]))
        return f"{data}.{self.rules.id}-v{self.rules.version}"

    @property
    def measured(self) -> list[Row]:
        """The rows that blurbench measured."""
        return [row for row in self.rows if row.measured]

    @property
    def missing_trivial(self) -> list[str]:
        """Trivial methods that nobody has run on this board yet."""
        there = {row.method for row in self.measured}
        return [name for name in TRIVIAL if name not in there]


def collect(folder: Path | str) -> tuple[list[RunRecord], list[str]]:
    """The records of a folder that can stand on a board, and a line for each file that cannot, with the reason.

    Left out are damaged records, those of a newer schema, an unknown protocol or another version of one, all but the newest of several
    files with the same run, and those scored by other rules than the newest record has under the same id and version.
    """
    newest: dict[str, tuple[Path, RunRecord]] = {}
    left_out = []
    for path in sorted(Path(folder).glob("*.json")):
        try:
            row = records.read(path)
        except RecordError as error:
            left_out.append(str(error))
            continue
        try:
            rules_of(row)
        except BlurbenchError as error:
            left_out.append(f"{path}: {error}")
            continue
        if row.name in newest:
            (older, _), (newer, kept) = sorted([newest[row.name], (path, row)], key=lambda pair: pair[1].date)
            left_out.append(f"{older}: the same run as {newer.name}, which is not older")
            newest[row.name] = newer, kept
        else:
            newest[row.name] = path, row
    latest = {row.board: (path, row) for path, row in sorted(newest.values(), key=lambda pair: pair[1].date)}
    agreed = []
    for path, row in newest.values():
        other, leading = latest[row.board]
        if row.rules == leading.rules:
            agreed.append(row)
        else:
            told = f"{path}: {row.protocol} version {row.protocol_version} has other rules here than in {other.name}, which is newer"
            left_out.append(f"{told}; evaluate again, or raise the version of one")
    return agreed, left_out


def boards(rows: Iterable[RunRecord], published: Sequence[Published] = (), alone: bool = False) -> list[Board]:
    """Group records into boards, put beside them what papers printed for the same data and protocol, and sort each.

    published: see `blurbench.report.published.read`; a printed number stands on boards of the paper's own data set, made by its recipe
    without changes or imported as released, never on those of rendered footage. alone: also boards of what nobody has measured here.
    Raises what `blurbench.run.record.rules_of` does.
    """
    groups: dict[tuple[str, str, str, str, int], list[RunRecord]] = {}
    for row in rows:
        groups.setdefault(row.board, []).append(row)
    printed: dict[tuple[str, str, str], list[Published]] = {}
    for entry in published:
        if entry.protocol:
            printed.setdefault((entry.dataset, entry.split, entry.protocol), []).append(entry)
    built, used = [], set()
    for dataset, split, fingerprint, protocol, version in sorted(groups):
        group = groups[dataset, split, fingerprint, protocol, version]
        rules = rules_of(*group)
        place = dataset.removesuffix(_RELEASED), split, protocol
        used.add(place)
        beside = [_beside(entry, group[0]) for entry in printed.get(place, [])]
        built.append(_board(rules, dataset, split, fingerprint, group, beside))
    if alone:
        unused = sorted(place for place in printed if place not in used)
        built += [_board(protocols.load(place[2]), place[0], place[1], "", [], printed[place]) for place in unused]
    return built


def _board(rules: Protocol, dataset: str, split: str, fingerprint: str, group: Sequence[RunRecord], printed: Sequence[Published]) -> Board:
    rows = [_measured(row, rules, printed) for row in group] + _published(rules, printed)
    return Board(rules, dataset, split, fingerprint, _ordered(rows, rules))


def _beside(entry: Published, row: RunRecord) -> Published:
    """A printed number on the board of this record: not comparable where the data are not the very ones of the paper."""
    total = row.samples + len(row.failed)
    if not row.dataset.endswith(_RELEASED):
        reason = "the data of this board were made here, they are not the released ones"
    elif entry.samples not in (None, total):
        reason = f"this board has {total} samples, the paper {entry.samples}"
    else:
        return entry
    return replace(entry, comparable=False, reason="; ".join(filter(None, [entry.reason, reason])))


def _measured(row: RunRecord, rules: Protocol, printed: Sequence[Published]) -> Row:
    cells = {}
    for column in rules.columns:
        value = row.values.get(column.name, records.Value(None))
        cells[column.name] = Cell(value.mean, value.low, value.high, value.samples, _counterpart(row, column, printed))
    return Row(row.method, f"seed {row.seed}" if row.seed else "", None, cells, row)


def _counterpart(row: RunRecord, column: Column, printed: Sequence[Published]) -> Published | None:
    """What was printed of a method: what is comparable before what is not, its authors' number before others', then the first.

    Of a small network that ships no paper has a number, so that none is comparable with it.
    """
    same = [entry for entry in printed if entry.method == row.method and entry.column == column.name]
    found = min(same, key=lambda entry: (not entry.comparable, not row.method.startswith(entry.paper.removesuffix("-code"))), default=None)
    small = row.weights is not None and row.weights["origin"] == "shipped"
    return found and replace(found, comparable=found.comparable and not small)


def _published(rules: Protocol, printed: Sequence[Published]) -> list[Row]:
    groups: dict[tuple[str, str, str, str], list[Published]] = {}
    for entry in printed:
        groups.setdefault(entry.row, []).append(entry)
    rows = []
    for entries in groups.values():
        by_column = {entry.column: entry for entry in entries if entry.column}
        cells = {
            c.name: Cell(by_column[c.name].value, published=by_column[c.name]) if c.name in by_column else Cell(None) for c in rules.columns
        }
        method = next((entry.method for entry in entries if entry.method), entries[0].name)
        rows.append(Row(method, entries[0].variant, None, cells, None, tuple(entries)))
    return rows


def _ordered(rows: Iterable[Row], rules: Protocol) -> list[Row]:
    """Best first by the ranking column, and measured rows ranked: equal values share a rank, as in sport (1, 1, 3)."""
    column = next(column for column in rules.columns if column.name == rules.rank_by)
    sign = -1 if column.better == "higher" else 1

    def key(row: Row) -> tuple[bool, float, bool, str, str, str]:
        mean = row.cells[column.name].mean
        return mean is None, sign * (mean or 0.0), not row.measured, row.label, row.source, row.record.name if row.record else ""

    order = sorted(rows, key=key)
    means = [mean for row in order if row.measured and (mean := row.cells[column.name].mean) is not None]
    return [_ranked(row, means, column.name) for row in order]


def _ranked(row: Row, means: list[float], column: str) -> Row:
    mean = row.cells[column].mean
    rank = means.index(mean) + 1 if row.measured and mean is not None else None
    return replace(row, rank=rank)


def empty_reasons(board: Board) -> list[tuple[str, list[str]]]:
    """Why cells of measured rows are empty: each reason with the methods it holds for, of many the first."""
    found: dict[str, dict[str, None]] = {}
    for row in board.measured:
        for name, reason in (row.record.empty if row.record else {}).items():
            if name in row.cells and row.cells[name].mean is None:
                found.setdefault(reason, {})[row.label] = None
    return [(reason, _shortened(list(names))) for reason, names in found.items()]


def _shortened(names: list[str]) -> list[str]:
    return names if len(names) <= _NAMED else [*names[:_NAMED], f"and {len(names) - _NAMED:,} more"]
