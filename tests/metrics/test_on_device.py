"""The torch path against the numpy metrics, on the processor and on a GPU where there is one."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from blurbench.errors import PredictionError
from blurbench.metrics import on_device
from blurbench.metrics.ordering import ordering
from blurbench.metrics.psnr import psnr
from blurbench.metrics.ssim import ssim
from tests.metrics import torchvision_operators
from tests.metrics.test_ssim import damaged

PAIRS = {"psnr": (on_device.psnr, psnr), "ssim": (on_device.ssim, ssim), "ordering": (on_device.ordering, ordering)}
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use")),
]
pytestmark = pytest.mark.parametrize("device", DEVICES)


def photographs(size, frames=3):
    rng = np.random.default_rng(sum(size))
    pictures, others = [], []
    for how in ("noise", "shifted", "darker", "negative")[:frames]:
        picture = data.astronaut()
        top, left = (int(rng.integers(whole - part + 1)) for whole, part in zip(picture.shape, size, strict=False))
        pictures.append(picture[top : top + size[0], left : left + size[1]])
        others.append(damaged(pictures[-1], how))
    return np.stack(others), np.stack(pictures)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("kind", [np.uint8, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("size", [(11, 11), (37, 53), (256, 301)])
def test_the_same_values(device, name, kind, size):
    mine, theirs = PAIRS[name]
    clips = [clip if kind is np.uint8 else (clip / 255).astype(kind) for clip in photographs(size, frames=4)]
    found = mine(*(torch.from_numpy(clip).to(device) for clip in clips))
    assert found.device.type == device and found.dtype == torch.float64
    np.testing.assert_allclose(found.cpu().numpy(), theirs(*clips), atol=1e-4)


@pytest.mark.parametrize("name", PAIRS)
def test_networks_hold_channels_first(device, name):
    mine, theirs = PAIRS[name]
    clips = photographs((64, 80))
    planar = [torch.from_numpy(clip).to(device).permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1) for clip in clips]
    np.testing.assert_allclose(mine(*planar).cpu().numpy(), theirs(*clips), atol=1e-4)
    mixed = [planar[0].float() / 255, planar[1]]
    np.testing.assert_allclose(mine(*mixed).cpu().numpy(), theirs(*clips), atol=1e-4)


@pytest.mark.parametrize("level", [0, 3, 128, 252, 255])
@pytest.mark.parametrize("sigma", [0.5, 3])
def test_flat_pictures_do_not_lose_their_variance(device, level, sigma):
    rng = np.random.default_rng(5)
    x, y = (np.clip(level + rng.normal(0, sigma, (1, 90, 110, 3)), 0, 255).round().astype(np.uint8) for _ in range(2))
    found = on_device.ssim(*(torch.from_numpy(clip).to(device) for clip in (x, y))).cpu().numpy()
    np.testing.assert_allclose(found, ssim(x, y), atol=1e-4)


def test_against_torchmetrics(device):
    image = torchvision_operators.module("torchmetrics.functional.image")
    planar = [torch.from_numpy(clip).to(device).permute(0, 3, 1, 2).double() / 255 for clip in photographs((120, 90))]
    found = [metric(*(clip.permute(0, 2, 3, 1) for clip in planar)) for metric in (on_device.psnr, on_device.ssim)]
    expected = image.peak_signal_noise_ratio(*planar, data_range=1.0, reduction="none", dim=(1, 2, 3))
    assert torch.allclose(found[0], expected, atol=1e-6)
    _, full = image.structural_similarity_index_measure(*planar, data_range=1.0, return_full_image=True)
    assert torch.allclose(found[1], full[..., 5:-5, 5:-5].mean(dim=(1, 2, 3)), atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), frames=st.integers(2, 5))
def test_what_holds_for_all(device, seed, frames):
    x, y = torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (2, frames, 14, 12, 3), dtype=np.uint8)).to(device)
    assert torch.isinf(on_device.psnr(x, x)).all()
    assert torch.allclose(on_device.ssim(x, x), torch.ones(1, dtype=torch.float64, device=device))
    assert on_device.ordering(x.flip(0), x).item() == 0
    for metric, _ in PAIRS.values():
        assert torch.allclose(metric(x, y), metric(y, x), atol=1e-5)
        assert torch.allclose(metric(x.flip(2), y.flip(2)), metric(x, y), atol=1e-5)
    total = on_device.ordering(x, y, reduction="sum")
    assert total.item() == pytest.approx(on_device.ordering(x, y).item() * (frames // 2))


def test_refused(device):
    clip = torch.zeros(2, 16, 20, 3, device=device)
    for metric, name in ((on_device.psnr, "psnr"), (on_device.ssim, "ssim"), (on_device.ordering, "ordering")):
        with pytest.raises(PredictionError, match=rf"^{name}: prediction has shape \(2, 3, 16, 20\), expected \(T, H, W, 3\)"):
            metric(clip.permute(0, 3, 1, 2), clip)
        with pytest.raises(PredictionError, match=rf"^{name}: target has dtype torch.int64"):
            metric(clip, clip.long())
        with pytest.raises(PredictionError, match=rf"^{name}: prediction is \(1, 16, 20, 3\) on {device}.*, target \(2, 16, 20, 3\)"):
            metric(clip[:1], clip)
    with pytest.raises(PredictionError, match=r"^ssim: frames are 10x20 \(HxW\), expected at least 11x11 for the 11x11 window; score"):
        on_device.ssim(clip[:, :10], clip[:, :10])
    with pytest.raises(PredictionError, match="1 frame"):
        on_device.ordering(clip[:1], clip[:1])
    with pytest.raises(PredictionError, match="reduction is 'max'"):
        on_device.ordering(clip, clip, reduction="max")
