"""`blurbench compare`: real runs of real methods, and records with scores of known difference; what cannot be compared is refused."""

import csv
import io
import json
import math

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from blurbench.cli import blurbench
from blurbench.errors import BlurbenchError, PredictionError, RecordError, UnknownNameError
from blurbench.metrics import protocol as protocols
from blurbench.metrics.statistics import interval
from blurbench.run.compare import compare
from blurbench.run.record import Value
from blurbench.store.reader import open_dataset
from tests.cli.runs import IDS, VIDEOS, hard
from tests.conftest import command


@pytest.fixture
def pair(run, tmp_path):
    """A is better in PSNR by some 0.5 dB, worse in the ordering error by 2 levels, and equal but for noise in SSIM."""
    rng = np.random.default_rng(1)
    psnr = hard()
    noise = [rng.normal(0, 0.1, len(IDS)) for _ in range(3)]
    a = {"psnr": psnr + 0.5 + noise[0], "ssim": 0.9 + noise[1], "ordering": np.full(len(IDS), 7.0), "psnr-centre": psnr}
    b = {"psnr": psnr, "ssim": np.full(len(IDS), 0.9), "ordering": 5 + noise[2], "psnr-centre": np.full(len(IDS), math.nan)}
    return run(tmp_path / "a", "first", a), run(tmp_path / "b", "second", b)


def invoke(*arguments):
    return CliRunner().invoke(blurbench, ["compare", *map(str, arguments)])


def test_numbers_and_words(pair):
    found = compare(*pair)
    rows = {row.column: row for row in found.rows}
    assert list(rows) == ["psnr", "ssim", "ordering"]  # in the protocol's order
    psnr = rows["psnr"]
    tables = [
        pd.read_parquet(path.parent / f"{name}.parquet").set_index("sample").loc[IDS]
        for path, name in zip(pair, ("first", "second"), strict=True)
    ]
    assert (psnr.a, psnr.b) == pytest.approx([table["psnr"].mean() for table in tables])
    expected = interval((tables[0]["psnr"] - tables[1]["psnr"]).tolist(), VIDEOS)
    assert (psnr.difference, psnr.low, psnr.high) == pytest.approx(tuple(expected))
    assert 0.3 < psnr.low < 0.5 < psnr.high < 0.7
    assert psnr.p == 2 / 2**10
    assert (psnr.samples, psnr.videos, psnr.missing) == (len(IDS), 10, 0)
    assert [rows[name].verdict for name in rows] == ["A is better", "no significant difference", "B is better"]
    assert "B has no value for 29 samples" in found.left_out["psnr-centre"]


def test_sides(pair):
    there, back = compare(*pair), compare(*reversed(pair))
    for one, other in zip(there.rows, back.rows, strict=True):
        assert (one.a, one.b, one.p) == (other.b, other.a, other.p)
        assert one.difference == pytest.approx(-other.difference)
        assert {one.verdict, other.verdict} in ({"A is better", "B is better"}, {"no significant difference"})
    for row in compare(pair[0], pair[0]).rows:
        assert (row.difference, row.low, row.high, row.p, row.verdict) == (0, 0, 0, 1, "no significant difference")


def test_table(pair):
    done = invoke(*pair, "--columns", "ordering", "--columns", "psnr")
    assert done.exit_code == 0, done.output
    lines = [line.split() for line in done.stdout.splitlines() if line.lstrip().startswith(("ordering", "psnr"))]
    assert [line[0] for line in lines] == ["ordering", "psnr"]
    assert lines[0][-3:] == ["B", "is", "better"] and "0.0020" in lines[0]
    assert "A: first__genblur-rendered-test-ffffffff__blurbench-1-v1" in done.stderr
    assert "note: p values are of each column alone, not corrected for 2 columns" in done.stderr


def test_identical_pixels_are_told_as_on_boards(run, tmp_path):
    """A mean at the cap of PSNR is no number of dB; one below it, and a cell of another unit, are."""
    same = {"psnr": np.full(len(IDS), 100.0), "ssim": np.ones(len(IDS))}
    other = {"psnr": hard(), "ssim": np.full(len(IDS), 0.9)}
    paths = run(tmp_path / "a", "first", other), run(tmp_path / "b", "second", same)
    note = "≥100: identical pixels, whose PSNR is infinite; it counts as 100 dB"
    assert compare(*paths).notes[-1] == note and note not in compare(*paths, ["ssim"]).notes
    done = invoke(*paths)
    psnr, ssim = (next(line.split() for line in done.stdout.splitlines() if line.lstrip().startswith(name)) for name in ("psnr", "ssim"))
    assert psnr[1:4] == [f"{hard().mean():.2f}", "≥100", f"{hard().mean() - 100:.2f}"] and ssim[1:4] == ["0.9000", "1.0000", "-0.1000"]
    assert f"note: {note}\n" in done.stderr


def test_csv_and_json(pair):
    found = compare(*pair, level=0.9)
    table = invoke(*pair, "--format", "csv", "--level", "0.9")
    rows = list(csv.DictReader(io.StringIO(table.stdout)))
    assert [row["column"] for row in rows] == ["psnr", "ssim", "ordering"]
    assert [float(rows[0][name]) for name in ("a", "b", "low", "high", "p")] == [
        getattr(found.rows[0], name) for name in ("a", "b", "low", "high", "p")
    ]
    whole = json.loads(invoke(*pair, "--format", "json", "--level", "0.9").stdout)
    assert whole["rows"][0]["high"] == found.rows[0].high
    assert (whole["a"]["method"], whole["b"]["method"], whole["level"]) == ("first", "second", 0.9)
    assert list(whole["left_out"]) == list(found.left_out)
    narrow, wide = (compare(*pair, ["psnr"], level).rows[0] for level in (0.8, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_macro_columns_are_compared_over_videos(run, tmp_path):
    """shen2020 averages over videos: a video of four samples counts no more than one of two."""
    longest = np.array([float(VIDEOS.count(video)) for video in VIDEOS])
    zero = np.zeros(len(IDS))
    name = protocols.load("shen2020").columns[0].name
    paths = [run(tmp_path / side, side, {name: scores}, "shen2020") for side, scores in (("a", longest), ("b", zero))]
    (row,) = compare(*paths).rows
    assert row.difference == pytest.approx(np.mean([VIDEOS.count(video) for video in sorted(set(VIDEOS))]))
    assert row.difference < longest.mean() - 0.1


def centre_only(run, folder):
    """A run of a method that gives one frame."""
    nothing = np.full(len(IDS), math.nan)
    empty = dict.fromkeys(("psnr", "ssim"), "the method gives the centre frame only")
    values = {"psnr-centre": Value(30.0), "psnr": Value(None), "ssim": Value(None)}
    return run(folder, "second", {"psnr-centre": hard(), "psnr": nothing, "ssim": nothing}, values=values, empty=empty)


def test_what_a_run_does_not_have_is_told_once_with_its_reason(run, tmp_path):
    whole = run(tmp_path / "a", "first", {name: hard() for name in ("psnr-centre", "psnr", "ssim")})
    done = invoke(whole, centre_only(run, tmp_path / "b"))
    assert done.exit_code == 0, done.output
    assert "left out: psnr, ssim: B has no values (the method gives the centre frame only)\n" in done.stderr


def test_missing_in_both_is_counted(run, tmp_path):
    scores = hard()
    scores[3] = math.nan
    paths = [run(tmp_path / side, side, {"psnr": scores + gain}) for side, gain in (("a", 1), ("b", 0))]
    (row,) = compare(*paths).rows
    assert (row.samples, row.missing, row.difference) == (len(IDS) - 1, 1, pytest.approx(1))


def test_few_videos_cannot_tell(run, tmp_path):
    """Five videos: whatever the difference, p is 0.0625 at best; that is said."""
    five = [f"v{int(video[1:]) // 2}" for video in VIDEOS]
    paths = [run(tmp_path / side, side, {"psnr": hard() + gain}, videos=five) for side, gain in (("a", 5), ("b", 0))]
    found = compare(*paths)
    assert (found.rows[0].p, found.rows[0].verdict) == (0.0625, "too few videos to tell")
    assert found.notes == ["with 5 videos no p is below 0.0625, whatever the difference"]
    assert compare(*paths, level=0.9).rows[0].verdict == "A is better"


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (
            {"fingerprint": "e" * 64},
            r"the data of A is genblur-rendered/test f{12}, of B genblur-rendered/test e{12}; evaluate both with the",
        ),
        ({"split": "train"}, "of B genblur-rendered/train"),
        (
            {"protocol_version": 7},
            r"the protocol of A is blurbench-1 version \d+, of B blurbench-1 version 7; evaluate both with one protocol",
        ),
        ({"protocol": "nah2017"}, "of B nah2017 version"),
        ({"rules": "0" * 64}, "the text of the protocol of A is"),
    ],
)
def test_other_data_and_protocols_are_refused(run, tmp_path, facts, words):
    a = run(tmp_path / "a", "first", {"psnr": hard()})
    b = run(tmp_path / "b", "second", {"psnr": hard()}, **facts)
    with pytest.raises(RecordError, match=words):
        compare(a, b)
    done = command("compare", a, b, cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and done.stderr.startswith("error: the ")


def test_other_text_of_a_protocol_is_refused(run, tmp_path):
    paths = [run(tmp_path / side, side, {"psnr": hard()}, rules="0" * 64) for side in "ab"]
    with pytest.raises(RecordError, match=r"under blurbench-1 version 1, here is another text of that version; evaluate again"):
        compare(*paths)


def test_other_samples_are_refused_by_name(tmp_path, pair):
    table = pair[1].parent / "second.parquet"
    scores = pd.read_parquet(table)
    scores[~scores["sample"].isin(["v03/0001", "v00/0000"])].to_parquet(table)
    with pytest.raises(RecordError, match=r"B has no scores of 2 samples \(v00/0000, v03/0001\); see `failed` in its record"):
        compare(*pair)
    with pytest.raises(RecordError, match="A has no scores of 2 samples"):
        compare(pair[1], pair[0])
    pd.concat([scores, scores[:1]]).to_parquet(table)
    with pytest.raises(RecordError, match=r"have sample v\d\d/\d{4} twice"):
        compare(*pair)
    scores.assign(video="other").to_parquet(table)
    with pytest.raises(RecordError, match=r"A and B name other videos for 29 samples \(v00/0000, v00/0001, v01/0000, …\)"):
        compare(*pair)


def test_mistakes_in_the_command(pair, tmp_path):
    with pytest.raises(UnknownNameError, match=r"unknown column 'psrn' in protocol blurbench-1; did you mean 'psnr'\?"):
        compare(*pair, ["psrn"])
    with pytest.raises(PredictionError, match=r"level is 1.5, expected a number between 0 and 1"):
        compare(*pair, level=1.5)
    with pytest.raises(RecordError, match="no column can be compared: psnr-centre: B has no value for 29 samples"):
        compare(*pair, ["psnr-centre"])
    assert isinstance(invoke(pair[0], tmp_path / "none.json").exception, BlurbenchError)
    assert invoke(*pair, "--level", "95").exit_code == 2
    (pair[0].parent / "first.parquet").unlink()
    with pytest.raises(RecordError, match="keep the two files together"):
        compare(*pair)


def test_notes(run, tmp_path):
    a = run(tmp_path / "a", "first", {"psnr": hard()}, failed={"v99/0000": "it broke"})
    b = run(tmp_path / "b", "second", {"psnr": hard()}, content="d" * 64)
    alike, failed = compare(a, b).notes
    assert "differ in values (cccccccccccc, dddddddddddd)" in alike
    assert failed == "1 of A's samples failed and have no scores, e.g. v99/0000"


def test_other_weights_of_a_metric_are_not_compared(run, tmp_path):
    """LPIPS of two networks is two metrics; the other columns are compared."""
    scores = {"psnr": hard(), "ssim": hard() / 50}
    paths = [run(tmp_path / side, side, scores, metrics={"ssim": {"weights": side * 8}}) for side in "ab"]
    found = compare(*paths)
    assert [row.column for row in found.rows] == ["psnr"]
    assert found.left_out["ssim"] == "A was scored with weights aaaaaaaa, B with weights bbbbbbbb; score both with the same"


def test_real_runs(real):
    """The means are those of the records; the sharp centre frame beats the blurry picture where it should."""
    folder, records = real
    done = invoke(*(folder / "runs" / f"{record.name}.json" for record in records), "--format", "csv")
    assert done.exit_code == 0, done.output
    rows = {row["column"]: row for row in csv.DictReader(io.StringIO(done.stdout))}
    assert list(rows) == list(records[0].values)
    for name, row in rows.items():
        assert (float(row["a"]), float(row["b"])) == pytest.approx([record.values[name].mean for record in records])
        assert int(row["samples"]) == open_dataset(folder / "data").count("test") and row["videos"] == "8"
    assert rows["psnr-centre"]["verdict"] == "A is better" and float(rows["psnr-centre"]["p"]) == 2 / 2**8
    assert rows["reblur-psnr"]["verdict"] == "B is better"


@pytest.mark.parametrize(("name", "what"), [("nope.json", "is not there"), ("a", "is a folder")])
def test_a_path_without_a_record(pair, name, what):
    path = pair[0].parent.with_name(name)
    with pytest.raises(RecordError, match=rf"{name} {what}, expected the JSON file of a run record; `blurbench evaluate` writes them$"):
        compare(pair[0], path)
