"""Training a method on the training split of a made data set, stage by stage, on Lightning Fabric."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import blurbench
from blurbench import device as devices_
from blurbench import weights
from blurbench.errors import RecipeError
from blurbench.run.record import command_line, pairs
from blurbench.train import checkpoint
from blurbench.train.budget import Budget
from blurbench.train.checkpoint import Place
from blurbench.train.plan import Plan, planned
from blurbench.train.run import Run

Progress = Callable[[float, int, float, int], None]
"""Called after each step with the share of the stage's budget spent, the step, the smoothed loss, and the crops of the step."""


@dataclass(frozen=True)
class Trained:
    """What a training run left: the weights file, the steps of its stages together, their seconds, the last stage's best validation, and
    whether Ctrl-C ended it before its time.
    """

    weights: Path
    steps: int
    seconds: float
    validation: float
    stopped: bool = False


def train(
    method: str,
    dataset: str | Path,
    out: Path | str,
    *,
    stage: str | None = None,
    budget: str | None = None,
    resume: bool = False,
    seed: int = 0,
    device: str = "cpu",
    devices: int = 1,
    nodes: int = 1,
    precision: str = "float32",
    size: str = "paper",
    start: Path | str | None = None,
    options: Mapping[str, str] | None = None,
    half: bool = True,
    workers: int = 1,
    save_seconds: float = 300.0,
    progress: Progress = lambda spent, step, loss, crops: None,
    note: Callable[[str], None] = lambda text: None,
) -> Trained:
    """Train a method's stages, or one, and write its weights as safetensors (half precision unless `half` is False) with their history.

    The folder `<out>.training` beside it holds the state (written every `save_seconds`, at each validation and at the end of a stage), the
    best weights by validation, and the loss curves. resume: go on from that state; on a CPU what comes out is bit for bit what an
    undisturbed run gives, but for a budget in minutes. budget: steps or minutes for all stages together, in proportion to the recipe's.
    devices, nodes: how many a machine, and how many machines. precision: float32 or bfloat16 (autocast). size: paper, or small. start:
    weights to begin with. options: of the method, those that its training declares. Ctrl-C ends the training early, after the step and
    validation under way, and keeps what was learned; a second one stops at once and leaves the state that was saved last. note: called
    with remarks.
    Raises RecipeError for a method without training, for a resume with other settings, for several nodes outside a job and for a
    validation by a column that the method does not fill, WeightsError for `start`, and for an `out` that names no safetensors file,
    DataSetError for a data set without a training split or crops larger than its pictures, and for an `out` that cannot be written, and
    BlurbenchError when the loss is no longer finite.
    """
    weights.require_name(Path(out))
    plan = planned(method, dataset, stage, budget, seed, precision, size, start, options or {})
    place = Place(Path(out), resume, save_seconds, workers)
    place.check(plan.settings())
    if resume and not place.state.is_file():
        note(f"{place.folder} holds no training run to go on with: this one begins anew")
    for remark in plan.remarks():
        note(remark)
    fabric = launch(device, devices, nodes, precision, max(len(plan.training.stages[name].players) for name in plan.stages))
    run = Run(plan, place, fabric, progress, note)
    steps, seconds, validation = run.all(Budget.parse(budget).share([plan.recipe.stages[name] for name in plan.stages]))
    if fabric.global_rank == 0:
        command = command_line(
            "train",
            method=method,
            dataset=dataset,
            stage=stage,
            budget=budget,
            seed=seed,
            precision=precision,
            size=size,
            start=start,
            option=pairs(options),
        )
        card = {"command": command, **_card(plan, run, device, steps, seconds, validation)}
        state = weights.read(place.best) if place.best.is_file() else run.exported()
        checkpoint.put(
            Path(out),
            weights.packed({key: value.half() if half and value.is_floating_point() else value for key, value in state.items()}, card),
        )
    fabric.barrier()
    return Trained(Path(out), steps, seconds, validation, run.stopped)


def _card(plan: Plan, run: Run, device: str, steps: int, seconds: float, validation: float) -> dict[str, Any]:
    """What a weights file says of its training, beside the command."""
    machine = torch.cuda.get_device_name() if device.startswith("cuda") else "cpu"
    stages = [plan.recipe.stages[name] for name in plan.stages]
    return {
        "method": plan.cls.card.id,
        "dataset": plan.data.manifest.label,
        "fingerprint": plan.data.manifest.fingerprint("train"),
        "recipe": f"{plan.recipe.path.name}: {plan.recipe.source}",
        **({"start": weights.identity(plan.start)} if plan.start else {}),
        "network": plan.recipe.network,
        "options": dict(plan.options),
        # Switches of substitutes are among them, as `vgg19 = 0`.
        "settings": {schedule.name: schedule.settings for schedule in stages if schedule.settings},
        "steps": str(steps),
        "minutes": f"{seconds / 60:.1f}",
        "seed": str(plan.seed),
        "precision": plan.precision,
        "size": plan.size,
        "validation": f"{validation:.6f}",
        "validated_by": run.validated_by,
        "machine": f"{run.fabric.world_size} x {machine}, {torch.get_num_threads()} threads",
        "blurbench": blurbench.__version__,
        "torch": torch.__version__,
    }


def launch(device: str, devices: int, nodes: int, precision: str, players: int) -> Any:
    """Fabric on the devices asked for; with several, it starts the other processes.

    Raises BlurbenchError for what this machine lacks, RecipeError for several nodes where nothing starts the others.
    """
    devices_.check(device)
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment
    from lightning_fabric.strategies.ddp import DDPStrategy

    kind, _, index = device.partition(":")
    several = devices * nodes > 1
    if several and index:
        raise RecipeError(f"--device {device} names one device, but --devices is {devices}; give --device {kind}")
    # A player's turn leaves the others' parameters without gradient.
    strategy = DDPStrategy(find_unused_parameters=players > 1) if several else None
    fabric = Fabric(
        accelerator=kind,
        devices=[int(index)] if index else devices,
        num_nodes=nodes,
        strategy=strategy or "auto",
        precision="bf16-mixed" if precision == "bfloat16" else "32-true",
    )
    # Fabric's own environment stands for none; in it the other machines would be waited for without end.
    if nodes > 1 and strategy and isinstance(strategy.cluster_environment, LightningEnvironment):
        told = f"--nodes is {nodes}, but this is no job of Slurm, LSF or torchrun"
        raise RecipeError(f"{told}; start the command by one of them on each machine, or leave out --nodes")
    fabric.launch()
    return fabric
