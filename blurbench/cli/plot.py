"""`blurbench plot`."""

from __future__ import annotations

from pathlib import Path

import click

from blurbench.cli._options import out_option, refuse, require_records_folder
from blurbench.cli._terminal import say

_OF = {"reference": ("forest",), "dataset": ("blur-size", "best-of", "residual"), "predictions": ("best-of", "residual")}
"""The kinds of figure that an option is for, where it is not for all."""


@click.command()
@click.argument("kind")
@click.option("--runs", default="runs", show_default=True, type=click.Path(path_type=Path), help="Folder of run records.")
@out_option("plots", "Folder for the figures, each as .png and .svg.")
@click.option("--protocol", help="Only boards of this protocol.")
@click.option("--column", help="Of the protocol.  [default: the one that ranks]")
@click.option("--reference", help="forest: the method that the others are compared with.  [default: the best that is not trivial]")
@click.option("--dataset", help="blur-size, best-of, residual: the made data set.")
@click.option(
    "--predictions", multiple=True, type=click.Path(path_type=Path), help="best-of, residual: a folder of predictions; several times."
)
def plot(
    kind: str,
    runs: Path,
    out: Path,
    protocol: str | None,
    column: str | None,
    reference: str | None,
    dataset: str | None,
    predictions: tuple[Path, ...],
) -> None:
    """Draw a figure of every board that has the numbers for it, as PNG and SVG.

    \b
    KIND is one of
    seconds      quality against seconds a sample, with the Pareto front
    parameters   quality against the size of the network, with the Pareto front
    ladder       what a freer choice of direction gains (protocol blurbench-motion)
    forest       paired differences to a reference method, with intervals
    blur-size    quality against how blurred a sample is (--dataset)
    best-of      what the best of several draws scores (--dataset, --predictions)
    residual     how much a method changes over how blurred a sample is (--dataset, --predictions)
    """
    from blurbench.report.plots_files import KINDS
    from blurbench.report.plots_files import plot as draw

    if kind in KINDS:
        for name, kinds in _OF.items():
            if kind not in kinds:
                refuse(f"is for a figure of {' or '.join(kinds)}, not of {kind}; leave it out", name)
        require_records_folder(runs)
    for path in draw(
        kind, runs, out, protocol=protocol, column=column, reference=reference, dataset=dataset, predictions=predictions, tell=say
    ):
        say(f"wrote {path}")
