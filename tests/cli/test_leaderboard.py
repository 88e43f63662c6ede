"""`blurbench leaderboard` as a user types it: a real run, its predictions, boards in all formats, and what changed."""

import csv
import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from blurbench.report.table import leaderboard
from blurbench.run import record as records
from blurbench.run.evaluate import evaluate
from blurbench.synth.pipeline import make_dataset
from tests.conftest import command

HOSTILE = '<script>alert("1")</script>|R&D, 50%_ü'


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """A folder with data, predictions and the records of two trivial methods and of one with noise."""
    folder = tmp_path_factory.mktemp("leaderboard")
    make_dataset("genblur", out=folder / "data", clips={"train": 0, "test": 2}, size=(64, 96))
    for method in ("copy-blur", "oracle-reversed"):
        evaluate(method, folder / "data", out=folder / "runs", predictions=folder / method)
    return folder


@pytest.fixture
def copy(evaluated, tmp_path):
    for name in ("runs", "copy-blur"):
        shutil.copytree(evaluated / name, tmp_path / name)
    return tmp_path


def record_of(folder: Path, method: str) -> Path:
    (path,) = folder.glob(f"runs/{method}_*.json")
    return path


def edit(path, **facts):
    path.write_text(json.dumps({**json.loads(path.read_text()), **facts}))


def test_alone_it_builds(copy):
    done = command("leaderboard", cwd=copy)
    assert done.returncode == 0, done.stderr
    (path,) = (copy / "leaderboards").iterdir()
    rows = list(csv.DictReader(path.open(encoding="utf-8", newline="")))
    assert [(row["rank"], row["method"], row["trivial"]) for row in rows] == [("1", "oracle-reversed", "yes"), ("2", "copy-blur", "yes")]
    values = records.read(record_of(copy, "copy-blur")).values
    assert float(rows[1]["psnr"]) == values["psnr"].mean and float(rows[1]["ssim:low"]) == values["ssim"].low
    assert "copy-blur †" in done.stdout and "trivial" in done.stderr and str(path.name) in done.stderr


def test_build_in_all_formats_with_a_hostile_name(copy):
    edit(record_of(copy, "copy-blur"), method=HOSTILE)
    arguments = ("--format", "csv", "--format", "markdown", "--format", "latex", "--intervals", "--out", "out")
    for first in ((), ("build",)):
        done = command("leaderboard", *first, *arguments, cwd=copy)
        assert done.returncode == 0, done.stderr
    texts = {path.suffix: path.read_text(encoding="utf-8") for path in (copy / "out").iterdir()}
    assert set(texts) == {".csv", ".md", ".tex"}
    (path,) = (copy / "out").glob("*.csv")
    names = [f"out/{path.with_suffix(suffix).name}" for suffix in (".csv", ".md", ".tex")]
    assert f"wrote {', '.join(names)}\n" in done.stderr
    assert HOSTILE in done.stdout
    assert [row["method"] for row in csv.DictReader(texts[".csv"].splitlines())][1] == HOSTILE
    assert r"&lt;script&gt;alert(" in texts[".md"] and r"\|R&amp;D, 50%\_ü" in texts[".md"] and "<script" not in texts[".md"]
    assert r"\textbar{}R\&D, 50\%\_ü" in texts[".tex"]


def test_bad_records_are_named_and_the_board_still_builds(copy):
    (copy / "runs/broken.json").write_text("{")
    good = json.loads(record_of(copy, "copy-blur").read_text())
    (copy / "runs/future.json").write_text(json.dumps({**good, "schema": 99, "method": "future"}))
    (copy / "runs/other.json").write_text(json.dumps({**good, "protocol": "blurbench-9", "method": "other"}))
    done = command("leaderboard", cwd=copy)
    assert done.returncode == 0, done.stderr
    left_out = [line for line in done.stderr.splitlines() if line.startswith("left out: ")]
    assert len(left_out) == 3
    for line, says in zip(left_out, ("broken.json cannot be read", "schema 99", "did you mean 'blurbench-1'"), strict=True):
        assert says in line


def test_papers(tmp_path):
    done = command("leaderboard", "build", "--papers", "--runs", "none", "--format", "markdown", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "leaderboards/gopro7-test-published.zhang2020-v1.md").read_text(encoding="utf-8")
    assert "*30.64*" in text and "not comparable" in text


def test_add_then_diff(copy):
    path = record_of(copy, "copy-blur")
    done = command("leaderboard", "add", path, "--runs", "new", cwd=copy)
    assert done.returncode == 0 and "added new/" in done.stderr and "the first record of these data" in done.stderr
    done = command("leaderboard", "diff", "new", "runs", cwd=copy)
    assert done.returncode == 0 and "1 difference\n" in done.stderr
    assert "added" in done.stdout and "oracle-reversed" in done.stdout and "copy-blur" not in done.stdout
    assert "nothing changed" in command("leaderboard", "diff", "runs", "runs", cwd=copy).stderr


def test_verify(copy, evaluated):
    path = record_of(copy, "copy-blur")
    arguments = ("--predictions", evaluated / "copy-blur", "--dataset", evaluated / "data")
    done = command("leaderboard", "verify", path, *arguments, cwd=copy)
    assert done.returncode == 0 and "all 8 columns are what the predictions give" in done.stderr, done.stderr


def test_verify_names_the_column(copy, evaluated):
    """Predictions were changed after the run, the record's digest of them with them: the values tell."""
    path = record_of(copy, "copy-blur")
    with h5py.File(next((copy / "copy-blur").glob("*.h5")), "r+") as file:
        frames = file[f"{next(iter(file))}/frames"]
        frames[...] = np.clip(frames[()] * 0.9, 0, 1)
    arguments = ("--predictions", copy / "copy-blur", "--dataset", evaluated / "data")
    done = command("leaderboard", "verify", path, *arguments, cwd=copy)
    assert done.returncode == 2 and "predictions with SHA-256" in done.stderr
    edit(path, predictions=None)
    done = command("leaderboard", "verify", path, *arguments, cwd=copy)
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 2 and "column psnr: mean is" in line and "column reblur-psnr: mean is" in line


def test_pictures_of_others_are_verified_too(copy, evaluated):
    from blurbench.run.score import score
    from blurbench.store.reader import open_dataset
    from blurbench.video.images import write_rgb

    for sample in open_dataset(evaluated / "data").samples("test"):
        for index, frame in enumerate(sample.sharp):
            (copy / "pictures" / sample.id).mkdir(parents=True, exist_ok=True)
            write_rgb(copy / "pictures" / sample.id / f"{index}.png", frame)
    (run,) = score(copy / "pictures", evaluated / "data", name="me2026", out=copy / "runs")
    path = copy / "runs" / f"{run.name}.json"
    done = command("leaderboard", "verify", path, "--predictions", "pictures", "--dataset", evaluated / "data", cwd=copy)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "no run records in runs/"),
        (["--runs", "nowhere"], "nowhere is not there, expected a folder of run records; `blurbench evaluate` writes them"),
        (["--runs", "a.txt"], "a.txt is a file, expected a folder of run records"),
        (["bild"], "did you mean 'build'"),
        (["build", "--format", "latx"], "did you mean 'latex'"),
        (["build", "--format", "xls"], "known: csv, html, latex, markdown"),
        (["add", "missing.json"], "missing.json cannot be read: No such file or directory; expected a run record (.json)"),
        (["diff", "here", "there"], "here is neither a folder nor a file"),
        (["verify", "missing.json", "--predictions", "p", "--dataset", "d"], "missing.json cannot be read"),
        (["verify", "missing.json"], "--predictions"),
    ],
)
def test_mistakes_are_one_line(tmp_path, arguments, says):
    (tmp_path / "a.txt").touch()
    done = command("leaderboard", *arguments, cwd=tmp_path)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert says in line


def test_from_python(copy):
    ((path, board),) = leaderboard(copy / "runs", copy / "out")
    assert path.is_file() and [row.rank for row in board.rows] == [1, 2]
    assert board.missing_trivial == ["oracle-centre", "oracle"]
