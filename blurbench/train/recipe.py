"""What a trainable method declares (code), and the recipe that says how it is trained (one TOML a method, read strictly).

A method class carries `training = Training(...)`: the network, and for each stage of the paper the losses. All numbers (rates, steps,
crops, augmentation, weights of the terms) stand in `baselines/training/<recipe>.toml`; the stages there are those of the code, in order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from blurbench import strict
from blurbench.errors import RecipeError
from blurbench.registry import Registry
from blurbench.store.augment import Augmentation
from blurbench.strict import known_keys, one_of, require

if TYPE_CHECKING:
    import torch
    from torch import nn

RECIPES = Registry("training recipe", "blurbench.training", "blurbench.baselines", "training")

Networks = Mapping[str, "nn.Module"]
"""The networks of a stage by name: `network`, the method's own, and the stage's `helpers`."""

Batch = Mapping[str, "torch.Tensor"]
"""`blurry` (B, 3, h, w) and `sharp` (B, T, 3, h, w), float32 RGB in [0, 1], the extras that the stage asks for, and with neighbours
`blurry_around` (B, N, 3, h, w) and `sharp_around` (B, N, T, 3, h, w), see `BlurDataset`."""

Settings = Mapping[str, Any]
"""The numbers (and names) of a stage's losses, from the TOML table `[stage.settings]`."""

Loss = Callable[[Networks, Batch, Settings], "dict[str, torch.Tensor]"]
"""Named scalar terms, weighted already: their sum is minimised."""

Optimiser = Literal["adam", "adamw"]
Decline = Literal["constant", "linear", "cosine", "power", "steps", "plateau"]


@dataclass(frozen=True)
class Player:
    """What one optimiser does in a step: it lowers `loss` by changing the parameters that `trains` names, and no others.

    trains: beginnings of parameter names, the network's name first: `network`, `network.centre`, `discriminator`.
    every: takes part in each `every`-th step only.
    """

    loss: Loss
    trains: tuple[str, ...] = ("network",)
    every: int = 1


@dataclass(frozen=True)
class Stage:
    """One stage. Its players take their turns in each step, in order: discriminators, then generators, or one alone.

    helpers: networks that the method itself does without (discriminators, encoders, pretrained features), by name; they are built when
    the stage begins, with the keyword arguments that the table `[small]` may have for each, and lie in its checkpoints; what no player
    trains is frozen. extras: what the losses need of a sample beside pictures. frames: how many target frames a sample may have; empty: any
    number. settings: names of the numbers that the losses take; the TOML gives each. prepare: called once, on the networks as the stage
    before left them. require: called before anything is begun; raises BlurbenchError where files of others that the losses look through are
    missing, all in one line.
    """

    players: tuple[Player, ...]
    helpers: Mapping[str, Callable[..., nn.Module]] = field(default_factory=dict)
    extras: tuple[str, ...] = ()
    frames: Sequence[int] = ()
    settings: tuple[str, ...] = ()
    prepare: Callable[[Networks], None] | None = None
    require: Callable[[Settings], None] | None = None


def alone(loss: Loss, *trains: str) -> tuple[Player, ...]:
    """The players of a stage without adversaries: one, who changes what `trains` names, or the whole network."""
    return (Player(loss, trains or ("network",)),)


@dataclass(frozen=True)
class Training:
    """How a method is trained, as far as it is code.

    network: makes the method's network, whose state the method's `load` takes; gets the recipe's `[network]`, with `--size small` also
    `network` of the table `[small]`, and the options chosen. What it makes without `requires_grad` nobody learns.
    stages: in the order of training. recipe: the TOML's name in `baselines/training`, or a path beside a method in a file of its own.
    before, after: how many neighbouring exposures of the same video the losses see besides. state: the tensors that go into the weights
    file; by default `state_dict`. options: those of the method's that decide on the network, each with the values that it may have. given:
    parts of the network that no stage trains and `--start` must bring, each with where it comes from; the rest of the network may be absent
    there. doubt: takes the manifest's recipe of the data set; what a person should be told who trains on data of another kind than this
    method is to learn from, "" where there is nothing to tell.
    """

    network: Callable[..., nn.Module]
    stages: Mapping[str, Stage]
    recipe: str | Path
    before: int = 0
    after: int = 0
    state: Callable[[nn.Module], dict[str, torch.Tensor]] | None = None
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict)
    doubt: Callable[[Mapping[str, Any]], str] = lambda made: ""

    def exported(self, network: nn.Module) -> dict[str, torch.Tensor]:
        """What goes into a weights file."""
        return self.state(network) if self.state else network.state_dict()


@dataclass(frozen=True)
class Schedule:
    """The numbers of one stage: the keys of a `[[stage]]`.

    steps: optimiser steps of the paper; `--budget` shortens them, and all that is a share of them; 0 where this size has no such stage.
    batch: crops a step, over all devices. crop: their side in pixels. learning_rate falls to final_learning_rate over the stage:
    `constant`; `linear` or `cosine`, after the share `hold`; `power`: (1 - share)^power; `steps`: times `factor` at each share in
    `milestones`, or each time a share of `every` is gone; `plateau`: times `factor` when more than `patience` validations in a row were
    not better. rates: other first rates, by the beginning of parameter names. clip: largest norm of the gradient; 0: any. protocol, score:
    validation by a column of this protocol on held-out training videos; without a protocol by the loss. validations: how many in the
    stage. settings: of the losses.
    """

    name: str
    steps: int
    batch: int
    crop: int
    learning_rate: float
    final_learning_rate: float = 0.0
    schedule: Decline = "constant"
    hold: float = 0.0
    power: float = 1.0
    factor: float = 1.0
    milestones: list[float] = field(default_factory=list)
    every: float = 0.0
    patience: int = 0
    optimiser: Optimiser = "adam"
    betas: list[float] = field(default_factory=lambda: [0.9, 0.999])
    weight_decay: float = 0.0
    clip: float = 0.0
    rates: dict[str, float] = field(default_factory=dict)
    protocol: str = ""
    score: str = ""
    validations: int = 20
    augmentation: Augmentation = field(default_factory=Augmentation)
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises RecipeError for a value out of range."""
        where = f"stage {self.name!r}"
        require(where, "name", self.name, self.name not in _TAKEN, "another: the training keeps a file of this name")
        require(where, "steps", self.steps, self.steps >= 0, "at least 0")
        for key in ("batch", "crop", "validations"):
            require(where, key, getattr(self, key), getattr(self, key) >= 1, "at least 1")
        for key in ("learning_rate", "power"):
            require(where, key, getattr(self, key), getattr(self, key) > 0, "more than 0")
        for key in ("final_learning_rate", "weight_decay", "clip"):
            require(where, key, getattr(self, key), getattr(self, key) >= 0, "at least 0")
        first, last = self.learning_rate, self.final_learning_rate
        require(where, "final_learning_rate", last, last <= first, f"at most learning_rate, {first}")
        rates = all(isinstance(first, int | float) and first > 0 for first in self.rates.values())
        require(where, "rates", self.rates, rates, "numbers of more than 0")
        one_of(where, "schedule", self.schedule, Decline)
        one_of(where, "optimiser", self.optimiser, Optimiser)
        require(
            where, "betas", self.betas, len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas), "two numbers from 0 to below 1"
        )
        require(where, "milestones", self.milestones, all(0 < share < 1 for share in self.milestones), "shares between 0 and 1")
        for key in ("hold", "every"):
            require(where, key, getattr(self, key), 0 <= getattr(self, key) < 1, "0 to below 1")
        if self.schedule == "steps":
            require(where, "milestones", self.milestones, bool(self.milestones) != bool(self.every), "either `milestones` or `every`")
        if self.schedule in ("steps", "plateau"):
            require(where, "factor", self.factor, 0 < self.factor < 1, "more than 0 and below 1, for the rate to fall")
        if self.schedule == "plateau":
            require(where, "patience", self.patience, self.patience >= 1, "at least 1")
        require(where, "score", self.score, bool(self.score) == bool(self.protocol), "a column together with `protocol`")


_TAKEN = ("state", "best", "candidate")
"""Files in the folder of a training, beside one a stage."""

Size = Literal["paper", "small"]


@dataclass(frozen=True)
class Recipe:
    """A TOML file, read for one size of the network.

    source: where the numbers come from. network, helpers: keyword arguments of the network, and of the stages' helpers by name. With
    `small` those of the table `[small]` come on top, and the keys of its `[small.stage.NAME]` stand for those of the stage: a narrow
    network learns in other steps than the paper's. own: whether it is another than the method's.
    """

    path: Path
    source: str
    stages: dict[str, Schedule]
    network: dict[str, Any]
    helpers: dict[str, dict[str, Any]]
    own: bool = False

    @classmethod
    def read(cls, path: Path, training: Training, size: str = "paper", own: bool = False) -> Recipe:
        """Raises RecipeError for keys, stages or settings that the method does not have, or that are missing, and for an unknown size."""
        table = strict.read(path)
        known_keys(str(path), table, ("source", "network", "stage", "small"))
        require(str(path), "source", table.get("source"), isinstance(table.get("source"), str), "text: where the numbers come from")
        entries: Any = table.get("stage")
        tables = isinstance(entries, list) and bool(entries) and all(isinstance(entry, dict) for entry in entries)
        require(str(path), "stage", entries, tables, "[[stage]] tables")
        small = _small(table, size, path)
        changed = small.get("stage", {})
        known_keys(f"{path}, small", changed, [entry.get("name") for entry in entries], "stage")
        stages = {entry.get("name"): _schedule({**entry, **changed.get(entry.get("name"), {})}, path) for entry in entries}
        if list(stages) != list(training.stages):
            raise RecipeError(f"{path}: stages are {', '.join(map(str, stages))}, expected {', '.join(training.stages)}")
        for name, stage in training.stages.items():
            _names_match(f"{path}, stage {name!r}", stages[name].settings, stage.settings)
        helpers = small.get("helpers", {})
        known_keys(f"{path}, small", helpers, [name for stage in training.stages.values() for name in stage.helpers], "helper")
        return cls(path, table["source"], stages, {**_network(table, str(path)), **_network(small, f"{path}, small")}, helpers, own)


def find(training: Training, size: str = "paper", own: Path | str | None = None) -> Recipe:
    """The recipe of a method, or in its place one of one's own, by its path or its name in `baselines/training`.

    Raises RecipeError, UnknownNameError for another name.
    """
    named = training.recipe if own is None else str(own)
    return Recipe.read(named if isinstance(named, Path) else RECIPES.get(named), training, size, own is not None)


def _network(table: dict[str, Any], where: str) -> dict[str, Any]:
    """Keyword arguments of the network, in a recipe or its table `[small]`."""
    arguments: dict[str, Any] = table.get("network", {})
    require(where, "network", arguments, isinstance(arguments, dict), "a table of keyword arguments")
    return arguments


def _small(table: dict[str, Any], size: str, path: Path) -> dict[str, Any]:
    """The table `[small]`, empty for the paper's size."""
    if size not in get_args(Size) or (size == "small" and "small" not in table):
        expected = "paper or small" if "small" in table else f"paper: {path} has no [small] table"
        raise RecipeError(f"--size is {size!r}, expected {expected}")
    small: dict[str, Any] = table["small"] if size == "small" else {}
    known_keys(f"{path}, small", small, ("network", "helpers", "stage"))
    return small


def _schedule(table: dict[str, Any], path: Path) -> Schedule:
    where = f"stage {table.get('name', '?')!r}"
    try:
        if "augmentation" in table:
            table = {**table, "augmentation": strict.build(Augmentation, table["augmentation"], f"{where}, augmentation")}
        return strict.build(Schedule, table, where)
    except RecipeError as error:  # what the values themselves refuse does not know the file
        raise RecipeError(f"{path}: {error}") from error


def _names_match(where: str, given: Mapping[str, Any], expected: tuple[str, ...]) -> None:
    known_keys(where, given, expected, "setting")
    if missing := [key for key in expected if key not in given]:
        raise RecipeError(f"{where}: the setting {missing[0]!r} is missing, expected a value in [stage.settings]")
