"""`blurbench rank`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from blurbench.cli._terminal import say, table

if TYPE_CHECKING:
    from blurbench.run.rank import Ranking


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path())
@click.option("--protocol", help="Only runs of this protocol.")
@click.option("--column", default="", help="Of the protocol.  [default: the one its boards are ranked by]")
@click.option(
    "--level",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.95,
    show_default=True,
    help="Of all tests of a board together.",
)
@click.option("--format", "form", type=click.Choice(["table", "csv"]), default="table", show_default=True)
def rank(runs: tuple[str, ...], protocol: str | None, column: str, level: float, form: str) -> None:
    """Which of several runs are the best, and which cannot be told apart?

    RUNS: run records (JSON), or folders of them; those of each data set and protocol are ranked apart. A run's rank is 1 + the number of
    runs that are significantly better: by the paired permutation test of whole videos, corrected for all pairs (Holm).
    """
    from blurbench.run.rank import rank_boards

    rankings, left_out = rank_boards(runs, column, level, protocol)
    if form == "csv":
        import pandas as pd

        frames = pd.concat([ranking.frame() for ranking in rankings])
        click.echo(frames.to_csv(index=False, lineterminator="\n"), nl=False)
    for ranking in rankings:
        if form == "table":
            _show(ranking)
        for reason in ranking.left_out.values():
            say(f"left out: {reason}")
        for note in ranking.notes:
            say(f"note: {note}")
    for line in left_out:
        say(f"left out: {line}")


def _show(ranking: Ranking) -> None:
    dataset, split, _, protocol, version = ranking.board
    say(f"{dataset}, split {split}, protocol {protocol} version {version}:")
    shown = ranking.column
    digits = 4 if shown.unit in ("", "1") else 2
    header = ["rank", "run", f"{shown.name} ({shown.unit}, {shown.better} is better)", "by mean alone", "significantly worse than"]
    rows = [
        [each.tied, name, f"{each.mean:.{digits}f}", each.plain, ", ".join(each.worse_than) or "none"]
        for name, each in ranking.ranks.items()
    ]
    table(header, rows)
