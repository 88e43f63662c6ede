"""Scoring stored predictions: needs neither method nor GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from blurbench import __version__, processes
from blurbench.errors import PredictionError, warn
from blurbench.methods import check_id
from blurbench.metrics import protocol as protocols
from blurbench.metrics.protocol import Protocol
from blurbench.run import results
from blurbench.run.checks import LOOKED_AT, Look
from blurbench.run.evaluate import DEFAULT_PROTOCOLS, Progress, outcome_of, require_some
from blurbench.run.journal import Outcome, journal, place
from blurbench.run.predictions import Header, Predictions
from blurbench.run.record import RunRecord, command_line
from blurbench.store.reader import MadeDataSet, open_dataset
from blurbench.store.shard import Shard


def score(
    predictions: Path | str,
    dataset: str | Path,
    *,
    split: str = "test",
    protocol: str | Protocol | Sequence[str | Protocol] = DEFAULT_PROTOCOLS,
    out: Path | str = "runs",
    name: str | None = None,
    workers: int = 1,
    allow_failures: bool = False,
    progress: Progress = lambda done, total: None,
    note: Callable[[str], None] = warn,
) -> list[RunRecord]:
    """Score a folder of predictions (see `blurbench.run.predictions`) and write records and scores as `evaluate` does: the same numbers.

    protocol: ids, files, or loaded ones. name: the method's, for plain pictures (default: the folder's). workers: processes;
    the numbers do not depend on it. A stopped run goes on where it was. note: called with warnings, and with how much is taken from a
    stopped run. Raises PredictionError for predictions of other data, plain pictures that have more draws of one sample than of another,
    and, unless failures are allowed, the first that is missing or cannot be scored; other BlurbenchErrors.
    """
    folder = Path(predictions)
    given = [protocol] if isinstance(protocol, str | Protocol) else list(protocol)
    rules = [each if isinstance(each, Protocol) else protocols.load(each) for each in given]
    data, stored = open_dataset(dataset), Predictions(folder)
    if stored.header and name:
        raise PredictionError(f"{folder} says that {stored.header.method} made it, but the name {name!r} was given; leave it out")
    ids = data.ids(split)
    if stored.header:
        stored.header.check(data, split, folder)
    else:
        check_id(name or folder.name, "--name" if name else f"the name of the folder {folder}, without --name,")
    stored.check_names(ids)
    names = [each.id if isinstance(each, Protocol) else each for each in given]
    command = command_line("score", dataset=dataset, split=split, protocol=names, name=name, allow_failures=allow_failures)
    task = _Task(folder, data.folder, split, tuple(rules), allow_failures)
    with _scoring(task, min(workers, len(ids))) as outcomes_of:
        digest = stored.digest(workers)
        header = stored.header or _plain(data, split, name or folder.name, digest, stored.draws(ids), f"{command} {folder}")
        if lossy := stored.lossy():
            note(f"{lossy} is a JPEG: what its compression lost counts against the scores; write predictions as PNG")
        if warning := _first_look(data, split, stored):
            note(warning)
        path = place(Path(out), f"{digest[:12]}-{header.fingerprint[:8]}", rules)
        with journal(path, _key(digest, header, rules), note) as kept:
            todo = [number for number, sample in enumerate(ids) if sample not in kept.done]
            progress(len(kept.done), len(ids))
            for outcome in outcomes_of(todo):
                kept.add(outcome, header.cost or {})
                progress(len(kept.done), len(ids))
            outcomes = [kept.done[sample] for sample in ids]
            require_some(outcomes)
            return results.write(header, rules, outcomes, Path(out), digest, note)


@dataclass(frozen=True)
class _Task:
    """What a process must know."""

    predictions: Path
    dataset: Path
    split: str
    rules: tuple[Protocol, ...]
    allow_failures: bool


class _Scorer:
    """Scores samples by their number in the split; keeps one shard open."""

    def __init__(self, task: _Task) -> None:
        self.task = task
        self.predictions = Predictions(task.predictions)
        self.data = open_dataset(task.dataset)
        self.places = [(entry, row) for entry in self.data.entries(task.split) for row in range(entry.samples)]
        self.shard: Shard | None = None

    def outcome(self, number: int) -> Outcome:
        entry, row = self.places[number]
        if self.shard is None or self.shard.video != entry.video:
            if self.shard:
                self.shard.close()
            self.shard = self.data.shard(entry)
        sample = self.shard.sample(row)
        try:
            made = self.predictions.get(sample)
        except PredictionError as error:
            if not self.task.allow_failures:
                raise
            return outcome_of(sample, error, self.task.rules, True)
        return outcome_of(sample, made, self.task.rules, self.task.allow_failures)


_scorer: _Scorer | None = None  # one in each process


def _prepare(task: _Task) -> None:
    import cv2

    global _scorer
    cv2.setNumThreads(1)  # the processes share the cores already
    _scorer = _Scorer(task)


def _in_process(number: int) -> Outcome:
    assert _scorer
    return _scorer.outcome(number)


@contextmanager
def _scoring(task: _Task, workers: int) -> Iterator[Callable[[Iterable[int]], Iterator[Outcome]]]:
    """The way from numbers of samples to their outcomes, in order. Processes get ready while the caller looks at the predictions."""
    if workers <= 1:
        yield partial(map, _Scorer(task).outcome)
    else:
        with processes.pool(workers, _prepare, task) as pool:
            yield partial(pool.map, _in_process)


def _first_look(data: MadeDataSet, split: str, stored: Predictions) -> str | None:
    """A warning about the first predictions that can be read; what cannot is told when it is scored."""
    look = Look()
    for sample in islice(data.samples(split), LOOKED_AT):
        with suppress(PredictionError):
            look.add(stored.get(sample), sample)
    return look.warning()


def _key(digest: str, header: Header, rules: Sequence[Protocol]) -> dict[str, object]:
    """What must be equal for a run to go on from another's journal."""
    texts = [each.digest() for each in rules]
    return {"predictions": digest, "data": header.content, "version of blurbench": __version__, "text of the protocols": texts}


def _plain(data: MadeDataSet, split: str, name: str, digest: str, draws: int, command: str) -> Header:
    """The head of a folder of plain pictures: they are believed to be of the data they are scored on."""
    manifest = data.manifest
    return Header(
        method=name,
        title=f"submitted as pictures ({name})",
        weights={"files": [], "sha256": digest, "origin": "submitted"},
        dataset=manifest.label,
        split=split,
        fingerprint=manifest.fingerprint(split),
        content=manifest.content(split),
        draws=draws,
        store="uint8",
        command=command,
    )
