"""What every source of frames is: something with an id, a rate and a size that can be read from first to last, as often as one likes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, runtime_checkable

from blurbench.types import F32, U8, U16


class Frame(NamedTuple):
    """One frame. image: (H, W, 3) RGB, contiguous, upright, owned by the receiver; time: seconds on the source's own clock.

    uint8, or uint16 over the whole range from scientific sensors.
    """

    image: U8 | U16
    time: float


class Source(Protocol):
    """Frames in order of time. There is no access by index: sources are read once, from the start, never sought in."""

    @property
    def id(self) -> str:
        """Name of the footage: the file name without its suffix, or the folder name."""

    @property
    def fps(self) -> float:
        """Frames a second."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels of the frames as they are given, after rotation."""

    @property
    def length(self) -> int | None:
        """Number of frames if cheaply known, else None. For progress only: a header may be wrong."""

    def facts(self) -> dict[str, Any]:
        """Provenance, JSON-ready. What only a whole reading shows (`decoded_frames`, ...) is None before one is finished."""

    def fingerprint(self) -> str:
        """SHA-256 (hex) of what determines the pixels: the bytes of the file; names and bytes of the images."""

    def frames(self) -> Iterator[Frame]:
        """A new reading from the first frame. Raises SourceError when a frame cannot be had: never ends early where that can be known."""


@runtime_checkable
class HasMotion(Protocol):
    """An optional capability of a source: it knows how its pixels move. Only rendered footage does."""

    def motion(self, i: int, j: int, /) -> F32:
        """(H, W, 2) float32, exact: where each pixel of frame i is in frame j, less where it was; x to the right, y down, pixels."""
