"""`blurbench ls`."""

from __future__ import annotations

from collections.abc import Callable

import click

from blurbench.cli._terminal import say, table


@click.command()
@click.argument("kind", type=click.Choice(["methods", "datasets", "metrics", "protocols"]))
@click.option("-v", "--verbose", is_flag=True, help="All that is known of each, in words.")
def ls(kind: str, verbose: bool) -> None:
    """List what is installed, third-party plug-ins included."""
    listing: dict[str, Callable[[bool], None]] = {
        "methods": _methods,
        "datasets": _datasets,
        "metrics": _metrics,
        "protocols": _protocols,
    }
    listing[kind](verbose)


def _methods(verbose: bool) -> None:
    from blurbench.registry import METHODS

    rows: list[list[object]] = []
    for entry in METHODS.entries():
        if entry.broken:
            rows.append([entry.name, "BROKEN", "", "", entry.broken, entry.origin])
            continue
        cls = METHODS.get(entry.name)
        card, can = cls.card, cls.capabilities
        alias = "" if card.id == entry.name else f"alias of {card.id}"
        rows.append([entry.name, can.frames or "any", can.multiple, ", ".join(can.needs), alias or card.title, entry.origin])
        if verbose and not alias:
            click.echo(f"{entry.name}: {card.title}\n  {card.paper}\n  licence: {card.licence}\n  weights: {card.weights or 'none needed'}")
            click.echo(f"  trained on: {card.training_data}\n{card.citation}\n")
    if not verbose:
        table(["method", "frames", "size multiple", "needs", "title", "from"], rows)
        say("-v: papers, licences, where weights come from")


def _datasets(verbose: bool) -> None:
    from blurbench.errors import BlurbenchError
    from blurbench.registry import DATASETS
    from blurbench.synth import recipe as recipes

    rows: list[list[object]] = []
    for name in DATASETS.names():
        try:
            recipe = recipes.load(name)
        except BlurbenchError as error:
            rows.append([name, "BROKEN", "", "", str(error)])
            continue
        window = recipe.window
        frames = f"{window.shortest} to {window.length}, odd" if window.shortest else str(window.length)
        if recipe.kernels.variant != "none":
            frames = "a kernel"
        rows.append([name, frames, window.targets, recipe.transfer, recipe.title])
        if verbose:
            click.echo(f"{name} version {recipe.version}: {recipe.title}\n{recipe.description}  licence: {recipe.licence}{recipe.citation}")
    if not verbose:
        table(["data set", "frames averaged", "targets", "transfer", "title"], rows)
        say("-v: descriptions, licences, citations")


def _metrics(verbose: bool) -> None:
    from blurbench.registry import METRICS

    rows: list[list[object]] = []
    for entry in METRICS.entries():
        if entry.broken:
            rows.append([entry.name, "BROKEN", "", entry.broken])
            continue
        metric = METRICS.get(entry.name)
        rows.append([entry.name, metric.info.unit, metric.info.better, metric.info.title])
        if verbose:
            click.echo(f"{entry.name}: {metric.__doc__}\n")
    if not verbose:
        table(["metric", "unit", "better", "title"], rows)


def _protocols(verbose: bool) -> None:
    from blurbench.metrics import protocol as protocols
    from blurbench.registry import PROTOCOLS

    rows: list[list[object]] = []
    for name in PROTOCOLS.names():
        rules = protocols.load(name)
        rows.append([name, rules.version, ", ".join(column.name for column in rules.columns), rules.title])
        if verbose:
            click.echo(f"{name} version {rules.version}: {rules.title}\n{rules.description}")
            for column in rules.columns:
                click.echo(f"  {column.name} [{column.unit or '1'}, {column.better} is better]: {column.description}")
    if not verbose:
        table(["protocol", "version", "columns", "title"], rows)
        say("-v: each in words")
