"""Moving files: each frame as long as it was given, and pictures that a format does not hold."""

import numpy as np
import pytest

from blurbench.errors import BlurbenchError
from blurbench.report.animation import write_loop, write_moving
from tests.baselines.inputs import picture
from tests.pictures import loop


def test_pictures_that_no_webp_holds_are_told(tmp_path):
    with pytest.raises(BlurbenchError, match="OpenCV cannot encode 2 frames of 16400x1; take smaller pictures"):
        write_moving(tmp_path / "a.webp", list(np.zeros((2, 1, 16400, 3), np.uint8)), 10)
    assert not list(tmp_path.iterdir())


def test_equal_frames_are_shown_as_long_as_all_of_them(tmp_path):
    one, two = picture(12, 14), picture(12, 14, 1.0)
    write_moving(tmp_path / "a.webp", [one, one, one, two, one], 10)
    frames, milliseconds = loop(tmp_path / "a.webp")
    np.testing.assert_array_equal(frames, [one, one, one, two, one])
    assert sum(milliseconds) == 500


def test_a_loop_keeps_each_frame_s_time(tmp_path):
    frames = [picture(12, 14, phase) for phase in (0.0, 1.0, 2.0)]
    write_loop(tmp_path / "a.webp", frames, [20, 700, 41])
    back, milliseconds = loop(tmp_path / "a.webp", 20)
    np.testing.assert_array_equal(back, np.repeat(frames, [1, 35, 2], axis=0))
    assert milliseconds == [20, 700, 41]
