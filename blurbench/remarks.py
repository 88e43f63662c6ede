"""What a user must know of a method before it runs: said, never mended."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from blurbench import weights as files
from blurbench.errors import WeightsError
from blurbench.methods import Method, MethodCard
from blurbench.registry import METHODS

_WHILE_LEARNING = ("torch.nn.modules.dropout", "torch.nn.modules.batchnorm")


def remarks(method: Method) -> list[str]:
    """Of a network that is not ready, of weights of another method, or of shipped ones where the authors released others."""
    card = method.card
    if learning := [name for name, value in vars(method).items() if _draws(value)]:
        told = f"{card.id}.{learning[0]} has dropout or batch norm in training mode: its answers depend on chance and order"
        return [f"{told}; call .eval() in load"]
    if strange := _strange(method):
        return [strange]
    if method.weights is None or method.weights.origin != "shipped" or not card.official:
        return []
    theirs = f"for the authors' give --weights, or run `blurbench convert-weights {card.keeper}` once ({card.released})"
    return [f"{card.id} runs with the shipped weights of a small network, which say nothing of the authors' results; {theirs}"]


def learnt_from(method: Method, fingerprint: str) -> list[str]:
    """Of weights whose card names the very data, by their fingerprint, that the method is to be scored on."""
    for path in files.inside(method.given) if method.given else []:
        with suppress(WeightsError):  # of no use to the method, which has loaded without it
            if path.suffix == ".safetensors" and files.card(path).get("fingerprint") == fingerprint:
                return [f"{path} was trained on this very split: its scores say nothing of other data"]
    return []


def _draws(network: Any) -> bool:
    """Whether a network has layers that do other things while it learns, and do them now. Looked up by name: torch need not be there."""
    layers = network.modules() if hasattr(network, "modules") else ()
    return any(layer.training and type(layer).__module__ in _WHILE_LEARNING for layer in layers)


def _strange(method: Method) -> str:
    """Of the first file that says it was trained as a method that shares no weights with this one; "" where none says so."""
    card = method.card
    for path in files.inside(method.given) if method.given else []:
        try:
            trained = files.card(path).get("method", card.id) if path.suffix == ".safetensors" else card.id
        except WeightsError:
            continue  # of no use to the method, which has loaded without it
        if trained in METHODS.names() and not _family(METHODS.get(trained).card) & _family(card):
            return f"{path} was trained as {trained}, here it runs, and is recorded, as {card.id}"
    return ""


def _family(card: MethodCard) -> set[str]:
    """A method, and those that keep and ship its weights."""
    return {card.id, card.keeper, card.shipper}
