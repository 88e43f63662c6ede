"""Every network in other layouts, batches and number formats: what changes, against single pictures in float32."""

import pytest
import torch

from tests.baselines.inputs import tensor
from tests.baselines.official import small_state
from tests.baselines.test_parity import NETWORKS

MEASURED = {
    "gong2017": (0.0062, 0.00095),
    "jin2018_centerEsti": (0.046, 0.0056),
    "jin2018_F35_N8": (0.061, 0.0082),
    "jin2018_F26_N9": (0.023, 0.0026),
    "jin2018_F17_N9": (0.023, 0.0026),
    "nah2017_MSResNet": (0.072, 0.003),
    "bin2020_stage4": (0.0086, 0.0013),
    "tao2018": (0.019, 0.0031),
    "tao2018-gray": (0.014, 0.0032),
    "tao2018-color": (0.016, 0.0026),
    "dmphn_encoder": (0.0073, 0.00071),
    "dmphn_decoder": (0.009, 0.0016),
    "etr_offset_quad": (0.0091, 0.0014),
    "etr_offset_lin": (0.011, 0.0019),
    "etr_motion_aware_deblur": (0.0068, 0.0011),
    "zhong2022_decomposer_s1": (0.0036, 0.00053),
    "zhong2022_decomposer_s2": (0.0038, 0.00047),
    "zhong2022_predictor_G": (0.071, 0.0092),
    "zhong2022_predictor_E": (0.01, 0.0015),
    "zhong2022_predictor_D": (0.018, 0.0023),
}
"""Largest error in bfloat16 and in half on a CPU, in shares of the largest value of the output. Twice that is allowed."""

FORMATS = {"bfloat16": torch.bfloat16, "half": torch.float16}


def images(height, width):
    """A batch of four."""
    return torch.cat([tensor(height, width, phase) for phase in (0.0, 1.0, 2.0, 3.0)])


def features(channels, height, width):
    """A batch of four."""
    count = 4 * channels * height * width
    return torch.sin(0.7 * torch.arange(count, dtype=torch.float64)).float().view(4, channels, height, width)


INPUTS = {
    **{f"jin2018_{name}": lambda: [images(20, 20), 1 - images(20, 20), images(20, 20).flip(1)] for name in ("F35_N8", "F26_N9", "F17_N9")},
    "jin2018_centerEsti": lambda: [images(20, 20)],
    "nah2017_MSResNet": lambda: [255 * images(16, 24), 255 * images(8, 12), 255 * images(4, 6)],
    "bin2020_stage4": lambda: [images(4, 6).roll(number, 0) for number in range(6)],
    "tao2018": lambda: [images(16, 16)[:, :1]],
    "tao2018-gray": lambda: [images(16, 16)[:, :1]],
    "dmphn_decoder": lambda: [features(128, 4, 6)],
    "zhong2022_decomposer_s1": lambda: [features(5, 8, 12)],
    "zhong2022_decomposer_s2": lambda: [features(24, 8, 12)],
    "zhong2022_predictor_G": lambda: [images(256, 256), features(4, 1, 1)[:, :, 0, 0]],
    "zhong2022_predictor_E": lambda: [features(5, 256, 256)],
    "zhong2022_predictor_D": lambda: [features(5, 64, 96)],
}
"""Where it is not one picture."""


def build(stem):
    """A network whose values neither die out nor explode."""
    network = NETWORKS[stem]()
    state = {key: value if value.ndim else network.state_dict()[key] for key, value in small_state(network).items()}
    if stem == "nah2017_MSResNet":
        state = {key: value if key.endswith("bias") else 0.7 * value for key, value in state.items()}
    if "decomposer" in stem:
        state["final_conv.0.weight"] = 30 * state["final_conv.0.weight"]
    network.load_state_dict(state)
    return network.eval()


def run(stem, network, inputs):
    """All outputs, of all networks of a checkpoint."""
    together = stem in ("nah2017_MSResNet", "bin2020_stage4")
    outputs = []
    with torch.inference_mode():
        for part in network.children() if stem.startswith("jin2018_F") else [network]:
            given = part(inputs) if together else part(*inputs)
            outputs += [given] if isinstance(given, torch.Tensor) else list(given)
    return outputs


def error(actual, expected):
    """The largest, in shares of the largest value of its output."""
    return max(((ours.float() - theirs).abs().max() / theirs.abs().max()).item() for ours, theirs in zip(actual, expected, strict=True))


def last(values):
    """In the layout with channels last."""
    return [value.to(memory_format=torch.channels_last) if value.ndim == 4 else value for value in values]


@pytest.mark.parametrize("stem", NETWORKS)
def test_batches_and_channels_last(stem):
    """A picture alone is what it is among four, to 1e-5 of the largest value; with channels last to 5e-5 (measured: at most 2.2e-5)."""
    network, four = build(stem), INPUTS.get(stem, lambda: [images(16, 32)])()
    first, fourth = (run(stem, network, [value[at : at + 1] for value in four]) for at in (0, 3))
    together = run(stem, network, four)
    assert error([output[:1] for output in together], first) < 1e-5
    assert error([output[3:] for output in together], fourth) < 1e-5
    assert error(fourth, first) > 1e-3, "pictures of the batch differ"
    network.to(memory_format=torch.channels_last)
    assert error(run(stem, network, last([value[:1] for value in four])), first) < 5e-5


def slow(stem, name):
    """Half on a CPU is a loop; this network is the largest."""
    return [pytest.mark.slow] if (stem, name) == ("zhong2022_predictor_G", "half") else []


@pytest.mark.parametrize(("stem", "name"), [pytest.param(stem, name, marks=slow(stem, name)) for stem in NETWORKS for name in FORMATS])
def test_short_floats(stem, name):
    network = build(stem).to(memory_format=torch.channels_last)
    one = last([value[:1] for value in INPUTS.get(stem, lambda: [images(16, 32)])()])
    expected = run(stem, network, one)
    short = run(stem, network.to(FORMATS[name]), [value.to(FORMATS[name]) for value in one])
    assert all(output.dtype == FORMATS[name] for output in short)
    assert error(short, expected) < 2 * MEASURED[stem][list(FORMATS).index(name)]
