"""The variants of SSIM: values of official code, agreement with scikit-image and with their definitions, and what holds for all."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d
from skimage import data
from skimage.color import rgb2ycbcr, rgb2yiq
from skimage.metrics import structural_similarity

from blurbench import metrics
from blurbench.errors import PredictionError
from blurbench.metrics.ssim import ssim
from blurbench.metrics.ssim_variants import ssim_float_range2, ssim_gray, ssim_matlab3d, ssim_uniform7, ssim_y
from blurbench.registry import METRICS
from tests.formulas import golden_prediction, golden_sequence
from tests.metrics.test_ssim import damaged

ALL = [ssim_uniform7, ssim_float_range2, ssim_matlab3d, ssim_y, ssim_gray]
GOLDEN = {
    "ssim_skimage_uniform7_L255": (ssim_uniform7, 0.9834117266581106),
    "ssim_skimage_uniform7_range2_on_0_1": (ssim_float_range2, 0.988327145576477),
    "ssim_matlab3d_L255(HxWx3 volume, 11^3 gaussian, replicate)": (ssim_matlab3d, 0.9880204664656811),
}
"""Of the clip of tests/formulas.py."""


def volume(x, y):
    """The definition over H x W x 3 as written down in float64, for one frame on the scale 0 … 255."""

    def mean(planes):
        for axis in range(3):
            planes = gaussian_filter1d(planes, 1.5, axis=axis, radius=5, mode="nearest")
        return planes

    x, y = x.astype(np.float64), y.astype(np.float64)
    m_x, m_y = mean(x), mean(y)
    v_x, v_y, v_xy = mean(x * x) - m_x**2, mean(y * y) - m_y**2, mean(x * y) - m_x * m_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return ((2 * m_x * m_y + c1) * (2 * v_xy + c2) / ((m_x**2 + m_y**2 + c1) * (v_x + v_y + c2))).mean()


def of_planes(plane):
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    return lambda x, y: structural_similarity(plane(x), plane(y), **options)


REFERENCES = {
    "ssim-uniform7": lambda x, y: structural_similarity(x, y, channel_axis=2, data_range=255),
    "ssim-float-range2": lambda x, y: structural_similarity(x / 255, y / 255, channel_axis=2, data_range=2),
    "ssim-matlab3d": volume,
    "ssim-y": of_planes(lambda picture: rgb2ycbcr(picture)[..., 0]),
    "ssim-gray": of_planes(lambda picture: rgb2yiq(picture)[..., 0] * 255),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_values_of_official_code(name):
    metric, expected = GOLDEN[name]
    assert metric(golden_prediction() / np.float32(255), golden_sequence()).mean() == pytest.approx(expected, abs=1e-6)


def test_the_embedded_values_are_the_reference_file_s(shared):
    table = json.loads((shared / "reference/golden_metrics.json").read_text())
    assert {name: table[name] for name in GOLDEN} == {name: value for name, (_, value) in GOLDEN.items()}
    assert {name for name in table if name.startswith("ssim")} - GOLDEN.keys() == {
        "ssim_torchmetrics051_L255",
        "ssim_skimage_gauss_rgb_L255_valid",
    }


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.info.id)
@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("size", [(11, 11), (70, 12), (37, 53), (256, 301)])
def test_photographs(metric, kind, size):
    rng = np.random.default_rng(sum(size))
    for name, how in (("astronaut", "noise"), ("chelsea", "shifted"), ("coffee", "darker")):
        picture = getattr(data, name)()
        top, left = (int(rng.integers(whole - part + 1)) for whole, part in zip(picture.shape, size, strict=False))
        picture = picture[top : top + size[0], left : left + size[1]]
        other = damaged(picture, how)
        expected = REFERENCES[metric.info.id](other, picture)
        clips = [(frame[None] / 255).astype(kind) if kind is not np.uint8 else frame[None] for frame in (other, picture)]
        assert metric(*clips)[0] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("metric", [ssim, *ALL], ids=lambda metric: metric.info.id)
def test_orders_of_channels_and_of_memory(metric):
    picture = data.astronaut()[40:140, 200:290]
    other = damaged(picture, "noise")
    value = metric(other[None], picture[None])[0]
    planar = [np.ascontiguousarray(frame.transpose(2, 0, 1)).transpose(1, 2, 0)[None] for frame in (other, picture)]
    assert metric(*planar)[0] == value
    turned = metric(other[None, ..., ::-1], picture[None, ..., ::-1])[0]
    assert bool(turned == pytest.approx(value, abs=1e-7)) == (metric not in (ssim_y, ssim_gray))
    if metric is ssim_matlab3d:
        rotated = metric(np.roll(other, 1, 2)[None], np.roll(picture, 1, 2)[None])[0]
        assert rotated != pytest.approx(value, abs=1e-6), "the window along colour must see their order"


def test_the_same_pair_scores_differently():
    """Range 2 and the volume raise the value, which is why they must have names of their own."""
    picture = data.coffee()
    other = damaged(picture, "noise")[None]
    plain, box, range2, volume_ = (metric(other, picture[None])[0] for metric in (ssim, ssim_uniform7, ssim_float_range2, ssim_matlab3d))
    assert abs(plain - box) < 0.05 < range2 - box
    assert volume_ > plain + 0.02


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.info.id)
@settings(max_examples=15)
@given(seed=st.integers(0, 2**32), height=st.integers(11, 20), width=st.integers(11, 20))
def test_what_holds_for_all(metric, seed, height, width):
    x, y = np.random.default_rng(seed).integers(0, 256, (2, 2, height, width, 3), dtype=np.uint8)
    value = metric(x, y)
    assert value.shape == (2,) and (np.abs(value) <= 1).all()
    np.testing.assert_allclose(metric(y, x), value, atol=1e-6)
    np.testing.assert_allclose(metric(x, x), 1, atol=1e-12)
    for flip in (np.s_[:, ::-1], np.s_[:, :, ::-1], np.s_[:, ::-1, ::-1]):
        np.testing.assert_allclose(metric(x[flip], y[flip]), value, atol=1e-6)
    np.testing.assert_allclose(metric(x[::-1], y[::-1]), value[::-1], atol=1e-6)


@pytest.mark.parametrize(("metric", "side"), [(ssim_uniform7, 7), (ssim_float_range2, 7), (ssim_y, 11), (ssim_gray, 11)])
def test_smaller_than_the_window(metric, side):
    clip = np.zeros((1, side - 1, 40, 3))
    with pytest.raises(PredictionError, match=rf"^{metric.info.id}: frames are {side - 1}x40 \(HxW\), expected at least {side}x{side} for"):
        metric(clip, clip)
    assert metric(clip.repeat(2, axis=1), clip.repeat(2, axis=1))[0] == 1


def test_a_volume_has_no_smallest_size():
    picture = data.astronaut()[:4, :6]
    other = damaged(picture, "noise")
    assert ssim_matlab3d(other[None], picture[None])[0] == pytest.approx(volume(other, picture), abs=1e-5)


@pytest.mark.skipif("ssim-y" not in METRICS.names(), reason="blurbench is not installed: pip install -e .")
@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.info.id)
def test_found_by_id(metric):
    assert metrics.get(metric.info.id) is metric
    assert (metric.info.unit, metric.info.better, metric.info.whole_clip) == ("1", "higher", False)
