"""Jin 2018: parameters, official values, how the frames hang together, its checkpoints and how wrong ones are told."""

import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from blurbench.baselines.jin2018 import NETWORKS, STEMS, Jin2018, Sequence
from blurbench.methods import Request, load_method
from blurbench.running import predict
from tests.baselines.inputs import make_sample, padded, picture, tensor, unit
from tests.baselines.official import Bomb, count, cut, fill, refused, run, small_state, without_weights

PARAMETERS = {"jin2018_centerEsti": 4_972_032, "jin2018_F35_N8": 7_868_928, "jin2018_F26_N9": 2_686_208, "jin2018_F17_N9": 2_686_208}


@pytest.fixture(scope="module")
def filled():
    network = Sequence()
    for part in STEMS:
        fill(network.get_submodule(part))
    return network


@pytest.fixture(scope="module")
def states():
    """What the four checkpoint files hold, by part."""
    network = Sequence()
    return {part: small_state(network.get_submodule(part)) for part in STEMS}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, states):
    """A folder in the official layout, with what else old checkpoints hold: running statistics, an epoch, another network."""
    folder = tmp_path_factory.mktemp("jin2018")
    for part, stem in STEMS.items():
        state = {f"module.{key}" if part == "F26" else key: value for key, value in states[part].items()}
        for key in [key for key in state if key.endswith(("norm1.bias", "norm3.bias"))]:
            layer = key.removesuffix("bias")
            state[f"{layer}running_mean"] = torch.full_like(state[key], 1e9)
            state[f"{layer}running_var"] = torch.full_like(state[key], -1.0)
        whole = {"epoch": 3, "state_dict_G": state, "state_dict_D": {"weight": torch.zeros(1)}}
        torch.save(whole, folder / f"{stem}.pth", _use_new_zipfile_serialization=part != "centre")
    return folder


@pytest.fixture
def damaged(checkpoint, tmp_path):
    """A copy of the checkpoint to damage."""
    return shutil.copytree(checkpoint, tmp_path / "damaged")


@pytest.fixture(scope="module")
def loaded(checkpoint):
    return load_method("jin2018", checkpoint)


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters(name):
    assert count(NETWORKS[name]()) == PARAMETERS[name]


def test_parameters_in_all(filled):
    assert count(filled) == 18_213_376


def test_each_frame_is_added_to_the_one_it_starts_from(filled):
    """Where the pair networks find nothing, all frames are the centre; where that finds nothing either, the blurry image."""
    network = Sequence()
    network.load_state_dict(filled.state_dict())
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith(".conv3.weight") and not name.startswith("centre"):
                parameter.zero_()
    blurry = tensor(20, 40)
    frames = run(network.eval(), blurry)
    torch.testing.assert_close(frames, frames[:, 3:4].expand_as(frames), rtol=0, atol=0)
    assert (frames[:, 3] - blurry).abs().max() > 0.1
    with torch.no_grad():
        network.get_submodule("centre").conv3.weight.zero_()
    torch.testing.assert_close(run(network, blurry), blurry[:, None].expand_as(frames), rtol=0, atol=0)


def test_later_frames_depend_on_earlier_networks_only(filled):
    """Another F17 changes frames 1 and 7, another third frame all but the centre."""
    blurry = tensor(20, 20)
    before = run(filled, blurry)[0]

    def changed_by(name):
        parameter = filled.get_parameter(name)
        kept = parameter.detach().clone()
        with torch.no_grad():
            parameter.mul_(1.5)
        after = run(filled, blurry)[0]
        with torch.no_grad():
            parameter.copy_(kept)
        return {number for number in range(1, 8) if not torch.equal(before[number - 1], after[number - 1])}

    assert changed_by("F17.generateFrame1_7.conv3.weight") == {1, 7}
    assert changed_by("F26.generateFrame2_6.conv3.weight") == {1, 2, 6, 7}
    assert changed_by("F35.generateFrame5.conv3.weight") == {5, 6, 7}
    assert changed_by("F35.generateFrame3.conv3.weight") == {1, 2, 3, 5, 6, 7}
    assert changed_by("centre.conv3.weight") == {1, 2, 3, 4, 5, 6, 7}


@pytest.mark.parametrize(("stage", "places"), [("centre", [3]), ("F35", [2, 4]), ("F26", [1, 5]), ("F17", [0, 6])])
def test_a_stage_compares_its_frames(stage, places):
    torch.manual_seed(0)
    network, batch = Sequence(0.125), {"blurry": torch.rand(2, 3, 40, 40), "sharp": torch.rand(2, 7, 3, 40, 40)}
    (player,) = Jin2018.training.stages[stage].players
    with torch.no_grad():
        (found,) = player.loss({"network": network}, batch, {}).values()
        made, true = (frames[:, places].double() for frames in (network(batch["blurry"]), batch["sharp"]))
    if stage == "centre":
        assert float(found) == pytest.approx(float((made - true).square().mean()), rel=1e-5)
        return
    (p, q), (g, h) = made.unbind(1), true.unbind(1)
    sums, differences = (p + q).abs() - (g + h).abs(), (p - q).abs() - (g - h).abs()
    assert float(found) == pytest.approx(float(sums.abs().mean() + differences.abs().mean()), rel=1e-5)


def test_prediction_with_official_files(states, loaded):
    """Each file is its part's, running statistics are nothing, and the picture is padded, cropped and clamped."""
    blurry = picture(31, 45)
    answer = predict(loaded, make_sample(blurry)).frames
    network = Sequence()
    for part, state in states.items():
        network.get_submodule(part).load_state_dict(state)
    raw = run(network.eval(), padded(blurry, 20))[0, :, :, :31, :45].permute(0, 2, 3, 1).numpy()
    assert answer.shape == (1, 7, 31, 45, 3)
    assert raw.min() < -0.1, "something is there to clamp"
    np.testing.assert_allclose(answer[0], raw.clip(0, 1), rtol=0, atol=1e-4 * np.abs(raw).max())


def test_the_record_names_the_files(loaded):
    assert loaded.weights.files == tuple(f"{stem}.pth" for stem in STEMS.values())
    assert (loaded.weights.origin, len(loaded.weights.sha256)) == ("given", 64)


def test_safetensors(states, loaded, tmp_path):
    """One file of everything, and a folder of four, give what the official files give."""
    request = Request(np.linspace(0, 1, 7), 1, np.random.default_rng(0))
    blurry = unit(picture(20, 20))
    expected = loaded.predict(blurry, request)
    whole = {f"{part}.{key}": value.contiguous() for part, state in states.items() for key, value in state.items()}
    save_file(whole, tmp_path / "whole.safetensors")
    np.testing.assert_array_equal(Jin2018.load(tmp_path / "whole.safetensors").predict(blurry, request), expected)
    for part, state in states.items():
        save_file({key: value.contiguous() for key, value in state.items()}, tmp_path / f"{STEMS[part]}.safetensors")
    np.testing.assert_array_equal(Jin2018.load(tmp_path).predict(blurry, request), expected)


def test_no_weights_tells_what_to_fetch_and_where_it_goes():
    message = without_weights("jin2018")
    assert message.startswith("put into one folder center_v3.pth, F35_N8.pth, F26_N9_from_F35_N8.pth, F17_N9_from_")
    assert message.endswith("github.com/MeiguangJin/Learning-to-Extract-a-Video-Sequence-from-a-Single-Motion-Blurred-Image")


def test_missing_files(damaged):
    (damaged / "center_v3.pth").unlink()
    (damaged / "F26_N9_from_F35_N8.pth").unlink()
    assert refused("jin2018", damaged).startswith(
        f"weights folder {damaged} lacks center_v3, F26_N9_from_F35_N8 (.pth or .safetensors); put into "
    )


def test_one_file_for_all(checkpoint):
    assert refused("jin2018", checkpoint / "center_v3.pth").startswith(
        f"{checkpoint}/center_v3.pth is one network, jin2018 needs four; put into "
    )


def test_file_of_another_part(damaged):
    """The two smaller networks have the same shapes; names tell them apart."""
    path = damaged / "F17_N9_from_F26_N9_from_F35_N8.pth"
    shutil.copy(damaged / "F26_N9_from_F35_N8.pth", path)
    missing = "key 'generateFrame1_7.GlobalGrad.0.conv1.weight' is missing (103 of 103 are)"
    told = f"{missing}; it has 'generateFrame2_6.GlobalGrad.0.conv1.weight', which is unknown"
    assert refused("jin2018", damaged) == f"{path} is not a checkpoint of _Pair: {told}"


def test_truncated_file(damaged):
    path = damaged / "F35_N8.pth"
    cut(path)
    assert refused("jin2018", damaged).startswith(f"weights file {path} cannot be read safely (RuntimeError: ")


def test_malicious_pickle_is_not_run(damaged, tmp_path):
    path, created = damaged / "F35_N8.pth", tmp_path / "created"
    torch.save({"state_dict_G": {"weight": Bomb(created)}}, path)
    assert refused("jin2018", damaged).startswith(f"weights file {path} cannot be read safely (UnpicklingError: Unsupported global")
    assert not created.exists()
