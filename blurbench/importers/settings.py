"""What a user may set of an import: options of the layout and keys of its recipe; what of them decides values, and what a manifest says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import blurbench
from blurbench.errors import RecipeError, UnknownNameError
from blurbench.importers.layouts import Layout
from blurbench.store.manifest import Manifest
from blurbench.synth import recipe as recipes
from blurbench.synth.recipe import Recipe

IMPORT = 1  # raise it whenever the same files would give other values


def read(layout: Layout, changes: Sequence[str]) -> tuple[dict[str, str], Recipe]:
    """The layout's options and the recipe, with the changes. Raises RecipeError, UnknownNameError."""
    options, own = dict(layout.options), []
    for change in changes:
        key, equals, value = (part.strip() for part in change.partition("="))
        if not equals or not value:
            raise RecipeError(f"--set is {change!r}, expected KEY=VALUE, e.g. {next(iter(options), 'transfer')}=…")
        if key in layout.keys:
            own.append(change)
        elif key not in options:
            raise UnknownNameError("key", key, [*options, *layout.keys], f"layout {layout.id!r}")
        elif "/" in value:
            raise RecipeError(f"--set is {change!r}, expected the name of a folder, or none")
        else:
            options[key] = value
    if not layout.transfer and not own:
        raise RecipeError(
            f"layout {layout.id!r} does not say how its pictures were averaged; add --set transfer=pixel or --set 'transfer=gamma(2.2)'"
        )
    recipe = recipes.load(layout.recipe, own)
    recipe.curve()
    if recipe.boxes.width and options.get("bbox", "none") == "none":
        raise RecipeError(f"boxes.width is {recipe.boxes.width}, but bbox=none leaves no boxes to crop to; leave one of them out")
    return options, recipe


def manifest(layout: Layout, options: dict[str, str], recipe: Recipe) -> Manifest:
    """An empty manifest of an import."""
    taken = {"layout": layout.id, "import": IMPORT, "options": options, **rules(recipe)}
    curve, told = recipe.curve().name, _told(layout, options, recipe)
    return Manifest(layout.id, layout.version, recipe.title, "released", curve, taken, blurbench=blurbench.__version__, changes=told)


def _told(layout: Layout, options: dict[str, str], recipe: Recipe) -> list[str]:
    """`key=value` of what a user chose otherwise than the layout has it, or where the layout does not say, however it was typed."""
    chosen = [f"{key}={value}" for key, value in options.items() if value != layout.options[key]]
    changed = recipes.differences(recipes.load(layout.recipe), recipe)
    if not layout.transfer and not any(change.startswith("transfer=") for change in changed):
        changed.append(f"transfer={recipe.transfer}")
    return chosen + changed


def rules(recipe: Recipe) -> dict[str, Any]:
    """What of the recipe decides the values of an imported sample."""
    window = {key: value for key, value in asdict(recipe.window).items() if key in ("targets", "skip_first", "skip_last")}
    cropped = {"boxes": asdict(recipe.boxes)} if recipe.boxes.width else {}
    return {"transfer": recipe.curve().name, "window": window, **cropped}
