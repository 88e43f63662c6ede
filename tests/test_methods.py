"""Running a method: padding, cropping, seeds, and answers that are refused."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blurbench import methods
from blurbench.errors import BlurbenchError, PredictionError, RecipeError, UnknownNameError, WeightsError
from blurbench.methods import Capabilities, Method, MethodCard, check_id, load_method
from blurbench.remarks import remarks
from blurbench.running import failure, predict
from blurbench.types import Sample
from blurbench.weights import packed


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


@pytest.mark.parametrize("times", [[0.0, 0.0], [1.0, 0.0], [np.nan, 0.5], [0.0, 6.0]])
def test_moments_of_motion_rise(times):
    def moving(blurry, request):
        return methods.Answer(copies(blurry, request), np.zeros((1, 2, *blurry.shape[:2], 2), np.float32), np.array(times))

    with pytest.raises(
        PredictionError, match=r"answer returned motion_times \[.*\] for sample s, expected moments of the exposure, rising from 0 to 1"
    ):
        predict(Answer(moving), make_sample())


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


@settings(deadline=None)
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


@pytest.mark.parametrize(
    ("convert", "told"),
    [
        (lambda frames: None, r"None as frames .*; return one from `predict`"),
        (lambda frames: list(frames), r"a list as frames .*; return one from `predict`"),
        (lambda frames: frames.astype(object), r"an array of object as frames .*; return one from `predict`"),
        (torch.from_numpy, r"a Tensor as frames .*; end `predict` with \.detach\(\)\.cpu\(\)\.numpy\(\)"),
    ],
)
def test_what_is_no_array(convert, told):
    with pytest.raises(PredictionError, match=rf"^answer returned {told}$") as caught:
        predict(Answer(lambda blurry, request: convert(copies(blurry, request))), make_sample())
    assert "for sample s, expected a NumPy array (N,T,H,W,3) float32; " in str(caught.value)


def test_an_error_of_the_methods_own_code_names_the_sample():
    with pytest.raises(ZeroDivisionError) as caught:
        predict(Answer(lambda blurry, request: 1 // 0), make_sample())
    assert caught.value.__notes__ == ["answer raised this on sample s"]
    assert str(failure(Answer(copies), caught.value)) == "answer raised ZeroDivisionError: integer division or modulo by zero"
    assert str(failure(Answer(copies), RuntimeError("one\ntwo"))) == "answer raised RuntimeError: one"
    assert str(failure(Answer(copies), WeightsError("these are bad"))) == "these are bad"


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
    file.write_text(
        "from dataclasses import replace\nfrom blurbench.baselines.trivial import CopyBlur\n"
        "class Mine(CopyBlur):\n    card = replace(CopyBlur.card, id='mine')\n"
    )
    sample = make_sample()
    answer = predict(load_method(f"{file}:Mine"), sample)
    np.testing.assert_array_equal(np.rint(answer.frames[0, 1] * 255), sample.blurry)


def test_what_is_no_method(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def method():\n    pass\nclass Other:\n    pass\nnumber = 1\n")
    for name, what in (("method", "of type function"), ("Other", "another class"), ("number", "of type int")):
        with pytest.raises(RecipeError, match=rf"mine\.py:{name}' is {what}, expected a subclass of blurbench\.methods\.Method$"):
            load_method(f"{file}:{name}")
    file.write_text(f"{SLIPS}\ndef method():\n    pass\n")
    with pytest.raises(RecipeError, match=r"is of type function, .*, as Heir or NoCapabilities or NoCard or .* or Taken there$"):
        load_method(f"{file}:method")
    with pytest.raises(UnknownNameError, match="did you mean 'oracle'"):
        load_method("orcale")


SLIPS = """
from blurbench.baselines.zhang2020 import Zhang2020
from blurbench.methods import Capabilities, Method, MethodCard

def card(id):
    return MethodCard(id=id, title="t", paper="p", licence="l")

class NoCard(Method):
    capabilities = Capabilities()
    def predict(self, blurry, request): ...

class NoCapabilities(Method):
    card = card("mine")
    def predict(self, blurry, request): ...

class OddCard(NoCard):
    card = {"id": "mine"}

class NoPredict(Method):
    card, capabilities = card("mine"), Capabilities()

class Taken(NoCard):
    card = card("dmphn")

class Heir(Zhang2020):
    pass

class Slash(NoCard):
    card = card("w/11 x")
"""


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("NoCard", r'has no card, expected a MethodCard; write `card = MethodCard\(id="me2026", .*\)` into the class'),
        ("NoCapabilities", r"has no capabilities, expected a Capabilities; write `capabilities = Capabilities\(frames=7\)` into the class"),
        ("OddCard", r"has {'id': 'mine'} as card, expected a MethodCard; write .*"),
        ("NoPredict", r"has no predict; write `def predict\(self, blurry, request\)`, which returns \(N,T,H,W,3\) float32"),
        ("Taken", r"is 'dmphn', which is an installed method: .*; give another"),
        ("Heir", r"is 'zhang2020', which is an installed method: .*; give another"),
        ("Slash", r"is 'w/11 x', expected letters, digits, '\.', '_', '-' and '\+', a letter or digit first; give another"),
    ],
)
def test_slips_in_a_method_of_ones_own(tmp_path, name, told):
    file = tmp_path / "slips.py"
    file.write_text(SLIPS)
    with pytest.raises(RecipeError, match=rf"^(method|the id in the card of) .*slips\.py:{name} {told}$"):
        load_method(f"{file}:{name}")


@pytest.mark.parametrize("id", ["me2026", "Net_v1.2+ema-x", "7"])
def test_ids_that_can_be(id):
    check_id(id, "the name")


@pytest.mark.parametrize("id", ["", "a b", "a/b", "../a", ".a", "ä", "a\n", "oracle"])
def test_ids_that_cannot_be(id):
    with pytest.raises(RecipeError, match=r"^the name is "):
        check_id(id, "the name")


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


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"multiple": 0}, "capabilities: multiple is 0, expected a whole number from 1; mend it in the method"),
        ({"frames": "7"}, "capabilities: frames is '7', expected a whole number from 1"),
        ({"before": -1}, "capabilities: before is -1, expected a whole number from 0"),
        ({"needs": {"guidence"}}, "unknown needs 'guidence' in the capabilities of a method; did you mean 'guidance'"),
    ],
)
def test_capabilities_that_no_method_has(given, told):
    with pytest.raises(BlurbenchError, match=told):
        Capabilities(**given)


REMEMBERS = """
import numpy as np
from blurbench.methods import Capabilities, Method, MethodCard

class Act(Method):
    card = MethodCard(id="act", title="t", paper="p", licence="l", weights="mine")
    capabilities = Capabilities(frames=1)
    options = {"act": "the activation"}

    @classmethod
    def load(cls, weights=None, device="cpu", act="relu"):
        return cls()

    def predict(self, blurry, request):
        return blurry[None, None]
"""


def test_weights_made_with_an_option_are_not_taken_for_others(tmp_path):
    """Where shapes are equal nobody else would see it."""
    (tmp_path / "act.py").write_text(REMEMBERS)
    name, path = f"{tmp_path}/act.py:Act", tmp_path / "w.safetensors"
    path.write_bytes(packed({"x": torch.zeros(1)}, {"method": "act", "options": {"act": "tanh", "other": "1"}}))
    assert load_method(name, path, options={"act": "tanh"}).label == "act+act-tanh"
    for options, now in (({}, "that was not chosen"), ({"act": "relu"}, "act=relu was chosen")):
        with pytest.raises(WeightsError) as caught:
            load_method(name, path, options=options)
        assert str(caught.value) == f"{path} was made with act=tanh, but {now}; give --act tanh, or other weights"
    path.write_bytes(packed({"x": torch.zeros(1)}, {"method": "act"}))
    assert load_method(name, path).label == "act"


def test_a_network_that_still_learns_is_pointed_out():
    method = Answer(copies)
    method.network = torch.nn.Dropout()
    assert remarks(method) == [
        "answer.network has dropout or batch norm in training mode: its answers depend on chance and order; call .eval() in load"
    ]
    method.network.eval()
    assert remarks(method) == []


def test_load_returns_the_method(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from blurbench.methods import Capabilities, Method, MethodCard\n"
        "class Mine(Method):\n"
        "    card, capabilities = MethodCard(id='mine', title='t', paper='p', licence='l'), Capabilities()\n"
        "    @classmethod\n"
        "    def load(cls, weights=None, device='cpu'):\n"
        "        cls()\n"
        "    def predict(self, blurry, request):\n"
        "        pass\n"
    )
    with pytest.raises(RecipeError, match=r"^load of mine returned None, expected a Mine; end it with `return cls\(\.\.\.\)`$"):
        load_method(f"{tmp_path / 'mine.py'}:Mine")


@pytest.mark.parametrize(
    ("head", "told"),
    [
        ("@classmethod\n    def load(cls, weights=None)", "load of m cannot be called (too many positional arguments)"),
        ("def load(self, weights=None, device='cpu')", "load of m cannot be called (it is no class method)"),
        ("@classmethod\n    def load(cls, weights, device, size)", "load of m cannot be called (missing a required argument: 'size')"),
    ],
)
def test_load_takes_weights_and_device(tmp_path, head, told):
    path = tmp_path / "m.py"
    path.write_text(f"""
from blurbench.methods import Capabilities, Method, MethodCard

class M(Method):
    card = MethodCard(id="m", title="M", paper="-", licence="MIT")
    capabilities = Capabilities(frames=1)

    {head}:
        return None

    def predict(self, blurry, request):
        return blurry[None, None]
""")
    with pytest.raises(RecipeError) as caught:
        load_method(f"{path}:M")
    assert str(caught.value) == f'{told}; write `@classmethod` and `def load(cls, weights=None, device="cpu")`'
