"""Sample pages: which samples are shown, what their pictures are, and whole pages from real runs; `blurbench view`."""

import json
import re
import shutil

import av
import cv2
import matplotlib
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from blurbench.cli import blurbench
from blurbench.errors import PredictionError, UnknownNameError
from blurbench.report import samples
from blurbench.report.board import boards, collect
from blurbench.report.figures import sample_sheet
from blurbench.report.site import build_site
from blurbench.report.site_stored import stored
from blurbench.report.view import _clip, view
from blurbench.run import record as records
from blurbench.run.evaluate import evaluate
from blurbench.run.predictions import Predictions
from blurbench.store.reader import open_dataset
from blurbench.synth.pipeline import make_dataset
from blurbench.video.images import read_rgb, write_rgb
from tests.report.test_site import Page


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A folder with data, records and predictions of a blurry copy, a single frame for all, and the truth backwards."""
    folder = tmp_path_factory.mktemp("samples")
    make_dataset("genblur", out=folder / "data", clips={"train": 0, "test": 2}, size=(96, 128))
    for method in ("copy-blur", "oracle-centre", "oracle-reversed"):
        evaluate(method, folder / "data", out=folder / "runs", predictions=folder / "p" / method)
    return folder


def build(folder, out, names=("copy-blur", "oracle-reversed"), **options):
    found, _ = collect(folder / "runs")
    predictions = [folder / "p" / name for name in names]
    return build_site(boards(found), out, runs=folder / "runs", dataset=folder / "data", predictions=predictions, **options)


def table(values):
    return pd.DataFrame({"sample": [f"v/{i}" for i in range(len(values))], "psnr": values})


def test_picks_by_hand():
    """Means over runs: 25, 15, 35, 20 and none; of four the lower median is 20."""
    tables = {"a": table([20, 10, 30, 20, 99.0]), "b": table([30, 20, 40, 20, np.nan]), "none": table([np.nan] * 5)}
    assert [(p.sample, p.why) for p in samples.picks(tables, "psnr", "higher")] == [("v/2", "best"), ("v/1", "worst"), ("v/0", "median")]
    assert [(p.sample, p.why) for p in samples.picks(tables, "psnr", "lower")] == [("v/1", "best"), ("v/2", "worst"), ("v/3", "median")]
    assert [(p.sample, p.why) for p in samples.picks({"a": table([7.0])}, "psnr", "higher")] == [("v/0", "best")]
    assert samples.picks({}, "psnr", "higher") == samples.picks({"a": table([np.nan])}, "psnr", "higher") == []


def test_strip_holds_every_frame():
    """Five flat frames, in one column and in two; lossy, so within a few levels."""
    frames = np.stack([np.full((16, 24, 3), 50 * i, np.uint8) for i in range(5)])
    for columns in (1, 2):
        data, found = samples.strip(frames, columns)
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert found == columns and picture.shape == (16 * -(-5 // columns), 24 * columns, 3)
        for i in range(5):
            row, column = divmod(i, columns)
            part = picture[16 * row : 16 * row + 16, 24 * column : 24 * column + 24].astype(int)
            assert np.abs(part - 50 * i).max() <= 3
    high = np.zeros((20, 1000, 8, 3), np.uint8)
    assert samples.strip(high)[1] == 2


def test_error_map_is_viridis_of_the_mean_difference():
    """Against matplotlib's viridis. A difference of 16, 32 and 48 in the channels is 32 of 64: the middle of the scale."""
    frames, targets = np.zeros((3, 4, 4, 3), np.uint8), np.zeros((3, 4, 4, 3), np.uint8)
    frames[1] = (16, 32, 48)
    targets[2] = 200
    colours = samples.error_map(frames, targets)
    viridis = matplotlib.colormaps["viridis"]
    for frame, place in zip(colours, (0, 128, 255), strict=True):
        assert np.abs(frame.astype(int) - np.array(viridis(place, bytes=True)[:3], int)).max() <= 2
    key = samples.error_key()
    assert (key[0, 0] == colours[0, 0, 0]).all() and (key[0, -1] == colours[2, 0, 0]).all()


def test_flow_colours():
    """Right is red, down (y grows) violet to blue, left cyan; half the length is half as strong; still is white."""
    field = np.array([[[2, 0], [-2, 0], [1, 0], [0, 0], [0, 2], [9, 0]]], np.float32)
    assert samples.flow_colours(field, 2.0)[0].tolist() == [
        [255, 0, 0],
        [0, 255, 255],
        [255, 128, 128],
        [255, 255, 255],
        [128, 0, 255],
        [255, 0, 0],
    ]
    wheel = samples.wheel(97)
    assert wheel[48, 96].tolist() == [255, 0, 0] and wheel[48, 0].tolist() == [0, 255, 255] and wheel[0, 0].tolist() == [255, 255, 255]


def test_pictures_of_a_prediction():
    rng = np.random.default_rng(0)
    sharp = cv2.GaussianBlur(rng.integers(0, 256, (96, 96, 3), dtype=np.uint8), (0, 0), 3)
    clip = np.stack([np.roll(sharp, 2 * i, axis=1) for i in range(3)])
    truth = samples.truth(clip[1], clip)
    assert truth.facts["frames"] == 3 and 3 <= truth.facts["flow_top"] <= 6  # moved by 4 pixels, from the first to the last frame
    same = samples.prediction(clip, clip, 4.0)
    dark = samples.error_map(clip[:1], clip[:1])[0]
    shown = cv2.cvtColor(cv2.imdecode(np.frombuffer(same.files["error"][1], np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    turned = cv2.cvtColor(cv2.imdecode(np.frombuffer(same.files["turned"][1], np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    assert np.abs(shown[:96].astype(int) - dark).max() <= 4
    assert np.abs(turned[:96].astype(int) - dark).max() > 40  # first against last
    assert np.abs(turned[96:192].astype(int) - dark).max() <= 16  # the middle is its own mirror image
    single = samples.prediction(clip[1:2], clip, 4.0)
    assert set(single.files) == {"pictures", "error"} and single.facts == {"frames": 1, "columns": 1, "errors": 1}
    centre = samples.prediction(clip, clip[1:2], 4.0)
    assert centre.facts["errors"] == 1 and "turned" not in centre.files
    assert set(samples.prediction(clip[:2], clip, 4.0).files) == {"pictures", "flow"}


def test_pages_of_real_runs(real, tmp_path):
    """Best, worst and median of the only serious choice there is; the truth backwards was turned, and so has no error."""
    site = tmp_path / "site"
    build(real, site)
    pages = sorted((site / "samples").rglob("*.html"))
    assert len(pages) == 3
    scores = [
        records.scores(path).set_index("sample")["psnr-pooled"]
        for path in sorted((real / "runs").glob("*.json"))
        if "centre" not in path.name
    ]
    means = (scores[0] + scores[1]) / 2
    best = next(page for page in pages if re.search("Chosen: best", page.read_text()))
    assert means.idxmax() in best.read_text()
    clips = {a["aria-label"].split(":")[0]: a for a, _ in Page(best).all("div") if "data-frames" in a}
    assert list(clips) == ["blurry input", "true frames", "oracle-reversed", "copy-blur"]
    assert [a["data-frames"] for a in clips.values()] == ["1", "7", "7", "7"]
    assert "turned" in best.read_text() and f"{scores[0][means.idxmax()]:.2f} dB" in best.read_text()
    truth, backwards = (read_rgb((best.parent / clips[name]["data-pictures"]).resolve()) for name in ("true frames", "oracle-reversed"))
    assert (truth == backwards).all()
    error = read_rgb((best.parent / clips["oracle-reversed"]["data-error"]).resolve())
    assert np.ptp(error.reshape(-1, 3), axis=0).max() <= 4
    assert best.stat().st_size < 300_000
    for page in pages:
        for attributes, _ in Page(page).all("div"):
            for name, target in attributes.items():
                if name.startswith("data-") and target and target.startswith("../"):
                    assert (page.parent / target).is_file()


def test_chosen_samples_and_incremental_builds(real, tmp_path):
    site = tmp_path / "site"
    data = open_dataset(real / "data")
    chosen = data.ids("test")[1]
    first = build(real, site, samples=[chosen])
    assert any("by hand" in page.read_text() for page in (site / "samples").rglob("*.html") if chosen in page.read_text())
    again = build(real, site, samples=[chosen])
    assert (again.counts.written, again.counts.removed) == (0, 0) and first.counts.written > 20
    third = build(real, site)
    assert third.counts.removed <= 10 and not any("by hand" in page.read_text() for page in (site / "samples").rglob("*.html"))
    with pytest.raises(UnknownNameError, match="unknown video 'v' in"):
        build(real, site, samples=["v/00009"])


def test_plain_pictures_of_others(real, tmp_path):
    data = open_dataset(real / "data")
    for sample in data.samples("test"):
        (tmp_path / "mine2026" / sample.id).mkdir(parents=True)
        for i, frame in enumerate(sample.sharp):
            write_rgb(tmp_path / "mine2026" / sample.id / f"{i}.png", 255 - frame)
    found, _ = collect(real / "runs")
    build_site(
        boards(found),
        tmp_path / "site",
        runs=real / "runs",
        dataset=real / "data",
        predictions=[tmp_path / "mine2026"],
        samples=[data.ids("test")[0]],
    )
    (page,) = (tmp_path / "site/samples").rglob("*.html")
    clips = {a["aria-label"].split(":")[0]: a for a, _ in Page(page).all("div") if "data-frames" in a}
    shown, true = (read_rgb((page.parent / clips[name]["data-pictures"]).resolve()).astype(int) for name in ("mine2026", "true frames"))
    assert np.abs(shown - (255 - true)).mean() < 4


def test_predictions_of_other_data_are_refused(real, tmp_path):
    path = tmp_path / "p/copy-blur/predictions.json"
    path.parent.mkdir(parents=True)
    header = json.loads((real / "p/copy-blur/predictions.json").read_text())
    path.write_text(json.dumps({**header, "fingerprint": "0" * 64}))
    found, _ = collect(real / "runs")
    with pytest.raises(PredictionError, match="with fingerprint 000000000000"):
        build_site(boards(found), tmp_path / "site", runs=real / "runs", dataset=real / "data", predictions=[path.parent])


def test_missing_predictions_are_said_and_the_rest_is_shown(real, tmp_path):
    folder = tmp_path / "copy-blur"
    folder.mkdir()
    (folder / "predictions.json").write_bytes((real / "p/copy-blur/predictions.json").read_bytes())
    said = []
    found, _ = collect(real / "runs")
    folders = [folder, real / "p/oracle-reversed"]
    build_site(boards(found), tmp_path / "site", runs=real / "runs", dataset=real / "data", predictions=folders, tell=said.append)
    assert any("predictions of that video are missing" in line for line in said)
    names = {
        a["aria-label"].split(":")[0]
        for page in (tmp_path / "site/samples").rglob("*.html")
        for a, _ in Page(page).all("div")
        if "data-frames" in a
    }
    assert names == {"blurry input", "true frames", "oracle-reversed"}


def test_view(real, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    id = open_dataset(real / "data").ids("test")[0]
    runs = [word for name in ("copy-blur", "oracle-reversed") for word in ("--predictions", str(real / "p" / name))]
    done = CliRunner().invoke(blurbench, ["view", str(real / "data"), id, *runs, "--format", "mp4", "--out", "seen"])
    assert done.exit_code == 0, done.output
    manifest = open_dataset(real / "data").manifest
    stem = f"genblur-rendered-test-{manifest.fingerprint('test')[:8]}__{id.replace('/', '-')}"
    sheet = read_rgb(tmp_path / f"seen/{stem}-sheet.png")
    assert sheet.shape[1] > 4 * 320 and sheet.shape[0] > 3 * 200  # truth and two methods, each a row of four pictures
    sample = open_dataset(real / "data").sample(id)
    clip = sample.sharp[::-1]
    assert np.array_equal(sample_sheet(sample, {"x": clip}), sample_sheet(sample, {"x": clip}, {"y": "of none"}))
    assert np.array_equal(sample_sheet(sample, {"x: 9 dB": clip}), sample_sheet(sample, {"x": clip}, {"x": "9 dB"}))
    error = sample.sharp.astype(float) - sample.blurry
    value = -10 * np.log10((error**2).mean() / 255**2)
    name, frames, note = _clip(Predictions(real / "p" / "copy-blur"), sample)
    assert (name, note) == ("copy-blur", f"PSNR of all frames {value:.2f} dB") and np.array_equal(frames[6], sample.blurry)
    name, frames, note = _clip(Predictions(real / "p" / "oracle-reversed"), sample)
    assert (name, note) == ("oracle-reversed, reversed", "the truth itself") and np.array_equal(frames, sample.sharp)
    with av.open(str(tmp_path / f"seen/{stem}.mp4")) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(frames) == 7
    assert np.abs(frames[0].astype(int) - frames[-1]).max() > 20  # it moves


def foreign(real, folder):
    """Predictions of the very same size, which say that they are of another data set."""
    shutil.copytree(real / "p/copy-blur", folder)
    header = json.loads((folder / "predictions.json").read_text())
    (folder / "predictions.json").write_text(json.dumps({**header, "dataset": "gopro7"}))
    return folder


def test_view_refuses_predictions_of_other_data(real, tmp_path):
    id = open_dataset(real / "data").ids("test")[0]
    with pytest.raises(PredictionError, match=r"p holds predictions of gopro7, split test; asked for genblur-rendered, split test$"):
        view(real / "data", id, [foreign(real, tmp_path / "p")], tmp_path / "seen")
    assert not (tmp_path / "seen").exists()


def test_a_draw_that_is_not_stored(real):
    data = open_dataset(real / "data")
    held = stored(real / "p/copy-blur", data)
    told = r"copy-blur holds 1 draw\(s\) of \S+, the board scored draw 5; predict again with --samples 5"
    with pytest.raises(PredictionError, match=told):
        held.frames(next(data.samples("test")), 4, False)


def test_a_mistake_is_told_before_anything_is_printed_or_written(real, tmp_path):
    given = ["--runs", real / "runs", "--out", tmp_path / "site", "--predictions"]
    (empty := tmp_path / "empty").mkdir()
    data = ["--dataset", real / "data"]
    for words, told in (
        ([real / "p/copy-blur"], "predictions were given without their data set; add --dataset"),
        ([real / "p/copy-blur", *data, "--sample", "foo/0"], "unknown video 'foo'"),
        ([foreign(real, tmp_path / "p"), *data], "holds predictions of gopro7"),
        ([empty, *data], f"{empty} holds no predictions, expected those of `blurbench predict`"),
    ):
        done = CliRunner().invoke(blurbench, ["leaderboard", "build", *map(str, [*given, *words])])
        assert told in str(done.exception) and not done.output and not (tmp_path / "site").exists()


def test_sample_pages_that_go_are_told(real, tmp_path):
    build(real, tmp_path)
    count, said = len(list((tmp_path / "samples").rglob("*.html"))), []
    build(real, tmp_path, tell=said.append)
    assert count and said == []
    found, _ = collect(real / "runs")
    build_site(boards(found), tmp_path, runs=real / "runs", tell=said.append)
    mend = "give --dataset, --predictions and --sample as then to keep them"
    assert said == [f"removed {count} sample pages of the build before; {mend}"]
    assert not list((tmp_path / "samples").rglob("*.html"))


def test_view_mistakes(real, tmp_path):
    done = CliRunner().invoke(blurbench, ["view", str(real / "data"), "nobody/00000"])
    assert isinstance(done.exception, UnknownNameError) and "unknown video 'nobody' in" in str(done.exception)
    id = open_dataset(real / "data").ids("test")[0]
    done = CliRunner().invoke(blurbench, ["view", str(real / "data"), id.replace("00000", "77777")])
    assert f"expected {id} to {id[:-1]}" in str(done.exception)
    done = CliRunner().invoke(blurbench, ["view", str(real / "data"), id, "--format", "avi", "--out", str(tmp_path)])
    assert "format is 'avi', expected one of webp, mp4, gif" in str(done.exception)
