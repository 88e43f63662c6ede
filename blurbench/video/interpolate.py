"""Frames between two frames, as a plug-in: `load(NAME).between(a, b, times)`.

A 240 fps video averaged as it is ghosts under fast motion (DeepDeblur-PyTorch issue 38), so recipes insert frames first.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeGuard

import numpy as np

from blurbench.errors import RecipeError, SourceError, UnknownNameError
from blurbench.registry import INTERPOLATORS
from blurbench.types import F32, U8, U16
from blurbench.video.source import Frame

if TYPE_CHECKING:
    import torch

_SLACK = 1e-3  # a hair beyond [0, 1] is rounding


class Interpolator(Protocol):
    """Makes frames between two frames. `chunk`: how many at once keep its memory small, None for any number."""

    chunk: int | None

    def facts(self) -> dict[str, Any]:
        """What decides its output, JSON-ready: name, options, hash of weights."""
        ...

    def between(self, a: F32, b: F32, times: Sequence[float]) -> F32:
        """a, b: (3, H, W) float32 in [0, 1]; times in [0, 1]. Returns (len(times), 3, H, W) float32 in [0, 1].

        Raises SourceError for others, see `check`.
        """
        ...


class OnDevice(Interpolator, Protocol):
    """An interpolator that can leave its frames where it makes them. device: as torch names it; on `cpu`, `codes` is not asked for."""

    device: torch.device

    def codes(self, a: U8, b: U8, times: Sequence[float]) -> torch.Tensor:
        """What `between` makes of a and b, (H, W, 3), rounded half up: (len(times), H, W, 3) uint8 on the device."""
        ...


def on_device(interpolator: Interpolator) -> TypeGuard[OnDevice]:
    """Whether its frames lie on an accelerator, and can stay there."""
    return hasattr(interpolator, "codes") and str(getattr(interpolator, "device", "cpu")) != "cpu"


class NoInterpolation:
    """Refuses to invent frames: a recipe with factor 1 never asks."""

    chunk: int | None = None

    def facts(self) -> dict[str, Any]:
        return {"name": "none"}

    def between(self, a: F32, b: F32, times: Sequence[float]) -> F32:
        raise RecipeError(f"interpolation 'none' makes no frames, but {len(times)} are asked for; take `flow` or `rife`")


def load(name: str, **options: Any) -> Interpolator:
    """An interpolator by name: `none`, `flow` (option `flow`), `rife` (options `weights`, `device`), or that of a plug-in.

    Raises UnknownNameError, also for an option, BrokenPluginError, WeightsError.
    """
    factory = INTERPOLATORS.get(name)
    known = inspect.signature(factory).parameters
    if unknown := [option for option in options if option not in known]:
        raise UnknownNameError("option", unknown[0], known, f"interpolation {name!r}")
    made: Interpolator = factory(**options)
    return made


def check(a: F32, b: F32, times: Sequence[float]) -> None:
    """Raises SourceError unless there can be frames between a and b, (3, H, W) float in [0, 1] and alike, at times in [0, 1]."""
    for name, frame in (("a", a), ("b", b)):
        if not isinstance(frame, np.ndarray):
            raise SourceError(f"frame {name} is a {type(frame).__name__}, expected a NumPy array (3, H, W): .cpu().numpy() of a tensor")
        if frame.ndim != 3 or frame.shape[0] != 3 or not np.issubdtype(frame.dtype, np.floating):
            raise SourceError(f"frame {name} is {frame.dtype} of shape {frame.shape}, expected float32 of (3, H, W), values in [0, 1]")
        low, high = float(frame.min()), float(frame.max())
        if not (low >= -_SLACK and high <= 1 + _SLACK):
            raise SourceError(f"frame {name} has values from {low:.4g} to {high:.4g}, expected [0, 1]; divide 8-bit values by 255")
    if a.shape != b.shape:
        raise SourceError(f"frames are of {a.shape} and {b.shape}, expected two of one size")
    if wrong := [t for t in times if not 0 <= t <= 1]:
        raise SourceError(f"time is {wrong[0]}, expected one from 0 (frame a) to 1 (frame b)")


def available(name: str) -> str | None:
    """None where this method can run without options, else why it cannot and what to do. Raises as `load`."""
    reason: str | None = getattr(INTERPOLATORS.get(name), "unavailable", lambda: None)()
    return reason


class Moment(NamedTuple):
    """A frame of the interpolated stream, its place in source frames (2.25: a quarter after frame 2), and seconds.

    image: (H, W, 3) uint8, or of the source's own depth where nothing is inserted; a tensor where `on_device`.
    """

    image: U8 | U16 | torch.Tensor
    position: float
    time: float


def stream(frames: Iterator[Frame], interpolator: Interpolator, factor: int, wanted: Callable[[int], bool]) -> Iterator[Moment | None]:
    """The stream with `factor` frames for each source frame; frame k is at position k / factor.

    `wanted(k)` says whether frame k is of use; for an inserted frame that is not, None is yielded in its place and nothing is computed.
    Holds two source frames at a time, and as many inserted ones as the interpolator makes at once.
    """
    previous: Frame | None = None
    for index, frame in enumerate(frames):
        if previous is not None and factor > 1:
            yield from _inserted(previous, frame, index - 1, interpolator, factor, wanted)
        yield Moment(frame.image, float(index), frame.time)
        previous = frame


def _inserted(
    a: Frame, b: Frame, index: int, interpolator: Interpolator, factor: int, wanted: Callable[[int], bool]
) -> Iterator[Moment | None]:
    steps = [step for step in range(1, factor) if wanted(index * factor + step)]
    between = _between(a.image, b.image, interpolator)
    made: dict[int, Any] = {}
    for step in range(1, factor):
        part = step / factor
        if step in steps and step not in made:
            chunk = [other for other in steps if other >= step][: interpolator.chunk]
            made = dict(zip(chunk, between([other / factor for other in chunk]), strict=True))
        yield Moment(made[step], index + part, a.time + (b.time - a.time) * part) if step in made else None


def _between(a: U8 | U16, b: U8 | U16, interpolator: Interpolator) -> Callable[[Sequence[float]], Iterator[Any]]:
    """From times to the 8-bit frames between a and b."""
    if on_device(interpolator):
        return lambda times: iter(interpolator.codes(a, b, times))  # type: ignore[arg-type]
    ends = _to_planes(a), _to_planes(b)
    return lambda times: map(_to_image, interpolator.between(*ends, times))


def _to_planes(image: U8 | U16) -> F32:
    return np.ascontiguousarray(image.transpose(2, 0, 1), np.float32) / np.float32(255)


def _to_image(planes: F32) -> U8:
    return np.ascontiguousarray(np.floor(planes * np.float32(255) + np.float32(0.5)).astype(np.uint8).transpose(1, 2, 0))
