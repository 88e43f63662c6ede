"""`blurbench evaluate`."""

from __future__ import annotations

import click

from blurbench.cli._terminal import dataset_option, device_option, method_option, seed_option, weights_option


@click.command()
@method_option
@dataset_option
@weights_option
@click.option("--split", default="test", show_default=True)
@click.option("--protocol", default="blurbench-1", show_default=True, help="How predictions are scored; see `blurbench ls protocols -v`.")
@click.option("--out", default="runs", show_default=True, type=click.Path(), help="Folder for the run record and the per-sample scores.")
@device_option
@seed_option
def evaluate(method: str, dataset: str, weights: str | None, split: str, protocol: str, out: str, device: str, seed: int) -> None:
    """Run a method on a made data set and score it under a protocol."""
    from blurbench.cli._show import run_evaluate, show_record

    show_record(run_evaluate(method, dataset, weights=weights, split=split, protocol=protocol, out=out, device=device, seed=seed), out)
