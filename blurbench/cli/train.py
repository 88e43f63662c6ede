"""`blurbench train`."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack

import click

from blurbench.cli._options import MethodCommand, dataset_option, device_option, method_option, options_option, seed_option
from blurbench.cli._terminal import LINE_EVERY, progress, say


class _Lines:
    """What is told on the way: a line at each twentieth of a stage, and where no terminal shows a bar one a minute."""

    def __init__(self, crops: int | None, bar: bool, advance: Callable[[int], None]) -> None:
        """crops: those to come, None where nobody knows."""
        self.crops, self.bar, self.advance = crops, bar, advance
        self.began = self.told = time.monotonic()
        self.done, self.before, self.twentieth = 0, 0, -1

    def __call__(self, spent: float, step: int, loss: float, crops: int) -> None:
        """As `blurbench.train.trainer.Progress` says."""
        self.advance(crops)
        self.done += crops
        now = time.monotonic()
        if int(spent * 20) == self.twentieth and (self.bar or now - self.told < LINE_EVERY):
            return
        speed = (self.done - self.before) / max(now - self.told, 1e-9)
        left = f", {(now - self.began) / self.done * (self.crops - self.done) / 60:.0f} min left" if self.crops else ""
        # A budget in minutes ends a little behind its time.
        say(
            f"{min(100, int(100 * spent)):3d} % of the stage, step {step}: loss {loss:.4f}"
            + ("" if self.bar else f", {speed:.1f} samples/s{left}")
        )
        self.told, self.before, self.twentieth = now, self.done, int(spent * 20)


@click.command(cls=MethodCommand)
@method_option
@dataset_option
@click.option("--out", type=click.Path(), help="Weights file to write.  [default: <method>.safetensors]")
@click.option("--stage", help="Only this stage of the recipe.  [default: all, in order]")
@click.option("--budget", help="Steps (4000), minutes (25m) or hours (2h) for all stages together.  [default: those of the recipe]")
@click.option("--resume", is_flag=True, help="Go on with the training whose state lies in <out>.training.")
@click.option("--size", type=click.Choice(["paper", "small"]), default="paper", show_default=True, help="Width of the network.")
@click.option("--precision", default="float32", show_default=True, help="float32, or bfloat16 where the hardware has it.")
@click.option(
    "--devices", type=click.IntRange(min=1), default=1, show_default=True, help="How many of this machine; they share each batch."
)
@click.option("--nodes", type=click.IntRange(min=1), default=1, show_default=True, help="Machines, of a job of Slurm, LSF or torchrun.")
@click.option("--workers", type=click.IntRange(min=0), default=1, show_default=True, help="Processes that read crops, for each device.")
@click.option("--save-every", type=click.FloatRange(min=0), default=5.0, show_default=True, help="Minutes between saved states.")
@click.option("--start", type=click.Path(), help="Weights to begin with.")
@click.option("--recipe", help="A recipe in place of the method's: a TOML file, or a name of docs/training.md.")
@options_option
@device_option
@seed_option
def train(
    method: str,
    dataset: str,
    out: str | None,
    stage: str | None,
    budget: str | None,
    resume: bool,
    size: str,
    precision: str,
    devices: int,
    nodes: int,
    workers: int,
    save_every: float,
    start: str | None,
    recipe: str | None,
    options: dict[str, str],
    device: str,
    seed: int,
) -> None:
    """Train a method on the training split of a made data set.

    Ctrl-C ends the training after the step under way and keeps what was learned, a second one stops at once; --resume goes on from there,
    or from a crash.
    """
    from blurbench.errors import counted
    from blurbench.methods import method_class, of_load
    from blurbench.run.record import command_line, pairs
    from blurbench.train.trainer import train as run
    from blurbench.train.turns import Diverged

    bars = ExitStack()
    lines: list[_Lines] = []  # none where this process is another than the first of several devices: that alone tells

    def begin(crops: int | None) -> None:
        bar = sys.stderr.isatty()
        lines.append(_Lines(crops, bar, bars.enter_context(progress(f"training {method}", crops if bar else None, "samples"))))

    context = click.get_current_context()
    try:
        result = run(
            method,
            dataset,
            out or f"{method_class(method).card.id}.safetensors",
            stage=stage,
            budget=budget,
            resume=resume,
            seed=seed,
            device=device,
            devices=devices,
            nodes=nodes,
            precision=precision,
            size=size,
            start=start,
            recipe=recipe,
            options=options,
            workers=workers,
            save_seconds=60 * save_every,
            begin=begin,
            progress=lambda *step: lines[0](*step),
            note=say,
        )
    except Diverged:  # which all devices find
        if lines:
            raise
        context.exit(2)
    except KeyboardInterrupt:
        if lines:
            say("stopped at once: the same command with --resume goes on from the state saved last")
        context.exit(130)
    finally:
        bars.close()
    if lines:
        best = "no validation yet" if math.isnan(result.validation) else f"best validation {result.validation:.4f} ({result.validated_by})"
        say(f"{counted(result.steps, 'step')} in {result.seconds / 60:.1f} minutes, {best}; wrote {result.weights}")
        chosen = pairs(of_load(method_class(method), options))
        more = f"next: {command_line('evaluate', method=method, option=chosen, weights=result.weights, dataset=dataset)}"
        say("stopped before the end: the same command with --resume goes on" if result.stopped else more)
    if result.stopped:
        context.exit(130)
