"""What is trained on what, and that it can be: everything that a user may have got wrong is told before the first step."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from blurbench import weights
from blurbench.errors import DataSetError, RecipeError, UnknownNameError, WeightsError
from blurbench.methods import Method, method_class
from blurbench.registry import METHODS
from blurbench.run.record import pairs
from blurbench.store.reader import MadeDataSet, open_dataset
from blurbench.strict import require
from blurbench.train import recipe
from blurbench.train.budget import Budget
from blurbench.train.feed import split_videos
from blurbench.train.rates import named
from blurbench.train.recipe import Recipe, Schedule, Training
from blurbench.train.validate import column_of

_WORKERS = 4
"""The most processes that read crops, for each CPU."""


@dataclass(frozen=True)
class Plan:
    """What is trained on what: all that decides on the result, beside the number of devices."""

    method: str
    cls: type[Method]
    training: Training
    recipe: Recipe
    data: MadeDataSet
    stages: tuple[str, ...]
    budget: str | None
    seed: int
    precision: str
    size: str
    start: Path | None
    options: Mapping[str, str]

    def settings(self) -> dict[str, Any]:
        """What must not have changed when the training is resumed."""
        return {
            "method": self.cls.card.id,
            "dataset": self.data.manifest.fingerprint("train"),
            "stages": ", ".join(self.stages),
            "budget": self.budget,
            "seed": self.seed,
            "precision": self.precision,
            "size": self.size,
            "start": weights.describe([self.start]).sha256 if self.start else None,
            "network": self.recipe.network,
            "helpers": self.recipe.helpers,
            "options": dict(self.options),
            "recipe": {name: asdict(self.recipe.stages[name]) for name in self.stages},
        }

    def about(self) -> dict[str, Any]:
        """What every weights file of this training says, for the method's `load`."""
        return {"method": self.cls.card.id, "network": self.recipe.network, "options": dict(self.options)}

    def network(self) -> torch.nn.Module:
        """A new network, from the seed, or the weights to start from. Raises WeightsError, RecipeError for `[network]` of another."""
        torch.manual_seed(self.seed)
        try:
            network = self.training.network(**self.recipe.network, **self.options)
        except TypeError as error:
            reason = str(error).rpartition("() ")[2]
            if not self.recipe.network or "keyword argument" not in reason:
                raise
            told = f"{self.recipe.path}: network is {self.recipe.network}, but {self.cls.card.id} {reason}"
            raise RecipeError(f"{told}; expected keyword arguments of its network, mend [network] or [small]") from error
        if self.start is not None:
            given = {key: value.float() for key, value in weights.read(self.start).items()}
            self._require_constants(network, given)
            # Of what no file has (second names of a tensor, networks for training alone), and beside the parts that must be given.
            kept = self.training.exported(network)
            needed = tuple(f"{part}." for part in self.training.given) or ("",)
            own = {key: value for key, value in network.state_dict().items() if key not in kept or not key.startswith(needed)}
            weights.fit(network, {**own, **given}, self.start)
        return network

    def check_rates(self, network: torch.nn.Module) -> None:
        """Raises RecipeError for `rates` that name no part of the network or of a helper. network: that of the plan."""
        for name in self.stages:
            rates, helpers = self.recipe.stages[name].rates, self.training.stages[name].helpers
            parts = {rate.partition(".")[0] for rate in rates}
            made = {key: helpers[key](**self.recipe.helpers.get(key, {})) for key in helpers if key in parts}
            try:
                named(torch.nn.ModuleDict({"network": network, **made}), rates)
            except RecipeError as error:
                raise RecipeError(f"{self.recipe.path}: stage {name!r}, rates: {error}") from error

    def _require_constants(self, network: torch.nn.Module, given: Mapping[str, torch.Tensor]) -> None:
        """Raises WeightsError for weights of a network that differs in a number nobody learns: its shapes are the same."""
        for name, value in network.named_parameters():
            if not value.requires_grad and name in given and not torch.allclose(given[name], value, atol=1e-3):
                found, own = (round(float(each.flatten()[0]), 4) for each in (given[name], value))
                told = f"--start {self.start} is not of {self.cls.card.id}: {name!r} is {found}, expected {own}"
                raise WeightsError(f"{told}; give weights of this method")

    def remarks(self) -> list[str]:
        """What may be meant, and should be seen: data of another kind, a start that was trained with other options."""
        doubt = self.training.doubt(self.data.manifest.recipe)
        doubts = [f"{self.data.folder}: {doubt}"] if doubt else []
        before = weights.learnt(self.start) if self.start else None
        if before is None or before == dict(self.options):
            return doubts
        told, now = (" ".join(pairs(options)) or "no options" for options in (before, self.options))
        return [*doubts, f"--start {self.start} was trained with {told}, this training has {now}"]

    def check_machine(self, devices: int, workers: int) -> None:
        """Raises RecipeError for batches that so many devices cannot share evenly, and for more processes than this machine stands.

        devices: on all machines; workers: processes on this one.
        """
        for schedule in (self.recipe.stages[name] for name in self.stages):
            if schedule.batch % devices:
                fit = ", ".join(str(count) for count in range(1, schedule.batch + 1) if schedule.batch % count == 0)
                told = f"stage {schedule.name!r} has a batch of {schedule.batch}, which {devices} devices cannot share evenly"
                raise RecipeError(f"{told}; expected one of {fit}, by --devices and --nodes")
        cpus = os.cpu_count() or 1
        if workers > _WORKERS * cpus:
            told = f"--workers are {workers} on this machine of {cpus} CPUs, all devices together"
            raise RecipeError(f"{told}; expected at most {_WORKERS} for each CPU, {_WORKERS * cpus}: give fewer")


def planned(
    method: str,
    dataset: str | Path,
    stage: str | None,
    budget: str | None,
    seed: int,
    precision: str,
    size: str,
    start: Path | str | None,
    options: Mapping[str, str],
    own: Path | str | None = None,
) -> Plan:
    """The plan that `train` was asked for. own: a recipe in place of the method's. Raises what `train` does for each that is wrong."""
    cls = method_class(method)
    training = cls.training
    if not isinstance(training, Training):
        raise RecipeError(_untrained(cls))
    _check_options(cls, training, options)
    if precision not in ("float32", "bfloat16"):
        raise RecipeError(f"--precision is {precision!r}, expected float32 or bfloat16")
    Budget.parse(budget)
    rules = recipe.find(training, size, own)
    chosen = _stages(cls, training, rules, stage, start)
    schedules = [rules.stages[name] for name in chosen]
    _check_multiple(cls, rules, schedules)
    data = open_dataset(dataset)
    split_videos(data)
    _check_scores(rules, schedules)
    _check_pictures(cls, training, data, schedules)
    for schedule in schedules:
        if require_files := training.stages[schedule.name].require:
            require_files(schedule.settings)
    return Plan(method, cls, training, rules, data, chosen, budget, seed, precision, size, Path(start) if start else None, options)


def _untrained(cls: type[Method]) -> str:
    """Why a method cannot be trained, and which one can in its place."""
    rest = [method_class(entry.name) for entry in METHODS.entries() if not entry.broken]
    trained = sorted({other.card.id for other in rest if other.card.keeper == cls.card.keeper and other.training})
    told = f"{cls.card.id} has nothing to train of its own"
    if trained:
        return f"{told}; its weights are those of {trained[0]}: give --method {trained[0]}"
    return f"{told} (weights: {cls.card.weights or 'none needed'}); expected a method with `training`, see docs/training.md"


def _stages(cls: type[Method], training: Training, rules: Recipe, stage: str | None, start: Path | str | None) -> tuple[str, ...]:
    """The stages to train, after checking that what they go on from is there."""
    stages = [name for name in training.stages if rules.stages[name].steps]
    if stage is not None and stage not in stages:
        raise UnknownNameError("stage", stage, stages, f"method {cls.card.id}")
    if stage is not None and stage != stages[0] and start is None:
        before = stages[stages.index(stage) - 1]
        raise RecipeError(
            f"stage {stage!r} goes on from weights of stage {before!r}, but there are none; give them by --start FILE, or leave out --stage"
        )
    for part, origin in training.given.items():
        if start is None:
            raise RecipeError(f"training {cls.card.id} needs a {part}, but no weights were given; give one by --start FILE: {origin}")
    if start is not None and Path(start).is_dir():
        mend = f"`blurbench convert-weights {cls.card.id} {start}` makes one of the authors' checkpoints"
        raise WeightsError(f"--start {start} is a folder, expected a weights file; {mend}")
    if start is not None and not Path(start).is_file():
        raise WeightsError(f"--start {start} does not exist, expected a weights file; check the path")
    return tuple(stages if stage is None else [stage])


def _check_multiple(cls: type[Method], rules: Recipe, schedules: Sequence[Schedule]) -> None:
    """Raises RecipeError for a crop that the network cannot take."""
    multiple = cls.capabilities.multiple
    for schedule in schedules:
        where = f"{rules.path}, stage {schedule.name!r}"
        require(where, "crop", schedule.crop, schedule.crop % multiple == 0, f"a multiple of {multiple}, as {cls.card.id} takes")


def _check_scores(rules: Recipe, schedules: Sequence[Schedule]) -> None:
    """Raises RecipeError for a validation by a protocol, or a column of it, that there is not."""
    for schedule in (each for each in schedules if each.protocol):
        try:
            column_of(schedule.protocol, schedule.score)
        except (RecipeError, UnknownNameError) as error:
            raise RecipeError(f"{rules.path}: stage {schedule.name!r}: {error}") from error


def _check_pictures(cls: type[Method], training: Training, data: MadeDataSet, schedules: Sequence[Schedule]) -> None:
    """Raises DataSetError for pictures smaller than a crop and for too few targets; by the first video, before anything is begun."""
    first = data.shards("train")[0].file
    height, width = first["blurry"].shape[1:3]
    for schedule in schedules:
        if schedule.crop > min(height, width):
            raise DataSetError(
                f"stage {schedule.name!r} learns from crops of {schedule.crop}, but the pictures of {data.folder} are {width}x{height}; "
                "make it with larger ones (built-in footage: --size)"
            )
        wanted, found = training.stages[schedule.name].frames, first["sharp"].shape[1]
        if wanted and found not in wanted:
            expected = ", ".join(map(str, wanted[:3])) + (", …" if len(wanted) > 3 else "")
            told = f"stage {schedule.name!r} of {cls.card.id} learns from {expected} target frames, a sample of {data.folder} has {found}"
            raise DataSetError(f"{told}; give a data set that has them (`blurbench ls datasets`)")


def _check_options(cls: type[Method], training: Training, options: Mapping[str, str]) -> None:
    """Raises RecipeError for any where training takes none, UnknownNameError for another option or value."""
    if options and not training.options:
        raise RecipeError(f"training {cls.card.id} takes no options, but --option {pairs(options)[0]} was given; leave it out")
    for key, value in options.items():
        if key not in training.options:
            raise UnknownNameError("option", key, training.options, f"training {cls.card.id}")
        if value not in training.options[key]:
            raise UnknownNameError(key, value, training.options[key], f"training {cls.card.id}")
