"""Markdown and LaTeX: prizes by hand, and names that come out as they went in, read by another program."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from blurbench.report import published
from blurbench.report.board import boards
from blurbench.report.typeset import _line, escape_latex, escape_markdown, latex, markdown, prizes, unsteered
from blurbench.run.record import Value
from tests.report.records import made
from tests.report.test_table import HOSTILE

NAMES = st.one_of(
    st.sampled_from(HOSTILE), st.text(st.characters(codec="utf-8"), max_size=30), st.text("\\`*_{}[]<>()#|~$&@:-\"'^%\n www.")
)
BACK = {
    **{rf"\{sign}": sign for sign in "&%$#_{}"},
    r"\textbackslash{}": "\\",
    r"\textasciitilde{}": "~",
    r"\textasciicircum{}": "^",
    r"\textless{}": "<",
    r"\textgreater{}": ">",
    r"\textbar{}": "|",
    r"\textquotedbl{}": '"',
    r"\textasciigrave{}": "`",
    r"$\geq$": "≥",
    r"\textdagger{}": "†",
    "-{}-": "--",
}


def cells(text):
    """The tables of Markdown as GitHub reads it, by another program: rows of cells as plain text."""
    rows, table = [], MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    for token in table:
        if token.type == "table_close":
            break
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and rows:
            rows[-1].append("".join(child.content for child in token.children if child.type in ("text", "text_special")))
            assert all(
                child.type in ("text", "em_open", "em_close", "strong_open", "strong_close", "html_inline") for child in token.children
            )
    return rows


def html(text):
    return MarkdownIt("commonmark").enable("table").render(text)


@given(NAMES)
def test_markdown_shows_a_name_as_it_is(name):
    (board,) = boards([made(f"x{name}"), made("other", mean=29.0)])
    header, first, second, *_ = cells(markdown(board))
    assert len(header) == len(first) == len(second) == 6
    assert first[1] == _line(f"x{name}") and second[1] == "other"
    assert "<script" not in html(markdown(board))


@given(NAMES)
def test_latex_shows_a_name_as_it_is(name):
    """Read back by the table of what each escape stands for; no sign is left that LaTeX takes for its own."""
    shown = escape_latex(name)
    parts = re.split(f"({'|'.join(re.escape(each) for each in sorted(BACK, key=len, reverse=True))})", shown)
    assert "".join(BACK.get(part, part) for part in parts) == _line(name)
    assert not re.search(r"[\\{}$&#%_^~]", "".join(part for part in parts if part not in BACK))


@given(NAMES)
def test_latex_keeps_its_rows(name):
    (board,) = boards([made(name), made("other", mean=29.0)])
    body = latex(board).split("\\midrule\n")[1].split("\\bottomrule")[0].splitlines()
    assert len(body) == 2
    assert [len(re.findall(r"(?<!\\)&", row)) for row in body] == [5, 5]


def test_steering_signs_are_dropped():
    assert escape_markdown("a\x1b[31mb\u202ec\nd") == "a \\[31mb c d"
    hostile = "a\x1bb\u202ec\nd\te\ud800f\u200dg"
    assert unsteered(hostile) == "a b c d e f\u200dg"
    assert unsteered(hostile, keep="\n\t") == "a b c\nd\te f\u200dg"


def test_prizes_by_hand():
    means = {"a": 30.004, "b": 30.001, "c": 29.0, "d": 28.0, "oracle": 100.0, "copy-blur": 50.0, "none": None}
    (board,) = boards([made(method, mean=mean) for method, mean in means.items()])
    won = {board.rows[index].method: prize for (index, _), prize in prizes(board).items()}
    assert won == {"a": "best", "b": "best", "c": "second"}  # 30.00 both, as read


def test_prizes_where_lower_is_better():
    rows = [made("near", "zhang2021-motion", 1.0), made("far", "zhang2021-motion", 2.0), made("farther", "zhang2021-motion", 3.0)]
    (board,) = boards(rows)
    assert {key: prize for key, prize in prizes(board).items() if key[1] == "mse"} == {(0, "mse"): "best", (1, "mse"): "second"}


def test_one_method_alone_wins_nothing():
    (board,) = boards([made("mine"), made("oracle", mean=100.0)])
    assert not prizes(board) and "**30.00**" not in markdown(board)


def test_markdown_by_hand():
    rows = [made("mine", mean=30.0), made("oracle", mean=100.0), made("second", values={"psnr": Value(29.994, 28.0, 31.5)}, seconds=0.0001)]
    (board,) = boards(rows)
    assert markdown(board, intervals=True).splitlines()[:7] == [
        "**genblur-rendered, split test, 8 samples of 2 videos, protocol noroozi2017 version 1**",
        "",
        "|  | method | weights | psnr (dB) ↑ | s/sample | source |",
        "| ---: | :--- | :--- | ---: | ---: | :--- |",
        "| 1 | oracle† | given 01234567 | ≥100 | 0.250 |  |",
        "| 2 | mine | given 01234567 | **30.00** | 0.250 |  |",
        "| 3 | second | given 01234567 | <ins>29.99</ins> \\[28.00, 31.50\\] | &lt;0.001 |  |",
    ]
    assert "\\[28.00" not in markdown(board)


@pytest.mark.parametrize(("dataset", "star"), [("gopro-linear-released", ""), ("gopro-linear", "*")])
def test_differences_and_reasons(dataset, star):
    (board,) = boards([made("tao2018", "tao2018", dataset=dataset, mean=30.0, samples=1111)], published.read())
    shown = {row[1]: row for row in cells(markdown(board))}
    assert shown["tao2018"][3] == f"30.00 (-0.19{star})"
    (printed,) = [row for name, row in shown.items() if name.startswith("tao2018 (LSTM)")]
    assert printed[3:6] == ["30.19", "0.9334", ""] and printed[-1] == "tao2018-code, README"
    assert ("made here" in markdown(board)) is bool(star)
    row = next(line for line in latex(board).splitlines() if "LSTM" in line)
    assert row.startswith(r" & \textit{tao2018 (LSTM)}") and r"\textit{30.19}" in row
