"""SRN: its parameters, TensorFlow's rules by hand, the network against the same one written in numpy from those rules, its weights."""

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from safetensors.torch import save_file

from blurbench.baselines.tao2018 import NETWORKS, SameConv, Tao2018, Tao2018Color, Tao2018Gray, enlarge, read_state, remember, same_padding
from blurbench.methods import Request, load_method
from blurbench.running import predict
from tests import formulas
from tests.baselines.inputs import make_sample, picture
from tests.baselines.official import Bomb, refused, tensorflow_arrays, tensorflow_shapes, without_weights

PARAMETERS = {"tao2018": 8_056_609, "tao2018-gray": 6_876_449, "tao2018-color": 6_881_251}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """An .npz in the official layout for each variant, with the counters and moments that a TensorFlow checkpoint also holds."""
    folder = tmp_path_factory.mktemp("srn")
    for name in NETWORKS:
        arrays = tensorflow_arrays(name)
        moments = {f"{key}/Adam_1": np.zeros_like(value) for key, value in list(arrays.items())[:4]}
        np.savez(folder / f"{name}.npz", **arrays, **moments, beta1_power=np.float32(0.9), Variable=np.int32(523000))
    return folder


# The network in numpy, (B, H, W, C) as in TensorFlow, from the definitions of its operations.


def conv(x, weights, biases, stride=1):
    """Output pixel o is the sum over taps t of weights[t] * x[o stride - before + t]; outside the picture x is 0."""
    kernel = weights.shape[0]
    pads = []
    for size in x.shape[1:3]:
        total = max((int(np.ceil(size / stride)) - 1) * stride + kernel - size, 0)
        pads.append((total // 2, total - total // 2))
    padded = np.pad(x, [(0, 0), *pads, (0, 0)])
    windows = sliding_window_view(padded, (kernel, kernel), axis=(1, 2))[:, ::stride, ::stride]
    return np.tensordot(windows, weights, axes=((4, 5, 3), (0, 1, 2))) + biases


def transposed(x, weights, biases):
    """Each input pixel i adds x[i] weights[t] to the output pixel 2 i - 1 + t."""
    batch, height, width, _ = x.shape
    out = np.zeros((batch, 2 * height + 2, 2 * width + 2, weights.shape[2]))
    for row in range(4):
        for column in range(4):
            out[:, row : row + 2 * height : 2, column : column + 2 * width : 2] += x @ weights[row, column].T
    return out[:, 1:-1, 1:-1] + biases


def resize(x, factor):
    """Bilinear without half-pixel centres: output pixel o reads position o / factor."""
    for axis in (1, 2):
        size = x.shape[axis]
        position = np.arange(int(size * factor)) / factor
        low = np.floor(position).astype(int)
        share = (position - low).reshape([-1 if a == axis else 1 for a in range(4)])
        x = np.take(x, low, axis) * (1 - share) + np.take(x, np.minimum(low + 1, size - 1), axis) * share
    return x


def reference(arrays, image):
    """All three pictures of a batch (B, H, W, C)."""

    def layer(x, scope, **options):
        return conv(x, arrays[f"g_net/{scope}/weights"], arrays[f"g_net/{scope}/biases"], **options)

    def block(x, scope):
        return x + layer(np.maximum(layer(x, f"{scope}/conv1"), 0), f"{scope}/conv2")

    def up(x, scope):
        return np.maximum(transposed(x, arrays[f"g_net/{scope}/weights"], arrays[f"g_net/{scope}/biases"]), 0)

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    before, cell, hidden, outputs = image, None, None, []
    for factor in (0.25, 0.5, 1):
        small = resize(image, factor)
        x = np.concatenate([small, resize(before, small.shape[1] / before.shape[1])], axis=3)
        skips = {}
        for stage in (1, 2, 3):
            x = np.maximum(layer(x, f"enc{stage}_1", stride=1 if stage == 1 else 2), 0)
            for number in (2, 3, 4):
                x = block(x, f"enc{stage}_{number}")
            skips[stage] = x
        if "g_net/convLSTM/LSTM_conv/weights" in arrays:
            cell, hidden = (np.zeros_like(x), np.zeros_like(x)) if cell is None else (resize(cell, 2), resize(hidden, 2))
            i, j, f, o = np.split(layer(np.concatenate([x, hidden], axis=3), "convLSTM/LSTM_conv"), 4, axis=3)
            cell = cell * sigmoid(f + 1) + sigmoid(i) * np.tanh(j)
            x = hidden = np.tanh(cell) * sigmoid(o)
        for stage in (3, 2, 1):
            x = x if stage == 3 else up(x, f"dec{stage}_4") + skips[stage]
            for number in (3, 2, 1):
                x = block(x, f"dec{stage}_{number}")
        before = layer(x, "dec1_0")
        outputs.append(before)
    return outputs


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters(name):
    own = {key: tuple(value.shape) for key, value in NETWORKS[name]().state_dict().items()}
    assert sum(int(np.prod(shape)) for shape in own.values()) == PARAMETERS[name]
    assert sum(int(np.prod(s)) for s in tensorflow_shapes(3 if "color" in name else 1, name == "tao2018").values()) == PARAMETERS[name]
    assert own["enc1.1.weight"] == (32, 6 if name == "tao2018-color" else 2, 5, 5)
    assert ("lstm.weight" in own) == (name == "tao2018")


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "sums"),
    [
        (6, 5, 2, [4, 5, 3]),  # taps -1..3, 1..5, 3..7
        (5, 5, 2, [3, 5, 3]),  # taps -2..2, 0..4, 2..6
        (6, 5, 1, [3, 4, 5, 5, 4, 3]),
        (5, 4, 2, [3, 4, 2]),  # taps -1..2, 1..4, 3..6
        (4, 3, 2, [3, 2]),  # taps 0..2, 2..4
        (1, 5, 2, [1]),
    ],
)
def test_same_padding_by_hand(size, kernel, stride, sums):
    """On ones, with a kernel of ones, each output counts the taps inside the picture."""
    layer = SameConv(1, 1, kernel, stride)
    torch.nn.init.ones_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    with torch.inference_mode():
        out = layer(torch.ones(1, 1, size, size))[0, 0]
    np.testing.assert_allclose(out.numpy(), np.outer(sums, sums), rtol=0, atol=1e-5)
    before, _ = same_padding(size, kernel, stride)
    assert sums[0] == min(kernel - before, size)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("height", "width"), [(8, 6), (7, 5), (8, 5), (3, 12)])
def test_convolution_equals_the_same_rule(height, width, stride):
    rng = np.random.default_rng(3)
    layer = SameConv(3, 4, 5, stride)
    x = rng.standard_normal((2, height, width, 3))
    expected = conv(x, layer.weight.detach().numpy().transpose(2, 3, 1, 0), layer.bias.detach().numpy(), stride)
    assert expected.shape[1:3] == (-(-height // stride), -(-width // stride))
    actual = layer(torch.from_numpy(x.transpose(0, 3, 1, 2).astype(np.float32))).detach().numpy()
    np.testing.assert_allclose(actual.transpose(0, 2, 3, 1), expected, rtol=0, atol=1e-5)


def test_enlarging_by_hand():
    out = enlarge(torch.tensor([[[[0.0, 4.0], [8.0, 20.0]]]]))[0, 0]
    assert out.tolist() == [[0, 2, 4, 4], [4, 8, 12, 12], [8, 14, 20, 20], [8, 14, 20, 20]]


def test_one_step_of_the_lstm_by_hand():
    """One pixel, one channel; the gates are given: input 0, candidate 1, forget 0 (plus 1), output 0, from cell 2."""
    gates = torch.tensor([0.0, 1.0, 0.0, 0.0]).reshape(1, 4, 1, 1)
    state = remember(lambda pair: gates, torch.zeros(1, 1, 1, 1), torch.full((1, 2, 1, 1), 2.0))
    cell = 2 / (1 + np.exp(-1)) + 0.5 * np.tanh(1)
    assert state.flatten().tolist() == pytest.approx([cell, 0.5 * np.tanh(cell)], abs=1e-6)


@pytest.mark.parametrize("name", PARAMETERS)
def test_agrees_with_numpy_at_all_sizes(checkpoints, name):
    method = load_method(name, checkpoints / f"{name}.npz")
    image = formulas.image(16, 32)[None] if name == "tao2018-color" else formulas.image(16, 32)[:, None]
    with torch.inference_mode():
        outputs = method.network(torch.from_numpy(image.astype(np.float32)))
    for actual, expected in zip(outputs, reference(tensorflow_arrays(name), image.transpose(0, 2, 3, 1)), strict=True):
        assert expected.std() > 0.02
        np.testing.assert_allclose(actual.numpy().transpose(0, 2, 3, 1), expected, rtol=0, atol=1e-5)


def test_prediction_of_any_size(checkpoints):
    """From the official file to the frame: padded to multiples of 16 by the framework, R, G and B as grey pictures."""
    blurry = picture(19, 30)
    answer = predict(load_method("tao2018", checkpoints / "tao2018.npz"), make_sample(blurry)).frames
    padded = np.pad(blurry, [(0, 13), (0, 2), (0, 0)], mode="symmetric") / np.float32(255)
    expected = reference(tensorflow_arrays("tao2018"), padded.transpose(2, 0, 1)[..., None])[-1]
    assert answer.shape == (1, 1, 19, 30, 3)
    np.testing.assert_allclose(answer[0, 0], expected[:, :19, :30, 0].transpose(1, 2, 0), rtol=0, atol=1e-5)


@pytest.mark.parametrize("cls", [Tao2018Gray, Tao2018Color])
def test_tall_pictures_are_transposed(checkpoints, cls):
    method = cls.load(checkpoints / f"{cls.card.id}.npz")
    request = Request(np.array([0.5]), 1, np.random.default_rng(0))
    wide = picture(16, 48).astype(np.float32) / 255
    tall = method.predict(wide.transpose(1, 0, 2), request)[0, 0]
    np.testing.assert_array_equal(tall.transpose(1, 0, 2), method.predict(wide, request)[0, 0])


def test_prediction_is_clamped(checkpoints):
    method = Tao2018Color.load(checkpoints / "tao2018-color.npz")
    with torch.no_grad():
        method.network.dec1[-1].bias.copy_(torch.tensor([-2.0, 0.5, 2.0]))
    frames = method.predict(np.full((16, 16, 3), 0.5, np.float32), Request(np.array([0.5]), 1, np.random.default_rng(0)))
    assert np.unique(frames[..., 0]).tolist() == [0]
    assert np.unique(frames[..., 2]).tolist() == [1]


def test_gradients_flow_from_each_size_alone():
    """The picture handed on is a constant; the LSTM's state is not: the last size alone trains every layer."""
    network = NETWORKS["tao2018"]()
    outputs = network(torch.rand(1, 1, 16, 16))
    assert [tuple(out.shape[-2:]) for out in outputs] == [(4, 4), (8, 8), (16, 16)]
    assert torch.autograd.grad(outputs[-1].sum(), outputs[:-1], retain_graph=True, allow_unused=True) == (None, None)
    outputs[-1].square().mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_own_format_gives_the_same(checkpoints, tmp_path):
    state = read_state(checkpoints / "tao2018.npz")
    assert len(state) == len(tensorflow_shapes(1, True))
    save_file({key: value.contiguous() for key, value in state.items()}, tmp_path / "srn.safetensors")
    again = read_state(tmp_path / "srn.safetensors")
    assert all(torch.equal(again[key], state[key]) for key in state)
    assert Tao2018.load(tmp_path / "srn.safetensors").weights.files == ("srn.safetensors",)


def test_other_scopes_of_the_lstm(checkpoints, tmp_path):
    """The cell is made under a scope of its own; older code called it there."""
    arrays = {key.replace("g_net/convLSTM", "LSTM/convLSTM") + ":0": value for key, value in tensorflow_arrays("tao2018").items()}
    np.savez(tmp_path / "a.npz", **arrays)
    state = read_state(checkpoints / "tao2018.npz")
    assert all(torch.equal(value, state[key]) for key, value in read_state(tmp_path / "a.npz").items())


@pytest.mark.parametrize(("name", "model"), [("tao2018", "lstm"), ("tao2018-gray", "gray"), ("tao2018-color", "color")])
def test_no_weights_tells_what_to_fetch(name, model):
    message = without_weights(name, "FILE.npz")
    assert message.startswith("get the arrays of ")
    assert f"checkpoints/{model}/deblur.model-523000" in message


def test_weights_of_another_variant(checkpoints):
    message = refused("tao2018-gray", checkpoints / "tao2018.npz")
    assert message.endswith("tao2018.npz holds weights of tao2018, expected those of tao2018-gray; try --method tao2018")


@pytest.mark.parametrize("name", ["deblur.model-523000.index", "deblur.model-523000.data-00000-of-00001", "lstm"])
def test_a_raw_checkpoint(tmp_path, name):
    path = tmp_path / name
    path.mkdir() if name == "lstm" else path.write_bytes(b"x")
    assert f"{name} is a TensorFlow checkpoint, expected its arrays as .npz" in refused("tao2018", path)


def test_damaged_files(checkpoints, tmp_path):
    assert refused("tao2018", tmp_path / "none.npz") == f"weights file {tmp_path}/none.npz does not exist"
    whole = (checkpoints / "tao2018-gray.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    assert refused("tao2018-gray", tmp_path / "cut.npz").startswith(f"weights file {tmp_path}/cut.npz cannot be read safely (BadZipFile")
    arrays = tensorflow_arrays("tao2018-gray")
    del arrays["g_net/dec1_0/biases"]
    np.savez(tmp_path / "less.npz", **arrays)
    assert refused("tao2018-gray", tmp_path / "less.npz").endswith("key 'dec1.0.bias' is missing (1 of 84 are)")
    np.savez(tmp_path / "more.npz", **tensorflow_arrays("tao2018-gray"), **{"g_net/enc4_1/weights": np.zeros((5, 5, 2, 2))})
    assert refused("tao2018-gray", tmp_path / "more.npz").endswith("unknown key 'enc4.1.weight' (1 too many)")


def test_malicious_arrays_are_not_run(tmp_path):
    np.savez(tmp_path / "bad.npz", **{"g_net/enc1_1/weights": np.array([Bomb(tmp_path / "created")], dtype=object)})
    assert "bad.npz cannot be read safely (ValueError: Object arrays cannot be loaded" in refused("tao2018", tmp_path / "bad.npz")
    assert not (tmp_path / "created").exists()
