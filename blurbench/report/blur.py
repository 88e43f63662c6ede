"""How blurred the samples of a made data set are: how far things move while the shutter is open, and how many samples move how far."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from blurbench.store.reader import MadeDataSet
from blurbench.store.shard import Shard
from blurbench.types import F64
from blurbench.video.flow import Flow, load

MODEL = "dis-medium"
GHOSTS = 2.0  # pixels between two averaged frames above which the blur falls apart
UNKNOWN = "not known: a sample has one target and no motion is stored"
_EDGES = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, np.inf)


@dataclass(frozen=True)
class Blur:
    """Displacement across the exposure within one sample, in pixels: of half of its pixels at most `median`, on `mean`, of one `largest`.

    A straight, even path is assumed: displacement from the first to the last target, as if it went on so over the whole exposure.
    source: where it comes from, in words.
    """

    median: float
    mean: float
    largest: float
    source: str


def picked(data: MadeDataSet, split: str, most: int) -> list[tuple[Shard, int]]:
    """At most so many samples, evenly spread over a split, in order, each as (shard, row)."""
    total = data.count(split)
    chosen = np.unique(np.linspace(0, total - 1, min(most, total)).round().astype(int))
    starts = np.cumsum([0, *(entry.samples for entry in data.manifest.splits[split])])
    shards = data.shards(split)
    places = [(int(np.searchsorted(starts, index, "right")) - 1, int(index)) for index in chosen.tolist()]
    return [(shards[number], index - int(starts[number])) for number, index in places]


def measure(picks: Sequence[tuple[Shard, int]], progress: Callable[[int], None] = lambda samples: None) -> list[Blur | None]:
    """The blur of each sample, None where it is not known. One shard is open at a time."""
    model = load(MODEL)
    found = []
    for (shard, row), following in zip(picks, [*picks[1:], None], strict=True):
        found.append(blur(shard, row, model))
        progress(1)
        if following is None or following[0] is not shard:
            shard.close()
    return found


def blur(shard: Shard, row: int, model: Flow) -> Blur | None:
    """The blur of one sample: from the motion that is stored with it, else measured by the model between its first and last target."""
    arrays = shard.file
    top, left, height, width = shard.box(row)
    valid = np.s_[top : top + height, left : left + width]
    if "motion" in arrays:
        return _blur(arrays["motion"][(row, *valid)], 1.0, "exact motion")
    times = arrays["times"][row]
    if len(times) < 2:
        return None
    if "flow_first_last" in arrays:
        return _blur(arrays["flow_first_last"][(row, *valid)], float(times[-1] - times[0]), f"{_model(shard)} stored")
    first, last = (np.ascontiguousarray(arrays["sharp"][(row, index, *valid)]) for index in (0, len(times) - 1))
    return _blur(model.between(first, last), float(times[-1] - times[0]), f"flow by {model.name} measured now")


def histograms(blurs: Sequence[Blur]) -> tuple[list[str], list[int], list[int]]:
    """Bins in pixels, from the first to the last that is used; how many samples have their median, and their largest displacement, in each.

    Each bin but the first is twice as wide as the one before; its lower edge belongs to it.
    """
    medians, largests = (np.histogram(values, bins=_EDGES)[0] for values in ([b.median for b in blurs], [b.largest for b in blurs]))
    used = np.flatnonzero(medians + largests)
    shown = slice(int(used[0]), int(used[-1]) + 1)
    names = [f"{low:g}-{high:g}" if np.isfinite(high) else f"over {low:g}" for low, high in pairwise(_EDGES)]
    return names[shown], medians[shown].tolist(), largests[shown].tolist()


def histogram_lines(blurs: Sequence[Blur], columns: int = 24) -> Iterator[str]:
    """The histograms side by side, as text."""
    names, *tables = histograms(blurs)
    yield f"{'px':>10s}  {'median in the sample':{columns + 7}s} largest in the sample"
    longest = max(max(counts) for counts in tables)
    for name, *pair in zip(names, *tables, strict=True):
        bars = [f"{'█' * -(-count * columns // longest)} {count or ''}" for count in pair]
        yield f"{name:>10s}  {bars[0]:{columns + 7}s} {bars[1]}".rstrip()


def summary(blurs: Sequence[Blur]) -> str:
    """Median and range in words."""
    medians = np.array([b.median for b in blurs])
    sources = ", ".join(sorted({b.source for b in blurs}))
    return f"median {np.median(medians):.1f} px, largest {max(b.largest for b in blurs):.1f} px ({sources})"


def ghosting(data: MadeDataSet, split: str) -> str:
    """In words: how far things move between two averaged frames of the split's samples; above one or two pixels blur shows as ghosts."""
    found = []
    for shard in data.shards(split):
        with closing(shard):
            if "largest_step" not in shard.file:
                return "not known: no largest_step is stored"
            found.append(shard.file["largest_step"][:, 0])
    steps = np.concatenate(found)
    share = f"{(steps > GHOSTS).mean():.0%} of {len(steps)} samples above {GHOSTS:g} px"
    return f"median {np.median(steps):.2f} px, largest {steps.max():.2f} px, {share}"


def _blur(vectors: Any, span: float, source: str) -> Blur:
    """vectors (H, W, 2): pixels moved in `span` exposures."""
    lengths: F64 = np.hypot(*np.moveaxis(vectors.astype(np.float64), -1, 0)) / span
    return Blur(float(np.median(lengths)), float(lengths.mean()), float(lengths.max()), source)


def _model(shard: Shard) -> str:
    facts = shard.provenance.get("motion", {}).get("flow", {})
    return "exact flow" if facts == "exact" else f"flow by {facts.get('model', 'an unnamed model')}" if isinstance(facts, dict) else "flow"
