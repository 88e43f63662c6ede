"""Complex-wavelet SSIM: values of pyssim 0.6 with scipy 1.14.1, its definition written down, and Pillow's grey."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.signal import convolve
from skimage import data

from blurbench import metrics
from blurbench.metrics.cw_ssim import _spectra, cw_ssim, grey
from blurbench.registry import METRICS
from tests.formulas import golden_prediction, golden_sequence
from tests.metrics.test_ssim import damaged

# `SSIM(Image.fromarray(a)).cw_ssim_value(Image.fromarray(b))` of the package. Its releases since 0.7 take other samples of the wavelet.
GOLDEN_CLIP = [
    0.9998003792370203,
    0.9997343876501421,
    0.9991329538853204,
    0.9995518358767095,
    0.9997778834576261,
    0.9998240399438671,
    0.9998405896387895,
]
GOLDEN_CHELSEA = {"noise": 0.9819045415719606, "shifted": 0.8490271805929408}
GOLDEN_CORNER, GOLDEN_EXTREME = 0.8767172968569981, 0.13308171913597097


def simple(a, b):
    """The published formula with 30 plain convolutions a picture; a, b: (H, W) grey levels."""
    coefficients = []
    for levels in (a, b):
        signal = levels.ravel().astype(np.float64)
        rows = []
        for width in range(1, 31):
            n = min(10 * width, len(signal))
            x = np.arange(n) - (n - 1) / 2
            wavelet = 2 / (np.sqrt(3 * width) * np.pi**0.25) * (1 - x**2 / width**2) * np.exp(-(x**2) / (2 * width**2))
            rows.append(convolve(signal, wavelet, mode="same"))
        coefficients.append(np.stack(rows))
    a, b = coefficients
    k, products = 0.01, a * b
    first = (2 * np.abs(products).sum(0) + k) / ((a**2).sum(0) + (b**2).sum(0) + k)
    second = (2 * np.abs(products.sum(0)) + k) / (2 * np.abs(products).sum(0) + k)
    return (first * second).mean()


def test_values_of_the_package():
    prediction = np.rint(golden_prediction()).astype(np.uint8)
    np.testing.assert_allclose(cw_ssim(prediction, golden_sequence()), GOLDEN_CLIP, atol=1e-10)


@pytest.mark.parametrize("how", GOLDEN_CHELSEA)
def test_values_of_the_package_on_a_photograph(how):
    picture = data.chelsea()
    assert cw_ssim(damaged(picture, how)[None], picture[None])[0] == pytest.approx(GOLDEN_CHELSEA[how], abs=1e-10)


def test_values_of_the_package_at_the_extremes():
    """A signal shorter than the widest wavelet, and one that is flat, where nothing but the ends and the constant counts."""
    picture = data.chelsea()
    corners = [frame[None, :9, :7] for frame in (damaged(picture, "shifted"), picture)]
    assert cw_ssim(*corners)[0] == pytest.approx(GOLDEN_CORNER, abs=1e-10)
    black = np.zeros((1, 20, 30, 3), np.uint8)
    assert cw_ssim(black, black + np.uint8(255))[0] == pytest.approx(GOLDEN_EXTREME, abs=1e-8)


def test_sizes_share_what_is_prepared():
    """Only pictures of fewer pixels than a wavelet has have one of their own: every crop would keep two megabytes otherwise."""
    _spectra.cache_clear()
    for width in (30, 31, 32):
        cw_ssim(*np.zeros((2, 1, 20, width, 3), np.uint8))
    assert _spectra.cache_info().currsize == 1


@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("size", [(1, 1), (3, 97), (17, 18), (64, 65), (130, 201)])
def test_the_definition(size, kind):
    picture = data.coffee()[60 : 60 + size[0], 90 : 90 + size[1]]
    other = damaged(picture, "noise")
    clips = [(frame[None] / 255).astype(kind) if kind is not np.uint8 else frame[None] for frame in (other, picture)]
    assert cw_ssim(*clips)[0] == pytest.approx(simple(grey(other), grey(picture)), abs=1e-9)


@pytest.mark.parametrize(("block", "blocks"), [(512, 1), (1024, 7), (2**17, 2)])
def test_blocks_do_not_show(block, blocks, monkeypatch):
    import blurbench.metrics.cw_ssim as module

    picture = data.astronaut()[:150, :140]
    other = damaged(picture, "darker")
    expected = simple(grey(other), grey(picture))
    monkeypatch.setattr(module, "_BLOCK", block)
    monkeypatch.setattr(module, "_BLOCKS", blocks)
    assert cw_ssim(other[None], picture[None])[0] == pytest.approx(expected, abs=1e-9)


def test_grey_is_pillow_s():
    levels = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    np.testing.assert_array_equal(grey(levels), np.asarray(Image.fromarray(levels).convert("L")))
    for kind in (np.float16, np.float32, np.float64):
        np.testing.assert_array_equal(grey((levels / 255).astype(kind)), grey(levels))


def test_orders_of_channels_and_of_memory():
    picture = data.astronaut()[40:140, 200:290]
    other = damaged(picture, "noise")
    value = cw_ssim(other[None], picture[None])[0]
    planar = [np.ascontiguousarray(frame.transpose(2, 0, 1)).transpose(1, 2, 0)[None] for frame in (other, picture)]
    assert cw_ssim(*planar)[0] == value
    assert cw_ssim(other[None, ..., ::-1], picture[None, ..., ::-1])[0] != pytest.approx(value, abs=1e-5)


def test_rows_run_into_each_other():
    """The picture is read as one row, whatever its width; turned on its side it is another one."""
    picture = data.astronaut()[:60, 100:160]
    other = damaged(picture, "shifted")
    value = cw_ssim(other[None], picture[None])[0]
    assert cw_ssim(other.reshape(1, 30, 120, 3), picture.reshape(1, 30, 120, 3))[0] == pytest.approx(value, abs=1e-12)
    assert cw_ssim(other[None].swapaxes(1, 2), picture[None].swapaxes(1, 2))[0] != pytest.approx(value, abs=1e-3)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32), height=st.integers(1, 30), width=st.integers(1, 30))
def test_what_holds_for_all(seed, height, width):
    x, y = np.random.default_rng(seed).integers(0, 256, (2, 2, height, width, 3), dtype=np.uint8)
    value = cw_ssim(x, y)
    assert value.shape == (2,) and (value >= 0).all() and (value <= 1 + 1e-12).all()
    np.testing.assert_allclose(cw_ssim(y, x), value, atol=1e-10)
    np.testing.assert_allclose(cw_ssim(x, x), 1, atol=1e-10)


@pytest.mark.skipif("cw-ssim" not in METRICS.names(), reason="blurbench is not installed: pip install -e .")
def test_found_by_id():
    assert metrics.get("cw-ssim") is cw_ssim
