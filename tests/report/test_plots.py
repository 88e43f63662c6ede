"""Figures: their numbers by hand and by brute force, that they can be read, and that the command draws them."""

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.text import Text
from scipy.stats import pearsonr

from blurbench.cli import blurbench
from blurbench.errors import BlurbenchError, PredictionError, RecordError, UnknownNameError
from blurbench.metrics import protocol as protocols
from blurbench.metrics.best_of import expected_best
from blurbench.metrics.score import score
from blurbench.metrics.statistics import Interval
from blurbench.report import plots, plots_data, plots_files, plots_style
from blurbench.report.board import boards, collect
from blurbench.report.plots_data import Difference, Line, Point
from blurbench.run.compare import compare
from blurbench.run.evaluate import evaluate
from blurbench.run.predictions import Predictions, Writer
from blurbench.run.record import Value
from blurbench.run.runner import predict_dataset
from blurbench.store.reader import open_dataset
from blurbench.synth.pipeline import make_dataset
from blurbench.types import Prediction
from tests.report.records import WEIGHTS, made, written

PSNR = next(column for column in protocols.load("blurbench-1").columns if column.name == "psnr-pooled")
SSIM = next(column for column in protocols.load("blurbench-1").columns if column.name == "ssim-centre")
EPE = next(column for column in protocols.load("blurbench-motion").columns if column.name == "epe-adjacent")


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A folder with data, records under two protocols, and predictions of five noisy draws."""
    folder = tmp_path_factory.mktemp("plots")
    make_dataset("genblur", out=folder / "data", clips={"train": 0, "test": 3}, size=(64, 96))
    for method in ("copy-blur", "oracle-centre"):
        evaluate(method, folder / "data", out=folder / "runs", protocol=["blurbench-1", "blurbench-motion"], predictions=folder / method)
    header = replace(Predictions(folder / "copy-blur").header, method="noisy", draws=5)
    writer, rng = Writer(folder / "noisy", header), np.random.default_rng(0)
    samples = list(open_dataset(folder / "data").samples("test"))
    for video in sorted({sample.video for sample in samples}):
        with writer.video(video) as put:
            for sample in [sample for sample in samples if sample.video == video]:
                noise = rng.normal(0, 1, (5, *sample.sharp.shape)) * np.arange(1, 6).reshape(5, 1, 1, 1, 1) * 0.02
                put(Prediction(sample.id, np.clip(sample.sharp / 255 + noise, 0, 1).astype(np.float32), 0.1, "cpu"))
    return folder


def board(*rows):
    (one,) = boards(rows)
    return one


@given(st.lists(st.tuples(st.floats(0.001, 1000), st.floats(10, 40)), min_size=1, max_size=12))
def test_pareto_front_by_brute_force(pairs):
    """On the front is what nothing else is at least as cheap and at least as good as, in one of the two better."""
    rows = [made(f"m{i}", "blurbench-1", quality, seconds=cost) for i, (cost, quality) in enumerate(pairs)]
    points = plots_data.tradeoff(board(*rows), lambda row: row.seconds, PSNR)
    for point in points:
        beaten = any(
            other.cost <= point.cost and other.mean >= point.mean and (other.cost, other.mean) != (point.cost, point.mean)
            for other in points
        )
        assert not (point.front and beaten)
        if not point.front:
            assert any(other.cost <= point.cost and other.mean >= point.mean and other is not point for other in points)


def test_lower_is_better_turns_the_front():
    values = {"epe-adjacent": Value(2.0)}
    rows = [
        made("cheap", "blurbench-motion", values=values, seconds=1.0),
        made("good", "blurbench-motion", values={"epe-adjacent": Value(1.0)}, seconds=2.0),
        made("bad", "blurbench-motion", values={"epe-adjacent": Value(3.0)}, seconds=3.0),
        made("copy-blur", "blurbench-motion", values={"epe-adjacent": Value(0.5)}, seconds=0.5),
        made("untimed", "blurbench-motion", values={"epe-adjacent": Value(0.1)}, seconds=None),
    ]
    points = plots_data.tradeoff(board(*rows), lambda row: row.seconds, EPE)
    assert [(point.label, point.front) for point in points] == [("cheap", True), ("good", True), ("bad", False)]


def test_methods_twice_on_a_board_are_told_apart():
    rows = [made("mine", "blurbench-1", 30.0), made("mine", "blurbench-1", 31.0, weights={**WEIGHTS, "sha256": "ff" * 32})]
    labels = [point.label for point in plots_data.tradeoff(board(*rows), lambda row: row.seconds, PSNR)]
    assert sorted(labels) == ["mine 012345", "mine ffffff"]


def test_ladder_of_directions():
    rules = protocols.load("blurbench-motion")
    assert [column.name for column in plots_data.ladder(rules)] == ["psnr-forward", "psnr-clip", "psnr-patch", "psnr-pixel", "psnr-frame"]
    assert plots_data.ladder(protocols.load("nah2017")) == []
    values = {name: Value(20.0 + i) for i, name in enumerate(["psnr-forward", "psnr-clip", "psnr-patch", "psnr-pixel", "psnr-frame"])}
    lines = plots_data.ladders(board(made("mine", "blurbench-motion", values=values), made("oracle", "blurbench-motion", 100.0)))
    assert [(line.label, [value.mean for _, value in line.values]) for line in lines] == [("mine", [20, 21, 22, 23, 24])]  # no oracle


def test_differences_are_those_of_compare(tmp_path):
    for method, values in (("a", (30.0, 31.0, 35.0, 36.0)), ("b", (29.0, 31.5, 33.0, 33.0)), ("c", (20.0, 22.0, 25.0, 21.0))):
        written(tmp_path, method, "blurbench-motion", values)
    found, _ = collect(tmp_path)
    name, rows = plots_data.differences(board(*found), tmp_path, EPE)
    paths = {record.method: tmp_path / f"{record.name}.json" for record in found}
    assert name == "a" and [row.label for row in rows] == ["b", "c"]
    for row in rows:
        (expected,) = compare(paths["a"], paths[row.label], ["epe-adjacent"]).rows  # a minus the other, lower is better
        assert (row.mean, row.low, row.high) == pytest.approx((expected.difference, expected.low, expected.high))
        assert row.mean > 0
    with pytest.raises(RecordError, match="reference is 'nobody', expected a method on the board: a, b, c"):
        plots_data.differences(board(*found), tmp_path, EPE, "nobody")


def test_blur_size_counts_every_sample_once(real):
    """Weighted by the samples of the bins, the means of the bins are the mean of the run."""
    data = open_dataset(real / "data")
    sizes = plots_data.blur_sizes(data, "test")
    assert sorted(sizes) == sorted(data.ids("test")) and min(sizes.values()) > 0
    found, _ = collect(real / "runs")
    one = next(b for b in boards(found) if b.rules.id == "blurbench-1")
    (single,) = [line for line in plots_data.by_blur_size(one, real / "runs", sizes, PSNR, bins=1) if line.label == "copy-blur"]
    record = next(row.record for row in one.measured if row.method == "copy-blur")
    assert single.values[0][1].mean == pytest.approx(record.values["psnr-pooled"].mean)
    assert single.values[0][0] == pytest.approx((min(sizes.values()) + max(sizes.values())) / 2)


def test_best_of_is_the_mean_of_expected_best(real):
    data, rules = open_dataset(real / "data"), protocols.load("blurbench-1")
    line = plots_data.best_of(real / "noisy", data, rules, PSNR)
    alone = replace(rules, columns=(PSNR,))
    draws = []
    for sample in data.samples("test"):
        stored = Predictions(real / "noisy").get(sample)
        draws.append([score(alone, replace(stored, frames=stored.frames[k : k + 1]), sample).values["psnr-pooled"] for k in range(5)])
    for k, value in line.values:
        assert value.mean == pytest.approx(np.mean([expected_best(each, int(k), "higher") for each in draws]))
    assert line.label == "noisy" and [k for k, _ in line.values] == [1, 2, 3, 4, 5]
    with pytest.raises(PredictionError, match="holds no predictions with several draws"):
        plots_data.best_of(real / "copy-blur", data, rules, PSNR)


def test_residuals_by_hand(real):
    """Figure 9 of Noroozi et al.: the exact motion from the first to the last target, and SciPy's correlation."""
    data = open_dataset(real / "data")
    found = plots_data.residuals(real / "oracle-centre", data)
    expected = []
    for sample in data.samples("test"):
        steps = sample.extras["flow_first_last"].astype(np.float64) / (sample.times[-1] - sample.times[0])
        added = np.abs(sample.sharp[3].astype(np.float64) - sample.blurry)
        expected.append((np.hypot(steps[..., 0], steps[..., 1]).mean(), added.mean()))
    np.testing.assert_allclose(found.points, expected, rtol=1e-3)
    assert found.label == "oracle-centre" and found.correlation.mean == pytest.approx(pearsonr(*np.transpose(expected))[0], rel=1e-3)
    stored, samples = Predictions(real / "noisy"), list(data.samples("test"))
    added = [np.abs(255 * stored.get(sample).frames[0, 3].astype(np.float64) - sample.blurry).mean() for sample in samples]
    assert [residual for _, residual in plots_data.residuals(real / "noisy", data).points] == pytest.approx(added)
    predict_dataset("oracle-centre", real / "data", real / "codes", store="uint8")
    np.testing.assert_allclose(plots_data.residuals(real / "codes", data).points, found.points, rtol=1e-6)
    with pytest.raises(PredictionError, match=r"^all 12 residuals are 0, nothing correlates with a constant"):
        plots_data.residuals(real / "copy-blur", data)


@given(st.lists(st.floats(-1000, 1000), min_size=1, max_size=20).map(sorted), st.floats(0.5, 50))
def test_labels_are_spread(places, gap):
    moved = plots_style.spread(places, gap)
    assert len(moved) == len(places)
    assert all(b - a >= gap * (1 - 1e-9) - 1e-9 for a, b in pairwise(moved))
    assert np.mean(moved) == pytest.approx(np.mean(places), abs=1e-6)
    far = [100.0 * gap * i for i in range(len(places))]
    assert plots_style.spread(far, gap) == pytest.approx(far)


def lines(count):
    return [
        Line(f"method-{i}", [(float(x), Interval(25 + i / 4 + x, 24 + i / 4 + x, 26 + i / 4 + x)) for x in range(5)]) for i in range(count)
    ]


def figures():
    """Each kind, with as many methods as one has to read."""
    rng = np.random.default_rng(1)
    points = [
        Point(f"method-{i}", float(c), float(q), float(q) - 1, float(q) + 1, False)
        for i, (c, q) in enumerate(zip(10 ** rng.uniform(-2, 1, 14), rng.uniform(25, 32, 14), strict=True))
    ]
    points = [replace(point, front=all(o.cost >= point.cost or o.mean < point.mean for o in points)) for point in points]
    found = [Difference(f"method-{i}", 1.0 - i, 0.5 - i, 1.5 - i, "worse" if i > 1 else "better") for i in range(6)]
    return {
        "tradeoff": lambda: plots.tradeoff(points, PSNR, "seconds a sample", "title", [("copy-blur", 27.0), ("oracle", 100.0)]),
        "ladder": lambda: plots.ladder(lines(7), plots_data.ladder(protocols.load("blurbench-motion")), "title"),
        "blur-size": lambda: plots.blur_size(lines(8), PSNR, "title"),
        "best-of": lambda: plots.best_of(lines(3), PSNR, "title"),
        "residual": lambda: plots.residual([plots_data.Scatter("a", [(1, 2), (3, 4)], Interval(1, None, None))], "title"),
        "forest": lambda: plots.forest(found, "method-9", PSNR, "title $5 of <b>"),
    }


@pytest.mark.parametrize("kind", figures())
def test_text_can_be_read(kind, monkeypatch):
    """Nothing is below 8 points, no label covers another, axes say unit and which way is better, and the bytes repeat."""
    drawn = []
    keep = plots_style.files
    monkeypatch.setattr(plots, "files", lambda figure, alt: drawn.append(figure) or keep(figure, alt))
    made_once = figures()[kind]()
    assert made_once == figures()[kind]()
    figure = drawn[0]
    figure.draw_without_rendering()
    axes = figure.axes[0]
    texts = [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]
    assert min(text.get_fontsize() for text in texts) >= 8
    labels = [text for text in axes.texts if text.get_text().strip()]
    boxes = [text.get_window_extent() for text in labels]
    for i, box in enumerate(boxes):
        for j in range(i):
            width = min(box.x1, boxes[j].x1) - max(box.x0, boxes[j].x0)
            height = min(box.y1, boxes[j].y1) - max(box.y0, boxes[j].y0)
            assert width <= 1 or height <= 3, (labels[i].get_text(), labels[j].get_text())
        assert box.x1 <= figure.bbox.x1 + 1 and box.x0 >= -1
    said = f"{axes.get_xlabel()} {axes.get_ylabel()}"
    words = ("pixels", "levels") if kind == "residual" else ("dB", "better")
    assert all(word in said for word in words)
    assert made_once.png.startswith(b"\x89PNG") and b"<svg" in made_once.svg and len(made_once.alt) > 40


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are drawn."""
    found, keep = [], plots_style.files
    monkeypatch.setattr(plots, "files", lambda figure, alt: found.append(figure) or keep(figure, alt))
    return found


def test_leader_lines_reach_the_edge_of_their_label_and_cross_nothing(drawn):
    """Fourteen lines that end within half a decibel."""
    ends = [Line(f"a-long-name-{i}", [(1.0, Interval(30, 29, 31)), (2.0, Interval(25 + i / 30, 24, 26))]) for i in range(14)]
    plots.blur_size(ends, PSNR, "title")
    drawn[0].draw_without_rendering()
    labels = [text for text in drawn[0].axes[0].texts if text.get_text().startswith("a-long")]
    paths = [text.arrow_patch.get_transform().transform(text.arrow_patch.get_path().vertices) for text in labels if text.arrow_patch]
    assert len(paths) > 6
    assert max(path[:, 0].max() for path in paths) <= min(Text.get_window_extent(text).x0 for text in labels) + 1
    ordered = sorted((tuple(sorted(path.tolist())) for path in paths), key=lambda ends: ends[-1][1])
    assert all(one[0][1] <= other[0][1] + 0.5 for one, other in pairwise(ordered))


def test_the_front_runs_through_no_label(drawn):
    points = [Point(f"a-long-name-{i}", 10.0**i, 25.0 + 2 * i, None, None, True) for i in range(4)]
    plots.tradeoff(points, PSNR, "seconds a sample", "title")
    drawn[0].draw_without_rendering()
    axes = drawn[0].axes[0]
    boxes = [text.get_window_extent() for text in axes.texts if text.get_text().startswith("a-long")]
    stairs = [line.get_window_extent() for line in axes.lines if len(line.get_xdata()) == 2]
    assert len(boxes) == 4 and len(stairs) == 6 and not any(box.overlaps(step) for box in boxes for step in stairs)


@pytest.mark.parametrize(("column", "expected"), [(PSNR, ["+1.23", "-0.04", "-20.00"]), (SSIM, ["+1.2340", "-0.0400", "-20.0000"])])
def test_numbers_of_a_forest_have_as_many_digits(drawn, column, expected):
    plots.forest([Difference("m", mean, None, None, "better") for mean in (1.234, -0.04, -20.0)], "reference", column, "title")
    texts = [text.get_text() for text in drawn[0].axes[0].texts if text.get_text().endswith("better")]
    assert [text.split()[0] for text in reversed(texts)] == expected


@pytest.mark.parametrize(("column", "left_out"), [(PSNR, range(1, 7)), (EPE, range(14, 20))])
def test_of_many_methods_the_best_have_labels(column, left_out, monkeypatch):
    """Twenty methods, method-i with the value i: the best is the cheapest and alone on the front, the worst six have no label."""
    drawn = []
    keep = plots_style.files
    monkeypatch.setattr(plots, "files", lambda figure, alt: drawn.append(figure) or keep(figure, alt))
    best = 20 if column is PSNR else 0
    points = [
        Point(f"method-{i}", 1.0 if i == best else 2.0 + i, float(i), None, None, i == best) for i in (range(1, 21) if best else range(20))
    ]
    plots.tradeoff(points, column, "seconds a sample", "title")
    labels = {text.get_text() for text in drawn[0].axes[0].texts}
    assert {f"method-{i}" for i in left_out}.isdisjoint(labels) and len({label for label in labels if label.startswith("method-")}) == 14
    assert "6 more methods without a label" in labels


def test_an_axis_without_a_power_of_ten_has_numbers(monkeypatch):
    """Between 2 and 3 million parameters."""
    drawn = []
    keep = plots_style.files
    monkeypatch.setattr(plots, "files", lambda figure, alt: drawn.append(figure) or keep(figure, alt))
    plots.tradeoff([Point("a", 1.9e6, 25.0, None, None, True), Point("b", 3.05e6, 24.0, None, None, False)], PSNR, "parameters", "title")
    axis = drawn[0].axes[0].xaxis
    shown = {tick.get_loc(): tick.label1.get_text() for tick in axis.get_minor_ticks()}
    assert {place for place, text in shown.items() if text} >= {2e6, 3e6} and r"2\times10^{6}" in shown[2e6].replace(" ", "")


def test_colours_are_told_apart_by_the_colour_blind():
    """Okabe and Ito's colours stay apart when red and green receptors are lost (Viénot et al. 1999), in the linear light of the screen."""
    rgb = np.array([[int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)] for colour in plots_style.COLOURS])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    protan = np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]])
    deutan = np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]])
    for matrix in (protan, deutan):
        seen = np.clip(linear @ matrix.T, 0, 1) ** (1 / 2.2)
        apart = np.linalg.norm(seen[:, None] - seen[None], axis=-1)
        assert apart[~np.eye(len(seen), dtype=bool)].min() > 0.08


@pytest.mark.parametrize(
    ("kind", "extra", "count"),
    [("seconds", [], 0), ("ladder", [], 1), ("forest", ["--reference", "copy-blur"], 2), ("blur-size", ["--protocol", "blurbench-1"], 1)],
)
def test_command(real, tmp_path, monkeypatch, kind, extra, count):
    monkeypatch.chdir(tmp_path)
    data = ["--dataset", str(real / "data")] if kind == "blur-size" else []
    done = CliRunner().invoke(blurbench, ["plot", kind, "--runs", str(real / "runs"), *data, *extra])
    if not count:  # trivial methods alone have no front
        assert isinstance(done.exception, RecordError) and "none of 2 boards" in str(done.exception)
        return
    assert done.exit_code == 0, done.output
    files = sorted((tmp_path / "plots").iterdir())
    assert len(files) == 2 * count and {path.suffix for path in files} == {".png", ".svg"}
    assert all(re.search(rf"-{kind}\.(png|svg)$", path.name) for path in files)


@pytest.mark.parametrize("kind", ["best-of", "residual"])
def test_command_draws_predictions(real, tmp_path, kind):
    arguments = ["--runs", real / "runs", "--protocol", "blurbench-1", "--dataset", real / "data", "--predictions", real / "noisy"]
    done = CliRunner().invoke(blurbench, ["plot", kind, *map(str, arguments), "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".png", ".svg"]


def test_predictions_without_a_correlation_are_left_out_and_named(real, tmp_path):
    """A copy of the blur adds nothing to it."""
    arguments = ["--runs", real / "runs", "--protocol", "blurbench-1", "--dataset", real / "data", "--out", tmp_path]
    both = [word for name in ("copy-blur", "oracle-centre") for word in ("--predictions", real / name)]
    done = CliRunner().invoke(blurbench, ["plot", "residual", *map(str, [*arguments, *both])])
    assert done.exit_code == 0 and len(list(tmp_path.iterdir())) == 2, done.output
    told = (
        f"left out of the figure: {real / 'copy-blur'}: all 12 residuals are 0, nothing correlates with a constant; expected different ones"
    )
    assert told in " ".join(done.output.split())
    done = CliRunner().invoke(blurbench, ["plot", "residual", *map(str, [*arguments, *both[:2]])])
    assert "all 12 residuals are 0" in str(done.exception)


def test_best_of_draws_only_predictions_of_the_split_of_the_board(tmp_path):
    data, runs = tmp_path / "data", tmp_path / "runs"
    make_dataset("genblur", out=data, clips={"train": 1, "test": 1}, size=(64, 96))
    for split in ("train", "test"):
        evaluate("copy-blur", data, split=split, out=runs, predictions=tmp_path / split)
    header = replace(Predictions(tmp_path / "test").header, draws=2)
    writer = Writer(tmp_path / "noisy", header)
    (video,) = {sample.video for sample in open_dataset(data).samples("test")}
    with writer.video(video) as put:
        for sample in open_dataset(data).samples("test"):
            put(Prediction(sample.id, np.stack([sample.sharp / np.float32(255)] * 2), 0.1, "cpu"))
    found, _ = collect(runs)
    inputs = plots_files.Inputs(runs, None, open_dataset(data), (tmp_path / "noisy",))
    drawn = {one.split: plots_files.draw("best-of", one, PSNR, inputs) for one in boards(found)}
    assert drawn["test"] is not None and drawn["train"] is None


@pytest.mark.parametrize(
    ("arguments", "kind", "says"),
    [
        (["sekonds"], UnknownNameError, "did you mean 'seconds'"),
        (["blur-size"], BlurbenchError, "add --dataset"),
        (["best-of", "--dataset", "d"], BlurbenchError, "needs; add --predictions"),
        (
            ["best-of"],
            BlurbenchError,
            "add --dataset, the made data set of the runs and --predictions, folders",
        ),
        (["seconds"], RecordError, "no run records in runs/"),
        (["ladder", "--protocol", "nobody"], RecordError, "no run records of protocol nobody in runs/"),
    ],
)
def test_mistakes(tmp_path, monkeypatch, arguments, kind, says):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(blurbench, ["plot", *arguments])
    assert isinstance(done.exception, kind) and says in str(done.exception) and "\n" not in str(done.exception)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["forest", "--column", "psrn"], "unknown column 'psrn' in the protocols of these boards; did you mean 'psnr'?"),
        (["forest", "--reference", "copy-blurr"], "unknown reference 'copy-blurr' in these boards; did you mean 'copy-blur'?"),
        (
            ["best-of", "--dataset", "data", "--predictions", "copy-blur"],
            "copy-blur holds no predictions with several draws; `blurbench predict --dataset D --samples N` makes them",
        ),
    ],
)
def test_what_is_wrong_for_every_board_is_told_once(real, monkeypatch, arguments, says):
    monkeypatch.chdir(real)
    done = CliRunner().invoke(blurbench, ["plot", *arguments])
    assert says in str(done.exception) and not done.output


def test_why_a_board_has_no_figure(real, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    evaluate("nah2017", real / "data", out="runs")
    make_dataset("genblur", out="other", clips={"train": 0, "test": 1}, size=(64, 96), seed=5)
    for arguments, told in (
        (["seconds"], "no method that is not trivial has psnr-pooled; give a --column that one has: psnr-centre, ssim-centre"),
        (["blur-size", "--dataset", "other"], "it is not of other; give its data set"),
    ):
        done = CliRunner().invoke(blurbench, ["plot", *arguments])
        assert f": no numbers for a figure of {arguments[0]}: {told}" in " ".join(done.output.split()), done.output
    done = CliRunner().invoke(blurbench, ["plot", "seconds", "--column", "psnr-centre"])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("draw", [plots.blur_size, plots.best_of])
def test_intervals_that_go_on_have_arrow_heads(draw, monkeypatch):
    """Means from 25 to 26, so that 24 to 27 are shown: an interval goes on below, another above."""
    drawn = []
    keep = plots_style.files
    monkeypatch.setattr(plots, "files", lambda figure, alt: drawn.append(figure) or keep(figure, alt))
    values = [(1.0, Interval(25.0, 20.0, 26.5)), (2.0, Interval(26.0, 24.5, 30.0)), (3.0, Interval(25.5, 25.0, 26.0))]
    draw([Line("m", values)], PSNR, "title")
    axes = drawn[0].axes[0]
    heads = {line.get_marker(): line.get_xydata().tolist() for line in axes.lines if line.get_marker() in ("^", "v")}
    assert axes.get_ylim() == (24, 27) and heads == {"v": [[1.0, 24.0]], "^": [[2.0, 27.0]]}
    assert axes.get_xlabel().endswith("▲ ▼ interval goes on")
    draw([Line("m", [*values[2:], (4.0, Interval(26.5, 26.0, 27.0))])], PSNR, "title")
    assert "▲" not in drawn[1].axes[0].get_xlabel()


def test_the_axes_say_that_the_best_of_draws_is_expected(monkeypatch):
    drawn = []
    keep = plots_style.files
    monkeypatch.setattr(plots, "files", lambda figure, alt: drawn.append(figure) or keep(figure, alt))
    plots.best_of(lines(1), PSNR, "title")
    assert drawn[0].axes[0].get_ylabel() == "psnr-pooled of the best of N, dB; higher is better (up)"
    assert "expected over all choices of N" in drawn[0].axes[0].get_xlabel()


def test_an_unknown_protocol_names_those_there(real):
    with pytest.raises(
        UnknownNameError, match=r"unknown protocol 'foo' in the run records of .*runs; known: blurbench-1, blurbench-motion$"
    ):
        plots_files.plot("seconds", real / "runs", real / "none", protocol="foo")


def test_an_unknown_column_is_named(real):
    found, _ = collect(real / "runs")
    with pytest.raises(UnknownNameError, match="unknown column 'psrn' in protocol blurbench-1; did you mean 'psnr'"):
        plots_data.column_of(next(b for b in boards(found) if b.rules.id == "blurbench-1"), "psrn")
