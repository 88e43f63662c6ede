"""Boards for reading: Markdown (GitHub's) and LaTeX, with the best in bold and the second underlined, whatever a name contains."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from blurbench.errors import counted
from blurbench.metrics.protocol import Column
from blurbench.report.board import Board, Cell, Row

Prize = Literal["best", "second"]
_STEERING = ("Cc", "Cf", "Cs", "Co")
_MARKDOWN = {sign: f"\\{sign}" for sign in "\\`*_[]|~$"} | {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;", ":": "&#58;"}
_LATEX = {sign: f"\\{sign}" for sign in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "≥": r"$\geq$",
    "†": r"\textdagger{}",
}


def unsteered(text: str, keep: str = "") -> str:
    """Text with a blank for each character that steers a terminal, a page or a reader's eye (control, direction).

    The two that join or part letters, which some scripts need, stay; so do those to `keep`.
    """
    if text.isprintable():
        return text
    kept = "\u200c\u200d" + keep
    return "".join(sign if sign in kept or unicodedata.category(sign) not in _STEERING else " " for sign in text)


def number(mean: float | None, column: Column, cap: float = float("inf")) -> str:
    """A value as a reader wants it: two digits behind the point, four where there is no unit; "≥100" where a PSNR counts as the cap."""
    if mean is None:
        return ""
    return f"≥{cap:g}" if column.unit == "dB" and mean >= cap else f"{mean:.{digits(column)}f}"


def identical(cap: float) -> str:
    """What "≥100" means."""
    return f"≥{cap:g}: identical pixels, whose PSNR is infinite; it counts as {cap:g} dB"


def difference(cell: Cell, column: Column) -> str:
    """How far a measured number is from the printed one, "(+0.21)", with a star where the two are not comparable; else nothing."""
    if cell.published is None or cell.difference is None:
        return ""
    return f"({cell.difference:+.{digits(column)}f}{'' if cell.published.comparable else '*'})"


def seconds(row: Row) -> str:
    """Seconds a sample; "<0.001" for what is faster than anybody asks."""
    return "" if row.seconds is None else "<0.001" if row.seconds < 0.001 else f"{row.seconds:.3f}"


def prizes(board: Board) -> dict[tuple[int, str], Prize]:
    """The best and the second of each column, by number of the row and name of the column.

    Only methods that were measured and are not trivial compete, and only where there are two; what reads the same shares its place.
    """
    found: dict[tuple[int, str], Prize] = {}
    for column in board.rules.columns:
        shown = {}
        for index, row in enumerate(board.rows):
            mean = row.cells[column.name].mean
            if row.measured and not row.trivial and mean is not None:
                shown[index] = round(min(mean, board.rules.psnr_cap) if column.unit == "dB" else mean, digits(column))
        if len(shown) < 2:
            continue
        order = sorted(set(shown.values()), reverse=column.better == "higher")
        for index, value in shown.items():
            if value in order[:2]:
                found[index, column.name] = "best" if value == order[0] else "second"
    return found


@dataclass(frozen=True)
class _Style:
    """What the two languages differ in; each function takes text that is escaped already."""

    escape: Callable[[str], str]
    best: str
    second: str
    printed: str
    raised: str
    trivial: str
    higher: str
    lower: str

    def prize(self, text: str, prize: Prize | None) -> str:
        """The text as the best or second is shown."""
        return {"best": self.best, "second": self.second, None: "{}"}[prize].replace("{}", text, 1)


def escape_markdown(text: str) -> str:
    """Text of one line that Markdown shows as it is, in a cell of a table too, and in which GitHub finds no links or names."""
    return "".join(_MARKDOWN.get(sign, sign) for sign in _line(text)).replace("www.", "www&#46;")


def escape_latex(text: str) -> str:
    """Text of one line that LaTeX shows as it is. Letters beyond ASCII stay, for which XeLaTeX or LuaLaTeX have the fonts."""
    return "".join(_LATEX.get(sign, sign) for sign in _line(text)).replace("--", "-{}-")


_IN_MARKDOWN = _Style(escape_markdown, "**{}**", "<ins>{}</ins>", "*{}*", "<sup>{}</sup>", "†", "↑", "↓")
_IN_LATEX = _Style(
    *(
        escape_latex,
        r"\textbf{{}}",
        r"\underline{{}}",
        r"\textit{{}}",
        r"\textsuperscript{{}}",
        r"\textdagger{}",
        r"$\uparrow$",
        r"$\downarrow$",
    )
)


def markdown(board: Board, intervals: bool = False) -> str:
    """The board as a Markdown table with its title above and its notes below. intervals: also the 95 % intervals."""
    header, rows, notes = _table(board, _IN_MARKDOWN, intervals)
    rule = ["---:", ":---", ":---", *["---:"] * (len(header) - 4), ":---"]
    lines = [f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)]
    return "\n".join([f"**{_title(board, _IN_MARKDOWN)}**", "", *lines, "", *(f"- {note}" for note in notes), ""])


def latex(board: Board, intervals: bool = False) -> str:
    """The board as a LaTeX tabular (package booktabs), its notes below. intervals: also the 95 % intervals."""
    header, rows, notes = _table(board, _IN_LATEX, intervals)
    body = [f"{' & '.join(cells)} \\\\" for cells in (header, *rows)]
    return "\n".join(
        [
            "% needs \\usepackage{booktabs}",
            f"\\begin{{tabular}}{{rll{'r' * (len(header) - 4)}l}}",
            "\\toprule",
            *(body[0], "\\midrule", *body[1:]),
            "\\bottomrule",
            "\\end{tabular}",
            "{\\footnotesize",
            *(f"\\par {note}." for note in (_title(board, _IN_LATEX), *notes)),
            "\\par}",
            "",
        ]
    )


def _table(board: Board, style: _Style, intervals: bool) -> tuple[list[str], list[list[str]], list[str]]:
    """Header, rows and notes, in the language of a style."""
    columns = board.rules.columns
    arrows = {"higher": style.higher, "lower": style.lower}
    units = [f" ({style.escape(column.unit)})" if column.unit not in ("", "1") else "" for column in columns]
    heads = [f"{style.escape(column.name)}{unit} {arrows[column.better]}" for column, unit in zip(columns, units, strict=True)]
    won, reasons = prizes(board), list(dict.fromkeys(row.reason for row in board.rows if row.reason))
    rows = []
    for index, row in enumerate(board.rows):
        cells = [_cell(row, column, board.rules.psnr_cap, won.get((index, column.name)), style, intervals) for column in columns]
        name = _name(row, style) + (style.raised.replace("{}", _letter(reasons.index(row.reason)), 1) if row.reason else "")
        rank = "" if row.rank is None else str(row.rank)
        rows.append([rank, name, style.escape(row.weights), *cells, style.escape(seconds(row)), style.escape(row.source)])
    notes = _notes(board, style, intervals)
    notes += [f"{style.raised.replace('{}', _letter(i), 1)} not comparable: {style.escape(reason)}" for i, reason in enumerate(reasons)]
    return ["", "method", "weights", *heads, "s/sample", "source"], rows, notes


def _name(row: Row, style: _Style) -> str:
    name = style.escape(row.label)
    return name + style.trivial if row.trivial else name if row.measured else style.printed.replace("{}", name, 1)


def _cell(row: Row, column: Column, cap: float, prize: Prize | None, style: _Style, intervals: bool) -> str:
    cell: Cell = row.cells[column.name]
    if cell.mean is None:
        return ""
    if not row.measured:
        return style.printed.replace("{}", cell.published.printed if cell.published else "", 1)
    texts = [difference(cell, column)]
    if intervals and cell.low is not None and cell.high is not None:
        texts.insert(0, f"[{cell.low:.{digits(column)}f}, {cell.high:.{digits(column)}f}]")
    shown = style.prize(style.escape(number(cell.mean, column, cap)), prize)
    return " ".join([shown, *(style.escape(text) for text in texts if text)])


def _notes(board: Board, style: _Style, intervals: bool) -> list[str]:
    """What a reader must know, and nothing of what is not on this board."""
    cells = [cell for row in board.measured for cell in row.cells.values() if cell.difference is not None]
    said = {
        f"ranked by {style.escape(board.rules.rank_by)}; {style.prize('best', 'best')} and {style.prize('second', 'second')} "
        "of the measured methods that are not trivial": bool(prizes(board)),
        f"ranked by {style.escape(board.rules.rank_by)}": not prizes(board),
        f"{style.trivial} trivial: shows what a number is worth": any(row.trivial for row in board.rows),
        f"{style.printed.replace('{}', 'slanted', 1)}: printed by a paper, not measured and not ranked": any(
            row.published for row in board.rows
        ),
        style.escape("in brackets: 95 % interval over videos"): intervals,
        "in parentheses: difference to the printed number of the same method": bool(cells),
        style.escape("* which is not comparable; the reason stands with the printed row"): any(
            cell.published is not None and not cell.published.comparable for cell in cells
        ),
        f"{style.escape('≥')}{board.rules.psnr_cap:g}: identical pixels, whose PSNR is infinite": any(
            cell.mean == board.rules.psnr_cap for row in board.measured for cell in row.cells.values()
        ),
    }
    return [note for note, holds in said.items() if holds]


def _title(board: Board, style: _Style) -> str:
    counts = {f"{counted(row.record.samples, 'sample')} of {counted(row.record.videos, 'video')}" for row in board.measured if row.record}
    shown = [board.dataset, f"split {board.split}", *sorted(counts), f"protocol {board.rules.id} version {board.rules.version}"]
    return style.escape(", ".join(shown))


def digits(column: Column) -> int:
    """Digits behind the point: two, or four where there is no unit."""
    return 4 if column.unit in ("", "1") else 2


def _letter(index: int) -> str:
    """a … z, aa, ab …"""
    return ("" if index < 26 else _letter(index // 26 - 1)) + chr(ord("a") + index % 26)


def _line(text: str) -> str:
    return " ".join(unsteered(text).split())
