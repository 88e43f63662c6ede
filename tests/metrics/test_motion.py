"""Errors of predicted motion, against loops over single pixels and by invariances."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blurbench import metrics
from blurbench.errors import PredictionError, RecipeError, UnavailableError
from blurbench.metrics.motion import motion_epe, motion_mse_zhang2021, trajectory_error
from blurbench.metrics.protocol import Column, Protocol
from blurbench.metrics.score import score
from blurbench.registry import METRICS
from blurbench.types import Prediction, Sample

SEEDS = st.integers(0, 2**32)
TIMES = st.integers(2, 7)


def motions(seed, times, size=(6, 5)):
    """Prediction and truth, (T, H, W, 2) float32, pixels."""
    return np.random.default_rng(seed).normal(0, 8, (2, times, *size, 2)).astype(np.float32)


def mse(prediction, target, border=0):
    return motion_mse_zhang2021(prediction, target, border=border)[0]


def epe(prediction, target):
    return motion_epe(prediction, target)[0]


def pixels(motion):
    """(y, x) of every pixel."""
    return [(y, x) for y in range(motion.shape[1]) for x in range(motion.shape[2])]


@given(seed=SEEDS, times=TIMES)
def test_mse_by_its_definition(seed, times):
    p, g = (motion.astype(float) for motion in motions(seed, times))
    squares = [
        (abs(p[0, y, x, axis] - p[-1, y, x, axis]) - abs(g[0, y, x, axis] - g[-1, y, x, axis])) ** 2
        for y, x in pixels(g)
        for axis in (0, 1)
    ]
    assert mse(p, g) == pytest.approx(math.fsum(squares) / len(squares))


def test_the_border_does_not_count():
    p, g = motions(1, 3, (64, 70))
    inside = np.s_[:, 30:-30, 30:-30]
    assert motion_mse_zhang2021(p, g)[0] == pytest.approx(mse(p[inside], g[inside]))
    changed = p + 100
    changed[inside] = p[inside]
    assert motion_mse_zhang2021(changed, g) == motion_mse_zhang2021(p, g)


@given(seed=SEEDS, times=TIMES)
def test_epe_by_its_definition(seed, times):
    p, g = (motion.astype(float) for motion in motions(seed, times))
    values = []
    for y, x in pixels(g):
        d, true = p[-1, y, x] - p[0, y, x], g[-1, y, x] - g[0, y, x]
        values.append(min(math.dist(d, true), math.dist(-d, true)))
    assert epe(p, g) == pytest.approx(math.fsum(values) / len(values))


@pytest.mark.parametrize("error", [mse, epe])
@given(seed=SEEDS, times=TIMES)
def test_blind_to_the_direction(error, seed, times):
    p, g = motions(seed, times)
    value = error(p, g)
    assert value > 0
    assert error(g, g) == error(g[::-1], g) == 0
    for same in (p[::-1], -p):
        assert error(same, g) == pytest.approx(value)
    assert error(g, p) == pytest.approx(value)
    turned = p.copy()
    turned[:, ::2] *= -1  # each pixel is free, not only the whole
    assert error(turned, g) == pytest.approx(value)


def test_only_the_end_point_error_sees_the_wrong_diagonal():
    g = np.zeros((2, 4, 4, 2))
    g[1] = 3, 4
    p = g * [1, -1]
    assert mse(p, g) == 0
    assert epe(p, g) == 6  # (3, -4) against -(3, 4); against (3, 4) it would be 8
    assert epe(np.zeros_like(g), g) == 5
    assert mse(np.zeros_like(g), g) == (9 + 16) / 2


@given(seed=SEEDS, times=TIMES)
def test_bounded_by_the_forward_error_and_by_standing_still(seed, times):
    p, g = (motion.astype(float) for motion in motions(seed, times))
    d, true = p[-1] - p[0], g[-1] - g[0]
    assert epe(p, g) <= np.hypot(*np.moveaxis(d - true, -1, 0)).mean() + 1e-9
    assert epe(np.zeros_like(g), g) == pytest.approx(np.hypot(*np.moveaxis(true, -1, 0)).mean())
    # The absolute values of components are never further apart than the vectors, whatever the sign.
    assert math.sqrt(2 * mse(p[:, :1, :1], g[:, :1, :1])) <= epe(p[:, :1, :1], g[:, :1, :1]) + 1e-9


@given(seed=SEEDS, times=TIMES)
def test_trajectory_by_its_definition(seed, times):
    p, g = (motion.astype(float) for motion in motions(seed, times))
    forward = [[math.dist(p[t, y, x], g[t, y, x]) for y, x in pixels(g)] for t in range(times)]
    backward = [[math.dist(p[times - 1 - t, y, x], g[t, y, x]) for y, x in pixels(g)] for t in range(times)]
    assert trajectory_error(p, g) == pytest.approx(np.mean(forward, axis=1))
    kinder = []
    for there, back in zip(zip(*forward, strict=True), zip(*backward, strict=True), strict=True):
        kinder.append(back if sum(back) < sum(there) else there)
    assert trajectory_error(p, g, direction="pixel") == pytest.approx(np.mean(kinder, axis=0))


@given(seed=SEEDS, times=TIMES)
def test_trajectories_under_reversal_and_mirrors(seed, times):
    p, g = motions(seed, times)
    value, free = trajectory_error(p, g), trajectory_error(p, g, direction="pixel")
    assert value.shape == (times,) and value.dtype == np.float64
    assert free.sum() <= value.sum() + 1e-9
    assert not trajectory_error(g, g).any()
    assert not trajectory_error(g[::-1], g, direction="pixel").any()
    assert trajectory_error(p[::-1], g, direction="pixel") == pytest.approx(free)
    assert trajectory_error(p[::-1], g[::-1]) == pytest.approx(value[::-1])
    for error in (lambda a, b: trajectory_error(a, b, direction="pixel"), motion_epe, lambda a, b: motion_mse_zhang2021(a, b, border=0)):
        # A mirror image of the picture: its columns in reverse, and x with the other sign.
        mirrored = [motion[:, :, ::-1] * np.float32([-1, 1]) for motion in (p, g)]
        assert error(*mirrored) == pytest.approx(error(p, g))


def test_texture_leaves_out_flat_pixels():
    """A ramp of 5 levels a pixel in the right half, flat to the left: only where the ramp is, motion counts."""
    p, g = motions(2, 5, (8, 20))
    grey = np.zeros((8, 20), np.uint8)
    grey[:, 10:] = 5 * np.arange(10)
    sharp = np.full((5, 8, 20, 3), 77, np.uint8)
    sharp[2] = grey[..., None]
    distances = np.hypot(*np.moveaxis(p.astype(float) - g, -1, 0))
    # Central differences: 2.5 at the ramp's first pixel and, the border being repeated, at its last.
    assert trajectory_error(p, g, texture=4, sharp=sharp) == pytest.approx(distances[:, :, 11:19].mean(axis=(1, 2)))
    assert trajectory_error(p, g, texture=2, sharp=sharp / 255) == pytest.approx(distances[:, :, 10:].mean(axis=(1, 2)))
    assert trajectory_error(p, g, sharp=sharp) == pytest.approx(distances.mean(axis=(1, 2)))
    with pytest.raises(UnavailableError, match="no pixel of the middle target has a gradient of 6 levels a pixel"):
        trajectory_error(p, g, texture=6, sharp=sharp)


def test_refused():
    p, g = motions(3, 3)
    for metric in (motion_mse_zhang2021, motion_epe, trajectory_error):
        id = metric.info.id
        assert metric.info.of == "motion"
        with pytest.raises(PredictionError, match=rf"^{id}: prediction has shape \(3, 6, 4, 2\), target \(3, 6, 5, 2\)"):
            metric(p[:, :, :4], g)
        with pytest.raises(PredictionError, match=rf"^{id}: target has shape \(3, 6, 5, 1\), expected \(T, H, W, 2\)"):
            metric(p, g[..., :1])
        with pytest.raises(PredictionError, match=rf"^{id}: the clips have 1 frame\(s\), expected at least 2"):
            metric(p[:1], g[:1])
        with pytest.raises(PredictionError, match=rf"^{id}: prediction holds 1 NaN"):
            broken = p.copy()
            broken[1, 2, 3, 0] = np.nan
            metric(broken, g)
    with pytest.raises(PredictionError, match=r"pictures of 6x5 \(HxW\) are nothing without a border of 30 pixels; give border"):
        motion_mse_zhang2021(p, g)
    with pytest.raises(RecipeError, match="border is -1, expected a number of pixels, at least 0"):
        motion_mse_zhang2021(p, g, border=-1)
    with pytest.raises(RecipeError, match="trajectory-error: direction is 'clip', expected one of forward, pixel"):
        trajectory_error(p, g, direction="clip")
    with pytest.raises(RecipeError, match="texture is -1, expected grey levels a pixel, at least 0"):
        trajectory_error(p, g, texture=-1)
    with pytest.raises(PredictionError, match="texture is 3 without frames to see it in; give sharp"):
        trajectory_error(p, g, texture=3)
    with pytest.raises(PredictionError, match=r"sharp has frames of \(6, 4\) \(H, W\), expected \(6, 5\) as the motion"):
        trajectory_error(p, g, texture=3, sharp=np.zeros((3, 6, 4, 3), np.uint8))


IDS = [
    *("ordering-purohit2019", "ordering-zhang2020", "epe-first-last", "epe-adjacent", "reblur-ssim"),
    *("motion-mse-zhang2021", "motion-epe", "trajectory-error", "warp-error", "diversity"),
]


@pytest.mark.parametrize("id", IDS)
@pytest.mark.skipif("motion-epe" not in METRICS.names(), reason="blurbench is not installed: pip install -e .")
def test_found_by_their_ids(id):
    info = metrics.get(id).info
    assert info.id == id
    assert info.whole_clip == (id != "trajectory-error")
    assert info.better == ("higher" if id in ("reblur-ssim", "diversity") else "lower")


@pytest.mark.skipif("motion-epe" not in METRICS.names(), reason="blurbench is not installed: pip install -e .")
def test_scored_under_a_protocol():
    """True motion from a straight line; the prediction is a third too short, and its right half runs backwards."""
    times = (np.arange(5) + 0.5) / 5
    line = np.zeros((40, 48, 2), np.float16)
    line[:] = 6, -8
    frames = np.random.default_rng(4).integers(0, 256, (5, 40, 48, 3), dtype=np.uint8)
    sample = Sample("a", "a", frames[2], frames, times, "pixel", {"motion": line})
    predicted = 2 / 3 * (times - 0.5)[:, None, None, None] * line.astype(np.float32)
    predicted[:, :, 24:] *= -1
    columns = (
        Column("mse", "motion-mse-zhang2021", "", options={"border": 4}),
        Column("epe", "motion-epe", ""),
        Column("forward", "trajectory-error", ""),
        Column("free", "trajectory-error", "", options={"direction": "pixel"}),
    )
    rules = Protocol("own", 1, "", "", "round", 100.0, "as-is", "epe", columns)
    prediction = Prediction("a", frames[None] / np.float32(255), 0.0, "cpu", predicted[None].astype(np.float32), times)
    away = np.abs(times - 0.5).mean() * 10
    assert score(rules, prediction, sample).values == pytest.approx(
        # Over the 0.8 of an exposure between first and last target, the line is (4.8, -6.4).
        {"mse": (1.6**2 + (6.4 / 3) ** 2) / 2, "epe": 8 / 3, "forward": away * (1 / 3 + 5 / 3) / 2, "free": away / 3},
        rel=1e-5,
    )
    assert score(rules, replace(prediction, motion=predicted[None, ::-1].astype(np.float32)), sample).values["free"] == pytest.approx(
        away / 3
    )
