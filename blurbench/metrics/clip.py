"""One predicted clip against its targets: the values of metrics, each computed once, however many columns and decisions share it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from blurbench import metrics
from blurbench.errors import BrokenPluginError, PredictionError, UnavailableError
from blurbench.metrics import select
from blurbench.metrics._metric import MetricInfo, Pixels
from blurbench.metrics.select import Region
from blurbench.types import F64, Sample


class Clip:
    """One draw, (T, H, W, 3), against the targets of a sample that has been cut to what counts.

    Frames are named by pairs: the predicted frame, and the target at whose place it stands. Forward they are equal.
    """

    def __init__(self, prediction: Pixels, target: Pixels, sample: Sample) -> None:
        self.prediction, self.target, self.sample = prediction, target, sample
        self._frame_values: dict[tuple[str, str, int, int], float] = {}
        self._clip_values: dict[tuple[str, str, tuple[int, ...], tuple[int, ...]], F64] = {}
        self._regions: dict[tuple[Region, int], Clip] = {}
        self._tiles: dict[int, list[Clip]] = {}

    @cached_property
    def every(self) -> list[int]:
        """All frames."""
        return list(range(len(self.target)))

    def mirrored(self, places: Sequence[int]) -> list[int]:
        """The predicted frames that stand at these places when the clip is reversed."""
        return [len(self.target) - 1 - place for place in places]

    def values(self, metric: str, options: Mapping[str, Any], sources: Sequence[int], places: Sequence[int]) -> F64:
        """What the metric returns for the predicted frames `sources` and the targets `places`.

        Raises PredictionError, and UnavailableError for a metric that cannot be computed here or from these data.
        """
        asked = repr(sorted(options.items()))
        if metrics.get(metric).info.whole_clip:
            key = metric, asked, tuple(sources), tuple(places)
            if key not in self._clip_values:
                self._clip_values[key] = self._compute(metric, options, sources, places)
            return self._clip_values[key]
        keys = [(metric, asked, *pair) for pair in zip(sources, places, strict=True)]
        if missing := [key for key in keys if key not in self._frame_values]:
            computed = self._compute(metric, options, [key[2] for key in missing], [key[3] for key in missing])
            self._frame_values.update(zip(missing, computed.tolist(), strict=True))
        return np.array([self._frame_values[key] for key in keys])

    def region(self, region: Region, side: int) -> Clip:
        """The clip put together from the better direction of each patch or pixel."""
        key = region, side if region == "patch" else 1
        if key not in self._regions:
            turned = select.orient_regions(self.prediction, self.target, region, side)
            self._regions[key] = Clip(turned, self.target, self.sample)
        return self._regions[key]

    @cached_property
    def against_blurry(self) -> Clip:
        """The clip with the blurry picture in the place of every target."""
        return Clip(self.prediction, np.broadcast_to(self.sample.blurry, self.target.shape), self.sample)

    def tiles(self, side: int) -> list[Clip]:
        """The squares of that side, each a clip of its own."""
        if side not in self._tiles:
            boxes = select.tiles((self.target.shape[1], self.target.shape[2]), side)
            self._tiles[side] = [self._cut(box) for box in boxes]
        return self._tiles[side]

    def _cut(self, box: select.Box) -> Clip:
        top, left, height, width = box
        inside = np.s_[:, top : top + height, left : left + width]
        prediction: Any = np.ascontiguousarray(self.prediction[inside])
        target: Any = np.ascontiguousarray(self.target[inside])
        return Clip(prediction, target, self.sample.cut(box))

    def _compute(self, metric: str, options: Mapping[str, Any], sources: Sequence[int], places: Sequence[int]) -> F64:
        function = metrics.get(metric)
        facts = facts_of(self.sample, function.info)
        # Whole clips in order of time are views; most are, and a copy of a clip of large frames takes as long as its PSNR.
        values = function(_pick(self.prediction, sources), _pick(self.target, places), **facts, **options)
        return _checked(values, metric, 1 if function.info.whole_clip else len(places))


def _checked(values: Any, metric: str, count: int) -> F64:
    """What a metric returned. Raises BrokenPluginError for other than (count,) floats, PredictionError for NaN."""
    if not isinstance(values, np.ndarray) or values.shape != (count,) or values.dtype.kind != "f":
        kind = f"{values.dtype} of shape {values.shape}" if isinstance(values, np.ndarray) else type(values).__name__
        raise BrokenPluginError(f"metric {metric!r} returned {kind}, expected a NumPy array of floats of shape ({count},); mend it there")
    if np.isnan(values).any():
        raise PredictionError(f"metric {metric!r} is NaN for frame {int(np.flatnonzero(np.isnan(values))[0])}, expected a number")
    return values


def facts_of(sample: Sample, info: MetricInfo) -> dict[str, Any]:
    """What a metric needs of the sample. Raises UnavailableError where the data lack it."""
    return {name: _fact(sample, name) for name in info.needs}


def _fact(sample: Sample, name: str) -> Any:
    """A field of the sample or of its extras."""
    found = getattr(sample, name, None) if name != "extras" else None
    found = sample.extras.get(name) if found is None else found
    if found is None:
        raise UnavailableError(f"the data have no {name}")
    return found


def _pick(frames: Pixels, places: Sequence[int]) -> Pixels:
    count = len(frames)
    if list(places) == list(range(count)):
        return frames
    if list(places) == list(range(count - 1, -1, -1)):
        return frames[::-1]
    return frames[list(places)]
