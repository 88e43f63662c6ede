"""Running a method: padding, cropping, seeds, and answers that are refused."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from blurbench.errors import BlurbenchError, PredictionError, RecipeError, UnknownNameError, WeightsError
from blurbench.methods import Capabilities, Method, MethodCard, load_method, predict
from blurbench.types import Sample


def make_sample(frames=3, height=4, width=5, name="s"):
    """A sample in which no two values of a frame's first channel are equal and frame t is the first plus t."""
    first = np.arange(height * width, dtype=np.uint8).reshape(height, width, 1) + np.array([0, 50, 100], np.uint8)
    sharp = first + np.arange(frames, dtype=np.uint8)[:, None, None, None]
    return Sample(name, "video", first, sharp, np.linspace(0, 1, frames), "srgb")


class Answer(Method):
    """Gives what its function makes of (blurry, request), and keeps what it was given."""

    card = MethodCard("answer", "Answer", "none", "CC0-1.0")
    capabilities = Capabilities()

    def __init__(self, function, **capabilities):
        self.function = function
        self.capabilities = Capabilities(**capabilities)

    def predict(self, blurry, request):
        self.blurry, self.request = blurry, request
        return self.function(blurry, request)


def copies(blurry, request):
    return np.repeat(blurry[None, None], len(request.times), axis=1)


def noise(blurry, request):
    return request.rng.random((request.samples, len(request.times), *blurry.shape), dtype=np.float32)


def test_input_is_scaled_to_one_and_answer_recorded():
    method = Answer(copies)
    method.device = "cpu"
    sample = make_sample()
    answer = predict(method, sample)
    assert method.blurry.dtype == np.float32
    np.testing.assert_array_equal(method.blurry, sample.blurry.astype(np.float32) / np.float32(255))
    assert (answer.sample, answer.device) == ("s", "cpu")
    assert answer.seconds > 0
    assert answer.frames.shape == (1, 3, 4, 5, 3)


def test_answer_becomes_float32():
    answer = predict(Answer(lambda blurry, request: np.full((1, 3, *blurry.shape), 0.1, np.float64)), make_sample())
    assert answer.frames.dtype == np.float32
    assert answer.frames[0, 0, 0, 0, 0] == np.float32(0.1)


def test_padding_mirrors_the_border():
    method = Answer(copies, multiple=4, needs=frozenset({"sharp"}))
    predict(method, make_sample(height=3, width=5))
    seen = np.rint(method.blurry[..., 0] * 255).astype(int)
    assert seen.tolist() == [
        [0, 1, 2, 3, 4, 4, 3, 2],
        [5, 6, 7, 8, 9, 9, 8, 7],
        [10, 11, 12, 13, 14, 14, 13, 12],
        [10, 11, 12, 13, 14, 14, 13, 12],
    ]
    assert np.rint(method.request.sharp[2, ..., 0] * 255).astype(int).tolist() == (seen + 2).tolist()


@given(height=st.integers(1, 9), width=st.integers(1, 9), multiple=st.integers(1, 16), frames=st.integers(1, 4))
def test_padding_is_cropped_away(height, width, multiple, frames):
    method = Answer(copies, multiple=multiple)
    sample = make_sample(frames, height, width)
    answer = predict(method, sample)
    assert method.blurry.shape[0] % multiple == method.blurry.shape[1] % multiple == 0
    assert max(method.blurry.shape[0] - height, method.blurry.shape[1] - width) < multiple
    np.testing.assert_array_equal(np.rint(answer.frames * 255), np.broadcast_to(sample.blurry, (1, frames, height, width, 3)))


def test_truth_is_shown_only_to_who_declares_the_need():
    honest, oracle = Answer(copies), Answer(copies, needs=frozenset({"sharp"}))
    sample = make_sample()
    predict(honest, sample)
    predict(oracle, sample)
    assert honest.request.sharp is None
    np.testing.assert_array_equal(oracle.request.sharp, sample.sharp / np.float32(255))


def test_fixed_number_of_frames():
    answer = predict(Answer(lambda blurry, request: blurry[None, None], frames=1), make_sample(frames=3))
    assert answer.frames.shape == (1, 1, 4, 5, 3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers(bad):
    def answer(blurry, request):
        frames = copies(blurry, request)
        frames[0, 1, 2, 3] = bad
        return frames

    with pytest.raises(PredictionError, match=r"^answer returned 3 NaN or infinite values for sample s; check its weights and its input"):
        predict(Answer(answer), make_sample())


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ((1, 2, 4, 5, 3), r"\(1, 2, 4, 5, 3\)"),
        ((2, 3, 4, 5, 3), r"\(2, 3, 4, 5, 3\)"),
        ((1, 3, 5, 4, 3), r"\(1, 3, 5, 4, 3\)"),
        ((3, 4, 5, 3), r"\(3, 4, 5, 3\)"),
    ],
)
def test_wrong_shape(shape, told):
    method = Answer(lambda blurry, request: np.zeros(shape, np.float32))
    expected = r"expected \(N,T,H,W,3\) = \(1, 3, 4, 5, 3\)"
    with pytest.raises(PredictionError, match=rf"^answer returned frames of shape {told} for sample s, {expected}$"):
        predict(method, make_sample())


def test_cropped_answer_of_a_padding_method_is_refused():
    method = Answer(lambda blurry, request: np.zeros((1, 3, 4, 5, 3), np.float32), multiple=8)
    with pytest.raises(PredictionError, match=r"expected \(N,T,H,W,3\) = \(1, 3, 8, 8, 3\)$"):
        predict(method, make_sample())


def test_same_seed_same_prediction_whatever_ran_before():
    method = Answer(noise, stochastic=True)
    first, second = make_sample(name="first"), make_sample(name="second")
    alone = predict(method, second, samples=2, seed=7).frames
    predict(method, first, samples=5, seed=7)
    np.random.default_rng().random()
    np.testing.assert_array_equal(predict(method, second, samples=2, seed=7).frames, alone)


def test_seed_and_sample_change_the_prediction():
    method = Answer(noise, stochastic=True)
    frames = [
        predict(method, make_sample(name=name), samples=2, seed=seed).frames for name, seed in [("a", 0), ("a", 1), ("b", 0), ("ab", 0)]
    ]
    for index, one in enumerate(frames):
        assert not np.array_equal(one[0, 0], one[1, 0]), "the samples of one prediction differ"
        for other in frames[index + 1 :]:
            assert not np.array_equal(one, other)


def test_one_sample_of_a_deterministic_method():
    method = Answer(copies)
    assert predict(method, make_sample(), samples=5).frames.shape[0] == 1
    assert method.request.samples == 1


def test_load_from_file_and_run(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("from blurbench.baselines.trivial import CopyBlur\n\nclass Mine(CopyBlur):\n    pass\n")
    sample = make_sample()
    answer = predict(load_method(f"{file}:Mine"), sample)
    np.testing.assert_array_equal(np.rint(answer.frames[0, 1] * 255), sample.blurry)


def test_what_is_no_method(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def method():\n    pass\n")
    with pytest.raises(RecipeError, match=r"mine\.py:method' is <function .*, expected a subclass of blurbench\.methods\.Method$"):
        load_method(f"{file}:method")
    with pytest.raises(UnknownNameError, match="did you mean 'oracle'"):
        load_method("orcale")


def test_weights_for_a_method_without(tmp_path):
    with pytest.raises(WeightsError, match=r"^copy-blur has no weights, but --weights .*w\.pth was given; leave it out$"):
        load_method("copy-blur", tmp_path / "w.pth")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_a_device_that_is_not_there():
    with pytest.raises(BlurbenchError, match=r"--device cuda cannot be used here .*; use --device cpu"):
        load_method("copy-blur", device="cuda")


def test_a_device_that_does_not_exist():
    with pytest.raises(BlurbenchError, match="--device gpu cannot be used here"):
        load_method("copy-blur", device="gpu")
