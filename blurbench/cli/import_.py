"""`blurbench import`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import click

from blurbench.cli._options import changes_option
from blurbench.cli._terminal import progress, say
from blurbench.errors import counted
from blurbench.importers.layouts import LAYOUTS

_EPILOG = (
    "Layouts:\n\n\b\n"
    + "\n".join(f"{layout.id:14s} {layout.about}" for layout in LAYOUTS.values())
    + ("\n\nGOPRO_Large_all is footage: `blurbench make-dataset gopro-linear --source GOPRO_Large_all`.")
)


class _DryRunError(Exception):
    """Raised by the plan callback to stop before anything is made."""


@click.command("import", epilog=_EPILOG)
@click.argument("layout")
@click.argument("directory", type=click.Path())
@click.option("--out", type=click.Path(), help="Folder to make it in.  [default: data/<layout>, or $BLURBENCH_DATA/<layout>]")
@click.option("--split", "splits", multiple=True, help="Only this split (repeatable).")
@changes_option("Change a setting of the layout, e.g. window.skip_first=0.")
@click.option("--skip-broken", is_flag=True, help="Leave out, count and name what is missing, unpaired or unreadable; else it is an error.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(min=1), help="Processes; each works on one video at a time.")
@click.option("--codec", default="zstd", show_default=True, help="zstd (small and fast), or gzip (every HDF5 reader opens it).")
@click.option("--dry-run", is_flag=True, help="Say what would be imported, make nothing.")
def import_(
    layout: str,
    directory: str,
    out: str | None,
    splits: tuple[str, ...],
    changes: tuple[str, ...],
    skip_broken: bool,
    workers: int,
    codec: str,
    dry_run: bool,
) -> None:
    """Make a data set from a released one, in the LAYOUT that its authors gave the DIRECTORY.

    What is finished is not made again: after Ctrl-C, repeat the command.
    """
    from contextlib import ExitStack
    from pathlib import Path

    from rich.filesize import decimal

    from blurbench.importers import pipeline
    from blurbench.store.build import not_there, require_space
    from blurbench.store.reader import data_root

    folder = Path(out) if out is not None else data_root() / layout
    bars = ExitStack()
    advance: list[Callable[[int], None]] = []

    def planned(jobs: list[pipeline.Job]) -> None:
        plan = pipeline.describe(jobs)
        videos = ", ".join(counted(count, f"{split} video") for split, count in plan["splits"].items())
        say(f"{layout}: {videos}, {counted(plan['samples'], 'sample')} → {folder} (at most {decimal(plan['bytes'])})")
        _report(sum((job.video.left_out for job in jobs), Counter()))
        if dry_run:
            raise _DryRunError
        if lacking := not_there(folder, jobs):
            require_space(folder, pipeline.describe(lacking)["bytes"])
        advance.append(bars.enter_context(progress(f"importing {directory}", plan["samples"], "samples")))

    with bars:
        try:
            manifest = pipeline.import_dataset(
                layout,
                directory,
                folder,
                changes=changes,
                splits=splits,
                codec=codec,
                workers=workers,
                skip_broken=skip_broken,
                progress=lambda _, samples: advance[0](samples),
                planned=planned,
                note=say,
            )
        except _DryRunError:
            say("dry run: nothing was made")
            return
    for split, entries in manifest.splits.items():
        samples = sum(entry.samples for entry in entries)
        say(f"  {split}: {counted(len(entries), 'video')}, {counted(samples, 'sample')}, fingerprint {manifest.fingerprint(split)[:12]}")
        _report(sum((Counter(entry.left_out) for entry in entries), Counter()))
    say(f"imported {manifest.label} into {folder}")


def _report(left_out: Counter[str]) -> None:
    for reason, count in left_out.items():
        say(f"    {count} left out: {reason}")
