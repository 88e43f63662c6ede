"""`blurbench leaderboard`."""

from __future__ import annotations

import click

from blurbench.cli._terminal import say


@click.command()
@click.option("--runs", default="runs", show_default=True, type=click.Path(), help="Folder of run records.")
@click.option("--out", default="leaderboards", show_default=True, type=click.Path(), help="Folder for the CSVs.")
def leaderboard(runs: str, out: str) -> None:
    """Build the leaderboards from all run records: a CSV for each data set and protocol."""
    from blurbench.cli._show import show_board
    from blurbench.report.table import leaderboard as build

    for path, board in build(runs, out):
        show_board(board)
        say(f"wrote {path}\n")
