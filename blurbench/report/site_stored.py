"""The stored predictions that a site shows: their split, their rows on the boards, and the scores of their samples."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from blurbench.errors import BlurbenchError, PredictionError
from blurbench.metrics.select import quantise
from blurbench.report import site_words, typeset
from blurbench.report.board import Board, Row
from blurbench.report.plots_data import label
from blurbench.report.site_files import digest
from blurbench.run import record as records
from blurbench.run.predictions import Predictions
from blurbench.run.record import RunRecord
from blurbench.store.reader import MadeDataSet
from blurbench.types import U8, Sample

if TYPE_CHECKING:
    import pandas as pd


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

    def frames(self, sample: Sample, draw: int, turned: bool) -> U8:
        """(P, H, W, 3) uint8: a draw in the direction in which it was scored. Raises PredictionError, also where it is not stored."""
        draws = self.predictions.get(sample).frames
        if draw >= len(draws):
            held = f"{self.folder} holds {len(draws)} draw(s) of {sample.id}, the board scored draw {draw + 1}"
            raise PredictionError(f"{held}; predict again with --samples {draw + 1} or more to see it")
        frames = quantise(draws[draw], "round")
        return np.ascontiguousarray(frames[::-1]) if turned else frames


class Scores:
    """The scores of runs by sample, each read once. runs: folder of the records; tell: called with a line for scores that are gone."""

    def __init__(self, runs: Path, tell: Callable[[str], None]) -> None:
        self._runs, self._tell = runs, tell
        self._tables: dict[str, pd.DataFrame | None] = {}
        self._lines: dict[str, dict[str, dict[Hashable, Any]]] = {}

    def table(self, record: RunRecord) -> pd.DataFrame | None:
        """The scores of a run, None where they are gone."""
        if record.name not in self._tables:
            try:
                self._tables[record.name] = records.scores(self._runs / f"{record.name}.json")
            except BlurbenchError as error:
                self._tell(str(error))
                self._tables[record.name] = None
        return self._tables[record.name]

    def said(self, stored: Stored, sample: str) -> tuple[int, bool, list[str]]:
        """Of a sample the draw and whether it was turned, as the first board that decided has it, and its score on each board in words."""
        draws: list[int] = []
        turned: list[bool] = []
        words = []
        for board, row in stored.rows:
            if row.record is None or (line := self._by_sample(row.record).get(sample)) is None:
                continue
            draws += [] if _missing(line["draw"]) else [int(line["draw"])]
            turned += [] if _missing(line["reversed"]) else [bool(line["reversed"])]
            words.append(_score(board, line))
        return next(iter(draws), 0), next(iter(turned), False), words

    def _by_sample(self, record: RunRecord) -> dict[str, dict[Hashable, Any]]:
        if record.name not in self._lines:
            table = self.table(record)
            self._lines[record.name] = {} if table is None else {str(line["sample"]): line for line in table.to_dict("records")}
        return self._lines[record.name]


def stored(folder: Path, data: MadeDataSet, boards: Sequence[Board] = ()) -> Stored:
    """A folder of predictions. Raises PredictionError for predictions of other data."""
    predictions = Predictions(folder)
    header = predictions.header
    if not header:
        split = _split_of(predictions, data)
        return Stored(folder, predictions, split, _rows(boards, data, split, folder.name, None, 0, named=True))
    if header.split not in data.manifest.splits:
        raise PredictionError(f"{folder} holds predictions of split {header.split!r}, {data.folder} has {', '.join(data.manifest.splits)}")
    header.check(data, header.split, folder)
    sha256 = header.weights["sha256"] if header.weights else None
    return Stored(folder, predictions, header.split, _rows(boards, data, header.split, header.method, sha256, header.seed))


def _rows(
    boards: Sequence[Board], data: MadeDataSet, split: str, method: str, sha256: str | None, seed: int, named: bool = False
) -> list[tuple[Board, Row]]:
    """On each board the row of a method with these weights and this seed.

    named: known by its name alone, so that submitted weights fit too.
    """
    place = data.manifest.label, split, data.manifest.fingerprint(split)
    rows = []
    for board in boards:
        for row in board.measured:
            if row.record is None or row.record.board[:3] != place or (row.record.method, row.record.seed) != (method, seed):
                continue
            weights = row.record.weights
            if (weights["sha256"] if weights else None) == sha256 or (named and weights and weights["origin"] == "submitted"):
                rows.append((board, row))
                break
    return rows


def _split_of(predictions: Predictions, data: MadeDataSet) -> str:
    """The split whose samples the plain pictures are named after. Raises PredictionError where none, or several, have such samples."""
    if not any(path.is_file() for path in predictions.folder.rglob("*")):
        raise PredictionError(
            f"{predictions.folder} holds no predictions, expected those of `blurbench predict`, or pictures; give another"
        )
    found = []
    for split in data.manifest.splits:
        with suppress(PredictionError):
            predictions.check_names(data.ids(split))
            found.append(split)
    if not found:
        raise PredictionError(
            f"{predictions.folder} holds pictures that are named as the samples of no split of {data.folder}; rename them"
        )
    if len(found) > 1:
        told = f"{predictions.folder} holds pictures that are named as the samples of the splits {' and '.join(found)} of {data.folder}"
        raise PredictionError(f"{told}; make predictions by `blurbench predict`, which say of which they are")
    return found[0]


def _state(path: Path) -> list[object]:
    state = path.stat()
    return [path.name, state.st_size, state.st_mtime_ns]


def _score(board: Board, line: dict[Hashable, Any]) -> str:
    """The ranking column of a sample, or for a method that does not fill it the first that it does."""
    ranking = [column for column in board.rules.columns if column.name == board.rules.rank_by]
    filled = [column for column in (*ranking, *board.rules.columns) if not _missing(line.get(column.name))]
    if not filled:
        return f"{board.rules.id}: no value"
    column = filled[0]
    turned = ", reversed" if not _missing(line["reversed"]) and line["reversed"] else ""
    shown = typeset.number(float(line[column.name]), column, board.rules.psnr_cap)
    return f"{board.rules.id}: {' '.join(filter(None, [column.name, shown, site_words.unit(column)]))}{turned}"


def _missing(value: Any) -> bool:
    """Whether a cell of a table of scores is empty."""
    import pandas as pd

    return bool(pd.isna(value))
