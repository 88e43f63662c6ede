"""`blurbench score`."""

from __future__ import annotations

import os

import click

from blurbench.cli._options import dataset_option, failures_option, protocol_option, runs_option, split_option
from blurbench.cli._terminal import say


@click.command()
@click.argument("predictions", type=click.Path())
@dataset_option
@split_option
@protocol_option
@runs_option
@click.option("--name", help="The method's name on the leaderboard, for folders of plain pictures. Default: the folder's.")
@click.option("--workers", type=click.IntRange(min=1), default=os.cpu_count(), show_default="all cores", help="Processes.")
@failures_option
def score(
    predictions: str,
    dataset: str,
    split: str,
    protocol: tuple[str, ...],
    out: str,
    name: str | None,
    workers: int,
    allow_failures: bool,
) -> None:
    """Score predictions that are on disk; neither the method nor a GPU is needed.

    PREDICTIONS: what `blurbench predict --dataset` or `evaluate --predictions` wrote, or a folder of pictures
    VIDEO/SAMPLE/FRAME.png (or VIDEO/SAMPLE/DRAW/FRAME.png), named as the samples are.
    """
    from blurbench.cli._show import counting, show_record
    from blurbench.run.score import score as run

    with counting("scoring", dataset, split) as tell:
        records = run(
            predictions,
            dataset,
            split=split,
            protocol=protocol,
            out=out,
            name=name,
            workers=workers,
            allow_failures=allow_failures,
            progress=tell,
            note=say,
        )
    for record in records:
        show_record(record, out)
