"""Recipes: how a data set is made, as data. One strict reader: a key that is not known is an error naming the known ones.

The `[built_in]` table holds overrides for the built-in rendered footage, whose frame rate and size differ from a paper's video.
"""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from blurbench import registry
from blurbench.errors import RecipeError, UnknownNameError
from blurbench.synth.accumulate import Rounding
from blurbench.synth.windows import Windows, targets
from blurbench.video import transfer

Kernel = Literal["area", "linear", "cubic"]
T = TypeVar("T")


@dataclass(frozen=True)
class Window:
    """Frames of one exposure. `length_from_name`: a regular expression whose group 1, found in the video's name, replaces `length`.

    `stride` 0 means disjoint windows, i.e. the length. `targets`: all, centre or even:N.
    """

    length: int
    stride: int = 0
    targets: str = "centre"
    length_from_name: str = ""


@dataclass(frozen=True)
class Interpolation:
    """Frames inserted between source frames before averaging: `factor` output frames a source frame; `method` none, flow, …"""

    method: str = "none"
    factor: int = 1


@dataclass(frozen=True)
class Frame:
    """What happens to each source frame first.

    It is reduced to fit into `width` x `height` (0: kept; never enlarged, its shape kept) and cropped top-left to `crop` [width, height].
    """

    width: int = 0
    height: int = 0
    kernel: Kernel = "area"
    crop: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Recipe:
    """A data set's recipe. `split`: names of the source videos of each split; videos not named there go to `test`."""

    id: str
    version: int
    title: str
    description: str
    citation: str
    licence: str
    window: Window
    transfer: str = "pixel"
    rounding: Rounding = "half-up"
    fps: float = 240.0
    frame: Frame = Frame()
    interpolation: Interpolation = Interpolation()
    split: dict[str, list[str]] | None = None
    built_in: dict[str, Any] | None = None

    def for_built_in(self) -> Recipe:
        """The recipe with its `[built_in]` overrides applied."""
        table = asdict(self)
        for key, value in (self.built_in or {}).items():
            table[key] = {**table[key], **value} if isinstance(value, dict) else value
        return replace(_build(table, f"[built_in] of recipe {self.id!r}"), built_in=None)

    def windows(self, video: str) -> Windows:
        """The windows for a video of this name. Raises RecipeError."""
        length = self.window.length
        if self.window.length_from_name and (match := re.search(self.window.length_from_name, video)):
            length = int(match[1])
        return Windows(length, self.window.stride or length, targets(self.window.targets, length))

    def split_of(self, video: str) -> str | None:
        """The split that the recipe lists this video in."""
        return next((name for name, videos in (self.split or {}).items() if video in videos), None)

    def processing(self) -> dict[str, Any]:
        """Everything that decides the pixels, JSON-ready; the words about the data set are left out."""
        words = {"title", "description", "citation", "licence", "split", "built_in"}
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return {key: value for key, value in plain.items() if key not in words}


def load(name: str) -> Recipe:
    """A recipe by name (`genblur`) or from a file (`my.toml`). Raises UnknownNameError, RecipeError."""
    return read(registry.DATASETS.get(name))


def read(path: Path) -> Recipe:
    """Read and check a recipe file. Raises RecipeError with the place of the mistake."""
    try:
        table = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not valid TOML: {error}") from error
    recipe = _build(table, str(path))
    if recipe.built_in is not None:
        recipe.for_built_in()
    return recipe


_TABLES: dict[str, type[Any]] = {"window": Window, "interpolation": Interpolation, "frame": Frame}


def _build(table: dict[str, Any], where: str) -> Recipe:
    nested = {key: _table(_TABLES[key], table[key], f"[{key}] of {where}") for key in _TABLES if key in table}
    recipe: Recipe = _table(Recipe, {**table, **nested}, where)
    _check(recipe, where)
    return recipe


def _table(cls: type[T], table: Any, where: str) -> T:
    if not isinstance(table, dict):
        raise RecipeError(f"{where} is {table!r}, expected a table of keys")
    known = {field.name: field for field in fields(cls)}  # type: ignore[arg-type]
    for key in table:
        if key not in known:
            raise UnknownNameError("key", key, known, where)
    try:
        built = cls(**table)
    except TypeError as error:
        raise RecipeError(f"{where}: {str(error).split('__init__() ')[-1]}") from error
    return built


def _check(recipe: Recipe, where: str) -> None:
    """Values that the types alone do not rule out."""
    transfer.parse(recipe.transfer)
    rules: list[tuple[str, Any, bool, str]] = [
        ("rounding", recipe.rounding, recipe.rounding in get_args(Rounding), f"one of {', '.join(get_args(Rounding))}"),
        ("frame.kernel", recipe.frame.kernel, recipe.frame.kernel in get_args(Kernel), f"one of {', '.join(get_args(Kernel))}"),
        ("window.length", recipe.window.length, _whole(recipe.window.length, 1), "a whole number of at least 1"),
        ("window.stride", recipe.window.stride, _whole(recipe.window.stride, 0), "a whole number of at least 0"),
        ("interpolation.factor", recipe.interpolation.factor, _whole(recipe.interpolation.factor, 1), "a whole number of at least 1"),
        ("fps", recipe.fps, isinstance(recipe.fps, int | float) and recipe.fps > 0, "frames a second, above 0"),
        ("version", recipe.version, _whole(recipe.version, 1), "a whole number of at least 1"),
    ]
    for key, value, right, expected in rules:
        if not right:
            raise RecipeError(f"{where}: {key} is {value!r}, expected {expected}")
    targets(recipe.window.targets, recipe.window.length)
    if recipe.interpolation.factor > 1 and recipe.interpolation.method == "none":
        raise RecipeError(f"{where}: interpolation.factor is {recipe.interpolation.factor} but interpolation.method is 'none'; name one")


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
