"""Predict and score in one pass: a method on a split of a made data set, under a protocol, into a run record and per-sample scores."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from blurbench import methods
from blurbench.metrics import protocol as protocols
from blurbench.metrics.protocol import Protocol, SampleScore
from blurbench.metrics.statistics import interval
from blurbench.run.record import RunRecord, Value, command_line
from blurbench.store.reader import open_dataset

Progress = Callable[[int, int], None]
"""Called with the samples done and their total."""


def evaluate(
    method: str,
    dataset: str | Path,
    *,
    weights: Path | str | None = None,
    split: str = "test",
    protocol: str = "blurbench-1",
    out: Path | str = "runs",
    device: str = "cpu",
    seed: int = 0,
    progress: Progress = lambda done, total: None,
) -> RunRecord:
    """Evaluate a method and write `<out>/<name>.json` and `<out>/<name>.csv`.

    Nothing is written unless every sample was scored. Raises BlurbenchError.
    """
    rules = protocols.load(protocol)
    data = open_dataset(dataset)
    runner = methods.load_method(method, weights, device)
    total = data.count(split)
    scores: list[SampleScore] = []
    seconds: list[float] = []
    can = runner.capabilities
    for sample in data.samples(split, can.before, can.after):
        prediction = methods.predict(runner, sample, samples=rules.samples, seed=seed)
        scores.append(protocols.score(rules, prediction.frames, sample))
        seconds.append(prediction.seconds)
        progress(len(scores), total)
    record = RunRecord(
        method=runner.card.id,
        title=runner.card.title,
        weights=runner.weights.as_dict() if runner.weights else None,
        dataset=data.manifest.label,
        split=split,
        fingerprint=data.manifest.fingerprint(split),
        content=data.manifest.content(split),
        protocol=rules.id,
        protocol_version=rules.version,
        samples=len(scores),
        videos=len({score.video for score in scores}),
        values=aggregate(rules, scores),
        seconds=_mean_without_first(seconds),
        device=device,
        seed=seed,
        scores="",
        command=command_line(
            "evaluate", method=method, dataset=dataset, weights=weights, split=split, protocol=protocol, device=device, seed=seed
        ),
    )
    return _write(record, Path(out), rules, scores, seconds)


def aggregate(rules: Protocol, scores: Sequence[SampleScore]) -> dict[str, Value]:
    """Mean and clustered interval of each column; a column that the method cannot fill has no mean."""
    videos = [score.video for score in scores]
    table = {}
    for column in rules.columns:
        values = [score.values[column.name] for score in scores]
        present = [value for value in values if value is not None]
        # A method fills a column for all samples or for none: capabilities do not change from sample to sample.
        table[column.name] = Value(*interval(present, videos)) if len(present) == len(values) else Value(None)
    return table


def _mean_without_first(seconds: list[float]) -> float:
    """The first prediction pays for warming up."""
    counted = seconds[1:] or seconds
    return sum(counted) / len(counted)


def _write(record: RunRecord, folder: Path, rules: Protocol, scores: list[SampleScore], seconds: list[float]) -> RunRecord:
    record = replace(record, scores=f"{record.name}.csv")
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{record.scores}.{os.getpid()}.part"
    with part.open("w", newline="") as file:
        table = csv.writer(file)
        names = [column.name for column in rules.columns]
        table.writerow(["sample", "video", "reversed", "seconds", *names])
        for score, took in zip(scores, seconds, strict=True):
            table.writerow([score.sample, score.video, int(score.reversed), f"{took:.6f}", *(score.values[name] for name in names)])
    part.replace(folder / record.scores)
    record.write(folder)
    return record
