"""Training a method on the training split of a made data set, stage by stage, on Lightning Fabric."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blurbench import device as devices_
from blurbench import weights
from blurbench.errors import RecipeError, warn
from blurbench.lock import held
from blurbench.run.record import command_line, pairs
from blurbench.store.disk import telling
from blurbench.train.budget import Budget
from blurbench.train.checkpoint import Place, resumable
from blurbench.train.leave import check_load, leave
from blurbench.train.plan import Plan, planned
from blurbench.train.run import Run
from blurbench.train.validate import validated_by

Progress = Callable[[float, int, float, int], None]
"""Called after each step with the share of the stage's budget spent, the step, the smoothed loss, and the crops of the step."""


@dataclass(frozen=True)
class Trained:
    """What a training run left: the weights file, the steps of its stages together, their seconds, the last stage's best validation (NaN
    where none was made), whether Ctrl-C ended it before its time, and what the validation is, in words.
    """

    weights: Path
    steps: int
    seconds: float
    validation: float
    stopped: bool = False
    validated_by: str = ""


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
    recipe: Path | str | None = None,
    options: Mapping[str, str] | None = None,
    half: bool = True,
    workers: int = 1,
    save_seconds: float = 300.0,
    begin: Callable[[int | None], None] = lambda crops: None,
    progress: Progress = lambda spent, step, loss, crops: None,
    note: Callable[[str], None] = warn,
) -> Trained:
    """Train a method's stages, or one, and write its weights as safetensors (half precision unless `half` is False) with their history.

    The folder `<out>.training` beside it holds the state (written every `save_seconds`, at each validation and at the end of a stage), the
    best weights by validation, those of each finished stage where there are several, and the loss curves. resume: go on from that state; on
    a CPU what comes out is bit for bit what an undisturbed run gives, but for a budget in minutes. budget: steps or minutes for all stages
    together, in proportion to the recipe's. devices, nodes: how many a machine, and how many machines. precision: float32 or bfloat16
    (autocast). size: paper, or small. start: weights to begin with. recipe: one in place of the method's, a TOML file or a name in
    `baselines/training`. options: of the method, those that its training declares. Ctrl-C ends the training early, after the step and
    validation under way, and keeps what was learned; a second one stops at once and leaves the state that was saved last.
    begin: called before the first step with the crops still to come, None where the budget is in minutes. note: called with remarks. Of
    several devices the first alone calls these and `progress`.
    Raises RecipeError for a method without training, for a resume with other settings, for batches that cannot be shared, for several
    nodes outside a job and for a validation by a column that the method does not fill, WeightsError for `start`, and for an `out` that
    names no safetensors file, DataSetError for a data set without a training split or crops larger than its pictures, and for an `out` that
    cannot be written or that another training is writing, and Diverged when a loss or gradient is no longer finite.
    """
    weights.require_name(Path(out))
    plan = planned(method, dataset, stage, budget, seed, precision, size, start, options or {}, recipe)
    plan.check_machine(devices * nodes, devices * workers)
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
        recipe=recipe,
        option=pairs(options),
    )
    place = Place(Path(out), resume, save_seconds, workers, command, half)
    place.check(plan.settings())
    network = plan.network()  # here, for weights that do not fit are to be told before anything is launched
    plan.check_rates(network)
    check_load(plan, network, half)
    with _alone(place):
        fabric = launch(device, devices, nodes, precision, max(len(plan.training.stages[name].players) for name in plan.stages))
        if fabric.global_rank:
            begin = progress = note = _silent
        for remark in (*place.remarks(plan.cls), *plan.remarks()):
            note(remark)
        budgets = Budget.parse(budget).share([plan.recipe.stages[name] for name in plan.stages])
        with resumable():
            run = Run(plan, place, fabric, network, progress, note)
            begin(_crops_left(plan, budgets, place.card()))
            run.all(budgets)
            if fabric.global_rank == 0:
                leave(run, Path(out))
        fabric.barrier()
    return Trained(Path(out), run.done, run.seconds, run.best, run.stopped, validated_by(plan.recipe.stages[run.stage]))


@contextmanager
def _alone(place: Place) -> Iterator[None]:
    """The folder of a training run, and its lock, which the first of its processes takes for all of them.

    Raises DataSetError where another run has it, and where it cannot be made. A run that wrote nothing leaves nothing.
    """
    from lightning_fabric.utilities.rank_zero import rank_zero_only

    if getattr(rank_zero_only, "rank", 0):
        yield
        return
    with telling(place.folder):
        place.folder.mkdir(parents=True, exist_ok=True)
    try:
        with held(place.lock, f"another training is writing {place.folder}; wait for it, or give another --out"):
            yield
    finally:
        with suppress(OSError):  # it holds something
            place.folder.rmdir()


def _silent(*_: object) -> None:
    """What the devices beside the first have to say."""


def _crops_left(plan: Plan, budgets: Sequence[Budget], card: Mapping[str, Any] | None) -> int | None:
    """The crops from the state of this card, or from the beginning, to the end; None where nobody knows how many steps that is."""
    at = plan.stages.index(card["stage"]) if card else 0
    crops = -card["step"] * plan.recipe.stages[card["stage"]].batch if card else 0
    for name, budget in zip(plan.stages[at:], budgets[at:], strict=True):
        if budget.steps is None:
            return None
        crops += budget.steps * plan.recipe.stages[name].batch
    return crops


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
    with _fitting(devices, nodes):
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
    with _fitting(devices, nodes):
        fabric.launch()
    return fabric


@contextmanager
def _fitting(devices: int, nodes: int) -> Iterator[None]:
    """Raises RecipeError in the place of Lightning's own errors about a job of Slurm of another shape."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        if "SLURM_NTASKS" not in os.environ:
            raise
        told = f"--devices {devices} --nodes {nodes} does not fit this job of Slurm ({str(error).splitlines()[0].strip()[:200]})"
        raise RecipeError(
            f"{told}; ask Slurm for --nodes={nodes} --ntasks-per-node={devices}, not for --ntasks, and start by srun"
        ) from error
