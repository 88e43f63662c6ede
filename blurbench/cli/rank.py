"""`blurbench rank`."""

from __future__ import annotations

import click

from blurbench.cli._terminal import say, table


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path())
@click.option("--column", default="", help="Of the protocol.  [default: the one its boards are ranked by]")
@click.option(
    "--level", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.95, show_default=True, help="Of all tests together."
)
@click.option("--format", "form", type=click.Choice(["table", "csv"]), default="table", show_default=True)
def rank(runs: tuple[str, ...], column: str, level: float, form: str) -> None:
    """Which of several runs are the best, and which cannot be told apart?

    RUNS: run records (JSON) of the same data and protocol. A run's rank is 1 + the number of runs that are significantly better: by the
    paired permutation test of whole videos, corrected for all pairs (Holm).
    """
    from blurbench.run.rank import rank as run

    ranking = run(runs, column, level)
    if form == "csv":
        click.echo(ranking.frame().to_csv(index=False, lineterminator="\n"), nl=False)
    else:
        shown = ranking.column
        digits = 4 if shown.unit in ("", "1") else 2
        header = ["rank", "run", f"{shown.name} ({shown.unit}, {shown.better} is better)", "by mean alone", "significantly worse than"]
        rows = [
            [each.tied, name, f"{each.mean:.{digits}f}", each.plain, ", ".join(each.worse_than) or "none"]
            for name, each in ranking.ranks.items()
        ]
        table(header, rows)
    for note in ranking.notes:
        say(f"note: {note}")
