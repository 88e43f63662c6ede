"""The record of one run: all that one leaderboard row needs, as JSON, read back through the same class."""

from __future__ import annotations

import json
import math
import platform
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blurbench.errors import RecordError
from blurbench.store.manifest import write_json

if TYPE_CHECKING:
    import pandas as pd

    from blurbench.metrics.protocol import Protocol

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
    a stochastic method were scored. seconds: mean a sample without warm-ups, None where it is not known; cost: parameters and the like.
    metrics: what else decided on a column's values (weights of a metric, its flow model), by column. seed: of a stochastic method's draws,
    0 for a deterministic one. predictions: digest of the stored predictions that were scored, None where they were not stored. scores:
    name of the Parquet file with a row a sample, beside the record. command: what to type to get the row again. protocol_table: the
    protocol itself where it was given as a file (`Protocol.table`), None where it is installed.
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
    protocol_table: dict[str, Any] | None = None
    schema: int = SCHEMA

    @property
    def board(self) -> tuple[str, str, str, str, int]:
        """What must be equal for two rows to stand in one table."""
        return self.dataset, self.split, self.fingerprint, self.protocol, self.protocol_version

    @property
    def name(self) -> str:
        """File name without suffix; a rerun of the same thing has the same name, another seed of a stochastic method another."""
        weights = f"-{self.weights['sha256'][:8]}" if self.weights else ""
        seed = f"-seed{self.seed}" if self.seed else ""
        data = f"{file_name(self.dataset)}-{self.split}-{self.fingerprint[:8]}"
        return f"{self.method}{weights}{seed}__{data}__{self.protocol}-v{self.protocol_version}"

    def frame(self) -> pd.DataFrame:
        """The values as a tidy table, a row a column of the protocol: `method`, `weights` (their SHA-256), `dataset`, `split`,
        `protocol`, `version`, `column`, `mean`, `low`, `high` (NaN where there is none), `samples` that have a value, `unit`, `better`
        (higher or lower). Tables of several runs are put together by `pandas.concat`. The last two are None for a column that the
        protocol, as installed here, does not have. Raises UnknownNameError for an unknown protocol, RecipeError.
        """
        import pandas as pd

        known = {column.name: column for column in _protocol(self).columns}
        facts = {
            "method": self.method,
            "weights": self.weights["sha256"] if self.weights else None,
            "dataset": self.dataset,
            "split": self.split,
            "protocol": self.protocol,
            "version": self.protocol_version,
        }
        rows = []
        for name, value in self.values.items():
            samples = 0 if value.mean is None else self.samples if value.samples is None else value.samples
            meaning = {"unit": known[name].unit, "better": known[name].better} if name in known else {"unit": None, "better": None}
            rows.append({**facts, "column": name, "mean": value.mean, "low": value.low, "high": value.high, "samples": samples, **meaning})
        numbers = dict.fromkeys(("mean", "low", "high"), "float64")
        return pd.DataFrame(rows, columns=[*facts, "column", *numbers, "samples", "unit", "better"]).astype(numbers)

    def write(self, folder: Path) -> Path:
        """Write `<name>.json` atomically and return its path."""
        path = folder / f"{self.name}.json"
        write_json(path, asdict(self))
        return path


def rules_of(*records: RunRecord) -> Protocol:
    """The protocol of records that stand beside each other.

    Raises UnknownNameError and RecipeError, and RecordError for rules that are not the first record's, or not those that have their id and
    version here.
    """
    first = records[0]
    if other := next((each for each in records if each.rules != first.rules), None):
        both = f"{first.name} and {other.name} were scored under other texts of {first.protocol} version {first.protocol_version}"
        raise RecordError(f"{both}; evaluate one again, or raise the version of one text")
    rules = _protocol(first)
    if rules.version != first.protocol_version:
        here = f"version {rules.version}"
    elif rules.digest() != first.rules:
        here = "another text of that version"
    else:
        return rules
    raise RecordError(f"{first.name} was scored under {first.protocol} version {first.protocol_version}, here is {here}; evaluate again")


def _protocol(record: RunRecord) -> Protocol:
    """The installed one, else the one that the record carries, under the id and version that the record says."""
    from blurbench.metrics import protocol as protocols
    from blurbench.registry import PROTOCOLS

    if record.protocol_table is None or record.protocol in PROTOCOLS.names():
        return _installed(record.protocol)
    said = {"id": record.protocol, "version": record.protocol_version}
    return protocols.of_table({**record.protocol_table, **said}, f"protocol_table of {record.name}")


@cache
def _installed(id: str) -> Protocol:
    """Read once: a folder holds many records of one protocol."""
    from blurbench.metrics import protocol as protocols

    return protocols.load(id)


def scores(path: Path | str) -> pd.DataFrame:
    """The scores of a run, by the path of its record: a row a sample, see `blurbench.run.results.table`. Raises RecordError."""
    import pandas as pd

    path = Path(path)
    table = path.parent / read(path).scores
    try:
        return pd.read_parquet(table)
    except (OSError, ValueError) as error:
        raise RecordError(f"{table}, the scores of {path.name}, cannot be read: {str(error)[:120]}; keep the two files together") from error


def file_name(label: str) -> str:
    """A data set's label as part of a file name: without the changed keys in brackets, which the fingerprint stands for."""
    return re.sub(r"[^\w.-]+", "_", label.partition("[")[0])


def pairs(options: Mapping[str, str] | None) -> list[str]:
    """Options of a method as `command_line` takes them: KEY=VALUE."""
    return [f"{key}={value}" for key, value in (options or {}).items()]


def command_line(command: str, /, **options: object) -> str:
    """`blurbench COMMAND --option value …` as a person would type it; None and False are left out, True is a flag, lists are repeated."""
    words = ["blurbench", command]
    for option, value in options.items():
        for each in value if isinstance(value, list | tuple) else [value]:
            if each is not None and each is not False:
                words += [f"--{option.replace('_', '-')}", *([] if each is True else [str(each)])]
    return shlex.join(words)


def misplaced(path: Path, expected: str, folder: str = "is a folder") -> RecordError:
    """The error of a path where not what was expected is. folder: what is wrong with a folder."""
    what = folder if path.is_dir() else "is a file" if path.exists() else "is not there"
    return RecordError(f"{path} {what}, expected {expected}; `blurbench evaluate` writes them")


def read(path: Path | str) -> RunRecord:
    """Read a record back. Raises RecordError for anything that is not one, or is of a newer schema."""
    path = Path(path)
    try:
        table = json.loads(path.read_text())
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {error.strerror}; expected a run record (.json)") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RecordError(f"{path} cannot be read as a run record: {error}") from error
    if not isinstance(table, dict) or "schema" not in table:
        raise RecordError(f"{path} is JSON but not a run record of blurbench: it has no key 'schema'")
    if not isinstance(table["schema"], int):
        raise RecordError(f"{path} has schema {table['schema']!r}, expected a whole number; it is damaged, evaluate again")
    if table["schema"] > SCHEMA:
        raise RecordError(f"{path} has schema {table['schema']}, this blurbench reads up to {SCHEMA}; install a newer blurbench")
    try:
        values = {name: Value(**value) for name, value in table.pop("values").items()}
        record = RunRecord(**table, values=values)
    except (KeyError, TypeError, AttributeError) as error:
        raise RecordError(f"{path} is not a complete run record: {error}") from error
    _check(record, path)
    return record


def _check(record: RunRecord, path: Path) -> None:
    """Raises RecordError for the first value that is of another kind than its key says: such a file was edited by hand."""
    numbers = {f"{name}.{part}": number for name, value in record.values.items() for part, number in asdict(value).items()}
    wrong = next((name for name, number in numbers.items() if not _is_number(number)), None)
    if wrong:
        raise RecordError(f"{path}: {wrong} is {numbers[wrong]!r}, expected a number or null; it is damaged, evaluate again")
    for each in fields(RunRecord):
        value = getattr(record, each.name)
        if not (_KINDS[each.type.partition("[")[0]](value) or (value is None and each.type.endswith("| None"))):
            raise RecordError(f"{path}: {each.name} is {value!r:.80}, expected {each.type}; it is damaged, evaluate again")
    if record.weights and not all(isinstance(record.weights.get(key), str) for key in ("sha256", "origin")):
        raise RecordError(f"{path}: weights is {record.weights!r:.80}, expected sha256 and origin among its keys; evaluate again")


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value))


# What a key may hold, by its annotation up to the first bracket.
_KINDS: dict[str, Callable[[Any], bool]] = {
    "str": lambda value: isinstance(value, str),
    "str | None": lambda value: isinstance(value, str),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "float | None": _is_number,
    "dict": lambda value: isinstance(value, dict),
}
