"""Training a method on the training split of a made data set, stage by stage, on Lightning Fabric."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

import blurbench
from blurbench import device as devices_
from blurbench import weights
from blurbench.errors import DataSetError, RecipeError, UnknownNameError, WeightsError
from blurbench.methods import Method, method_class
from blurbench.run.record import command_line, pairs
from blurbench.store.reader import MadeDataSet, open_dataset
from blurbench.train import checkpoint, recipe
from blurbench.train.budget import Budget
from blurbench.train.checkpoint import Place
from blurbench.train.feed import split_videos
from blurbench.train.recipe import Recipe, Schedule, Training
from blurbench.train.run import Run

Progress = Callable[[float, int, float, int], None]
"""Called after each step with the share of the stage's budget spent, the step, the smoothed loss, and the crops of the step."""


@dataclass(frozen=True)
class Trained:
    """What a training run left: the weights file, the steps of its stages together, their seconds, and the last stage's best validation."""

    weights: Path
    steps: int
    seconds: float
    validation: float


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

    def network(self) -> torch.nn.Module:
        """A new network, from the seed, or the weights to start from. Raises WeightsError."""
        torch.manual_seed(self.seed)
        network = self.training.network(**self.recipe.network, **self.options)
        if self.start is not None:
            given = {key: value.float() for key, value in weights.read(self.start).items()}
            own = network.state_dict()
            # A file has each tensor once; the network may have it under several names.
            there = {own[key].data_ptr() for key in given if key in own}
            twins = {key: value for key, value in own.items() if key not in given and value.data_ptr() in there}
            needed = tuple(f"{part}." for part in self.training.given) or ("",)
            absent = {key: value for key, value in own.items() if key not in given and not key.startswith(needed)}
            weights.fit(network, {**absent, **twins, **given}, self.start)
            network.load_state_dict(given, strict=False)
        return network


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
    plan = _plan(method, dataset, stage, budget, seed, precision, size, start, options or {})
    place = Place(Path(out), resume, save_seconds, workers)
    place.check(plan.settings())
    if resume and not place.state.is_file():
        note(f"{place.folder} holds no training run to go on with: this one begins anew")
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
    return Trained(Path(out), steps, seconds, validation)


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


def _plan(
    method: str,
    dataset: str | Path,
    stage: str | None,
    budget: str | None,
    seed: int,
    precision: str,
    size: str,
    start: Path | str | None,
    options: Mapping[str, str],
) -> Plan:
    cls = method_class(method)
    training = cls.training
    if not isinstance(training, Training):
        raise RecipeError(f"method {method!r} has nothing to train; expected one with `training`, see docs/training.md")
    _check_options(cls, training, options)
    if precision not in ("float32", "bfloat16"):
        raise RecipeError(f"--precision is {precision!r}, expected float32 or bfloat16")
    rules = recipe.find(training, size)
    stages = list(training.stages)
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
    if start is not None and not Path(start).is_file():
        raise WeightsError(f"--start {start} does not exist, expected a weights file; check the path")
    Budget.parse(budget)
    data = open_dataset(dataset)
    split_videos(data)
    chosen: Sequence[str] = stages if stage is None else [stage]
    _check_crops(data, [rules.stages[name] for name in chosen])
    return Plan(method, cls, training, rules, data, tuple(chosen), budget, seed, precision, size, Path(start) if start else None, options)


def _check_crops(data: MadeDataSet, schedules: Sequence[Schedule]) -> None:
    """Raises DataSetError for pictures smaller than a crop; by those of the first video, before anything is begun."""
    height, width = data.shards("train")[0].file["blurry"].shape[1:3]
    for schedule in schedules:
        if schedule.crop > min(height, width):
            raise DataSetError(
                f"stage {schedule.name!r} learns from crops of {schedule.crop}, but the pictures of {data.folder} are {width}x{height}; "
                "make it with larger ones (built-in footage: --size)"
            )


def _check_options(cls: type[Method], training: Training, options: Mapping[str, str]) -> None:
    """Raises RecipeError for any where training takes none, UnknownNameError for another option or value."""
    if options and not training.options:
        raise RecipeError(f"training {cls.card.id} takes no options, but --option {pairs(options)[0]} was given; leave it out")
    for key, value in options.items():
        if key not in training.options:
            raise UnknownNameError("option", key, training.options, f"training {cls.card.id}")
        if value not in training.options[key]:
            raise UnknownNameError(key, value, training.options[key], f"training {cls.card.id}")
