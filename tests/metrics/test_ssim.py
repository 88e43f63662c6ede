"""SSIM against its definition, and against scikit-image on photographs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d
from skimage import data
from skimage.metrics import structural_similarity

from blurbench.errors import PredictionError
from blurbench.metrics.ssim import ssim


def simple(x, y):
    """The definition, written down in float64 for one frame on the scale 0 … 255: the five moments, then the formula, then the crop."""

    def mean(plane):
        for axis in (0, 1):
            plane = gaussian_filter1d(plane, 1.5, axis=axis, radius=5)
        return plane

    x, y = x.astype(np.float64), y.astype(np.float64)
    m_x, m_y = mean(x), mean(y)
    v_x, v_y, v_xy = mean(x * x) - m_x**2, mean(y * y) - m_y**2, mean(x * y) - m_x * m_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = (2 * m_x * m_y + c1) * (2 * v_xy + c2) / ((m_x**2 + m_y**2 + c1) * (v_x + v_y + c2))
    return values[5:-5, 5:-5].mean()


def scikit(x, y, peak=255):
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "channel_axis": 2}
    return structural_similarity(x, y, data_range=peak, **options)


def damaged(picture, how):
    rng = np.random.default_rng(0)
    if how == "noise":
        return np.clip(picture + rng.normal(0, 12, picture.shape), 0, 255).round().astype(np.uint8)
    if how == "shifted":
        return np.roll(picture, 4, axis=1)
    if how == "darker":
        return (picture * 0.7).astype(np.uint8)
    return 255 - picture


@pytest.mark.parametrize("how", ["noise", "shifted", "darker", "negative"])
@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee"])
def test_photographs(name, how):
    picture = getattr(data, name)()
    other = damaged(picture, how)
    value = ssim(other[None], picture[None])[0]
    assert value == pytest.approx(scikit(other, picture), abs=2e-6)
    assert value == pytest.approx(simple(other, picture), abs=2e-6)


@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("size", [(11, 11), (11, 64), (70, 12), (37, 53), (256, 301)])
def test_sizes_and_types(size, kind):
    picture = data.astronaut()[100 : 100 + size[0], 90 : 90 + size[1]]
    other = damaged(picture, "noise")
    peak = 255 if kind is np.uint8 else 1
    if kind is not np.uint8:
        picture, other = (picture / 255).astype(kind), (other / 255).astype(kind)
    expected = scikit(other.astype(np.float64), picture.astype(np.float64), peak)
    assert ssim(other[None], picture[None])[0] == pytest.approx(expected, abs=1e-5)


def test_bands_do_not_show(monkeypatch):
    """A large frame is worked on in bands of rows; any height of them gives the same sum."""
    import blurbench.metrics.ssim_sum as module

    picture = data.coffee()
    other = damaged(picture, "noise")
    expected = simple(other, picture)
    for values in (1, 40_000, 10**9):
        monkeypatch.setattr(module, "_BAND", values)
        assert ssim(other[None], picture[None])[0] == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("level", [0, 3, 128, 252, 255])
@pytest.mark.parametrize("sigma", [0.5, 3, 10])
def test_flat_pictures_do_not_lose_their_variance(level, sigma):
    """Where E[s²] - E[s]² cancels: nearly flat, black or white, with independent noise."""
    rng = np.random.default_rng(5)
    x, y = (np.clip(level + rng.normal(0, sigma, (90, 110, 3)), 0, 255).round().astype(np.uint8) for _ in range(2))
    assert ssim(x[None], y[None])[0] == pytest.approx(simple(x, y), abs=1e-6)


def test_frames_of_a_clip_are_separate():
    picture = data.chelsea()[:60, :80]
    clip = np.stack([picture, damaged(picture, "noise"), damaged(picture, "negative")])
    target = np.stack([picture] * 3)
    values = ssim(clip, target)
    assert values[0] == 1
    np.testing.assert_array_equal(values, [ssim(clip[t : t + 1], target[t : t + 1])[0] for t in range(3)])


def test_border_does_not_count():
    picture = data.chelsea()[:60, :80].copy()
    other = picture.copy()
    other[0, 0], other[0, -1], other[-1, 0] = 255 - other[0, 0], 255 - other[0, -1], 255 - other[-1, 0]
    inside = ssim(other[None], picture[None])[0]
    assert inside < 1
    # The corner has weight only in the outermost valid windows: cutting a row and a column on each side removes it all.
    assert ssim(other[None, 1:-1, 1:-1], picture[None, 1:-1, 1:-1])[0] == 1


@pytest.mark.parametrize("size", [(10, 40), (40, 10), (1, 1)])
def test_smaller_than_the_window(size):
    with pytest.raises(PredictionError, match=rf"frames are {size[0]}x{size[1]} \(HxW\), expected at least 11x11"):
        ssim(np.zeros((1, *size, 3)), np.zeros((1, *size, 3)))


@given(seed=st.integers(0, 2**32), height=st.integers(11, 20), width=st.integers(11, 20))
def test_symmetric_bounded_and_one_for_identical(seed, height, width):
    x, y = np.random.default_rng(seed).integers(0, 256, (2, 2, height, width, 3), dtype=np.uint8)
    assert (ssim(x, y) == ssim(y, x)).all()
    assert (np.abs(ssim(x, y)) <= 1).all()
    assert (ssim(x, x) == 1).all()
    assert (ssim(x[::-1], y[::-1]) == ssim(x, y)[::-1]).all()
    np.testing.assert_allclose(ssim(x, y), [simple(*pair) for pair in zip(x, y, strict=True)], atol=1e-6)
