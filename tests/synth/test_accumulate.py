"""The shutter against a float64 reference, and against the official values for one formula-defined sequence."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blurbench.synth.accumulate import Exposure, Shutter
from blurbench.video import transfer
from tests.formulas import golden_sequence

NAMES = ["pixel", "gamma(2.2)", "srgb"]


def expose(frames, name, rounding="half-up"):
    shutter = Shutter(transfer.parse(name), rounding)
    exposure = Exposure(shutter)
    for frame in frames:
        exposure.add(shutter.light(frame))
    return exposure.result()


def reference(frames, name):
    """Mean in linear light, in float64; not yet rounded."""
    curve = transfer.parse(name)
    return curve.to_encoded(curve.to_linear(frames / 255).mean(axis=0)) * 255


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [1, 2, 7, 128])
def test_half_up_against_float64(name, count):
    frames = np.random.default_rng(count).integers(0, 256, (count, 96, 128, 3), dtype=np.uint8)
    difference = np.abs(expose(frames, name).astype(int) - np.floor(reference(frames, name) + 0.5 + 1e-9).astype(int))
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 1e-4


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [2, 7, 23])
def test_truncation_against_float64(name, count):
    frames = np.random.default_rng(count).integers(0, 256, (count, 160, 256, 3), dtype=np.uint8)
    difference = expose(frames, name, "truncate") - np.floor(reference(frames, name) + 1e-9)
    assert difference.min() == 0 and difference.max() <= 1
    assert (difference > 0).mean() <= 1e-4


@given(level=st.integers(0, 255), count=st.integers(1, 300), name=st.sampled_from(NAMES), rounding=st.sampled_from(["half-up", "truncate"]))
def test_a_still_picture_stays_itself(level, count, name, rounding):
    frame = np.full((2, 2, 3), level, np.uint8)
    assert (expose([frame] * count, name, rounding) == level).all()


@pytest.mark.parametrize("count", [1, 2, 3, 7, 10, 64, 128, 999, 5000])
@pytest.mark.parametrize("rounding", ["half-up", "truncate"])
def test_pixel_means_are_exact_for_every_sum(count, rounding):
    """All sums that `count` frames can have (for many frames: some of them), against integer arithmetic."""
    sums = np.arange(0, 255 * count + 1, max(1, count // 40))
    exposure = Exposure(Shutter(transfer.PIXEL, rounding))
    exposure.add(np.zeros((1, len(sums), 3), np.uint8))
    exposure._sum[:] = sums[None, :, None]
    exposure.frames = count
    expected = (2 * sums + count) // (2 * count) if rounding == "half-up" else sums // count
    assert (exposure.result()[0, :, 1] == expected).all()


def test_pixel_ties_round_up():
    assert (expose(np.array([[[[10, 11, 12]]], [[[11, 11, 15]]]], np.uint8), "pixel") == [11, 11, 14]).all()


@pytest.mark.parametrize(
    ("name", "mean", "pixel"),
    [
        ("pixel", 127.08243117559523, (139.42857142857142, 131.0, 117.28571428571429)),
        ("gamma(2.2)", 132.34555085314156, (142.9039242348317, 141.09378256586155, 133.73275595108433)),
    ],
)
def test_official_values(name, mean, pixel):
    """Values before rounding, computed with the official code on seven 64x80 frames."""
    frames = golden_sequence()
    exact = reference(frames, name)
    assert exact.mean() == pytest.approx(mean, abs=1e-4)
    assert exact[10, 20] == pytest.approx(pixel, abs=1e-4)
    blurry = expose(frames, name)
    assert blurry[10, 20].tolist() == [math.floor(value + 0.5) for value in pixel]
