"""The state of a training run in one safetensors file, written whole or not at all.

The file holds the tensors of all networks (`networks.…`) and optimisers (`optimisers.<player>.<parameter>.<name>`), and as its card
the step, what else the run must know, and the settings that it was started with. Generators have no state: each step seeds its own.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from blurbench import weights
from blurbench.errors import DataSetError, RecipeError, WeightsError
from blurbench.methods import Method
from blurbench.registry import METHODS
from blurbench.store.disk import replacing
from blurbench.train.turns import Diverged

_MENDS = {
    "stages": "give --stage as then",
    "start": "give --start as then (the values are SHA-256s of the file)",
    "dataset": "give the data set of then (the values are its fingerprints)",
    "recipe": "give by --recipe a file with the numbers of then",
    "network": "give by --recipe a file with the [network] of then",
}
"""What sets a setting back, by the first part of its name, where that is not the option's."""


@dataclass(frozen=True)
class Place:
    """Where a run keeps its state and its weights, and how. command, half: for the card and the precision of the weights."""

    out: Path
    resume: bool
    save_seconds: float
    workers: int
    command: str
    half: bool

    @property
    def folder(self) -> Path:
        return self.out.with_suffix(".training")

    @property
    def state(self) -> Path:
        return self.folder / "state.safetensors"

    @property
    def best(self) -> Path:
        return self.folder / "best.safetensors"

    @property
    def lock(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.lock")

    def stage(self, name: str) -> Path:
        """The weights of a finished stage, of a run of several."""
        return self.folder / f"{name}.safetensors"

    def card(self) -> dict[str, Any] | None:
        """What the state says of itself, where there is one to go on from. Raises WeightsError."""
        return weights.card(self.state) if self.resume and self.state.is_file() else None

    def remarks(self, method: type[Method]) -> list[str]:
        """That there is nothing to resume, where that was asked for; that the method's code is another than that of the state."""
        if self.resume and not self.state.is_file():
            return [f"{self.folder} holds no training run to go on with: this one begins anew"]
        then = (self.card() or {}).get("code")
        if then is None or then == (now := METHODS.code(method)):
            return []
        told = f"the code of {method.card.id} is not that which began {self.folder} (SHA-256 {then[:12]}, now {now[:12]})"
        return [f"{told}: what comes out is of both; train into another --out for weights of the new code alone"]

    def check(self, settings: Mapping[str, Any]) -> None:
        """Raises RecipeError for a run that is there and not to be resumed, or has other settings."""
        if not self.resume and self.state.is_file():
            raise RecipeError(f"{self.folder} holds a training run; --resume goes on with it, another --out leaves it alone")
        if card := self.card():
            require_same(self.state, card["settings"], settings)


@contextmanager
def resumable() -> Iterator[None]:
    """Tells of a full disk how the training goes on: the command as it was would be refused. Raises DataSetError."""
    try:
        yield
    except DataSetError as error:
        if not isinstance(error.__cause__, OSError) or error.__cause__.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        told = str(error).rpartition(";")[0]
        raise DataSetError(f"{told}; make room and repeat the command with --resume, the state saved last is kept") from error


def tensors(networks: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and buffers by name, each once even where several modules share it."""
    return {f"networks.{name}": value.detach() for name, value in (*networks.named_parameters(), *networks.named_buffers())}


def write(path: Path, networks: nn.Module, optimisers: Sequence[torch.optim.Optimizer], card: Mapping[str, Any]) -> None:
    """Write atomically: after a failure (full disk, kill) the file from before is still there.

    Raises DataSetError, and Diverged for a state that is not finite, from which nothing could go on.
    """
    state = tensors(networks)
    for player, optimiser in enumerate(optimisers):
        for index, values in optimiser.state_dict()["state"].items():
            state |= {f"optimisers.{player}.{index}.{name}": value for name, value in values.items()}
    if (broken := next((name for name, value in state.items() if not value.isfinite().all()), None)) is not None:
        raise Diverged(f"{broken} is not finite after step {card['step']} of stage {card['stage']!r}, expected finite numbers")
    put(path, weights.packed(state, card))


def put(path: Path, content: bytes) -> None:
    """Bytes under a temporary name, flushed to disk, then renamed. Raises DataSetError."""
    with replacing(path) as part:
        part.write_bytes(content)


def restore(path: Path, networks: nn.Module, optimisers: Sequence[torch.optim.Optimizer]) -> None:
    """Fill networks and optimisers, in place, from a file that `write` made of the same ones. Raises WeightsError."""
    given = weights.read(path)
    own = tensors(networks)
    for name, value in own.items():
        if name not in given or given[name].shape != value.shape:
            raise WeightsError(f"{path} is not the state of this training run: {name!r} is missing or of another shape")
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(given[name])
    for player, optimiser in enumerate(optimisers):
        state: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in given.items():
            kind, _, rest = key.partition(".")
            number, _, rest = rest.partition(".")
            if kind == "optimisers" and int(number) == player:
                index, _, name = rest.partition(".")
                state.setdefault(int(index), {})[name] = value
        optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def require_same(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raises RecipeError naming the first setting, in the order of `now`, that is not what the run was started with."""
    old, new = _flat(before), _flat(now)
    for key in [*new, *(key for key in old if key not in new)]:
        if old.get(key) != new.get(key):
            told = f"{path} was started with {key} = {old.get(key)!r}, now it is {new.get(key)!r}; expected the same to go on with --resume"
            raise RecipeError(f"{told}: {_MENDS.get(key.partition('.')[0], 'set it back')}, or train into another --out")


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            # As JSON has it: tuples are lists there.
            flat[f"{prefix}{key}"] = list(value) if isinstance(value, tuple) else value
    return flat
