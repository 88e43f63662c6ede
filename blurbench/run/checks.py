"""What makes a score wrong without making it fail: said, never mended."""

from __future__ import annotations

from blurbench.errors import PredictionError
from blurbench.metrics.psnr import psnr
from blurbench.metrics.select import quantise
from blurbench.types import Prediction, Sample

_BETTER = 3.0  # dB that no true RGB prediction gains by exchanging red and blue


def colour_order(prediction: Prediction, sample: Sample) -> str | None:
    """A warning when the prediction fits much better with red and blue exchanged, as OpenCV's BGR read for RGB does; else None.

    The middle frames are compared, where sizes fit. A prediction that cannot be scored gets no warning: it is told when it is scored.
    """
    frame, target = prediction.frames[0, prediction.frames.shape[1] // 2], sample.sharp[len(sample.sharp) // 2]
    if frame.shape != target.shape:
        return None
    try:
        given, swapped = (psnr(quantise(order, "round")[None], target[None])[0] for order in (frame, frame[..., ::-1]))
    except PredictionError:
        return None
    if swapped < given + _BETTER:
        return None
    return (
        f"red and blue look exchanged in the prediction of {sample.id}: {given:.1f} dB as it is, {swapped:.1f} dB exchanged; "
        "expected RGB (OpenCV reads and writes BGR)"
    )
