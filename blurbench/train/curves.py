"""Loss curves: a CSV that survives a resume, TensorBoard where it is installed, and a picture."""

from __future__ import annotations

import csv
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from blurbench.store.disk import replacing, telling

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEADER = ("stage", "step", "seconds", "rate", "term", "value")
"""Of the CSV: one line a term. Terms are those of the losses, a total for each player (`turns.TOTAL`), and `VALIDATION`."""
VALIDATION = "validation"


class Curves:
    """`losses.csv` in a folder, and beside it TensorBoard's events."""

    def __init__(
        self,
        folder: Path,
        keep: Callable[[str, int, str], bool],
        note: Callable[[str], None],
        done: int = 0,
        validated: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """keep: whether a line of an earlier run, by its stage, step and term, is from before the state that is resumed.

        done: the steps of all stages together before that state; TensorBoard forgets those behind. note: told where TensorBoard is not
        installed, and of a picture that could not be drawn. validated: by stage, what its validation is, in words. Raises
        DataSetError when the file cannot be written.
        """
        self.path, self.note, self.validated = folder / "losses.csv", note, validated
        kept = [row for row in read(self.path) if keep(row[0], int(row[1]), row[4])]
        with replacing(self.path) as part, part.open("w", newline="") as file:
            csv.writer(file).writerows([HEADER, *kept])
        self.file = self.path.open("a", newline="")
        self.table = csv.writer(self.file)
        self.board: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter

            self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=done + 1)
        except ImportError:
            note("tensorboard is not installed: loss curves go to CSV and PNG only; `pip install tensorboard` for both")

    def add(self, stage: str, step: int, done: int, seconds: float, rate: float, terms: Mapping[str, float]) -> None:
        """step: of the stage; done: of all stages together, which TensorBoard counts. Raises DataSetError when it cannot be written."""
        with telling(self.path):
            self.table.writerows([stage, step, f"{seconds:.1f}", f"{rate:.6g}", name, f"{value:.9g}"] for name, value in terms.items())
            self.file.flush()
        if self.board is not None:
            for name, value in terms.items():
                self.board.add_scalar(f"{stage}/{name}", value, done)

    def close(self) -> None:
        """Flush everything, and draw the picture where matplotlib is installed; one that cannot be drawn is a note, never an error."""
        self.file.close()
        if self.board is not None:
            self.board.close()
        picture = self.path.with_suffix(".png")
        try:
            draw(read(self.path), picture, self.validated)
        except Exception as error:  # whatever it is, the training is worth more than its picture
            self.note(f"{picture} was not drawn ({type(error).__name__}: {error}); the curves are in {self.path}")


def read(path: Path) -> list[list[str]]:
    """The whole lines of a CSV of curves, without its header; a line that a kill cut short is left out."""
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return [row for row in csv.reader(file) if len(row) == len(HEADER) and row[1].isdigit() and row[5]]


def draw(rows: Sequence[Sequence[str]], path: Path, validated: Mapping[str, str] = MappingProxyType({})) -> None:
    """A picture of the curves: a panel of the losses a stage, logarithmic, and below it one of the validation; nothing where there are none
    or matplotlib is not installed. With losses of both signs the axis is linear below the least of the terms' typical sizes.

    The validation has an axis of its own, for it may be a score that grows; `validated` names it, by stage. Values that are not
    finite are left out, and with them terms that have no others. Raises DataSetError when it cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    stages = list(dict.fromkeys(row[0] for row in rows))
    if not stages:
        return
    drawn = [row for row in rows if math.isfinite(float(row[5]))]
    panels = [3, 2] if any(row[4] == VALIDATION for row in drawn) else [3]
    figure = Figure(figsize=(8 * len(stages), 1.3 * sum(panels)), layout="constrained")
    grid = figure.subplots(len(panels), len(stages), squeeze=False, sharex="col", height_ratios=panels)
    for column, stage in zip(grid.T, stages, strict=True):
        losses = [row for row in drawn if row[0] == stage and row[4] != VALIDATION]
        _plot(column[0], losses)
        column[0].set_title(stage)
        if any(float(row[5]) <= 0 for row in losses):
            column[0].set_yscale("symlog", linthresh=_least(losses))
        else:
            column[0].set_yscale("log")
        for axes in column[1:]:
            _plot(axes, [row for row in drawn if row[0] == stage and row[4] == VALIDATION])
            axes.set_ylabel(validated.get(stage, ""))
        column[-1].set(xlabel="step")
    with replacing(path) as part, part.open("wb") as file:
        figure.savefig(file, format="png", dpi=100)


def _least(rows: Sequence[Sequence[str]]) -> float:
    """The least median size of the terms, zeros aside: a single value near 0 would take up the picture."""
    sizes = [[abs(float(row[5])) for row in rows if row[4] == term and float(row[5])] for term in {row[4] for row in rows}]
    return min((statistics.median(each) for each in sizes if each), default=1.0)


def _plot(axes: Axes, rows: Sequence[Sequence[str]]) -> None:
    """A line a term, with the legend beside the panel, where it hides no point."""
    for term in dict.fromkeys(row[4] for row in rows):
        points = [(int(row[1]), float(row[5])) for row in rows if row[4] == term]
        axes.plot(*zip(*points, strict=True), label=term, marker="." if len(points) < 30 else "")
    if axes.lines:
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
