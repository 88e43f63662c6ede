"""Time of a training step against a bare loop of forward, backward and optimiser step on the same tensors. Aim: at most 1.15.

The trainer reads crops in a worker, checks the loss, notes its terms and sets rates; all that must hide behind the network.
Usage: python benchmarks/bench_train.py [STEPS]
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import torch

from blurbench.registry import METHODS
from blurbench.synth.pipeline import make_dataset
from blurbench.train import recipe, run, turns
from blurbench.train.recipe import Recipe, Training
from blurbench.train.trainer import train

METHOD, WARM = "zhang2019", 3


def smaller(training: Training) -> Recipe:
    """The recipe with batches and crops for which a CPU needs less than a second."""
    found = recipe.find(training)
    return replace(found, stages={name: replace(stage, batch=2, crop=128) for name, stage in found.stages.items()})


def bare(batches: list[dict[str, torch.Tensor]]) -> float:
    """Median seconds of a step that does nothing else."""
    training = METHODS.get(METHOD).training
    stage, schedule = training.stages["deblur"], recipe.find(training).stages["deblur"]
    network = training.network().to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(network.parameters(), lr=schedule.learning_rate)
    taken = []
    for batch in batches:
        begin = time.perf_counter()
        optimiser.zero_grad(set_to_none=True)
        sum(stage.players[0].loss({"network": network}, batch, {}).values()).backward()
        optimiser.step()
        taken.append(time.perf_counter() - begin)
    return sorted(taken[WARM:])[len(taken[WARM:]) // 2]


def main() -> None:
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    with tempfile.TemporaryDirectory() as folder:
        make_dataset("genblur", out=Path(folder), clips={"train": 2}, size=(144, 160))
        seen: list[dict[str, torch.Tensor]] = []
        ends: list[float] = []
        step = turns.Turns.step

        def noting(self: turns.Turns, batch: dict[str, torch.Tensor], number: int) -> dict[str, torch.Tensor]:
            seen.append(dict(batch))
            return step(self, batch, number)

        small = smaller(METHODS.get(METHOD).training)
        with (
            patch.object(turns.Turns, "step", noting),
            patch.object(recipe, "find", lambda *_: small),
            patch.object(run.Run, "_validate_owed", lambda *_: None),  # validations are not steps, nor are their saves
        ):
            train(
                METHOD,
                folder,
                Path(folder) / "w.safetensors",
                budget=str(steps),
                workers=1,
                progress=lambda *_: ends.append(time.perf_counter()),
            )
        between = sorted(later - earlier for earlier, later in zip(ends[WARM:-2], ends[WARM + 1 : -1], strict=True))
        ours, reference = between[len(between) // 2], bare(seen)
    print(f"{METHOD}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, {steps} steps, medians")
    print(f"bare {reference * 1e3:.0f} ms, blurbench train {ours * 1e3:.0f} ms: {ours / reference:.3f} times")


if __name__ == "__main__":
    main()
