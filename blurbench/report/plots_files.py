"""Figures of run records as files, kind by kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from blurbench.errors import BlurbenchError, PredictionError, RecordError, UnknownNameError
from blurbench.metrics.protocol import Column
from blurbench.report import plots, plots_data
from blurbench.report.board import Board, Row, boards, collect
from blurbench.report.plots_style import Files
from blurbench.store.disk import replacing
from blurbench.store.reader import MadeDataSet, open_dataset

KINDS = ("seconds", "parameters", "ladder", "forest", "blur-size", "best-of", "residual")
OF_DATA = ("blur-size", "best-of", "residual")
OF_PREDICTIONS = {"best-of": "folders of several draws", "residual": "folders of them"}
"""Kinds that are drawn from the made data set, and from stored predictions, in words."""
COSTS: dict[str, tuple[str, Callable[[Row], float | None]]] = {
    "seconds": ("seconds a sample", lambda row: row.seconds),
    "parameters": ("parameters", lambda row: row.parameters),
}
"""Costs of which there are figures: words for the axis, and the number of a row."""


@dataclass(frozen=True)
class Inputs:
    """What a figure of a board is drawn from besides the board. runs: folder of the records; reference: a method, for `forest`; tell:
    called with a line for each run, or folder of predictions, that has no place in it.
    """

    runs: Path
    reference: str | None = None
    data: MadeDataSet | None = None
    folders: Sequence[Path] = ()
    tell: Callable[[str], None] = lambda text: None


def plot(
    kind: str,
    runs: Path | str = "runs",
    out: Path | str = "plots",
    *,
    protocol: str | None = None,
    column: str | None = None,
    reference: str | None = None,
    dataset: Path | str | None = None,
    predictions: Sequence[Path | str] = (),
    tell: Callable[[str], None] = lambda text: None,
) -> list[Path]:
    """Write `<board>-<kind>.png` and `.svg` for each board that has the numbers; returns the paths.

    kind: one of KINDS. protocol: only its boards. column: which quality, by default the one that ranks. The others: see `Inputs`.
    tell: called with a line for each record or board that is left out. Raises UnknownNameError for a kind, and for a protocol, column or
    reference that no board has, RecordError where nothing can be drawn, PredictionError for predictions that cannot be used, other
    BlurbenchErrors for what is wanted and was not given, or cannot be read.
    """
    if kind not in KINDS:
        raise UnknownNameError("kind of figure", kind, KINDS)
    absent = ["--dataset, the made data set of the runs"] if kind in OF_DATA and dataset is None else []
    absent += [f"--predictions, {OF_PREDICTIONS[kind]}"] if kind in OF_PREDICTIONS and not predictions else []
    if absent:
        raise BlurbenchError(f"a figure of {kind} was asked for without all that it needs; add {' and '.join(absent)}")
    found, left_out = collect(runs)
    for line in left_out:
        tell(f"left out: {line}")
    known = boards(found)
    chosen = [board for board in known if protocol in (None, board.rules.id)]
    if known and not chosen and protocol:
        raise UnknownNameError("protocol", protocol, {board.rules.id for board in known}, f"the run records of {runs}")
    if not chosen:
        raise RecordError(f"no run records{f' of protocol {protocol}' if protocol else ''} in {runs}/; `blurbench evaluate` writes them")
    data = open_dataset(dataset) if dataset is not None else None
    inputs = Inputs(Path(runs), reference, data, [Path(folder) for folder in predictions], tell)
    _check_asked(kind, chosen, column, inputs)
    written = []
    for board in chosen:
        try:
            figure = draw(kind, board, plots_data.column_of(board, column), inputs)
        except BlurbenchError as error:
            if len(chosen) == 1:
                raise
            tell(f"{board.name}: {error}")
            continue
        if figure is None:
            tell(f"{board.name}: no numbers for a figure of {kind}: {_why_not(kind, board, plots_data.column_of(board, column), inputs)}")
            continue
        for suffix, content in ((".png", figure.png), (".svg", figure.svg)):
            written.append(Path(out) / f"{board.name}-{kind}{suffix}")
            with replacing(written[-1]) as part:
                part.write_bytes(content)
    if not written:
        raise RecordError(f"none of {len(chosen)} boards in {runs}/ has the numbers for a figure of {kind}; see the lines above")
    return written


def _check_asked(kind: str, chosen: Sequence[Board], column: str | None, inputs: Inputs) -> None:
    """Raises what is wrong for every board, which would be told once for each."""
    columns = {known.name for board in chosen for known in board.rules.columns}
    if column and column not in columns:
        raise UnknownNameError("column", column, columns, "the protocols of these boards")
    methods = {row.method for board in chosen for row in board.measured}
    if kind == "forest" and inputs.reference and inputs.reference not in methods:
        raise UnknownNameError("reference", inputs.reference, methods, "these boards")
    if kind in OF_PREDICTIONS and inputs.data is not None:
        stored = plots_data.several_draws if kind == "best-of" else plots_data.stored_with_header
        for folder in inputs.folders:
            stored(folder, inputs.data)


def _why_not(kind: str, board: Board, column: Column, inputs: Inputs) -> str:
    """Why a board has no such figure, and what would give one."""
    if kind in OF_DATA and inputs.data and not plots_data.same_data(board, inputs.data):
        return f"it is not of {inputs.data.folder}; give its data set"
    if kind in OF_PREDICTIONS:
        return f"no --predictions are of its split {board.split}"
    if kind == "ladder":
        return "no method has a value in every step"
    rows = [row for row in board.measured if not row.trivial]
    filled = [each.name for each in board.rules.columns if any(row.cells[each.name].mean is not None for row in rows)]
    told = f"no method that is not trivial has {column.name}" if rows else "all its methods are trivial"
    return f"{told}; give a --column that one has: {', '.join(filled)}" if filled and column.name not in filled else told


def draw(kind: str, board: Board, column: Column, inputs: Inputs) -> Files | None:
    """A figure of a board, None where the board has no numbers for it. Raises BlurbenchErrors for what cannot be read."""
    title = f"{board.dataset}, {board.split}, protocol {board.rules.id}"
    if kind in COSTS:
        words, cost = COSTS[kind]
        points = plots_data.tradeoff(board, cost, column)
        return plots.tradeoff(points, column, words, title, plots_data.trivial(board, column)) if points else None
    if kind == "ladder":
        lines = plots_data.ladders(board)
        return plots.ladder(lines, plots_data.ladder(board.rules), title) if lines else None
    if kind == "forest":
        name, found = plots_data.differences(board, inputs.runs, column, inputs.reference, inputs.tell)
        return plots.forest(found, name, column, title) if found else None
    data = inputs.data
    if data is None or not plots_data.same_data(board, data):
        return None
    if kind == "blur-size":
        lines = plots_data.by_blur_size(board, inputs.runs, plots_data.blur_sizes(data, board.split), column)
        return plots.blur_size(lines, column, title) if lines else None
    folders = [folder for folder in inputs.folders if plots_data.stored_with_header(folder, data)[1].split == board.split]
    if kind == "residual":
        scatters = _scatters(folders, data, inputs.tell)
        return plots.residual(scatters, title) if scatters else None
    curves = [plots_data.best_of(folder, data, board.rules, column) for folder in folders]
    return plots.best_of(curves, column, title) if curves else None


def _scatters(folders: Sequence[Path], data: MadeDataSet, tell: Callable[[str], None]) -> list[plots_data.Scatter]:
    """Of those folders of predictions that have a correlation, a copy of the blur has none. Raises PredictionError where none has."""
    found, errors = [], {}
    for folder in folders:
        try:
            found.append(plots_data.residuals(folder, data))
        except PredictionError as error:
            errors[folder] = error
    if errors and not found:
        raise next(iter(errors.values()))
    for folder, reason in errors.items():
        tell(f"left out of the figure: {folder}: {reason}")
    return found
