"""The order of several runs in one column, where those that the data cannot tell apart share a place."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from blurbench.errors import BlurbenchError, PredictionError, RecordError, UnknownNameError, counted
from blurbench.metrics.paired import named, smallest_p
from blurbench.metrics.protocol import Column
from blurbench.metrics.ranks import Rank, ranks
from blurbench.metrics.statistics import require_level
from blurbench.run.record import misplaced, rules_of
from blurbench.run.scored import Scored, common_rules, require_same_metric, require_same_videos

if TYPE_CHECKING:
    import pandas as pd

_BOARD = ("dataset", "split", "fingerprint", "protocol", "protocol_version")


@dataclass(frozen=True)
class Ranking:
    """Runs from the best mean to the worst, by method where no method is there twice, else by record.

    board: data set, split, fingerprint, protocol and its version. videos: how many the scores are of. left_out: runs without values in the
    column, and why. notes: what a reader must know besides.
    """

    board: tuple[str, str, str, str, int]
    column: Column
    ranks: dict[str, Rank]
    level: float
    videos: int
    left_out: dict[str, str]
    notes: list[str]

    def frame(self) -> pd.DataFrame:
        """A row a run: run, rank, mean, by_mean_alone (the rank), worse_than (names, joined by spaces), column, and what the board is of:
        dataset, split, fingerprint, protocol, protocol_version.
        """
        import pandas as pd

        board = {"column": self.column.name, **dict(zip(_BOARD, self.board, strict=True))}
        rows = [{"run": name, **asdict(rank), "worse_than": " ".join(rank.worse_than), **board} for name, rank in self.ranks.items()]
        table = pd.DataFrame(rows).rename(columns={"tied": "rank", "plain": "by_mean_alone"})
        return table[["run", "rank", "mean", "by_mean_alone", "worse_than", *board]]


def rank(paths: Sequence[Path | str], column: str = "", level: float = 0.95) -> Ranking:
    """Rank runs on the same samples by one column, that of the protocol's boards unless given, see `blurbench.metrics.ranks`.

    Runs whose record says why the column is empty are left out, and those without a value for a sample of which most have one.
    Raises RecordError for fewer than two runs, one run twice, and runs that cannot stand beside each other, UnknownNameError for a column,
    PredictionError for a level that is none, and where fewer than two runs have values for the same samples, or another metric is behind
    the column.
    """
    return _rank([Scored.read(path) for path in paths], column, level)


def rank_boards(
    paths: Sequence[Path | str], column: str = "", level: float = 0.95, protocol: str | None = None
) -> tuple[list[Ranking], list[str]]:
    """Rank the runs of each board apart; returns the rankings, by board, and a line for each board that cannot be ranked, with the reason.

    paths: of records, or of folders, which stand for the records in them. protocol: only its boards. column: boards without it are among
    those that cannot be ranked. Raises what `rank` does where no board can be ranked, RecordError for a path where no record is,
    UnknownNameError for a protocol of none.
    """
    boards: dict[tuple[str, str, str, str, int], list[Scored]] = {}
    given = [Scored.read(path) for path in _records(paths)]
    for scored in given:
        if protocol in (None, scored.run.protocol):
            boards.setdefault(scored.run.board, []).append(scored)
    if protocol and not boards:
        raise UnknownNameError("protocol", protocol, {scored.run.protocol for scored in given}, "these runs")
    if column and column not in (known := {name for runs in boards.values() for name in runs[0].run.values}):
        raise UnknownNameError("column", column, known, "the protocols of these runs")
    rankings, errors = [], {}
    for board, runs in sorted(boards.items()):
        try:
            rankings.append(_rank(runs, column, level))
        except BlurbenchError as error:
            errors[board] = error
    if not rankings:
        raise next(iter(errors.values()))
    return rankings, [f"{dataset}, split {split}, protocol {id}: {error}" for (dataset, split, _, id, _), error in errors.items()]


def _rank(scored: Sequence[Scored], column: str, level: float) -> Ranking:
    """Of runs on one board."""
    require_level(level)
    if len(scored) < 2:
        raise RecordError(f"{counted(len(scored), 'run')} {'was' if len(scored) == 1 else 'were'} given, expected at least two records")
    first, *others = scored = _named(scored)
    rules = rules_of(first.run)
    column = column or rules.rank_by
    if (found := next((each for each in rules.columns if each.name == column), None)) is None:
        raise UnknownNameError("column", column, [each.name for each in rules.columns], f"protocol {rules.id}")
    for other in others:
        common_rules(first, other)
        require_same_videos(first, other)
    systems, left_out = _of_the_same_samples(scored, column)
    if len(systems) < 2:
        raise PredictionError(f"{next(iter(left_out.values()))}; leave it out, or give another --column")
    leading, *rest = (each for each in scored if each.name in systems)
    for other in rest:
        require_same_metric(leading, other, column)
    videos = {sample: video for sample, video in leading.videos().items() if sample in systems[leading.name]}
    placed = ranks(systems, videos, found.better, average=found.average, level=level)
    return Ranking(first.run.board, found, placed, level, len({*videos.values()}), left_out, _notes(len(systems), videos, level))


def _of_the_same_samples(scored: Sequence[Scored], column: str) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """The values of a column by run, of those that have it for the same samples as most; of the others why they are left out: one in which
    a sample failed takes none from the rest.
    """
    systems: dict[str, dict[str, float]] = {}
    left_out = {}
    for each in scored:
        try:
            systems[each.name] = {id: value for id, value in each.column(column).items() if value is not None and not math.isnan(value)}
        except PredictionError as error:
            left_out[each.name] = f"{error} in column {column}"
    counts = Counter(frozenset(values) for values in systems.values())
    common = max(counts, key=lambda samples: (counts[samples], len(samples)), default=frozenset[str]())
    for name in [name for name, values in systems.items() if values.keys() != common]:
        own = systems.pop(name).keys()
        lacking, more = sorted(common - own), sorted(own - common)
        found, others = (f"no value for {named(lacking)}", "have") if lacking else (f"values for {named(more)}", "lack")
        left_out[name] = f"{name} has {found} in column {column}, which the others {others}"
    return systems, left_out


def _notes(runs: int, videos: Mapping[str, str], level: float) -> list[str]:
    count, pairs = len({*videos.values()}), runs * (runs - 1) // 2
    few = smallest_p(count) * pairs > 1 - level
    return [f"{counted(pairs, 'pair')} on {counted(count, 'video')}: too few videos to tell any apart"] if few else []


def _records(paths: Sequence[Path | str]) -> list[Path]:
    """Raises RecordError for a path where nothing is, and for a folder without records."""
    found: list[Path] = []
    for path in map(Path, paths):
        inside = sorted(path.glob("*.json")) if path.is_dir() else [path] if path.is_file() else []
        if not inside:
            raise misplaced(path, "run records or a folder of them", folder="holds no JSON file")
        found += inside
    return found


def _named(scored: Sequence[Scored]) -> list[Scored]:
    """By method, where that tells them apart. Raises RecordError for a run that is there twice."""
    counts = Counter(each.name for each in scored)
    if twice := next((name for name, count in counts.items() if count > 1), None):
        raise RecordError(f"run {twice} was given {counts[twice]} times, expected once")
    methods = [each.run.method for each in scored]
    return [replace(each, name=each.run.method) for each in scored] if len({*methods}) == len(methods) else list(scored)
