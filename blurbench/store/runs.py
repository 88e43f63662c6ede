"""Which rows of a shard follow each other in time, so that their exposures are neighbours."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray


def runs(arrays: h5py.Group, provenance: Mapping[str, Any]) -> list[range]:
    """Runs of rows whose exposures follow each other, in order; between two of them exposures were left out, e.g. by a gate.

    arrays: of the shard. Where nothing stored tells of a gap, all rows are one run. Pictures blurred by kernels have no neighbours: each
    row is a run, for several are of one picture.
    """
    count = len(arrays["blurry"])
    recipe = provenance.get("recipe")
    if recipe and recipe.get("kernels", {}).get("variant", "none") != "none":
        return [range(row, row + 1) for row in range(count)]
    step = provenance.get("source", {}).get("step", 0)
    ends = [0, *(np.flatnonzero(_gaps(arrays, recipe, step, count)) + 1), count]
    return [range(start, stop) for start, stop in itertools.pairwise(map(int, ends))]


def _gaps(arrays: h5py.Group, recipe: Mapping[str, Any] | None, step: int, count: int) -> NDArray[np.bool_]:
    """(S-1,) whether exposures are lacking between a row and the next, which then begins later than it regularly would.

    step: by how much numbers of neighbouring released pictures differ; 0: not known.
    """
    starts = np.zeros(count)
    if "averaged" in arrays:
        frames = arrays["averaged"][:]
        starts = frames[:, 0]
        if recipe:
            return np.asarray(np.diff(starts) > _regular(frames, recipe) + 1e-6)  # fractions where interpolated, and rounded
    elif "files" in arrays:  # released pictures: the name of a sample's first file ends in the number of the exposure
        numbers = [re.search(rb"(\d+)\.\w+$", names[0]) for names in arrays["files"][:]]
        starts = np.array([int(number[1]) if number else 0 for number in numbers], np.float64)
    steps = np.diff(starts)
    regular = step or steps.min(initial=np.inf)  # a layout that does not say by how much numbers differ
    return np.asarray((regular > 0) & (steps > regular))


def _regular(frames: NDArray[np.float64], recipe: Mapping[str, Any]) -> NDArray[np.float64] | float:
    """Source frames from the beginning of each window but the last to that of the next, by the recipe. frames: `averaged` (S, K)."""
    window, factor = recipe["window"], recipe["interpolation"]["factor"]
    if window["stride"] and not window["shortest"]:
        return float(window["stride"] / factor)
    return np.asarray(np.isfinite(frames[:-1]).sum(axis=1) / factor)  # disjoint; windows of random length are filled up with NaN
