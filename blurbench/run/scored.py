"""Runs with the scores of their samples, and what must hold for two of them to be set against each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from blurbench.errors import PredictionError, RecordError
from blurbench.metrics.paired import named
from blurbench.metrics.protocol import Protocol
from blurbench.run import record as records
from blurbench.run.record import RunRecord

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Scored:
    """A run, its table with a row a sample, and what messages call it."""

    name: str
    run: RunRecord
    table: pd.DataFrame

    @classmethod
    def read(cls, path: Path | str, name: str = "") -> Self:
        """From the record's path; called by the record's name unless given. Raises RecordError, also for a sample that is there twice."""
        run = records.read(Path(path))
        table = records.scores(Path(path))
        if twice := table["sample"][table["sample"].duplicated()].tolist():
            raise RecordError(f"the scores of {Path(path).name} have sample {twice[0]} twice; evaluate again")
        return cls(name or run.name, run, table)

    def column(self, name: str) -> dict[str, float | None]:
        """Scores by sample id, None for all in a column that the run does not have.

        Raises PredictionError for a column in which the record says why it is empty.
        """
        value = self.run.values.get(name)
        if value and value.mean is None and (reason := self.run.empty.get(name)):
            raise PredictionError(f"{self.name} has no values ({reason})")
        if name not in self.table:
            return dict.fromkeys(self.table["sample"])
        return dict(zip(self.table["sample"], self.table[name].astype(float), strict=True))

    def videos(self) -> dict[str, str]:
        """The source video of each sample."""
        return dict(zip(self.table["sample"], self.table["video"], strict=True))


def common_rules(a: Scored, b: Scored) -> Protocol:
    """The protocol of both. Raises RecordError where the runs cannot stand beside each other."""
    one, two = a.run, b.run
    data, protocol = ([told(run) for run in (one, two)] for told in (_data, _protocol))
    for what, (left, right), mend in (
        ("the data", data, "the same data"),
        ("the protocol", protocol, "one protocol"),
        ("the text of the protocol", (one.rules[:12], two.rules[:12]), "one blurbench"),
    ):
        if left != right:
            told = f"{what} of {a.name} is {left}, of {b.name} {right}"
            raise RecordError(f"{told}; evaluate both with {mend} to compare {one.method} and {two.method}")
    return records.rules_of(one)


def common_videos(a: Scored, b: Scored) -> dict[str, str]:
    """The video of each sample. Raises RecordError for samples that only one run has, and for other videos."""
    first, second = a.videos(), b.videos()
    for here, other, lacking in ((first, second, b), (second, first, a)):
        if only := sorted(here.keys() - other):
            raise RecordError(f"{lacking.name} has no scores of {named(only)}; see `failed` in its record, and evaluate it again")
    require_same_videos(a, b)
    return first


def require_same_videos(a: Scored, b: Scored) -> None:
    """Raises RecordError for a sample of both that is of another video."""
    first, second = a.videos(), b.videos()
    if moved := sorted(sample for sample in first if first[sample] != second.get(sample, first[sample])):
        raise RecordError(f"{a.name} and {b.name} name other videos for {named(moved)}, expected the same; evaluate both again")


def require_same_metric(a: Scored, b: Scored, column: str) -> None:
    """Raises PredictionError where a column's metric had other weights or another flow model."""
    one, two = (each.run.metrics.get(column, {}) for each in (a, b))
    other = [key for key in sorted({*one, *two}) if one.get(key) != two.get(key)]
    facts = [" and ".join(f"{key} {run.get(key, 'unknown')}" for key in other) for run in (one, two)]
    if facts[0]:
        raise PredictionError(f"{a.name} was scored with {facts[0]}, {b.name} with {facts[1]}; score both with the same")


def _data(run: RunRecord) -> str:
    return f"{run.dataset}/{run.split} {run.fingerprint[:12]}"


def _protocol(run: RunRecord) -> str:
    return f"{run.protocol} version {run.protocol_version}"
