"""What a run has done so far, a line a sample, so that a killed run goes on where it was."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from blurbench.metrics.score import SampleScore
from blurbench.store.disk import telling


@dataclass(frozen=True)
class Outcome:
    """What became of one sample: its scores, one a protocol, or why there are none. seconds: what the prediction took."""

    sample: str
    video: str
    seconds: float
    scores: tuple[SampleScore, ...] = ()
    failed: str | None = None


class Journal:
    """Outcomes by sample, in the file `path`; those of an earlier run of the same `key` are there from the start.

    Each is written through at once. A line that a kill cut short is done again.
    """

    def __init__(self, path: Path, key: dict[str, Any]) -> None:
        self.path = path
        head = json.dumps({"key": hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()})
        self.done: dict[str, Outcome] = _read(path, head)
        with telling(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w", encoding="utf-8")
        self._write(head)
        for outcome in self.done.values():
            self._write(json.dumps(asdict(outcome)))

    def add(self, outcome: Outcome) -> None:
        """Raises DataSetError when it cannot be written."""
        self.done[outcome.sample] = outcome
        self._write(json.dumps(asdict(outcome)))

    def close(self, finished: bool) -> None:
        """A finished run needs no journal, nor one that did nothing."""
        self._file.close()
        if finished or not self.done:
            self.path.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close(finished=kind is None)

    def _write(self, line: str) -> None:
        with telling(self.path):
            self._file.write(line + "\n")
            self._file.flush()


def _read(path: Path, head: str) -> dict[str, Outcome]:
    try:
        first, *lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return {}
    if first != head:
        return {}
    done = {}
    for line in lines:
        try:
            table = json.loads(line)
        except json.JSONDecodeError:
            break
        outcome = Outcome(**{**table, "scores": tuple(SampleScore(**score) for score in table["scores"])})
        done[outcome.sample] = outcome
    return done
