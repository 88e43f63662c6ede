"""Flips, quarter turns, time reversal, contrast and softness, applied alike to the pictures of a sample and to its motion.

A field of vectors (..., h, w, 2), x right and y down, is moved like a picture and its vectors with it. Arrays are known by name:
pictures `blurry` (H, W, 3) and `sharp` (T, H, W, 3); fields `flow` (T-1, H, W, 2), `flow_first_last`, `motion` (H, W, 2) and `guidance`
(h, w, 2); `times` (T,). Nothing here draws at random but `Augmentation.draw`, from the generator that it is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from blurbench.errors import RecipeError, UnknownNameError

Array = NDArray[Any]

PICTURES = ("blurry", "sharp")
FIELDS = ("flow", "flow_first_last", "motion", "guidance")
_SEQUENCES = ("sharp", "flow")  # first axis is time
_SOFTENED = 0.8  # share of samples that are softened, when any are
_LEAST_SIGMA = 0.3  # a narrower Gaussian changes nothing


@dataclass(frozen=True)
class Change:
    """One drawn augmentation, applied in this order: left-right flip, upside-down flip, `turns` quarters counterclockwise, time reversal;
    then, on float pictures, a Gaussian of `sigma` pixels (0: none) and `contrast` times the distance from the mean."""

    flip: bool = False
    flip_vertical: bool = False
    turns: int = 0
    reverse_time: bool = False
    sigma: float = 0.0
    contrast: float = 1.0

    def inverse(self) -> Change:
        """What undoes the flips, turns and reversal. Raises RecipeError when it is softened or duller, which nothing undoes."""
        if self.sigma or self.contrast != 1:
            raise RecipeError(f"augmentation with sigma {self.sigma:g} and contrast {self.contrast:g} has no inverse, expected 0 and 1")
        # A flip followed by a turn is a mirroring, which undoes itself; two flips are half a turn, which goes before or after another.
        turns = self.turns if self.flip != self.flip_vertical else -self.turns % 4
        return Change(self.flip, self.flip_vertical, turns, self.reverse_time)

    def apply(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """The changed arrays of a sample, by name, same types; views of the given ones where that is enough.

        A quarter turn swaps height and width. Contrast and softness need float pictures.
        Raises UnknownNameError for an array that is neither a picture nor a field nor `times`.
        """
        changed = self.move(arrays)
        planes = {name: np.moveaxis(changed[name], -1, -3) for name in PICTURES if name in changed}
        return changed | {name: np.moveaxis(picture, -3, -1) for name, picture in self.tone(planes).items()}

    def move(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Only the flips, turns and reversal."""
        changed = {name: self._moved(name, array) for name, array in arrays.items()}
        return {name: reversed_time(name, array) for name, array in changed.items()} if self.reverse_time else changed

    def tone(self, pictures: Mapping[str, Array]) -> dict[str, Array]:
        """Only softness and contrast, of float planes (..., H, W)."""
        toned = {name: soften(planes, self.sigma) if self.sigma else planes for name, planes in pictures.items()}
        return dull(toned, self.contrast) if self.contrast != 1 and toned else toned

    def _moved(self, name: str, array: Array) -> Array:
        if name == "times":
            return array
        if name not in PICTURES and name not in FIELDS:
            raise UnknownNameError("array to augment", name, [*PICTURES, *FIELDS, "times"])
        if self.flip:
            array = flip(array, name in FIELDS)
        if self.flip_vertical:
            array = flip_vertical(array, name in FIELDS)
        return turn(array, self.turns, name in FIELDS)


@dataclass(frozen=True)
class Augmentation:
    """What may happen to a sample at random; by default nothing.

    flip, flip_vertical, reverse_time: their probabilities. turns: turn by 0, 1, 2 or 3 quarters, each as likely.
    contrast: the least of a uniform draw up to 1. soften: the largest sigma in pixels, uniform from 0.3, of four samples in five; 0: none.
    Rendered edges are sharper than those of a lens; softening commutes with motion blur but for the transfer function.
    """

    flip: float = 0.0
    flip_vertical: float = 0.0
    turns: bool = False
    reverse_time: float = 0.0
    contrast: float = 1.0
    soften: float = 0.0

    def __post_init__(self) -> None:
        """Raises RecipeError for a value out of range."""
        for name in ("flip", "flip_vertical", "reverse_time", "contrast"):
            if not 0 <= (value := getattr(self, name)) <= 1:
                raise RecipeError(f"augmentation {name} is {value}, expected 0 to 1; change it")
        if self.soften and not self.soften >= _LEAST_SIGMA:
            raise RecipeError(f"augmentation soften is {self.soften}, expected 0 or at least {_LEAST_SIGMA} pixels; change it")

    def draw(self, rng: np.random.Generator) -> Change:
        """One change. What cannot happen takes no number from the generator."""
        return Change(
            flip=_chance(self.flip, rng),
            flip_vertical=_chance(self.flip_vertical, rng),
            turns=int(rng.integers(4)) if self.turns else 0,
            reverse_time=_chance(self.reverse_time, rng),
            sigma=rng.uniform(_LEAST_SIGMA, self.soften) if self.soften and rng.random() < _SOFTENED else 0.0,
            contrast=rng.uniform(self.contrast, 1) if self.contrast < 1 else 1.0,
        )


def flip(array: Array, vectors: bool) -> Array:
    """Left-right, of (..., H, W, C); `vectors`: negate x."""
    flipped = array[..., ::-1, :]
    return _negated(flipped, 0) if vectors else flipped


def flip_vertical(array: Array, vectors: bool) -> Array:
    """Upside down, of (..., H, W, C); `vectors`: negate y."""
    flipped = array[..., ::-1, :, :]
    return _negated(flipped, 1) if vectors else flipped


def turn(array: Array, quarters: int, vectors: bool) -> Array:
    """By quarters counterclockwise as seen, (..., H, W, C), to (..., W, H, C) for odd ones; `vectors`: each takes (x, y) to (y, -x)."""
    turned = np.rot90(array, quarters, axes=(-3, -2))
    if vectors:
        for _ in range(quarters % 4):
            turned = _negated(turned[..., ::-1], 1)
    return turned


def reversed_time(name: str, array: Array) -> Array:
    """The named array of the sample run backwards: targets in reverse, `times` t as 1 - t, vectors negated, `flow` in reverse as well.

    For `flow` and `flow_first_last` this approximates: the flow from target j + 1 back to j belongs on the grid of j + 1, here it stays on
    the grid of j, so it is off by the motion wherever that changes from pixel to pixel. It needs no second flow, leaves no holes, and done
    twice it gives the start. For `guidance` it is what its authors do; for the straight, even `motion` of synthetic kernels it is exact.
    """
    if name == "times":
        return 1 - array[::-1]
    ordered = array[::-1] if name in _SEQUENCES else array
    return -ordered if name in FIELDS else ordered


def soften(planes: Array, sigma: float) -> Array:
    """Float planes (..., H, W) convolved with a Gaussian of `sigma` pixels."""
    softened = [cv2.GaussianBlur(np.ascontiguousarray(plane), (0, 0), sigma) for plane in planes.reshape(-1, *planes.shape[-2:])]
    return np.stack(softened).reshape(planes.shape)


def dull(pictures: Mapping[str, Array], contrast: float) -> dict[str, Array]:
    """Float pictures moved towards their common mean, a mean over all values of all of them: `contrast` of the distance is left."""
    mean = np.float32(sum(float(array.sum(dtype=np.float64)) for array in pictures.values()) / sum(map(np.size, pictures.values())))
    return {name: mean + (array - mean) * np.float32(contrast) for name, array in pictures.items()}


def _chance(probability: float, rng: np.random.Generator) -> bool:
    return probability > 0 and bool(rng.random() < probability)


def _negated(vectors: Array, component: int) -> Array:
    changed = vectors.copy()
    changed[..., component] = -changed[..., component]
    return changed
