"""DMPHN: its parameters, its arithmetic, what it does to a picture, and how wrong weights are told."""

import json
import shutil

import cv2
import numpy as np
import pytest
import torch

from blurbench.baselines._zhang2019_network import MultiPatch
from blurbench.baselines.zhang2019 import NETWORKS, PARTS, Zhang2019
from blurbench.methods import Request, load_method
from blurbench.running import predict
from tests.baselines.inputs import make_sample, picture, tensor
from tests.baselines.official import Bomb, count, cut, refused, run, without_weights


def fill(network):
    """Formula parameters, in order of names: weights 1.1 sin(0.7 n n + k) / sqrt(size of a row), biases 0.1 sin(0.7 n n + k)."""
    state = network.state_dict()
    for rank, key in enumerate(sorted(state)):
        values = np.sin(0.7 * np.arange(state[key].numel()) ** 2 + rank).reshape(state[key].shape)
        scale = 0.1 if values.ndim == 1 else 1.1 / np.sqrt(values[0].size)
        state[key] = torch.from_numpy((scale * values).astype(np.float32))
    network.load_state_dict(state)
    return network.eval()


@pytest.fixture(scope="module")
def filled():
    return Zhang2019(fill(MultiPatch()))


@pytest.fixture(scope="module")
def official(shared):
    return load_method("dmphn", shared / "weights" / "dmphn_1_2_4")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, filled):
    """A folder in the format of the official weights."""
    folder = tmp_path_factory.mktemp("checkpoint")
    for part in PARTS:
        state = filled.network.get_submodule(part).state_dict()
        torch.save({key: value.contiguous() for key, value in state.items()}, folder / f"{part}.pkl", _use_new_zipfile_serialization=False)
    return folder


@pytest.fixture
def damaged(checkpoint, tmp_path):
    """A copy of the checkpoint to damage."""
    return shutil.copytree(checkpoint, tmp_path / "damaged")


def test_parameter_counts():
    assert count(NETWORKS["dmphn_encoder"]()) == 868_288
    assert count(NETWORKS["dmphn_decoder"]()) == 939_843
    assert count(MultiPatch()) == 5_424_393


def test_official_weights_give_official_values(shared, official):
    golden = json.loads((shared / "reference" / "golden_dmphn.json").read_text())
    out = run(official.network, tensor(64, 96))[0]
    assert out.mean().item() == pytest.approx(golden["output_mean"], abs=1e-5)
    assert out.std().item() == pytest.approx(golden["output_std"], abs=1e-5)
    assert out[:, 10, 20].tolist() == pytest.approx(golden["out[:,10,20]"], abs=1e-5)
    assert out[:, 40, 70].tolist() == pytest.approx(golden["out[:,40,70]"], abs=1e-5)


def test_values_of_formula_weights(filled):
    """Values of this code when it gave the official ones above; they stand guard where the official weights are not at hand."""
    out = run(filled.network, tensor(64, 96))[0]
    assert out.std().item() == pytest.approx(0.1094, abs=1e-4)
    assert out[:, 10, 20].tolist() == pytest.approx([0.606015, 0.686957, 0.543857], abs=1e-5)
    assert out[:, 40, 70].tolist() == pytest.approx([0.474799, 0.425214, 0.452843], abs=1e-5)


def test_levels_equal_the_network_taken_patch_by_patch(filled):
    """Figure 2 spelled out, one patch at a time, where the network takes all patches of a level as one batch."""
    net, image = filled.network, tensor(48, 80) - 0.5
    top, bottom = image[:, :, :24], image[:, :, 24:]
    with torch.inference_mode():
        top3, bottom3 = (torch.cat([net.encoder_lv3(half[..., :40]), net.encoder_lv3(half[..., 40:])], dim=3) for half in (top, bottom))
        top2 = net.encoder_lv2(top + net.decoder_lv3(top3)) + top3
        bottom2 = net.encoder_lv2(bottom + net.decoder_lv3(bottom3)) + bottom3
        features2 = torch.cat([top2, bottom2], dim=2)
        features1 = net.encoder_lv1(image + net.decoder_lv2(features2)) + features2
        expected = net.decoder_lv1(features1) + 0.5
    actual = run(net, image + 0.5)
    scale = expected.abs().max().item()
    assert (actual - expected).abs().max().item() < 1e-6 * max(scale, 1)


def test_images_of_a_batch_do_not_mix(filled):
    first, second = tensor(16, 24), 1 - tensor(16, 24)
    both = run(filled.network, torch.cat([first, second]))
    torch.testing.assert_close(both[:1], run(filled.network, first), rtol=0, atol=2e-6)
    torch.testing.assert_close(both[1:], run(filled.network, second), rtol=0, atol=2e-6)


def test_gradients_flow_to_every_parameter():
    network = MultiPatch()
    network(tensor(16, 16)).square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in network.parameters())


@pytest.mark.parametrize(("height", "width"), [(61, 91), (64, 91), (8, 8), (1, 3)])
def test_any_size(filled, height, width):
    blurry = picture(height, width)
    answer = predict(filled, make_sample(blurry))
    assert answer.frames.shape == (1, 1, height, width, 3)
    rows, columns = -height % 8, -width % 8
    padded = np.pad(blurry, [(0, rows), (0, columns), (0, 0)], mode="symmetric").astype(np.float32) / np.float32(255)
    whole = filled.predict(padded, Request(np.array([0.5]), 1, np.random.default_rng(0)))
    np.testing.assert_array_equal(answer.frames, whole[:, :, :height, :width])


def test_prediction_is_what_the_network_gives(filled):
    image = tensor(16, 24)
    answer = filled.predict(image[0].permute(1, 2, 0).numpy(), Request(np.array([0.5]), 1, np.random.default_rng(0)))
    np.testing.assert_allclose(answer[0, 0].transpose(2, 0, 1), run(filled.network, image)[0].numpy(), rtol=0, atol=2e-6)


def test_prediction_is_clamped():
    method = Zhang2019(fill(MultiPatch()))
    with torch.no_grad():
        method.network.decoder_lv1.layer24.bias.copy_(torch.tensor([-2.0, 0.0, 2.0]))
    frames = method.predict(np.full((8, 16, 3), 0.5, np.float32), Request(np.array([0.5]), 1, np.random.default_rng(0)))
    assert frames.dtype == np.float32
    assert np.unique(frames[..., 0]).tolist() == [0]
    assert 0.1 < frames[..., 1].min() <= frames[..., 1].max() < 0.9
    assert np.unique(frames[..., 2]).tolist() == [1]


def gradient(image):
    """Mean absolute difference of neighbours, down and across."""
    return np.abs(np.diff(image, axis=0)).mean() + np.abs(np.diff(image, axis=1)).mean()


def block_means(image):
    return cv2.resize(image, None, fx=1 / 32, fy=1 / 32, interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize(("name", "factor"), [("000001", 1.4), ("000007", 1.1), ("000013", 1.25)])
def test_blurry_photographs_become_sharper(shared, official, name, factor):
    """Real GoPro blur, heavy in 000001, slight in 000007: edges grow steeper while means over 32x32 pixels stay."""
    photo = cv2.imread(str(shared / "data" / "gopro_blurry" / f"{name}.png"))[232:488, 512:768, ::-1]
    sharp = predict(official, make_sample(np.ascontiguousarray(photo))).frames[0, 0]
    blurry = photo.astype(np.float32) / np.float32(255)
    assert factor < gradient(sharp) / gradient(blurry) < 2
    assert np.abs(sharp - blurry).mean() < 0.06
    assert np.abs(block_means(sharp) - block_means(blurry)).mean() < 0.01


@pytest.mark.parametrize("name", ["000001", "000007", "000013"])
def test_known_motion_is_removed(shared, official, name):
    """A photograph halved and averaged over 13 shifts of one pixel: the centre one comes back at least 3 dB nearer than the blur is."""
    photo = cv2.imread(str(shared / "data" / "gopro_blurry" / f"{name}.png"))[..., ::-1]
    source = cv2.resize(photo, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    frames = np.stack([source[32:288, 192 + shift : 448 + shift] for shift in range(13)])
    blurry = np.rint(frames.mean(axis=0)).astype(np.uint8)
    deblurred = predict(official, make_sample(blurry)).frames[0, 0]
    error_before = np.square(blurry / 255 - frames[6] / 255).mean()
    error_after = np.square(deblurred - frames[6] / 255).mean()
    assert 10 * np.log10(error_before / error_after) > 3


def test_record_of_the_official_weights(official):
    assert official.weights.as_dict() == {
        "files": tuple(f"{part}.pkl" for part in PARTS),
        "sha256": "c1a239e41b720a0cdc1e7e50f0256bcfd140eca7700ebdf74644594f51148513",
        "origin": "given",
    }


def test_checkpoint_round_trip(checkpoint, filled):
    method = Zhang2019.load(checkpoint)
    assert not method.network.training
    image = tensor(16, 24)
    torch.testing.assert_close(run(method.network, image), run(filled.network, image), rtol=0, atol=0)


def test_no_weights_tells_what_to_fetch_and_where_it_goes():
    message = without_weights("zhang2019")
    for part in PARTS:
        assert f"{part}.pkl" in message
    assert message.endswith("checkpoints/DMPHN_1_2_4 of github.com/HongguangZhang/DMPHN-cvpr19-master")


def test_missing_folder(tmp_path):
    assert refused("zhang2019", tmp_path / "nowhere").startswith(
        f"weights folder {tmp_path}/nowhere is not a folder; zhang2019 needs one with encoder_"
    )


def test_file_in_place_of_the_folder(checkpoint):
    assert refused("zhang2019", checkpoint / "encoder_lv1.pkl").startswith(f"weights folder {checkpoint}/encoder_lv1.pkl is not a folder; ")


def test_missing_files(damaged):
    (damaged / "encoder_lv2.pkl").unlink()
    (damaged / "decoder_lv3.pkl").unlink()
    assert refused("zhang2019", damaged).startswith(f"weights folder {damaged} lacks encoder_lv2.pkl, decoder_lv3.pkl; zhang2019 needs ")


def test_weights_of_the_deeper_network(damaged):
    shutil.copy(damaged / "encoder_lv1.pkl", damaged / "encoder_lv4.pkl")
    assert refused("zhang2019", damaged).startswith(f"weights folder {damaged} is of DMPHN(1-2-4-8), for it has encoder_lv4.pkl; ")


def test_encoder_in_place_of_a_decoder(damaged):
    shutil.copy(damaged / "encoder_lv1.pkl", damaged / "decoder_lv2.pkl")
    told = "key 'layer13.0.bias' is missing (30 of 30 are); it has 'layer1.bias', which is unknown"
    assert refused("zhang2019", damaged) == f"{damaged}/decoder_lv2.pkl is not a checkpoint of Decoder: {told}"


def test_truncated_file(damaged):
    path = damaged / "decoder_lv1.pkl"
    cut(path)
    assert refused("zhang2019", damaged).startswith(f"weights file {path} cannot be read safely (RuntimeError: unexpected EOF")


def test_malicious_pickle_is_not_run(damaged, tmp_path):
    path, created = damaged / "encoder_lv3.pkl", tmp_path / "created"
    torch.save({"layer1.weight": Bomb(created)}, path, _use_new_zipfile_serialization=False)
    assert refused("zhang2019", damaged).startswith(f"weights file {path} cannot be read safely (UnpicklingError: Unsupported global")
    assert not created.exists()
