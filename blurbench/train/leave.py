"""The weights files that a training leaves, each with a card of how it came about."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import blurbench
from blurbench import methods, weights
from blurbench.errors import BlurbenchError, RecipeError
from blurbench.synth.plan import command_for
from blurbench.train import checkpoint

if TYPE_CHECKING:
    from blurbench.train.plan import Plan
    from blurbench.train.run import Run


def leave(run: Run, path: Path) -> None:
    """Write the best weights of the stage under way, or, where none were validated, the last ones. Raises DataSetError."""
    best = run.place.best
    state = weights.read(best) if best.is_file() else run.exported()
    checkpoint.put(path, weights.packed(_halved(state, run.place.half), _card(run)))


def check_load(plan: Plan, network: torch.nn.Module, half: bool) -> None:
    """Load what such a training leaves once, before it begins, for no validation by the loss would. network: that of the plan.

    Raises RecipeError where the method's `load` refuses its file; what else it raises keeps its type and traceback, with a note.
    """
    options = methods.of_load(plan.cls, plan.options)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{plan.cls.card.id}.safetensors"
        state = _halved(plan.training.exported(network), half)
        path.write_bytes(weights.packed(state, {**plan.about(), "stage": plan.stages[-1]}))
        try:
            methods.load_method(plan.method, path, "cpu", options)
        except BlurbenchError as error:
            mine = plan.recipe.network
            made = f"made by [network] {mine}" if mine else "that its `training` makes"
            told = f"{plan.recipe.path}: load of {plan.cls.card.id} does not take the network {made}"
            mend = 'build it there by `weights.card(path)["network"]`' + (", or mend [network]" if mine else " and `options`")
            raise RecipeError(f"{told} ({str(error).replace(f'{folder}/', '')}); {mend}") from error
        except Exception as error:
            error.add_note(f"load of {plan.cls.card.id} raised this on weights that its training would leave")
            raise


def _halved(state: Mapping[str, torch.Tensor], half: bool) -> dict[str, torch.Tensor]:
    """Tensors in the precision of the weights file."""
    return {key: value.half() if half and value.is_floating_point() else value for key, value in state.items()}


def _card(run: Run) -> dict[str, Any]:
    """What a weights file says of its training."""
    plan, device = run.plan, run.fabric.device.type
    stages = [plan.recipe.stages[name] for name in plan.stages]
    return {
        **plan.about(),
        "command": run.place.command,
        "stage": run.stage,
        "dataset": plan.data.manifest.label,
        **({"data": command} if (command := command_for(plan.data, "train")) else {}),
        "fingerprint": plan.data.manifest.fingerprint("train"),
        "recipe": f"{plan.recipe.path.name}: {plan.recipe.source}",
        # Nobody else may have a recipe of one's own.
        **({"numbers": {schedule.name: asdict(schedule) for schedule in stages}} if plan.recipe.own else {}),
        **({"start": weights.identity(plan.start)} if plan.start else {}),
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
