"""The warping error, and the flow between frames that it shares with other metrics."""

import json
import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, map_coordinates

from blurbench.errors import PredictionError, UnavailableError, UnknownNameError
from blurbench.metrics import _flow
from blurbench.metrics.warp import warp_error
from blurbench.video.flow import grid
from blurbench.video.photographs import Photographs
from blurbench.video.textures import dead_leaves
from tests.conftest import command

SEEDS = st.integers(0, 2**32)


class Constant:
    """A flow model that always answers the same, and its opposite where the second frame is the earlier one."""

    name = "constant"

    def __init__(self, x, y, back=None):
        self.there, self.back, self.calls = np.float32([x, y]), np.float32([-x, -y] if back is None else back), 0

    def between(self, a, b):
        self.calls += 1
        return np.broadcast_to(self.there if self.calls % 2 else self.back, (*a.shape[:2], 2))


@pytest.fixture
def constant(monkeypatch):
    """Let every model move all by so much."""

    def use(*arguments, **more):
        model = Constant(*arguments, **more)
        monkeypatch.setattr(_flow, "model", lambda name: model)
        return model

    return use


@pytest.fixture(scope="module")
def target():
    """(4, 100, 112, 3): a window that moves over a picture by (-3, -1) a frame, i.e. the scene by (3, 1)."""
    picture = dead_leaves(Photographs("train"), (136, 152), np.random.default_rng(5))
    picture = picture if picture.dtype == np.uint8 else np.round(picture * 255).astype(np.uint8)
    return np.stack([picture[20 - t : 120 - t, 30 - 3 * t : 142 - 3 * t] for t in range(4)])


@pytest.fixture(scope="module")
def noisy(target):
    noise = np.random.default_rng(6).normal(0, 5, target.shape)
    return np.clip(target + noise, 0, 255).round().astype(np.uint8)


def simple(prediction, target):
    """With DIS called here, SciPy's interpolation, and the rule of what is hidden written out."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in target]
    height, width = grey[0].shape
    rows, columns = np.mgrid[:height, :width].astype(float)
    values = []
    for t in range(len(target) - 1):
        there, back = (np.moveaxis(dis.calc(a, b, None).astype(float), -1, 0) for a, b in (grey[t : t + 2], grey[t : t + 2][::-1]))
        x, y = columns + there[0], rows + there[1]
        back = np.stack([map_coordinates(part, (y, x), order=1, mode="nearest") for part in back])
        hidden = ((there + back) ** 2).sum(axis=0) > 0.01 * ((there**2).sum(axis=0) + (back**2).sum(axis=0)) + 0.5
        counted = ~hidden & (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
        now, then = prediction[t] / 255, prediction[t + 1] / 255
        moved = np.dstack([map_coordinates(then[..., c], (y, x), order=1, mode="nearest") for c in range(3)])
        values.append(((moved - now) ** 2).mean(axis=-1)[counted].mean())
    return np.mean(values)


def test_definition(noisy, target):
    expected = simple(noisy, target)
    assert warp_error(noisy, target).shape == (1,)
    assert warp_error(noisy, target)[0] == pytest.approx(expected, rel=1e-4)
    assert warp_error(noisy / 255, target / 255)[0] == pytest.approx(expected, rel=1e-4)
    assert warp_error(target, target)[0] == pytest.approx(simple(target, target), rel=1e-3)


def test_the_floor_and_what_lies_above_it(noisy, target):
    """A right clip has little more than the floor, a wrong direction, a shuffle and noise have more; a flat clip lies below."""
    floor = warp_error(target, target)[0]
    assert 0 < floor < 1e-3
    assert warp_error(noisy, target)[0] > floor + 1.5 * (5 / 255) ** 2
    assert warp_error(target[::-1], target)[0] > 5 * floor
    assert warp_error(target[[0, 2, 1, 3]], target)[0] > 5 * floor
    blurred = gaussian_filter(target, (0, 8, 8, 0))
    assert warp_error(np.stack([blurred[1]] * 4), target)[0] < warp_error(np.stack([target[1]] * 4), target)[0]


@given(seed=SEEDS, frames=st.integers(2, 4))
def test_zero_where_all_stands_still(seed, frames):
    rng = np.random.default_rng(seed)
    still, truth = (np.stack([rng.integers(0, 256, (16, 20, 3), dtype=np.uint8)] * frames) for _ in range(2))
    assert warp_error(still, truth)[0] == 0


@given(seed=SEEDS)
def test_bounds(seed):
    prediction, truth = np.random.default_rng(seed).integers(0, 256, (2, 3, 24, 28, 3), dtype=np.uint8)
    truth[1:] = truth[0]
    assert 0 < warp_error(prediction, truth)[0] <= 1


def test_exact_values_of_a_known_motion(constant):
    """Everything moves by (2, 1) and gets 10 levels brighter a frame: 10² / 255², whatever the picture and where it leaves."""
    rng = np.random.default_rng(7)
    wide = rng.integers(0, 200, (40, 50, 3))
    clip = np.stack([wide[4 - t : 34 - t, 8 - 2 * t : 40 - 2 * t] + 10 * t for t in range(3)]).astype(np.uint8)
    constant(2, 1)
    assert warp_error(clip, clip)[0] == pytest.approx((10 / 255) ** 2, rel=1e-5)
    constant(-2, 1)
    mirrored = clip[:, :, ::-1]
    assert warp_error(mirrored, mirrored)[0] == pytest.approx((10 / 255) ** 2, rel=1e-5)


def test_between_pixels(constant):
    """On a ramp of 4 levels a pixel that stands still, a motion by 0.25 pixels is one level."""
    ramp = np.broadcast_to((4 * np.arange(40)).astype(np.uint8)[:, None], (3, 20, 40, 3))
    constant(0.25, 0)
    assert warp_error(ramp, ramp)[0] == pytest.approx((1 / 255) ** 2, rel=1e-4)


def test_only_what_both_frames_show_counts(constant):
    """Where flows do not return, nothing is counted; then there is no value, and it says why."""
    clip = np.random.default_rng(8).integers(0, 256, (3, 20, 24, 3), dtype=np.uint8)
    constant(2, 0, back=(2, 0))
    with pytest.raises(UnavailableError, match="no pixel of the targets is seen in two frames"):
        warp_error(clip, clip)
    constant(30, 0)
    with pytest.raises(UnavailableError, match="no pixel"):
        warp_error(clip, clip)


def test_refused(target):
    with pytest.raises(PredictionError, match=r"warp-error: the clips have 1 frame\(s\), expected at least 2"):
        warp_error(target[:1], target[:1])
    with pytest.raises(PredictionError, match=r"warp-error: target has shape \(4, 100, 112, 2\), expected \(T, H, W, 3\)"):
        warp_error(target, target[..., :2])
    with pytest.raises(UnknownNameError, match="unknown flow model 'raft'"):
        warp_error(target, target, flow="raft")


@given(seed=SEEDS, size=st.tuples(st.integers(1, 9), st.integers(1, 9)))
def test_fetch_is_bilinear(seed, size):
    rng = np.random.default_rng(seed)
    values = rng.random((*size, 3)).astype(np.float32)
    where = rng.uniform(-3, 11, (5, 7, 2)).astype(np.float32)
    at = where[..., ::-1].transpose(2, 0, 1).astype(float)
    expected = np.dstack([map_coordinates(values[..., c].astype(float), at, order=1, mode="nearest") for c in range(3)])
    found = _flow.fetch(values, where)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)
    places = grid(size)
    np.testing.assert_array_equal(_flow.fetch(values, places), values)


@given(seed=SEEDS)
def test_seen_by_its_definition(seed):
    rng = np.random.default_rng(seed)
    there = rng.uniform(-4, 4, (9, 11, 2)).astype(np.float32)
    back = (-there + rng.normal(0, 0.4, there.shape)).astype(np.float32)
    found = _flow.seen(there, back)
    for y in range(9):
        for x in range(11):
            u, v = there[y, x].astype(float)
            if not (0 <= x + u <= 10 and 0 <= y + v <= 8):
                assert not found[y, x]
                continue
            a, b = (map_coordinates(back[..., c].astype(float), [[y + v], [x + u]], order=1)[0] for c in (0, 1))
            off = (u + a) ** 2 + (v + b) ** 2 - 0.01 * (u * u + v * v + a * a + b * b) - 0.5
            assert found[y, x] == (off <= 0) or math.isclose(off, 0, abs_tol=1e-4)


def test_the_command_prints_them(tmp_path):
    """Several of this family in one evaluation: the oracle has the floor, a still picture has more of each."""
    done = command("make-dataset", "rendered", "--clips", "test=1", "--size", "96x64", "--frames", "56", "--split", "test", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    means = {}
    for method in ("oracle", "oracle-centre"):
        done = command(
            "evaluate", "--method", method, "--dataset", "rendered", "--protocol", "blurbench-motion", "--out", method, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        (record,) = (json.loads(path.read_text()) for path in (tmp_path / method).rglob("*.json"))
        means[method] = {name: value["mean"] for name, value in record["values"].items()}
    right, still = means["oracle"], means["oracle-centre"]
    assert right["epe-first-last"] == right["epe-adjacent"] == right["ordering"] == 0
    for name in ("epe-first-last", "epe-adjacent", "ordering", "warp-error"):
        assert still[name] > right[name]
    assert still["reblur-ssim"] < right["reblur-ssim"] <= 1
    assert right["trajectory-error"] is None and right["diversity"] is None  # it gives no motion, and one draw
