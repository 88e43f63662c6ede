import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blurbench.errors import BlurbenchError, PredictionError
from blurbench.metrics.psnr import psnr
from blurbench.metrics.reblur import reblur, reblur_psnr, reblur_ssim
from blurbench.video import transfer

NAMES = ["pixel", "gamma(2.2)", "srgb"]


def clips(seed, frames=5, size=(6, 7)):
    return np.random.default_rng(seed).integers(0, 256, (2, frames, *size, 3), dtype=np.uint8)


@given(seed=st.integers(0, 2**32), name=st.sampled_from(NAMES), frames=st.integers(2, 6))
def test_definition(seed, name, frames):
    prediction, target = clips(seed, frames)
    curve = transfer.parse(name)
    averages = [curve.to_encoded(curve.to_linear(clip / 255).mean(axis=0)) for clip in (prediction, target)]
    expected = -10 * math.log10(((averages[0] - averages[1]) ** 2).mean())
    assert reblur_psnr(prediction, target, transfer=name)[0] == pytest.approx(expected)
    assert reblur_psnr(prediction / 255, target / 255, transfer=name)[0] == pytest.approx(expected)
    assert reblur_psnr(prediction, target, transfer=name, blurry=averages[1])[0] == pytest.approx(expected)


@given(seed=st.integers(0, 2**32), name=st.sampled_from(NAMES))
def test_order_does_not_matter(seed, name):
    prediction, target = clips(seed)
    shuffled = prediction[np.random.default_rng(seed).permutation(len(prediction))]
    assert reblur_psnr(shuffled, target, transfer=name)[0] == pytest.approx(reblur_psnr(prediction, target, transfer=name)[0])


def test_the_stored_picture_counts_when_it_is_given():
    prediction, target = clips(1)
    stored, truth = (reblur_psnr(prediction, target, blurry=prediction[0], against=against)[0] for against in ("blurry", "truth"))
    assert stored != truth == reblur_psnr(prediction, target)[0]
    assert reblur_psnr(target, target)[0] == math.inf


def test_the_transfer_function_matters():
    """Black and white average to grey, but not to the same grey."""
    clip = np.zeros((2, 4, 4, 3), np.uint8)
    clip[1] = 255
    assert reblur(clip, transfer.PIXEL)[0, 0, 0] == 0.5
    assert reblur(clip, transfer.gamma(2.2))[0, 0, 0] == pytest.approx(0.5 ** (1 / 2.2))
    assert reblur(clip, transfer.SRGB)[0, 0, 0] == pytest.approx(0.7353569830524495)


def test_ceiling_of_an_8_bit_picture():
    """The frames that made a blurry picture get about 58.9 dB: its rounding is uniform noise, 10 log10(12 * 255²)."""
    _, target = clips(2, 7, (80, 90))
    blurry = np.floor(target.mean(axis=0) + 0.5).astype(np.uint8)
    assert reblur_psnr(target, target, blurry=blurry)[0] == pytest.approx(10 * math.log10(12 * 255**2), abs=0.3)


@pytest.mark.parametrize("name", NAMES)
def test_copies_of_the_blur_reblur_to_themselves(name):
    _, target = clips(3)
    copies = np.stack([target[0]] * 5)
    assert reblur_psnr(copies, target, transfer=name, blurry=target[0])[0] > 250
    assert psnr(copies, target)[2] < 20


@pytest.mark.parametrize("name", NAMES)
def test_ssim_of_the_pictures_agrees_with_scikit_image(name):
    from skimage.metrics import structural_similarity

    prediction, target = clips(5, 4, (24, 31))
    curve = transfer.parse(name)
    averages = [curve.to_encoded(curve.to_linear(clip / 255).mean(axis=0)) for clip in (prediction, target)]
    _, full = structural_similarity(
        *averages, channel_axis=2, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    expected = full[5:-5, 5:-5].mean()
    assert reblur_ssim(prediction, target, transfer=name)[0] == pytest.approx(expected, abs=1e-5)
    assert reblur_ssim(prediction / 255, target, transfer=name, blurry=averages[1])[0] == pytest.approx(expected, abs=1e-5)
    assert reblur_ssim(prediction[[2, 0, 3, 1]], target, transfer=name)[0] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_ssim_of_copies_of_the_blur_is_one(name):
    _, target = clips(6, 3, (16, 20))
    blurry = np.round(reblur(target, transfer.parse(name)) * 255).astype(np.uint8)
    assert reblur_ssim(np.stack([blurry] * 3), target, transfer=name, blurry=blurry)[0] == pytest.approx(1)
    assert 0.99 < reblur_ssim(target, target, transfer=name, blurry=blurry)[0] < 1


def test_ssim_refused():
    prediction, target = clips(4)
    with pytest.raises(PredictionError, match=r"reblur-ssim: blurry has shape \(6, 6, 3\)"):
        reblur_ssim(prediction, target, blurry=target[0, :, :6])
    with pytest.raises(PredictionError, match=r"ssim: frames are 6x7.*11x11"):
        reblur_ssim(prediction, target)


def test_refused():
    prediction, target = clips(4)
    with pytest.raises(PredictionError, match=r"blurry has shape \(6, 6, 3\), expected that of a frame, \(6, 7, 3\)"):
        reblur_psnr(prediction, target, blurry=target[0, :, :6])
    with pytest.raises(PredictionError, match=r"reblur-psnr: blurry\[None\] has values"):
        reblur_psnr(prediction, target, blurry=target[0].astype(np.float32))
    with pytest.raises(BlurbenchError, match="unknown transfer function 'log'"):
        reblur_psnr(prediction, target, transfer="log")
    with pytest.raises(PredictionError, match="against is 'sharp', expected one of blurry, truth"):
        reblur_psnr(prediction, target, against="sharp")
    with pytest.raises(PredictionError, match="at least 2"):
        reblur_psnr(prediction[:1], target[:1])
