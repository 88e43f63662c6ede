"""Pictures for people: what a sample looks like, what methods made of it, and counts as bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from blurbench.types import F64, U8, Sample

_GAP, _LABEL = 4, 22
_PAPER, _INK, _FAINT = 255, 30, 120
_BAR = (70, 110, 160)
_FONT, _SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.45


def sample_sheet(sample: Sample, predictions: Mapping[str, U8], width: int = 320) -> U8:
    """One row for the truth and one a method: the blurry image, then the first, middle and last frame, each `width` pixels wide.

    predictions: (T, H, W, 3) uint8 by name. Returns (H', W', 3) uint8.
    """
    rows = [_row(["blurry input", *_numbers(len(sample.sharp), "true frame")], [sample.blurry, *_pick(sample.sharp)], width)]
    for name, frames in predictions.items():
        rows.append(_row([name, *_numbers(len(frames), "frame")], [sample.blurry, *_pick(frames)], width))
    return _stack(rows)


def contact_sheet(samples: Sequence[Sample], notes: Sequence[str] = (), width: int = 240) -> U8:
    """A row a sample: its id and note; its blurry image, its first, middle and last target, and its guidance where it has one.

    notes: a few words a sample, e.g. how blurred it is. width: of each picture. Returns (H', W', 3) uint8.
    """
    rows = []
    for sample, note in zip(samples, notes or [""] * len(samples), strict=True):
        seen = [f"t = {sample.times[i]:.2f}" for i in _places(len(sample.sharp))]
        labels = [f"{number}, {time}" for number, time in zip(_numbers(len(sample.sharp), "target"), seen, strict=True)]
        labels, pictures = ["blurry", *labels], [sample.blurry, *_pick(sample.sharp)]
        if "guidance" in sample.extras:
            labels.append("guidance")
            pictures.append(_guidance(sample))
        row = _row(labels, pictures, width)
        rows.append(np.vstack([title(sample.id, note, row.shape[1]), row]))
    return framed(_stack(rows))


def title(text: str, note: str, width: int) -> U8:
    """A strip (30, width, 3) with a text at the left and, fainter, a note at the right; the text is cut where they would meet."""
    strip = np.full((_LABEL, width, 3), _PAPER, np.uint8)
    room = width - _GAP - _text(strip, note, width - _GAP - _width(note), _FAINT)
    _text(strip, _fitted(text, room - 3 * _GAP), 2, _INK)
    return np.vstack([np.full((2 * _GAP, width, 3), _PAPER, np.uint8), strip])


def label(image: U8, text: str) -> U8:
    """The picture (H, W, 3) with a line of text above it, (H + 22, W, 3)."""
    strip = np.full((_LABEL, image.shape[1], 3), _PAPER, np.uint8)
    _text(strip, _fitted(text, image.shape[1]), 2, _INK)
    return np.vstack([strip, image])


def resized(image: U8, width: int) -> U8:
    """The picture at this width, in its proportions."""
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    kernel = cv2.INTER_AREA if width < image.shape[1] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (width, height), interpolation=kernel), np.uint8)


def bars(heading: str, names: Sequence[str], counts: Sequence[int] | F64, width: int = 420) -> U8:
    """Horizontal bars, one a name, each with its count, below a heading; (H', width, 3) uint8."""
    left, right = max(map(_width, names)) + 12, max(_width(str(count)) for count in counts) + 14
    longest = max(1, *counts)
    lines = [title(heading, "", width)]
    for name, count in zip(names, counts, strict=True):
        line = np.full((_LABEL, width, 3), _PAPER, np.uint8)
        end = left + round((width - left - right) * float(count) / float(longest))
        line[3:-3, left : max(end, left + 1)] = _BAR if count else _FAINT
        _text(line, name, left - 8 - _width(name), _INK)
        _text(line, str(count), end + 6, _INK)
        lines.append(line)
    return np.vstack(lines)


def beside(pictures: Sequence[U8]) -> U8:
    """Pictures side by side on paper, tops aligned."""
    tallest = max(picture.shape[0] for picture in pictures)
    return np.hstack([_padded(picture, tallest, picture.shape[1] + 4 * _GAP) for picture in pictures])


def below(pictures: Sequence[U8]) -> U8:
    """Pictures one below the other on paper, left sides aligned."""
    return _stack(pictures)


def framed(picture: U8) -> U8:
    """The picture with a margin of paper."""
    return np.pad(picture, [(2 * _GAP, 2 * _GAP), (2 * _GAP, 2 * _GAP), (0, 0)], constant_values=_PAPER)


def _guidance(sample: Sample) -> U8:
    from blurbench.synth.guidance import classes, colours, enlarged

    return colours(classes(enlarged(sample.extras["guidance"], sample.blurry.shape[:2])))


def _pick(frames: U8) -> list[U8]:
    return [frames[i] for i in _places(len(frames))]


def _numbers(count: int, word: str) -> list[str]:
    return [f"{word} {i + 1} of {count}" for i in _places(count)]


def _places(count: int) -> list[int]:
    return sorted({0, count // 2, count - 1})


def _row(labels: list[str], images: list[U8], width: int) -> U8:
    cells = [label(resized(image, width), text) for text, image in zip(labels, images, strict=True)]
    return np.hstack([_padded(cell, cell.shape[0], width + _GAP) for cell in cells])


def _stack(rows: Sequence[U8]) -> U8:
    widest = max(row.shape[1] for row in rows)
    return np.vstack([_padded(row, row.shape[0] + _GAP, widest) for row in rows])


def _padded(image: U8, height: int, width: int) -> U8:
    """With paper below and at the right."""
    return np.pad(image, [(0, height - image.shape[0]), (0, width - image.shape[1]), (0, 0)], constant_values=_PAPER)


def _text(image: U8, text: str, left: int, shade: int) -> int:
    """Write on a strip; returns the width of the text."""
    cv2.putText(image, text, (left, _LABEL - 7), _FONT, _SCALE, (shade,) * 3, 1, cv2.LINE_AA)
    return _width(text)


def _width(text: str) -> int:
    return int(cv2.getTextSize(text, _FONT, _SCALE, 1)[0][0])


def _fitted(text: str, room: int) -> str:
    """The text, or its end after dots: ids differ at the end."""
    if _width(text) <= room:
        return text
    while text and _width(f"..{text}") > room:
        text = text[1:]
    return f"..{text}"
