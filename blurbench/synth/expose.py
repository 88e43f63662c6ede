"""From a source's frames to samples: resize, crop, interpolate, add up, and keep what was added.

Frames stream through; what is held is two source frames, and for each open window one sum and its targets.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from blurbench.errors import SourceError
from blurbench.synth.accumulate import Exposure, Shutter
from blurbench.synth.recipe import Frame as FrameRule
from blurbench.synth.recipe import Recipe
from blurbench.synth.windows import Windows
from blurbench.types import U8
from blurbench.video import interpolate, transfer
from blurbench.video.ahead import ahead
from blurbench.video.source import Frame, HasMotion, Source

_KERNELS = {"area": cv2.INTER_AREA, "linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC}


@dataclass
class _Window:
    """A window being filled."""

    exposure: Exposure
    sharp: list[U8] = field(default_factory=list)
    positions: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


class Samples:
    """The samples of one source; iterate once. Afterwards `frames` and `unused` count the source frames read and in no window."""

    def __init__(self, source: Source, recipe: Recipe, interpolator: interpolate.Interpolator, tick: Callable[[], None]) -> None:
        """`tick` is called after each source frame. Raises RecipeError for a recipe that does not fit the source."""
        self.source = source
        self.recipe = recipe
        self.windows = recipe.windows(source.id)
        self.frames = 0
        self.unused = 0
        self._interpolator = interpolator
        self._tick = tick
        self._shutter = Shutter(transfer.parse(recipe.transfer), recipe.rounding)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """One dictionary of arrays a window, as a shard stores them. Raises SourceError when there is no whole window."""
        windows, factor = self.windows, self.recipe.interpolation.factor
        moments = interpolate.stream(ahead(self._read()), self._interpolator, factor, lambda k: bool(windows.covering(k)))
        open_windows: dict[int, _Window] = {}
        made = 0
        for k, moment in enumerate(moments):
            numbers = windows.covering(k)
            if moment is None or not numbers:
                continue
            light = self._shutter.light(moment.image)
            for number in numbers:
                window = open_windows.setdefault(number, _Window(Exposure(self._shutter)))
                window.exposure.add(light)
                window.positions.append(moment.position)
                window.seconds.append(moment.time)
                place = k - windows.start(number)
                if place in windows.targets:
                    window.sharp.append(moment.image)
                if place == windows.length - 1:
                    yield self._sample(open_windows.pop(number))
                    made += 1
        if not made:
            raise SourceError(
                f"{self.source.id} has {self.frames} frames ({self._length(self.frames)} after interpolation), "
                f"the recipe {self.recipe.id!r} needs {windows.length} for one window; give a longer video or shorten window.length"
            )
        self.unused = self.frames - _used(windows, made, factor)

    def _read(self) -> Iterator[Frame]:
        for frame in self.source.frames():
            self.frames += 1
            yield Frame(reframe(frame.image, self.recipe.frame), frame.time)
            self._tick()

    def _length(self, frames: int) -> int:
        return max(0, (frames - 1) * self.recipe.interpolation.factor + 1)

    def _sample(self, window: _Window) -> dict[str, Any]:
        sample = {
            "blurry": window.exposure.result(),
            "sharp": np.stack(window.sharp),
            "times": self.windows.times(),
            "averaged": np.array(window.positions),
            "seconds": np.array(window.seconds),
        }
        if isinstance(self.source, HasMotion) and self.recipe.frame == FrameRule():
            at = [window.positions[target] for target in self.windows.targets]
            if len(at) > 1 and all(position.is_integer() for position in at):
                steps = [self.source.motion(int(a), int(b)) for a, b in itertools.pairwise(at)]
                sample["flow"] = np.stack(steps).astype(np.float16)
        return sample


def framed_size(size: tuple[int, int], rule: FrameRule) -> tuple[int, int]:
    """(height, width) that a picture of `size` has after `reframe`. Raises SourceError when the crop is larger than the picture."""
    height, width = _reduced(size, rule)
    if rule.crop[0] and rule.crop[1]:
        if rule.crop[1] > height or rule.crop[0] > width:
            raise SourceError(f"frames are {width}x{height}, frame.crop asks for {rule.crop[0]}x{rule.crop[1]}; make the crop smaller")
        width, height = rule.crop
    return height, width


def reframe(image: U8, rule: FrameRule) -> U8:
    """Reduce, then crop top-left, as the recipe's [frame] says. Raises SourceError when the crop is larger than the picture."""
    reduced = _reduced(image.shape[:2], rule)
    height, width = framed_size(image.shape[:2], rule)
    if reduced != image.shape[:2]:
        image = np.asarray(cv2.resize(image, reduced[::-1], interpolation=_KERNELS[rule.kernel]), np.uint8)
    return np.ascontiguousarray(image[:height, :width])


def _reduced(size: tuple[int, ...], rule: FrameRule) -> tuple[int, int]:
    """The largest size that fits into the rule's, keeps the shape of the picture and does not enlarge it."""
    height, width = size[0], size[1]
    if not (rule.width and rule.height):
        return height, width
    scale = min(1.0, rule.width / width, rule.height / height)
    return round(height * scale), round(width * scale)


def _used(windows: Windows, made: int, factor: int) -> int:
    """Source frames that lie in at least one of the first `made` windows."""
    covered: set[int] = set()
    for number in range(made):
        start = windows.start(number)
        covered.update(range(-(-start // factor), (start + windows.length - 1) // factor + 1))
    return len(covered)
