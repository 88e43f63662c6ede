"""The cards of methods, data sets and protocols, as their pages show them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from blurbench.errors import BlurbenchError, counted
from blurbench.methods import MethodCard, method_class
from blurbench.metrics.protocol import Protocol
from blurbench.report import site_words, typeset
from blurbench.report.board import TRIVIAL, Board, Row
from blurbench.report.site_board import weights
from blurbench.report.site_files import page_name
from blurbench.synth import recipe as recipes
from blurbench.synth.recipe import Recipe

_MOST = 250  # numbers in the table of a method


@dataclass(frozen=True)
class Cell:
    """Text, where it leads to from the root of the site, and for a number what to sort by."""

    text: str
    link: str = ""
    key: str = ""


@dataclass(frozen=True)
class Table:
    """Rows below a heading. numbers: heads of columns that sort as numbers."""

    heading: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    numbers: Sequence[str] = ()


@dataclass(frozen=True)
class Card:
    """A page of facts. path: from the root of the site."""

    path: str
    name: str
    title: str
    paragraphs: list[str] = field(default_factory=list)
    facts: list[tuple[str, str]] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    table: Table | None = None
    citation: str = ""
    boards: list[Cell] = field(default_factory=list)


def board_path(board: Board) -> str:
    """Where a board's page is, from the root of the site."""
    return f"boards/{page_name(board.name.lower())}.html"


def board_link(board: Board) -> Cell:
    """A board's name for people, with its page."""
    return Cell(f"{board.dataset}, {board.split}: {board.rules.id}", board_path(board))


def method(id: str, boards: Sequence[Board]) -> Card:
    """The card of a method, installed or not, with each of its rows."""
    rows = [(board, row) for board in boards for row in board.rows if row.method == id]
    known = _method_card(id)
    titles = [row.record.title for _, row in rows if row.record]
    said = [] if known else ["This blurbench knows no method of that name: it is what the run record or the paper says."]
    said += ["Trivial: it shows what a number is worth."] if id in TRIVIAL else []
    facts = [("paper", known.paper), ("licence", known.licence), ("weights", known.weights or "none needed")] if known else []
    facts += [(known.data_label, known.training_data), ("released", known.released)] if known and known.released else []
    said += [f"The first {_MOST} of {len(rows):,} numbers are listed; the boards have all."] if len(rows) > _MOST else []
    head = ["board", "variant", "weights", "column", "value", "record"]
    table = Table("Numbers", head, [_method_row(board, row) for board, row in rows[:_MOST]], numbers=["value"])
    return Card(
        f"methods/{page_name(id)}.html",
        id,
        known.title if known else next(iter(titles), ""),
        said,
        [(name, value) for name, value in facts if value],
        table=table,
        citation=known.citation.strip() if known else "",
    )


def dataset(label: str, boards: Sequence[Board]) -> Card:
    """The card of a data set, from its recipe and from what the records say."""
    of = [board for board in boards if board.dataset == label]
    recipe = _recipe(label)
    said = [_joined(recipe.description)] if recipe else ["This blurbench has no recipe of that name."]
    said += _origin(label)
    facts = [("recipe", f"{recipe.id} version {recipe.version}"), ("licence", recipe.licence)] if recipe else []
    counts = {
        (b.split, b.fingerprint, r.record.samples + len(r.record.failed), r.record.videos) for b in of for r in b.measured if r.record
    }
    facts += [
        (f"split {split}", f"{counted(samples, 'sample')} of {counted(videos, 'video')}, fingerprint {fingerprint[:12]}")
        for split, fingerprint, samples, videos in sorted(counts)
    ]
    title = recipe.title if recipe else ""
    citation = recipe.citation.strip() if recipe else ""
    links = [board_link(board) for board in of]
    return Card(dataset_path(label), label, title, said, facts, citation=citation, boards=links)


def protocol(rules: Protocol, boards: Sequence[Board]) -> Card:
    """The text of a protocol, in words, with all its columns."""
    head = ["column", "metric", "unit", "better", "what counts", "what it is"]
    rows = [
        [
            *map(Cell, (column.name, site_words.metric(column), site_words.unit(column))),
            *map(Cell, (column.better, site_words.rule(column, rules), column.description)),
        ]
        for column in rules.columns
    ]
    links = [board_link(board) for board in boards if (board.rules.id, board.rules.version) == (rules.id, rules.version)]
    facts = [("version", str(rules.version)), ("digest of the rules", rules.digest())]
    table = Table("Columns", head, rows)
    name = f"{rules.id} version {rules.version}"
    words = [_joined(rules.description)]
    return Card(protocol_path(rules), name, rules.title, words, facts, site_words.sentences(rules), table, boards=links)


def dataset_path(label: str) -> str:
    """Where the card of a data set is, from the root of the site."""
    return f"datasets/{page_name(label)}.html"


def protocol_path(rules: Protocol) -> str:
    """Where the text of a protocol is, from the root of the site."""
    return f"protocols/{page_name(f'{rules.id}-v{rules.version}')}.html"


def method_ids(boards: Iterable[Board]) -> frozenset[str]:
    """Methods that get a page: those measured, and those printed that blurbench has."""
    rows = [row for board in boards for row in board.rows]
    return frozenset(row.method for row in rows if row.measured or row.published[0].method)


def _method_card(id: str) -> MethodCard | None:
    """None for what is not installed, is broken, or came from a file: a card says nothing about a stranger's number."""
    if ".py" in id or "/" in id:
        return None
    try:
        return method_class(id.partition("+")[0]).card  # behind a plus are the options of the run
    except BlurbenchError:
        return None


def _method_row(board: Board, row: Row) -> list[Cell]:
    column = next(column for column in board.rules.columns if column.name == board.rules.rank_by)
    cell = row.cells[column.name]
    value = typeset.number(cell.mean, column, board.rules.psnr_cap) if row.measured else cell.published.printed if cell.published else ""
    unit = site_words.unit(column)
    link = f"records/{page_name(row.record.name)}.json" if row.record else ""
    sha256 = row.record.weights["sha256"] if row.record and row.record.weights else ""
    last = Cell("record", link) if link else Cell(f"printed by {row.source}")
    return [
        board_link(board),
        Cell(row.variant),
        Cell(f"{weights(row)} {sha256[:8]}".strip()),
        Cell(column.name),
        Cell(f"{value} {unit}".strip() if value else "", key="" if cell.mean is None else f"{cell.mean:.6g}"),
        last,
    ]


def _recipe(label: str) -> Recipe | None:
    """The recipe behind a label, which may end in -rendered or -released and have changed keys in brackets."""
    plain = re.sub(r"\[.*", "", label)
    for name in (plain, plain.rpartition("-")[0]):
        try:
            return recipes.load(name) if name and not name.endswith(".toml") else None
        except BlurbenchError:
            continue
    return None


def _origin(label: str) -> list[str]:
    said = []
    if "-rendered" in label:
        said.append(
            "Made from blurbench's built-in rendered footage: these are not the paper's pictures, and numbers of papers do not apply."
        )
    if "-released" in label:
        said.append("Imported as released: the very pictures of the paper.")
    if match := re.search(r"\[(.*)\]", label):
        said.append(f"Keys of the recipe were changed: {match[1]}.")
    return said


def _joined(text: str) -> str:
    return " ".join(text.split())
