"""What the commands take: the options that several have, and what of them is refused before the work."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

from blurbench.errors import BlurbenchError, UnknownNameError


class Group(click.Group):
    """A command of commands, which names those that it has."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in (known := self.list_commands(ctx)):
            raise UnknownNameError("command", args[0], known, f"blurbench {self.name}" if ctx.parent else "")
        name, command, left = super().resolve_command(ctx, args)
        if command and (twice := _given_twice(command, left)):
            raise click.UsageError(f"{twice} is given twice, of which one would count for nothing; keep one", ctx)
        return name, command, left


def _given_twice(command: click.Command, args: list[str]) -> str | None:
    """The first option that takes one value and stands in the arguments more than once."""
    single = {opt: each.opts[0] for each in command.params if not getattr(each, "multiple", False) for opt in each.opts if opt[:2] == "--"}
    found = [single[name] for word in args if (name := word.partition("=")[0]) in single]
    return next((option for option in found if found.count(option) > 1), None)


class MethodCommand(click.Command):
    """A command with --method, whose own options it takes as well: `--deblur-with dmphn` is `--option deblur-with=dmphn`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = self._own(args)
        try:
            return super().parse_args(ctx, list(_spelt_out(args, own)))
        except click.NoSuchOption as error:
            near = sorted({*(error.possibilities or ()), *get_close_matches(error.option_name, own)})
            raise click.NoSuchOption(error.option_name, possibilities=near, ctx=error.ctx) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run, with the method that `--iterate` means."""
        if ctx.params.pop("iterate", False):
            ctx.params["method"] = _iterated(ctx.params["method"])
        return super().invoke(ctx)

    def _own(self, args: list[str]) -> set[str]:
        """The options of the method that these arguments name, but those that the command has; only looked up where some are not its own.

        Raises as `method_class` does.
        """
        has = {name for parameter in self.params for name in parameter.opts} | {"--help"}
        names = [word.partition("=")[0] for word in args if word.startswith("--")]
        named = [value for word, value in pairwise(args) if word == "--method"]
        named += [word.removeprefix("--method=") for word in args if word.startswith("--method=")]
        if has.issuperset(names) or not named:
            return set()
        from blurbench.methods import method_class

        cls = method_class(named[-1])
        return {f"--{name}" for name in (*cls.options, *(cls.training.options if cls.training else ()))} - has


def _iterated(name: str) -> str:
    """The method that goes on from this one's own frames. Raises BlurbenchError where there is none."""
    from blurbench.methods import method_class

    cls = method_class(name)
    if "frames" not in cls.variants:
        raise BlurbenchError(f"--iterate was given, but no method goes on from the frames of {cls.card.id}; leave it out")
    return cls.variants["frames"]


def _spelt_out(args: list[str], own: set[str]) -> Iterator[str]:
    """The arguments, with `--option` before each option of the method."""
    left = iter(args)
    for word in left:
        name, equals, value = word.partition("=")
        if name in own:
            yield from ("--option", f"{name.removeprefix('--')}={value if equals else next(left, '')}")
        else:
            yield word


def once(option: str, texts: Iterable[str]) -> dict[str, str]:
    """KEY=VALUE texts as a dictionary. Raises BlurbenchError for a key that is given twice, of which one would count for nothing."""
    values: dict[str, str] = {}
    for text in texts:
        key, _, value = text.partition("=")
        if (key := key.strip()) in values:
            raise BlurbenchError(f"{option} {key} is given twice, as {values[key]!r} and {value!r}; keep one")
        values[key] = value
    return values


_FILES = (".png", ".pdf", ".svg", ".csv", ".json", ".md", ".tex", ".html")


def _folder(context: click.Context, parameter: click.Parameter, given: str) -> Path:
    """The folder of --out. Raises BlurbenchError for what is plainly meant as a file."""
    if Path(given).suffix.lower() in _FILES and not Path(given).is_dir():
        raise BlurbenchError(f"--out is {given!r}, which looks like a file, expected a folder; files in it have names of their own")
    return Path(given)


def out_option(default: str, help: str) -> Callable[[Any], Any]:
    """--out, a folder."""
    return click.option("--out", default=default, show_default=True, type=click.Path(), callback=_folder, help=help)


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
    help="What the method takes besides (see `blurbench ls methods -v`); may be given several times.",
)
iterate_option = click.option(
    "--iterate", is_flag=True, help="Average the method's own frames and take these apart again, for more than it gives at once."
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
runs_option = out_option("runs", "Folder for run records and scores.")
failures_option = click.option("--allow-failures", is_flag=True, help="Go on after a sample that fails; the record lists and counts it.")
seed_option = click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of everything random.")


def given(name: str) -> bool:
    """Whether the user gave this parameter of the command, be it with the value of its default."""
    return click.get_current_context().get_parameter_source(name) is not click.core.ParameterSource.DEFAULT


def refuse(reason: str, *names: str) -> None:
    """Raises click.UsageError for the first of these parameters of the command that was given, naming its option."""
    for parameter in click.get_current_context().command.params:
        if parameter.name in names and given(parameter.name):
            raise click.UsageError(f"{parameter.opts[0]} {reason}")


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
