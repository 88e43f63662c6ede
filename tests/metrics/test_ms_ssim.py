"""Multi-scale SSIM: agreement with torchmetrics, and with its definition."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d
from skimage import data
from skimage.measure import block_reduce

from blurbench import metrics
from blurbench.errors import PredictionError
from blurbench.metrics.ms_ssim import ms_ssim
from blurbench.registry import METRICS
from tests.metrics import torchvision_operators
from tests.metrics.test_ssim import damaged, simple

EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def torchmetrics(other, picture):
    image = torchvision_operators.module("torchmetrics.functional.image")
    pair = [torch.from_numpy(np.array(frame, np.float64)).permute(2, 0, 1)[None] for frame in (other, picture)]
    return image.multiscale_structural_similarity_index_measure(*pair, data_range=255.0, normalize="relu").item()


def contrast(x, y):
    """The mean of the second factor of SSIM, in float64."""

    def mean(plane):
        for axis in (0, 1):
            plane = gaussian_filter1d(plane, 1.5, axis=axis, radius=5)
        return plane

    variances = mean(x * x) - mean(x) ** 2 + mean(y * y) - mean(y) ** 2
    c2 = (0.03 * 255) ** 2
    return ((2 * (mean(x * y) - mean(x) * mean(y)) + c2) / (variances + c2))[5:-5, 5:-5].mean()


def definition(x, y):
    x, y = x.astype(np.float64), y.astype(np.float64)
    factors = []
    for _ in range(4):
        factors.append(contrast(x, y))
        x, y = (block_reduce(frame[: frame.shape[0] // 2 * 2, : frame.shape[1] // 2 * 2], (2, 2, 1), np.mean) for frame in (x, y))
    factors.append(simple(x, y))
    return math.prod(max(factor, 0) ** exponent for factor, exponent in zip(factors, EXPONENTS, strict=True))


def crops(name, how, size):
    picture = getattr(data, name)()
    rng = np.random.default_rng(sum(size))
    top, left = (int(rng.integers(whole - part + 1)) for whole, part in zip(picture.shape, size, strict=False))
    picture = picture[top : top + size[0], left : left + size[1]]
    return damaged(picture, how), picture


@pytest.mark.parametrize("size", [(176, 176), (177, 203), (240, 223)])
@pytest.mark.parametrize(("name", "how"), [("astronaut", "noise"), ("chelsea", "shifted"), ("coffee", "darker")])
def test_photographs(size, name, how):
    other, picture = crops(name, how, size)
    assert ms_ssim(other[None], picture[None], border="reflect")[0] == pytest.approx(torchmetrics(other, picture), abs=2e-6)
    value = ms_ssim(other[None], picture[None])[0]
    assert value == pytest.approx(definition(other, picture), abs=2e-6)
    for kind in (np.float32, np.float64):
        clips = [(frame[None] / 255).astype(kind) for frame in (other, picture)]
        assert ms_ssim(*clips)[0] == pytest.approx(value, abs=1e-6)


def test_negative_structure_counts_as_none():
    picture = data.astronaut()[:180, :180]
    assert ms_ssim(255 - picture[None], picture[None])[0] == 0 == torchmetrics(255 - picture, picture)


def test_orders_of_channels_and_of_memory():
    picture = data.astronaut()[40:240, 200:390]
    other = damaged(picture, "noise")
    value = ms_ssim(other[None], picture[None])[0]
    planar = [np.ascontiguousarray(frame.transpose(2, 0, 1)).transpose(1, 2, 0)[None] for frame in (other, picture)]
    assert ms_ssim(*planar)[0] == value
    assert ms_ssim(other[None, ..., ::-1], picture[None, ..., ::-1])[0] == pytest.approx(value, abs=1e-7)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32), height=st.sampled_from([176, 192, 208]), width=st.sampled_from([176, 192]))
def test_what_holds_for_all(seed, height, width):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 256, (2, height // 16, width // 16, 3), dtype=np.uint8).repeat(16, 1).repeat(16, 2)
    y = np.clip(x + rng.normal(0, 40, x.shape), 0, 255).astype(np.uint8)
    value = ms_ssim(x, y)
    assert value.shape == (2,) and (value > 0).all() and (value < 1).all()
    np.testing.assert_allclose(ms_ssim(y, x), value, atol=1e-6)
    np.testing.assert_allclose(ms_ssim(x, x), 1, atol=1e-12)
    for flip in (np.s_[:, ::-1], np.s_[:, :, ::-1]):
        np.testing.assert_allclose(ms_ssim(x[flip], y[flip]), value, atol=1e-6)


def test_refused():
    clip = np.zeros((1, 175, 200, 3))
    with pytest.raises(PredictionError, match=r"^ms-ssim: frames are 175x200 \(HxW\), expected at least 176x176 for five scales"):
        ms_ssim(clip, clip)
    with pytest.raises(PredictionError, match=r"^ms-ssim: border is 'wrap', expected 'valid' or 'reflect'$"):
        ms_ssim(clip, clip, border="wrap")


@pytest.mark.skipif("ms-ssim" not in METRICS.names(), reason="blurbench is not installed: pip install -e .")
def test_found_by_id():
    assert metrics.get("ms-ssim") is ms_ssim
