"""BIN: parameters, official values, how pictures are carried from run to run, its checkpoints and how wrong ones are told."""

import itertools

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from blurbench import weights
from blurbench.baselines._shen2020_losses import outputs
from blurbench.baselines.shen2020 import NETWORKS, Cell, Recurrent, Shen2020, Shen2020Video, Unit, once
from blurbench.errors import DataSetError, PredictionError
from blurbench.methods import Request, load_method
from blurbench.registry import METHODS
from blurbench.running import predict
from blurbench.store.reader import open_dataset
from blurbench.synth.pipeline import make_dataset
from tests.baselines.inputs import as_tensor, make_sample, picture, tensor, unit
from tests.baselines.official import count, cut, fill, refused, run, small_state, without_weights
from tests.train.shrunk import shrunk, trained

ALIAS = {"model1": 4, "model2": 3, "model3": 2, "model4": 1}


@pytest.fixture(scope="module")
def filled():
    """Filled in order of names: where one tensor has several, the last decides."""
    return fill(Recurrent())


@pytest.fixture(scope="module")
def state():
    """Each unit under the name of its first place only."""
    values = small_state(Recurrent())
    return {key: value for key, value in values.items() if not key.startswith("model.") or key.split(".")[1].endswith("_1")}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, state):
    """A file in the official layout: every name of a unit, all with the prefix of training on several GPUs."""
    path = tmp_path_factory.mktemp("shen2020") / "adobe_bin.pth"
    torch.save({f"module.{key}": value for key, value in with_aliases(state).items()}, path)
    return path


def with_aliases(state):
    whole = {}
    for key, value in state.items():
        _, _, rest = key.partition(".")
        places = ALIAS.get(rest.split("_")[0], 0) if key.startswith("model.") else 0
        for place in range(1, places + 1):
            whole[key.replace("_1.", f"_{place}.", 1)] = value
        if not places:
            whole[key] = value
    return whole


def exposures(number, height=16, width=24):
    return [tensor(height, width, 0.2 * step) for step in range(number)]


def test_parameters():
    assert count(NETWORKS["bin2020_stage4"]()) == 11_441_668
    assert count(Cell()) == 660


def test_only_what_is_needed_gives_the_same(filled):
    """Thirteen units in place of twenty: outputs 8, 13 and 12 of the six exposures, whatever the first one shows."""
    six = exposures(6)
    outputs = run(filled, six)
    for ours, number in zip(run(filled.centre, six[1:]), (8, 13, 12), strict=True):
        torch.testing.assert_close(ours, outputs[number], rtol=0, atol=1e-6)
    other = run(filled, [1 - six[0], *six[1:]])
    moved = [number for number in range(14) if not torch.equal(other[number], outputs[number])]
    assert moved == [0, 4, 7, 9], "the first exposure reaches the first picture of each stage of the first run only"


def test_pyramids_spelled_out(filled):
    """Both runs written down unit by unit, each picture by the number of its moment and stage."""
    b1, b3, b5, b7, b9, b11 = exposures(6)
    unit1, unit2, unit3, unit4 = (filled.get_submodule(f"model.model{stage}_1") for stage in range(1, 5))
    with torch.inference_mode():
        i2, i4, i6, i8, i10 = unit1(b1, b3), unit1(b3, b5), unit1(b5, b7), unit1(b7, b9), unit1(b9, b11)
        ii3, ii5, ii7 = unit2(i2, i2, i4), unit2(i4, i4, i6), unit2(i6, i6, i8)
        iii4, iii6 = unit3(ii3, b3, ii3, ii5, b5), unit3(ii5, b5, ii5, ii7, b7)
        iiii5 = unit4(i4, i4, iii4, iii6, i6)
        c4, c6, c8 = filled.clstm_4_prime(i4), filled.clstm_6_prime(i6), filled.clstm_8_prime(i8)
        c5, c7 = filled.clstm_5_prime_prime(ii5), filled.clstm_7_prime_prime(ii7)
        cc6 = filled.clstm_6_prime_prime_prime(iii6)
        jj5, jj7, jj9 = unit2(c4, i4, i6), unit2(c6, i6, i8), unit2(c8, i8, i10)
        jjj6, jjj8 = unit3(c5, b5, jj5, jj7, b7), unit3(c7, b7, jj7, jj9, b9)
        jjjj7 = unit4(cc6, i6, jjj6, jjj8, i8)
    expected = [i2, i4, i6, i8, ii3, ii5, ii7, iii4, iii6, iiii5, i10, jj9, jjj8, jjjj7]
    for ours, theirs in zip(run(filled, [b1, b3, b5, b7, b9, b11]), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_cell_is_one_step_of_a_convolutional_lstm():
    """All four gates, an empty state, one added to the forget gate: written out."""
    cell = fill(Cell(), gain={"": 3})
    image = 4 * tensor(6, 8) - 2
    hidden, memory = torch.zeros_like(image), torch.zeros_like(image)
    with torch.inference_mode():
        gates = torch.nn.functional.conv2d(torch.cat([image, hidden], dim=1), cell.Gates.weight, cell.Gates.bias, padding=1)
        enter, value, forget, leave = gates[:, :3], gates[:, 3:6], gates[:, 6:9], gates[:, 9:]
        memory = memory * torch.sigmoid(forget + 1) + torch.sigmoid(enter) * torch.tanh(value)
        torch.testing.assert_close(cell(image), torch.tanh(memory) * torch.sigmoid(leave), rtol=0, atol=1e-7)


def test_a_unit_is_added_to_the_mean_of_its_pictures():
    unit3 = Unit(3).eval()
    with torch.no_grad():
        unit3.UPNet[2].weight.zero_()
        unit3.UPNet[2].bias.copy_(torch.tensor([0.1, 0.2, 0.3]))
    a, b, c = exposures(3, 4, 6)
    expected = (a + b + c) / 3 + torch.tensor([0.1, 0.2, 0.3]).view(1, 3, 1, 1)
    torch.testing.assert_close(run(unit3, a, b, c), expected, rtol=0, atol=1e-6)


def test_gradients_flow_to_every_parameter_but_the_forget_gate():
    network = Recurrent()
    sum(image.square().mean() for image in network(exposures(6, 4, 4))).backward()
    idle = {name for name, parameter in network.named_parameters() if parameter.grad is None or not parameter.grad.any()}
    assert not idle
    assert not network.get_parameter("clstm_4_prime.Gates.weight").grad[6:9].any()
    assert network.get_parameter("clstm_4_prime.Gates.weight").grad[9:].any()


def test_names():
    assert METHODS.get("bin") is METHODS.get("shen2020") is Shen2020
    assert METHODS.get("shen2020-video") is Shen2020Video


@pytest.mark.parametrize("name", ["shen2020", "shen2020-video"])
def test_prediction_with_an_official_file(checkpoint, state, name):
    """Neighbours come in order of time, and odd sizes are padded, cropped and clamped."""
    method = load_method(name, checkpoint)
    five = [picture(13, 17, 0.2 * step) for step in range(5)]
    answer = predict(method, make_sample(five[2], frames=3, before=np.stack(five[:2]), after=np.stack(five[3:]))).frames
    network = Recurrent()
    network.load_state_dict(with_aliases(state))
    even = [as_tensor(np.pad(unit(image), [(0, 1), (0, 1), (0, 0)], mode="edge")) for image in five]
    raw = torch.cat(run(network.eval().centre, even))[:, :, :13, :17].permute(0, 2, 3, 1).numpy()
    raw = raw[1:2] if name == "shen2020" else raw
    assert answer.shape == (1, len(raw), 13, 17, 3)
    assert raw.min() < -0.1, "something is there to clamp"
    np.testing.assert_allclose(answer[0], raw.clip(0, 1), rtol=0, atol=1e-4 * np.abs(raw).max())
    assert method.weights.files == ("adobe_bin.pth",)


def test_a_single_picture_stands_still(filled):
    blurry = picture(8, 12)
    answer = predict(Shen2020Video(filled), make_sample(blurry, frames=3)).frames[0]
    expected = torch.cat(run(filled.centre, [as_tensor(unit(blurry))] * 5)).clamp(0, 1).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(answer, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", [None, (1, 8, 12, 3), (2, 8, 14, 3)])
def test_neighbours_that_do_not_fit(filled, shape):
    given = None if shape is None else np.zeros(shape, np.float32)
    two = np.zeros((2, 8, 12, 3), np.float32)
    told = r"^shen2020: Request.after has shape .*, expected at least \(2, 8, 12, 3\): neighbouring exposures of the same size$"
    with pytest.raises(PredictionError, match=told):
        Shen2020(filled).predict(two[0], Request(np.array([0.5]), 1, np.random.default_rng(0), before=two, after=given))


def test_other_layouts(checkpoint, state, tmp_path):
    """The other prefix, and safetensors, which refuse two names of one tensor."""
    torch.save({f"InterpNet.{key}": value for key, value in state.items()}, tmp_path / "w.pth")
    save_file({key: value.contiguous() for key, value in state.items()}, tmp_path / "w.safetensors")
    expected = Shen2020.load(checkpoint).network.state_dict()
    for path in (tmp_path / "w.pth", tmp_path / "w.safetensors"):
        actual = Shen2020.load(path).network.state_dict()
        assert all(torch.equal(actual[key], expected[key]) for key in expected)


def test_no_weights_tells_what_to_fetch_and_where_it_goes():
    assert without_weights("shen2020", "FILE") == "get adobe_bin.pth by the download link of github.com/laomao0/BIN"


def test_units_that_should_be_one_and_are_not(state, tmp_path):
    path, whole = tmp_path / "w.pth", with_aliases(state)
    whole["model.model3_2.GFF.0.bias"] = whole["model.model3_2.GFF.0.bias"] + 1
    torch.save(whole, path)
    first, second = "'model.model3_1.GFF.0.bias'", "'model.model3_2.GFF.0.bias'"
    assert refused("bin", path) == f"{path} holds two versions of one unit: {first} and {second} differ, expected the same values"


def test_missing_and_unknown_keys(state, tmp_path):
    path = tmp_path / "w.pth"
    torch.save({key: value for key, value in state.items() if key != "clstm_8_prime.Gates.bias"}, path)
    assert refused("bin", path) == f"{path} is not a checkpoint of Recurrent: key 'clstm_8_prime.Gates.bias' is missing (1 of 1332 are)"
    torch.save({**state, "model.model5_1.GFF.0.bias": torch.zeros(96)}, path)
    assert refused("bin", path) == f"{path} is not a checkpoint of Recurrent: unknown key 'model.model5_1.GFF.0.bias' (1 too many)"


def test_truncated_file(checkpoint, tmp_path):
    path = tmp_path / "w.pth"
    path.write_bytes(checkpoint.read_bytes())
    cut(path)
    assert refused("bin", path).startswith(f"weights file {path} cannot be read safely (RuntimeError: ")


# Training.


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Two training videos of 9 and more exposures as the authors blur them."""
    folder = tmp_path_factory.mktemp("adobe240")
    made = make_dataset("adobe240", out=folder, clips={"train": 2, "test": 0}, size=(40, 48), frames=100)
    assert all(entry.samples >= 7 for entry in made.splits["train"])
    return folder


def around(size=8, seed=0):
    """A batch of one window of noise: six exposures of five targets each."""
    generator = torch.Generator().manual_seed(seed)
    return {
        "blurry_around": torch.rand(1, 6, 3, size, size, generator=generator),
        "sharp_around": torch.rand(1, 6, 5, 3, size, size, generator=generator),
    }


class Fixed(torch.nn.Module):
    """Fourteen outputs whatever goes in."""

    def __init__(self, size=8):
        super().__init__()
        self.made = torch.rand(14, 1, 3, size, size, generator=torch.Generator().manual_seed(1))
        self.seen = []

    def forward(self, exposures):
        self.seen = [*exposures]
        return list(self.made)


def test_the_loss_is_the_mean_of_seventeen_errors():
    """Every output by its own name, in NumPy."""
    network, batch = Fixed(), around()
    terms = outputs({"network": network}, batch, {"epsilon": 1e-3})
    assert len(network.seen) == 6 and torch.equal(network.seen[0], batch["blurry_around"][:, 0])
    i2, i4, i6, i8, ii3, ii5, ii7, iii4, iii6, iiii5, i10, jj9, jjj8, jjjj7 = network.made.double().numpy()
    true = batch["sharp_around"].double().numpy()
    g3, g5, g7, g9 = true[:, 1:5, 2].swapaxes(0, 1)
    g2, g4, g6, g8, g10 = true[:, :5, 4].swapaxes(0, 1)

    def error(a, b):
        return np.sqrt((a - b) ** 2 + 1e-6).mean()

    first = error(i2, g2) + error(i4, g4) + error(i6, g6) + error(i8, g8) + error(ii3, g3) + error(ii5, g5) + error(ii7, g7)
    first += error(iii4, g4) + error(iii6, g6) + error(iiii5, g5)
    second = error(i10, g10) + error(jj9, g9) + error(jjj8, g8) + error(jjjj7, g7)
    assert terms["frames"].item() == pytest.approx((first + second) / 17, rel=1e-6)
    assert terms["agreement"].item() == pytest.approx((error(i4, iii4) + error(ii5, iiii5) + error(i6, iii6)) / 17, rel=1e-6)


def test_what_is_midway_is_in_both_exposures(video):
    """In the authors' data the last target of an exposure is the first of the next, so that reversing the video changes nothing."""
    for sample, after in itertools.pairwise(list(open_dataset(video).samples("train"))):
        if sample.video == after.video:
            assert np.array_equal(sample.sharp[-1], after.sharp[0])


def test_a_few_steps_lower_the_loss():
    torch.manual_seed(0)
    network, batch = Recurrent(), around()
    batch["sharp_around"] = 0.5 + 0.1 * batch["sharp_around"]
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4, betas=(0.9, 0.99))
    course = []
    for _ in range(6):
        terms = outputs({"network": network}, batch, {"epsilon": 1e-3})
        optimiser.zero_grad()
        sum(terms.values()).backward()
        optimiser.step()
        course.append(sum(terms.values()).item())
    assert course[-1] < 0.9 * course[0], course


def test_trained_weights_load_and_change_the_pictures(video, tmp_path, monkeypatch):
    shrunk(Shen2020, tmp_path, monkeypatch, crop=16, batch=1)
    path = trained("shen2020", video, tmp_path / "w.safetensors")
    assert weights.read(path).keys() == once(Recurrent()).keys()
    torch.manual_seed(0)
    five = [picture(16, 16, 0.2 * step) for step in range(5)]
    sample = make_sample(five[2], frames=1, before=np.stack(five[:2]), after=np.stack(five[3:]))
    before, after = (predict(method, sample).frames for method in (Shen2020(Recurrent()), load_method("bin", path)))
    assert np.isfinite(after).all() and np.abs(before - after).max() > 1e-4


def test_videos_that_are_too_short(made, tmp_path):
    with pytest.raises(DataSetError, match="no video has 6 exposures in a row"):
        trained("shen2020", made / "data/genblur", tmp_path / "w.safetensors", size="small")
