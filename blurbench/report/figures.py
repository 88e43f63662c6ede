"""Pictures for people: what a sample looks like, and what methods made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from blurbench.types import U8, Sample

_GAP, _LABEL, _SHOWN = 4, 22, 3
_PAPER, _INK = 255, 30


def sample_sheet(sample: Sample, predictions: Mapping[str, U8], width: int = 320) -> U8:
    """One row for the truth and one a method: the blurry image, then the first, middle and last frame, each `width` pixels wide.

    predictions: (T, H, W, 3) uint8 by name. Returns (H', W', 3) uint8.
    """
    rows = [_row(["blurry input", *_times(len(sample.sharp), "true")], [sample.blurry, *_pick(sample.sharp)], width)]
    for name, frames in predictions.items():
        rows.append(_row([name, *_times(len(frames), "")], [sample.blurry, *_pick(frames)], width))
    return _stack(rows)


def contact_sheet(samples: Sequence[Sample], width: int = 240) -> U8:
    """A row a sample: its blurry image and its first, middle and last target."""
    rows = [_row([sample.id, *_times(len(sample.sharp), "")], [sample.blurry, *_pick(sample.sharp)], width) for sample in samples]
    return _stack(rows)


def _pick(frames: U8) -> list[U8]:
    return [frames[i] for i in _places(len(frames))]


def _times(count: int, word: str) -> list[str]:
    return [f"{word} frame {i + 1} of {count}".strip() for i in _places(count)]


def _places(count: int) -> list[int]:
    return sorted({0, count // 2, count - 1})


def _row(labels: list[str], images: list[U8], width: int) -> U8:
    cells = []
    for label, image in zip(labels, images, strict=True):
        height = max(1, round(image.shape[0] * width / image.shape[1]))
        kernel = cv2.INTER_AREA if width < image.shape[1] else cv2.INTER_CUBIC
        cell = np.full((height + _LABEL, width + _GAP, 3), _PAPER, np.uint8)
        cell[_LABEL:, :width] = cv2.resize(image, (width, height), interpolation=kernel)
        cv2.putText(cell, label, (2, _LABEL - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (_INK,) * 3, 1, cv2.LINE_AA)
        cells.append(cell)
    cells += [np.full_like(cells[0], _PAPER)] * (1 + _SHOWN - len(cells))
    return np.hstack(cells)


def _stack(rows: list[U8]) -> U8:
    widest = max(row.shape[1] for row in rows)
    return np.vstack([np.pad(row, [(0, _GAP), (0, widest - row.shape[1]), (0, 0)], constant_values=_PAPER) for row in rows])
