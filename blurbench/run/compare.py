"""Two runs on the same samples: the difference in every column, its interval, and whether it is more than chance."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from blurbench.errors import PredictionError, RecordError, UnknownNameError
from blurbench.metrics.paired import Paired, paired, smallest_p
from blurbench.metrics.protocol import Column, Protocol
from blurbench.metrics.statistics import require_level
from blurbench.report.typeset import identical
from blurbench.run.record import RunRecord, misplaced
from blurbench.run.scored import Scored, common_rules, common_videos, require_same_metric


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
    rules: Protocol
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


def compare(
    a: Path | str, b: Path | str, columns: Sequence[str] = (), level: float = 0.95, names: tuple[str, str] = ("A", "B")
) -> Comparison:
    """Compare two runs sample by sample, by the paths of their records.

    columns: which, in this order; all of the protocol that both runs have unless given. level: of the intervals; a difference is called
    significant where p is at most 1 - level. Samples are matched by id; a column that only one run has for some sample, or whose metric had
    other weights, is left out, with the reason. names: of the two, for errors and reasons.
    Raises RecordError for a path where no file is, for runs of other data, other samples, another protocol or version or text of it, and
    where no column can be compared, UnknownNameError for a column, PredictionError for a level that is none.
    """
    require_level(level)
    for path in (a, b):
        if not Path(path).is_file():
            raise misplaced(Path(path), "the JSON file of a run record")
    scored = Scored.read(a, names[0]), Scored.read(b, names[1])
    runs = scored[0].run, scored[1].run
    rules = common_rules(*scored)
    known = {column.name: column for column in rules.columns}
    for name in columns:
        if name not in known:
            raise UnknownNameError("column", name, known, f"protocol {rules.id}")
    videos = common_videos(*scored)
    rows, left_out = [], {}
    for name in columns or known:
        try:
            left, right = (each.column(name) for each in scored)
            pair = paired(left, right, videos, average=known[name].average, level=level, names=names)
            require_same_metric(*scored, name)
            rows.append(_row(known[name], pair, level))
        except PredictionError as error:
            left_out[name] = str(error)
    if not rows:
        raise RecordError(f"no column can be compared: {'; '.join(f'{name}: {why}' for name, why in left_out.items())}")
    notes = _notes(*runs, rows, level)
    if any(row.unit == "dB" and max(row.a, row.b) >= rules.psnr_cap for row in rows):
        notes.append(identical(rules.psnr_cap))
    return Comparison(*runs, rules, level, rows, left_out, notes)


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
