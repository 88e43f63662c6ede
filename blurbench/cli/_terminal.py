"""What the commands print: lines and progress on stderr, tables on stdout."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click

_GAP = 3  # between the columns of a table
LINE_EVERY = 60.0  # seconds


def say(text: str) -> None:
    """A line for the person, on stderr."""
    click.echo(text, err=True)


@contextmanager
def progress(title: str, total: int | None, unit: str) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr with rate and time left; yields a function that takes how much was done since the last call.

    Where stderr is no terminal, as in the log of a job, a line a minute takes its place.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.1f} {unit}/s" if task.speed else "")

    count = TextColumn("{task.completed:.0f}/{task.total:.0f}") if total else TextColumn("{task.completed:.0f}")
    columns = (
        TextColumn("{task.description}"),
        BarColumn(24),
        count,
        Rate(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    if not console.is_terminal:
        say(f"{title} …")
        yield _lines(title, total, unit)
        return
    with Progress(*columns, console=console, transient=False) as bar:
        task = bar.add_task(title, total=total)
        yield lambda advance: bar.advance(task, advance)


def _lines(title: str, total: int | None, unit: str) -> Callable[[int], None]:
    """Takes how much was done, and says now and then how far that is; nothing where it is not known how much there is."""
    began = told = time.monotonic()
    done = 0

    def advance(amount: int) -> None:
        nonlocal told, done
        done, now = done + amount, time.monotonic()
        if total and done and now - told >= LINE_EVERY:
            told = now
            left = (now - began) / done * (total - done) / 60
            say(f"{title}: {done:,} of {total:,} {unit}, {left:.0f} min left")

    return advance


def table(header: Sequence[str], rows: Sequence[Sequence[Any]], keys: int = 0) -> None:
    """A table on stdout: drawn for a terminal, as plain columns for a pipe.

    keys: where given no cell is broken, and columns that do not fit stand in further tables below, each with the first `keys` columns.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    cells = [[click.unstyle(str(cell)) for cell in row] for row in rows]
    width = Console().width if sys.stdout.isatty() else 200
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    for part in _parts(widths, keys, width) if keys else [range(len(header))]:
        drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for i in part:
            numeric = bool(rows) and all(_is_number(row[i]) for row in cells)
            drawn.add_column(header[i], justify="right" if numeric else "left", overflow="fold", no_wrap=keys > 0)
        for row in cells:
            drawn.add_row(*(row[i].replace("[", r"\[") for i in part))
        needed = sum(widths[i] + _GAP for i in part) if keys else 0
        Console(width=max(width, needed), highlight=False).print(drawn)


def _parts(widths: Sequence[int], keys: int, width: int) -> list[list[int]]:
    """The numbers of the columns of each table: the keys, and as many of the others as fit, at least one."""
    parts: list[list[int]] = []
    for column in range(keys, len(widths)):
        if not parts or sum(widths[i] + _GAP for i in (*parts[-1], column)) > width:
            parts.append([*range(keys)])
        parts[-1].append(column)
    return parts


def _is_number(cell: object) -> bool:
    text = str(cell).split(" ")[0].lstrip("-≥")
    return text == "" or text.replace(".", "", 1).isdigit()


def by_reason(reasons: Mapping[str, str]) -> dict[str, list[str]]:
    """From column -> reason to reason -> columns, so that each is told once."""
    found: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        found.setdefault(reason, []).append(name)
    return found
