"""True trajectories: against motions with a closed form, and against footage that knows its own."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blurbench.metrics.trajectory import true_trajectory
from blurbench.store.reader import open_dataset
from blurbench.synth.kernels import half_plane
from blurbench.types import Sample
from blurbench.video.render import RenderedSource
from tests.conftest import command

SIZE = (40, 56)
ROWS, COLUMNS = np.mgrid[: SIZE[0], : SIZE[1]].astype(float)
CENTRE = np.array([COLUMNS[0].mean(), ROWS[:, 0].mean()])
OFFSETS = np.dstack([COLUMNS, ROWS]) - CENTRE


def sample(times, **extras):
    picture = np.zeros((*SIZE, 3), np.uint8)
    return Sample("a", "a", picture, np.stack([picture] * len(times)), np.asarray(times, float), "pixel", extras)


def even(count):
    """The times of `count` targets that fill the exposure."""
    return (np.arange(count) + 0.5) / count


def similarity(angle, zoom):
    return zoom * np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])


def moved(matrix):
    """Displacement (H, W, 2) of every pixel when the picture is moved by a matrix about its centre."""
    return OFFSETS @ matrix.T - OFFSETS


def inside(displacements, margin=2):
    """Pixels that stay in the picture at all times."""
    places = np.dstack([COLUMNS, ROWS]) + displacements
    low, high = places.min(axis=(0, 3)) >= margin, places - (np.array(SIZE[::-1]) - 1 - margin)
    return low & (high <= 0).all(axis=(0, 3))


@given(times=st.lists(st.floats(0, 1), min_size=1, max_size=8, unique=True).map(sorted))
def test_a_line_of_constant_speed(times):
    line = np.dstack([COLUMNS / 8, -ROWS / 4]).astype(np.float16)  # exact in float16
    found = true_trajectory(sample(times, motion=line))
    assert found.shape == (len(times), *SIZE, 2) and found.dtype == np.float32
    for time, displacement in zip(times, found, strict=True):
        np.testing.assert_allclose(displacement, (time - 0.5) * line.astype(float), atol=1e-6)
    np.testing.assert_allclose(true_trajectory(sample(times, motion=line), np.array([0.5, 1]))[1], line / 2)


@given(seed=st.integers(0, 2**32), count=st.integers(2, 8))
def test_shifts_add_up_from_the_middle(seed, count):
    """Also for an even number of targets, whose middle is half a step behind the last one before it."""
    steps = np.random.default_rng(seed).integers(-16, 17, (count - 1, 2)) / 4
    flow = np.broadcast_to(steps[:, None, None], (count - 1, *SIZE, 2)).astype(np.float16)
    places = np.concatenate([[(0, 0)], np.cumsum(steps, axis=0)])
    middle = np.array([np.interp(0.5, even(count), places[:, axis]) for axis in (0, 1)])
    found = true_trajectory(sample(even(count), flow=flow))
    np.testing.assert_allclose(found, np.broadcast_to((places - middle)[:, None, None], found.shape), atol=1e-5)


@given(angle=st.floats(-0.02, 0.02), zoom=st.floats(0.985, 1.015), times=st.sampled_from([2, 3, 5, 7]))
def test_turn_and_zoom_have_a_closed_form(angle, zoom, times):
    step = similarity(angle, zoom)
    flow = np.stack([moved(step)] * (times - 1))
    found = true_trajectory(sample(even(times), flow=flow))
    if times % 2:
        middle, first = np.eye(2), -(times // 2)
    else:
        # The middle is half way between places one step apart: the pixel x was at y with (y + step y) / 2 = x.
        middle, first = np.linalg.inv((np.eye(2) + step) / 2), 1 - times // 2
    expected = np.stack([moved(np.linalg.matrix_power(step, first + t) @ middle) for t in range(times)])
    counted = inside(expected)
    assert counted.mean() > 0.4
    np.testing.assert_allclose(found[:, counted], expected[:, counted], atol=2e-3)


@given(seed=st.integers(0, 2**32), count=st.integers(2, 5), axis=st.sampled_from([0, 1]))
def test_mirrored_flow_makes_mirrored_trajectories(seed, count, axis):
    rng = np.random.default_rng(seed)
    waves = rng.uniform(-2, 2, (count - 1, 2, 3))
    smooth = np.stack([np.ones(SIZE), np.sin(COLUMNS / 9), np.cos(ROWS / 7)])
    flow = np.einsum("tck,khw->thwc", waves, smooth)
    sign = np.array([-1, 1]) if axis == 0 else np.array([1, -1])
    mirror = np.s_[:, :, ::-1] if axis == 0 else np.s_[:, ::-1]
    found = true_trajectory(sample(even(count), flow=flow))
    other = true_trajectory(sample(even(count), flow=flow[mirror] * sign))
    np.testing.assert_allclose(other, found[mirror] * sign, atol=1e-3)


def test_every_place_leads_back_to_its_pixel():
    """Independently of how places are found: following the stored flow from the first place reaches the pixel in the middle."""
    from scipy.ndimage import map_coordinates

    flow = np.stack([np.dstack([3 + np.sin(ROWS / 6 + t), 2 * np.cos(COLUMNS / 8 - t)]) for t in range(4)])
    found = true_trajectory(sample(even(5), flow=flow)).astype(float)
    places = np.dstack([COLUMNS, ROWS]) + found[0]
    for step in flow[:2]:
        at = places[..., ::-1].transpose(2, 0, 1)
        places = places + np.dstack([map_coordinates(step[..., c], at, order=1, mode="nearest") for c in (0, 1)])
    counted = inside(found)
    assert counted.mean() > 0.5
    np.testing.assert_allclose(places[counted], np.dstack([COLUMNS, ROWS])[counted], atol=2e-3)


@pytest.mark.parametrize("number", [0, 2])
def test_footage_with_exact_motion(number):
    """Rendered footage knows where each pixel of the middle frame is in the others. What others hide on the way cannot be known."""
    source = RenderedSource("test", number, 49, (96, 144), fps=1920.0)
    frames = list(range(0, 49, 8))
    flow = np.stack([source.motion(a, b) for a, b in pairwise(frames)]).astype(np.float16)
    picture = np.zeros((96, 144, 3), np.uint8)
    times = (np.array(frames) + 0.5) / 49
    data = Sample("a", "a", picture, np.stack([picture] * 7), times, "gamma(2.2)", {"flow": flow})
    exact = np.stack([source.motion(24, frame) for frame in frames])
    found = true_trajectory(data)
    off = np.hypot(*np.moveaxis(found - exact, -1, 0))
    assert np.hypot(*np.moveaxis(exact[-1] - exact[0], -1, 0)).mean() > 3
    assert (np.median(off, axis=(1, 2)) < 2e-3).all()
    assert ((off < 0.05).mean(axis=(1, 2)) > 0.95).all()
    assert not found[3].any()


def test_other_times():
    """Linear between targets; unknown beyond them."""
    flow = np.broadcast_to(np.array([[4.0, 2.0], [8.0, -2.0]])[:, None, None], (2, *SIZE, 2))
    data = sample([0.1, 0.5, 0.7], flow=flow)
    found = true_trajectory(data, np.array([0.6, 0.5, 0.2, 0.1, 0.7]))
    np.testing.assert_allclose(found[:, 0, 0], [(4, -1), (0, 0), (-3, -1.5), (-4, -2), (8, -2)], atol=1e-5)
    assert true_trajectory(data, np.array([0.05, 0.5])) is None
    assert true_trajectory(data, np.array([0.5, 0.8])) is None


def test_unknown():
    flow = np.zeros((2, *SIZE, 2), np.float16)
    assert true_trajectory(sample(even(3))) is None
    assert true_trajectory(sample([0.5])) is None
    assert true_trajectory(sample([0.6, 0.7, 0.8], flow=flow)) is None
    assert true_trajectory(sample([0.2, 0.3, 0.4], flow=flow)) is None
    assert true_trajectory(sample([0.2, 0.7, 0.5], flow=flow)) is None
    assert true_trajectory(sample([0.5, 0.7, 0.8], flow=flow)).shape == (3, *SIZE, 2)
    assert true_trajectory(sample([0.2, 0.4, 0.5], flow=flow)).shape == (3, *SIZE, 2)


def test_of_made_data(tmp_path):
    """Next to the middle a trajectory is the stored flow itself."""
    done = command("make-dataset", "rendered", "--clips", "test=1", "--size", "64x48", "--frames", "112", "--split", "test", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (data,) = open_dataset(next(tmp_path.rglob("manifest.json")).parent).shards("test")
    for found in (data.sample(0), data.sample(1)):
        motion = true_trajectory(found)
        assert motion.shape == (*found.sharp.shape[:3], 2)
        assert not motion[3].any()
        np.testing.assert_allclose(motion[4], found.extras["flow"][3].astype(np.float32), atol=1e-5)
        # From first to last, as measured there: where nothing is hidden, both ways of asking agree.
        whole = np.median((motion[-1] - motion[0]).reshape(-1, 2), axis=0)
        assert whole == pytest.approx(np.median(found.extras["flow_first_last"].reshape(-1, 2).astype(float), axis=0), abs=0.3)


def test_of_made_kernels(tmp_path):
    """The line and the label of the published data are one but for the direction; both are cut as the pictures are."""
    import cv2

    picture = np.random.default_rng(0).integers(0, 256, (100, 120, 3), dtype=np.uint8)
    (tmp_path / "pictures/test").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "pictures/test/a.png"), picture)
    done = command("make-dataset", "synthetic-linear", "--source", "pictures", "--set", "kernels.strength=mild", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (data,) = open_dataset(next(tmp_path.rglob("manifest.json")).parent).shards("test")
    found = data.sample(0)
    assert found.blurry.shape[:2] != picture.shape[:2]
    motion = true_trajectory(found, np.array([0.0, 0.5, 1.0]))
    assert motion.shape == (3, *found.blurry.shape[:2], 2)
    label = half_plane((motion[2] - motion[0]).astype(float) * [1, -1])
    np.testing.assert_array_equal(label, found.extras["kernel_motion"].astype(float))
    assert np.abs(label).max() > 1
    assert not true_trajectory(found).any()
