"""Two runs on the same samples: the difference in every column, its interval, and whether it is more than chance."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blurbench.errors import PredictionError, RecordError, UnknownNameError
from blurbench.metrics.paired import Paired, named, paired, smallest_p
from blurbench.metrics.protocol import Column, Protocol
from blurbench.run import record as records
from blurbench.run.record import RunRecord

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Row:
    """One column of both runs, A and B: means, their difference A - B with its interval, and what follows.

    p: of the paired permutation test of whole videos, uncorrected for the number of columns. samples, videos: that were compared;
    missing: samples for which neither run has a value. verdict: in words.
    """

    column: str
    unit: str
    better: str
    a: float
    b: float
    difference: float
    low: float | None
    high: float | None
    p: float
    samples: int
    videos: int
    missing: int
    verdict: str


@dataclass(frozen=True)
class Comparison:
    """Runs A and B under one protocol. left_out: columns that cannot be compared, and why. notes: what a reader must know besides."""

    a: RunRecord
    b: RunRecord
    level: float
    rows: list[Row]
    left_out: dict[str, str]
    notes: list[str]

    def csv(self) -> str:
        """The rows as CSV: full precision, an empty cell where there is no number."""
        out = io.StringIO()
        table = csv.DictWriter(out, Row.__annotations__, lineterminator="\n")
        table.writeheader()
        table.writerows(asdict(row) for row in self.rows)
        return out.getvalue()

    def json(self) -> str:
        """All of it, each run by name, method, weights and date."""
        runs = {side: {"name": run.name, **_facts(run)} for side, run in (("a", self.a), ("b", self.b))}
        board = dict(zip(("dataset", "split", "fingerprint", "protocol", "protocol_version"), self.a.board, strict=True))
        rows = [asdict(row) for row in self.rows]
        whole = {**runs, **board, "level": self.level, "rows": rows, "left_out": self.left_out, "notes": self.notes}
        return json.dumps(whole, indent=2, ensure_ascii=False)


def compare(a: Path | str, b: Path | str, columns: Sequence[str] = (), level: float = 0.95) -> Comparison:
    """Compare two runs sample by sample, by the paths of their records.

    columns: which, in this order; all of the protocol that both runs have unless given. level: of the intervals; a difference is called
    significant where p is at most 1 - level. Samples are matched by id; a column that only one run has for some sample, or whose metric had
    other weights, is left out, with the reason.
    Raises RecordError for runs of other data, other samples, another protocol or version or text of it, and where no column can be
    compared, UnknownNameError for a column, PredictionError for a level that is none.
    """
    if not 0 < level < 1:
        raise PredictionError(f"level is {level}, expected a number between 0 and 1, e.g. 0.95")
    paths = Path(a), Path(b)
    runs = records.read(paths[0]), records.read(paths[1])
    rules = _common_rules(*runs)
    known = {column.name: column for column in rules.columns}
    for name in columns:
        if name not in known:
            raise UnknownNameError("column", name, known, f"protocol {rules.id}")
    tables = _table(paths[0]), _table(paths[1])
    videos = _videos(*tables)
    rows, left_out = [], {}
    for name in columns or known:
        try:
            left, right = (_scores(table, name) for table in tables)
            pair = paired(left, right, videos, average=known[name].average, level=level, names=("A", "B"))
            _require_same_metric(*(run.metrics.get(name, {}) for run in runs))
            rows.append(_row(known[name], pair, level))
        except PredictionError as error:
            left_out[name] = str(error)
    if not rows:
        raise RecordError(f"no column can be compared: {'; '.join(f'{name}: {why}' for name, why in left_out.items())}")
    return Comparison(*runs, level, rows, left_out, _notes(*runs, rows, level))


def _common_rules(a: RunRecord, b: RunRecord) -> Protocol:
    """The protocol of both. Raises RecordError where the runs cannot stand beside each other."""
    for what, left, right, mend in (
        ("the data", f"{a.dataset}/{a.split} {a.fingerprint[:12]}", f"{b.dataset}/{b.split} {b.fingerprint[:12]}", "the same data"),
        ("the protocol", f"{a.protocol} version {a.protocol_version}", f"{b.protocol} version {b.protocol_version}", "one protocol"),
        ("the text of the protocol", a.rules[:12], b.rules[:12], "one blurbench"),
    ):
        if left != right:
            raise RecordError(f"{what} of A is {left}, of B {right}; evaluate both with {mend} to compare {a.method} and {b.method}")
    return records.rules_of(a)


def _table(path: Path) -> pd.DataFrame:
    table = records.scores(path)
    if twice := table["sample"][table["sample"].duplicated()].tolist():
        raise RecordError(f"the scores of {path.name} have sample {twice[0]} twice; evaluate again")
    return table


def _videos(left: pd.DataFrame, right: pd.DataFrame) -> dict[str, str]:
    """The video of each sample. Raises RecordError for samples that only one run has, and for other videos."""
    first, second = (dict(zip(table["sample"], table["video"], strict=True)) for table in (left, right))
    for here, other, name in ((first, second, "B"), (second, first, "A")):
        if only := sorted(here.keys() - other):
            raise RecordError(f"{name} has no scores of {named(only)}; see `failed` in its record, and evaluate it again")
    if moved := sorted(sample for sample in first if first[sample] != second[sample]):
        raise RecordError(f"A and B name other videos for {named(moved)}, expected the same; evaluate both again")
    return first


def _scores(table: pd.DataFrame, column: str) -> dict[str, float | None]:
    if column not in table:
        return dict.fromkeys(table["sample"])
    return dict(zip(table["sample"], table[column].astype(float), strict=True))


def _require_same_metric(a: dict[str, Any], b: dict[str, Any]) -> None:
    """Raises PredictionError where a column's metric had other weights or another flow model."""
    facts = [" and ".join(f"{key} {run.get(key, 'unknown')}" for key in sorted({*a, *b}) if a.get(key) != b.get(key)) for run in (a, b)]
    if facts[0]:
        raise PredictionError(f"A was scored with {facts[0]}, B with {facts[1]}; score both with the same")


def _row(column: Column, pair: Paired, level: float) -> Row:
    _, low, high = pair.difference
    return Row(
        column=column.name,
        unit=column.unit,
        better=column.better,
        a=pair.first,
        b=pair.second,
        difference=pair.difference.mean,
        low=low,
        high=high,
        p=pair.p,
        samples=pair.samples,
        videos=pair.videos,
        missing=pair.missing,
        verdict=_verdict(column, pair, 1 - level),
    )


def _verdict(column: Column, pair: Paired, alpha: float) -> str:
    if smallest_p(pair.videos) > alpha:
        return "too few videos to tell"
    if pair.p > alpha:
        return "no significant difference"
    return "A is better" if (pair.difference.mean > 0) == (column.better == "higher") else "B is better"


def _notes(a: RunRecord, b: RunRecord, rows: Sequence[Row], level: float) -> list[str]:
    notes = []
    if a.content != b.content:
        notes.append(
            f"the data of A and B were made alike but differ in values ({a.content[:12]}, {b.content[:12]}): other versions of libraries"
        )
    for side, run in (("A", a), ("B", b)):
        if run.failed:
            notes.append(f"{len(run.failed)} of {side}'s samples failed and have no scores, e.g. {next(iter(run.failed))}")
    few = {row.videos for row in rows if smallest_p(row.videos) > 1 - level}
    notes += [f"with {videos} videos no p is below {smallest_p(videos):g}, whatever the difference" for videos in sorted(few)]
    if len(rows) > 1:
        notes.append(f"p values are of each column alone, not corrected for {len(rows)} columns")
    return notes


def _facts(run: RunRecord) -> dict[str, str | None]:
    return {"method": run.method, "weights": run.weights["sha256"] if run.weights else None, "date": run.date}
