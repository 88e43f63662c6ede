"""The static site: boards, cards, figures and samples as pages that open from disk, without server, network or strangers' scripts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

import blurbench
from blurbench.errors import PredictionError
from blurbench.report import site_board, site_cards, site_rows, site_words, typeset
from blurbench.report.board import Board, empty_reasons
from blurbench.report.site_cards import Card
from blurbench.report.site_figures import Figures
from blurbench.report.site_files import Counts, SiteFiles, page_name
from blurbench.report.site_samples import SamplePage, SamplePages, chosen_by_split
from blurbench.report.site_stored import stored
from blurbench.report.table import to_csv
from blurbench.store.reader import MadeDataSet, open_dataset

_LISTED = 500  # entries of a list on the first page


@dataclass(frozen=True)
class Built:
    """What a build made: the first page, and how many files were written, kept and removed."""

    index: Path
    counts: Counts


def build_site(
    boards: Sequence[Board],
    out: Path | str = "site",
    *,
    runs: Path | str = "runs",
    left_out: Sequence[str] = (),
    dataset: Path | str | None = None,
    predictions: Sequence[Path | str] = (),
    samples: Sequence[str] = (),
    tell: Callable[[str], None] = lambda text: None,
) -> Built:
    """Write the site of these boards into a folder, only what changed; open its `index.html`.

    runs: folder of the records, for scores a sample. left_out: lines about records that are on no board. dataset, predictions: a made
    data set and folders of stored predictions on it, for sample pages; samples: ids to show beside those that are chosen by score.
    tell: called with a line for what cannot be shown, and where sample pages of an earlier build go, because this one was not given them.
    Files in the folder that no build made are left alone.
    Raises PredictionError for predictions without their data set or of other data, other BlurbenchErrors for files.
    """
    data = check_shown(dataset, predictions, samples)
    site, folders = SiteFiles(Path(out)), [Path(folder) for folder in predictions]
    pages = SamplePages(data, folders, boards, Path(runs), site, tell).build(samples) if data and folders else []
    writer = _Writer(site, boards, pages)
    figures = Figures(site, Path(runs), data, folders)
    for board in boards:
        writer.board(board, figures)
    writer.samples()
    writer.cards()
    writer.index(left_out)
    for name in ("site.css", "site.js"):
        site.write(name, (resources.files("blurbench.report") / "templates" / name).read_bytes())
    if gone := sum(path.startswith("samples/") for path in site.left):
        tell(f"removed {gone} sample pages of the build before; give --dataset, --predictions and --sample as then to keep them")
    return Built(Path(out) / "index.html", site.finish())


def check_shown(
    dataset: Path | str | None = None, predictions: Sequence[Path | str] = (), samples: Sequence[str] = ()
) -> MadeDataSet | None:
    """The data set of what sample pages are to show, None without one; arguments as of `build_site`, whose errors about them it raises."""
    if (predictions or samples) and dataset is None:
        raise PredictionError(f"{'predictions' if predictions else 'samples'} were given without their data set; add --dataset")
    if samples and not predictions:
        raise PredictionError("samples were given without predictions of them; add --predictions")
    if dataset is None:
        return None
    if not predictions:
        raise PredictionError(f"the data set {dataset} was given without predictions to show of it; add --predictions, or leave it out")
    data = open_dataset(dataset)
    chosen_by_split(data, [stored(Path(folder), data) for folder in predictions], samples)
    return data


class _Writer:
    """Writes the pages of some boards."""

    def __init__(self, site: SiteFiles, boards: Sequence[Board], pages: Sequence[SamplePage]) -> None:
        self.site, self.boards, self.pages = site, boards, pages
        self.methods = site_cards.method_ids(boards)
        self.lists = _cards(boards, self.methods)
        self.templates = Environment(
            loader=PackageLoader("blurbench.report"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=_clean,
        )

    def board(self, board: Board, figures: Figures) -> None:
        """The page of a board, its CSV beside it, and the records of its rows."""
        place = site_cards.board_path(board)
        table = f"{board.name}.csv"
        self.site.write(f"boards/{table}", to_csv(board))
        for row in board.measured:
            assert row.record
            text = json.dumps(asdict(row.record), indent=1)
            self.site.write(f"records/{page_name(row.record.name)}.json", text)
        rows, scripts = self._rows(board, place)
        self._page(
            "board.html",
            place,
            board=board,
            heads=site_board.heads(board),
            costs=site_board.costs(board),
            rows=rows,
            scripts=scripts,
            missing=board.missing_trivial,
            prizes=bool(typeset.prizes(board)),
            reasons=empty_reasons(board),
            csv=table,
            protocol_page=site_cards.protocol_path(board.rules),
            dataset_page=site_cards.dataset_path(board.dataset),
            figures=figures.of(board),
            samples=[page for page in self.pages if place in {link.link for link in page.boards}],
        )

    def _rows(self, board: Board, place: str) -> tuple[list[Markup], list[str]]:
        """The rows that stand in the page of a board, and the names of the scripts with the others, written beside it."""
        lines = site_board.lines(board, self.methods)

        def row(number: int, again: bool = False) -> str:
            return self._render("row.html", place, line=lines[number], again=again)

        parts = site_rows.split([row(number) for number in range(len(lines))], [n for n, line in enumerate(lines) if line.trivial])
        names = [f"{place.removesuffix('.html')}.rows-{number}.js" for number in range(1, len(parts.scripts) + 1)]
        for name, script in zip(names, parts.scripts, strict=True):
            self.site.write(name, script)
        return [Markup(row(number, number in parts.again)) for number in parts.first], [name.rpartition("/")[2] for name in names]

    def samples(self) -> None:
        """The sample pages."""
        for page in self.pages:
            self._page("sample.html", page.page, page=page)

    def cards(self) -> None:
        """The cards of all methods, data sets and protocols on the boards."""
        for card in (card for cards in self.lists.values() for card in cards):
            self._page("card.html", card.path, card=card)

    def index(self, left_out: Sequence[str]) -> None:
        """The first page."""
        groups: dict[str, list[dict[str, Any]]] = {}
        for board in self.boards:
            groups.setdefault(board.dataset, []).append(_entry(board))
        lists = {kind: [{"page": c.path, "name": c.name, "title": c.title} for c in cards] for kind, cards in self.lists.items()}
        self._page("index.html", "index.html", boards=list(groups.items()), left_out=left_out, samples=self.pages, listed=_LISTED, **lists)

    def _page(self, template: str, path: str, **values: Any) -> None:
        self.site.write(path, self._render(template, path, version=blurbench.__version__, **values))

    def _render(self, template: str, path: str, **values: Any) -> str:
        """A template for the page at a path."""
        return self.templates.get_template(template).render(root="../" * path.count("/"), **values)


def _cards(boards: Sequence[Board], methods: Iterable[str]) -> dict[str, list[Card]]:
    """The cards by kind, each kind in order of names."""
    rules = {(board.rules.id, board.rules.version): board.rules for board in boards}
    return {
        "methods": [site_cards.method(id, boards) for id in sorted(methods)],
        "datasets": [site_cards.dataset(label, boards) for label in sorted({board.dataset for board in boards})],
        "protocols": [site_cards.protocol(rules[key], boards) for key in sorted(rules)],
    }


def _entry(board: Board) -> dict[str, Any]:
    """A board's line on the first page; best: of the measured methods that are not trivial."""
    column = next(column for column in board.rules.columns if column.name == board.rules.rank_by)
    best = next((row for row in board.measured if not row.trivial and row.rank is not None), None)
    samples = sorted({row.record.samples for row in board.measured if row.record})
    value = typeset.number(best.cells[column.name].mean, column, board.rules.psnr_cap) if best else ""
    return {
        "page": site_cards.board_path(board),
        "dataset_page": site_cards.dataset_path(board.dataset),
        "protocol": f"{board.rules.id} version {board.rules.version}",
        "title": board.rules.title,
        "split": board.split,
        "fingerprint": board.fingerprint[:8],
        "best": best.label if best else "",
        "value": f"{value} {site_words.unit(column)}".strip() if value else "",
        "ranked_by": f"{column.name} {site_words.ARROWS[column.better]}",
        "measured": len(board.measured),
        "printed": len(board.rows) - len(board.measured),
        "samples": " to ".join(map(str, dict.fromkeys([samples[0], samples[-1]]))) if samples else "",
        "date": max((row.record.date[:10] for row in board.measured if row.record), default=""),
    }


def _clean(value: Any) -> Any:
    """What a page prints: text without characters that steer it, whatever a record holds. Escaping comes after."""
    return value if isinstance(value, Markup) or not isinstance(value, str) else typeset.unsteered(value, keep="\n\t")
