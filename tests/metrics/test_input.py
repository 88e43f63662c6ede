"""The check that all metrics share, and finding a metric by its id."""

from importlib import metadata

import numpy as np
import pytest

from blurbench import metrics
from blurbench.errors import BlurbenchError, PredictionError
from blurbench.metrics.ordering import ordering
from blurbench.metrics.psnr import psnr
from blurbench.metrics.reblur import reblur_psnr
from blurbench.metrics.ssim import ssim

CLIP = np.full((3, 16, 20, 3), 0.5, np.float32)


def with_value(value):
    clip = CLIP.copy()
    clip[1, 2, 3, 0] = value
    return clip


@pytest.mark.parametrize("metric", [psnr, ssim, ordering, reblur_psnr])
@pytest.mark.parametrize(
    ("prediction", "words"),
    [
        (CLIP[:2], r"\(2, 16, 20, 3\).*\(3, 16, 20, 3\)"),
        (CLIP[:, :15], r"\(3, 15, 20, 3\)"),
        (CLIP[0], r"shape \(16, 20, 3\), expected \(T, H, W, 3\)"),
        (CLIP[..., :1], r"shape \(3, 16, 20, 1\)"),
        (CLIP.transpose(0, 3, 1, 2), r"move channels last"),
        (CLIP[:0], "at least one frame"),
        (with_value(np.nan), "1 NaN or infinite values of 2880"),
        (with_value(-np.inf), "1 NaN or infinite"),
        (with_value(1 + 1e-5), "from 0.5 to 1.00001.*divide by 255"),
        (with_value(-1e-5), "from -1e-05 to 0.5"),
        (CLIP.astype(np.int16), "dtype int16"),
        (CLIP.tolist(), "list, expected a numpy array"),
    ],
)
def test_refused(metric, prediction, words):
    with pytest.raises(PredictionError, match=words) as error:
        metric(prediction, CLIP)
    assert str(error.value).startswith(f"{metric.info.id}: prediction")
    assert "\n" not in str(error.value)


def test_the_target_is_checked_too():
    with pytest.raises(PredictionError, match="psnr: target has values"):
        psnr(CLIP, with_value(255.0))


def test_slack_of_a_float32_clamp():
    assert np.isfinite(psnr(with_value(1 + 5e-7), CLIP)[1])


@pytest.mark.parametrize("metric", [psnr, ssim, ordering, reblur_psnr])
def test_uint8_and_floats_are_one_scale(metric):
    rng = np.random.default_rng(1)
    prediction, target = rng.integers(0, 256, (2, 4, 24, 20, 3), dtype=np.uint8)
    expected = metric(prediction, target)
    assert expected.dtype == np.float64
    assert expected.shape == ((1,) if metric.info.whole_clip else (4,))
    for first in (np.uint8, np.float32, np.float64):
        for second in (np.uint8, np.float32, np.float64):
            pair = [clip if kind is np.uint8 else (clip / 255).astype(kind) for clip, kind in ((prediction, first), (target, second))]
            np.testing.assert_allclose(metric(*pair), expected, rtol=1e-6, atol=1e-6)
    half = [(clip / 255).astype(np.float16) for clip in (prediction, target)]
    np.testing.assert_allclose(metric(*half), expected, rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize("metric", [psnr, ssim, ordering, reblur_psnr])
def test_any_memory_layout(metric):
    clips = np.random.default_rng(2).integers(0, 256, (2, 3, 3, 40, 48), dtype=np.uint8).transpose(0, 1, 3, 4, 2)
    for view in (clips[:, :, ::-1, ::2], clips[:, ::-1, 5:, 3:-3], clips.swapaxes(2, 3)):
        np.testing.assert_array_equal(metric(*view), metric(*view.copy()))


def test_a_metric_keeps_its_name_and_words():
    assert psnr.__name__ == "psnr"
    assert "mean squared error" in psnr.__doc__
    assert psnr.info == metrics.MetricInfo("psnr", "Peak signal-to-noise ratio, per frame", "dB", "higher")


def test_a_metric_of_ones_own(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(
        "import numpy as np\n"
        "from blurbench.metrics import metric\n"
        "@metric(id='l1', title='mean absolute error', unit='1', better='lower')\n"
        "def l1(prediction, target, *, power=1):\n"
        "    return np.abs(prediction - target).mean(axis=(1, 2, 3)) ** power\n"
        "def bare(prediction, target):\n"
        "    return 0\n"
    )
    own = metrics.get(f"{path}:l1")
    np.testing.assert_allclose(own(CLIP, CLIP - 0.25, power=2), 0.0625)
    with pytest.raises(PredictionError, match="l1: prediction"):
        own(CLIP * 255, CLIP)
    with pytest.raises(BlurbenchError, match=r"decorated with @blurbench\.metrics\.metric"):
        metrics.get(f"{path}:bare")


def test_get_by_id():
    try:
        metadata.distribution("blurbench")
    except metadata.PackageNotFoundError:
        pytest.skip("blurbench is not installed, so it has no entry points: pip install -e .")
    for id, metric in {"psnr": psnr, "ssim": ssim, "ordering": ordering, "reblur-psnr": reblur_psnr}.items():
        assert metrics.get(id) is metric
        assert metric.info.id == id
    with pytest.raises(BlurbenchError, match="unknown metric 'psnrr'; did you mean 'psnr'"):
        metrics.get("psnrr")
