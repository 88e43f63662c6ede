"""Recipes: how a data set is made, as data. One strict reader: a key that is not known is an error naming the known ones.

The `[built_in]` table holds overrides for the built-in rendered footage, whose frame rate and size differ from a paper's video.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from blurbench import registry, strict
from blurbench.errors import RecipeError
from blurbench.strict import one_of, require
from blurbench.synth import changes as changing
from blurbench.synth.accumulate import Rounding
from blurbench.synth.kernels import Kernels
from blurbench.synth.tables import Boxes, Frame, Gate, Guidance, Interpolation, Motion, Response, Window, require_whole
from blurbench.synth.windows import RandomWindows, RegularWindows, Windows, targets
from blurbench.video import transfer
from blurbench.video.transfer import Transfer

_WORDS = ("title", "description", "citation", "licence")


@dataclass(frozen=True)
class Recipe:
    """A data set's recipe. `split`: names of the source videos of each split; for others see `blurbench.synth.splits.place`.

    `seed` decides what is drawn at random: window lengths, kernels.
    """

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
    gate: Gate = Gate()
    motion: Motion = Motion()
    guidance: Guidance = Guidance()
    response: Response = Response()
    boxes: Boxes = Boxes()
    kernels: Kernels = Kernels()
    seed: int = 0
    split: dict[str, list[str]] | None = None
    built_in: dict[str, Any] | None = None

    def for_built_in(self) -> Recipe:
        """The recipe with its `[built_in]` overrides applied."""
        table = asdict(self)
        for key, value in (self.built_in or {}).items():
            inner = table.get(key)
            table[key] = {**inner, **value} if isinstance(inner, dict) and isinstance(value, dict) else value
        return replace(_build(table, f"[built_in] of recipe {self.id!r}"), built_in=None)

    def windows(self, video: str, frames: int | None = None) -> Windows:
        """The windows of a video of this name; `frames` of the averaged stream are needed when the last windows are to be skipped.

        Raises RecipeError for a name that gives no length, or one that has fewer frames than the targets need.
        """
        rule = self.window
        if rule.shortest:
            return RandomWindows(rule.shortest, rule.length, rule.targets, np.random.default_rng([self.seed, *video.encode()]))
        length = rule.length_of(video)
        stride = rule.stride or length
        windows = RegularWindows(length, stride, targets(rule.targets, length), rule.offset + rule.skip_first * stride, rule.tail)
        if rule.skip_last and frames is not None:
            windows.limit = max(0, windows.count(frames) - rule.skip_last)
        return windows

    def frames_for(self, count: int, video: str = "") -> int:
        """Source frames that so many windows of a video of this name take, with those around them that are skipped."""
        last = self.windows(video).window(count + self.window.skip_last - 1).last + self.window.tail
        return -(-last // self.interpolation.factor) + 1

    def curve(self) -> Transfer:
        """The transfer function; a camera response is read from its file. Raises RecipeError."""
        if self.transfer != "response":
            return transfer.parse(self.transfer)
        if not self.response.file:
            raise RecipeError(f"recipe {self.id!r} needs a camera response: add --set response.file=FILE (.npy, 256 codes)")
        return transfer.read_response(Path(self.response.file), self.response.order, self.response.straight_from)

    @property
    def random(self) -> bool:
        """Whether `seed` decides anything."""
        return bool(self.window.shortest) or self.kernels.variant != "none"

    def split_of(self, video: str) -> str | None:
        """The split that the recipe lists this video in."""
        return next((name for name, videos in (self.split or {}).items() if video in videos), None)

    def rules(self) -> dict[str, Any]:
        """All of it but the words about the data set, JSON-ready. Raises RecipeError for a camera response that cannot be read."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        if self.transfer == "response" and self.response.file:
            plain["response"]["file"] = self.curve().name  # a hash of its values: paths differ between machines
        return {key: value for key, value in plain.items() if key not in _WORDS}

    def processing(self) -> dict[str, Any]:
        """Everything that decides the pixels, JSON-ready. Raises RecipeError as `rules`."""
        plain = {key: value for key, value in self.rules().items() if key not in ("split", "built_in")}
        plain["interpolation"].pop("fallback")
        return plain


def load(name: str, changes: Sequence[str] = (), built_in: bool = False) -> Recipe:
    """A recipe by name (`genblur`) or from a file (`my.toml`), for the built-in footage or not, with changes like `frame.width=640`.

    Raises UnknownNameError, and RecipeError for a mistake in the file or a change, for a file that takes the id of an installed recipe for
    other rules, and for a change that would have no effect.
    """
    recipe = read(registry.DATASETS.get(name))
    if recipe.id != name and recipe.id in registry.DATASETS.names() and recipe.rules() != load(recipe.id).rules():
        raise RecipeError(f"{name}: id is {recipe.id!r}, that of an installed recipe with other rules; give it an id of its own")
    if built_in:
        recipe = recipe.for_built_in()
    if not changes:
        return recipe
    table = asdict(recipe)
    changing.apply(table, changes)
    changed = _build(table, f"recipe {recipe.id!r} with {', '.join(changes)}")
    _require_effect(recipe, changed, built_in)
    return changed


_NEEDS: tuple[tuple[str, str, Callable[[Recipe], Any], str, str], ...] = (  # key of a table, what gives it an effect, else: why, the mend
    ("guidance", "threshold", lambda recipe: recipe.guidance.aggregate != "none", "makes no guidance", "guidance.aggregate=max"),
    ("frame", "anchor", lambda recipe: any(recipe.frame.crop), "crops no frames", "frame.crop=[WIDTH,HEIGHT]"),
    ("boxes", "ratio", lambda recipe: recipe.boxes.width, "crops to no boxes", "boxes.width=W --set boxes.height=H"),
    ("gate", "flow", lambda recipe: recipe.gate.largest_step, "has no gate", "gate.largest_step=PIXELS"),
    ("gate", "quantile", lambda recipe: recipe.gate.largest_step, "has no gate", "gate.largest_step=PIXELS"),
)


def _require_effect(recipe: Recipe, changed: Recipe, built_in: bool) -> None:
    """Raises RecipeError for another interpolation where nothing is interpolated, for another camera response where another transfer
    function is used, for another window length where the video's name decides on it (the names of built-in footage never do), and as
    `_NEEDS` has it.
    """
    for table, key, effective, why, mend in _NEEDS:
        before, value = (getattr(getattr(each, table), key) for each in (recipe, changed))
        if value != before and not effective(changed):
            raise RecipeError(f"--set {table}.{key}={value} was given, but recipe {recipe.id!r} {why}; add --set {mend}")
    method = changed.interpolation.method
    if method != recipe.interpolation.method and changed.interpolation.used == "none" != method:
        raise RecipeError(
            f"--set interpolation.method={method} was given, but recipe {recipe.id!r} inserts no frames; add --set interpolation.factor=N"
        )
    if not built_in and changed.window.length_from_name and changed.window.length != recipe.window.length:
        raise RecipeError(
            f"--set window.length={changed.window.length} was given, but recipe {recipe.id!r} takes the length from a video's name; "
            "add --set window.length_from_name= to take this one for every video"
        )
    if changed.response != recipe.response and changed.transfer != "response":
        raise RecipeError(f"a camera response was given, but the transfer function is {changed.transfer!r}; add --set transfer=response")


def differences(recipe: Recipe, changed: Recipe) -> list[str]:
    """`key=value` for each key of a recipe that changes set to another value, however they were typed; no words, nor the fallback."""
    rules = [each.rules() for each in (recipe, changed)]
    for each in rules:
        del each["built_in"], each["interpolation"]["fallback"]
    return changing.told(*rules)


def read(path: Path) -> Recipe:
    """Read and check a recipe file. Raises RecipeError with the place of the mistake."""
    recipe = _build(strict.read(path), str(path))
    if recipe.built_in is not None:
        recipe.for_built_in()
    return recipe


_TABLES: dict[str, type[Any]] = {
    "window": Window,
    "interpolation": Interpolation,
    "frame": Frame,
    "gate": Gate,
    "motion": Motion,
    "guidance": Guidance,
    "response": Response,
    "boxes": Boxes,
    "kernels": Kernels,
}


def _build(table: dict[str, Any], where: str) -> Recipe:
    nested = {key: strict.build(_TABLES[key], table[key], f"[{key}] of {where}") for key in _TABLES if key in table}
    if isinstance(power := table.get("transfer"), float | int):
        raise RecipeError(f"{where}: transfer is {power}, expected a name; for a power law write gamma({power:g})")
    recipe = strict.build(Recipe, {**table, **nested}, where)
    _check(recipe, where)
    if recipe.transfer == "response":
        return recipe
    return replace(recipe, transfer=transfer.parse(recipe.transfer).spelling())  # gamma(2.20) is gamma(2.2)


def _check(recipe: Recipe, where: str) -> None:
    """Values that the types alone do not rule out."""
    for key in _TABLES:
        getattr(recipe, key).check(where)
    one_of(where, "rounding", recipe.rounding, Rounding)
    require_whole(where, "", recipe, version=1, seed=0)
    require(where, "fps", recipe.fps, 0 < recipe.fps < math.inf, "frames a second, above 0")
    require(where, "built_in", recipe.built_in, isinstance(recipe.built_in, dict | None), "a table of keys")
    _check_split(recipe.split, where)


def _check_split(split: Any, where: str) -> None:
    """A table of lists. A key of the recipe that is written below the heading `[split]` ends up in there."""
    require(where, "split", split, isinstance(split, dict | None), "a table of lists of videos")
    for name, videos in (split or {}).items():
        names = isinstance(videos, list) and all(isinstance(video, str) for video in videos)
        require(where, f"split.{name}", videos, names, "a list of names of videos; keys of the recipe stand above its tables")
