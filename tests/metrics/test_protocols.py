"""The protocols of the papers, on the clip on which official code gave values (tests/formulas.py)."""

from dataclasses import replace

import numpy as np
import pytest

from blurbench.metrics import get
from blurbench.metrics import protocol as protocols
from blurbench.metrics.score import score
from blurbench.metrics.select import quantise
from blurbench.registry import PROTOCOLS
from blurbench.types import Prediction, Sample
from tests.formulas import golden_prediction, golden_sequence
from tests.metrics.test_golden import GOLDEN

PAPERS = {
    *(
        "noroozi2017",
        "nah2017",
        "jin2018",
        "purohit2019-deblur",
        "purohit2019-video7",
        "purohit2019-video9",
        "zhang2020",
        "zhang2021-reblur",
    ),
    *("zhang2021-motion", "zhang2021-deblur", "zhong2022-single", "zhong2022-video", "tao2018", "zhang2019", "shen2020", "tedla2025"),
}
SLOW = ("cw-ssim", "lpips-alex")  # tested by themselves


@pytest.fixture(scope="module")
def sample():
    sharp = golden_sequence()
    return Sample("clip", "video", sharp[3], sharp, (np.arange(7) + 0.5) / 7, "gamma(2.2)")


@pytest.fixture(scope="module")
def prediction():
    return Prediction("clip", golden_prediction()[None] / np.float32(255), 0.0, "cpu")


def scored(name, prediction, sample):
    """Values by column, without what is slow."""
    rules = protocols.load(name)
    quick = tuple(column for column in rules.columns if column.metric not in SLOW)
    return score(replace(rules, columns=quick), prediction, sample).values


def test_all_are_there():
    assert set(PROTOCOLS.names()) == {*PAPERS, "blurbench-1", "blurbench-motion"}


@pytest.mark.parametrize("name", sorted([*PAPERS, "blurbench-1", "blurbench-motion"]))
def test_each_says_what_it_is(name):
    rules = protocols.load(name)
    assert rules.id == name and rules.version == {"jin2018": 2, "shen2020": 2, "tedla2025": 2}.get(name, 1)
    assert len(rules.description) > 200
    assert all(len(column.description) > 10 for column in rules.columns)


def test_zhong2022(prediction, sample):
    single = scored("zhong2022-single", prediction, sample)
    assert single["psnr-p1-forward"] == pytest.approx(GOLDEN["psnr_pooled7"], abs=1e-4)
    assert single["ssim-p1-forward"] == pytest.approx(GOLDEN["ssim_torchmetrics051_L255"], abs=1e-4)
    video = scored("zhong2022-video", prediction, sample)
    assert video["psnr"] == pytest.approx(GOLDEN["psnr_pooled_frames_1_4_7"], abs=1e-4)
    backwards = Prediction("clip", prediction.frames[:, ::-1], 0.0, "cpu")
    turned = scored("zhong2022-single", backwards, sample)
    assert turned["psnr-p1-forward"] == pytest.approx(GOLDEN["psnr_pooled7_reversed_pred"], abs=1e-4)
    assert turned["psnr-p1"] == pytest.approx(GOLDEN["psnr_pooled7"], abs=1e-4)


def test_zhong2022_takes_the_best_draw_for_each_metric(prediction, sample):
    """Three draws of which the first is plain, the second has the best PSNR, the third the best SSIM; five are asked for."""
    noise = np.random.default_rng(0).normal(0, 1, prediction.frames.shape[1:]) / 255
    sharp = sample.sharp / 255
    kinds = [sharp + 9 * noise, sharp + 2 * noise, sharp + 4 / 255, sharp + 12 * noise, sharp + 15 * noise]
    draws = np.stack([np.clip(clip, 0, 1) for clip in kinds]).astype(np.float32)
    values = scored("zhong2022-single", Prediction("clip", draws, 0.0, "cpu"), sample)
    psnr = [float(-10 * np.log10(((draw - sharp) ** 2).mean())) for draw in draws]
    ssim = [get("ssim")(draw, sample.sharp).mean() for draw in draws]
    assert int(np.argmax(psnr)) == 1 and int(np.argmax(ssim)) == 2
    for n in (1, 3, 5):
        assert values[f"psnr-p{n}-forward"] == pytest.approx(max(psnr[:n]), abs=1e-3)
        assert values[f"ssim-p{n}-forward"] == pytest.approx(max(ssim[:n]), abs=1e-6)


@pytest.mark.parametrize(
    ("name", "rule"), [("nah2017", "round"), ("tao2018", "truncate"), ("zhang2019", "round"), ("zhang2021-deblur", "truncate")]
)
def test_centre_frame_protocols(name, rule, prediction, sample):
    values = scored(name, prediction, sample)
    frame, target = quantise(prediction.frames[0, 3:4], rule), sample.sharp[3:4]
    for column in protocols.load(name).columns:
        if column.metric not in SLOW:
            assert values[column.name] == pytest.approx(float(get(column.metric)(frame, target)[0]))


def test_shen2020_rounds_and_scores_the_centre_and_the_last(prediction, sample):
    """As tensor2img of the published code: times 255, round; not truncated, as the blurry input is where it is made."""
    between = np.clip(prediction.frames[:, 2:5] + np.float32(0.6 / 255), 0, 1)  # levels: one up, not down
    three, targets = Prediction("clip", between, 0.0, "cpu"), replace(sample, sharp=sample.sharp[2:5], times=sample.times[2:5])
    values, frames = scored("shen2020", three, targets), np.rint(three.frames[0] * 255).astype(np.uint8)
    for column, number in (("deblurred", 1), ("interpolated", 2)):
        for metric, name in (("psnr", "psnr"), ("ssim-uniform7", "ssim")):
            expected = float(get(metric)(frames[number : number + 1], targets.sharp[number : number + 1])[0])
            assert values[f"{name}-{column}"] == pytest.approx(expected)


def test_reblur_is_against_the_blurry_picture(sample):
    copy = Prediction("clip", (sample.blurry / np.float32(255))[None, None], 0.0, "cpu")
    assert scored("zhang2021-reblur", copy, sample)["psnr"] > 45  # truncated: at most a level less
    shifted = Prediction("clip", np.roll(copy.frames, 5, axis=3), 0.0, "cpu")
    assert scored("zhang2021-reblur", shifted, sample)["psnr"] < 30


def test_tedla2025_composes_channels_and_tiles(sample):
    """The right half backwards: PWPSNR and the squares on one side of the seam do not notice."""
    frames = sample.sharp.copy()
    frames[:, :, 40:] = sample.sharp[::-1, :, 40:]
    values = scored("tedla2025", Prediction("clip", frames[None], 0.0, "cpu"), sample)
    assert values["pwpsnr"] == 100
    assert values["patch-ssim"] == pytest.approx(1)
    assert values["psnr"] < 30
    truth = Prediction("clip", sample.sharp[None], 0.0, "cpu")
    assert scored("tedla2025", truth, sample)["reblur-psnr"] == 100, "against the re-blurred truth, which is not rounded"


def test_jin2018_cuts_and_decides_by_the_ends():
    height, width = 710, 1284
    rng = np.random.default_rng(0)
    sharp = rng.integers(0, 200, (3, height, width, 3), dtype=np.uint8)
    sample = Sample("clip", "video", sharp[1], sharp, (np.arange(3) + 0.5) / 3, "pixel")
    frames = sharp[::-1].copy()
    frames[:, 704:] = frames[:, :, 1280:] = 255  # outside of what counts
    values = scored("jin2018", Prediction("clip", frames[None], 0.0, "cpu"), sample)
    assert values["psnr"] == values["psnr-centre"] == 100
    assert values["ordering"] == 0
