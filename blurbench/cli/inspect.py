"""`blurbench inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from blurbench.cli._options import writable_folder
from blurbench.cli._terminal import progress, say, table
from blurbench.errors import counted

if TYPE_CHECKING:
    from blurbench.report.blur import Blur
    from blurbench.store.reader import MadeDataSet
    from blurbench.types import U8

_ROWS, _MOVING = 8, 4  # samples on the contact sheet, and in the moving preview


@click.command()
@click.argument("dataset")
@click.option("--out", type=click.Path(), help="Folder for the pictures.  [default: that of the data set; <name>-pictures if it is packed]")
@click.option("--split", help="Split shown in the pictures, or listed.  [default: test]")
@click.option("--samples", default=100, show_default=True, type=click.IntRange(1), help="How many of a split to measure the blur of.")
@click.option("--ids", is_flag=True, help="Print the ids of the split's samples, one a line, and do nothing else.")
def inspect(dataset: str, out: str | None, split: str | None, samples: int, ids: bool) -> None:
    """Show what a made data set holds, where it comes from and how blurred it is, in text and in pictures.

    \b
    contact-sheet.png   samples with their first, middle and last target
    blur-size.png       how many samples are how blurred
    preview.png         blurry beside sharp, moving (APNG: open it in a browser)
    """
    from blurbench.errors import UnknownNameError
    from blurbench.store.reader import open_dataset

    data = open_dataset(dataset)
    if split and split not in data.manifest.splits:
        raise UnknownNameError("split", split, data.manifest.splits, dataset)
    chosen = split or ("test" if "test" in data.manifest.splits else next(iter(data.manifest.splits)))
    if ids:
        click.echo("\n".join(data.ids(chosen)))
        return
    folder = Path(out) if out else data.folder.with_name(f"{data.folder.stem}-pictures") if data.packed else data.folder
    writable_folder(folder)
    _counts(data)
    _first_shard(data, chosen)
    charts = [chart for name in data.manifest.splits for chart in _blur_sizes(data, name, samples)]
    _ghosts(data)
    _pictures(data, chosen, folder, charts)


def _counts(data: MadeDataSet) -> None:
    manifest = data.manifest
    click.echo(f"{manifest.label} version {manifest.version}: {manifest.title}")
    footage = {"rendered": "built-in rendered footage", "released": "the pictures of a release"}.get(manifest.footage, manifest.footage)
    click.echo(f"made by blurbench {manifest.blurbench} from {footage}, transfer {manifest.transfer}")
    if manifest.unfinished:
        counts = " and ".join(f"{len(videos)} videos of {split}" for split, videos in manifest.unfinished.items())
        first = next(iter(manifest.unfinished.values()))[0]
        click.echo(f"unfinished: {counts} are planned and not made yet (first: {first}); repeat the command that made it, it goes on")
    rows = []
    for split, entries in manifest.splits.items():
        frames, unused = sum(e.frames for e in entries), sum(e.unused for e in entries)
        left_out = sum(sum(e.left_out.values()) for e in entries)
        rows.append([split, len(entries), sum(e.samples for e in entries), frames, unused, left_out, manifest.fingerprint(split)[:12]])
    table(["split", "videos", "samples", "source frames", "in no window", "left out", "fingerprint"], rows)


def _first_shard(data: MadeDataSet, split: str) -> None:
    entry = data.manifest.splits[split][0]
    shard = data.shards(split)[0]
    click.echo(f"first shard, {entry.file}:")
    wide = max(map(len, shard.file))
    for name, array in shard.file.items():
        click.echo(f"  {name:{wide}s} {array.shape!s:24s} {array.dtype}")
    for part, facts in shard.provenance.items():
        click.echo(f"  {part}: " + ", ".join(f"{key} {value}" for key, value in facts.items()))


def _blur_sizes(data: MadeDataSet, split: str, samples: int) -> list[U8]:
    """Tell how blurred a split is; returns the same as a picture, when it is known."""
    from blurbench.report import blur, figures

    picks = blur.picked(data, split, samples)
    with progress(f"measuring the blur of {split}", len(picks), "samples") as advance:
        found = [one for one in blur.measure(picks, advance) if one is not None]
    if not found:
        click.echo(f"blur of {split}: {blur.UNKNOWN}")
        return []
    click.echo(f"blur of {split}, pixels across the exposure, {len(found)} of {data.count(split)} samples: {blur.summary(found)}")
    for line in blur.histogram_lines(found):
        click.echo(line)
    names, *tables = blur.histograms(found)
    heading = f"{split}, {counted(len(found), 'sample')}: pixels moved in the exposure"
    bars = [figures.bars(f"{heading}, {kind}", names, counts) for kind, counts in zip(("median", "largest"), tables, strict=True)]
    return [figures.beside(bars)]


def _ghosts(data: MadeDataSet) -> None:
    from blurbench.report.blur import ghosting

    for split in data.manifest.splits:
        click.echo(f"ghosting of {split}, steps between averaged frames: {ghosting(data, split)}")


def _pictures(data: MadeDataSet, split: str, folder: Path, charts: list[U8]) -> None:
    from blurbench.report import blur, figures
    from blurbench.report.preview import preview, write_animation
    from blurbench.video.images import write_rgb

    picks = blur.picked(data, split, _ROWS)
    shown = [shard.sample(row) for shard, row in picks]
    write_rgb(folder / "contact-sheet.png", figures.contact_sheet(shown, [_note(one) for one in blur.measure(picks)]))
    write_animation(folder / "preview.png", preview(shown[:: -(-len(shown) // _MOVING)]))
    names = ["contact-sheet.png", "preview.png"]
    if charts:
        write_rgb(folder / "blur-size.png", figures.framed(figures.below(charts)))
        names.append("blur-size.png")
    say(f"wrote {', '.join(names)} to {folder}/")


def _note(blur: Blur | None) -> str:
    return "" if blur is None else f"blur: median {blur.median:.1f} px, largest {blur.largest:.1f} px"
