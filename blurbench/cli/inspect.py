"""`blurbench inspect`."""

from __future__ import annotations

from pathlib import Path

import click

from blurbench.cli._terminal import say, table


@click.command()
@click.argument("dataset")
@click.option("--sheet", type=click.Path(), help="Where to write the contact sheet.  [default: <dataset>/contact-sheet.png]")
def inspect(dataset: str, sheet: str | None) -> None:
    """Show what a made data set holds, where it comes from, and a contact sheet of it."""
    from itertools import islice

    from blurbench.report.figures import contact_sheet
    from blurbench.store.reader import open_dataset
    from blurbench.video.images import write_rgb

    data = open_dataset(dataset)
    manifest = data.manifest
    click.echo(f"{manifest.label} version {manifest.version}: {manifest.title}")
    footage = "built-in rendered footage" if manifest.footage == "rendered" else "video"
    click.echo(f"made by blurbench {manifest.blurbench} from {footage}, transfer {manifest.transfer}")
    rows = []
    for split, entries in manifest.splits.items():
        frames, unused = sum(e.frames for e in entries), sum(e.unused for e in entries)
        rows.append([split, len(entries), sum(e.samples for e in entries), frames, unused, manifest.fingerprint(split)[:12]])
    table(["split", "videos", "samples", "source frames", "in no window", "fingerprint"], rows)
    split = "test" if "test" in manifest.splits else next(iter(manifest.splits))
    shards = data.shards(split)
    click.echo(f"first shard, {shards[0].path.relative_to(data.folder)}:")
    for name, array in shards[0].file.items():
        click.echo(f"  {name:9s} {array.shape!s:24s} {array.dtype}")
    for part, facts in shards[0].provenance.items():
        click.echo(f"  {part}: " + ", ".join(f"{key} {value}" for key, value in facts.items()))
    path = Path(sheet) if sheet else data.folder / "contact-sheet.png"
    write_rgb(path, contact_sheet([shard.sample(0) for shard in islice(shards, 8)]))
    say(f"wrote {path}")
