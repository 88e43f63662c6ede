"""What the commands share: progress on stderr, tables on stdout, the options that several have."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from blurbench.errors import BlurbenchError, UnknownNameError

_GAP = 3  # between the columns of a table


class Group(click.Group):
    """A command of commands, which names those that it has."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in (known := self.list_commands(ctx)):
            raise UnknownNameError("command", args[0], known, f"blurbench {self.name}" if ctx.parent else "")
        return super().resolve_command(ctx, args)


def once(option: str, texts: Iterable[str]) -> dict[str, str]:
    """KEY=VALUE texts as a dictionary. Raises BlurbenchError for a key that is given twice, of which one would count for nothing."""
    values: dict[str, str] = {}
    for text in texts:
        key, _, value = text.partition("=")
        if (key := key.strip()) in values:
            raise BlurbenchError(f"{option} {key} is given twice, as {values[key]!r} and {value!r}; keep one")
        values[key] = value
    return values


def _keys_once(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    once(parameter.opts[0], given)
    return given


def changes_option(help: str) -> Callable[[Any], Any]:
    """--set KEY=VALUE, several times, each key once."""
    return click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", callback=_keys_once, help=help)


dataset_option = click.option("--dataset", required=True, help="A made data set: its name (below ./data or $BLURBENCH_DATA) or folder.")
method_option = click.option("--method", required=True, help="A method's name or alias, or FILE.py:Class. See `blurbench ls methods`.")
weights_option = click.option(
    "--weights",
    type=click.Path(),
    help="Weights file or folder instead of the shipped ones. `blurbench ls methods -v` says where to get them.",
)


def _pairs(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """KEY=VALUE texts as a dictionary. Raises BlurbenchError for another text, or a key given twice."""
    for text in given:
        if not all(text.partition("=")):
            raise BlurbenchError(f"--option is {text!r}, expected KEY=VALUE, as deblur-with=dmphn")
    return once("--option", given)


options_option = click.option(
    "--option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    callback=_pairs,
    help="What the method takes besides, where it takes anything; may be given several times.",
)
device_option = click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, …")
split_option = click.option("--split", default="test", show_default=True)
protocol_option = click.option(
    "--protocol",
    multiple=True,
    default=("blurbench-1",),
    show_default=True,
    help="How predictions are scored; may be given several times. See `blurbench ls protocols -v`.",
)
runs_option = click.option("--out", default="runs", show_default=True, type=click.Path(), help="Folder for run records and scores.")
failures_option = click.option("--allow-failures", is_flag=True, help="Go on after a sample that fails; the record lists and counts it.")
seed_option = click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of everything random.")


def given(name: str) -> bool:
    """Whether the user gave this parameter of the command, be it with the value of its default."""
    return click.get_current_context().get_parameter_source(name) is not click.core.ParameterSource.DEFAULT


def refuse(names: Mapping[str, str], reason: str) -> None:
    """Raises click.UsageError for the first of these parameters (the option of each by its name) that was given."""
    for name, option in names.items():
        if given(name):
            raise click.UsageError(f"{option} {reason}")


def require_records_folder(path: Path) -> None:
    """Raises RecordError where the user gave --runs, and it is no folder."""
    from blurbench.run.record import misplaced

    if given("runs") and not path.is_dir():
        raise misplaced(path, "a folder of run records")


def writable_folder(path: Path) -> None:
    """Make a folder for what a long work will write. Raises DataSetError."""
    from blurbench.store.disk import telling

    with telling(path):
        path.mkdir(parents=True, exist_ok=True)


def writable_file(path: Path) -> None:
    """Raises DataSetError where a file that a long work will write cannot be."""
    from blurbench.store.disk import telling

    with telling(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))


def say(text: str) -> None:
    """A line for the person, on stderr."""
    click.echo(text, err=True)


@contextmanager
def progress(title: str, total: int | None, unit: str) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr with rate and time left; yields a function that takes how much was done since the last call."""
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
    with Progress(*columns, console=console, transient=False, disable=not console.is_terminal) as bar:
        if not console.is_terminal:
            say(f"{title} …")
        task = bar.add_task(title, total=total)
        yield lambda advance: bar.advance(task, advance)


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
