"""Strict reading of TOML: a key that is not known, or a value of the wrong kind, is an error that names what is right."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, get_args

from blurbench.errors import RecipeError, UnknownNameError

T = TypeVar("T")
# Annotations are strings here (`from __future__ import annotations`); other types are checked by whoever declares them.
_KINDS: dict[str, tuple[Any, str]] = {
    "str": (str, "text"),
    "int": (int, "a whole number"),
    "float": (int | float, "a number"),
    "bool": (bool, "true or false"),
}


def read(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises RecipeError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"{path} cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not valid TOML: {error}") from error


def build(cls: type[T], table: Any, where: str) -> T:
    """A dataclass from a table. Raises RecipeError; for an unknown key it names the nearest."""
    known = {field.name: field for field in fields(cls)}  # type: ignore[arg-type]
    known_keys(where, table, known)
    for key, value in table.items():
        kind, expected = _KINDS.get(str(known[key].type), (object, ""))
        right = isinstance(value, kind) and (kind in (bool, object) or not isinstance(value, bool))
        blank = kind is str and right and not value.strip() and known[key].default != ""
        require(where, key, value, right and not blank, f"{expected}, not an empty one" if blank else expected)
    try:
        return cls(**table)
    except TypeError as error:
        raise RecipeError(f"{where}: {str(error).split('__init__() ')[-1]}") from error


def known_keys(where: str, table: Any, known: Iterable[str], kind: str = "key") -> None:
    """Raises RecipeError for what is no table, and for the first key that is not known; names the nearest."""
    if not isinstance(table, dict):
        raise RecipeError(f"{where} is {table!r}, expected a table of keys")
    known = list(known)
    if unknown := [key for key in table if key not in known]:
        raise RecipeError(str(UnknownNameError(kind, unknown[0], known, where)))


def require(where: str, key: str, value: Any, right: bool, expected: str) -> None:
    """Raises RecipeError unless `right`."""
    if not right:
        raise RecipeError(f"{where}: {key} is {value!r}, expected {expected}")


def one_of(where: str, key: str, value: Any, allowed: Any) -> None:
    """Raises RecipeError unless the value is one of a Literal's."""
    require(where, key, value, isinstance(value, str) and value in get_args(allowed), f"one of {', '.join(get_args(allowed))}")


def whole(value: Any, least: int) -> bool:
    """Whether it is an int, no bool, of at least `least`."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
