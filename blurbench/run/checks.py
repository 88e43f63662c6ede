"""What makes a score wrong without making it fail: said, never mended."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from blurbench.errors import PredictionError
from blurbench.metrics.psnr import psnr
from blurbench.metrics.select import quantise
from blurbench.types import F32, Prediction, Sample

_BETTER = 3.0  # dB that no true prediction gains by any of these
_NEGATIVE = -0.1  # what no network comes to that aims at 0
_SLIPS: dict[str, tuple[Callable[[F32], F32], str]] = {
    "red and blue look exchanged": (lambda frame: frame[..., ::-1], "expected RGB (OpenCV reads and writes BGR)"),
    "values look as if they went from -1 to 1": (
        lambda frame: (frame + 1) * np.float32(0.5) if frame.min() < _NEGATIVE else frame,
        "expected 0 to 1; what is below is cut to 0",
    ),
}
"""How a slip looks, how it is undone in a picture (H, W, 3), and what was expected."""


def slip(prediction: Prediction, sample: Sample) -> str | None:
    """A warning when the prediction fits much better after one of the usual slips is undone; else None.

    The middle frames are compared, where sizes fit. A prediction that cannot be scored gets no warning: it is told when it is scored.
    """
    middle, target = prediction.frames[0, prediction.frames.shape[1] // 2], sample.sharp[len(sample.sharp) // 2]
    if middle.shape != target.shape:
        return None
    frame = middle.astype(np.float32) / (255 if middle.dtype == np.uint8 else 1)

    def fit(picture: F32) -> float:
        return float(psnr(quantise(picture, "round")[None], target[None])[0])

    try:
        given = fit(frame)
        for look, (undone, expected) in _SLIPS.items():
            if (better := fit(undone(frame))) > given + _BETTER:
                return f"{look} in the prediction of {sample.id}: {given:.1f} dB as it is, {better:.1f} dB otherwise; {expected}"
    except PredictionError:
        pass
    return None
