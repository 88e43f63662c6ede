"""Frames between two frames, as a plug-in: `load(NAME).between(a, b, times)`.

A 240 fps video averaged as it is ghosts under fast motion (DeepDeblur-PyTorch issue 38), so recipes insert frames first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np

from blurbench.registry import INTERPOLATORS
from blurbench.types import F32, U8, U16
from blurbench.video import flow as flows
from blurbench.video.source import Frame


class Interpolator(Protocol):
    """Makes frames between two frames. `chunk`: how many at once keep its memory small, None for any number."""

    chunk: int | None

    def facts(self) -> dict[str, Any]:
        """What decides its output, JSON-ready: name, options, hash of weights."""
        ...

    def between(self, a: F32, b: F32, times: Sequence[float]) -> F32:
        """a, b: (3, H, W) float32 in [0, 1]; times in (0, 1). Returns (len(times), 3, H, W) float32 in [0, 1]."""
        ...


class NoInterpolation:
    """Refuses to invent frames: a recipe with factor 1 never asks."""

    chunk: int | None = None

    def facts(self) -> dict[str, Any]:
        return {"name": "none"}

    def between(self, a: F32, b: F32, times: Sequence[float]) -> F32:
        return np.empty((0, *a.shape), np.float32)


class FlowInterpolation:
    """Two-way DIS flow, both frames warped to the time in between and blended (Jiang et al., CVPR 2018, Eq. 4, without its network).

    Each side counts by its nearness in time and by how well its flow agrees with the flow back, so that a pixel that one frame
    does not see is taken from the other.
    """

    chunk: int | None = None

    def __init__(self, flow: str = "dis-medium") -> None:
        """flow: a flow model, see `blurbench.video.flow.load`."""
        self._flow = flows.load(flow)

    def facts(self) -> dict[str, Any]:
        return {"name": "flow", "flow": self._flow.name, "opencv": cv2.__version__}

    def between(self, a: F32, b: F32, times: Sequence[float]) -> F32:
        first, second = _to_image(a), _to_image(b)
        there, back = self._flow.between(first, second), self._flow.between(second, first)
        trust = _agreement(there, back), _agreement(back, there)
        images = first.astype(np.float32) / np.float32(255), second.astype(np.float32) / np.float32(255)
        grid = _grid(first.shape[:2])
        frames = np.empty((len(times), *a.shape), np.float32)
        for index, t in enumerate(times):
            # Flow from the frame in between, approximated on its own grid by the flows of the two ends.
            to_first = np.float32(-(1 - t) * t) * there + np.float32(t * t) * back
            to_second = np.float32((1 - t) ** 2) * there - np.float32(t * (1 - t)) * back
            warped = []
            for image, confidence, move, nearness in (
                (images[0], trust[0], to_first, 1 - t),
                (images[1], trust[1], to_second, t),
            ):
                where = grid + move
                colour = _fetch(image, where, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE)
                weight = _fetch(confidence, where, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT) + np.float32(1e-3)
                warped.append((colour, weight * np.float32(nearness)))
            (colour_a, weight_a), (colour_b, weight_b) = warped
            mixed = (colour_a * weight_a[..., None] + colour_b * weight_b[..., None]) / (weight_a + weight_b)[..., None]
            frames[index] = np.clip(mixed, 0, 1).transpose(2, 0, 1)
        return frames


def load(name: str, **options: Any) -> Interpolator:
    """An interpolator by name: `none`, `flow` (option `flow`), `rife` (options `weights`, `device`), or that of a plug-in.

    Raises UnknownNameError, BrokenPluginError, WeightsError.
    """
    made: Interpolator = INTERPOLATORS.get(name)(**options)
    return made


def available(name: str) -> str | None:
    """None where this method can run without options, else why it cannot and what to do. Raises as `load`."""
    reason: str | None = getattr(INTERPOLATORS.get(name), "unavailable", lambda: None)()
    return reason


class Moment(NamedTuple):
    """A frame of the interpolated stream, its place in source frames (2.25: a quarter after frame 2), and seconds.

    image: (H, W, 3) uint8, or of the source's own depth where nothing is inserted.
    """

    image: U8 | U16
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
    ends = _to_planes(a.image), _to_planes(b.image)
    made: dict[int, U8] = {}
    for step in range(1, factor):
        part = step / factor
        if step in steps and step not in made:
            chunk = [other for other in steps if other >= step][: interpolator.chunk]
            between = interpolator.between(*ends, [other / factor for other in chunk])
            made = {other: _to_image(planes) for other, planes in zip(chunk, between, strict=True)}
        yield Moment(made[step], index + part, a.time + (b.time - a.time) * part) if step in made else None


def _to_planes(image: U8 | U16) -> F32:
    return np.ascontiguousarray(image.transpose(2, 0, 1), np.float32) / np.float32(255)


def _to_image(planes: F32) -> U8:
    return np.ascontiguousarray(np.floor(planes * np.float32(255) + np.float32(0.5)).astype(np.uint8).transpose(1, 2, 0))


def _grid(size: tuple[int, ...]) -> F32:
    rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float32)
    return np.dstack([columns, rows])


def _fetch(values: F32, where: F32, kernel: int, border: int) -> F32:
    """The values at the places (x, y) of `where`, (H, W, 2)."""
    return np.asarray(cv2.remap(values, where, None, kernel, borderMode=border), np.float32)  # type: ignore[call-overload]


def _agreement(there: F32, back: F32) -> F32:
    """(H, W) float32 in (0, 1]: 1 where following the flow and then the other flow back returns to the same pixel."""
    returned = _fetch(back, _grid(there.shape[:2]) + there, cv2.INTER_LINEAR, cv2.BORDER_REPLICATE)
    miss = ((there + returned) ** 2).sum(axis=2)
    return np.asarray(np.exp(-miss), np.float32)
