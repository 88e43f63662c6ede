"""`blurbench convert-weights`."""

from __future__ import annotations

from pathlib import Path

import click

from blurbench.cli._options import options_option
from blurbench.cli._terminal import say


@click.command()
@click.argument("method")
@click.argument("files", nargs=-1, required=True, type=click.Path())
@options_option
@click.option("--out", type=click.Path(), help="File to write, .safetensors. Default: where the method finds it (`blurbench ls weights`).")
@click.option("--source", default="", help="Where the files are from, for the card. Default: where the official ones are.")
@click.option("--licence", default="", help="Their licence, for the card. Default: that of the official ones.")
@click.option("--training-data", default="", help="What they were trained on, for the card. Default: that of the official ones.")
@click.option("--trust-pickle", is_flag=True, help="Open pickles that hold more than tensors. THEY CAN RUN ANY CODE: see docs/weights.md.")
def convert_weights(
    method: str,
    files: tuple[str, ...],
    options: dict[str, str],
    out: str | None,
    source: str,
    licence: str,
    training_data: str,
    trust_pickle: bool,
) -> None:
    """Turn official weights (FILES: one, several, or a folder of them) into one safetensors file with a card inside.

    The method finds that file from then on, without --weights. `blurbench ls weights -v` says which files each method takes.
    """
    from blurbench.convert import convert

    written = convert(
        method,
        [Path(file) for file in files],
        out,
        options=options,
        source=source,
        licence=licence,
        training_data=training_data,
        trust_pickle=trust_pickle,
        say=lambda text: say(click.style(text, fg="red", bold=True)),
    )
    click.echo(written)
