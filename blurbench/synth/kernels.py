"""Blur by linear kernels: every pixel is smeared along a short straight line of its own.

The field of lines is that of Gong et al., "From Motion Blur to Motion Flow" (CVPR 2017), used again by Zhang et al., "Exposure
Trajectory Recovery" (TPAMI 2021): a camera that shifts, turns and zooms. Vectors (u, v) are pixels over the whole exposure, u to the
right and v *upwards*; everywhere else in blurbench y points down. The kernel is that of MATLAB's `fspecial('motion', length, angle)`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import cv2
import numpy as np

from blurbench import strict
from blurbench.errors import RecipeError
from blurbench.types import F32, F64

Variant = Literal["none", "per-pixel", "uniform"]
Uniform = Literal["linear"]
Taps = tuple[tuple[int, int, float], ...]
_TILE = 64  # rows and columns blurred together: float32 sums of this size stay in the processor's cache


@dataclass(frozen=True)
class Maxima:
    """Largest values of a field's parameters, each drawn uniformly from [-max, max].

    shift_x, shift_y: pixels. gradient_x, gradient_y: change of the shift across the picture, relative to it. zoom: factor of r^1.5, r the
    distance to the centre in pixels. turn: degrees. centre: pixels by which the centre of turn and zoom is off the picture's.
    """

    shift_x: float
    shift_y: float
    gradient_x: float
    gradient_y: float
    zoom: float
    turn: float
    centre: float


STRENGTHS = {
    "strong": Maxima(27, 27, 0.3, 0.3, 5e-3, 180 / 70, 15),
    "mild": Maxima(19, 19, 0.25, 0.25, 2e-3, 180 / 120, 5),
}


@dataclass(frozen=True)
class Kernels:
    """The table [kernels] of a recipe: sharp pictures are blurred by kernels, no frames are averaged.

    variant: `per-pixel`, a field a sample; `uniform`, one kernel a sample, of a set of `count`; `none`, frames are averaged after all.
    maps: samples of a picture, by split. strength: strong, mild, or a table of all `Maxima`. unblurred: one more sample of each picture,
    without blur. noise: standard deviation in grey levels (0 to 255), added before rounding. uniform: shape of the kernels of `uniform`.
    """

    variant: Variant = "none"
    maps: dict[str, int] = dataclasses.field(default_factory=dict)
    strength: str | dict[str, float] = "strong"
    unblurred: bool = False
    noise: float = 0.001
    uniform: Uniform = "linear"
    count: int = 0

    def samples(self, split: str) -> int:
        """Samples that each picture of a split gives. Raises RecipeError for a split that `maps` does not name."""
        if split not in self.maps:
            raise RecipeError(f"kernels.maps has no number for split {split!r}, only for {', '.join(self.maps)}; add one, or use --split")
        return self.maps[split] + self.unblurred

    def maxima(self) -> Maxima:
        """What `strength` stands for. Raises RecipeError."""
        if not isinstance(self.strength, dict):
            names = ", ".join(STRENGTHS)
            strict.require("[kernels]", "strength", self.strength, self.strength in STRENGTHS, f"{names} or a table of maxima")
            return STRENGTHS[self.strength]
        for key, value in self.strength.items():
            strict.require("[kernels.strength]", key, value, not isinstance(value, int | float) or value >= 0, "a number of at least 0")
        return strict.build(Maxima, self.strength, "[kernels.strength]")

    def check(self, where: str) -> None:
        """Raises RecipeError for values that cannot be."""
        strict.one_of(where, "kernels.variant", self.variant, Variant)
        strict.one_of(where, "kernels.uniform", self.uniform, Uniform)
        strict.require(where, "kernels.noise", self.noise, self.noise >= 0, "grey levels, at least 0")
        numbers = isinstance(self.maps, dict) and all(strict.whole(count, 1) for count in self.maps.values())
        right = numbers and bool(self.maps) == (self.variant != "none")
        strict.require(where, "kernels.maps", self.maps, right, "whole numbers of at least 1 by split, e.g. { train = 50, test = 3 }")
        right = self.count >= 1 if self.variant == "uniform" else self.count == 0
        strict.require(where, "kernels.count", self.count, right, "the number of kernels of the variant 'uniform', 0 for others")
        self.maxima()


def field(size: tuple[int, int], maxima: Maxima, rng: np.random.Generator) -> F64:
    """(H, W, 2) float64, whole numbers: a random field of (u, v), v upwards, as published by Gong et al.

    With columns w = 1..W from the left, rows h = 1..H from the top and h' = H + 1 - h from the bottom:
    u = tx (1 - ax/2) + ax tx w / W and v = ty (1 - ay/2) + ay ty h' / H. To these the turn adds tan(turn) r (sin(a - 90°), cos(a - 90°))
    and the zoom tz r^1.5 (sin a, cos a), where r is the distance of (w, h) and a the direction of (w, h') from the centre. The authors
    pair sine and cosine so, and measure r and a with rows counted from either end. The picture's centre is (W/2, H/2): not stated.
    """
    height, width = size
    tx, ty, ax, ay, zoom, turn, x, y = rng.uniform(-1, 1, 8) * [
        *(maxima.shift_x, maxima.shift_y, maxima.gradient_x, maxima.gradient_y),
        *(maxima.zoom, np.radians(maxima.turn), maxima.centre, maxima.centre),
    ]
    x, y = width / 2 + x, height / 2 + y
    w = np.arange(1, width + 1, dtype=np.float64)[None]
    h = np.arange(1, height + 1, dtype=np.float64)[:, None]
    up = height + 1 - h
    r, a = np.hypot(w - x, h - y), np.arctan2(up - y, w - x)
    turned, zoomed = np.tan(turn) * r, zoom * r**1.5
    u = tx * (1 - ax / 2) + w * ax * tx / width - turned * np.cos(a) + zoomed * np.sin(a)
    v = ty * (1 - ay / 2) + up * ay * ty / height + turned * np.sin(a) + zoomed * np.cos(a)
    exact = np.stack([u, v], axis=-1)
    return np.asarray(np.copysign(np.floor(np.abs(exact) + 0.5), exact)) + 0.0  # half away from zero; + 0.0: no negative zero


def uniform_motion(maxima: Maxima, rng: np.random.Generator) -> F64:
    """(2,) float64 (u, v), v upwards: one motion for the whole picture. Not rounded to pixels, or few kernels would differ, but to what
    float16 holds (1/64 pixel, finer below 16), so that a stored label is exact.
    """
    return (rng.uniform(-1, 1, 2) * [maxima.shift_x, maxima.shift_y]).astype(np.float16).astype(np.float64)


def kernel(u: float, v: float) -> F64:
    """(K, L) float64, odd sizes, sum 1: the anti-aliased line of length |(u, v)| in the direction of (u, v), v upwards.

    A pixel weighs 1 - its distance to the line (0 from a distance of 1), a line of half length (length - 1) / 2. Pixels at least as far
    from the middle as the line's ends are measured from the nearer end point, as `fspecial` does. Shorter than 1: no blur.
    """
    length = max(1.0, float(np.hypot(u, v)))
    half = (length - 1) / 2
    cosine, sine = (u / length, v / length) if half else (1.0, 0.0)
    columns, rows = int(half * abs(cosine)) + 1, int(half * abs(sine)) + 1
    x, y = np.arange(-columns, columns + 1)[None], np.arange(rows, -rows - 1, -1)[:, None]
    along, aside = x * cosine + y * sine, np.abs(y * cosine - x * sine)
    beyond = np.hypot(x, y) >= half
    distance = np.where(beyond, np.hypot(aside, half - np.abs(along)), aside)
    weights = np.maximum(0.0, 1 - distance)
    weights[weights < 1e-9] = 0  # the rounding of a distance of exactly 1
    return np.asarray(weights / weights.sum())


@lru_cache(maxsize=4096)
def taps(u: float, v: float) -> Taps:
    """`kernel` as (row, column, weight) of each pixel that is not 0, counted from its middle."""
    weights = kernel(u, v)
    rows, columns = weights.shape[0] // 2, weights.shape[1] // 2
    return tuple((int(y) - rows, int(x) - columns, float(weights[y, x])) for y, x in np.argwhere(weights))


def blur(image: F32, motion: F64) -> F32:
    """(H, W, 3) float32 of any range -> the same blurred with each pixel's own kernel; motion: (H, W, 2) or (2,), (u, v), v upwards.

    Borders are replicated. Pixels of one kernel are blurred together, tile by tile: sums of shifted pictures, the same on any machine.
    """
    height, width, _ = image.shape
    motion = np.broadcast_to(motion, (height, width, 2))
    margin = int(np.hypot(motion[..., 0], motion[..., 1]).max()) // 2 + 2
    padded = np.asarray(cv2.copyMakeBorder(image, margin, margin, margin, margin, cv2.BORDER_REPLICATE), np.float32)
    result = np.empty_like(image)
    for top in range(0, height, _TILE):
        for left in range(0, width, _TILE):
            tile = motion[top : top + _TILE, left : left + _TILE]
            for (u, v), rows, columns, mine in _groups(tile):
                box = (top + rows.start, left + columns.start, rows.stop - rows.start, columns.stop - columns.start)
                blurred = _convolve(padded, box, margin, taps(u, v))
                target = result[top + rows.start : top + rows.stop, left + columns.start : left + columns.stop]
                np.copyto(target, blurred, where=mine[..., None])
    return result


def half_plane(motion: F64) -> F64:
    """(..., 2) (u, v) with both components negated where u < 0: a line has no direction. The label of the published data (`uv_half`)."""
    return np.where(motion[..., :1] < 0, -motion, motion) + 0.0


def valid_box(size: tuple[int, int], motion: F64) -> tuple[int, int, int, int]:
    """(top, left, height, width) of what the published data keep: without floor(max|v| / 2) rows and floor(max|u| / 2) columns a side.

    height or width is 0 or less when nothing is left.
    """
    left, top = (int(np.abs(motion[..., axis]).max() // 2) for axis in (0, 1))
    return top, left, size[0] - 2 * top, size[1] - 2 * left


def _groups(motion: F64) -> Iterator[tuple[tuple[float, float], slice, slice, np.ndarray[Any, np.dtype[np.bool_]]]]:
    """Each motion that occurs in (h, w, 2), the rows and columns around its pixels, and which pixels in there are its own."""
    codes, members = np.unique(motion[..., 0] + 1j * motion[..., 1], return_inverse=True)
    members = members.reshape(motion.shape[:2])
    for number, code in enumerate(codes):
        mine = members == number
        rows, columns = np.flatnonzero(mine.any(axis=1)), np.flatnonzero(mine.any(axis=0))
        down, across = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
        yield (float(code.real), float(code.imag)), down, across, mine[down, across]


def _convolve(padded: F32, box: tuple[int, int, int, int], margin: int, taps: Taps) -> F32:
    """The blurred pixels of a box (top, left, height, width) of the picture. The kernel is its own mirror image."""
    top, left, height, width = box
    total, part = np.zeros((height, width, 3), np.float32), np.empty((height, width, 3), np.float32)
    for row, column, weight in taps:
        y, x = top + margin + row, left + margin + column
        np.multiply(padded[y : y + height, x : x + width], np.float32(weight), out=part)
        total += part
    return total
