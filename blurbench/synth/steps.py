"""How far pixels move from one averaged frame to the next: too far, and the blur falls apart into ghosts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from blurbench.synth.tables import Gate
from blurbench.types import F32, U8
from blurbench.video import flow
from blurbench.video.source import HasMotion

_ROUGH_SIDE = 160  # pixels of the longer side of the pictures that the rough check looks at
_WIDE, _ROWS = 80, 32  # pixels; OpenCV's DIS ends the process on pictures of so many columns and fewer rows (4.13 and 5.0 do)
_ROUGH_QUANTILE = 0.995  # flow without smoothing has a few outliers in every picture


@dataclass(frozen=True)
class Step:
    """Pixels by which something moved between two frames; mismatch: grey levels, root mean square, after matching (None: not known)."""

    pixels: float
    mismatch: float | None = None


Stepper = Callable[[int, U8], Step | None]
"""Called with every frame's number and picture in order; the step from the frame before, None for the first."""


def stepper(source: HasMotion | None, gate: Gate) -> Stepper:
    """The best knowledge there is: of a source that knows its motion (`extras.exact`), of the gate's flow model, or a rough measurement."""
    if source is not None:
        return Exact(source)
    return Gated(gate) if gate.largest_step else Rough()


class Exact:
    """From the source's own motion: the largest length."""

    def __init__(self, source: HasMotion) -> None:
        self._source = source

    def __call__(self, index: int, image: U8) -> Step | None:
        if not index:
            return None
        return Step(float(np.sqrt(_squares(self._source.motion(index - 1, index)).max())))


class Gated:
    """By the gate's flow model on the whole picture, and how well the pictures match when the flow is undone.

    The match is the root mean square difference of grey levels between the frame before and this one warped back to it (WILD's second
    check: Noroozi et al., GCPR 2017, who found that it discards nothing).
    """

    def __init__(self, gate: Gate) -> None:
        self._model = flow.load(gate.flow)
        self._quantile = gate.quantile
        self._before: U8 | None = None

    def __call__(self, index: int, image: U8) -> Step | None:
        before, self._before = self._before, image
        if before is None:
            return None
        move = self._model.between(before, image)
        pixels = float(np.sqrt(np.quantile(_squares(move), self._quantile)))
        grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) for picture in (before, image)]
        where = flow.grid(move.shape) + move
        back = cv2.remap(grey[1], where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
        return Step(pixels, float(np.sqrt(np.mean((back - grey[0]) ** 2))))


class Rough:
    """DIS flow, ultrafast, between green channels reduced to 160 pixels: good to about two pixels of the whole picture, at little cost."""

    def __init__(self) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._before: U8 | None = None

    def __call__(self, index: int, image: U8) -> Step | None:
        scale = max(1.0, max(image.shape[:2]) / _ROUGH_SIDE)
        skip = max(1, int(scale // 2))  # every second to third pixel of what is averaged below is enough
        size = (max(16, round(image.shape[1] / scale)), max(16, round(image.shape[0] / scale)))
        green = cv2.extractChannel(image, 1) if skip == 1 else np.ascontiguousarray(image[::skip, ::skip, 1])
        small = np.asarray(cv2.resize(green, size, interpolation=cv2.INTER_AREA), np.uint8)
        small = flow.padded(small, _ROWS if size[0] >= _WIDE else 0, 0)  # no others, so that steps stay what stored data sets have
        before, self._before = self._before, small
        if before is None:
            return None
        move = self._flow.calc(before, small, None)[: size[1]]  # type: ignore[call-overload]
        x, y = cv2.split(move)
        lengths = cv2.magnitude(x * np.float32(image.shape[1] / size[0]), y * np.float32(image.shape[0] / size[1])).ravel()
        return Step(float(np.partition(lengths, place := int(_ROUGH_QUANTILE * (lengths.size - 1)))[place]))


def _squares(move: F32) -> F32:
    return np.asarray((move**2).sum(axis=-1), np.float32)
