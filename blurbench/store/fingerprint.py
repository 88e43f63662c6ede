"""The fingerprint of a shard: SHA-256 of all that went in, JSON with sorted keys. Who makes a shard and who verifies it both come here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

UNREADABLE = "unreadable or of another size"  # samples of a release that are left out for this are in its fingerprint all the same


def of_video(
    synthesis: int,
    source: str,
    recipe: Mapping[str, Any],
    interpolation: Mapping[str, Any],
    maps: int | None = None,
    inputs: Mapping[str, str | None] | None = None,
) -> str:
    """Of what is made from footage. synthesis: the version of the code that decides the values. source: the footage's own fingerprint.

    recipe: `Recipe.processing()`. interpolation: the facts of the interpolator. maps: samples a picture, where kernels blur them.
    inputs: hashes of what else decides the values.
    """
    parts: dict[str, Any] = {"synthesis": synthesis, "source": source, "recipe": recipe}
    if maps is not None:
        parts["maps"] = maps
    if inputs:
        parts["inputs"] = inputs
    parts["interpolation"] = {key: value for key, value in interpolation.items() if key != "opencv"}
    return _digest(parts)


def of_release(importing: int, layout: str, rules: Mapping[str, Any], files: Sequence[Any]) -> str:
    """Of what is read from a release. importing: the version of the code. rules: what of the recipe decides the values.

    files: for each sample, in order, its number and the SHA-256 of its files by role.
    """
    return _digest({"import": importing, "layout": layout, "rules": rules, "files": files})


def _digest(parts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
