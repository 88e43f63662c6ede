"""`blurbench ls`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from blurbench.cli._terminal import say, table

if TYPE_CHECKING:
    from blurbench.methods import MethodCard


@click.command()
@click.argument("kind", required=False, metavar="KIND")
@click.option("-v", "--verbose", is_flag=True, help="All that is known of each, in words.")
def ls(kind: str | None, verbose: bool) -> None:
    """List what is installed, third-party plug-ins included. KIND: methods, datasets, metrics, protocols or weights."""
    from blurbench.errors import BlurbenchError, UnknownNameError

    listing: dict[str, Callable[[bool], None]] = {
        "methods": _methods,
        "datasets": _datasets,
        "metrics": _metrics,
        "protocols": _protocols,
        "weights": _weights,
    }
    if kind is None:
        raise BlurbenchError(f"no kind to list was given, expected one of {', '.join(listing)}; as `blurbench ls methods`")
    if kind not in listing:
        raise UnknownNameError("kind", kind, listing)
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
            click.echo(f"{entry.name}: {card.title}\n  paper: {card.paper}\n  licence: {card.licence}")
            click.echo(f"  weights: {card.weights or 'none needed'}\n  trained on: {card.training_data}")
            for key, meaning in cls.options.items():
                click.echo(f"  --option {key}=…: {meaning}")
            for shown, name in cls.variants.items():
                click.echo(f"  variant for {shown}: {name}")
            click.echo(f"{card.citation}\n")
    if not verbose:
        table(["method", "frames", "size multiple", "needs", "title", "from"], rows)
        say("-v: papers, licences, where weights come from, options, variants")


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
            click.echo(f"{name} version {recipe.version}: {recipe.title}\n{recipe.description.strip()}")
            click.echo(f"  licence: {recipe.licence}\n{recipe.citation.strip()}\n")
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
    from blurbench.errors import BlurbenchError
    from blurbench.metrics import protocol as protocols
    from blurbench.registry import PROTOCOLS

    rows: list[list[object]] = []
    for name in PROTOCOLS.names():
        try:
            rules = protocols.load(name)
        except BlurbenchError as error:
            rows.append([name, "BROKEN", "", str(error)])
            continue
        rows.append([name, rules.version, ", ".join(column.name for column in rules.columns), rules.title])
        if verbose:
            click.echo(f"{name} version {rules.version}: {rules.title}\n{rules.description}")
            for column in rules.columns:
                click.echo(f"  {column.name} [{column.unit or '1'}, {column.better} is better]: {column.description}")
            click.echo()
    if not verbose:
        table(["protocol", "version", "columns", "title"], rows)
        say("-v: each in words")


def _weights(verbose: bool) -> None:
    from blurbench.registry import METHODS

    rows: list[list[object]] = []
    for entry in METHODS.entries():
        if entry.broken:
            rows.append([entry.name, f"BROKEN: {entry.broken}"])
            continue
        card = METHODS.get(entry.name).card
        if card.id != entry.name:
            continue
        rows.append([card.id, _state(card)])
        if verbose:
            click.echo(f"{card.id}: {_state(card)}\n{_about(card)}")
    if not verbose:
        table(["method", "weights"], rows)
        say("`blurbench convert-weights METHOD FILE…` makes a file to place; -v: the official files, where from, licence, training data")


def _state(card: MethodCard) -> str:
    """One of: shipped, found at a path, place a file at a path, never released, none needed."""
    from blurbench import weights

    if not card.wants_weights:
        return (card.weights or "none needed").partition(";")[0]
    if path := weights.found(card.keeper):
        return f"found at {path}"
    place = weights.place(card.keeper)
    there = "never released" if card.released == "never" else f"place {place.name} at {place.parent}"
    if weights.shipped_file(card.shipper) is None:
        return there
    return "shipped" if card.released == "never" else f"shipped: a small network of our training; for the authors' {there}"


def _told(written: Mapping[str, Any], where: str) -> dict[str, str]:
    """What a card says, by where it says it; what the weights started from has a card of its own."""
    told: dict[str, str] = {}
    for key, value in written.items():
        place = f"{where}, {key}"
        if key in ("start", "card") and isinstance(value, dict):
            told |= _told(value, place)
        else:
            told[place] = value if isinstance(value, str) else json.dumps(value)
    return told


def _about(card: MethodCard) -> str:
    """What is known of the weights, a line each: from the method's card, and from the card inside the file that is used."""
    from blurbench import weights
    from blurbench.errors import WeightsError

    lines = {"released": card.released} if card.official else {"weights": card.weights or "none needed"}
    if card.released:
        lines |= {"licence": card.licence, card.data_label: card.training_data}
    file = (weights.found(card.keeper) or weights.shipped_file(card.shipper)) if card.wants_weights else None
    try:
        written = weights.card(file) if file else {}
        lines |= _told(written, "in the file")
    except WeightsError as error:
        lines["in the file"] = f"BROKEN: {error}"
    return "".join(f"  {key}: {value}\n" for key, value in lines.items())
