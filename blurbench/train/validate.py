"""Scores of a network in training on held-out training videos; test clips are never looked at."""

from __future__ import annotations

import math

import torch

from blurbench import running
from blurbench.errors import UnknownNameError
from blurbench.methods import Method
from blurbench.metrics import protocol as protocols
from blurbench.metrics.protocol import Column, Protocol
from blurbench.metrics.score import score
from blurbench.store.dataset import BlurDataset
from blurbench.store.reader import MadeDataSet
from blurbench.train.recipe import Schedule

SAMPLES = 8
"""Whole pictures that are scored under a protocol."""
CROPS = 64
"""Crops over which the loss is averaged."""


def column_of(protocol: str, name: str) -> tuple[Protocol, Column]:
    """A column of a protocol. Raises UnknownNameError."""
    rules = protocols.load(protocol)
    found = {column.name: column for column in rules.columns}
    if name not in found:
        raise UnknownNameError("column", name, found, f"protocol {protocol}")
    return rules, found[name]


def validated_by(schedule: Schedule) -> str:
    """What a stage is validated by, in words: protocol, column and unit, or the loss."""
    if not schedule.protocol:
        return "loss"
    unit = column_of(schedule.protocol, schedule.score)[1].unit
    return f"{schedule.protocol} {schedule.score}{f', {unit}' if unit not in ('', '1') else ''}"


class Held:
    """The held-out samples that are scored: `SAMPLES` of them, evenly over the videos."""

    def __init__(self, data: MadeDataSet, videos: frozenset[str], before: int, after: int) -> None:
        ids = [id for id in data.ids("train") if id.rpartition("/")[0] in videos]
        chosen = [ids[number * len(ids) // SAMPLES] for number in range(SAMPLES)] if len(ids) > SAMPLES else ids
        self.samples = [data.sample(id, before, after, "train") for id in chosen]

    def mean(self, method: Method, protocol: str, name: str) -> float:
        """The mean of a column. NaN where no sample fills it. Raises BlurbenchError."""
        rules, column = column_of(protocol, name)
        with torch.random.fork_rng():
            scored = [score(rules, running.predict(method, sample), sample).values[column.name] for sample in self.samples]
        values = [value for value in scored if value is not None]
        return sum(values) / len(values) if values else math.nan


def batches(data: BlurDataset, size: int) -> list[dict[str, torch.Tensor]]:
    """The same `CROPS` crops each time, in batches of `size`."""
    items = [data[draw] for draw in range(CROPS)]
    groups = [items[first : first + size] for first in range(0, len(items), size)]
    return [{name: torch.stack([item[name] for item in group]) for name in group[0]} for group in groups]
