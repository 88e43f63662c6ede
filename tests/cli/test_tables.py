"""Tables on stdout: none of their cells is broken where a board has many columns."""

from dataclasses import replace

import pytest

from blurbench.cli._show import show_board
from blurbench.cli._terminal import _GAP, _parts, table
from blurbench.report.board import boards
from blurbench.run.record import Value
from tests.report.records import made


def test_columns_that_do_not_fit_stand_below_with_the_keys_again(capsys):
    header = ["", "method", *(f"column-{i:02d} ↑" for i in range(30))]
    rows = [[rank, f"a-method-of-{rank}", *(f"{rank}.{i:04d}" for i in range(30))] for rank in (1, 2)]
    table(header, rows, keys=2)
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    heads = [line for line in lines if line[0] == "method"]
    assert len(heads) == 3 and [word for head in heads for word in head if "-" in word] == header_words(header)
    for rank in ("1", "2"):
        values = [line[1:] for line in lines if line[0] == rank]
        assert [line[0] for line in values] == [f"a-method-of-{rank}"] * 3
        assert [value for line in values for value in line[1:]] == [f"{rank}.{i:04d}" for i in range(30)]


def header_words(header):
    return [name.split()[0] for name in header[2:]]


def test_a_column_wider_than_the_screen_stands_alone():
    assert _parts([1, 5, 100, 4, 4], 2, 40) == [[0, 1, 2], [0, 1, 3, 4]]
    assert _parts([1, 5, 4, 4], 2, 1 + 5 + 4 + 4 + 4 * _GAP) == [[0, 1, 2, 3]]


@pytest.mark.parametrize(("failed", "told"), [(1, "1 sample FAILED and is in no mean"), (2, "2 samples FAILED and are in no mean")])
def test_a_board_counts_what_failed(capsys, failed, told):
    record = replace(made("mine", "blurbench-1"), samples=1, videos=1, failed={f"v/{number}": "NaN" for number in range(failed)})
    show_board(boards([record])[0])
    said = capsys.readouterr().err
    assert f"mine: {told}\n" in said and ", 1 sample of 1 video, protocol" in said


def test_a_board_says_why_its_cells_are_empty(capsys):
    still = made(
        "still",
        "blurbench-1",
        values={"ordering": Value(None)},
    )
    (board,) = boards([replace(still, empty={"ordering": "the method gives the centre frame only"}), made("mine", "blurbench-1")])
    show_board(board)
    assert "empty cells of still: the method gives the centre frame only" in capsys.readouterr().err
