"""`blurbench leaderboard`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from blurbench.cli._options import Group, dataset_option, given, out_option, refuse, require_records_folder
from blurbench.cli._terminal import say, table
from blurbench.errors import counted

runs_option = click.option("--runs", default="runs", show_default=True, type=click.Path(), help="Folder of run records.")


class _Group(Group):
    """`blurbench leaderboard` with options or nothing means `build`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["build", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Group)
def leaderboard() -> None:
    """Build the leaderboards (alone: `build`), add a run record, verify one, or see what changed."""


@leaderboard.command()
@runs_option
@out_option("leaderboards", "Folder for the boards.")
@click.option(
    "--format",
    "formats",
    multiple=True,
    help="csv, markdown, latex or html (the site); several times for several.  [default: csv; with --out also html]",
)
@click.option("--intervals", is_flag=True, help="95 % intervals in Markdown and LaTeX too; the CSV always has them.")
@click.option("--papers", is_flag=True, help="Also boards of published numbers that nobody has measured here.")
@click.option("--dataset", help="For sample pages in the site: the made data set of the predictions.")
@click.option("--predictions", multiple=True, type=click.Path(), help="For sample pages: a folder of stored predictions; several times.")
@click.option("--sample", "samples", multiple=True, help="Also show this sample, by its id; several times.")
def build(runs: str, out: Path, formats: tuple[str, ...], intervals: bool, papers: bool, **shown: Any) -> None:
    """Build the boards, a file for each data set and protocol.

    From all run records, and what papers printed. With --out also a site to look at: open its index.html, no server is needed. Best, median
    and worst samples are shown where --dataset and --predictions are given.
    """
    from blurbench.cli._show import show_board
    from blurbench.errors import UnknownNameError
    from blurbench.report.table import FORMATS
    from blurbench.report.table import leaderboard as build

    if unknown := [name for name in formats if name not in (*FORMATS, "html")]:
        raise UnknownNameError("format", unknown[0], [*FORMATS, "html"])
    site = "html" in formats or bool(given("out") and not formats)
    if site:
        from blurbench.report.site import build_site, check_shown

        check_shown(**shown)  # before anything is printed or written
    else:
        refuse("is for the site; add --format html", "dataset", "predictions", "samples")
    if not papers:  # which need no runs
        require_records_folder(Path(runs))
    left_out: list[str] = []

    def tell(line: str) -> None:
        say(line)
        left_out.append(line.removeprefix("left out: "))

    tables = [name for name in formats if name != "html"] or ["csv"]
    folder = out / "boards" if site else out
    written = build(runs, folder, formats=tables, intervals=intervals, alone=papers, tell=tell)
    for path, board in written:
        show_board(board)
        say(f"wrote {', '.join(str(path.with_suffix(f'.{FORMATS[name]}')) for name in tables)}\n")
    if site:
        built = build_site([board for _, board in written], out, runs=runs, left_out=left_out, tell=say, **shown)
        counts = built.counts
        say(f"wrote {built.index}: {counts.written} files written, {counts.kept} as they were, {counts.removed} removed")


@leaderboard.command()
@click.argument("record", type=click.Path())
@runs_option
@click.option("--replace", is_flag=True, help="Put it in the place of another record of the same run.")
def add(record: str, runs: str, replace: bool) -> None:
    """Check a run and add it to the records.

    RECORD: its JSON file, with the Parquet file beside it; both are copied into the folder of records.
    """
    from blurbench.run.verify import add as add_record

    add_record(record, runs, replace, say)


@leaderboard.command()
@click.argument("record", type=click.Path())
@click.option("--predictions", required=True, type=click.Path(), help="Folder of the predictions that were scored.")
@dataset_option
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")
def verify(record: str, predictions: str, dataset: str, workers: int) -> None:
    """Score the predictions of a run again.

    Every value is compared with that of the RECORD.
    """
    from blurbench.cli._show import counting
    from blurbench.run import record as records
    from blurbench.run.verify import verify as verify_record

    with counting(f"scoring {predictions}", dataset, records.read(Path(record)).split) as tell:
        found = verify_record(record, predictions, dataset, workers, tell)
    say(f"{record}: all {len(found.values)} columns are what the predictions give ({counted(found.samples, 'sample')})")


@leaderboard.command()
@click.argument("old", type=click.Path())
@click.argument("new", type=click.Path())
def diff(old: str, new: str) -> None:
    """What was added, removed and changed.

    From OLD to NEW: two folders of run records, of CSVs or of sites, or two CSVs.
    """
    from blurbench.report.compare_boards import compare

    changes = compare(old, new)
    if changes:
        rows = [
            [change.what, change.row, change.column, *map(_text, (change.old, change.new)), _text(change.difference, "+")]
            for change in changes
        ]
        table(["", "row", "column", "old", "new", "difference"], rows)
    say(f"{len(changes)} {'difference' if len(changes) == 1 else 'differences'}" if changes else "nothing changed")


def _text(number: float | None, sign: str = "") -> str:
    return "" if number is None else f"{number:{sign}.6g}"
