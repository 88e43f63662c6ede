"""`blurbench train`."""

from __future__ import annotations

import click

from blurbench.cli._terminal import dataset_option, device_option, method_option, progress, say, seed_option


@click.command()
@method_option
@dataset_option
@click.option("--out", type=click.Path(), help="Weights file to write.  [default: <method>.safetensors]")
@click.option("--budget", default="4000", show_default=True, help="Steps (4000), minutes (25m) or hours (2h).")
@click.option("--precision", default="float32", show_default=True, help="float32, or bfloat16 where the hardware has it.")
@click.option("--start", type=click.Path(), help="Weights to go on from, with half the learning rate.")
@device_option
@seed_option
def train(method: str, dataset: str, out: str | None, budget: str, precision: str, start: str | None, device: str, seed: int) -> None:
    """Train a method on the training split of a made data set.

    Ctrl-C ends the training early and keeps what was learned.
    """
    from blurbench.train.trainer import train as run

    done = 0
    with progress(f"training {method}", 1000, "‰") as advance:

        def tell(spent: float, step: int, loss: float) -> None:
            nonlocal done
            permille = int(spent * 1000)
            advance(permille - done)
            if permille // 50 > done // 50:
                say(f"step {step}: loss {loss:.4f}")
            done = permille

        result = run(
            method,
            dataset,
            out or f"{method}.safetensors",
            budget=budget,
            seed=seed,
            device=device,
            precision=precision,
            start=start,
            progress=tell,
        )
    say(f"{result.steps} steps in {result.seconds / 60:.1f} minutes, validation loss {result.validation:.4f}; wrote {result.weights}")
    say(f"next: blurbench evaluate --method {method} --weights {result.weights} --dataset {dataset}")
