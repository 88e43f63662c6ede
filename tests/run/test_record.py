"""Run records in notebooks."""

from dataclasses import replace

import pandas as pd
import pytest

from blurbench.errors import RecordError, UnknownNameError
from blurbench.metrics import protocol as protocols
from blurbench.run import record as records
from blurbench.run.record import Value, rules_of
from tests.report.records import WEIGHTS, made, written


def test_frame_is_tidy(tmp_path):
    values = {"psnr": Value(30.5, 29.0, 32.0), "ssim": Value(0.9, None, None, 7), "ssim-matlab3d": Value(None)}
    table = made("zhang2020", "nah2017", values=values).frame()
    assert table.columns.tolist() == [
        *("method", "weights", "dataset", "split", "protocol", "version", "column", "mean", "low", "high", "samples", "unit", "better")
    ]
    assert table["column"].tolist() == ["psnr", "ssim", "ssim-matlab3d"]
    assert table.loc[0].tolist() == [
        *("zhang2020", WEIGHTS["sha256"], "genblur-rendered", "test", "nah2017", 1, "psnr", 30.5, 29.0, 32.0, 8, "dB", "higher")
    ]
    assert table["samples"].tolist() == [8, 7, 0]
    assert table["mean"].isna().tolist() == [False, False, True] and table["low"].isna().tolist() == [False, True, True]
    assert table[["mean", "low", "high"]].dtypes.unique().tolist() == ["float64"] and table["samples"].dtype == "int64"


def test_frames_of_runs_go_together(tmp_path):
    runs = [written(tmp_path, method, values=values) for method, values in (("a", (30.0, 32.0)), ("b", (20.0, None)))]
    table = pd.concat([records.read(tmp_path / f"{run.name}.json").frame() for run in runs], ignore_index=True)
    assert table.pivot(index="method", columns="column", values="mean")["psnr"].to_dict() == {"a": 31.0, "b": 20.0}
    assert table["samples"].tolist() == [2, 1]


def test_paths_may_be_text(tmp_path):
    run = written(tmp_path, "a", values=(30.0, 32.0))
    path = tmp_path / f"{run.name}.json"
    assert records.read(str(path)) == records.read(path) == run
    assert records.scores(str(path))["psnr"].tolist() == [30.0, 32.0]
    with pytest.raises(RecordError, match=r"^none\.json cannot be read: No such file or directory; expected a run record"):
        records.read("none.json")


def test_frame_of_a_column_that_is_gone():
    table = replace(made(), values={"old": Value(1.0)}).frame()
    assert table.loc[0, "mean"] == 1.0 and table.loc[0, ["unit", "better"]].isna().all()
    assert made(values={}, mean=None).frame()["mean"].isna().all()
    with pytest.raises(UnknownNameError, match="protocol 'gone'"):
        replace(made(), protocol="gone").frame()


def test_the_protocol_of_records_is_read_once_and_must_be_one():
    one, other = made("one"), made("other")
    assert rules_of(one, other) == protocols.load("noroozi2017") and rules_of(one) is rules_of(other)
    with pytest.raises(RecordError, match=r"^one-.* and other-.* were scored under other texts of noroozi2017 version 1; evaluate one"):
        rules_of(one, replace(other, rules="0" * 64))
