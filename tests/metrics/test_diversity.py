import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blurbench.errors import PredictionError, RecipeError
from blurbench.metrics.diversity import diversity

SEEDS = st.integers(0, 2**32)
DISTANCES = st.sampled_from(["rms", "absolute"])


def draws(seed, count, frames=3):
    """(N, T, 5, 6, 3) uint8."""
    return np.random.default_rng(seed).integers(0, 256, (count, frames, 5, 6, 3), dtype=np.uint8)


def simple(samples, distance):
    """Over ordered pairs, of which each distance is there twice."""
    floats = samples.reshape(len(samples), -1).astype(float)
    apart = floats[:, None] - floats[None]
    each = np.sqrt((apart**2).mean(axis=-1)) if distance == "rms" else np.abs(apart).mean(axis=-1)
    return each.sum() / (len(samples) * (len(samples) - 1))


@given(seed=SEEDS, count=st.integers(2, 5), frames=st.integers(1, 4), distance=DISTANCES)
def test_definition(seed, count, frames, distance):
    samples = draws(seed, count, frames)
    found = diversity(samples, samples[0], distance=distance)
    assert found.shape == (1,) and found.dtype == np.float64
    assert found[0] == pytest.approx(simple(samples, distance))
    assert diversity((samples / 255).astype(np.float32), samples[0], distance=distance)[0] == pytest.approx(found[0], rel=1e-5)


@given(seed=SEEDS, count=st.integers(1, 4), distance=DISTANCES)
def test_zero_for_equal_draws_and_for_one(seed, count, distance):
    one = draws(seed, 1)
    assert diversity(np.repeat(one, count, axis=0), one[0], distance=distance)[0] == 0


@given(seed=SEEDS, count=st.integers(2, 4), distance=DISTANCES)
def test_invariances_and_bounds(seed, count, distance):
    samples = draws(seed, count)
    value = diversity(samples, samples[0], distance=distance)[0]
    assert 0 < value <= 255
    for same in (samples[::-1], samples[:, ::-1], samples[:, :, ::-1], samples[..., ::-1, :], 255 - samples):
        assert diversity(same, samples[1], distance=distance)[0] == pytest.approx(value, rel=1e-12)
    assert diversity(samples, samples[0], distance="absolute")[0] <= diversity(samples, samples[0])[0] * (1 + 1e-12)


def test_levels():
    samples = np.zeros((2, 2, 4, 4, 3), np.uint8)
    samples[1] = 10
    assert diversity(samples, samples[0])[0] == diversity(samples, samples[0], distance="absolute")[0] == 10
    samples[1, 0] = 0
    assert diversity(samples, samples[0], distance="absolute")[0] == 5
    assert diversity(samples, samples[0])[0] == pytest.approx(50**0.5)


def test_a_repeated_draw_makes_less():
    samples = draws(1, 3)
    pairs = [diversity(samples[list(pair)], samples[0])[0] for pair in itertools.combinations(range(3), 2)]
    assert diversity(samples, samples[0])[0] == pytest.approx(np.mean(pairs))
    assert diversity(samples[[0, 0, 1]], samples[0])[0] == pytest.approx(2 / 3 * pairs[0])


def test_refused():
    samples = draws(2, 2)
    with pytest.raises(PredictionError, match=r"diversity: prediction has shape \(3, 5, 6, 3\), expected \(N, T, H, W, 3\)"):
        diversity(samples[0], samples[0])
    with pytest.raises(PredictionError, match=r"with N at least 1"):
        diversity(samples[:0], samples[0])
    with pytest.raises(PredictionError, match=r"diversity: prediction is list, expected a numpy array; convert it with numpy\.asarray"):
        diversity(list(samples), samples[0])
    with pytest.raises(PredictionError, match=r"diversity: prediction has shape .*, expected at least one frame and one pixel"):
        diversity(samples[:, :, :0], samples[0])
    with pytest.raises(PredictionError, match=r"prediction has shape \(3, 5, 6, 3\), target \(2, 5, 6, 3\)"):
        diversity(samples, samples[0, :2])
    with pytest.raises(PredictionError, match="diversity: prediction holds 1 NaN"):
        broken = samples / 255
        broken[1, 1, 2, 2, 0] = np.nan
        diversity(broken, samples[0])
    with pytest.raises(RecipeError, match="diversity: distance is 'lpips', expected one of rms, absolute"):
        diversity(samples, samples[0], distance="lpips")
