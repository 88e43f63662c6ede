"""The learning rate as it falls over a stage, and the optimisers that it is of."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from blurbench.errors import RecipeError, did_you_mean
from blurbench.train.recipe import Schedule


def rate(schedule: Schedule, share: float, first: float, lowered: int = 0) -> float:
    """The learning rate at a share (0 to 1) of the stage, of a parameter group whose first one is `first`.

    lowered: how often a `plateau` was left. The final rate is scaled as the first one is.
    """
    share = min(max(share, 0.0), 1.0)
    last = schedule.final_learning_rate * first / schedule.learning_rate
    if schedule.schedule == "steps":
        # The small term: k times `every` is gone at the k-th, whichever way the division is rounded.
        gone = math.floor(share / schedule.every + 1e-9) if schedule.every else sum(share >= at for at in schedule.milestones)
        return max(first * float(schedule.factor**gone), last)
    if schedule.schedule == "plateau":
        return max(first * float(schedule.factor**lowered), last)
    if schedule.schedule == "constant":
        return first
    falling = max(0.0, share - schedule.hold) / (1 - schedule.hold)
    left = {
        "linear": 1 - falling,
        "cosine": 0.5 * (1 + math.cos(math.pi * falling)),
        "power": float((1 - falling) ** schedule.power),
    }[schedule.schedule]
    return last + (first - last) * left


@dataclass
class Plateau:
    """Counts validations without a better score, for `schedule = "plateau"`."""

    patience: int
    waited: int = 0
    lowered: int = 0

    def see(self, better: bool) -> None:
        """One validation."""
        self.waited = 0 if better else self.waited + 1
        if self.patience and self.waited > self.patience:
            self.waited, self.lowered = 0, self.lowered + 1


def named(networks: nn.Module, prefixes: Iterable[str]) -> dict[str, nn.Parameter]:
    """The parameters whose names begin with one of the prefixes, each once. Raises RecipeError for a prefix that none begins with."""
    parameters: dict[str, nn.Parameter] = {}
    every = dict(networks.named_parameters())
    for prefix in prefixes:
        found = {name: value for name, value in every.items() if name == prefix or name.startswith(f"{prefix}.")}
        if not found:
            parts = {".".join(name.split(".")[:depth]) for name in every for depth in range(1, name.count(".") + 2)}
            told = f"no parameter is named {prefix}…, expected the beginning of a name such as {next(iter(every), '(none)')}"
            raise RecipeError(f"{told}{(near := did_you_mean(prefix, parts)) and f'; {near}'}")
        parameters |= found
    return parameters


def optimiser(schedule: Schedule, parameters: dict[str, nn.Parameter]) -> torch.optim.Optimizer:
    """One over named parameters, a group for each first rate, which the group keeps as `first`."""
    groups: dict[float, list[nn.Parameter]] = {}
    for name, value in parameters.items():
        own = [prefix for prefix in schedule.rates if name == prefix or name.startswith(f"{prefix}.")]
        groups.setdefault(schedule.rates[max(own, key=len)] if own else schedule.learning_rate, []).append(value)
    kind = torch.optim.AdamW if schedule.optimiser == "adamw" else torch.optim.Adam
    tables = [{"params": values, "lr": first, "first": first} for first, values in groups.items()]
    beta1, beta2 = schedule.betas
    return kind(tables, betas=(beta1, beta2), weight_decay=schedule.weight_decay)
