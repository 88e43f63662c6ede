"""The methods without a network give exactly what they say."""

import numpy as np
import pytest

from blurbench.baselines.trivial import CopyBlur, Oracle, OracleCentre, OracleReversed
from blurbench.errors import PredictionError
from blurbench.methods import Request, load_method
from blurbench.running import predict
from blurbench.types import Sample


def make_sample(frames):
    """Frame t is 10 (t + 1) everywhere but for one pixel of 200 at column t; the blurry image is 99."""
    sharp = np.empty((frames, 3, 8, 3), np.uint8)
    for index, frame in enumerate(sharp):
        frame[:] = 10 * (index + 1)
        frame[1, index] = 200
    return Sample("s", "v", np.full((3, 8, 3), 99, np.uint8), sharp, np.linspace(0, 1, frames), "srgb")


@pytest.mark.parametrize(
    ("name", "frames", "expected"),
    [
        ("oracle", 5, [0, 1, 2, 3, 4]),
        ("oracle", 1, [0]),
        ("oracle-reversed", 5, [4, 3, 2, 1, 0]),
        ("oracle-reversed", 4, [3, 2, 1, 0]),
        ("oracle-centre", 7, [3] * 7),
        ("oracle-centre", 4, [2] * 4),
        ("oracle-centre", 1, [0]),
    ],
)
def test_oracles(name, frames, expected):
    sample = make_sample(frames)
    answer = predict(load_method(name), sample, samples=3)
    np.testing.assert_array_equal(answer.frames[0], sample.sharp[expected] / np.float32(255))
    assert answer.frames.shape == (1, frames, 3, 8, 3)


@pytest.mark.parametrize("frames", [1, 2, 7])
def test_copy_blur(frames):
    answer = predict(load_method("copy-blur"), make_sample(frames))
    assert answer.frames.shape == (1, frames, 3, 8, 3)
    assert np.unique(answer.frames).tolist() == [np.float32(99) / np.float32(255)]


def test_copy_blur_does_not_see_the_truth():
    assert not CopyBlur.capabilities.needs


@pytest.mark.parametrize("cls", [Oracle, OracleCentre, OracleReversed])
def test_oracle_without_truth(cls):
    with pytest.raises(PredictionError, match=r"^an oracle was asked without the sharp frames; give Request\.sharp$"):
        cls().predict(np.zeros((2, 2, 3), np.float32), Request(np.array([0.5]), 1, np.random.default_rng(0)))


@pytest.mark.parametrize("name", ["copy-blur", "oracle", "oracle-centre", "oracle-reversed"])
def test_card_carries_the_registered_name(name):
    assert load_method(name).card.id == name
