"""Training a method on the training split of a made data set, within a budget of steps or minutes."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

import blurbench
from blurbench import device as devices
from blurbench import weights
from blurbench.errors import BlurbenchError, RecipeError
from blurbench.registry import METHODS
from blurbench.run.record import command_line
from blurbench.store.dataset import BlurDataset, Draws
from blurbench.store.disk import replacing
from blurbench.store.reader import MadeDataSet, open_dataset
from blurbench.train.recipe import Training

_LOG_EVERY = 50
_HELD_OUT = 0.05  # share of the training videos kept for the validation loss; test clips are never looked at
_VALIDATION_CROPS = 64


@dataclass(frozen=True)
class Budget:
    """When to stop: after so many steps, or so many seconds (the one that is given)."""

    steps: int | None = None
    seconds: float | None = None

    @classmethod
    def parse(cls, text: str) -> Budget:
        """`4000` steps, `25m` minutes, `2h` hours. Raises RecipeError."""
        number, unit = (text[:-1], text[-1:]) if text[-1:] in "mh" else (text, "")
        try:
            value = float(number)
        except ValueError:
            value = -1
        if value <= 0 or (not unit and value != int(value)):
            raise RecipeError(f"--budget is {text!r}, expected a number of steps (4000), minutes (25m) or hours (2h)")
        return cls(steps=int(value)) if not unit else cls(seconds=value * (60 if unit == "m" else 3600))

    def spent(self, step: int, seconds: float) -> float:
        """The share of the budget that is used up, 1 at its end."""
        return step / self.steps if self.steps else seconds / (self.seconds or 1)


@dataclass(frozen=True)
class Trained:
    """What a training run left: the weights file, the steps taken, and the last validation loss."""

    weights: Path
    steps: int
    seconds: float
    validation: float


Progress = Callable[[float, int, float], None]
"""Called with the share of the budget spent, the step and the smoothed loss."""


def train(
    method: str,
    dataset: str | Path,
    out: Path | str,
    *,
    budget: str = "4000",
    seed: int = 0,
    device: str = "cpu",
    precision: str = "float32",
    half: bool = True,
    start: Path | str | None = None,
    progress: Progress = lambda spent, step, loss: None,
) -> Trained:
    """Train a method's network and write it as safetensors (half precision unless `half` is False) with its history inside.

    precision: float32 or bfloat16 (autocast). start: weights to go on from, with half the learning rate.
    A CSV with the loss terms is written beside the weights. Ctrl-C ends the training early and keeps what was learned.
    Raises RecipeError for a method without training, DataSetError for a data set without a training split, and
    BlurbenchError when the loss is no longer finite.
    """
    cls = METHODS.get(method)
    recipe = getattr(cls, "training", None)
    if not isinstance(recipe, Training):
        raise RecipeError(f"method {method!r} has nothing to train")
    if precision not in ("float32", "bfloat16"):
        raise RecipeError(f"--precision is {precision!r}, expected float32 or bfloat16")
    data = open_dataset(dataset)
    torch.manual_seed(seed)
    if start is not None:
        recipe = replace(recipe, learning_rate=recipe.learning_rate / 2)
    run = _Run(recipe, data, Budget.parse(budget), seed, torch.device(devices.check(device)), precision)
    if start is not None:
        weights.fit(run.network, {key: value.float() for key, value in weights.read(Path(start)).items()}, Path(start))
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    run.loop(out.with_suffix(".csv"), progress)
    card = {
        "method": cls.card.id,
        "dataset": data.manifest.label,
        "fingerprint": data.manifest.fingerprint("train"),
        "command": command_line("train", method=method, dataset=dataset, budget=budget, seed=seed, precision=precision, start=start),
        "steps": str(run.step),
        "minutes": f"{run.seconds / 60:.1f}",
        "seed": str(seed),
        "precision": precision,
        "validation_loss": f"{run.validation:.6f}",
        "blurbench": blurbench.__version__,
        "torch": torch.__version__,
    }
    state = {key: (value.half() if half else value).contiguous().cpu() for key, value in run.network.state_dict().items()}
    with replacing(out) as part:
        part.write_bytes(weights.packed(state, card))
    return Trained(out, run.step, run.seconds, run.validation)


class _Run:
    """One training run's state."""

    def __init__(self, recipe: Training, data: MadeDataSet, budget: Budget, seed: int, device: torch.device, precision: str) -> None:
        self.recipe, self.budget, self.device = recipe, budget, device
        learn, held = _split_videos(data)
        self.data = BlurDataset(data, "train", recipe.crop, seed, learn, recipe.augmentation)
        self.held = BlurDataset(data, "train", recipe.crop, seed + 1, held, recipe.augmentation)
        first = self.held[0]["sharp"]
        if len(first) != recipe.frames:
            raise RecipeError(f"the method is trained on {recipe.frames} target frames, {data.folder} has {len(first)}")
        # channels_last and bfloat16 halve the time of a step on CPUs that have AVX-512 bfloat16.
        self.network: nn.Module = recipe.network().to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=recipe.learning_rate)
        self.half = precision == "bfloat16"
        self.step, self.seconds, self.validation = 0, 0.0, math.nan

    def loop(self, log: Path, progress: Progress) -> None:
        loader = DataLoader(self.data, batch_size=self.recipe.batch, sampler=Draws(), num_workers=1, persistent_workers=True)
        batches = iter(loader)
        start, smooth = time.perf_counter(), math.nan
        with log.open("w", newline="") as file:
            table = csv.writer(file)
            try:
                while (spent := self.budget.spent(self.step, self.seconds)) < 1:
                    terms = self._learn(next(batches), spent)
                    total = sum(terms.values())
                    if not math.isfinite(total):
                        raise BlurbenchError(f"the loss is {total} at step {self.step}; lower the learning rate or use --precision float32")
                    smooth = total if math.isnan(smooth) else 0.98 * smooth + 0.02 * total
                    if self.step == 0:
                        table.writerow(["step", "seconds", *terms, "validation"])
                    self.step += 1
                    self.seconds = time.perf_counter() - start
                    if self.step % _LOG_EVERY == 0:
                        validated = self.step % (10 * _LOG_EVERY) == 0
                        table.writerow([self.step, f"{self.seconds:.1f}", *terms.values(), self.validate() if validated else ""])
                        file.flush()
                    progress(spent, self.step, smooth)
            except KeyboardInterrupt:
                if not self.step:
                    raise
        self.validate()

    def _learn(self, batch: dict[str, torch.Tensor], spent: float) -> dict[str, float]:
        low, high = self.recipe.final_learning_rate, self.recipe.learning_rate
        for group in self.optimiser.param_groups:
            group["lr"] = low + (high - low) * 0.5 * (1 + math.cos(math.pi * min(spent, 1)))
        terms = self._loss(batch)
        self.optimiser.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return {name: float(value.detach()) for name, value in terms.items()}

    def _loss(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        moved = {name: value.to(self.device) for name, value in batch.items()}
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            return self.recipe.loss(self.network, moved)

    @torch.inference_mode()
    def validate(self) -> float:
        """Mean loss over a fixed set of crops of the held-out training videos."""
        items: list[dict[str, Any]] = [self.held[draw] for draw in range(_VALIDATION_CROPS)]
        totals = []
        for first in range(0, len(items), self.recipe.batch):
            group = items[first : first + self.recipe.batch]
            batch = {name: torch.stack([item[name] for item in group]) for name in group[0]}
            totals.append(float(sum(value.item() for value in self._loss(batch).values())) * len(group))
        self.validation = sum(totals) / len(items)
        return self.validation


def _split_videos(data: MadeDataSet) -> tuple[frozenset[str], frozenset[str]]:
    """Training videos to learn from and to validate on. Raises UnknownNameError for a data set without a training split."""
    videos = [shard.video for shard in data.shards("train")]
    if len(videos) < 2:
        raise RecipeError(f"{data.folder} has {len(videos)} training video, expected at least 2: one is kept for validation")
    count = max(1, round(len(videos) * _HELD_OUT))
    return frozenset(videos[:-count]), frozenset(videos[-count:])
