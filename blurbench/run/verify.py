"""Is a run record what it says? From its scores alone, and from stored predictions; and adding it to a folder of records."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING

from blurbench.errors import RecordError
from blurbench.metrics.protocol import Protocol
from blurbench.metrics.score import SampleScore
from blurbench.run import record as records
from blurbench.run import results
from blurbench.run.evaluate import Progress
from blurbench.run.predictions import Predictions
from blurbench.run.record import RunRecord, Value
from blurbench.run.score import score
from blurbench.store.disk import part_of, replacing, telling

if TYPE_CHECKING:
    import pandas as pd

SCORES = 1e-9
"""By how much, relative to it, a value may differ from the one computed again from the same scores: the order of a sum."""
_NOTHING = 1e-12
"""What a value may differ by from one of about 0, which no share of it covers."""
PREDICTIONS = 1e-6
"""The same for values scored again: other versions of libraries differ in the last digits of float32."""


def check(path: Path) -> RunRecord:
    """A record whose numbers are those of its Parquet file, under a protocol as it is installed here.

    Raises RecordError for what is damaged, of a newer schema, or says something else than its scores; UnknownNameError for an unknown
    protocol.
    """
    record = records.read(path)
    rules = records.rules_of(record)
    for name in (record.name, record.scores):
        if Path(name).name != name or name.startswith("."):
            raise RecordError(f"{path}: {name!r} is no name for a file; the method's and the data's names may hold no slash")
    if record.scores != f"{record.name}.parquet":
        raise RecordError(f"{path}: scores is {record.scores!r}, expected {record.name}.parquet; evaluate again")
    wanted = [column.name for column in rules.columns]
    if missing := [name for name in wanted if name not in record.values]:
        raise RecordError(f"{path} has no value for column {missing[0]} of {rules.id}; evaluate again")
    if extra := [name for name in record.values if name not in wanted]:
        raise RecordError(f"{path} has a value for {extra[0]!r}, which is no column of {rules.id}; evaluate again")
    table = records.scores(path)
    _check_counts(record, rules, table, path)
    lines = differences(record.values, recomputed(rules, table), SCORES)
    if lines:
        raise RecordError(f"{path} does not say what its scores say: {'; '.join(lines)}; evaluate again")
    return record


def recomputed(rules: Protocol, table: pd.DataFrame) -> dict[str, Value]:
    """The aggregates of a table of scores, see `blurbench.run.results.table`, by column."""
    names = [column.name for column in rules.columns]
    scores = [
        SampleScore(
            str(sample),
            str(video),
            {name: None if math.isnan(value) else value for name, value in zip(names, values, strict=True)},
            None,
            None,
        )
        for sample, video, *values in table[["sample", "video", *names]].itertuples(index=False, name=None)
    ]
    return {column.name: results.aggregate(column, scores) for column in rules.columns}


def differences(recorded: Mapping[str, Value], found: Mapping[str, Value], tolerance: float) -> list[str]:
    """A line for each number of each column that differs by more than the tolerance, relative to the larger."""
    lines = []
    for name, value in recorded.items():
        for part, old in asdict(value).items():
            new = getattr(found[name], part)
            same = old == new if None in (old, new) else math.isclose(old, new, rel_tol=tolerance, abs_tol=_NOTHING)
            if not same:
                lines.append(f"column {name}: {part} is {old} in the record, {new} when computed again")
    return lines


def verify(
    path: Path | str, predictions: Path | str, dataset: Path | str, workers: int = 1, progress: Progress = lambda done, total: None
) -> RunRecord:
    """Score stored predictions again and compare every value, sample counts and failures with the record; returns the record.

    Raises RecordError, naming the columns, where one differs, and where the predictions are others than those that were scored; what
    `blurbench.run.score.score` raises.
    """
    record = check(Path(path))
    stored = Predictions(Path(predictions))
    made_by = stored.header.method if stored.header else record.method
    if made_by != record.method:
        raise RecordError(f"{path} is of {record.method}, {predictions} holds predictions of {made_by}")
    if record.predictions is not None and record.predictions != (digest := stored.digest(workers)):
        raise RecordError(f"{path} was scored from predictions with SHA-256 {record.predictions[:12]}, {predictions} has {digest[:12]}")
    with tempfile.TemporaryDirectory() as folder:
        (again,) = score(
            predictions,
            dataset,
            split=record.split,
            protocol=records.rules_of(record),
            out=folder,
            name=None if stored.header else record.method,
            workers=workers,
            allow_failures=bool(record.failed),
            progress=progress,
        )
    lines = _facts(record, again) + differences(record.values, again.values, PREDICTIONS)
    if lines:
        raise RecordError(f"{path} is not what its predictions give: {'; '.join(lines)}")
    return record


def add(path: Path | str, runs: Path | str = "runs", replace: bool = False, tell: Callable[[str], None] = lambda line: None) -> Path:
    """Check a record and copy it with its scores into a folder of records; returns the new path.

    One file a run, which appears whole or not at all: several processes may add at once. replace: put it in the place of an older
    record of the same run. tell: is given a line on what was done, and whether the data are known.
    Raises RecordError as `check`, and where another record of the same run is there; DataSetError where it cannot be written.
    """
    path, runs = Path(path), Path(runs)
    record = check(path)
    new = runs / f"{record.name}.json"
    pairs = [(path.parent / record.scores, runs / record.scores), (path, new)]
    if all(there.is_file() and there.read_bytes() == source.read_bytes() for source, there in pairs):
        tell(f"{new} is there already, with the same values")
        return new
    if not replace and (told := _differing(new, record)):
        raise RecordError(f"{new} is there already with {told}; give --replace to put this one in its place")
    # The scores first: a record without them would be shown but could not be checked.
    for source, place in pairs:
        _copy(source, place, replace)
    tell(f"added {new}; {_news(record, runs)}")
    return new


def _differing(place: Path, record: RunRecord) -> str:
    """In what the record that stands there differs from this one; "" where none does or it is the same."""
    if not place.is_file():
        return ""
    with contextlib.suppress(RecordError):  # whatever a damaged one holds, it is something else
        old = records.read(place)
        names = [each.name for each in fields(RunRecord) if getattr(old, each.name) != getattr(record, each.name)]
        if "values" not in names:
            return f"the same values, but other {', '.join(names)}" if names else ""
    return "other values"


def _copy(source: Path, place: Path, replace: bool) -> None:
    """Raises RecordError where another file has the name already."""
    if source.resolve() == place.resolve():
        return
    if replace:
        with replacing(place) as part:
            shutil.copyfile(source, part)
        return
    part = part_of(place)
    with telling(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(source, part)
            _finish_new(part, place)
        except FileExistsError:
            if place.read_bytes() != source.read_bytes():
                raise RecordError(f"{place} is there already with other values; give --replace to put this one in its place") from None
        finally:
            part.unlink(missing_ok=True)


def _finish_new(part: Path, place: Path) -> None:
    """Flush a written file and give it its name. Raises FileExistsError where the name is taken, by whichever process."""
    with part.open("rb+") as raw:
        os.fsync(raw.fileno())
    os.link(part, place)


def _news(record: RunRecord, runs: Path) -> str:
    """Whether others were measured on the same data."""
    others = []
    for path in runs.glob("*.json"):
        with contextlib.suppress(RecordError):  # a damaged neighbour is reported when boards are built
            others.append(records.read(path))
    data = f"{record.dataset}, split {record.split}, fingerprint {record.fingerprint[:8]}"
    same = [other for other in others if other.fingerprint == record.fingerprint and other.name != record.name]
    if not same:
        return f"{data}: the first record of these data in {runs}"
    if any(other.content != record.content for other in same):
        return f"{data}: known, but stored values differ from those of other records of these data (another decoder?)"
    return f"{data}: known, {len(same)} other {'record' if len(same) == 1 else 'records'}"


def _check_counts(record: RunRecord, rules: Protocol, table: pd.DataFrame, path: Path) -> None:
    """Raises RecordError unless the table is of the protocol and has as many samples and videos as the record says."""
    wanted = ["sample", "video", *(column.name for column in rules.columns)]
    if missing := [name for name in wanted if name not in table]:
        raise RecordError(f"{record.scores} has no column {missing[0]!r}; it is not of {path.name}, keep the two files together")
    if strange := next((column.name for column in rules.columns if table[column.name].dtype.kind != "f"), None):
        raise RecordError(f"{record.scores}: column {strange!r} holds {table[strange].dtype}, expected numbers; evaluate again")
    counted = {"samples": len(table), "videos": table["video"].nunique()}
    for name, found in counted.items():
        if found != (said := getattr(record, name)):
            raise RecordError(f"{path} says {said} {name}, {record.scores} has {found}; keep the two files together")
    if table["sample"].duplicated().any():
        raise RecordError(f"{record.scores} has sample {table['sample'][table['sample'].duplicated()].iloc[0]!r} twice; evaluate again")


def _facts(record: RunRecord, again: RunRecord) -> list[str]:
    """A line for each fact of the two that must be equal and is not."""
    names = ("dataset", "split", "fingerprint", "content", "rules", "samples", "videos", "draws")
    pairs = {name: (getattr(record, name), getattr(again, name)) for name in names} | {
        "failed": (sorted(record.failed), sorted(again.failed))
    }
    return [f"{name} is {old} in the record, {new} when scored again" for name, (old, new) in pairs.items() if old != new]
