"""The sheet of solutions: the close-up is where it moves, and of many frames some are shown."""

import cv2
import numpy as np
import pytest

from blurbench.report.figures import resized, solutions_sheet
from blurbench.types import Sample
from tests.baselines.inputs import picture
from tests.pictures import holds


def still(count, size=(32, 40)):
    """A sample and frames that differ nowhere but in a box at (9, 20) of a quarter of the size."""
    blurry = picture(*size)
    frames = np.repeat(blurry[None], count, axis=0)
    frames[:, 9:17, 20:30] = np.arange(count, dtype=np.uint8)[:, None, None, None] * 9
    return Sample("s", "v", blurry, frames, np.linspace(0, 1, count), "srgb"), frames


def test_the_close_up_is_where_it_moves():
    sample, frames = still(3)
    sheet = solutions_sheet(sample, {"m": frames}, width=40)
    for frame in frames:
        assert len(holds(sheet, frame)) == 1 and len(holds(sheet, resized(frame[9:17, 20:30], 40))) == 1
    marked = sample.blurry.copy()
    cv2.rectangle(marked, (20, 9), (29, 16), (255,) * 3, 2)
    cv2.rectangle(marked, (20, 9), (29, 16), (30,) * 3, 1)
    assert len(holds(sheet, marked)) == 1 and len(holds(sheet, resized(sample.blurry[9:17, 20:30], 40))) == 1


def test_the_close_up_of_one_frame_is_where_it_differs_from_the_blur():
    sample, frames = still(1)
    sheet = solutions_sheet(sample, {"m": frames}, width=40)
    assert len(holds(sheet, resized(sample.blurry[9:17, 20:30], 40))) == 1


@pytest.mark.parametrize("count", [1, 3])
def test_what_does_not_move_has_no_close_up(count):
    sample, _ = still(count)
    sheet = solutions_sheet(sample, {"m": np.repeat(sample.blurry[None], count, axis=0)}, width=40)
    assert len(holds(sheet, sample.blurry)) == 1 + count  # the blurry picture has no frame drawn into it
    moving = solutions_sheet(sample, {"m": sample.sharp[::-1]}, width=40)
    assert sheet.shape[0] < moving.shape[0] - 30


def test_of_many_frames_some_are_shown_with_the_first_and_the_last():
    sample, frames = still(25)
    sheet = solutions_sheet(sample, {"m": frames}, width=40)
    shown = [index for index, frame in enumerate(frames) if holds(sheet, frame)]
    assert len(shown) == 16 and shown[0] == 0 and shown[-1] == 24 and set(np.diff(shown)) == {1, 2}
