"""What makes a score wrong without making it fail: said, never mended."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from blurbench.errors import PredictionError
from blurbench.metrics.psnr import psnr
from blurbench.metrics.select import quantise
from blurbench.types import F32, U8, Prediction, Sample

LOOKED_AT = 8  # samples; one may be grey, or hardly blurred
_BETTER = 1.0  # dB that no true prediction gains by any of these, as a mean
_MOST = 100.0  # dB of equal pictures
_CUT = 0.1  # share of values at or below 0 that says that there were negative ones
_BLACK = 0.1  # a picture without brighter values is not one of which half was cut
_SLIPS: dict[str, tuple[Callable[[F32], F32], str]] = {
    "red and blue look exchanged": (lambda frame: frame[..., ::-1], "expected RGB (OpenCV reads and writes BGR)"),
    "values look as if they went from -1 to 1": (
        lambda frame: (frame + 1) * np.float32(0.5) if (frame <= 0).mean() > _CUT and frame.max() > _BLACK else frame,
        "expected 0 to 1; what is below is cut to 0",
    ),
}
"""How a slip looks, how it is undone in a picture (H, W, 3), and what was expected."""


class Look:
    """A look at the first predictions: do they fit much better after one of the usual slips is undone?

    The middle frames are compared, where sizes fit. What cannot be scored is passed over: it is told when it is scored.
    """

    def __init__(self) -> None:
        self.samples: list[str] = []
        self._given: list[float] = []
        self._undone: dict[str, list[float]] = {look: [] for look in _SLIPS}

    def add(self, prediction: Prediction, sample: Sample) -> None:
        """Look at one more."""
        middle, target = prediction.frames[0, prediction.frames.shape[1] // 2], sample.sharp[len(sample.sharp) // 2]
        if middle.shape != target.shape:
            return
        frame = middle.astype(np.float32) / (255 if middle.dtype == np.uint8 else 1)
        try:
            fits = [_fit(picture, target) for picture in (frame, *(undo(frame) for undo, _ in _SLIPS.values()))]
        except PredictionError:
            return
        self.samples.append(sample.id)
        for values, fit in zip((self._given, *self._undone.values()), fits, strict=True):
            values.append(fit)

    def warning(self) -> str | None:
        """One line, or None where nothing looks wrong."""
        if not self.samples:
            return None
        given = float(np.mean(self._given))
        for look, (_, expected) in _SLIPS.items():
            if (undone := float(np.mean(self._undone[look]))) > given + _BETTER:
                where = self.samples[0] if len(self.samples) == 1 else f"{self.samples[0]} and the {len(self.samples) - 1} after it"
                return f"{look} in the prediction of {where}: {given:.1f} dB as it is, {undone:.1f} dB otherwise; {expected}"
        return None


def _fit(picture: F32, target: U8) -> float:
    return min(float(psnr(quantise(picture, "round")[None], target[None])[0]), _MOST)
