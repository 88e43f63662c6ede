"""Records that say what their scores say, and adding them: whole, once, and by several processes at a time."""

import json
import multiprocessing
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from blurbench.errors import BlurbenchError, DataSetError, PredictionError, RecordError
from blurbench.metrics import protocol as protocols
from blurbench.run import record as records
from blurbench.run.verify import add, check, differences, recomputed, verify
from tests.report.records import written


def change(path, **facts):
    """Edit a record as a person would, by hand."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **facts}))


@pytest.fixture
def path(tmp_path):
    record = written(tmp_path / "theirs", protocol="nah2017", values=(30.0, 31.0, None, 35.0, 36.0))
    return tmp_path / "theirs" / f"{record.name}.json"


def test_what_is_recomputed_is_what_was_recorded(path):
    record = check(path)
    again = recomputed(protocols.load("nah2017"), records.scores(path))
    assert again == record.values
    assert (again["psnr"].mean, again["psnr"].samples) == (33.0, 4)


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"values": {"psnr": {"mean": 34.0}}}, "no value for column ssim of nah2017"),
        ({"samples": 6}, "says 6 samples, .* has 5"),
        ({"videos": 1}, "says 1 videos, .* has 3"),
        ({"protocol_version": 2}, "version 2, here is version 1"),
        ({"rules": "0" * 64}, "another text"),
        ({"protocol": "nah2018"}, "did you mean 'nah2017'"),
        ({"schema": 2}, "schema 2"),
        ({"scores": "../other.parquet"}, "is no name for a file"),
        ({"scores": "other.parquet"}, r"scores is 'other\.parquet', expected"),
        ({"method": "../../mine"}, "is no name for a file"),
    ],
)
def test_a_record_that_was_edited_is_refused(path, tmp_path, facts, says):
    change(path, **facts)
    with pytest.raises(BlurbenchError, match=says):
        add(path, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("part", "by"), [("mean", 0.001), ("low", 0.5), ("high", -0.5), ("samples", 1)])
def test_a_value_that_was_edited_is_named(path, part, by):
    values = json.loads(path.read_text())["values"]
    old = values["ssim"][part]
    values["ssim"][part] += by
    change(path, values=values)
    with pytest.raises(RecordError) as caught:
        check(path)
    assert f"column ssim: {part} is {values['ssim'][part]} in the record, {old} when computed again" in str(caught.value)
    assert "psnr" not in str(caught.value).partition("says:")[2]


def test_a_column_too_many(path):
    values = json.loads(path.read_text())["values"]
    change(path, values={**values, "lpips": {"mean": 0.0}})
    with pytest.raises(RecordError, match="'lpips', which is no column of nah2017"):
        check(path)


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda table: table.assign(psnr=table["psnr"] + 1), "column psnr: mean is 33.0 in the record, 34.0"),
        (lambda table: table.drop(columns="ssim"), "has no column 'ssim'"),
        (lambda table: table.assign(psnr="high"), "column 'psnr' holds"),
        (lambda table: table.assign(sample="one"), "has sample 'one' twice"),
        (lambda table: table[1:], "says 5 samples, .* has 4"),
    ],
)
def test_scores_that_were_edited_are_refused(path, edit, says):
    scores = path.parent / records.read(path).scores
    edit(pd.read_parquet(scores)).to_parquet(scores)
    with pytest.raises(RecordError, match=says):
        check(path)


def test_scores_that_are_missing(path):
    (path.parent / records.read(path).scores).unlink()
    with pytest.raises(RecordError, match="keep the two files together"):
        check(path)


def test_the_tolerance_is_relative():
    value = records.Value
    old = {"a": value(1e6, None), "b": value(None), "c": value(2.0)}
    assert differences(old, {"a": value(1e6 + 0.0005, None), "b": value(None), "c": value(2.0 + 1e-9)}, 1e-9) == []
    assert differences({"a": value(4.00e-5)}, {"a": value(4.01e-5)}, 1e-6) and not differences({"a": value(0.0)}, {"a": value(1e-15)}, 1e-6)
    lines = differences(old, {"a": value(1e6 + 0.01, 1.0), "b": value(0.0), "c": value(None)}, 1e-9)
    assert [line.partition(" is ")[0] for line in lines] == ["column a: mean", "column a: low", "column b: mean", "column c: mean"]


def test_add_copies_both_files_and_tells(path, tmp_path):
    said = []
    new = add(path, tmp_path / "runs", tell=said.append)
    record = records.read(new)
    assert new.read_bytes() == path.read_bytes()
    assert sorted(each.name for each in new.parent.iterdir()) == [f"{record.name}.json", record.scores]
    assert check(new) == record
    assert add(path, tmp_path / "runs", tell=said.append) == new
    other = written(tmp_path / "theirs", "other", "nah2017")
    add(tmp_path / "theirs" / f"{other.name}.json", tmp_path / "runs", tell=said.append)
    strange = written(tmp_path / "theirs", "strange", "nah2017", content="d" * 64)
    add(tmp_path / "theirs" / f"{strange.name}.json", tmp_path / "runs", tell=said.append)
    assert [line.rpartition("; ")[2].partition(": ")[2] or line for line in said] == [
        f"the first record of these data in {tmp_path / 'runs'}",
        f"{new} is there already, with the same values",
        "known, 1 other record",
        "known, but stored values differ from those of other records of these data (another decoder?)",
    ]


def test_another_run_of_the_same_name_needs_a_word(path, tmp_path):
    new = add(path, tmp_path / "runs")
    before = new.read_bytes()
    written(path.parent, protocol="nah2017", values=(20.0, 21.0))
    with pytest.raises(RecordError, match=rf"^{new} is there already with other values; give --replace to put this one in its place$"):
        add(path, tmp_path / "runs")
    assert new.read_bytes() == before and check(new).samples == 5
    add(path, tmp_path / "runs", replace=True)
    assert check(new).values["psnr"].mean == 20.5
    assert not [each for each in new.parent.iterdir() if each.name.startswith(".")]


def test_the_same_run_once_more_says_in_what_it_differs(path, tmp_path):
    new = add(path, tmp_path / "runs")
    replace(records.read(path), seconds=9.0, date="2026-01-01T00:00:00+00:00").write(path.parent)
    with pytest.raises(RecordError, match=rf"^{new} is there already with the same values, but other seconds, date; give --replace"):
        add(path, tmp_path / "runs")
    new.write_text("{")
    with pytest.raises(RecordError, match=rf"^{new} is there already with other values; give --replace"):
        add(path, tmp_path / "runs")


def test_a_folder_that_cannot_be_written(path, tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(DataSetError, match="cannot be written"):
        add(path, tmp_path / "runs")


def _add(paths, runs, barrier, answers):
    barrier.wait()
    for path in paths:
        try:
            add(path, runs)
            answers.put("added")
        except RecordError as error:
            answers.put("refused" if "is there already" in str(error) else str(error))


def test_eight_processes_lose_nothing(tmp_path):
    """Each adds four records of its own, and one that all have under the same name with values of their own: one of those gets in."""
    paths = []
    for n in range(8):
        runs = [written(tmp_path / f"{n}", method, values=(float(n), 30.0)) for method in (*(f"m{n}-{k}" for k in range(4)), "same")]
        paths.append([tmp_path / f"{n}" / f"{run.name}.json" for run in runs])
    context = multiprocessing.get_context("fork")
    barrier, answers = context.Barrier(8), context.Queue()
    workers = [context.Process(target=_add, args=(mine, tmp_path / "runs", barrier, answers)) for mine in paths]
    for worker in workers:
        worker.start()
    said = [answers.get(timeout=60) for _ in range(40)]
    for worker in workers:
        worker.join()
    assert sorted(said) == ["added"] * 33 + ["refused"] * 7
    found = sorted((tmp_path / "runs").glob("*.json"))
    assert len(found) == 33
    for each in found:
        record = check(each)
        theirs = [path for mine in paths for path in mine if path.name == each.name]
        assert any(path.read_bytes() == each.read_bytes() for path in theirs)
        assert record.values["psnr"].mean == records.read(each).values["psnr"].mean
    assert len(list((tmp_path / "runs").iterdir())) == 66


def test_the_same_file_is_no_other(path):
    assert add(path, path.parent) == path
    shutil.copy(path, Path(path.parent) / "renamed.json")
    assert add(path.parent / "renamed.json", path.parent) == path


def test_predictions_that_are_not_there(path):
    with pytest.raises(PredictionError, match=r"^nowhere is no folder of predictions; `blurbench predict --dataset` makes one$"):
        verify(path, "nowhere", "data")
