"""Values that official code gave on one clip defined by formulas: `golden_sequence` and `golden_prediction` of tests/formulas.py."""

import json

import numpy as np
import pytest

from blurbench.metrics.ordering import ordering
from blurbench.metrics.psnr import pooled_psnr, psnr
from blurbench.metrics.reblur import reblur
from blurbench.metrics.ssim import ssim
from blurbench.video import transfer
from tests.formulas import golden_prediction, golden_sequence

GOLDEN = {
    "psnr_pooled7": 36.32006628179985,
    "psnr_framewise_mean": 36.67556547887777,
    "psnr_pooled7_reversed_pred": 12.297348091512815,
    "psnr_pooled_frames_1_4_7": 35.15544251831915,
    "ssim_torchmetrics051_L255": 0.9765877723693848,
    "ssim_skimage_gauss_rgb_L255_valid": 0.976588698985375,
    "ordering_sum": 28.54880672035118,
    "ordering_mean": 9.516268906783727,
    "blur_plain_mean": 127.08243117559523,
    "blur_gamma22": 132.34555085314156,
}
ORDERING_PAIRS = [(4.915791553196808, 7.869531140786906), (4.9157915490679445, 3.953515517991036), (4.915791583775232, 1.978385375533253)]
BLUR_PIXELS = {
    "pixel": [139.42857142857142, 131.0, 117.28571428571429],
    "gamma(2.2)": [142.9039242348317, 141.09378256586155, 133.73275595108433],
}


@pytest.fixture(scope="module")
def target():
    return golden_sequence()


@pytest.fixture(scope="module")
def prediction():
    return golden_prediction().astype(np.float64) / 255


def measured(prediction, target):
    few = [0, 3, 6]
    return {
        "psnr_pooled7": pooled_psnr(prediction, target),
        "psnr_framewise_mean": psnr(prediction, target).mean(),
        "psnr_pooled7_reversed_pred": pooled_psnr(prediction[::-1], target),
        "psnr_pooled_frames_1_4_7": pooled_psnr(prediction[few], target[few]),
        "ssim_torchmetrics051_L255": ssim(prediction, target).mean(),
        "ssim_skimage_gauss_rgb_L255_valid": ssim(prediction, target).mean(),
        "ordering_sum": ordering(prediction, target, reduction="sum")[0],
        "ordering_mean": ordering(prediction, target)[0],
        "blur_plain_mean": reblur(target, transfer.PIXEL).mean() * 255,
        "blur_gamma22": reblur(target, transfer.gamma(2.2)).mean() * 255,
    }


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name, prediction, target):
    # The official values were computed in float32.
    assert measured(prediction, target)[name] == pytest.approx(GOLDEN[name], abs=1e-5)


@pytest.mark.parametrize(("pair", "expected"), list(enumerate(ORDERING_PAIRS)))
def test_golden_pairs(pair, expected, prediction, target):
    frames = [pair, 6 - pair]
    assert ordering(prediction[frames], target[frames])[0] == pytest.approx(sum(expected), abs=1e-5)


@pytest.mark.parametrize("name", BLUR_PIXELS)
def test_golden_blur_pixels(name, target):
    exact = reblur(target, transfer.parse(name))[10, 20] * 255
    np.testing.assert_allclose(exact, BLUR_PIXELS[name], atol=1e-4)
    floats = reblur((target / 255).astype(np.float32), transfer.parse(name))[10, 20] * 255
    np.testing.assert_allclose(floats, BLUR_PIXELS[name], atol=1e-4)


def test_the_embedded_values_are_the_reference_file_s(shared):
    table = json.loads((shared / "reference/golden_metrics.json").read_text())
    pairs = table.pop("ordering_invariant_both_abs")
    table |= {"ordering_sum": pairs["sum_pairs"], "ordering_mean": pairs["mean_pairs"]}
    blurs = {"pixel": table["blur_plain_mean"].pop("px[0,:,10,20]"), "gamma(2.2)": table["blur_gamma22"].pop("px[:,10,20]")}
    table |= {name: table[name]["mean"] for name in ("blur_plain_mean", "blur_gamma22")}
    assert {name: table[name] for name in GOLDEN} == GOLDEN
    assert [tuple(pair) for pair in pairs["pairs[(1,7),(2,6),(3,5)] (sum,diff)"]] == ORDERING_PAIRS
    assert blurs == BLUR_PIXELS
