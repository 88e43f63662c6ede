"""What a source of frames is: a video file, a folder of images, or rendered footage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, runtime_checkable

from blurbench.types import F32, U8


class Frame(NamedTuple):
    """One frame: image (H, W, 3) uint8 RGB, time in seconds."""

    image: U8
    time: float


class Source(Protocol):
    """Frames in order. `length` is the number of frames where it is cheaply known (for progress bars only)."""

    id: str
    fps: float
    size: tuple[int, int]
    length: int | None

    def facts(self) -> dict[str, Any]: ...
    def fingerprint(self) -> str: ...
    def frames(self) -> Iterator[Frame]: ...


@runtime_checkable
class HasMotion(Protocol):
    """A source that knows the exact motion of its pixels."""

    def motion(self, start: int, end: int) -> F32: ...
