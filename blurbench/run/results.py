"""From the outcomes of samples to what is published: run records with aggregates, and the table of scores beside them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blurbench import metrics
from blurbench.errors import RecordError
from blurbench.metrics.protocol import Column, Protocol
from blurbench.metrics.score import SampleScore
from blurbench.metrics.statistics import drop_missing, interval, video_means
from blurbench.registry import PROTOCOLS
from blurbench.run import record as records
from blurbench.run.journal import Outcome
from blurbench.run.predictions import Header
from blurbench.run.record import RunRecord, Value
from blurbench.store.disk import replacing

if TYPE_CHECKING:
    import pandas as pd


def write(
    header: Header,
    rules: Sequence[Protocol],
    outcomes: Sequence[Outcome],
    out: Path,
    predictions: str | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> list[RunRecord]:
    """Write `<name>.json` and `<name>.parquet` for each protocol. outcomes: of all samples, in the order of the data.

    note: told of a record with other values that is replaced. Raises DataSetError when they cannot be written.
    """
    written = []
    for number, protocol in enumerate(rules):
        record = _recorded(header, protocol, number, outcomes, predictions)
        path = out / f"{record.name}.json"
        if (before := _other(path, record)) is not None:
            note(f"note: {path} replaces the run of {before.date}, which had other values; another --out keeps both")
        with replacing(out / record.scores) as part:
            table(protocol, [outcome for outcome in outcomes if outcome.failed is None], number).to_parquet(part, index=False)
        record.write(out)
        written.append(record)
    return written


def _other(path: Path, record: RunRecord) -> RunRecord | None:
    """The record that stands there, where it has other values; what cannot be read is nobody's loss."""
    with suppress(RecordError):
        if path.is_file() and (found := records.read(path)).values != record.values:
            return found
    return None


def _recorded(header: Header, rules: Protocol, number: int, outcomes: Sequence[Outcome], predictions: str | None) -> RunRecord:
    scored = [outcome for outcome in outcomes if outcome.failed is None]
    scores = [outcome.scores[number] for outcome in scored]
    record = RunRecord(
        method=header.method,
        title=header.title,
        weights=header.weights,
        dataset=header.dataset,
        split=header.split,
        fingerprint=header.fingerprint,
        content=header.content,
        protocol=rules.id,
        protocol_version=rules.version,
        rules=rules.digest(),
        samples=len(scores),
        videos=len({score.video for score in scores}),
        values={column.name: aggregate(column, scores) for column in rules.columns},
        empty={name: reason for score in scores for name, reason in score.empty.items()},
        failed={outcome.sample: outcome.failed for outcome in outcomes if outcome.failed is not None},
        draws=min(header.draws, rules.samples),
        seconds=_mean([outcome.seconds for outcome in scored]),
        cost=header.cost or {},
        metrics={column.name: facts for column in rules.columns if (facts := _facts(column, scores))},
        device=header.device,
        seed=header.seed,
        predictions=predictions,
        scores="",
        command=header.command,
        protocol_table=None if rules.id in PROTOCOLS.names() else rules.table(),
    )
    return replace(record, scores=f"{record.name}.parquet")


def aggregate(column: Column, scores: Sequence[SampleScore]) -> Value:
    """Mean and clustered interval of a column over the samples, or videos, that have a value; their number where some have none."""
    values, videos, missing = drop_missing([score.values[column.name] for score in scores], [score.video for score in scores])
    if not values:
        return Value(None)
    mean, low, high = interval(*(video_means(values, videos) if column.average == "videos" else (values, videos)))
    return Value(mean, low, high, len(values) if missing else None)


def table(rules: Protocol, outcomes: Sequence[Outcome], number: int) -> pd.DataFrame:
    """A row a sample: `sample`, `video`, `reversed`, `draw`, `seconds`, then the columns of the protocol, NaN where there is no value."""
    import pandas as pd

    scores = [outcome.scores[number] for outcome in outcomes]
    facts = {
        "sample": [score.sample for score in scores],
        "video": [score.video for score in scores],
        "reversed": pd.array([score.reversed for score in scores], dtype="boolean"),
        "draw": pd.array([score.draw for score in scores], dtype="Int32"),
        "seconds": [outcome.seconds for outcome in outcomes],
    }
    columns = {column.name: [_number(score.values[column.name]) for score in scores] for column in rules.columns}
    return pd.DataFrame({**facts, **columns})


def _facts(column: Column, scores: Sequence[SampleScore]) -> dict[str, Any]:
    """What the metric says of itself, unless the column is empty."""
    info = metrics.get(column.metric).info
    used = info.facts and any(score.values[column.name] is not None for score in scores)
    return info.facts(column.options) if info.facts and used else {}


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _mean(seconds: list[float]) -> float | None:
    """Of those that are known; None where none is."""
    counted = [value for value in seconds if not math.isnan(value)]
    return math.fsum(counted) / len(counted) if counted else None
