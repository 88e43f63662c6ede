"""What changed between two states of the boards, by hand."""

import pytest

from blurbench.errors import RecordError
from blurbench.report.board import boards, collect
from blurbench.report.compare_boards import Change, compare
from blurbench.report.site import build_site
from blurbench.report.table import leaderboard, to_csv
from tests.report.records import made, written

DATA = "genblur-rendered-test-ffffffff.noroozi2017-v1"


def folders(tmp_path):
    """a went, c came, b has another value and one sample less."""
    written(tmp_path / "old", "a")
    written(tmp_path / "old", "b", values=(30.0, 31.0, 35.0))
    written(tmp_path / "new", "b", values=(30.0, None, 36.5))
    written(tmp_path / "new", "c")
    return tmp_path / "old", tmp_path / "new"


def test_folders_of_records(tmp_path):
    old, new = folders(tmp_path)
    assert compare(old, new) == [
        Change("removed", f"{DATA}: a 01234567"),
        Change("added", f"{DATA}: c 01234567"),
        Change("changed", f"{DATA}: b 01234567", "psnr", 32.0, 33.25),
    ]
    assert compare(old, new)[-1].difference == 1.25
    assert compare(old, old) == []


def test_folders_of_boards_say_the_same(tmp_path):
    for folder in folders(tmp_path):
        leaderboard(folder, tmp_path / f"csv-{folder.name}")
    assert compare(tmp_path / "csv-old", tmp_path / "csv-new") == [
        Change("removed", f"{DATA}: a, given 01234567"),
        Change("added", f"{DATA}: c, given 01234567"),
        Change("changed", f"{DATA}: b, given 01234567", "psnr", 32.0, 33.25),
    ]


def test_sites(tmp_path):
    for folder in folders(tmp_path):
        build_site(boards(collect(folder)[0]), tmp_path / f"site-{folder.name}", runs=folder)
    found = compare(tmp_path / "site-old", tmp_path / "site-new")
    assert [(change.what, change.row.split(": ")[1].split(",")[0]) for change in found] == [
        ("removed", "a"),
        ("added", "c"),
        ("changed", "b"),
    ]


def test_two_tables(tmp_path):
    for name, rows in (("old", [made("m|<&>", mean=30.0)]), ("new", [made("m|<&>", mean=None, samples=7, failed={"x": "NaN"})])):
        (board,) = boards(rows)
        (tmp_path / name).write_text(to_csv(board), encoding="utf-8")
    changes = compare(tmp_path / "old", tmp_path / "new")
    assert [(change.column, change.old, change.new, change.difference) for change in changes] == [
        ("psnr", 30.0, None, None),
        ("samples", 8.0, 7.0, -1.0),
        ("failed", 0.0, 1.0, 1.0),
    ]


def test_other_weights_are_another_row(tmp_path):
    written(tmp_path / "old", "a")
    written(tmp_path / "new", "a", weights={"files": [], "sha256": "f" * 64, "origin": "given"})
    assert [change.what for change in compare(tmp_path / "old", tmp_path / "new")] == ["removed", "added"]


def test_mistakes(tmp_path):
    old, new = folders(tmp_path)
    leaderboard(old, tmp_path / "csv")
    with pytest.raises(RecordError, match=r"old holds run records, .*csv holds boards"):
        compare(old, tmp_path / "csv")
    with pytest.raises(RecordError, match="neither a folder nor a file"):
        compare(old, tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecordError, match="holds neither run records"):
        compare(old, tmp_path / "empty")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(RecordError, match="no board of blurbench: it has no column 'kind'"):
        compare(tmp_path / "other.csv", tmp_path / "other.csv")
    (board,) = (tmp_path / "csv").iterdir()
    (tmp_path / "odd.csv").write_text(board.read_text().replace("32.0", "high"))
    with pytest.raises(RecordError, match="row 1, column psnr: 'high', expected a number"):
        compare(board, tmp_path / "odd.csv")
    (new / "bad.json").write_text("{")
    with pytest.raises(RecordError, match=r"bad\.json"):
        compare(old, new)
