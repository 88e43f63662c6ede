"""What a user changes of a recipe, `key=value`: put into its tables, and told in one way however it was typed."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from blurbench.errors import RecipeError

_NAMING = ("id", "version")
"""What names a recipe, and so is not changed for one data set."""


def apply(table: dict[str, Any], changes: Sequence[str]) -> None:
    """Put changes, `key=value` or `table.key=value`, into a recipe's tables. A value is TOML, or text as it stands.

    Raises RecipeError for what is no change of a recipe, and for the seed, which has an option of its own.
    """
    for change in changes:
        _apply(table, change)


def told(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """How the rules of a recipe (`Recipe.rules`) differ from what they were, `key=value` in order of the keys; empty where they do not."""
    was, now = dict(_flat(before)), dict(_flat(after))
    return [f"{key}={_spelled(now[key])}" for key in sorted(now) if now[key] != was.get(key)]


def _apply(table: dict[str, Any], change: str) -> None:
    path, equals, text = change.partition("=")
    *tables, key = path.strip().split(".")
    if not equals or len(tables) > 1 or not key:
        raise RecipeError(f"--set is {change!r}, expected KEY=VALUE or TABLE.KEY=VALUE, e.g. frame.width=640")
    if (*tables, key) == ("seed",):
        raise RecipeError(f"--set is {change!r}, but the seed has an option of its own; give --seed {text.strip()}")
    if not tables and key in _NAMING:
        raise RecipeError(
            f"--set is {change!r}, but {key} says which recipe it is; write a recipe of your own, blurbench make-dataset mine.toml"
        )
    inner = table
    for name in tables:
        inner = _inner(table, name, change)
    value, present = _value(text), inner.get(key)
    # An equal value may be of another type, as 240 for 240.0, which would give the same data another fingerprint.
    if isinstance(value, bool) or value != (list(present) if isinstance(present, tuple) else present):
        inner[key] = value


def _inner(table: dict[str, Any], name: str, change: str) -> dict[str, Any]:
    """The table of that name; a new one where the recipe has none of those that it may lack."""
    if table.get(name) is None:
        table[name] = {}
    if not isinstance(inner := table[name], dict):
        raise RecipeError(f"--set is {change!r}, but {name} is no table of a recipe")
    return inner


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text.strip()


def _flat(rules: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in rules.items():
        if isinstance(value, dict):
            yield from ((f"{key}.{inner}", each) for inner, each in value.items())
        else:
            yield key, value


def _spelled(value: Any) -> str:
    """A value as --set takes it, without spaces; text as it stands."""
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}={_spelled(value[key])}' for key in sorted(value))}}}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
