"""`blurbench pack`."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from blurbench.cli._terminal import progress, say


@click.command()
@click.argument("dataset")
@click.argument("out", metavar="OUT.h5", type=click.Path())
def pack(dataset: str, out: str) -> None:
    """Put a made data set into one file, OUT.h5, which every command takes in place of its folder.

    DATASET is a name (below ./data or $BLURBENCH_DATA) or a folder. It stays as it is. Nothing is compressed again.
    """
    from rich.filesize import decimal

    from blurbench.store.pack import pack as write
    from blurbench.store.reader import open_dataset

    data = open_dataset(dataset)
    total = sum(map(data.count, data.manifest.splits))
    with progress(f"packing {data.folder}", total, "samples") as advance:
        write(data, Path(out), advance)
    say(f"wrote {out}: {total} samples, {decimal(Path(out).stat().st_size)}; next: blurbench inspect {shlex.quote(out)}")
