import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio

from blurbench.metrics.psnr import pool, pooled_psnr, psnr


def clips(seed, shape=(3, 9, 13, 3), count=2):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def simple(prediction, target):
    """The formula, in the widest integers and floats."""
    difference = prediction.astype(np.int64) - target.astype(np.int64)
    return 10 * np.log10(255**2 / (difference**2).mean(axis=(1, 2, 3)))


@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (2, 1, 7, 3), (3, 37, 53, 3), (2, 240, 319, 3)])
def test_uint8_is_exact(shape):
    prediction, target = clips(1, shape)
    np.testing.assert_allclose(psnr(prediction, target), simple(prediction, target), rtol=1e-15)


def test_largest_sums_do_not_overflow():
    black = np.zeros((1, 800, 1200, 3), np.uint8)
    assert psnr(black, black + 255)[0] == 0
    near = black + 255
    near[0, -1, -1, -1] = 254
    expected = -10 * math.log10(((black.size - 1) * 255**2 + 254**2) / (black.size * 255**2))
    assert psnr(black, near)[0] == expected > 0


def test_one_level_in_one_value():
    frame = np.zeros((1, 720, 1280, 3), np.uint8)
    other = frame.copy()
    other[0, 5, 5, 1] = 1
    assert psnr(frame, other)[0] == pytest.approx(10 * math.log10(255**2 * frame.size), abs=1e-12)


@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64])
def test_against_scikit_image(kind):
    prediction, target = clips(2, (2, 64, 80, 3))
    if kind is not np.uint8:
        prediction, target = (prediction / 255).astype(kind), (target / 255).astype(kind)
    peak = 255 if kind is np.uint8 else 1
    expected = [peak_signal_noise_ratio(g, p, data_range=peak) for p, g in zip(prediction, target, strict=True)]
    np.testing.assert_allclose(psnr(prediction, target), expected, atol=1e-5 if kind is np.float32 else 1e-12)


def test_small_differences_of_float32_keep_their_digits():
    target = np.full((1, 32, 32, 3), 0.75, np.float32)
    assert psnr(target + np.float32(2**-14), target)[0] == pytest.approx(-20 * math.log10(2**-14), abs=1e-9)


def test_identical_frames_are_infinite_one_by_one():
    prediction, target = clips(3)
    prediction[1] = target[1]
    values = psnr(prediction, target)
    assert np.isinf(values).tolist() == [False, True, False]
    assert math.isfinite(pooled_psnr(prediction, target))
    assert pooled_psnr(target, target) == math.inf


def test_pooling_and_averaging_differ_as_published():
    """Errors of 1e-2, 1e-3 and 1e-4: 24.3 dB pooled, 30 dB on average (pytorch/examples#522)."""
    values = np.array([20.0, 30.0, 40.0])
    assert pool(values) == pytest.approx(24.3180, abs=1e-4)
    assert values.mean() == 30


@given(seed=st.integers(0, 2**32), frames=st.integers(1, 5))
def test_pooled_is_one_error_over_all_frames(seed, frames):
    prediction, target = clips(seed, (frames, 5, 4, 3))
    assert pooled_psnr(prediction, target) == pytest.approx(simple(prediction.reshape(1, -1, 4, 3), target.reshape(1, -1, 4, 3))[0])
    assert pooled_psnr(prediction, target) <= psnr(prediction, target).mean() + 1e-12


@given(seed=st.integers(0, 2**32))
def test_symmetric_bounded_and_blind_to_reversing_both(seed):
    prediction, target = clips(seed)
    assert (psnr(prediction, target) == psnr(target, prediction)).all()
    assert (psnr(prediction, target) >= 0).all()
    assert (psnr(prediction[::-1], target[::-1]) == psnr(prediction, target)[::-1]).all()
    assert pooled_psnr(prediction[::-1], target[::-1]) == pooled_psnr(prediction, target)


@given(seed=st.integers(0, 2**32), step=st.integers(1, 40))
def test_more_error_is_less(seed, step):
    target = np.random.default_rng(seed).integers(0, 128, (2, 5, 5, 3), dtype=np.uint8)
    assert (psnr(target + np.uint8(step), target) > psnr(target + np.uint8(step + 1), target)).all()
