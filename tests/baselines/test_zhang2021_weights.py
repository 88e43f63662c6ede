"""Weight files of Motion-ETR: what is taken, what is refused, and what is said."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from blurbench.baselines import _zhang2021_offsets as motion
from blurbench.baselines._zhang2021_deblur import printed_shifts
from blurbench.baselines.zhang2021 import MotionETR, OffsetNetwork, Zhang2021, Zhang2021Paper
from blurbench.errors import WeightsError
from blurbench.methods import load_method
from blurbench.running import predict
from tests.baselines.inputs import picture
from tests.baselines.official import refused, without_weights
from tests.baselines.zhang2021_pieces import fill, make_sample, slices


def without_aliases(network):
    return {key: value.contiguous() for key, value in network.state_dict().items() if ".model." not in key}


@pytest.fixture(scope="module")
def filled():
    return fill(MotionETR(), {"offset.conv_out_0": 60, "deblur.offset_net.conv_out_0": 60})


@pytest.fixture
def checkpoint(tmp_path, filled):
    """A folder as the authors publish it: one network under plain names, one under `module.`, layers of the bottlenecks twice."""
    torch.save(filled.offset.state_dict(), tmp_path / "latest_net_offset.pth")
    torch.save({f"module.{key}": value for key, value in filled.deblur.state_dict().items()}, tmp_path / "latest_net_deblur.pth")
    return tmp_path


def run(method):
    blurry = picture(16, 24)
    return predict(method, make_sample(blurry, slices(3))).frames


def test_official_folder_gives_a_video(checkpoint, filled):
    method = load_method("motion-etr", checkpoint)
    assert method.weights.files == ("latest_net_offset.pth", "latest_net_deblur.pth")
    assert method.weights.origin == "given"
    frames = run(method)
    np.testing.assert_array_equal(frames, run(Zhang2021(filled)))
    assert np.abs(frames[0, 0] - frames[0, 2]).mean() > 0.01


def test_one_safetensors_file_without_aliases(tmp_path, filled):
    save_file(without_aliases(filled), tmp_path / "zhang2021.safetensors")
    np.testing.assert_array_equal(run(load_method("zhang2021", tmp_path / "zhang2021.safetensors")), run(Zhang2021(filled)))


def test_variant_of_the_paper_takes_its_own_weights(tmp_path):
    network = MotionETR(as_released=False)
    torch.save(network.offset.state_dict(), tmp_path / "latest_net_offset.pth")
    save_file(without_aliases(network.deblur), tmp_path / "latest_net_deblur.safetensors")
    method = load_method("zhang2021-paper", tmp_path)
    assert method.network.deblur.deblur_net.decoder_lv2.shifts is printed_shifts
    np.testing.assert_array_equal(run(method), run(Zhang2021Paper(network)))


def test_offset_network_alone(checkpoint, tmp_path):
    network = motion.load_offsets(checkpoint / "latest_net_offset.pth", "bi-linear")
    assert network.constraint == "bi-linear" and not network.training
    with pytest.raises(WeightsError, match=r"'conv_out_0.weight' has shape \(4, 32, 5, 5\), expected \(2, 32, 5, 5\)"):
        motion.load_offsets(checkpoint / "latest_net_offset.pth", "linear")


def test_no_weights_tells_what_to_fetch_and_where_it_goes():
    message = without_weights("zhang2021")
    assert "latest_net_offset.pth" in message and "latest_net_deblur.pth" in message and "github.com/yjzhang96/Motion-ETR" in message
    assert without_weights("zhang2021-paper").startswith("nobody released any; put into one folder")


def test_missing_file(checkpoint):
    (checkpoint / "latest_net_offset.pth").unlink()
    assert refused("zhang2021", checkpoint).startswith(f"weights folder {checkpoint} lacks latest_net_offset (.pth or .safetensors); put ")


def test_one_network_where_two_are_needed(checkpoint):
    path = checkpoint / "latest_net_deblur.pth"
    assert refused("zhang2021", path).startswith(f"{path} is one network, zhang2021 needs two; put into one folder latest_net_offset.pth")


def test_released_weights_in_the_variant_of_the_paper(checkpoint):
    expected = f"{checkpoint}/latest_net_deblur.pth is not of zhang2021-paper: 'deblur_net.decoder_lv1.ratio_3' is 0.08, expected 0.1; "
    assert refused("zhang2021-paper", checkpoint) == expected + "try --method zhang2021"


def test_linear_weights_in_the_method(checkpoint):
    path = checkpoint / "latest_net_offset.pth"
    torch.save(OffsetNetwork("linear").state_dict(), path)
    expected = f"{path} is not a checkpoint of OffsetNetwork: 'conv_out_0.weight' has shape (2, 32, 5, 5), expected (4, 32, 5, 5)"
    assert refused("zhang2021", checkpoint) == expected


def test_missing_key(checkpoint, filled):
    path = checkpoint / "latest_net_deblur.pth"
    state = filled.deblur.state_dict()
    del state["deblur_net.decoder_lv2.dcn_5_1.weight"]
    torch.save(state, path)
    assert refused("zhang2021", checkpoint).startswith(
        f"{path} is not a checkpoint of MotionAware: key 'deblur_net.decoder_lv2.dcn_5_1.weight' is missing"
    )


def test_names_of_one_layer_that_disagree(checkpoint, filled):
    path = checkpoint / "latest_net_offset.pth"
    state = {key: value.clone() for key, value in filled.offset.state_dict().items()}
    state["bottleneck_2.model.2.bias"][5] += 1
    torch.save(state, path)
    twins = "'bottleneck_2.conv2.bias' and 'bottleneck_2.model.2.bias'"
    assert refused("zhang2021", checkpoint) == f"{path} holds two versions of one layer: {twins} differ, expected the same values"
