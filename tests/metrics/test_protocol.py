"""Reading protocols, and what a sample scores under them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from blurbench import metrics
from blurbench.errors import PredictionError, RecipeError, UnknownNameError
from blurbench.metrics import protocol as protocols
from blurbench.metrics.ordering import ordering
from blurbench.metrics.protocol import Column, score
from blurbench.metrics.psnr import pooled_psnr, psnr
from blurbench.metrics.reblur import reblur, reblur_psnr
from blurbench.metrics.select import quantise
from blurbench.metrics.ssim import ssim
from blurbench.registry import METRICS
from blurbench.types import Sample
from blurbench.video import transfer
from tests.formulas import golden_sequence

FILE = Path(__file__).parents[2] / "leaderboards" / "protocols" / "blurbench-1.toml"
COLUMNS = ["psnr-centre", "ssim-centre", "psnr", "psnr-pooled", "psnr-forward", "ssim", "ordering", "reblur-psnr"]

needs_entry_points = pytest.mark.skipif("psnr" not in METRICS.names(), reason="blurbench is not installed: pip install -e .")
pytestmark = needs_entry_points

MINIMAL = """
id = "mine"
version = 1
title = "t"
description = "d"
quantise = "round"
psnr_cap = 100.0
direction = "clip"
rank_by = "a"
[[columns]]
name = "a"
metric = "psnr"
description = "d"
"""


def sample(frames=7, start=0):
    sharp = golden_sequence()[start : start + frames]
    blurry = np.floor(reblur(sharp, transfer.gamma(2.2)) * 255 + 0.5).astype(np.uint8)
    return Sample("clip 3", "video", blurry, sharp, (np.arange(frames) + 0.5) / frames, "gamma(2.2)")


def as_prediction(frames):
    return (frames / np.float32(255)).astype(np.float32)[None]


def noisy(frames, seed=0):
    noise = np.random.default_rng(seed).normal(0, 4, frames.shape)
    return (frames / 255 + noise / 255).astype(np.float32)


@pytest.fixture(scope="module")
def rules():
    return protocols.read(FILE)


def written(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def test_blurbench_1(rules):
    assert rules.id == FILE.stem
    assert rules.version == 1
    assert [column.name for column in rules.columns] == COLUMNS
    assert (rules.quantise, rules.psnr_cap, rules.direction, rules.decide_by, rules.samples) == ("round", 100.0, "clip", "psnr", 1)
    assert [column.name for column in rules.columns if column.direction == "best"] == ["psnr", "psnr-pooled", "ssim"]
    assert [column.name for column in rules.columns if column.reduction == "pooled"] == ["psnr-pooled", "psnr-forward"]
    assert {column.name: (column.unit, column.better) for column in rules.columns if column.unit != "dB"} == {
        "ssim-centre": ("1", "higher"),
        "ssim": ("1", "higher"),
        "ordering": ("levels", "lower"),
    }


def test_load_by_id(rules):
    assert protocols.load("blurbench-1") == rules
    with pytest.raises(UnknownNameError, match="unknown protocol 'blurbench1'; did you mean 'blurbench-1'"):
        protocols.load("blurbench1")


def test_minimal(tmp_path):
    rules = protocols.load(str(written(tmp_path, MINIMAL)))
    assert rules.columns == (Column("a", "psnr", "d"),)
    assert (rules.columns[0].frames, rules.columns[0].direction, rules.columns[0].reduction) == ("all", "as-is", "mean")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("psnr_cap", "psnr_kap", "unknown key 'psnr_kap' in .*mine.toml; did you mean 'psnr_cap'.*known: columns, decide_by"),
        ('metric = "psnr"', 'metrik = "psnr"', "unknown key 'metrik' in column 1 of .*did you mean 'metric'"),
        ('metric = "psnr"', 'metric = "psnrr"', "column 1 of .*unknown metric 'psnrr'; did you mean 'psnr'"),
        ('rank_by = "a"', 'rank_by = "b"', "unknown column 'b' in rank_by"),
        ('quantise = "round"', 'quantise = "floor"', "quantise is 'floor', expected one of round, truncate, float"),
        ('direction = "clip"', 'direction = "frame"', "direction is 'frame', expected one of as-is, clip"),
        ("version = 1", "version = 0", "version is 0, expected a whole number of at least 1"),
        ("version = 1", "version = true", "version is True"),
        ("version = 1\n", "", "missing 1 required positional argument: 'version'"),
        ('title = "t"', "title = 3", "title is 3, expected text"),
        ("psnr_cap = 100.0", "psnr_cap = -1", "psnr_cap is -1, expected dB, above 0"),
        ("psnr_cap = 100.0", "psnr_cap = 100.0\nsamples = 3", "samples is 3, expected 1"),
        ("psnr_cap = 100.0", 'psnr_cap = 100.0\ndecide_by = "ssim"', "decide_by is 'ssim', expected psnr"),
        ('metric = "psnr"', 'metric = "psnr"\nframes = "first"', "frames is 'first', expected all, centre or a list"),
        ('metric = "psnr"', 'metric = "psnr"\nframes = [0, -1]', r"frames is \(0, -1\)"),
        ('metric = "psnr"', 'metric = "psnr"\nframes = []', r"frames is \(\)"),
        ('metric = "psnr"', 'metric = "psnr"\ndirection = "clip"', "direction is 'clip', expected one of as-is, best"),
        ('metric = "psnr"', 'metric = "psnr"\nreduction = "max"', "reduction is 'max', expected one of mean, pooled"),
        ('metric = "psnr"', 'metric = "ssim"\nreduction = "pooled"', "reduction is 'pooled', expected mean"),
        ('metric = "psnr"', 'metric = "ordering"\nframes = "centre"', "expected several frames for ordering"),
        ("[[columns]]", '[[columns]]\nname = "a"\nmetric = "ssim"\ndescription = "d"\n[[columns]]', "column name is 'a'"),
        ("[[columns]]", "[columns]", r"expected at least one table \[\[columns\]\]"),
        ('id = "mine"', "id =", "not valid TOML"),
    ],
)
def test_mistakes_in_a_file(tmp_path, old, new, words):
    assert old in MINIMAL
    with pytest.raises(RecipeError, match=words) as error:
        protocols.read(written(tmp_path, MINIMAL.replace(old, new, 1)))
    assert "mine.toml" in str(error.value)
    assert "\n" not in str(error.value)


def test_best_needs_a_decision(tmp_path):
    text = MINIMAL.replace('direction = "clip"', 'direction = "as-is"') + 'direction = "best"\n'
    with pytest.raises(RecipeError, match=r"a.direction is 'best', expected as-is, because the protocol's direction is as-is"):
        protocols.read(written(tmp_path, text))


def test_every_column_is_the_metric_on_8_bits(rules):
    data = sample()
    prediction = noisy(data.sharp)[::-1]
    frames = quantise(prediction, "round")
    right = frames[::-1]
    expected = {
        "psnr-centre": psnr(frames, data.sharp)[3],
        "ssim-centre": ssim(frames, data.sharp)[3],
        "psnr": psnr(right, data.sharp).mean(),
        "psnr-pooled": pooled_psnr(right, data.sharp),
        "psnr-forward": pooled_psnr(frames, data.sharp),
        "ssim": ssim(right, data.sharp).mean(),
        "ordering": ordering(frames, data.sharp)[0],
        "reblur-psnr": reblur_psnr(frames, data.sharp, transfer="gamma(2.2)", blurry=data.blurry)[0],
    }
    result = score(rules, prediction[None], data)
    assert (result.sample, result.video, result.reversed) == ("clip 3", "video", True)
    assert result.values == pytest.approx(expected, rel=1e-12)
    assert list(result.values) == COLUMNS


def test_oracles(rules):
    data = sample()
    perfect, backwards = (score(rules, as_prediction(clip), data) for clip in (data.sharp, data.sharp[::-1]))
    assert not perfect.reversed
    assert perfect.values["psnr"] == perfect.values["psnr-pooled"] == perfect.values["psnr-forward"] == rules.psnr_cap
    assert perfect.values["ssim"] == 1
    assert perfect.values["ordering"] == 0
    assert 55 < perfect.values["reblur-psnr"] < 65
    assert backwards.reversed
    assert backwards.values["psnr-forward"] < 20
    assert {**backwards.values, "psnr-forward": 0} == pytest.approx({**perfect.values, "psnr-forward": 0})


def test_copies_of_the_blurry_picture(rules):
    data = sample()
    copies = score(rules, as_prediction(np.stack([data.blurry] * 7)), data)
    assert not copies.reversed
    assert copies.values["reblur-psnr"] == rules.psnr_cap
    assert copies.values["psnr-forward"] == copies.values["psnr-pooled"] < copies.values["psnr"]


def test_a_method_of_one_frame(rules):
    data = sample()
    frame = noisy(data.sharp)[3]
    result = score(rules, frame[None, None], data)
    assert [name for name, value in result.values.items() if value is not None] == ["psnr-centre", "ssim-centre"]
    assert result.values["psnr-centre"] == score(rules, noisy(data.sharp)[None], data).values["psnr-centre"]
    assert not result.reversed


def test_a_sequence_for_data_of_one_target(rules):
    whole, data = sample(), sample(1, start=3)
    result = score(rules, noisy(whole.sharp)[None], data)
    expected = score(rules, noisy(whole.sharp)[None], whole).values
    assert result.values["psnr-centre"] == result.values["psnr"] == expected["psnr-centre"]
    assert result.values["ssim"] == expected["ssim-centre"]
    assert result.values["ordering"] is result.values["reblur-psnr"] is None


def test_a_clip_without_a_centre(rules):
    data = sample(6)
    result = score(rules, noisy(data.sharp)[None], data)
    assert [name for name, value in result.values.items() if value is None] == ["psnr-centre", "ssim-centre"]


@pytest.mark.parametrize(("predicted", "targets"), [(6, 7), (7, 6), (2, 7), (1, 6), (6, 1), (2, 1)])
def test_other_numbers_of_frames_are_refused(rules, predicted, targets):
    data = sample(targets)
    with pytest.raises(PredictionError, match=rf"sample clip 3: the prediction has {predicted} frame\(s\), the data {targets}"):
        score(rules, noisy(sample(predicted).sharp)[None], data)


def test_what_cannot_be_scored(rules, tmp_path):
    data = sample()
    good = noisy(data.sharp)[None]
    with pytest.raises(PredictionError, match=r"sample clip 3: .*\(1, 7, 64, 79, 3\).*\(7, 64, 80, 3\)"):
        score(rules, good[:, :, :, :79], data)
    with pytest.raises(PredictionError, match=r"\(7, 64, 80, 3\), expected \(N, T, H, W, 3\)"):
        score(rules, good[0], data)
    with pytest.raises(PredictionError, match="sample clip 3: the prediction holds 80 NaN"):
        score(rules, nan_row(good), data)
    only_all = protocols.read(written(tmp_path, MINIMAL))
    with pytest.raises(PredictionError, match=r"1 predicted and 7 target frame\(s\) fill no column of mine"):
        score(only_all, good[:, :1], data)


def nan_row(prediction):
    prediction = prediction.copy()
    prediction[0, 2, 5, :, 1] = np.nan
    return prediction


def test_the_first_of_several_samples_counts(rules):
    data = sample()
    several = np.stack([noisy(data.sharp, seed) for seed in range(3)])
    assert score(rules, several, data) == score(rules, several[:1], data)
    assert score(rules, several, data) != score(rules, several[1:], data)


def test_uint8_predictions_score_as_their_floats(rules):
    data = sample()
    frames = quantise(noisy(data.sharp), "round")
    assert score(rules, frames[None], data) == score(rules, as_prediction(frames), data)


def test_half_reversed_clip_gains_by_the_direction_of_the_clip(rules):
    data = sample()
    prediction = data.sharp.copy()
    prediction[:, :, 20:] = data.sharp[::-1, :, 20:]
    values = score(rules, as_prediction(prediction), data).values
    assert values["psnr-forward"] + 1 < values["psnr-pooled"] < 40


def test_as_is_protocols_never_turn(rules):
    data = sample()
    fixed = replace(rules, direction="as-is", columns=tuple(c for c in rules.columns if c.direction == "as-is"))
    result = score(fixed, as_prediction(data.sharp[::-1]), data)
    assert not result.reversed
    assert result.values["psnr-forward"] < 20


def test_listed_frames(rules):
    data = sample()
    frames = noisy(data.sharp)
    column = Column("video3", "psnr", "frames 1, 4 and 7", frames=(0, 3, 6), reduction="pooled")
    few = replace(rules, columns=(column,), rank_by="video3")
    picked = [0, 3, 6]
    assert score(few, frames[None], data).values["video3"] == pytest.approx(
        pooled_psnr(quantise(frames, "round")[picked], data.sharp[picked])
    )


@pytest.mark.parametrize("rule", ["round", "truncate", "float"])
def test_the_quantisation_of_the_protocol(rules, rule):
    data = sample()
    frames = noisy(data.sharp)
    expected = pooled_psnr(quantise(frames, rule), data.sharp)
    assert score(replace(rules, quantise=rule), frames[None], data).values["psnr-forward"] == pytest.approx(expected, abs=1e-9)


def test_no_pair_of_frames_is_measured_twice(rules, monkeypatch):
    """Seven forward and six other backward pairs for PSNR (the centre is its own mirror image), seven pairs for SSIM, one clip each."""
    counts = {}

    def counting(name):
        metric = metrics.get(name)

        def counted(prediction, target, **options):
            counts[name] = counts.get(name, 0) + len(target)
            return metric(prediction, target, **options)

        counted.info = metric.info
        return counted

    replaced = {name: counting(name) for name in ("psnr", "ssim", "ordering", "reblur-psnr")}
    monkeypatch.setattr(metrics, "get", replaced.__getitem__)
    data = sample()
    score(rules, noisy(data.sharp)[None, ::-1], data)
    assert counts == {"psnr": 13, "ssim": 7, "ordering": 7, "reblur-psnr": 7}
