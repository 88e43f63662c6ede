"""Boxes around persons: read from beside a source, and samples cropped to them."""

from __future__ import annotations

import csv
import hashlib
import io
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from blurbench.errors import SourceError
from blurbench.synth.framing import crop_corner, resized
from blurbench.synth.guidance import enlarged
from blurbench.synth.tables import Boxes as Rule
from blurbench.synth.tables import Frame
from blurbench.video.source import Source

_COLUMNS = ("frame", "x_min", "y_min", "x_max", "y_max")
Box = tuple[float, float, float, float]
"""x_min, y_min, x_max, y_max."""
Part = tuple[int, int, int, int]
"""left, top, right, bottom of a part of a picture that is not empty; right and bottom lie behind it."""


def find(source: Source) -> Path | None:
    """`<video>.boxes.csv` beside a video or image folder; None where there is no such file."""
    path: Path | None = getattr(source, "path", None) or getattr(source, "folder", None)
    if path is None:
        return None
    place = path.resolve() if path.name in ("", "..") else path  # given as `.` or `..`
    table = place.with_name(f"{source.id}.boxes.csv")
    return table if table.is_file() else None


def fingerprint(source: Source) -> str | None:
    """SHA-256 (hex) of the file of a source's boxes; None where it has none."""
    table = find(source)
    return hashlib.sha256(table.read_bytes()).hexdigest() if table else None


def read_boxes(source: Source) -> dict[int, Box] | None:
    """Boxes by source frame from the file beside it; None where there is none.

    Columns: frame (counted from 0), x_min, y_min, x_max, y_max in pixels of the source. Raises SourceError.
    """
    if (table := find(source)) is None:
        return None
    rows = csv.DictReader(io.StringIO(_text(table), newline=""))
    names = rows.fieldnames or ()
    if missing := [column for column in _COLUMNS if column not in names]:
        raise SourceError(
            f"{table} begins with {','.join(names)!r}, expected the names of its columns, of which {','.join(missing)} are missing; "
            f"let its first line be {','.join(_COLUMNS)}"
        )
    boxes: dict[int, Box] = {}
    for number, row in enumerate(rows, 2):
        frame, box = _parsed(row, f"{table}, line {number}")
        if frame in boxes:
            raise SourceError(f"{table}, line {number}: frame {frame} has a box already, expected one a frame; keep one of them")
        boxes[frame] = box
    return boxes


def _text(table: Path) -> str:
    try:
        return table.read_text(encoding="utf-8-sig")  # spreadsheets begin it with a mark of the byte order
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{table} cannot be read ({error}), expected a table of text in UTF-8; save it as CSV again") from error


def _parsed(row: dict[str, str], where: str) -> tuple[int, Box]:
    """Frame and box of a row. Raises SourceError, which begins with `where`."""
    try:
        box = (float(row["x_min"]), float(row["y_min"]), float(row["x_max"]), float(row["y_max"]))
        frame = int(row["frame"])
        if not all(map(math.isfinite, box)):
            raise ValueError(box)
    except (TypeError, ValueError):
        raise SourceError(f"{where} is {','.join(map(str, row.values()))!r}, expected five numbers") from None
    if box[0] >= box[2] or box[1] >= box[3]:
        raise SourceError(f"{where}: box {box} is empty, expected x_min < x_max and y_min < y_max")
    return frame, box


def widen(box: Box, ratio: float, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) after moving each side that part of the way to the border of a picture of `size` (height, width).

    As in the released reader of B-AIST++ (Zhong et al., ECCV 2022): coordinates are truncated. No side is beyond the border: a box
    outside the picture has no width or no height.
    """
    x_min, y_min, x_max, y_max = box
    height, width = size
    left, top = int((1 - ratio) * x_min), int((1 - ratio) * y_min)
    right, bottom = int(x_max + ratio * (width - x_max)), int(y_max + ratio * (height - y_max))
    left, right = (min(max(side, 0), width) for side in (left, right))
    top, bottom = (min(max(side, 0), height) for side in (top, bottom))
    return left, top, right, bottom


def part(box: Box, rule: Rule, size: tuple[int, int]) -> Part | None:
    """What of a picture of `size` (height, width) the rule crops to for this box; None where the box is outside the picture."""
    left, top, right, bottom = found = widen(box, rule.ratio, size)
    return found if left < right and top < bottom else None


def crop_sample(sample: dict[str, Any], where: Part, rule: Rule) -> None:
    """Crop all pictures and fields of a sample in place: pictures and flow resized by area, guidance by the nearest pixel.

    Flow and guidance were measured on the whole pictures; the lengths of flow become pixels of the crop. As the released reader of
    B-AIST++ does it (Zhong et al., ECCV 2022), which has no flow.
    """
    size = sample["blurry"].shape[:2]
    for name in ("blurry", "sharp"):
        sample[name] = crop(sample[name], where, rule)
    left, top, right, bottom = where
    scale = np.array([rule.width / (right - left), rule.height / (bottom - top)], np.float32)
    for name in ("flow", "flow_first_last"):
        if name in sample:
            sample[name] = (crop(sample[name].astype(np.float32), where, rule) * scale).astype(np.float16)
    if "guidance" in sample:
        whole = enlarged(sample["guidance"], size)
        sample["guidance"] = enlarged(whole[top:bottom, left:right], (rule.height, rule.width))


def crop(images: NDArray[Any], where: Part, rule: Rule) -> NDArray[Any]:
    """Pictures or fields (..., H, W, C), uint8 or float32, cropped and resized by area to the rule's width and height; dtype kept."""
    height, width, channels = images.shape[-3:]
    left, top, right, bottom = where
    flat = images.reshape(-1, height, width, channels)[:, top:bottom, left:right]
    small = [cv2.resize(np.ascontiguousarray(image), (rule.width, rule.height), interpolation=cv2.INTER_AREA) for image in flat]
    return np.asarray(small, images.dtype).reshape(*images.shape[:-3], rule.height, rule.width, channels)


def framed(box: Box, size: tuple[int, int], rule: Frame) -> Box:
    """The box of a source picture of `size` (height, width) in the framed picture; it may reach beyond its border."""
    height, width = resized(size, rule)
    top, left = crop_corner((height, width), rule)
    x, y = width / size[1], height / size[0]
    return box[0] * x - left, box[1] * y - top, box[2] * x - left, box[3] * y - top
