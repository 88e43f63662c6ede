"""What a run has done so far, a line a sample, so that a killed run goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from blurbench.errors import counted
from blurbench.lock import held
from blurbench.metrics.protocol import Protocol
from blurbench.metrics.score import SampleScore
from blurbench.run.predictions import differing
from blurbench.store.disk import replacing, telling


@dataclass(frozen=True)
class Outcome:
    """What became of one sample: its scores, one a protocol, or why there are none.

    seconds: what the prediction took; NaN where nobody knows, and for one that warmed up.
    """

    sample: str
    video: str
    seconds: float
    scores: tuple[SampleScore, ...] = ()
    failed: str | None = None


@dataclass
class Journal:
    """Outcomes by sample, and what the method costs as far as it is known, see `Meter.facts`. Each is written through at once."""

    path: Path
    done: dict[str, Outcome] = field(default_factory=dict)
    cost: dict[str, Any] = field(default_factory=dict)
    file: TextIO | None = None

    def add(self, outcome: Outcome, cost: Mapping[str, Any]) -> None:
        """Raises DataSetError when it cannot be written."""
        self.done[outcome.sample], self.cost = outcome, dict(cost)
        assert self.file
        with telling(self.path):
            self.file.write(_line(outcome, cost))
            self.file.flush()


def place(out: Path, stem: str, rules: Sequence[Protocol]) -> Path:
    """The file of a run's journal. stem: what tells the run from others; several protocols are named by a hash, their ids may be many."""
    ids = [each.id for each in rules]
    name = ids[0] if len(ids) == 1 else hashlib.sha256("+".join(ids).encode()).hexdigest()[:12]
    return out / f".{stem}-{name}.unfinished"


@contextmanager
def journal(path: Path, key: Mapping[str, Any], note: Callable[[str], None]) -> Iterator[Journal]:
    """The journal in the file `path`, which only this run has meanwhile. What an earlier run of the same key did is in it.

    key: JSON-ready, what must be equal, by what a person calls it. A line that a kill cut short is done again, and so is what failed: the
    run that goes on may allow no failures. A finished run leaves no file, nor one that scored nothing. note: told how much is taken from
    before, or why nothing is. Raises DataSetError when the file cannot be written, and when another run has it.
    """
    with held(path.with_name(f"{path.name}.lock"), f"another evaluation is writing {path}; wait for it, or give another --out"):
        kept = _read(path, json.loads(json.dumps(key)), note)
        with replacing(path) as part:
            part.write_text(json.dumps({"key": key}) + "\n" + "".join(_line(each, kept.cost) for each in kept.done.values()), "utf-8")
        with telling(path):
            kept.file = path.open("a", encoding="utf-8")
        finished = False
        try:
            with kept.file:
                yield kept
            finished = True
        finally:
            if finished or all(each.failed is not None for each in kept.done.values()):
                path.unlink()


def _line(outcome: Outcome, cost: Mapping[str, Any]) -> str:
    return json.dumps({"outcome": asdict(outcome), "cost": cost}) + "\n"


def _read(path: Path, key: dict[str, Any], note: Callable[[str], None]) -> Journal:
    """What is there of a run of this key."""
    found = Journal(path)
    try:
        first, *lines = path.read_text(encoding="utf-8").splitlines()
        other = differing(json.loads(first)["key"], key)
    except FileNotFoundError:
        return found
    except (OSError, ValueError, TypeError, KeyError):
        note(f"{path} cannot be read as a stopped run; starting anew")
        return found
    if other:
        note(f"the stopped run in {path} had another {' and '.join(other)}; starting anew")
        return found
    for line in lines:
        try:
            table = json.loads(line)
        except ValueError:
            break
        outcome, found.cost = table["outcome"], table["cost"]
        if outcome["failed"] is None:
            outcome["scores"] = tuple(SampleScore(**score) for score in outcome["scores"])
            found.done[outcome["sample"]] = Outcome(**outcome)
    if found.done:
        verb = "is" if len(found.done) == 1 else "are"
        note(f"going on with the stopped run in {path}: {counted(len(found.done), 'sample')} {verb} taken from it")
    return found
