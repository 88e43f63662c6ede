"""What a sample scores under a protocol."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from blurbench import metrics
from blurbench.errors import PredictionError
from blurbench.metrics import protocol as protocols
from blurbench.metrics.ordering import ordering
from blurbench.metrics.protocol import Column
from blurbench.metrics.psnr import pooled_psnr, psnr
from blurbench.metrics.reblur import reblur, reblur_psnr
from blurbench.metrics.score import score, score_all
from blurbench.metrics.select import quantise, reversed_is_better
from blurbench.metrics.ssim import ssim
from blurbench.registry import METRICS
from blurbench.types import Prediction, Sample
from blurbench.video import transfer
from tests.formulas import golden_sequence

FILE = Path(__file__).parents[2] / "leaderboards" / "protocols" / "blurbench-1.toml"
pytestmark = pytest.mark.skipif("psnr" not in METRICS.names(), reason="blurbench is not installed: pip install -e .")


def sample(frames=7, start=0):
    sharp = golden_sequence()[start : start + frames]
    blurry = np.floor(reblur(sharp, transfer.gamma(2.2)) * 255 + 0.5).astype(np.uint8)
    return Sample("clip 3", "video", blurry, sharp, (np.arange(frames) + 0.5) / frames, "gamma(2.2)")


def as_prediction(frames):
    return (frames / np.float32(255)).astype(np.float32)[None]


def noisy(frames, seed=0):
    noise = np.random.default_rng(seed).normal(0, 4, frames.shape)
    return (frames / 255 + noise / 255).astype(np.float32)


def scored(rules, frames, data):
    return score(rules, Prediction(data.id, frames, 0.0, "cpu"), data)


@pytest.fixture(scope="module")
def rules():
    return protocols.read(FILE)


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
    result = scored(rules, prediction[None], data)
    assert (result.sample, result.video, result.reversed) == ("clip 3", "video", True)
    assert result.values == pytest.approx(expected, rel=1e-12)
    assert list(result.values) == [column.name for column in rules.columns]


def test_oracles(rules):
    data = sample()
    perfect, backwards = (scored(rules, as_prediction(clip), data) for clip in (data.sharp, data.sharp[::-1]))
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
    copies = scored(rules, as_prediction(np.stack([data.blurry] * 7)), data)
    assert not copies.reversed
    assert copies.values["reblur-psnr"] == rules.psnr_cap
    assert copies.values["psnr-forward"] == copies.values["psnr-pooled"] < copies.values["psnr"]


def test_a_method_of_one_frame(rules):
    data = sample()
    frame = noisy(data.sharp)[3]
    result = scored(rules, frame[None, None], data)
    assert [name for name, value in result.values.items() if value is not None] == ["psnr-centre", "ssim-centre"]
    assert result.values["psnr-centre"] == scored(rules, noisy(data.sharp)[None], data).values["psnr-centre"]
    assert not result.reversed


def test_a_sequence_for_data_of_one_target(rules):
    whole, data = sample(), sample(1, start=3)
    result = scored(rules, noisy(whole.sharp)[None], data)
    expected = scored(rules, noisy(whole.sharp)[None], whole).values
    assert result.values["psnr-centre"] == result.values["psnr"] == expected["psnr-centre"]
    assert result.values["ssim"] == expected["ssim-centre"]
    assert result.values["ordering"] is result.values["reblur-psnr"] is None


def test_a_clip_without_a_centre(rules):
    data = sample(6)
    result = scored(rules, noisy(data.sharp)[None], data)
    assert [name for name, value in result.values.items() if value is None] == ["psnr-centre", "ssim-centre"]


@pytest.mark.parametrize(("predicted", "targets"), [(6, 7), (7, 6), (2, 7), (1, 6), (6, 1), (2, 1)])
def test_other_numbers_of_frames_are_refused(rules, predicted, targets):
    data = sample(targets)
    with pytest.raises(PredictionError, match=rf"sample clip 3: the prediction has {predicted} frame\(s\), the data {targets}"):
        scored(rules, noisy(sample(predicted).sharp)[None], data)


def test_what_cannot_be_scored(rules):
    data = sample()
    good = noisy(data.sharp)[None]
    with pytest.raises(PredictionError, match=r"sample clip 3: .*\(1, 7, 64, 79, 3\).*\(7, 64, 80, 3\)"):
        scored(rules, good[:, :, :, :79], data)
    with pytest.raises(PredictionError, match=r"\(7, 64, 80, 3\), expected \(N, T, H, W, 3\)"):
        scored(rules, good[0], data)
    with pytest.raises(PredictionError, match="sample clip 3: the prediction holds 80 NaN"):
        scored(rules, nan_row(good), data)
    column = Column("a", "psnr", "d")
    with pytest.raises(PredictionError, match="no column of blurbench-1 can be filled: the method gives the centre frame only"):
        scored(replace(rules, columns=(column,), rank_by="a"), good[:, :1], data)


def test_what_a_metric_raises_says_where(rules, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from blurbench.metrics import metric\n\n\n"
        "@metric(id='bad', title='Bad', unit='1', better='higher')\n"
        "def bad(prediction, target):\n"
        "    return 1 // 0\n"
    )
    column = Column("mine", f"{tmp_path / 'mine.py'}:bad", "d")
    data = sample()
    with pytest.raises(ZeroDivisionError) as caught:
        scored(replace(rules, columns=(column,), rank_by="mine"), noisy(data.sharp)[None], data)
    assert caught.value.__notes__ == [f"raised while mine of sample clip 3 was scored by the metric {column.metric}"]


def nan_row(prediction):
    prediction = prediction.copy()
    prediction[0, 2, 5, :, 1] = np.nan
    return prediction


def test_the_first_of_several_samples_counts(rules):
    data = sample()
    several = np.stack([noisy(data.sharp, seed) for seed in range(3)])
    assert scored(rules, several, data) == scored(rules, several[:1], data)
    assert scored(rules, several, data) != scored(rules, several[1:], data)


def test_uint8_predictions_score_as_their_floats(rules):
    data = sample()
    frames = quantise(noisy(data.sharp), "round")
    assert scored(rules, frames[None], data) == scored(rules, as_prediction(frames), data)


def test_half_reversed_clip_gains_by_the_direction_of_the_clip(rules):
    data = sample()
    prediction = data.sharp.copy()
    prediction[:, :, 20:] = data.sharp[::-1, :, 20:]
    values = scored(rules, as_prediction(prediction), data).values
    assert values["psnr-forward"] + 1 < values["psnr-pooled"] < 40


def test_as_is_protocols_never_turn(rules):
    data = sample()
    fixed = replace(rules, direction="as-is", columns=tuple(c for c in rules.columns if c.direction == "as-is"))
    result = scored(fixed, as_prediction(data.sharp[::-1]), data)
    assert not result.reversed
    assert result.values["psnr-forward"] < 20


def test_listed_frames(rules):
    data = sample()
    frames = noisy(data.sharp)
    column = Column("video3", "psnr", "frames 1, 4 and 7", frames=(0, 3, 6), reduction="pooled")
    few = replace(rules, columns=(column,), rank_by="video3")
    picked = [0, 3, 6]
    assert scored(few, frames[None], data).values["video3"] == pytest.approx(
        pooled_psnr(quantise(frames, "round")[picked], data.sharp[picked])
    )


@pytest.mark.parametrize("rule", ["round", "truncate", "float"])
def test_the_quantisation_of_the_protocol(rules, rule):
    data = sample()
    frames = noisy(data.sharp)
    expected = pooled_psnr(quantise(frames, rule), data.sharp)
    assert scored(replace(rules, quantise=rule), frames[None], data).values["psnr-forward"] == pytest.approx(expected, abs=1e-9)


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
    scored(rules, noisy(data.sharp)[None, ::-1], data)
    assert counts == {"psnr": 13, "ssim": 7, "ordering": 7, "reblur-psnr": 7}


def of(rules, **columns):
    """A protocol of these columns only."""
    made = tuple(Column(name.replace("_", "-"), **{"metric": "psnr", "description": "d", **options}) for name, options in columns.items())
    return replace(rules, columns=made, rank_by=made[0].name)


def moving_apart():
    """Left and right halves (64 pixels each) move at different times, so that frames disagree on the better direction."""
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 256, (2, 64, 80, 3))
    steps = ((0, 0, 0, 4, 8, 8, 2), (0, 6, 6, 6, 6, 6, 12))
    halves = [
        [cv2.GaussianBlur(np.roll(t.astype(np.float32), x, axis=1), (0, 0), 2)[:, :64] for x in xs]
        for t, xs in zip(texture, steps, strict=True)
    ]
    sharp = np.concatenate(halves, axis=2).astype(np.uint8)
    return replace(sample(), blurry=sharp[3], sharp=sharp)


def test_the_ladder_of_directions(rules):
    """The left half plays backwards: the finer the choice of direction, the better the score of one and the same prediction."""
    data = moving_apart()
    prediction = data.sharp.copy()
    prediction[:, :, :64] = data.sharp[::-1, :, :64]
    # 40 dB of noise, so that no frame is exact.
    prediction = np.clip(prediction / 255 + np.random.default_rng(0).normal(0, 0.01, prediction.shape), 0, 1).astype(np.float32)
    directions = {"forward": "as-is", "clip": "best", "frame": "frame", "patch": "patch", "pixel": "pixel"}
    steps = of(rules, **{name: {"direction": direction, "reduction": "pooled"} for name, direction in directions.items()})
    values = scored(steps, prediction[None], data).values
    assert values["forward"] + 1 < values["clip"] < values["frame"] - 1
    assert values["frame"] + 3 < values["patch"] <= values["pixel"]
    assert 39 < values["patch"] < 41
    frames = quantise(prediction, "round")
    better = np.maximum(psnr(frames, data.sharp), psnr(frames[::-1], data.sharp))
    assert values["frame"] == pytest.approx(-10 * np.log10(np.mean(10 ** (-better / 10))))


def test_ssim_of_the_composed_clip(rules):
    data = sample()
    prediction = data.sharp.copy()
    prediction[:, :, 32:] = data.sharp[::-1, :, 32:]
    steps = of(rules, patch={"metric": "ssim", "direction": "patch"}, forward={"metric": "ssim"})
    values = scored(steps, as_prediction(prediction), data).values
    assert values["patch"] == pytest.approx(1)
    assert values["forward"] < 0.9


def test_each_column_decides_for_itself(rules):
    """Forward has the better PSNR, reversed the better SSIM: one decision cannot have both, two can."""
    data = sample()
    forward = np.clip(data.sharp.astype(int) + np.random.default_rng(0).integers(-9, 10, data.sharp.shape), 0, 255).astype(np.uint8)
    backward = np.clip(data.sharp.astype(int) + 12, 0, 255).astype(np.uint8)
    prediction = np.concatenate([forward[:3], data.sharp[3:4], backward[::-1][4:]])
    columns = {"p": {"direction": "best"}, "s": {"metric": "ssim", "direction": "best"}}
    together = scored(of(rules, **columns), as_prediction(prediction), data)
    apart = scored(replace(of(rules, **columns), decide_by="each"), as_prediction(prediction), data)
    for name, function in (("p", psnr), ("s", ssim)):
        both = [function(clip, data.sharp).clip(max=100).mean() for clip in (prediction, prediction[::-1])]
        assert apart.values[name] == pytest.approx(max(both))
        assert together.values[name] == pytest.approx(both[together.reversed])
    assert (apart.reversed, apart.draw) == (None, None)
    assert together.values != apart.values


def test_the_ends_decide(rules):
    """The ends are reversed, the five frames between are not and outweigh them."""
    data = sample()
    data.sharp[6] = np.minimum(data.sharp[0], 250) + 5
    prediction = data.sharp.copy()
    prediction[[0, 6]] = data.sharp[[6, 0]]
    column = of(rules, pooled={"direction": "best", "reduction": "pooled"})
    assert not scored(column, as_prediction(prediction), data).reversed
    assert scored(replace(column, decide_by="psnr-ends"), as_prediction(prediction), data).reversed


def test_the_ends_decide_by_the_sum_of_their_psnrs(rules):
    """The published rule: the pooled error of the two would decide the other way round."""
    data = sample()
    data.sharp[0], data.sharp[6] = 100, 140
    prediction = data.sharp.copy()
    prediction[0], prediction[6] = 101, 80
    forward, crossed = psnr(prediction[[0, 6]], data.sharp[[0, 6]]), psnr(prediction[[6, 0]], data.sharp[[0, 6]])
    assert (forward.sum(), crossed.sum()) == pytest.approx((60.70, 38.42), abs=0.01)
    assert reversed_is_better(forward, crossed)
    column = replace(of(rules, psnr={"direction": "best"}), decide_by="psnr-ends")
    assert not scored(column, as_prediction(prediction), data).reversed


def test_draws(rules):
    data = sample()
    draws = np.stack([np.clip(data.sharp / 255 + error, 0, 1) for error in (0.1, 0.02, 0.05, 0.01, 0.2)]).astype(np.float32)
    kinds = {"first": "first", "mean": "mean", "best": "best", "best_of_3": "best:3", "expected": "expected-best:2"}
    columns = {f"{metric}_{name}": {"metric": metric, "draws": rule} for metric in ("psnr", "ssim") for name, rule in kinds.items()}
    result = scored(replace(of(rules, **columns), samples=5), draws, data)
    single = [psnr(quantise(draw, "round"), data.sharp).mean() for draw in draws]
    assert result.draw == 3
    expected = {
        "psnr-first": single[0],
        "psnr-mean": np.mean(single),
        "psnr-best": single[3],
        "psnr-best-of-3": single[1],
        "psnr-expected": np.mean([max(single[i], single[j]) for i in range(5) for j in range(i)]),
    }
    assert {name: result.values[name] for name in expected} == pytest.approx(expected)
    similar = [ssim(quantise(draw, "round"), data.sharp).mean() for draw in draws]
    assert result.values["ssim-best"] == pytest.approx(similar[3])


def test_one_draw_decides_for_all_columns_unless_each_does(rules):
    """The first draw has the better PSNR, the second the better SSIM."""
    data = sample()
    noise = np.random.default_rng(0).normal(0, 0.02, data.sharp.shape)
    draws = np.stack([np.clip(data.sharp / 255 + noise, 0, 1), np.clip(data.sharp / 255 + 0.04, 0, 1)]).astype(np.float32)
    columns = replace(of(rules, p={"draws": "best"}, s={"metric": "ssim", "draws": "best"}), samples=2)
    together, apart = scored(columns, draws, data), scored(replace(columns, decide_by="each"), draws, data)
    similar = [ssim(quantise(draw, "round"), data.sharp).mean() for draw in draws]
    assert similar[1] > similar[0] + 0.01
    assert together.draw == 0
    assert together.values["s"] == pytest.approx(similar[0])
    assert apart.values["s"] == pytest.approx(similar[1])
    assert apart.values["p"] == together.values["p"]


def test_too_few_draws_for_the_protocol(rules):
    data = sample()
    several = replace(of(rules, p={"draws": "best"}), samples=5)
    with pytest.raises(PredictionError, match="the prediction has 3 draws, blurbench-1 asks for 5"):
        scored(several, np.stack([noisy(data.sharp)] * 3), data)
    assert scored(several, noisy(data.sharp)[None], data).draw == 0  # a deterministic method


def test_tiles_and_crop(rules):
    """64x80 pixels hold 2x2 tiles of 32; each is scored, and decided on, by itself."""
    data = sample()
    prediction = data.sharp.copy()
    prediction[:, :, 32:] = noisy(data.sharp[::-1, :, 32:])[..., :].clip(0, 1) * 255
    frames = as_prediction(prediction)
    tiled = of(rules, tiled={"direction": "best", "tile": 32})
    parts = [np.s_[:, top : top + 32, left : left + 32] for top in (0, 32) for left in (0, 32)]
    quantised = quantise(frames[0], "round")
    expected = []
    for part in parts:
        both = [psnr(clip[part], data.sharp[part]) for clip in (quantised, quantised[::-1])]
        with np.errstate(divide="ignore"):  # equal pictures have no error
            pooled = [-10 * np.log10(np.mean(10 ** (-values / 10))) for values in both]
        expected.append(both[int(pooled[1] > pooled[0])].clip(max=100).mean())
    assert scored(tiled, frames, data).values["tiled"] == pytest.approx(np.mean(expected))
    cut = replace(of(rules, p={}), crop="top-left:32x32")
    assert scored(cut, frames, data).values["p"] == pytest.approx(psnr(quantised[parts[0]], data.sharp[parts[0]]).clip(max=100).mean())


def test_reblur_follows_the_crop(rules):
    data = sample()
    cut = replace(of(rules, r={"metric": "reblur-psnr"}), crop="border:8")
    inside = np.s_[:, 8:-8, 8:-8]
    frames = quantise(noisy(data.sharp), "round")
    expected = reblur_psnr(frames[inside], data.sharp[inside], transfer="gamma(2.2)", blurry=data.blurry[8:-8, 8:-8])[0]
    assert scored(cut, noisy(data.sharp)[None], data).values["r"] == pytest.approx(expected)


def test_several_protocols_in_one_pass(rules):
    data = sample()
    others = [rules, replace(rules, id="other", quantise="truncate"), replace(rules, id="third", crop="border:4")]
    made = Prediction(data.id, noisy(data.sharp)[None], 0.0, "cpu")
    together = score_all(others, made, data)
    assert [result.values for result in together] == [score(each, made, data).values for each in others]
    assert together[0].values != together[1].values != together[2].values


def test_an_empty_column_says_why(rules):
    data = sample()
    result = scored(rules, noisy(data.sharp)[3][None, None], data)
    assert result.empty["psnr-pooled"] == "the method gives the centre frame only"
    assert set(result.empty) == {name for name, value in result.values.items() if value is None}


def test_against_the_blurry_picture(rules):
    data = sample()
    frames = quantise(noisy(data.sharp), "round")
    column = of(rules, b={"against": "blurry", "frames": "centre"})
    assert scored(column, frames[None], data).values["b"] == pytest.approx(psnr(frames[3:4], data.blurry[None])[0])
