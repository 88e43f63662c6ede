"""Sample pages: stored predictions beside the truth, for the best, median and worst samples of each board and for chosen ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from blurbench.errors import BlurbenchError, PredictionError
from blurbench.report import samples
from blurbench.report.board import Board
from blurbench.report.samples import Pick
from blurbench.report.site_cards import Cell, board_link
from blurbench.report.site_files import Made, Media, SiteFiles, page_name
from blurbench.report.site_stored import Scores, Stored, stored
from blurbench.store.reader import MadeDataSet
from blurbench.types import Sample

_DRAWN = 2  # raised when the pictures of a sample page change: what an earlier build drew is then drawn again


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
    """What the page of a sample shows. page: its path; blurry: the picture that links to it show, with width and height."""

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


class SamplePages:
    """Makes the pages of one data set. tell: called with a line for what cannot be shown."""

    def __init__(
        self, data: MadeDataSet, folders: Sequence[Path], boards: Sequence[Board], runs: Path, site: SiteFiles, tell: Callable[[str], None]
    ) -> None:
        self.data, self.boards, self.site, self.tell = data, boards, site, tell
        self.scores = Scores(runs, tell)
        self.stored = sorted((stored(folder, data, boards) for folder in folders), key=lambda each: each.place)

    def build(self, chosen: Sequence[str] = ()) -> list[SamplePage]:
        """All pages: chosen samples first, then those that the boards' ranking columns choose.

        Raises what `chosen_by_split` does.
        """
        splits = chosen_by_split(self.data, self.stored, chosen)
        return [page for split, listed in splits.items() for page in self._split(split, listed)]

    def _split(self, split: str, chosen: Sequence[str]) -> list[SamplePage]:
        why = {sample: ["by hand"] for sample in chosen}
        where: dict[str, list[Board]] = {}
        boards = self._boards(split)
        for board in boards:
            for pick in self._picks(board):
                why.setdefault(pick.sample, []).append(f"{pick.why} of {board.rules.id} ({board.rules.rank_by})")
                where.setdefault(pick.sample, []).append(board)
        return [self._page(split, sample, ", ".join(reasons), where.get(sample, boards)) for sample, reasons in why.items()]

    def _boards(self, split: str) -> list[Board]:
        place = self.data.manifest.label, split, self.data.manifest.fingerprint(split)
        return [board for board in self.boards if (board.dataset, board.split, board.fingerprint) == place]

    def _picks(self, board: Board) -> list[Pick]:
        """By the runs whose predictions can be shown, without the trivial ones where there are others."""
        rows = [row for each in self.stored for on, row in each.rows if on is board]
        serious = [row for row in rows if not row.trivial] or rows
        column = next(column for column in board.rules.columns if column.name == board.rules.rank_by)
        tables = {row.record.name: table for row in serious if row.record and (table := self.scores.table(row.record)) is not None}
        return samples.picks(tables, column.name, column.better)

    def _page(self, split: str, sample: str, why: str, boards: Sequence[Board]) -> SamplePage:
        lazy = _Lazy(self.data, sample, split)
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
        keys = self.site.media([_DRAWN, "keys", samples.ERROR_TOP], _keys).files
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
            reduced=facts["reduced"],
            flow_top=facts["flow_top"],
            error_key=keys["error"],
            wheel=keys["wheel"] if facts["flow_top"] else "",
        )

    def _clip(self, each: Stored, sample: str, content: str, flow_top: float, lazy: _Lazy) -> Clip | None:
        """None, with a line, where the prediction of a sample cannot be read."""
        draw, turned, scores = self.scores.said(each, sample)
        key = [_DRAWN, "prediction", content, sample, samples.WIDEST, samples.ERROR_TOP, flow_top, draw, turned, each.key(sample)]
        try:
            media = self.site.media(key, lambda: samples.prediction(each.frames(lazy.sample, draw, turned), lazy.sample.sharp, flow_top))
        except BlurbenchError as error:
            self.tell(str(error))
            return None
        page = f"methods/{page_name(each.rows[0][1].method)}.html" if each.rows else ""
        facts = media.facts
        return Clip(each.name, page, "its prediction", _views(media), facts["frames"], facts["columns"], facts["errors"], True, scores)


def chosen_by_split(data: MadeDataSet, stored: Sequence[Stored], chosen: Sequence[str]) -> dict[str, list[str]]:
    """The splits with predictions, sorted, and which of the chosen samples are to be shown of each: of every one that has the id.

    Raises PredictionError for a sample of a split without predictions, other BlurbenchErrors for unknown ids.
    """
    splits: dict[str, list[str]] = {split: [] for split in sorted({each.split for each in stored})}
    for sample in chosen:
        found = [split for split in splits if sample in data.ids(split)]
        if not found:
            split, _, _ = data.place(sample)
            raise PredictionError(
                f"sample {sample!r} is of split {split!r}, predictions were given of {', '.join(splits)}; add some of {split!r}"
            )
        for split in found:
            splits[split].append(sample)
    return splits


class _Lazy:
    """A sample that is read when it is needed."""

    def __init__(self, data: MadeDataSet, id: str, split: str) -> None:
        self._data, self._id, self._split = data, id, split

    @cached_property
    def sample(self) -> Sample:
        return self._data.sample(self._id, split=self._split)


def _keys() -> Made:
    """The keys to the colours of errors and of flow."""
    pictures = {"error": samples.error_key(), "wheel": samples.wheel()}
    return Made({name: (".png", samples.encoded(picture, ".png")) for name, picture in pictures.items()})


def _views(media: Media) -> list[tuple[str, str]]:
    return [(name, media.files[name]) for name in ("pictures", "error", "turned", "flow") if name in media.files]
