"""The order of several runs in one column, where those that the data cannot tell apart share a place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from blurbench.errors import PredictionError, RecordError, UnknownNameError
from blurbench.metrics.paired import smallest_p
from blurbench.metrics.protocol import Column
from blurbench.metrics.ranks import Rank, ranks
from blurbench.metrics.statistics import require_level
from blurbench.run.record import rules_of
from blurbench.run.scored import Scored, common_rules, common_videos, require_same_metric

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Ranking:
    """Runs from the best mean to the worst, by method where no method is there twice, else by record.

    videos: how many the scores are of. notes: what a reader must know besides.
    """

    column: Column
    ranks: dict[str, Rank]
    level: float
    videos: int
    notes: list[str]

    def frame(self) -> pd.DataFrame:
        """A row a run: run, rank, mean, by_mean_alone (the rank), worse_than (names, joined by spaces)."""
        import pandas as pd

        rows = [{"run": name, **asdict(rank), "worse_than": " ".join(rank.worse_than)} for name, rank in self.ranks.items()]
        table = pd.DataFrame(rows).rename(columns={"tied": "rank", "plain": "by_mean_alone"})
        return table[["run", "rank", "mean", "by_mean_alone", "worse_than"]]


def rank(paths: Sequence[Path | str], column: str = "", level: float = 0.95) -> Ranking:
    """Rank runs on the same samples by one column, that of the protocol's boards unless given, see `blurbench.metrics.ranks`.

    Raises RecordError for fewer than two runs, one run twice, and runs that cannot stand beside each other, UnknownNameError for a column,
    PredictionError for a level that is none, and where a run has no score of some sample or another metric behind the column.
    """
    require_level(level)
    if len(paths) < 2:
        raise RecordError(f"{len(paths)} runs were given, expected at least two records")
    first, *others = scored = _named([Scored.read(path) for path in paths])
    rules, videos = rules_of(first.run), first.videos()
    column = column or rules.rank_by
    if (found := next((each for each in rules.columns if each.name == column), None)) is None:
        raise UnknownNameError("column", column, [each.name for each in rules.columns], f"protocol {rules.id}")
    for other in others:
        common_rules(first, other)
        common_videos(first, other)
        require_same_metric(first, other, column)
    try:
        systems = {each.name: each.column(column) for each in scored}
    except PredictionError as error:
        raise PredictionError(f"{error} in column {column}; leave it out, or give another --column") from None
    placed = ranks(systems, videos, found.better, average=found.average, level=level)
    count = len({*videos.values()})
    pairs = len(scored) * (len(scored) - 1) // 2
    few = smallest_p(count) * pairs > 1 - level
    notes = [f"{pairs} pair{'s' * (pairs > 1)} on {count} videos: too few videos to tell any apart"] if few else []
    return Ranking(found, placed, level, count, notes)


def _named(scored: list[Scored]) -> list[Scored]:
    """By method, where that tells them apart. Raises RecordError for a run that is there twice."""
    counts = Counter(each.name for each in scored)
    if twice := next((name for name, count in counts.items() if count > 1), None):
        raise RecordError(f"run {twice} was given {counts[twice]} times, expected once")
    methods = [each.run.method for each in scored]
    return [replace(each, name=each.run.method) for each in scored] if len({*methods}) == len(methods) else scored
