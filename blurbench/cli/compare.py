"""`blurbench compare`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from blurbench.cli._terminal import by_reason, say, table

if TYPE_CHECKING:
    from blurbench.metrics.protocol import Column
    from blurbench.run.compare import Comparison, Row


@click.command()
@click.argument("run_a", type=click.Path())
@click.argument("run_b", type=click.Path())
@click.option("--columns", multiple=True, help="Compare this column; may be given several times.  [default: all]")
@click.option(
    "--level", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.95, show_default=True, help="Of the intervals."
)
@click.option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
def compare(run_a: str, run_b: str, columns: tuple[str, ...], level: float, form: str) -> None:
    """Is one run better than another, or is it chance?

    RUN_A, RUN_B: run records (JSON) of the same data and protocol. Scores are compared sample by sample; intervals and p values take
    source videos, not clips, for independent.
    """
    from blurbench.run.compare import compare as run

    comparison = run(run_a, run_b, columns, level)
    if form == "table":
        _show(comparison)
    else:
        click.echo(comparison.csv() if form == "csv" else comparison.json(), nl=form == "json")
    for reason, names in by_reason(comparison.left_out).items():
        say(f"left out: {', '.join(names)}: {reason}")
    for note in comparison.notes:
        say(f"note: {note}")


def _show(comparison: Comparison) -> None:
    a, b = comparison.a, comparison.b
    say(f"{a.dataset}, split {a.split}, protocol {a.protocol} version {a.protocol_version}:")
    say(f"A: {a.name}\nB: {b.name}")
    header = ["column", "A", "B", "A - B", f"{100 * comparison.level:g} % interval", "p", "samples", "videos", "unit", "verdict"]
    columns = {column.name: column for column in comparison.rules.columns}
    table(header, [_cells(row, columns[row.column], comparison.rules.psnr_cap) for row in comparison.rows])


def _cells(row: Row, column: Column, cap: float) -> list[object]:
    from blurbench.report.typeset import number

    numbers = [number(row.a, column, cap), number(row.b, column, cap), number(row.difference, column)]
    spread = "" if row.low is None else f"{number(row.low, column)} … {number(row.high, column)}"
    return [row.column, *numbers, spread, f"{row.p:.4f}", row.samples, row.videos, row.unit, row.verdict]
