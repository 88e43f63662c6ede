import numpy as np
import pytest

from blurbench.errors import UnknownNameError
from blurbench.video import interpolate
from blurbench.video.render import RenderedSource
from blurbench.video.source import Frame


def psnr(a, b):
    return -10 * np.log10(np.mean((a - b) ** 2))


@pytest.fixture(scope="module")
def planes():
    source = RenderedSource("test", 0, frames=5, size=(96, 160))
    return [frame.image.transpose(2, 0, 1).astype(np.float32) / 255 for frame in source.frames()]


@pytest.mark.parametrize("middle", [1, 2])
def test_flow_beats_the_mean_of_the_neighbours(planes, middle):
    a, truth, b = planes[0], planes[middle], planes[2 * middle]
    made = interpolate.load("flow").between(a, b, [0.5])
    assert made.shape == (1, *a.shape)
    assert psnr(made[0], truth) > psnr((a + b) / 2, truth) + 4


def test_times_move_evenly(planes):
    """The frame at 1/4 is nearest to the true quarter frame, not to the others."""
    made = interpolate.load("flow").between(planes[0], planes[4], [0.25, 0.5, 0.75])
    for index in range(3):
        errors = [psnr(made[index], planes[k]) for k in (1, 2, 3)]
        assert int(np.argmax(errors)) == index


def test_equal_frames_give_the_same_frame(planes):
    made = interpolate.load("flow").between(planes[0], planes[0], [0.3])
    assert np.abs(made[0] - planes[0]).max() < 1e-3


def test_unknown_name():
    with pytest.raises(UnknownNameError, match="known: flow, none"):
        interpolate.load("flo w")


def moments(factor, wanted=lambda k: True, count=3):
    frames = (Frame(np.full((16, 16, 3), 40 * i, np.uint8), i / 10) for i in range(count))
    return list(interpolate.stream(frames, interpolate.load("flow" if factor > 1 else "none"), factor, wanted))


def test_stream_counts_positions_and_times():
    stream = moments(4)
    assert [m.position for m in stream] == [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2]
    assert [m.time for m in stream] == pytest.approx([p * 0.1 for p in np.arange(9) / 4])
    assert [m.position for m in moments(1)] == [0, 1, 2]


def test_stream_makes_only_what_is_wanted():
    stream = moments(4, wanted=lambda k: k in (0, 2, 5))
    assert [m is not None for m in stream] == [True, False, True, False, True, True, False, False, True]
