"""Rendered footage: deterministic, and its motion field is true."""

import cv2
import numpy as np
import pytest

from blurbench.video.photographs import Photographs
from blurbench.video.render import RenderedSource
from blurbench.video.textures import dead_leaves


def clip(number=0, split="test", **options):
    return RenderedSource(split, number, frames=7, size=(96, 160), **options)


def frames(source):
    return np.stack([frame.image for frame in source.frames()])


def test_same_seed_same_pixels():
    assert (frames(clip()) == frames(clip())).all()
    assert clip().fingerprint() == clip().fingerprint()


@pytest.mark.parametrize("other", [clip(1), clip(split="train"), clip(seed=1)])
def test_another_clip_is_another_clip(other):
    assert (frames(clip()) != frames(other)).mean() > 0.5
    assert clip().fingerprint() != other.fingerprint()


def test_time_runs_at_240_frames_a_second():
    assert [frame.time for frame in clip().frames()] == pytest.approx([i / 240 for i in range(7)])


@pytest.mark.parametrize("number", range(4))
def test_following_the_motion_field_finds_the_same_light(number):
    """The last frame, fetched along the field, equals the first wherever nothing is uncovered: within 2 levels for most pixels."""
    source = clip(number)
    pictures = frames(source)
    field = source.motion(0, 6)
    assert np.hypot(field[..., 0], field[..., 1]).max() > 2
    rows, columns = np.mgrid[:96, :160].astype(np.float32)
    where = np.dstack([columns, rows]) + field
    fetched = cv2.remap(pictures[6], where, None, cv2.INTER_CUBIC).astype(float)
    inside = (where > 2).all(axis=2) & (where[..., 0] < 157) & (where[..., 1] < 93)
    error = np.abs(fetched - pictures[0])[inside]
    unmoved = np.abs(pictures[6].astype(float) - pictures[0])[inside]
    assert np.median(error) <= 2
    assert error.mean() < unmoved.mean() / 3


def test_another_rate_sees_the_same_scene_at_other_moments():
    slow = RenderedSource("test", 0, frames=3, size=(96, 160))
    fast = RenderedSource("test", 0, frames=17, size=(96, 160), fps=1920)
    assert (frames(fast)[::8] == frames(slow)).all()
    np.testing.assert_array_equal(fast.motion(0, 16), slow.motion(0, 2))
    assert slow.fingerprint() != fast.fingerprint()


def test_motion_to_itself_is_zero_and_forth_and_back_cancel():
    source = clip()
    assert source.motion(3, 3) == pytest.approx(0, abs=1e-6)
    there = source.motion(2, 3)
    back = source.motion(3, 2)
    assert np.median(np.abs(there + back)) < 0.05


def test_dead_leaves_have_the_spectrum_of_natural_images():
    """Power falls as about 1/f^2 (Tolhurst et al. 1992) at frequencies that the random lens leaves alone."""
    slopes = []
    for seed in range(8):
        grey = dead_leaves(Photographs("train"), (256, 256), np.random.default_rng(seed)).mean(axis=2)
        power = np.abs(np.fft.fft2((grey - grey.mean()) * np.outer(np.hanning(256), np.hanning(256)))) ** 2
        radius = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.fftfreq(256)[None]) * 256
        rings = [power[(radius >= r) & (radius < r * 1.3)].mean() for r in (4, 8, 16)]
        slopes.append(np.polyfit(np.log([4, 8, 16]), np.log(rings), 1)[0])
    assert -2.8 < np.mean(slopes) < -1.4
