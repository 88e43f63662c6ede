"""The CSV: each cell by hand, names of every kind back unchanged, and what `leaderboard` writes."""

import csv
import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blurbench.errors import RecordError, UnknownNameError
from blurbench.report import published
from blurbench.report.board import boards
from blurbench.report.table import header, leaderboard, text, to_csv
from blurbench.run.record import Value
from tests.report.records import WEIGHTS, made, written

HOSTILE = [
    "<script>alert(1)</script>",
    "a|b",
    "R&D",
    "50%",
    "under_score",
    "größe 模型",
    'quo"te, comma',
    "two\nlines",
    "=1+1",
    "$x^2$~\\{}#",
]


def read(board):
    return list(csv.DictReader(io.StringIO(to_csv(board), newline="")))


def test_every_cell_by_hand():
    value = Value(30.123456789012345, 29.5, 31.0, 7)
    row = made("noroozi2017", dataset="wild-released", values={"psnr": value}, failed={"v/3": "NaN"})
    printed = [entry for entry in published.read() if entry.protocol == "noroozi2017" and "WILD" in entry.name]
    (board,) = boards([row], [replace(printed[0], method="noroozi2017", comparable=True, reason="", samples=None)])
    measured, paper = read(board)
    assert measured == {
        **dict.fromkeys(header(board), ""),
        "rank": "1",
        "method": "noroozi2017",
        "weights": "given 01234567",
        "psnr": "30.123456789012344",
        "psnr:low": "29.5",
        "psnr:high": "31.0",
        "psnr:samples": "7",
        "psnr:difference": repr(30.123456789012345 - 28.1),
        "psnr:comparable": "yes",
        "psnr_cap": "100.0",
        "samples": "8",
        "videos": "2",
        "seconds": "0.25",
        "device": "cpu",
        "date": "2026-01-02T03:04:05+00:00",
        "fingerprint": "f" * 64,
        "kind": "measured",
        "trivial": "no",
        "title": "Title of noroozi2017",
        "weights_sha256": WEIGHTS["sha256"],
        "failed": "1",
        "draws": "1",
        "protocol_draws": "1",
        "direction": "as-is",
        "decide_by": "psnr",
        "ranked_by": "psnr",
        "parameters": "12",
        "dataset": "wild-released",
        "split": "test",
        "protocol": "noroozi2017",
        "protocol_version": "1",
        "record": f"{row.name}.json",
    }
    assert paper == {
        **dict.fromkeys(header(board), ""),
        "method": "noroozi2017",
        "psnr": "28.1",
        "psnr:comparable": "yes",
        "psnr_cap": "100.0",
        "kind": "published",
        "trivial": "no",
        "title": "Noroozi 2017 (DeblurNet-WILD)",
        "paper": "noroozi2017",
        "table": "Table 2",
        "protocol_draws": "1",
        "direction": "as-is",
        "decide_by": "psnr",
        "ranked_by": "psnr",
        "dataset": "wild-released",
        "split": "test",
        "protocol": "noroozi2017",
        "protocol_version": "1",
    }


def test_the_order_of_columns_is_fixed():
    """docs/leaderboards.md promises it: whoever reads by position may go on doing so."""
    (board,) = boards([made()])
    assert ",".join(header(board)) == (
        "rank,method,weights,psnr,psnr:low,psnr:high,psnr:samples,psnr:difference,psnr:comparable,psnr_cap,samples,videos,seconds,device,date,"
        "fingerprint,kind,variant,trivial,title,weights_sha256,failed,draws,protocol_draws,direction,decide_by,ranked_by,parameters,model_mb,"
        "paper,table,reason,dataset,split,protocol,protocol_version,record"
    )


@given(st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), min_size=1)))
def test_every_name_comes_back(name):
    (board,) = boards([made(name, title=name)])
    (row,) = read(board)
    assert row["method"] == row["title"] == name
    assert to_csv(board).encode("utf-8").decode("utf-8") == to_csv(board)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_keep_all_digits(mean):
    (row,) = read(boards([made(mean=mean)])[0])
    assert float(row["psnr"]) == mean


def test_costs_of_papers():
    built = boards([], published.read(), alone=True)
    (board,) = [board for board in built if board.rules.id == "purohit2019-deblur"]
    rows = {row["title"]: row for row in read(board)}
    assert (rows["Nah 2017"]["seconds"], rows["Nah 2017"]["model_mb"], rows["Nah 2017"]["method"]) == ("6.0", "300.0", "nah2017")
    assert (rows["Whyte 2012"]["seconds"], rows["Whyte 2012"]["model_mb"]) == ("700.0", "")


def test_files(tmp_path):
    written(tmp_path / "runs", "mine")
    written(tmp_path / "runs", "<script>|&%_", values=(20.0, 21.0), split="val")
    done = leaderboard(tmp_path / "runs", tmp_path / "out", formats=("markdown", "csv", "latex"))
    assert [path.name for path, _ in done] == [f"genblur-rendered-{split}-ffffffff.noroozi2017-v1.md" for split in ("test", "val")]
    assert len(list((tmp_path / "out").iterdir())) == 6
    for path, board in done:
        for name, suffix in (("csv", ".csv"), ("markdown", ".md"), ("latex", ".tex")):
            assert path.with_suffix(suffix).read_bytes().decode("utf-8") == text(board, name)
    again = leaderboard(tmp_path / "runs", tmp_path / "out", formats=("csv",))
    assert [path.suffix for path, _ in again] == [".csv", ".csv"]


def test_what_is_left_out_is_told(tmp_path):
    written(tmp_path)
    (tmp_path / "bad.json").write_text("{")
    lines = []
    assert len(leaderboard(tmp_path, tmp_path / "out", tell=lines.append)) == 1
    assert len(lines) == 1 and lines[0].startswith("left out: ") and "bad.json" in lines[0]
    with pytest.warns(UserWarning, match="bad.json"):
        leaderboard(tmp_path, tmp_path / "out")


def test_nothing_to_build(tmp_path):
    with pytest.raises(RecordError, match="no run records"):
        leaderboard(tmp_path, tmp_path / "out")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(RecordError, match=r"none of 1 run records .* the first: .*bad.json"):
        leaderboard(tmp_path, tmp_path / "out")
    with pytest.raises(UnknownNameError, match="did you mean 'latex'"):
        leaderboard(tmp_path, tmp_path / "out", formats=("csv", "latx"))
