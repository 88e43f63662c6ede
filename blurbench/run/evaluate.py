"""Predict and score in one pass: a method on a split of a made data set, under protocols, into run records and per-sample scores."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from blurbench import methods
from blurbench.errors import PredictionError, warn
from blurbench.metrics import protocol as protocols
from blurbench.metrics.protocol import Protocol
from blurbench.metrics.score import score_all
from blurbench.remarks import learnt_from, remarks
from blurbench.run import results
from blurbench.run.checks import LOOKED_AT, Look
from blurbench.run.journal import Outcome, journal, place
from blurbench.run.measure import Meter
from blurbench.run.predictions import Header, Predictions, writing
from blurbench.run.record import RunRecord, command_line, pairs
from blurbench.run.runner import describe, predict_all
from blurbench.store.reader import open_dataset
from blurbench.types import Prediction, Sample

Progress = Callable[[int, int], None]
"""Called with the samples done and their total."""
Predicted = Iterator[tuple[Sample, Prediction | PredictionError]]
DEFAULT_PROTOCOLS = ("blurbench-1",)
_AHEAD = 2  # predictions a scoring thread may be behind; they are large


def evaluate(
    method: str,
    dataset: str | Path,
    *,
    weights: Path | str | None = None,
    options: Mapping[str, str] | None = None,
    split: str = "test",
    protocol: str | Sequence[str] = DEFAULT_PROTOCOLS,
    out: Path | str = "runs",
    device: str = "cpu",
    seed: int = 0,
    predictions: Path | str | None = None,
    workers: int | None = None,
    allow_failures: bool = False,
    progress: Progress = lambda done, total: None,
    note: Callable[[str], None] = warn,
) -> list[RunRecord]:
    """Evaluate a method and write `<out>/<name>.json` and `<out>/<name>.parquet` for each protocol; several share one pass.

    options: of the method, see `methods.load_method`.
    predictions: a folder to keep them in. workers: threads that score while the method predicts; 0 scores between predictions, which is
    the default on a CPU, where the time of a prediction is only fair when nothing else runs. A stopped run goes on where it was.
    A sample that cannot be predicted or scored ends the run, and nothing is published; with `allow_failures` the run goes on, and the
    record lists what failed. seed: of a stochastic method; another one gives a record of its own. note: called with warnings, and with how
    much is taken from a stopped run. Raises BlurbenchError.
    """
    names = [protocol] if isinstance(protocol, str) else list(protocol)
    rules = [protocols.load(name) for name in names]
    data = open_dataset(dataset)
    runner = methods.load_method(method, weights, device, options)
    for remark in [*remarks(runner), *learnt_from(runner, data.manifest.fingerprint(split) if data.count(split) else "")]:
        note(remark)
    if seed and not runner.capabilities.stochastic:
        note(f"seed {seed} was given, but {runner.card.id} is deterministic; it runs with seed 0")
    draws = max(each.samples for each in rules) if runner.capabilities.stochastic else 1
    command = command_line(
        "evaluate",
        method=method,
        dataset=dataset,
        weights=weights,
        option=pairs(options),
        split=split,
        protocol=names,
        device=device,
        seed=seed,
        allow_failures=allow_failures,
    )
    header = describe(runner, data, split, draws, seed, command)
    keeping = writing(Path(predictions), header) if predictions is not None else nullcontext()
    with keeping as writer, journal(_journal(Path(out), header, rules), _key(header, rules), note) as kept:
        meter = Meter(runner, kept.cost or (writer.header.cost if writer else None))
        made = _checked(note, predict_all(runner, data, header, meter, writer, frozenset(kept.done), allow_failures))
        total = data.count(split)
        progress(len(kept.done), total)
        threads = (0 if device == "cpu" else 2) if workers is None else workers
        for outcome in _scored(made, rules, threads, allow_failures):
            if outcome.sample not in kept.done:
                kept.add(outcome, meter.facts())
                progress(len(kept.done), total)
        header = replace(header, cost=meter.facts())
        outcomes = [kept.done[sample] for sample in data.ids(split)]
        require_some(outcomes)
        digest = Predictions(Path(predictions)).digest() if predictions is not None else None
        return results.write(header, rules, outcomes, Path(out), digest, note)


def _checked(note: Callable[[str], None], made: Predicted) -> Predicted:
    """The same; what a look at the first predictions shows is told."""
    look: Look | None = Look()
    for sample, prediction in made:
        if look and isinstance(prediction, Prediction):
            look.add(prediction, sample)
            if len(look.samples) == LOOKED_AT:
                _tell(look, note)
                look = None
        yield sample, prediction
    if look:
        _tell(look, note)


def _tell(look: Look, note: Callable[[str], None]) -> None:
    if warning := look.warning():
        note(warning)


def require_some(outcomes: Sequence[Outcome]) -> None:
    """Raises PredictionError when nothing was scored."""
    if all(outcome.failed is not None for outcome in outcomes):
        raise PredictionError(f"none of {len(outcomes)} samples could be scored; the first: {outcomes[0].failed if outcomes else 'none'}")


def outcome_of(sample: Sample, made: Prediction | PredictionError, rules: Sequence[Protocol], allow_failures: bool) -> Outcome:
    """Score a prediction. Raises PredictionError unless failures are allowed."""
    if isinstance(made, PredictionError):
        return Outcome(sample.id, sample.video, float("nan"), failed=str(made))
    try:
        return Outcome(sample.id, sample.video, made.seconds, tuple(score_all(rules, made, sample)))
    except PredictionError as error:
        if not allow_failures:
            raise
        return Outcome(sample.id, sample.video, made.seconds, failed=str(error))


def _scored(made: Predicted, rules: Sequence[Protocol], threads: int, allow_failures: bool) -> Iterator[Outcome]:
    """The outcomes in order; scored here, or in threads while the next is predicted."""
    if not threads:
        for sample, prediction in made:
            yield outcome_of(sample, prediction, rules, allow_failures)
        return
    with ThreadPoolExecutor(threads) as pool:
        pending: deque[Future[Outcome]] = deque()
        for sample, prediction in made:
            pending.append(pool.submit(outcome_of, sample, prediction, rules, allow_failures))
            if len(pending) > _AHEAD * threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _journal(out: Path, header: Header, rules: Sequence[Protocol]) -> Path:
    weights = f"-{header.weights['sha256'][:8]}" if header.weights else ""
    seed = f"-seed{header.seed}" if header.seed else ""
    return place(out, f"{header.method}{weights}{seed}-{header.split}-{header.fingerprint[:8]}", rules)


def _key(header: Header, rules: Sequence[Protocol]) -> dict[str, object]:
    """What must be equal for a run to go on from another's journal: all that decides on a number."""
    return {**header.identity(), "text of the protocols": [each.digest() for each in rules]}
