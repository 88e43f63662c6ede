"""From a source's frames to samples: resize, crop, interpolate, add up, and keep what was added.

Frames stream through; what is held is a few source frames, and for each open window one sum and its targets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from blurbench.errors import EmptySourceError, RecipeError, SourceError
from blurbench.synth.accumulate import Exposure, Shutter
from blurbench.synth.extras import Extras, exact
from blurbench.synth.framing import reframe
from blurbench.synth.recipe import Recipe
from blurbench.synth.steps import Step, stepper
from blurbench.synth.windows import Window
from blurbench.types import U8
from blurbench.video import interpolate
from blurbench.video.ahead import ahead
from blurbench.video.source import Frame, Source


@dataclass
class Filling:
    """A window being filled."""

    window: Window
    exposure: Exposure
    sharp: list[U8] = field(default_factory=list)
    positions: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


class Samples:
    """The samples of one source; iterate once.

    Afterwards `frames` and `unused` count the source frames that were read and that are in no sample, and `left_out` the windows that
    became no sample, by reason.
    """

    def __init__(self, source: Source, recipe: Recipe, interpolator: interpolate.Interpolator, tick: Callable[[], None]) -> None:
        """`tick` is called after each source frame. Raises RecipeError, SourceError for a recipe that does not fit the source."""
        self.source = source
        self.recipe = recipe
        self.factor = recipe.interpolation.factor
        if recipe.window.skip_last and source.length is None:
            raise SourceError(f"{source.id} does not state its length, which window.skip_last needs; re-encode it as .mp4 or .mkv")
        self.windows = recipe.windows(source.id, None if source.length is None else self._length(source.length))
        self.frames = 0
        self.unused = 0
        self.left_out: Counter[str] = Counter()
        self._interpolator = interpolator
        self._tick = tick
        self._shutter = _shutter(recipe, interpolator)
        self._extras = Extras(source, recipe)
        self._steps: dict[int, Step] = {}
        self._used: set[int] = set()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """One dictionary of arrays a window, as a shard stores them. Raises SourceError when there is no whole window."""
        with_tail: list[Filling] = []
        made = whole = 0
        for k, full in self._filled():
            with_tail += full
            while with_tail and with_tail[0].window.last + self.recipe.window.tail <= k:
                whole += 1
                if sample := self._sample(with_tail.pop(0)):
                    made += 1
                    yield sample
        self._check_end(whole, made)
        self.unused = self.frames - len(self._used)

    def facts(self) -> dict[str, Any]:
        """Where motion comes from, JSON-ready."""
        return self._extras.facts()

    def _filled(self) -> Iterator[tuple[int, list[Filling]]]:
        """Frame by frame of the averaged stream, the windows that this frame filled."""
        filling: dict[int, Filling] = {}
        decoded = ahead(self.source.frames())
        moments = interpolate.stream(self._read(decoded), self._interpolator, self.factor, lambda k: bool(self.windows.covering(k)))
        try:
            for k, moment in enumerate(moments):
                windows = self.windows.covering(k)
                if moment is None or not windows:
                    yield k, []
                    continue
                light = self._shutter.light(moment.image)
                full = []
                for window in windows:
                    state = filling.setdefault(window.number, Filling(window, self._shutter.exposure()))
                    state.exposure.add(light)
                    state.positions.append(moment.position)
                    state.seconds.append(moment.time)
                    if k - window.start in window.targets:
                        state.sharp.append(self._shutter.codes(moment.image))
                    if k == window.last:
                        full.append(filling.pop(window.number))
                yield k, full
        finally:
            decoded.close()

    def _read(self, source: Iterator[Frame]) -> Iterator[Frame]:
        """The framed source frames; how far each is from the one before is noted first."""
        measure = stepper(exact(self.source, self.recipe), self.recipe.gate)
        for index, frame in enumerate(source):
            image = reframe(frame.image, self.recipe.frame)
            if image.dtype == np.uint16 and self.factor > 1:
                raise RecipeError(f"{self.source.id} has 16-bit frames, which cannot be interpolated; convert them to 8 bits first")
            if (step := measure(index, self._shutter.codes(image))) is not None:
                self._steps[index] = step
            self.frames += 1
            yield Frame(image, frame.time)
            self._tick()

    def _sample(self, full: Filling) -> dict[str, Any] | None:
        """The arrays of a filled window; None when it is left out."""
        window, gate = full.window, self.recipe.gate
        steps = self._steps_of(window)
        largest = max((step.pixels for step in steps), default=0.0)
        if gate.largest_step and largest > gate.largest_step:
            self.left_out[f"a step above {gate.largest_step:g} px"] += 1
            return None
        sample = {
            "blurry": full.exposure.result(),
            "sharp": np.stack(full.sharp),
            "times": window.times(),
            "averaged": self._row(full.positions),
            "seconds": self._row(full.seconds),
            "largest_step": np.array(largest / self.factor, np.float32),
        }
        if any(step.mismatch is not None for step in steps):
            sample["matching_error"] = np.array(max(step.mismatch or 0.0 for step in steps), np.float32)
        if reason := self._extras.add(sample, [full.positions[target] for target in window.targets]):
            self.left_out[reason] += 1
            return None
        self._used.update(int(position) for position in full.positions if position == int(position))
        return sample

    def _steps_of(self, window: Window) -> list[Step]:
        """The steps inside a window; those that no later window can need are forgotten."""
        first, last = window.start // self.factor, -(-window.last // self.factor)
        steps = [self._steps[index] for index in range(first + 1, last + 1) if index in self._steps]
        for index in [index for index in self._steps if index <= first]:
            del self._steps[index]
        return steps

    def _row(self, values: list[float]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """As long as those of all other windows: windows of random length are filled up with NaN."""
        return np.array(values + [np.nan] * (self.windows.longest - len(values)))

    def _length(self, frames: int) -> int:
        """Frames of the averaged stream."""
        return max(0, (frames - 1) * self.factor + 1)

    def _check_end(self, whole: int, made: int) -> None:
        if self.recipe.window.skip_last and self.frames != self.source.length:
            raise SourceError(
                f"{self.source.id} states {self.source.length} frames and has {self.frames}, so which windows are the last "
                "is unknown; re-encode it"
            )
        if whole and not made:
            reasons = ", ".join(f"{count} for {reason}" for reason, count in self.left_out.items())
            told = f"{self.source.id}: all {whole} windows are left out ({reasons})"
            raise EmptySourceError(f"{told}; give other footage or change the recipe")
        if not made:
            need = self.recipe.frames_for(1, self.source.id)
            raise SourceError(
                f"{self.source.id} has {self.frames} frames, the recipe {self.recipe.id!r} needs {need} for one window and what it skips "
                "around it; give more frames or shorten window.length"
            )


def _shutter(recipe: Recipe, interpolator: interpolate.Interpolator) -> Shutter:
    """Where the frames are made, there they are added up."""
    if recipe.interpolation.factor == 1 or not interpolate.on_device(interpolator):
        return Shutter(recipe.curve(), recipe.rounding)
    from blurbench.synth.on_device import DeviceShutter

    return DeviceShutter(recipe.curve(), recipe.rounding, str(interpolator.device))
