"""`blurbench rank`: runs that cannot be told apart share a place; what cannot be ranked is refused."""

import csv
import io
import re

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from blurbench.cli import blurbench
from blurbench.errors import PredictionError, RecordError, UnknownNameError
from blurbench.run.rank import rank, rank_boards
from tests.cli.runs import IDS, hard
from tests.cli.test_compare import centre_only


@pytest.fixture
def board(run, tmp_path):
    """Two of 32 dB, noise apart, and one of 30."""
    rng = np.random.default_rng(3)
    shifts = {"first": 2.0, "second": 2.0, "third": 0.0}
    return [
        run(tmp_path / method, method, {"psnr": hard() + shift + rng.normal(0, 0.3, len(IDS)), "psnr-pooled": hard() - shift})
        for method, shift in shifts.items()
    ]


def test_runs_that_cannot_be_told_apart_share_a_place(board):
    found = rank(board, "psnr")
    assert {name: each.tied for name, each in found.ranks.items()} == {"first": 1, "second": 1, "third": 3}
    assert found.ranks["third"].worse_than == ("first", "second") and not found.notes and found.videos == 10
    rows = list(csv.DictReader(io.StringIO(found.frame().to_csv(index=False))))
    board_of = ["column", "dataset", "split", "fingerprint", "protocol", "protocol_version"]
    assert list(rows[0]) == ["run", "rank", "mean", "by_mean_alone", "worse_than", *board_of]
    assert [rows[0][name] for name in board_of] == ["psnr", "genblur-rendered", "test", "f" * 64, "blurbench-1", "1"]
    assert [row["by_mean_alone"] for row in rows] == ["1", "2", "3"] and rows[2]["worse_than"] == "first second"


def test_without_a_column_the_one_of_the_boards(board):
    found = rank(board)
    assert found.column.name == "psnr-pooled" and next(iter(found.ranks)) == "third"


def test_table_and_csv(board):
    done = CliRunner().invoke(blurbench, ["rank", *map(str, board), "--column", "psnr"])
    assert done.exit_code == 0, done.output
    lines = [line.split() for line in done.stdout.splitlines() if line.strip()[:1].isdigit()]
    assert [line[0] for line in lines] == ["1", "1", "3"] and lines[2][-2:] == ["first,", "second"]
    done = CliRunner().invoke(blurbench, ["rank", *map(str, board), "--format", "csv"])
    assert done.stdout.startswith("run,rank,mean,by_mean_alone,worse_than,column,dataset,") and len(done.stdout.splitlines()) == 4


def test_one_method_with_two_weights_goes_by_its_records(run, tmp_path):
    weights = [{"sha256": letter * 64, "files": [], "origin": "given"} for letter in "ab"]
    paths = [run(tmp_path / each["sha256"][0], "same", {"psnr": hard()}, weights=each) for each in weights]
    expected = {f"same-{letter * 8}__genblur-rendered-test-ffffffff__blurbench-1-v1" for letter in "ab"}
    assert rank(paths, "psnr").ranks.keys() == expected


def test_a_run_without_the_column_is_named(board, run, tmp_path):
    mend = "leave it out, or give another --column"
    with pytest.raises(PredictionError, match=rf"^second has no values \(the method gives the centre frame only\) in column psnr; {mend}$"):
        rank([board[0], centre_only(run, tmp_path)], "psnr")


def test_a_run_without_the_column_is_left_out_where_others_have_it(board, run, tmp_path):
    found = rank([board[0], board[2], centre_only(run, tmp_path / "single")], "psnr")
    assert {name: each.tied for name, each in found.ranks.items()} == {"first": 1, "third": 2}
    (left_out,) = found.left_out.values()
    assert left_out.endswith("has no values (the method gives the centre frame only) in column psnr")


def test_a_run_with_a_value_less_is_left_out(board, run, tmp_path):
    """The others keep their places and means; a failed sample has no row, an empty value has one."""
    holes = hard()
    holes[3] = np.nan
    holed = run(tmp_path / "holed", "holed", {"psnr": holes})
    failed = run(tmp_path / "failed", "failed", {"psnr": hard()}, failed={IDS[3]: "NaN"})
    table = pd.read_parquet(failed.parent / "failed.parquet")
    table[table["sample"] != IDS[3]].to_parquet(failed.parent / "failed.parquet")
    found, whole = rank([holed, *board, failed], "psnr"), rank(board, "psnr")
    assert found.ranks == whole.ranks and (found.videos, found.notes) == (whole.videos, whole.notes)
    told = f"has no value for 1 sample ({IDS[3]}) in column psnr, which the others have"
    assert found.left_out == {"holed": f"holed {told}", "failed": f"failed {told}"}
    assert set(rank([board[0], holed, failed], "psnr").left_out) == {"first"}  # most have no value for that sample
    with pytest.raises(PredictionError, match=rf"^{re.escape(f'holed {told}')}; leave it out, or give another --column$"):
        rank([board[0], holed], "psnr")


@pytest.fixture
def mixed(run, tmp_path):
    """One folder with two runs of one protocol, two of another, and one of other data."""
    folder = tmp_path / "mixed"
    for protocol, column, methods in (("blurbench-1", "psnr-pooled", ("a", "b")), ("zhang2020", "psnr-centre", ("c", "d"))):
        for method, shift in zip(methods, (2.0, 0.0), strict=True):
            run(folder, method, {column: hard() + shift}, protocol=protocol)
    run(folder, "alone", {"psnr-pooled": hard()}, fingerprint="e" * 64)
    return folder


def test_boards_are_ranked_apart(mixed):
    rankings, left_out = rank_boards([mixed])
    assert [(each.board[3], list(each.ranks)) for each in rankings] == [("blurbench-1", ["a", "b"]), ("zhang2020", ["c", "d"])]
    assert left_out == ["genblur-rendered, split test, protocol blurbench-1: 1 run was given, expected at least two records"]
    assert [each.board[3] for each in rank_boards(sorted(mixed.glob("*.json")), protocol="zhang2020")[0]] == ["zhang2020"]
    rankings, left_out = rank_boards([mixed], "psnr-pooled")
    assert [each.column.name for each in rankings] == ["psnr-pooled"] and "unknown column 'psnr-pooled' in protocol zhang2020" in left_out[
        1
    ]
    done = CliRunner().invoke(blurbench, ["rank", str(mixed)])
    assert done.exit_code == 0 and done.stderr.count("split test, protocol") == 3
    rows = [line.split()[1] for line in done.stdout.splitlines() if line.strip()[:1].isdigit()]
    assert rows == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nope.json"], "nope.json is not there, expected run records or a folder of them; `blurbench evaluate` writes them"),
        (["."], ". holds no JSON file, expected run records"),
        (["{mixed}", "--column", "pnsr"], "unknown column 'pnsr' in the protocols of these runs; did you mean 'psnr'"),
        (["{mixed}", "--protocol", "gopro"], "unknown protocol 'gopro' in these runs; known: blurbench-1, zhang2020"),
    ],
)
def test_mistakes_of_the_command(mixed, tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(blurbench, ["rank", *(word.format(mixed=mixed) for word in arguments)])
    assert told in str(done.exception) and "\n" not in str(done.exception)


def test_few_videos_tell_nothing_apart(run, tmp_path):
    """With four videos no p is below 1/8, however large the difference."""
    videos = [id[:2] + str(int(id[1:3]) % 4) for id in IDS]
    paths = [run(tmp_path / name, name, {"psnr": hard() + shift}, videos=videos) for name, shift in (("better", 9.0), ("worse", 0.0))]
    found = rank(paths, "psnr")
    assert [each.tied for each in found.ranks.values()] == [1, 1] and [each.plain for each in found.ranks.values()] == [1, 2]
    assert found.notes == ["1 pair on 4 videos: too few videos to tell any apart"]


def test_eight_videos_are_enough_for_two_real_runs(real):
    folder, records = real
    found = rank([folder / "runs" / f"{record.name}.json" for record in records], "psnr-centre")
    assert not found.notes and {name: each.tied for name, each in found.ranks.items()} == {"oracle-centre": 1, "copy-blur": 2}


@pytest.mark.parametrize(
    ("pick", "options", "error", "told"),
    [
        ([0], {}, RecordError, "1 run was given, expected at least two records"),
        ([0, 1, 0], {}, RecordError, "run first__.* was given 2 times, expected once"),
        ([0, 1], {"column": "pnsr"}, UnknownNameError, "unknown column 'pnsr' in protocol blurbench-1; did you mean"),
        ([0, 1], {"level": 1}, PredictionError, "level is 1, expected a number between 0 and 1"),
    ],
)
def test_what_cannot_be_ranked(board, pick, options, error, told):
    with pytest.raises(error, match=told):
        rank([board[number] for number in pick], **options)


def test_other_data(board, run, tmp_path):
    other = run(tmp_path / "other", "fourth", {"psnr": hard()}, fingerprint="e" * 64)
    with pytest.raises(RecordError, match=r"^the data of first is .* of fourth"):
        rank([*board, other])
