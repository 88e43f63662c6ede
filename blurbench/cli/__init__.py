"""The command line: one thin file a command. Results go to stdout or files, everything for the person to stderr."""

from __future__ import annotations

import importlib
import signal
import sys
import threading
from typing import TYPE_CHECKING

import click

from blurbench import __version__
from blurbench.cli._options import Group
from blurbench.errors import BlurbenchError

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_COMMANDS = {
    "demo": "the whole way in a few minutes, in this folder",
    "make-dataset": "a data set from high-frame-rate video",
    "import": "a released data set into the same format",
    "verify": "is a data set still what was made?",
    "inspect": "what a data set holds, in figures and pictures",
    "pack": "a data set as one file",
    "evaluate": "run a method on a data set and score it",
    "predict": "run a method on photographs, or store its predictions",
    "score": "score predictions that are on disk",
    "animate": "a blurred photograph brought to life",
    "view": "one sample as a sheet and an animation",
    "compare": "is one run better than another, or is it chance?",
    "rank": "which runs are best, and which cannot be told apart?",
    "leaderboard": "boards from run records, as tables or a site",
    "plot": "one figure of the runs",
    "train": "train a method on a data set",
    "weights": "fetch weights that others publish",
    "convert-weights": "official checkpoints into one checked file",
    "ls": "methods, datasets, metrics, protocols and weights",
    "doctor": "what works on this machine",
}
"""What each does, in the words of `blurbench --help`."""


class _Commands(Group):
    """Imports a command's file when it is needed; each file's heavy imports wait for the command to run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        name = "import_" if cmd_name == "import" else cmd_name.replace("-", "_")
        command = getattr(importlib.import_module(f"blurbench.cli.{name}"), name)
        assert isinstance(command, click.Command)
        command.short_help = _COMMANDS[cmd_name]
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="blurbench")
def blurbench() -> None:
    """The benchmark of blur decomposition and motion deblurring.

    New here? `blurbench demo` goes the whole way in a few minutes.
    """


def _again(lost: UnraisableHookArgs) -> None:
    """Repeats a Ctrl-C that arrived in a callback which cannot raise, as h5py's weak references are; without this it would be ignored."""
    if issubclass(lost.exc_type, KeyboardInterrupt):
        # Not at once: that would raise in here, where it is lost as well.
        soon = threading.Timer(0.02, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT))
        soon.daemon = True
        soon.start()
    else:
        sys.__unraisablehook__(lost)


def main() -> None:
    """Entry point: a user's mistake is one line and exit code 2, a bug keeps its traceback."""
    sys.unraisablehook = _again
    try:
        code = blurbench.main(standalone_mode=False)
    except BlurbenchError as error:
        click.echo(f"error: {error}", err=True)
        code = 2
    except click.UsageError as error:
        told, where = error.format_message(), error.ctx
        if where and told == where.get_help():  # so click answers to a command without a word
            click.echo(told, err=True)
        else:
            click.echo(f"error: {told}" + (f" (see `{where.command_path} --help`)" if where else ""), err=True)
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted; what is finished is kept, the same command goes on from there", err=True)
        code = 130
    sys.exit(code if isinstance(code, int) else 0)
