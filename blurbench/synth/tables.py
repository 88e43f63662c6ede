"""The tables of a recipe, one class each: what their keys mean, and which values cannot be."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from blurbench.errors import RecipeError
from blurbench.strict import one_of, require, whole
from blurbench.synth.windows import targets
from blurbench.video import transfer

Kernel = Literal["area", "linear", "cubic"]
Fit = Literal["shrink", "stretch"]
Anchor = Literal["top-left", "centre"]
Order = Literal["rgb", "bgr"]
Aggregate = Literal["none", "max", "avg"]
_REGULAR = ("stride", "length_from_name", "offset", "tail", "skip_first", "skip_last")


class Table:
    """What all tables have."""

    def check(self, where: str) -> None:
        """Raises RecipeError for values that cannot be, though their kinds may. where: the recipe, for the message."""


@dataclass(frozen=True)
class Window(Table):
    """Frames of one exposure: `length` of them, or an odd number drawn for each window between `shortest` and `length`.

    Windows of drawn lengths are disjoint from the first frame on and take none of the other keys, nor targets `all`.
    `length_from_name`: a regular expression whose group 1, found in the video's name, replaces `length`. `stride` 0 means disjoint
    windows, i.e. the length. `offset` frames pass before the first window, `tail` must follow each. `skip_first` and `skip_last` windows
    of a video are left out. `targets`: all, centre, even:N or at:A,B,...
    """

    length: int
    stride: int = 0
    targets: str = "centre"
    length_from_name: str = ""
    shortest: int = 0
    offset: int = 0
    tail: int = 0
    skip_first: int = 0
    skip_last: int = 0

    def check(self, where: str) -> None:
        """See `Table.check`."""
        require_whole(where, "window", self, length=1, stride=0, offset=0, tail=0, skip_first=0, skip_last=0)
        if self.shortest:
            self._check_random(where)
        if self.length_from_name:
            self._check_pattern(where)
        targets(self.targets, self.shortest or self.length)

    def length_of(self, video: str) -> int:
        """The length for a video of this name. Raises RecipeError where the name has none."""
        found = re.search(self.length_from_name, video) if self.length_from_name else None
        if found is None:
            return self.length
        if not (found[1] or "").isdecimal() or not int(found[1]):
            raise RecipeError(
                f"window.length_from_name finds {found[1]!r} as the length in the name {video!r}, expected a number of at least 1; "
                "mend the expression, or rename the video"
            )
        return int(found[1])

    def _check_pattern(self, where: str) -> None:
        """The regular expression."""
        try:
            right = re.compile(self.length_from_name).groups > 0
        except re.error as error:
            raise RecipeError(f"{where}: window.length_from_name is {self.length_from_name!r}, which is no expression: {error}") from error
        require(where, "window.length_from_name", self.length_from_name, right, "an expression with a group, as _([0-9]+)_")

    def _check_random(self, where: str) -> None:
        """What windows of random length rule out."""
        shortest, length = self.shortest, self.length
        odd = 0 < shortest <= length and shortest % 2 == length % 2 == 1
        require(where, "window.shortest", shortest, odd, f"0, or odd and at most window.length = {length}, odd as well")
        require(where, "window.targets", self.targets, self.targets != "all", f"as many of each window, as window.shortest is {shortest}")
        for key in _REGULAR:
            value = getattr(self, key)
            require(where, f"window.{key}", value, not value, f"{value.__class__()!r}, as window.shortest is {shortest}")


@dataclass(frozen=True)
class Interpolation(Table):
    """Frames inserted between source frames before averaging: `factor` output frames a source frame; `method` none, flow, rife, …

    `fallback`: the method to take where the first cannot run, e.g. for want of weights; empty: that is an error.
    """

    method: str = "none"
    factor: int = 1
    fallback: str = ""

    @property
    def used(self) -> str:
        """The method that inserts frames; none where there is nothing to insert."""
        return self.method if self.factor > 1 else "none"

    def check(self, where: str) -> None:
        """See `Table.check`."""
        require_whole(where, "interpolation", self, factor=1)
        if self.factor > 1 and self.method == "none":
            raise RecipeError(f"{where}: interpolation.factor is {self.factor} but interpolation.method is 'none'; name one")


@dataclass(frozen=True)
class Frame(Table):
    """What happens to each source frame first.

    It is reduced by a whole `shrink` (means of blocks; rows and columns beyond the last whole block are dropped), brought to `width` x
    `height` (0: what the picture's shape makes of the other, both 0: kept) and cropped to `crop` [width, height] (0: not cropped), at the
    `anchor`. `fit`: `shrink` until it fits inside, never enlarged, its shape kept; or `stretch` to exactly that size.
    """

    shrink: int = 1
    width: int = 0
    height: int = 0
    fit: Fit = "shrink"
    kernel: Kernel = "area"
    crop: tuple[int, int] = (0, 0)
    anchor: Anchor = "top-left"

    def check(self, where: str) -> None:
        """See `Table.check`."""
        require_whole(where, "frame", self, shrink=1, width=0, height=0)
        one_of(where, "frame.kernel", self.kernel, Kernel)
        one_of(where, "frame.fit", self.fit, Fit)
        one_of(where, "frame.anchor", self.anchor, Anchor)
        pair = isinstance(self.crop, list | tuple) and len(self.crop) == 2 and all(whole(side, 0) for side in self.crop)
        require(where, "frame.crop", self.crop, pair, "[width, height]")


@dataclass(frozen=True)
class Gate(Table):
    """Leaves out windows whose motion is too fast: `largest_step` pixels between consecutive source frames as they are averaged (0: none).

    `flow` names the flow model; the `quantile` of its lengths over the picture counts, 1 being the largest.
    """

    largest_step: float = 0
    flow: str = "dis-medium"
    quantile: float = 1.0

    def check(self, where: str) -> None:
        """See `Table.check`."""
        require(where, "gate.largest_step", self.largest_step, self.largest_step >= 0, "pixels, at least 0 (0: no limit)")
        require(where, "gate.quantile", self.quantile, 0 < self.quantile <= 1, "above 0 and at most 1")


@dataclass(frozen=True)
class Motion(Table):
    """The motion stored beside the pictures: `flow` names the model that measures it between targets, `none` for none.

    Rendered footage stores its exact motion where the pictures are as they were rendered and no target is interpolated.
    """

    flow: str = "none"


@dataclass(frozen=True)
class Guidance(Table):
    """Four-quadrant motion guidance from that flow (Zhong et al., ECCV 2022): `aggregate` max, avg or none; `threshold` pixels a target."""

    aggregate: Aggregate = "none"
    threshold: float = 0.2

    def check(self, where: str) -> None:
        """See `Table.check`."""
        one_of(where, "guidance.aggregate", self.aggregate, Aggregate)
        require(where, "guidance.threshold", self.threshold, self.threshold >= 0, "pixels, at least 0")


@dataclass(frozen=True)
class Response(Table):
    """A camera response read from `file` when `transfer` is `response`; see `transfer.read_response` for the other two."""

    file: str = ""
    order: Order = "rgb"
    straight_from: int = 0

    def check(self, where: str) -> None:
        """See `Table.check`."""
        one_of(where, "response.order", self.order, Order)
        straight = self.straight_from
        require(where, "response.straight_from", straight, straight in transfer.STRAIGHT, "0 or a code from 2 to 255")


@dataclass(frozen=True)
class Boxes(Table):
    """Crops around persons, where the source has boxes (`<video>.boxes.csv`): resized to `width` x `height`, 0 for no crop.

    `ratio` widens the box by that part of the way to the picture's border (Zhong et al., ECCV 2022, evaluate at 0).
    """

    width: int = 0
    height: int = 0
    ratio: float = 0.0

    def check(self, where: str) -> None:
        """See `Table.check`."""
        require_whole(where, "boxes", self, width=0, height=0)
        require(where, "boxes.ratio", self.ratio, 0 <= self.ratio <= 1, "a part from 0 to 1")
        right = bool(self.width) == bool(self.height)
        require(where, "boxes.height", self.height, right, f"0 beside boxes.width = 0, else above; boxes.width is {self.width}")


def require_whole(where: str, table: str, of: Any, **least: int) -> None:
    """Raises RecipeError unless each of these keys is a whole number of at least so much. table: "" for keys above all tables."""
    for key, minimum in least.items():
        value = getattr(of, key)
        require(where, f"{table}.{key}".lstrip("."), value, whole(value, minimum), f"a whole number of at least {minimum}")
