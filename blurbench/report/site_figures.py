"""The figures of a board, drawn again only when their numbers change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from blurbench.errors import BlurbenchError
from blurbench.report import plots_data
from blurbench.report.board import Board
from blurbench.report.site_files import Made, SiteFiles
from blurbench.run.predictions import Predictions
from blurbench.store.reader import MadeDataSet

_DRAWN = 4  # raised when figures look different: what an earlier build drew is then drawn again
_CAPTIONS = {
    "seconds": "Quality against seconds a sample; the stepped line is the Pareto front, upright ones are intervals, dashed ones trivial.",
    "parameters": "Quality against the size of the network, drawn in the same way.",
    "ladder": "The ladder of directions: one prediction scored with the direction of time chosen ever more freely.",
    "forest": "Paired differences to the best method, trivial only if all are, sample by sample, with 95 % intervals over source videos.",
    "blur-size": "Quality against the blur of a sample, in bins of as many samples each, with 95 % intervals over source videos.",
    "best-of": "What the best of N draws of a stochastic method is expected to score, with 95 % intervals over source videos.",
}


@dataclass(frozen=True)
class Figure:
    """A figure on a page: paths from the root of the site, size in CSS pixels."""

    kind: str
    svg: str
    png: str
    alt: str
    caption: str
    width: int
    height: int


class Figures:
    """Figures of boards for one site. data, folders: made data set and stored predictions, where given, for blur size and draws."""

    def __init__(self, site: SiteFiles, runs: Path, data: MadeDataSet | None = None, folders: Sequence[Path] = ()) -> None:
        self.site, self.runs, self.data = site, runs, data
        self.several = [folder for folder in folders if (header := Predictions(folder).header) and header.draws > 1]

    def of(self, board: Board) -> list[Figure]:
        """All figures for which the board has numbers."""
        return [figure for kind in _CAPTIONS if (figure := self._figure(kind, board))]

    def _figure(self, kind: str, board: Board) -> Figure | None:
        """None where there is nothing to draw, or what it needs is gone."""
        if self._needless(kind, board):
            return None
        column = plots_data.column_of(board)

        def draw() -> Made:
            from blurbench.report import plots_files  # matplotlib stays unloaded until something is drawn

            made = plots_files.draw(kind, board, column, plots_files.Inputs(self.runs, None, self.data, self.several))
            if made is None:
                return Made({})
            facts = {"alt": made.alt, "width": made.width, "height": made.height}
            return Made({"svg": (".svg", made.svg), "png": (".png", made.png)}, facts)

        try:
            media = self.site.media(self._key(kind, board), draw, "figures")
        except BlurbenchError:
            return None
        if not media.files:
            return None
        facts = media.facts
        return Figure(kind, media.files["svg"], media.files["png"], facts["alt"], _CAPTIONS[kind], facts["width"], facts["height"])

    def _needless(self, kind: str, board: Board) -> bool:
        """Whether it is known without looking closer that there is nothing to draw."""
        if kind in ("blur-size", "best-of"):
            return self.data is None or not plots_data.same_data(board, self.data) or (kind == "best-of" and not self.several)
        return len(board.measured) < (2 if kind == "forest" else 1)

    def _key(self, kind: str, board: Board) -> object:
        """What changes when the figure does: the rules, the runs, and for some figures the data and the stored draws."""
        runs = [
            [row.record.name, row.record.date, row.seconds, row.parameters, [[c.mean, c.low, c.high] for c in row.cells.values()]]
            for row in board.measured
            if row.record
        ]
        key: list[object] = [_DRAWN, kind, board.name, board.rules.digest(), runs]
        if self.data and kind in ("blur-size", "best-of"):
            key.append(self.data.manifest.content(board.split))
        if kind == "best-of":
            states = [path.stat() for folder in self.several for path in sorted(folder.glob("*.h5"))]
            key.append([[state.st_size, state.st_mtime_ns] for state in states])
        return key
