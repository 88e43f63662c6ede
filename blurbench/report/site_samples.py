"""Sample pages: stored predictions beside the truth, for the best, median and worst samples of each board and for chosen ones."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from blurbench.errors import BlurbenchError, PredictionError
from blurbench.metrics.select import quantise
from blurbench.report import samples, site_words, typeset
from blurbench.report.board import Board, Row
from blurbench.report.plots_data import label
from blurbench.report.samples import Pick
from blurbench.report.site_cards import Cell, board_link
from blurbench.report.site_files import Made, Media, SiteFiles, digest, page_name
from blurbench.run import record as records
from blurbench.run.predictions import Predictions
from blurbench.store.reader import MadeDataSet
from blurbench.types import U8, Sample

if TYPE_CHECKING:
    import pandas as pd

_DRAWN = 1  # raised when the pictures of a sample page change: what an earlier build drew is then drawn again


@dataclass(frozen=True)
class Clip:
    """One moving picture of a page. views: path of `pictures`, and where there are such, of `error`, `turned` and `flow`, in this order."""

    name: str
    page: str
    describes: str
    views: list[tuple[str, str]]
    frames: int
    columns: int
    errors: int = 0
    compared: bool = False
    scores: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class SamplePage:
    """What the page of a sample shows. page: its path; picture: a small one for links to it, with width and height."""

    page: str
    sample: str
    dataset: str
    split: str
    why: str
    boards: list[Cell]
    clips: list[Clip]
    count: int
    blurry: str
    width: int
    height: int
    reduced: bool
    flow_top: float
    error_key: str
    wheel: str
    error_top: int = samples.ERROR_TOP

    @property
    def picture(self) -> str:
        """The blurry picture."""
        return self.blurry


@dataclass
class Stored:
    """A folder of predictions with the split that they are of, and their rows on the boards of these data."""

    folder: Path
    predictions: Predictions
    split: str
    rows: list[tuple[Board, Row]]
    _videos: dict[str, object] = field(default_factory=dict)

    @property
    def place(self) -> tuple[bool, float, str]:
        """What to order by: methods as the first board ranks them, then what has no rank, the trivial ones last."""
        row = self.rows[0][1] if self.rows else None
        rank = row.rank if row and row.rank is not None else float("inf")
        return bool(row and row.trivial), rank, self.name

    @cached_property
    def name(self) -> str:
        """The method, with its weights where a board has it twice; the folder where no board has it."""
        if self.rows:
            board, row = self.rows[0]
            return label(row, board)
        return self.predictions.header.method if self.predictions.header else self.folder.name

    def key(self, sample: str) -> object:
        """What changes when the stored prediction of a sample does: its files' sizes and times."""
        video = sample.rpartition("/")[0]
        if not self.predictions.header:
            return [self.folder.name, [_state(path) for path in sorted((self.folder / sample).rglob("*")) if path.is_file()]]
        if video not in self._videos:
            path = self.folder / f"{video}.h5"
            self._videos[video] = [digest(asdict(self.predictions.header)), _state(path) if path.is_file() else None]
        return self._videos[video]


def _state(path: Path) -> list[object]:
    state = path.stat()
    return [path.name, state.st_size, state.st_mtime_ns]


class SamplePages:
    """Makes the pages of one data set. tell: called with a line for what cannot be shown."""

    def __init__(
        self, data: MadeDataSet, folders: Sequence[Path], boards: Sequence[Board], runs: Path, site: SiteFiles, tell: Callable[[str], None]
    ) -> None:
        self.data, self.boards, self.runs, self.site, self.tell = data, boards, runs, site, tell
        self.stored = sorted((_stored(folder, data, boards) for folder in folders), key=lambda each: each.place)
        self._tables: dict[str, pd.DataFrame | None] = {}
        self._by_sample: dict[str, dict[str, dict[Hashable, Any]]] = {}

    def build(self, chosen: Sequence[str] = ()) -> list[SamplePage]:
        """All pages: chosen samples first, then those that the boards' ranking columns choose. Raises BlurbenchError for unknown ids."""
        pages = []
        for split in sorted({each.split for each in self.stored}):
            why: dict[str, list[str]] = {}
            where: dict[str, list[Board]] = {}
            known = set(self.data.ids(split))
            for sample in chosen:
                if sample in known:
                    why.setdefault(sample, []).append("by hand")
            for board in self._boards(split):
                for pick in self._picks(board):
                    why.setdefault(pick.sample, []).append(f"{pick.why} of {board.rules.id} ({board.rules.rank_by})")
                    where.setdefault(pick.sample, []).append(board)
            for sample, reasons in why.items():
                boards = where.get(sample, self._boards(split))
                pages.append(self._page(split, sample, ", ".join(reasons), boards))
        missing = [sample for sample in chosen if sample not in {page.sample for page in pages}]
        if missing:
            raise PredictionError(
                f"sample {missing[0]!r} is in no split of which predictions were given; `blurbench inspect` shows the ids"
            )
        return pages

    def _boards(self, split: str) -> list[Board]:
        place = self.data.manifest.label, split, self.data.manifest.fingerprint(split)
        return [board for board in self.boards if (board.dataset, board.split, board.fingerprint) == place]

    def _picks(self, board: Board) -> list[Pick]:
        """By the runs whose predictions can be shown, without the trivial ones where there are others."""
        rows = [row for each in self.stored for on, row in each.rows if on is board]
        serious = [row for row in rows if not row.trivial] or rows
        column = next(column for column in board.rules.columns if column.name == board.rules.rank_by)
        tables = {row.record.name: table for row in serious if row.record and (table := self._scores(row)) is not None}
        return samples.picks(tables, column.name, column.better)

    def _scores(self, row: Row) -> pd.DataFrame | None:
        """The scores of a run by sample, None where they are gone."""
        assert row.record
        name = row.record.name
        if name not in self._tables:
            try:
                self._tables[name] = records.scores(self.runs / f"{name}.json")
            except BlurbenchError as error:
                self.tell(str(error))
                self._tables[name] = None
        return self._tables[name]

    def _lines(self, row: Row) -> dict[str, dict[Hashable, Any]]:
        """The scores of a run by sample."""
        assert row.record
        name = row.record.name
        if name not in self._by_sample:
            table = self._scores(row)
            self._by_sample[name] = {} if table is None else {str(line["sample"]): line for line in table.to_dict("records")}
        return self._by_sample[name]

    def _page(self, split: str, sample: str, why: str, boards: Sequence[Board]) -> SamplePage:
        lazy = _Lazy(self.data, sample)
        content = self.data.manifest.content(split)
        truth = self.site.media(
            [_DRAWN, "truth", content, sample, samples.WIDEST], lambda: samples.truth(lazy.sample.blurry, lazy.sample.sharp)
        )
        facts = truth.facts
        true = Clip("true frames", "", "the true frames", _views(truth), facts["frames"], facts["columns"])
        blurry = Clip("blurry input", "", "the blurry input", [("pictures", truth.files["blurry"])], 1, 1)
        clips = [
            clip for each in self.stored if each.split == split and (clip := self._clip(each, sample, content, facts["flow_top"], lazy))
        ]
        keys = self.site.media(
            [_DRAWN, "keys", samples.ERROR_TOP],
            lambda: Made(
                {
                    "error": (".png", samples.encoded(samples.error_key(), ".png")),
                    "wheel": (".png", samples.encoded(samples.wheel(), ".png")),
                }
            ),
        )
        place = "-".join(filter(None, [self.data.manifest.label, split, self.data.manifest.fingerprint(split)[:8]]))
        return SamplePage(
            page=f"samples/{page_name(place)}/{page_name(sample)}.html",
            sample=sample,
            dataset=self.data.manifest.label,
            split=split,
            why=why,
            boards=[board_link(board) for board in boards],
            clips=[blurry, true, *clips],
            count=max(clip.frames for clip in [true, *clips]),
            blurry=truth.files["blurry"],
            width=facts["width"],
            height=facts["height"],
            reduced=facts["width"] == samples.WIDEST,
            flow_top=facts["flow_top"],
            error_key=keys.files["error"],
            wheel=keys.files["wheel"] if facts["flow_top"] else "",
        )

    def _clip(self, each: Stored, sample: str, content: str, flow_top: float, lazy: _Lazy) -> Clip | None:
        """None, with a line, where the prediction of a sample cannot be read."""
        draw, turned, scores = self._said(each, sample)
        key = [_DRAWN, "prediction", content, sample, samples.WIDEST, samples.ERROR_TOP, flow_top, draw, turned, each.key(sample)]
        try:
            media = self.site.media(key, lambda: samples.prediction(_frames(each, lazy.sample, draw, turned), lazy.sample.sharp, flow_top))
        except BlurbenchError as error:
            self.tell(str(error))
            return None
        page = f"methods/{page_name(each.rows[0][1].method)}.html" if each.rows else ""
        facts = media.facts
        return Clip(each.name, page, "its prediction", _views(media), facts["frames"], facts["columns"], facts["errors"], True, scores)

    def _said(self, each: Stored, sample: str) -> tuple[int, bool, list[str]]:
        """Of a sample the draw and whether it was turned, as the first board decided that does, and its scores in words."""
        draws: list[int] = []
        turned: list[bool] = []
        words = []
        for board, row in each.rows:
            if (line := self._lines(row).get(sample)) is None:
                continue
            draws += [] if _missing(line["draw"]) else [int(line["draw"])]
            turned += [] if _missing(line["reversed"]) else [bool(line["reversed"])]
            words.append(_score(board, line))
        return next(iter(draws), 0), next(iter(turned), False), words


class _Lazy:
    """A sample that is read when it is needed."""

    def __init__(self, data: MadeDataSet, id: str) -> None:
        self._place = data, id

    @cached_property
    def sample(self) -> Sample:
        return samples.find(*self._place)


def _stored(folder: Path, data: MadeDataSet, boards: Sequence[Board]) -> Stored:
    """Raises PredictionError for predictions of other data."""
    predictions = Predictions(folder)
    header = predictions.header
    if header:
        if header.split not in data.manifest.splits:
            raise PredictionError(
                f"{folder} holds predictions of split {header.split!r}, {data.folder} has {', '.join(data.manifest.splits)}"
            )
        header.check(data, header.split, folder)
        split, method, sha256 = header.split, header.method, header.weights["sha256"] if header.weights else None
    else:
        split, method, sha256 = _split_of(predictions, data), folder.name, None
    place = data.manifest.label, split, data.manifest.fingerprint(split)
    rows = []
    for board in boards:
        for row in board.measured:
            record = row.record
            if record is None or record.board[:3] != place or record.method != method:
                continue
            weights = record.weights
            if (weights["sha256"] if weights else None) == sha256 or (not header and weights and weights["origin"] == "submitted"):
                rows.append((board, row))
                break
    return Stored(folder, predictions, split, rows)


def _split_of(predictions: Predictions, data: MadeDataSet) -> str:
    """The split whose samples the plain pictures are named after. Raises PredictionError."""
    for split in data.manifest.splits:
        try:
            predictions.check_names(data.ids(split))
        except PredictionError:
            continue
        return split
    raise PredictionError(f"{predictions.folder} holds pictures that are named as the samples of no split of {data.folder}; rename them")


def _frames(each: Stored, sample: Sample, draw: int, turned: bool) -> U8:
    """(P, H, W, 3) uint8 in the direction in which they were scored."""
    frames = quantise(each.predictions.get(sample).frames[draw], "round")
    return np.ascontiguousarray(frames[::-1]) if turned else frames


def _views(media: Media) -> list[tuple[str, str]]:
    return [(name, media.files[name]) for name in ("pictures", "error", "turned", "flow") if name in media.files]


def _score(board: Board, line: dict[Hashable, Any]) -> str:
    """The ranking column of a sample, or for a method that does not fill it the first that it does."""
    ranking = [column for column in board.rules.columns if column.name == board.rules.rank_by]
    filled = [column for column in (*ranking, *board.rules.columns) if not _missing(line.get(column.name))]
    if not filled:
        return f"{board.rules.id}: no value"
    column = filled[0]
    turned = ", turned" if not _missing(line["reversed"]) and line["reversed"] else ""
    shown = typeset.number(float(line[column.name]), column, board.rules.psnr_cap)
    return f"{board.rules.id}: {' '.join(filter(None, [column.name, shown, site_words.unit(column)]))}{turned}"


def _missing(value: Any) -> bool:
    """Whether a cell of a table of scores is empty."""
    import pandas as pd

    return bool(pd.isna(value))
