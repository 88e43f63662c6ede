"""Pictures for people: what a sample looks like, what methods made of it, and counts as bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from blurbench.types import F64, U8, Sample

_GAP, _LABEL = 4, 22
_PAPER, _INK, _FAINT = 255, 30, 120
_BAR = (70, 110, 160)
_MOST = 16  # frames in a row of a sheet of solutions
_SHEET, _NARROWEST, _WIDEST = 2200, 120, 480  # its width, and those of a picture in it
_LEGEND = "guidance: red up-right, green up-left, yellow down-left, blue down-right, black still"
_FONT, _SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.45


def sample_sheet(sample: Sample, clips: Mapping[str, U8], notes: Mapping[str, str] | None = None, width: int = 320) -> U8:
    """Below the sample's id a row for the truth and one a clip: the blurry input, then the first, middle and last frame.

    clips: (T, H, W, 3) uint8 by name; notes: a few words by name, where there are any. width: of each picture. Returns (H', W', 3) uint8.
    """
    rows, notes = [], notes or {}
    for name, frames in {"truth": sample.sharp, **clips}.items():
        row = _row(["blurry input", *_numbers(len(frames), "frame")], [sample.blurry, *_pick(frames)], width)
        rows.append((f"{name}: {notes[name]}" if name in notes else name, row))
    widest = max(row.shape[1] for _, row in rows)
    return framed(np.vstack([title(sample.id, "", widest), *(_titled(name, row, widest) for name, row in rows)]))


def contact_sheet(samples: Sequence[Sample], notes: Sequence[str] = (), width: int = 240) -> U8:
    """A row a sample: its id and note; its blurry image, its first, middle and last target, and its guidance where it has one.

    Where there is guidance, a line above all says what its colours mean. notes: a few words a sample, e.g. how blurred it is. width: of
    each picture. Returns (H', W', 3) uint8.
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
    if any("guidance" in sample.extras for sample in samples):
        rows.insert(0, title("", _LEGEND, max(row.shape[1] for row in rows)))
    return framed(_stack(rows))


def solutions_sheet(sample: Sample, solutions: Mapping[str, U8], note: str = "", width: int | None = None) -> U8:
    """A row for each solution: the blurry picture, guidance where the sample has it, and the frames; below them a close-up of each.

    The close-up, a quarter as high and wide, is where the first solution moves most; the blurry picture has it framed. Where that solution
    does not move there is none.
    solutions: (T, H, W, 3) uint8 by title. Of more than 16 frames 16 are shown, evenly spread, the first and the last among them.
    note: beside the sample's id. width: of each picture; by default so that a row is about 2200 wide. Returns (H', W', 3) uint8.
    """
    labels, pictures = ["blurry"], [sample.blurry]
    if "guidance" in sample.extras:
        labels, pictures = ["blurry", "motion guidance"], [sample.blurry, _guidance(sample)]
        note = ", ".join(filter(None, [note, _LEGEND]))
    columns = len(labels) + min(_MOST, max(map(len, solutions.values())))
    width = width or min(_WIDEST, max(_NARROWEST, _SHEET // columns))
    box = _liveliest(next(iter(solutions.values())), sample.blurry)
    rows = []
    for name, frames in solutions.items():
        shown = np.linspace(0, len(frames) - 1, min(_MOST, len(frames))).round().astype(int).tolist()
        row = [*pictures, *(frames[i] for i in shown)]
        whole = [resized(one, width) for one in row]
        texts = [*labels, *(f"frame {i + 1} of {len(frames)}" for i in shown)]
        if box is not None:
            whole[0] = _marked(whole[0], box, width / sample.blurry.shape[1])
        far = _cells([label(one, text) for one, text in zip(whole, texts, strict=True)], width)
        near = [] if box is None else [_cells([resized(one[box], width) for one in row], width)]
        rows.append((name, _stack([far, *near])))
    widest = max(row.shape[1] for _, row in rows)
    return framed(np.vstack([title(sample.id, note, widest), *(_titled(name, row, widest) for name, row in rows)]))


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
    return _cells([label(resized(image, width), text) for text, image in zip(labels, images, strict=True)], width)


def _cells(pictures: Sequence[U8], width: int) -> U8:
    """Pictures of this width side by side, tops aligned, a gap behind each."""
    tallest = max(picture.shape[0] for picture in pictures)
    return np.hstack([_padded(picture, tallest, width + _GAP) for picture in pictures])


def _titled(name: str, row: U8, width: int) -> U8:
    return np.vstack([title(name, "", width), _padded(row, row.shape[0], width)])


def _marked(picture: U8, box: tuple[slice, slice], scale: float) -> U8:
    """The picture with a frame around a box, which is given before scaling."""
    (top, bottom), (left, right) = ((round(side.start * scale), round(side.stop * scale) - 1) for side in box)
    drawn = picture.copy()
    cv2.rectangle(drawn, (left, top), (right, bottom), (_PAPER,) * 3, 2)
    cv2.rectangle(drawn, (left, top), (right, bottom), (_INK,) * 3, 1)
    return drawn


def _liveliest(frames: U8, blurry: U8) -> tuple[slice, slice] | None:
    """Rows and columns, a quarter of each, in which the frames (T, H, W, 3) differ most, of one frame from the blurry picture; None where
    they are all alike.
    """
    seen = frames if len(frames) > 1 else np.stack([frames[0], blurry])
    change = (seen.max(axis=0) - seen.min(axis=0)).sum(axis=-1, dtype=np.float64)
    if not change.any():
        return None
    height, width = (-(-side // 4) for side in change.shape)
    sums = cv2.integral(change)
    inside = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    top, left = np.unravel_index(int(inside.argmax()), inside.shape)
    return slice(int(top), int(top) + height), slice(int(left), int(left) + width)


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
