"""The record of one run: all that one leaderboard row needs, as JSON, read back through the same class."""

from __future__ import annotations

import json
import platform
import re
import shlex
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blurbench.errors import RecordError
from blurbench.store.manifest import write_json

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1
_LIBRARIES = ("blurbench", "numpy", "opencv-python", "torch", "h5py", "av")


@dataclass(frozen=True)
class Value:
    """An aggregate: mean over samples and its 95 % interval, clustered by video; None where the method gives no such value.

    samples: how many have one, where not all do.
    """

    mean: float | None
    low: float | None = None
    high: float | None = None
    samples: int | None = None


@dataclass(frozen=True)
class RunRecord:
    """One method on one split under one protocol.

    dataset: label of the data ("genblur-rendered"). fingerprint: what the split was made from; content: digest of its values.
    weights: files, SHA-256 and origin, or None. rules: digest of the protocol's text. values: aggregates by protocol column; empty: why
    columns have none. failed: samples without scores, and why; they are in no mean, and `samples` does not count them. draws: how many of
    a stochastic method were scored. seconds: mean a sample without the first, None where it is not known; cost: parameters and the like.
    metrics: what else decided on a column's values (weights of a metric, its flow model), by column.
    predictions: digest of the stored predictions that were scored, None where they were not stored. scores: name of the Parquet file
    with a row a sample, beside the record. command: what to type to get the row again.
    """

    method: str
    title: str
    weights: dict[str, Any] | None
    dataset: str
    split: str
    fingerprint: str
    content: str
    protocol: str
    protocol_version: int
    rules: str
    samples: int
    videos: int
    values: dict[str, Value]
    empty: dict[str, str]
    failed: dict[str, str]
    draws: int
    seconds: float | None
    cost: dict[str, Any]
    metrics: dict[str, dict[str, Any]]
    device: str
    seed: int
    predictions: str | None
    scores: str
    command: str
    date: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    machine: dict[str, str] = field(default_factory=lambda: {"system": platform.platform(terse=True), "python": platform.python_version()})
    versions: dict[str, str] = field(default_factory=lambda: {name: metadata.version(name) for name in _LIBRARIES})
    schema: int = SCHEMA

    @property
    def board(self) -> tuple[str, str, str, str, int]:
        """What must be equal for two rows to stand in one table."""
        return self.dataset, self.split, self.fingerprint, self.protocol, self.protocol_version

    @property
    def name(self) -> str:
        """File name without suffix; a rerun of the same thing has the same name."""
        weights = f"-{self.weights['sha256'][:8]}" if self.weights else ""
        data = f"{file_name(self.dataset)}-{self.split}-{self.fingerprint[:8]}"
        return f"{self.method}{weights}__{data}__{self.protocol}-v{self.protocol_version}"

    def write(self, folder: Path) -> Path:
        """Write `<name>.json` atomically and return its path."""
        path = folder / f"{self.name}.json"
        write_json(path, asdict(self))
        return path


def scores(path: Path) -> pd.DataFrame:
    """The scores of a run, by the path of its record: a row a sample, see `blurbench.run.results.table`. Raises RecordError."""
    import pandas as pd

    table = path.parent / read(path).scores
    try:
        return pd.read_parquet(table)
    except (OSError, ValueError) as error:
        raise RecordError(f"{table}, the scores of {path.name}, cannot be read: {str(error)[:120]}; keep the two files together") from error


def file_name(label: str) -> str:
    """A data set's label as part of a file name: without the changed keys in brackets, which the fingerprint stands for."""
    return re.sub(r"[^\w.-]+", "_", label.partition("[")[0])


def command_line(command: str, /, **options: object) -> str:
    """`blurbench COMMAND --option value …` as a person would type it; options that are None are left out, lists repeated."""
    words = ["blurbench", command]
    for option, value in options.items():
        for each in value if isinstance(value, list | tuple) else [value]:
            if each is not None:
                words += [f"--{option.replace('_', '-')}", str(each)]
    return shlex.join(words)


def read(path: Path) -> RunRecord:
    """Read a record back. Raises RecordError for anything that is not one, or is of a newer schema."""
    try:
        table = json.loads(path.read_text())
    except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RecordError(f"{path} cannot be read as a run record: {error}") from error
    if not isinstance(table, dict) or "schema" not in table:
        raise RecordError(f"{path} is JSON but not a run record of blurbench: it has no key 'schema'")
    if table["schema"] > SCHEMA:
        raise RecordError(f"{path} has schema {table['schema']}, this blurbench reads up to {SCHEMA}; install a newer blurbench")
    try:
        values = {name: Value(**value) for name, value in table.pop("values").items()}
        return RunRecord(**table, values=values)
    except (KeyError, TypeError, AttributeError) as error:
        raise RecordError(f"{path} is not a complete run record: {error}") from error
