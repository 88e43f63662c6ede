"""Protocols: how predictions become numbers, as data. `blurbench.metrics.score` follows them."""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from blurbench import metrics, strict
from blurbench.errors import BlurbenchError, PredictionError, RecipeError, UnknownNameError
from blurbench.metrics import select
from blurbench.metrics._metric import Better
from blurbench.metrics.select import FrameRule, Quantise, Reduction, Region
from blurbench.registry import METRICS, PROTOCOLS
from blurbench.strict import one_of, require, whole

ClipDirection = Literal["as-is", "clip"]
ColumnDirection = Literal["as-is", "best", "frame", "patch", "pixel", "channel"]
Decision = Literal["psnr", "psnr-ends", "each"]
Average = Literal["samples", "videos"]
Against = Literal["sharp", "blurry"]
_DRAWS = re.compile(r"first|mean|best|(best|expected-best):[1-9][0-9]*")


@dataclass(frozen=True)
class Column:
    """One number of the table.

    metric: its id; options: what it is called with besides. frames: all, centre or 0-based indices. direction: `as-is`, as the method
    returned the frames; `best`, as the protocol's decision turned the clip; or the better one each `frame`, `patch`, `pixel` or `channel`.
    tile: 0, or the side of the squares that are each scored as a clip of their own and then averaged. reduction: mean over frames, or the
    PSNR of the error pooled over frames. draws: which of a stochastic method's count, see `select.draw_weights`. average: over all
    samples alike (micro), or over videos, each the mean of its samples (macro). against: what frames are compared with: the sharp
    targets, or the blurry picture, for methods that blur again.
    """

    name: str
    metric: str
    description: str
    frames: FrameRule = "all"
    direction: ColumnDirection = "as-is"
    reduction: Reduction = "mean"
    draws: str = "first"
    tile: int = 0
    average: Average = "samples"
    against: Against = "sharp"
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def better(self) -> Better:
        """Which way is better; the metric says it."""
        return metrics.get(self.metric).info.better

    @property
    def unit(self) -> str:
        """Unit of the values; the metric says it."""
        return metrics.get(self.metric).info.unit


@dataclass(frozen=True)
class Protocol:
    """One way to score.

    quantise: what a prediction becomes before scoring. crop: the part of the pictures that counts, see `select.crop_box`. psnr_cap: what
    counts for a higher PSNR, in dB. direction: `as-is`, or `clip` for one decision a clip, forward or reversed. decide_by: what decides
    on it, and on the best draw: `psnr`, pooled over all frames, for all columns at once; `psnr-ends`, the mean PSNR of the first and the
    last frame; `each`, every column by its own value. patch: side of a patch in pixels. samples: how many a stochastic method draws.
    rank_by: the column that orders a board.
    """

    id: str
    version: int
    title: str
    description: str
    quantise: Quantise
    psnr_cap: float
    direction: ClipDirection
    rank_by: str
    columns: tuple[Column, ...]
    decide_by: Decision = "psnr"
    samples: int = 1
    crop: str = ""
    patch: int = 32

    def table(self) -> dict[str, Any]:
        """All of it as JSON has it; `of_table` reads it back."""
        table: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return table

    def digest(self) -> str:
        """SHA-256 of all that decides on numbers: everything but the words, and the code of metrics that are not blurbench's own."""
        table = asdict(self)
        if strange := {column.metric for column in self.columns if not METRICS.is_own(column.metric)}:
            table["code"] = {name: METRICS.code(METRICS.get(name)) for name in strange}
        for words in (table, *table["columns"]):
            words.pop("title", None)
            words.pop("description")
        return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()


def load(name: str) -> Protocol:
    """A protocol by id, `ID@VERSION` for no other version than that, or from a TOML file.

    Raises UnknownNameError, and RecipeError for a mistake in the file, or one that takes the id of an installed protocol for other rules.
    """
    id, _, version = name.partition("@")
    protocol = read(PROTOCOLS.get(id))
    if version and version != str(protocol.version):
        raise RecipeError(f"protocol {name!r} was asked for, here {id} is version {protocol.version}; install the blurbench that has it")
    if protocol.id != id and protocol.id in PROTOCOLS.names() and protocol.digest() != load(protocol.id).digest():
        raise RecipeError(f"{name}: id is {protocol.id!r}, that of an installed protocol with other rules; give it an id of its own")
    return protocol


def read(path: Path) -> Protocol:
    """Read and check a protocol file. Raises RecipeError with the place of the mistake."""
    return of_table(strict.read(path), str(path))


def of_table(table: dict[str, Any], where: str) -> Protocol:
    """A protocol from the tables of its file, checked. where: what errors call the file. Raises RecipeError."""
    rows = table.get("columns", [])
    if not isinstance(rows, list) or not rows:
        raise RecipeError(f"{where}: columns is {rows!r}, expected at least one table [[columns]]")
    columns = tuple(_column(row, f"column {number} of {where}") for number, row in enumerate(rows, 1))
    protocol = strict.build(Protocol, {**table, "columns": columns}, where)
    _check(protocol, where)
    return protocol


def _column(row: Any, where: str) -> Column:
    if isinstance(row, dict) and isinstance(row.get("frames"), list):
        row = {**row, "frames": tuple(row["frames"])}
    column = strict.build(Column, row, where)
    try:
        function = metrics.get(column.metric)
    except BlurbenchError as error:
        raise RecipeError(f"{where}: {error}") from error
    indices = isinstance(column.frames, tuple) and bool(column.frames) and all(whole(index, 0) for index in column.frames)
    require(where, "frames", column.frames, column.frames in ("all", "centre") or indices, "all, centre or a list of 0-based indices")
    one_of(where, "direction", column.direction, ColumnDirection)
    one_of(where, "reduction", column.reduction, Reduction)
    one_of(where, "average", column.average, Average)
    one_of(where, "against", column.against, Against)
    # Pooling turns values back into squared errors, which only a PSNR a frame allows.
    require(where, "reduction", column.reduction, column.reduction == "mean" or column.metric == "psnr", "mean, for all metrics but psnr")
    several = column.frames == "centre" and function.info.min_frames > 1
    require(where, "frames", column.frames, not several, f"several frames for {column.metric}")
    known = "first, mean, best, best:K or expected-best:K"
    require(where, "draws", column.draws, bool(_DRAWS.fullmatch(column.draws)), known)
    if function.info.of != "frames":
        require(where, "tile", column.tile, not column.tile, f"0 for {column.metric}, which does not score pictures")
        plain = column.direction in ("as-is", "best") if function.info.of == "motion" else column.direction == "as-is"
        require(where, "direction", column.direction, plain, f"a direction that {column.metric} has (as-is)")
    _check_options(column, function, where)
    return column


def _check_options(column: Column, function: metrics.Metric[Any], where: str) -> None:
    """The options are keyword arguments of the metric, and none that the scorer passes itself."""
    if not isinstance(column.options, dict):
        raise RecipeError(f"{where}: options is {column.options!r}, expected a table of keys")
    parameters = inspect.signature(function).parameters.values()
    known = {p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY} - function.info.needs
    for name in column.options:
        if name not in known:
            raise RecipeError(str(UnknownNameError("option", name, known, f"options of {where} ({column.metric})")))


def _check(protocol: Protocol, where: str) -> None:
    """Values that the types alone do not rule out."""
    names = [column.name for column in protocol.columns]
    cap = protocol.psnr_cap
    require(where, "version", protocol.version, whole(protocol.version, 1), "a whole number of at least 1")
    require(where, "psnr_cap", cap, isinstance(cap, int | float) and not isinstance(cap, bool) and cap > 0, "dB, above 0")
    require(where, "samples", protocol.samples, whole(protocol.samples, 1), "a whole number of at least 1")
    require(where, "patch", protocol.patch, whole(protocol.patch, 1), "a side in pixels, at least 1")
    one_of(where, "quantise", protocol.quantise, Quantise)
    one_of(where, "direction", protocol.direction, ClipDirection)
    one_of(where, "decide_by", protocol.decide_by, Decision)
    try:
        select.crop_box(protocol.crop, (2**20, 2**20))
    except PredictionError as error:
        raise RecipeError(f"{where}: {error}") from error
    for number, column in enumerate(protocol.columns):
        _check_decisions(protocol, column, where)
        require(where, "column name", column.name, column.name not in names[:number], "a name that no other column has")
    if protocol.rank_by not in names:
        raise RecipeError(str(UnknownNameError("column", str(protocol.rank_by), names, f"rank_by of {where}")))


def _check_decisions(protocol: Protocol, column: Column, where: str) -> None:
    """A column can only follow a decision that the protocol takes, and only ask for draws that are made."""
    decided = column.direction != "best" or protocol.direction == "clip"
    require(where, f"{column.name}.direction", column.direction, decided, "as-is, because the protocol's direction is as-is")
    info = metrics.get(column.metric).info
    framewise = column.direction != "frame" or protocol.decide_by != "each" or not info.whole_clip
    require(where, f"{column.name}.direction", column.direction, framewise, f"as-is or best: {column.metric} has no value a frame")
    whole_frames = column.direction not in get_args(Region) or protocol.decide_by != "each" or column.metric == "psnr"
    require(
        where, f"{column.name}.direction", column.direction, whole_frames, f"as-is, best or frame: {column.metric} has no value a pixel"
    )
    wanted = int(column.draws.partition(":")[2] or 1)
    expected = f"at most {protocol.samples} draws (samples)"
    require(where, f"{column.name}.draws", column.draws, wanted <= protocol.samples, expected)
