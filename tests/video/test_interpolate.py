import cv2
import numpy as np
import pytest
import torch

from blurbench import registry
from blurbench.errors import RecipeError, SourceError, UnknownNameError
from blurbench.video import interpolate
from blurbench.video.flow_interpolation import _Pair, splat
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


def test_splatting_moves_motion_to_where_it_arrives():
    """A square that moves by (4, 2) on a still ground, half way: its motion is found 2 right and 1 down of where it was."""
    flow = np.zeros((20, 30, 2), np.float32)
    flow[5:10, 6:12] = (4, 2)
    weight = np.ones((20, 30), np.float32)
    weight[5:10, 6:12] = 1000
    mean, arrived = splat(flow, weight, 0.5)
    assert mean[6:11, 8:14] == pytest.approx(np.broadcast_to((4, 2), (5, 6, 2)), abs=0.01)
    assert arrived[5, 6:12].tolist() == [0] * 6  # uncovered: nothing arrives
    assert (mean[5, 6:12] == 0).all() and (mean[:4] == 0).all()
    assert (arrived[7, 10], arrived[10, 12], arrived[0, 0]) == (1000, 1001, 1)  # at row 10 the ground is covered


@pytest.mark.parametrize("t", [0.25, 0.5, 0.75])
def test_motion_is_that_of_the_moment_in_between(t):
    """From exact flows of a square that moves by (16, 8): it moves where it is at that time, the ground that it covers and leaves rests."""
    there, back = np.zeros((2, 64, 96, 2), np.float32)
    there[20:40, 24:48] = (16, 8)
    back[28:48, 40:64] = (-16, -8)

    class Exact:
        def between(self, a, b):
            return there if a[0, 0, 0] == 0 else back

    pair = _Pair([np.full((64, 96, 3), value, np.uint8) for value in (0, 1)], Exact())
    expected = np.zeros((64, 96, 2), np.float32)
    top, left = int(20 + 8 * t), int(24 + 16 * t)
    expected[top : top + 20, left : left + 24] = (16, 8)
    wrong = np.abs(pair._motion(t) - expected).max(axis=2) > 0.5
    # Three pixels along its outline; two corners of ground that only it covers, and only in between, are too small to break that.
    assert wrong.sum() < 3 * 2 * (20 + 24)


@pytest.mark.parametrize("t", [0.25, 0.5, 0.75])
def test_a_moving_square_uncovers_the_ground(t):
    """What the square leaves is the ground as the second frame shows it, what it enters as the first does."""
    ground = np.random.default_rng(1).random((96, 128)).astype(np.float32)
    ground = np.repeat(cv2.GaussianBlur(ground, (0, 0), 2)[None] * 2 - 0.5, 3, axis=0).clip(0, 1)
    square = cv2.GaussianBlur(np.random.default_rng(2).random((32, 32, 3)).astype(np.float32), (0, 0), 1.5)
    square = ((square - square.mean()) * 5 + 0.5).clip(0, 1).transpose(2, 0, 1)
    pictures = []
    for left in (40, 40 + int(8 * t), 48):
        picture = ground.copy()
        picture[:, 30:62, left : left + 32] = square
        pictures.append(picture)
    made = interpolate.load("flow").between(pictures[0], pictures[2], [t])[0]
    assert psnr(made, pictures[1]) > psnr(pictures[0] * (1 - t) + pictures[2] * t, pictures[1]) + 5


@pytest.mark.parametrize("chunk", [1, 2, 5])
def test_chunks_change_nothing(planes, chunk):
    class Counting:
        def __init__(self, chunk):
            self.chunk, self.asked = chunk, []

        def between(self, a, b, times):
            self.asked.append(len(times))
            return np.stack([a * (1 - t) + b * t for t in times]).astype(np.float32)

    def images(method):
        frames = (Frame(np.full((4, 4, 3), 90 * i, np.uint8), i / 10) for i in range(3))
        stream = interpolate.stream(frames, method, 8, lambda k: k != 3)
        return [moment and moment.image[0, 0, 0] for moment in stream]

    whole, parts = Counting(None), Counting(chunk)
    assert images(parts) == images(whole)
    assert max(parts.asked) == chunk and sum(parts.asked) == sum(whole.asked) == 13
    assert whole.asked == [6, 7]


@pytest.mark.parametrize("chunk", [1, 3])
def test_flow_measures_a_pair_once_whatever_the_chunk(planes, chunk, monkeypatch):
    method, times = interpolate.load("flow"), [k / 8 for k in range(1, 8)]
    measured = []
    real = method._flow.between
    monkeypatch.setattr(method._flow, "between", lambda a, b: measured.append(1) or real(a, b))
    parts = [method.between(planes[0], planes[1], times[k : k + chunk]) for k in range(0, 7, chunk)]
    assert len(measured) == 2
    whole = interpolate.load("flow").between(planes[0], planes[1], times)
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    other = method.between(planes[1], planes[2], [0.5])  # another pair is measured anew
    assert len(measured) == 4
    np.testing.assert_array_equal(other, interpolate.load("flow").between(planes[1], planes[2], [0.5]))


@pytest.mark.parametrize("size", [(33, 47), (34, 61)])
def test_odd_sizes_move_as_even_ones(size):
    """A texture that moves 4 pixels right is half way 2 pixels right, away from the borders that it enters."""
    height, width = size
    wide = cv2.GaussianBlur(np.random.default_rng(3).random((height, width + 4, 3)).astype(np.float32), (0, 0), 2)
    wide = ((wide - wide.mean()) * 4 + 0.5).clip(0, 1).transpose(2, 0, 1)
    a, middle, b = (wide[..., left : left + width] for left in (4, 2, 0))
    made = interpolate.load("flow").between(a, b, [0.5])[0]
    assert made.shape == a.shape
    assert psnr(made[:, 4:-4, 8:-8], middle[:, 4:-4, 8:-8]) > psnr(((a + b) / 2)[:, 4:-4, 8:-8], middle[:, 4:-4, 8:-8]) + 10


def test_a_strangers_method_by_entry_point(tmp_path, monkeypatch):
    """A package that registers a name in `blurbench.interpolators` is found by it, with its options."""
    (tmp_path / "late.py").write_text(
        "import numpy as np\nclass Late:\n    chunk = None\n    def __init__(self, shift=0.0): self.shift = shift\n"
        "    def facts(self): return {'name': 'late', 'shift': self.shift}\n"
        "    def between(self, a, b, times): return np.stack([a * (1 - t) + b * t + self.shift for t in times])\n"
    )
    (folder := tmp_path / "late-1.0.dist-info").mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: late\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[blurbench.interpolators]\nlate = late:Late\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry._entry_points.cache_clear()
    try:
        method = interpolate.load("late", shift=0.25)
        assert interpolate.available("late") is None
        assert method.facts() == {"name": "late", "shift": 0.25}
        assert method.between(np.zeros((3, 2, 2)), np.ones((3, 2, 2)), [0.5])[0, 0, 0, 0] == 0.75
    finally:
        registry._entry_points.cache_clear()


def test_unknown_name():
    with pytest.raises(UnknownNameError, match="known: flow, none, rife"):
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


PLANES = np.zeros((3, 20, 24), np.float32)


@pytest.mark.parametrize(
    "a, b, times, expected",
    [
        (PLANES.astype(np.uint8), PLANES, [0.5], r"frame a is uint8 of shape \(3, 20, 24\), expected float32 of \(3, H, W\)"),
        (PLANES, PLANES[0], [0.5], r"frame b is float32 of shape \(20, 24\)"),
        (PLANES, PLANES + 255, [0.5], "frame b has values from 255 to 255, expected .* divide 8-bit values by 255"),
        (torch.from_numpy(PLANES), PLANES, [0.5], r"frame a is a Tensor, expected a NumPy array .*: \.cpu\(\)\.numpy\(\) of a tensor"),
        (PLANES * np.nan, PLANES, [0.5], "frame a has values from nan to nan"),
        (PLANES, PLANES[:, :16], [0.5], r"frames are of \(3, 20, 24\) and \(3, 16, 24\)"),
        (PLANES, PLANES, [0.5, 1.5], "time is 1.5, expected one from 0"),
    ],
)
def test_frames_that_have_none_between_them(a, b, times, expected):
    with pytest.raises(SourceError, match=expected):
        interpolate.load("flow").between(a, b, times)


def test_none_makes_none():
    with pytest.raises(RecipeError, match="'none' makes no frames, but 2 are asked for"):
        interpolate.load("none").between(PLANES, PLANES, [0.3, 0.6])


def test_unknown_option():
    with pytest.raises(UnknownNameError, match="unknown option 'flo' in interpolation 'flow'; did you mean 'flow'"):
        interpolate.load("flow", flo="dis-fast")
