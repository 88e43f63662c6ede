"""`blurbench view`."""

from __future__ import annotations

from pathlib import Path

import click

from blurbench.cli._options import out_option
from blurbench.cli._terminal import say


@click.command()
@click.argument("dataset")
@click.argument("sample")
@click.option("--predictions", multiple=True, type=click.Path(path_type=Path), help="A folder of stored predictions; several times.")
@click.option("--split", help="Split of the sample, where several have its id.")
@out_option("views", "Folder for what is written.")
@click.option("--format", default="webp", show_default=True, help="webp (every pixel exact), mp4 (small) or gif (256 colours).")
@click.option("--fps", default=6.0, show_default=True, help="Frames shown a second.")
def view(dataset: str, sample: str, predictions: tuple[Path, ...], split: str | None, out: Path, format: str, fps: float) -> None:
    """Look at a SAMPLE (its id, as VIDEO/00000) of a made DATASET: a contact sheet, and an animation with the methods side by side.

    Predictions are shown in the direction of time in which they come nearer to the truth; the labels say where they were reversed.
    """
    from blurbench.report.view import view as run

    for path in run(dataset, sample, predictions, out, split=split, format=format, fps=fps):
        say(f"wrote {path}")
