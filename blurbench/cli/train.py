"""`blurbench train`."""

from __future__ import annotations

import click

from blurbench.cli._options import MethodCommand, dataset_option, device_option, method_option, options_option, seed_option
from blurbench.cli._terminal import progress, say


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
    options: dict[str, str],
    device: str,
    seed: int,
) -> None:
    """Train a method on the training split of a made data set.

    Ctrl-C ends the training after the step under way and keeps what was learned, a second one stops at once; --resume goes on from there,
    or from a crash.
    """
    from blurbench.methods import method_class, of_load
    from blurbench.run.record import command_line, pairs
    from blurbench.train.trainer import train as run

    done = -1
    with progress(f"training {method}", None, "samples") as advance:

        def tell(spent: float, step: int, loss: float, crops: int) -> None:
            nonlocal done
            advance(crops)
            if int(spent * 20) != done:
                done = int(spent * 20)
                say(f"{5 * done:3d} % of the stage, step {step}: loss {loss:.4f}")

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
            options=options,
            workers=workers,
            save_seconds=60 * save_every,
            progress=tell,
            note=say,
        )
    say(f"{result.steps} steps in {result.seconds / 60:.1f} minutes, best validation {result.validation:.4f}; wrote {result.weights}")
    if result.stopped:
        say("stopped before the end: the same command with --resume goes on")
        click.get_current_context().exit(130)
    chosen = pairs(of_load(method_class(method), options))
    say(f"next: {command_line('evaluate', method=method, option=chosen, weights=result.weights, dataset=dataset)}")
