"""The weights files that a training leaves, each with a card of how it came about."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import blurbench
from blurbench import weights
from blurbench.synth.plan import command_for
from blurbench.train import checkpoint

if TYPE_CHECKING:
    from blurbench.train.run import Run


def leave(run: Run, path: Path) -> None:
    """Write the best weights of the stage under way, or, where none were validated, the last ones. Raises DataSetError."""
    best, half = run.place.best, run.place.half
    state = weights.read(best) if best.is_file() else run.exported()
    tensors = {key: value.half() if half and value.is_floating_point() else value for key, value in state.items()}
    checkpoint.put(path, weights.packed(tensors, _card(run)))


def _card(run: Run) -> dict[str, Any]:
    """What a weights file says of its training."""
    plan, device = run.plan, run.fabric.device.type
    stages = [plan.recipe.stages[name] for name in plan.stages]
    return {
        "command": run.place.command,
        "method": plan.cls.card.id,
        "stage": run.stage,
        "dataset": plan.data.manifest.label,
        **({"data": command} if (command := command_for(plan.data, "train")) else {}),
        "fingerprint": plan.data.manifest.fingerprint("train"),
        "recipe": f"{plan.recipe.path.name}: {plan.recipe.source}",
        # Nobody else may have a recipe of one's own.
        **({"numbers": {schedule.name: asdict(schedule) for schedule in stages}} if plan.recipe.own else {}),
        **({"start": weights.identity(plan.start)} if plan.start else {}),
        "network": plan.recipe.network,
        "options": dict(plan.options),
        # Switches of substitutes are among them, as `vgg19 = 0`.
        "settings": {schedule.name: schedule.settings for schedule in stages if schedule.settings},
        "steps": str(run.done),
        "minutes": f"{run.seconds / 60:.1f}",
        "seed": str(plan.seed),
        "precision": plan.precision,
        "size": plan.size,
        "validation": f"{run.best:.6f}",
        "validated_by": run.validated_by,
        "machine": f"{run.fabric.world_size} x {torch.cuda.get_device_name() if device == 'cuda' else device}, "
        f"{torch.get_num_threads()} threads",
        "blurbench": blurbench.__version__,
        "torch": torch.__version__,
    }
