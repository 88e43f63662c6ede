"""One training step: the players of a stage in turn, on one device or many."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from blurbench.errors import BlurbenchError, RecipeError
from blurbench.train.rates import named, optimiser, rate
from blurbench.train.recipe import Batch, Networks, Schedule, Stage

if TYPE_CHECKING:
    from lightning_fabric import Fabric


TOTAL = "total"
"""The term that is the sum of what the last player minimises; those of the others are `total of NETWORK`."""


class Diverged(BlurbenchError):
    """The loss, its gradient or what was learnt is no longer finite."""


class Losses(nn.Module):
    """All networks of a stage, with the losses of its players as `forward`, as data-parallel training wants them."""

    def __init__(self, networks: nn.ModuleDict, stage: Stage, schedule: Schedule) -> None:
        super().__init__()
        self.networks = networks
        self.stage, self.schedule = stage, schedule

    def forward(self, batch: Batch, player: int) -> dict[str, torch.Tensor]:
        """The terms of a player's loss. Raises RecipeError for a loss that returns no named scalars."""
        loss = self.stage.players[player].loss
        terms: Any = loss(cast(Networks, self.networks), batch, self.schedule.settings)
        named_terms = isinstance(terms, Mapping) and len(terms) > 0
        if not named_terms or not all(isinstance(term, torch.Tensor) and term.numel() == 1 for term in terms.values()):
            told = f"the loss {getattr(loss, '__name__', loss)!r} of stage {self.schedule.name!r} returned {_words(terms)}"
            raise RecipeError(f'{told}, expected a dictionary of named scalar tensors; end it with `return {{"name": value}}`')
        return cast(dict[str, torch.Tensor], terms)


def _words(terms: object) -> str:
    """What a loss returned, in short."""
    if isinstance(terms, Mapping):
        kinds = (f"{name!r}: {_words(value)}" for name, value in terms.items())
        return f"{{{', '.join(kinds)}}}"
    return f"a tensor of shape {tuple(terms.shape)}" if isinstance(terms, torch.Tensor) else f"a {type(terms).__name__}"


class Turns:
    """The networks of a stage, set up on their devices, and an optimiser a player.

    constants: names of parameters that nobody learns. Raises RecipeError for parameters that the stage or its `rates` name and no network
    has.
    """

    def __init__(
        self, fabric: Fabric, networks: nn.ModuleDict, stage: Stage, schedule: Schedule, constants: frozenset[str] = frozenset()
    ) -> None:
        self.fabric, self.stage, self.schedule, self.networks = fabric, stage, schedule, networks
        named(networks, schedule.rates)  # raises for rates of nothing
        self.learnt = [
            {name: value for name, value in named(networks, player.trains).items() if name not in constants} for player in stage.players
        ]
        learnt = {id(value) for parameters in self.learnt for value in parameters.values()}
        for value in networks.parameters():
            value.requires_grad_(id(value) in learnt)
        self.losses = Losses(networks, stage, schedule)
        self.module: Any = fabric.setup_module(self.losses)
        self.optimisers: list[Any] = []
        for parameters in self.learnt:
            made = fabric.setup_optimizers(optimiser(schedule, parameters))
            self.optimisers.append(made)
        self.train()

    def train(self) -> None:
        """Networks that learn into training mode, the others into evaluation mode."""
        for network in self.networks.values():
            network.train(any(value.requires_grad for value in network.parameters()))

    def rate(self, share: float, lowered: int) -> float:
        """Set all learning rates to those at a share of the stage; returns the first."""
        for each in self.optimisers:
            for group in each.param_groups:
                group["lr"] = rate(self.schedule, share, group["first"], lowered)
        return float(self.optimisers[-1].param_groups[0]["lr"])

    def step(self, batch: Batch, step: int) -> dict[str, torch.Tensor]:
        """Every player's turn, in order; returns the terms of all and the total of each player, detached.

        Raises Diverged, on all devices alike, before weights are touched by NaN. The players before have had their turn then, and buffers
        have moved: what the networks hold is of no step.
        """
        seen: dict[str, torch.Tensor] = {}
        for number, (player, each) in enumerate(zip(self.stage.players, self.optimisers, strict=True)):
            if step % player.every:
                continue
            self._only(number)
            terms = self.module(batch, number)
            total = torch.stack([term.float() for term in terms.values()]).sum()
            # All devices must stop at the same step; a NaN of one is one of the mean.
            self._require_finite("loss", cast(torch.Tensor, self.fabric.all_reduce(total.detach())), step)
            each.zero_grad(set_to_none=True)
            self.fabric.backward(total)
            # Devices have the mean of their gradients by now. That of a finite loss need not be finite, as at a root of 0.
            norm = nn.utils.get_total_norm([value.grad for value in self.learnt[number].values() if value.grad is not None])
            self._require_finite("norm of the gradient", norm, step)
            if self.schedule.clip:
                nn.utils.clip_grads_with_norm_(self.learnt[number].values(), self.schedule.clip, norm)
            each.step()
            seen |= {name: term.detach() for name, term in terms.items()}
            seen[self._total(number)] = total.detach()
        self._only(None)
        return seen

    def _total(self, player: int) -> str:
        """The name of a player's total."""
        last = player == len(self.stage.players) - 1
        return TOTAL if last else f"{TOTAL} of {', '.join(self.stage.players[player].trains)}"

    def _only(self, player: int | None) -> None:
        """Let only this player's parameters get gradients; None: those of all."""
        if len(self.learnt) == 1:
            return
        for number, parameters in enumerate(self.learnt):
            for value in parameters.values():
                value.requires_grad_(player is None or number == player)

    def _require_finite(self, what: str, value: torch.Tensor, step: int) -> None:
        """Raises Diverged."""
        if not math.isfinite(number := float(value)):
            raise Diverged(f"the {what} is {number} at step {step + 1} of stage {self.schedule.name!r}, expected a finite number")
