"""Predicting and scoring in one pass or two, stopped and resumed, with failures: the same numbers, and nothing lost in silence."""

import json
import shutil

import cv2
import numpy as np
import pandas as pd
import pytest

from blurbench.errors import PredictionError, RecipeError, RecordError
from blurbench.report.board import collect
from blurbench.run import record as records
from blurbench.run.evaluate import evaluate
from blurbench.run.predictions import Predictions
from blurbench.run.runner import predict_dataset
from blurbench.run.score import score
from blurbench.run.verify import add
from blurbench.store.reader import open_dataset
from blurbench.synth.pipeline import make_dataset
from tests.conftest import command

METHOD = """
import numpy as np
from blurbench.methods import Answer, Capabilities, Method, MethodCard

class Noisy(Method):
    "The blurry picture with noise from the generator; gives motion as well."
    card = MethodCard(id="noisy", title="t", paper="p", licence="l")
    capabilities = Capabilities(stochastic=True)
    def predict(self, blurry, request):
        shape = (request.samples, len(request.times), *blurry.shape)
        frames = (blurry + request.rng.normal(0, 0.03, shape)).clip(0, 1).astype(np.float32)
        return Answer(frames, np.zeros((*shape[:-1], 2), np.float32), request.times)

class Patchy(Noisy):
    card = MethodCard(id="patchy", title="t", paper="p", licence="l")
    calls = 0
    def predict(self, blurry, request):
        type(self).calls += 1
        frames = super().predict(blurry, request).frames
        if type(self).calls in (2, 5):
            frames[..., 0] = np.nan
        return frames
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "genblur"
    make_dataset("genblur", out=folder, clips={"train": 2, "test": 3}, size=(64, 96))
    return folder


@pytest.fixture
def noisy(tmp_path):
    path = tmp_path / "noisy.py"
    path.write_text(METHOD)
    return f"{path}:Noisy"


def numbers(record):
    return {name: (value.mean, value.low, value.high, value.samples) for name, value in record.values.items()}


def test_one_pass_and_two_agree(data, noisy, tmp_path):
    protocols = ["blurbench-1", "noroozi2017", "zhang2020"]
    at_once = evaluate(noisy, data, protocol=protocols, out=tmp_path / "a", predictions=tmp_path / "kept")
    folder = predict_dataset(noisy, data, tmp_path / "p")
    one, two = (score(folder, data, protocol=protocols, out=tmp_path / str(n), workers=n) for n in (1, 2))
    kept = score(tmp_path / "kept", data, protocol=protocols, out=tmp_path / "c")
    assert [record.protocol for record in at_once] == protocols
    for other in (one, two, kept):
        assert [numbers(record) for record in other] == [numbers(record) for record in at_once]
        assert [record.name for record in other] == [record.name for record in at_once]
        assert [(record.method, record.draws, record.weights) for record in other] == [("noisy", 1, None)] * 3
    for n, name in ((1, "1"), (2, "2")):
        del n
        pd.testing.assert_frame_equal(
            records.scores(tmp_path / name / f"{one[0].name}.json").drop(columns="seconds"),
            records.scores(tmp_path / "a" / f"{one[0].name}.json").drop(columns="seconds"),
        )
    assert at_once[0].predictions == Predictions(tmp_path / "kept").digest()


def test_scoring_in_threads_gives_the_same(data, noisy, tmp_path):
    plain, threads = (evaluate(noisy, data, out=tmp_path / str(n), workers=n)[0] for n in (0, 2))
    assert numbers(plain) == numbers(threads)


def test_the_table_of_scores(data, noisy, tmp_path):
    (record,) = evaluate(noisy, data, protocol="blurbench-1", out=tmp_path)
    table = records.scores(tmp_path / f"{record.name}.json")
    assert list(table["sample"]) == open_dataset(data).ids("test")
    assert table["video"].nunique() == 3 == record.videos
    assert set(table["draw"]) == {0}
    for name, value in record.values.items():
        assert table[name].mean() == pytest.approx(value.mean)
    (tmp_path / record.scores).unlink()
    with pytest.raises(RecordError, match="keep the two files together"):
        records.scores(tmp_path / f"{record.name}.json")


class Stop(Exception):
    pass


@pytest.mark.parametrize("after", [1, 5])
@pytest.mark.parametrize("keep", [False, True])
def test_a_stopped_run_goes_on(data, noisy, tmp_path, after, keep):
    """What was scored is not predicted again, unless the file that keeps the video's predictions was not finished."""
    undisturbed = evaluate(noisy, data, out=tmp_path / "whole")[0]

    def stop(done, total):
        if done == after:
            raise Stop

    options = {"out": tmp_path / "runs", "predictions": tmp_path / "p" if keep else None}
    with pytest.raises(Stop):
        evaluate(noisy, data, progress=stop, **options)
    assert not list((tmp_path / "runs").glob("*.json"))
    (journal,) = (tmp_path / "runs").glob(".*.unfinished")
    with journal.open("a") as file:
        file.write('{"sample": "cut sho')
    seen = []
    resumed = evaluate(noisy, data, progress=lambda done, total: seen.append(done), **options)[0]
    assert seen[0] == after
    assert numbers(resumed) == numbers(undisturbed)
    assert not list((tmp_path / "runs").glob(".*"))
    if keep:
        assert numbers(score(tmp_path / "p", data, out=tmp_path / "again")[0]) == numbers(undisturbed)


def test_another_run_does_not_take_the_journal(data, noisy, tmp_path):
    def stop(done, total):
        if done == 3:
            raise Stop

    with pytest.raises(Stop):
        evaluate(noisy, data, out=tmp_path, seed=1, progress=stop)
    record = evaluate(noisy, data, out=tmp_path, seed=0)[0]
    assert numbers(record) == numbers(evaluate(noisy, data, out=tmp_path / "other", seed=0)[0])


def test_another_seed_has_a_record_of_its_own(data, noisy, tmp_path):
    """Only where the seed decides on anything."""
    told = []
    first, second = (evaluate(noisy, data, out=tmp_path, seed=seed, note=told.append)[0] for seed in (0, 1))
    assert first.name.startswith("noisy__genblur") and second.name.startswith("noisy-seed1__genblur") and told == []
    assert numbers(records.read(tmp_path / f"{first.name}.json")) == numbers(first) != numbers(second)
    assert len(records.scores(tmp_path / f"{second.name}.json")) == first.samples
    assert sorted(each.seed for each in collect(tmp_path)[0]) == [0, 1] and collect(tmp_path)[1] == []
    add(tmp_path / f"{second.name}.json", tmp_path / "theirs")
    plain, same = (evaluate("copy-blur", data, out=tmp_path, seed=seed, note=told.append)[0] for seed in (0, 1))
    assert plain.name == same.name and same.seed == 0 and numbers(plain) == numbers(same)
    assert told == ["seed 1 was given, but copy-blur is deterministic; it runs with seed 0"]


def test_failures_stop_or_are_counted(data, tmp_path):
    (tmp_path / "patchy.py").write_text(METHOD)
    method = f"{tmp_path / 'patchy.py'}:Patchy"
    with pytest.raises(PredictionError, match=r"patchy returned .* NaN"):
        evaluate(method, data, out=tmp_path / "a")
    record = evaluate(method, data, out=tmp_path / "b", allow_failures=True)[0]
    ids = open_dataset(data).ids("test")
    assert list(record.failed) == [ids[1], ids[4]] and record.command.endswith(" --allow-failures")
    assert all("NaN" in reason for reason in record.failed.values())
    assert record.samples == len(ids) - 2 == len(records.scores(tmp_path / "b" / f"{record.name}.json"))


def test_predictions_of_other_data_are_refused(data, noisy, tmp_path):
    folder = predict_dataset(noisy, data, tmp_path / "p")
    other = tmp_path / "other"
    make_dataset("genblur", out=other, clips={"train": 1, "test": 3}, size=(64, 96), seed=1)
    with pytest.raises(PredictionError, match=r"with fingerprint .* other sources, recipe or seed"):
        score(folder, other, out=tmp_path / "runs")
    with pytest.raises(PredictionError, match="predictions of genblur-rendered, split test; asked for genblur-rendered, split train"):
        score(folder, data, split="train", out=tmp_path / "runs")
    with pytest.raises(PredictionError, match="noisy made it, but the name 'mine' was given"):
        score(folder, data, name="mine", out=tmp_path / "runs")
    with pytest.raises(PredictionError, match="already holds predictions of noisy"):
        predict_dataset("copy-blur", data, folder)
    video = next(folder.glob("*.h5"))
    video.unlink()
    with pytest.raises(PredictionError, match=f"has no file {video.name}"):
        score(folder, data, out=tmp_path / "runs")
    table = json.loads((folder / "predictions.json").read_text())
    (folder / "predictions.json").write_text(json.dumps({**table, "format": 99}))
    with pytest.raises(PredictionError, match="has format 99, this blurbench reads up to 1"):
        score(folder, data, out=tmp_path / "runs")
    assert not list((tmp_path / "runs").glob("*.json"))


def pictures(data, folder, draws=None):
    """The sharp frames of a data set, brighter by one level a draw, as plain pictures."""
    for sample in open_dataset(data).samples("test"):
        for draw in range(draws or 1):
            target = folder / sample.id / (str(draw) if draws else "")
            target.mkdir(parents=True)
            for number, frame in enumerate(np.minimum(sample.sharp, 250) + (draw + 1)):
                cv2.imwrite(str(target / f"{number}.png"), np.ascontiguousarray(frame[..., ::-1]))


def test_plain_pictures(data, tmp_path):
    pictures(data, tmp_path / "mine")
    (record,) = score(tmp_path / "mine", data, out=tmp_path / "runs")
    assert (record.method, record.weights["origin"], record.seconds) == ("mine", "submitted", None)
    assert record.values["psnr-pooled"].mean == pytest.approx(20 * np.log10(255), abs=0.3)
    assert record.command == f"blurbench score --dataset {data} --split test --protocol blurbench-1 {tmp_path / 'mine'}"


def test_pictures_that_lost_something_are_told(data, tmp_path):
    pictures(data, tmp_path / "mine")
    told = []
    score(tmp_path / "mine", data, out=tmp_path / "runs", note=told.append)
    assert not [line for line in told if "JPEG" in line]
    first = sorted((tmp_path / "mine").glob("*/*/3.png"))[0]
    cv2.imwrite(str(first.with_suffix(".jpg")), cv2.imread(str(first)))
    first.unlink()
    score(tmp_path / "mine", data, out=tmp_path / "runs", note=told.append)
    expected = f"{first.with_suffix('.jpg')} is a JPEG: what its compression lost counts against the scores; write predictions as PNG"
    assert [line for line in told if "JPEG" in line] == [expected]


def test_plain_pictures_of_several_draws(data, tmp_path):
    pictures(data, tmp_path / "mine", draws=5)
    (record,) = score(tmp_path / "mine", data, protocol="blurbench-motion", out=tmp_path / "runs")
    assert record.draws == 5 and set(records.scores(tmp_path / "runs" / f"{record.name}.json")["draw"]) == {0}
    assert record.values["psnr-best5"].mean == record.values["psnr-clip"].mean
    assert record.values["diversity"].mean > 0
    assert record.empty["trajectory-error"] == "the method gives no motion"


def test_draws_are_counted_and_must_be_as_many_of_each_sample(data, tmp_path):
    pictures(data, tmp_path / "mine", draws=3)
    assert score(tmp_path / "mine", data, out=tmp_path / "runs")[0].draws == 1  # the protocol has one
    odd = next(folder for folder in (tmp_path / "mine").iterdir()) / "00001"
    shutil.rmtree(odd / "2")
    sample = f"{odd.parent.name}/{odd.name}"
    for allow in (False, True):
        with pytest.raises(PredictionError, match=rf"mine has 2 draws of sample {sample} and 3 of .*; expected as many of each$"):
            score(tmp_path / "mine", data, protocol="blurbench-motion", out=tmp_path / "runs", allow_failures=allow)


def test_frames_must_be_as_many_of_each_sample(data, tmp_path):
    """A sample with one frame left would be scored as its centre frame, and be in no mean of the others."""
    pictures(data, tmp_path / "mine")
    odd = next(folder for folder in (tmp_path / "mine").iterdir()) / "00001"
    for number in range(1, 7):
        (odd / f"{number}.png").unlink()
    says = rf"mine has 1 frame of sample {odd.parent.name}/{odd.name} and 7 of .*; expected as many of each$"
    with pytest.raises(PredictionError, match=says):
        score(tmp_path / "mine", data, out=tmp_path / "runs", allow_failures=True)
    (odd / "7").mkdir()
    with pytest.raises(PredictionError, match=r"00001 holds 0.png and 7/, expected frames or folders of draws, not both$"):
        score(tmp_path / "mine", data, out=tmp_path / "runs")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (
            lambda folder: (folder / "3.png").write_bytes((folder / "3.png").read_bytes()[:99]),
            "/00001 in .* cannot be read: .*3.png is not",
        ),
        (lambda folder: shutil.rmtree(folder), "has no folder .*/00001 with the frames of that sample"),
        (lambda folder: folder.rename(folder.with_name("99999")), "holds '.*/99999', which is no sample of the data"),
        (lambda folder: (folder / "3.png").unlink(), r"sample .*/00001: the prediction has 6 frame\(s\), the data 7"),
        (lambda folder: shutil.copy(folder / "3.png", folder / "7.png"), r"the prediction has 8 frame\(s\), the data 7"),
        (lambda folder: cv2.imwrite(str(folder / "3.png"), np.zeros((8, 8, 3), np.uint8)), "the frames have shapes"),
        (lambda folder: [path.unlink() for path in folder.iterdir()], "holds no frames"),
    ],
)
def test_bad_submissions(data, tmp_path, harm, words):
    pictures(data, tmp_path / "mine")
    harm(next(folder for folder in (tmp_path / "mine").iterdir()) / "00001")
    with pytest.raises(PredictionError, match=words):
        score(tmp_path / "mine", data, out=tmp_path / "runs")
    assert not list((tmp_path / "runs").glob("*.json"))


def test_a_broken_picture_is_a_failure_like_others(data, tmp_path):
    pictures(data, tmp_path / "mine")
    folder = next(folder for folder in (tmp_path / "mine").iterdir()) / "00001"
    (folder / "3.png").write_bytes((folder / "3.png").read_bytes()[:99])
    (record,) = score(tmp_path / "mine", data, out=tmp_path / "runs", allow_failures=True)
    assert list(record.failed) == [f"{folder.parent.name}/00001"] and record.samples == len(open_dataset(data).ids("test")) - 1


def test_the_commands(made, tmp_path):
    data = made / "data/genblur"
    first = command("predict", "--method", "copy-blur", "--dataset", data, "--store", "uint8", "--out", "p", cwd=tmp_path)
    assert first.returncode == 0 and "score it with `blurbench score p --dataset" in first.stderr, first.stderr
    done = command("score", "p", "--dataset", data, "--protocol", "blurbench-1", "--protocol", "noroozi2017", "--out", "runs", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("psnr-centre") == 1 and "noroozi2017" in done.stderr
    direct = command("evaluate", "--method", "copy-blur", "--dataset", data, "--out", "direct", cwd=tmp_path)
    assert direct.returncode == 0, direct.stderr
    read = [records.read(next((tmp_path / folder).glob("*blurbench-1-v1.json"))) for folder in ("runs", "direct")]
    assert numbers(read[0]) == numbers(read[1])
    for arguments, words in ((["x.png", "--dataset", data], "either IMAGES or --dataset"), ([], "either IMAGES or --dataset")):
        wrong = command("predict", *arguments, "--method", "copy-blur", cwd=tmp_path)
        assert wrong.returncode == 2 and words in wrong.stderr


def test_motion_is_stored_and_read(data, noisy, tmp_path):
    folder = predict_dataset(noisy, data, tmp_path / "p", samples=2)
    sample = next(open_dataset(data).samples("test"))
    made = Predictions(folder).get(sample)
    assert made.frames.shape == (2, 7, *sample.blurry.shape)
    assert made.motion.shape == (2, 7, *sample.blurry.shape[:2], 2)
    assert not np.array_equal(made.frames[0], made.frames[1])


def test_exchanged_colours_are_told(data, tmp_path):
    told = []
    pictures(data, tmp_path / "mine")
    score(tmp_path / "mine", data, out=tmp_path / "a", note=told.append)
    assert told == []
    for path in (tmp_path / "mine").rglob("*.png"):
        cv2.imwrite(str(path), cv2.imread(str(path))[..., ::-1].copy())
    score(tmp_path / "mine", data, out=tmp_path / "b", note=told.append)
    (line,) = told
    assert "red and blue look exchanged in the prediction of rendered-test-s0-0000/00000" in line
    (tmp_path / "swapping.py").write_text(METHOD.replace("(blurry + ", "(blurry[..., ::-1] + "))
    evaluate(f"{tmp_path / 'swapping.py'}:Noisy", data, out=tmp_path / "c", note=told.append)
    assert len(told) == 2


def test_a_scale_of_255_is_refused(data, tmp_path):
    (tmp_path / "bytes.py").write_text(METHOD.replace(".clip(0, 1).astype(np.float32)", ".astype(np.float32) * np.float32(255)"))
    with pytest.raises(PredictionError, match=r"has values from .*, expected floats about \[0, 1\]; divide by 255"):
        evaluate(f"{tmp_path / 'bytes.py'}:Noisy", data, out=tmp_path)


def test_versions_of_protocols(data, tmp_path):
    assert evaluate("copy-blur", data, protocol="blurbench-1@1", out=tmp_path)[0].protocol_version == 1
    with pytest.raises(RecipeError, match="protocol 'blurbench-1@7' was asked for, here blurbench-1 is version 1"):
        evaluate("copy-blur", data, protocol="blurbench-1@7", out=tmp_path)
