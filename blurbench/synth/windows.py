"""Which frames one shutter adds up, and which of them are targets.

All numbers count frames of the stream that is averaged, i.e. after interpolation.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from blurbench.errors import RecipeError
from blurbench.types import F64


@dataclass(frozen=True)
class Window:
    """One exposure: frames start ... start + length - 1. `targets` are positions inside it, in order of time."""

    number: int
    start: int
    length: int
    targets: tuple[int, ...]

    @property
    def last(self) -> int:
        """Its last frame."""
        return self.start + self.length - 1

    def times(self) -> F64:
        """(T,) when each target was seen, in units of the exposure: frame k of L stands for the slice [k/L, (k+1)/L], its middle counts."""
        return (np.array(self.targets, np.float64) + 0.5) / self.length


class Windows(ABC):
    """All windows of one stream, in order of their first frames."""

    longest: int  # frames of the longest window that can occur

    @abstractmethod
    def covering(self, frame: int) -> Sequence[Window]:
        """The windows that contain this frame, oldest first."""

    @abstractmethod
    def count(self, frames: int) -> int:
        """How many whole windows lie in a stream of that many frames."""

    @abstractmethod
    def window(self, number: int) -> Window:
        """Window number n, counted from 0."""

    @abstractmethod
    def on_source_frames(self, factor: int) -> bool:
        """Whether the targets of all windows are source frames, of each of which the stream has `factor` frames."""


class RegularWindows(Windows):
    """Windows of one length: number n starts at offset + n * stride, and `tail` further frames must follow it in the stream."""

    def __init__(self, length: int, stride: int, targets: tuple[int, ...], offset: int = 0, tail: int = 0) -> None:
        self.length, self.stride, self.targets = length, stride, targets
        self.offset, self.tail = offset, tail
        self.limit: int | None = None  # no more windows than that
        self.longest = length

    def window(self, number: int) -> Window:
        return Window(number, self.offset + number * self.stride, self.length, self.targets)

    def on_source_frames(self, factor: int) -> bool:
        starts = self.offset, self.offset + self.stride  # what holds for two windows holds for all
        return all((start + target) % factor == 0 for start in starts for target in self.targets)

    def count(self, frames: int) -> int:
        free = frames - self.offset - self.length - self.tail
        count = 0 if free < 0 else free // self.stride + 1
        return count if self.limit is None else min(count, self.limit)

    def covering(self, frame: int) -> Sequence[Window]:
        oldest = max(0, math.ceil((frame - self.offset - self.length + 1) / self.stride))
        end = (frame - self.offset) // self.stride + 1
        return [self.window(number) for number in range(oldest, end if self.limit is None else min(end, self.limit))]


class RandomWindows(Windows):
    """Disjoint windows whose lengths are odd and drawn evenly from [shortest, longest] (WILD: Noroozi et al., GCPR 2017)."""

    def __init__(self, shortest: int, longest: int, rule: str, rng: np.random.Generator) -> None:
        """shortest, longest: odd; rule: see `targets`."""
        self.longest = longest
        self._choices = range(shortest, longest + 1, 2)
        self._rule = rule
        self._rng = rng
        self._drawn: list[Window] = []

    def window(self, number: int) -> Window:
        while len(self._drawn) <= number:
            length = int(self._rng.choice(self._choices))
            start = self._drawn[-1].last + 1 if self._drawn else 0
            self._drawn.append(Window(len(self._drawn), start, length, targets(self._rule, length)))
        return self._drawn[number]

    def on_source_frames(self, factor: int) -> bool:
        return factor == 1  # a drawn length may put the next window anywhere

    def count(self, frames: int) -> int:
        number = 0
        while self.window(number).last < frames:
            number += 1
        return number

    def covering(self, frame: int) -> Sequence[Window]:
        # Streams are read in order: the window is the last one drawn, or soon after it.
        number = max(0, len(self._drawn) - 1)
        while self.window(number).last < frame:
            number += 1
        while self.window(number).start > frame:
            number -= 1
        return [self.window(number)]


def targets(rule: str, length: int) -> tuple[int, ...]:
    """Target positions for a rule: `all`, `centre`, `even:N` (N from the first to the last frame, rounded half up), `at:3,7`.

    `centre` of an even length is the later of the two middle frames. Raises RecipeError.
    """
    if rule == "all":
        return tuple(range(length))
    if rule == "centre":
        return (length // 2,)
    if (match := re.fullmatch(r"even:(\d+)", rule)) and 2 <= (count := int(match[1])) <= length:
        return tuple(math.floor(k * (length - 1) / (count - 1) + 0.5) for k in range(count))
    if re.fullmatch(r"at:\d+(,\d+)*", rule):
        places = tuple(map(int, rule[3:].split(",")))
        if sorted(set(places)) == list(places) and places[-1] < length:
            return places
    raise RecipeError(
        f"window.targets is {rule!r}, expected all, centre, even:N with 2 <= N <= window.length = {length}, "
        "or at:A,B,... with rising positions below the length"
    )
