"""Motion guidance drawn by a person: polygons of an annotation tool, each labelled with the direction in which its content moved.

The file is JSON as labelme writes it; read are `imageHeight`, `imageWidth`, and of each of the `shapes` its `label`, `points` and
`shape_type`. Points are pixels from the top left corner of the picture: the centre of its first pixel is (0.5, 0.5).

A label is a quadrant, `I` (right and up), `II` (left and up), `III` (left and down) or `IV` (right and down); `still`; or an angle in
degrees, counterclockwise from the right: 0 right, 90 up, 180 left, 270 down. Quadrant I takes the angles from 0 to below 90, II those
from 90 to below 180, and so on: an angle on an axis counts to the quadrant to which `guidance` counts a motion along it.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurbench.errors import RecipeError
from blurbench.strict import require, whole
from blurbench.synth.guidance import I8, vectors
from blurbench.types import F64

LABELS = ("still", "I", "II", "III", "IV")
"""Labels of the classes 0 to 4 of guidance."""

_EXPECTED = f"{', '.join(LABELS)}, or an angle in degrees from 0 to below 360 (0 right, 90 up, 180 left, 270 down)"
_ANGLE = re.compile(r"[+-]?[0-9]{1,9}(\.[0-9]*)?")
_FARTHEST = 1e6  # pixels; no picture reaches out there
_POINTS = {"polygon": (3, 10**6, "at least 3 points"), "rectangle": (2, 2, "2 opposite corners")}


def read_labelme(path: Path, size: tuple[int, int]) -> I8:
    """Guidance (H, W, 2) int8 as drawn in a labelme file, for a picture of `size` (H, W).

    A pixel takes the label of the last shape, polygon or rectangle, that its centre lies in (see `filled`); in none, it is still.
    Raises RecipeError, which names the field, for a file that is no such JSON, has no shape or belongs to a picture of another size, for
    an unknown label or kind of shape, and for a shape that covers no pixel.
    """
    file = _parsed(path)
    for key, expected in (("imageHeight", size[0]), ("imageWidth", size[1])):
        found = _field(str(path), file, key)
        mend = f"{expected}, for the picture is {size[1]}x{size[0]} (width x height); annotate it in the size in which it is animated"
        require(str(path), key, found, whole(found, 1) and found == expected, mend)
    shapes = _field(str(path), file, "shapes")
    drawn = isinstance(shapes, list) and bool(shapes)
    require(str(path), "shapes", shapes, drawn, "a list of polygons; draw one around what moved and label it with the direction")
    numbers = np.zeros(size, np.uint8)
    for index, shape in enumerate(shapes):
        where = f"{path}: shapes[{index}]"
        if not isinstance(shape, dict):
            raise RecipeError(f"{where} is {shape!r:.60}, expected an object with label, points and shape_type")
        number = direction(_field(where, shape, "label"), where)
        covered = filled(_outline(shape, where), size)
        if not covered.any():
            raise RecipeError(
                f"{where}: points cover no pixel of the picture ({size[1]}x{size[0]}), expected a polygon inside it; redraw it"
            )
        numbers[covered] = number
    return vectors(numbers)


def filled(corners: F64, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Which pixels (H, W) of a picture of `size` (H, W) have their centres in a polygon of corners (P, 2), x before y, closed by itself.

    By the even-odd rule: where a polygon crosses itself, what it goes round twice is outside. Of the centres on its edge those at the
    left and at the top are in, so that polygons which share an edge share no pixel.
    """
    height, width = size
    centres = np.arange(height) + 0.5
    ends = np.zeros((height, width + 1), np.int64)  # of runs of pixels that begin at the left border, one for each crossing of an edge
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        rows = np.flatnonzero((ay > centres) != (by > centres))
        crossing = (ax * (by - ay) + (centres[rows] - ay) * (bx - ax)) / (by - ay)
        ends[rows, np.clip(np.ceil(crossing - 0.5), 0, width).astype(np.int64)] += 1
    runs = ends[:, ::-1].cumsum(axis=1)[:, ::-1]
    odd: NDArray[np.bool_] = runs[:, 1:] % 2 == 1
    return odd


def direction(label: Any, where: str = "annotation") -> int:
    """Class 0 to 4 of guidance of a label. Raises RecipeError, which begins with `where`, for one that is none."""
    if label in LABELS:
        return LABELS.index(label)
    text = label.strip().removesuffix("°") if isinstance(label, str) else ""
    require(where, "label", label, bool(_ANGLE.fullmatch(text)), _EXPECTED)
    angle = float(text)
    require(where, "label", label, 0 <= angle < 360, f"an angle from 0 to below 360; write {angle % 360:g} for this direction")
    return 1 + int(angle // 90)


def _parsed(path: Path) -> dict[str, Any]:
    try:
        file = json.loads(path.read_bytes())
    except OSError as error:
        raise RecipeError(f"{path} cannot be read: {error.strerror or error}; expected a labelme file") from error
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"{path} is not JSON ({error}), expected the file that labelme saves; save it again") from error
    if not isinstance(file, dict):
        raise RecipeError(f"{path} holds {file!r:.60}, expected an object with shapes, imageHeight and imageWidth, as labelme saves it")
    return file


def _field(where: str, table: dict[str, Any], key: str) -> Any:
    if key not in table:
        raise RecipeError(f"{where} lacks {key}, expected it as labelme saves it; save the file with labelme again")
    return table[key]


def _outline(shape: dict[str, Any], where: str) -> F64:
    """The corners (P, 2) of a shape, x before y, in pixels."""
    kind = shape.get("shape_type", "polygon")
    require(where, "shape_type", kind, isinstance(kind, str) and kind in _POINTS, f"{' or '.join(_POINTS)}; draw it as one")
    points = _field(where, shape, "points")
    least, most, expected = _POINTS[kind]
    if not isinstance(points, list) or not least <= len(points) <= most:
        count = len(points) if isinstance(points, list) else "no list of"
        raise RecipeError(f"{where}: points has {count} points, expected {expected} for a {kind}; redraw it")
    for index, point in enumerate(points):
        right = isinstance(point, list) and len(point) == 2 and all(map(_is_place, point))
        require(where, f"points[{index}]", point, right, "[x, y] in pixels; redraw it")
    corners = np.array(points, np.float64)
    if kind == "rectangle":
        (left, top), (right, bottom) = corners
        corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    return corners


def _is_place(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and abs(value) < _FARTHEST
