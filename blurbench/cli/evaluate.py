"""`blurbench evaluate`."""

from __future__ import annotations

from pathlib import Path

import click

from blurbench.cli._options import (
    MethodCommand,
    dataset_option,
    device_option,
    failures_option,
    iterate_option,
    method_option,
    options_option,
    protocol_option,
    runs_option,
    seed_option,
    split_option,
    weights_option,
)


@click.command(cls=MethodCommand)
@method_option
@dataset_option
@weights_option
@options_option
@iterate_option
@split_option
@protocol_option
@runs_option
@device_option
@seed_option
@click.option("--predictions", type=click.Path(), help="Keep the predictions in this folder, for `blurbench score` or another protocol.")
@click.option("--workers", type=click.IntRange(min=0), help="Threads that score while the method predicts (0 on a CPU, else 2).")
@failures_option
def evaluate(
    method: str,
    dataset: str,
    weights: str | None,
    options: dict[str, str],
    split: str,
    protocol: tuple[str, ...],
    out: str,
    device: str,
    seed: int,
    predictions: str | None,
    workers: int | None,
    allow_failures: bool,
) -> None:
    """Run a method on a made data set and score it under one or more protocols. A stopped run goes on where it was."""
    from blurbench.cli._show import run_evaluate, show_record
    from blurbench.run.predictions import require_place

    if predictions is not None:
        require_place(Path(predictions), "give another --predictions")
    records = run_evaluate(
        method,
        dataset,
        weights=weights,
        options=options,
        split=split,
        protocol=protocol,
        out=out,
        device=device,
        seed=seed,
        predictions=predictions,
        workers=workers,
        allow_failures=allow_failures,
    )
    for record in records:
        show_record(record, out)
