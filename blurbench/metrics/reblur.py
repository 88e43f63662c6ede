"""Does the predicted video, averaged again, give back the blurry picture?"""

from __future__ import annotations

import cv2
import numpy as np

from blurbench.errors import PredictionError
from blurbench.metrics._metric import Pixels, check_frames, metric
from blurbench.metrics.psnr import psnr
from blurbench.types import F64
from blurbench.video import transfer as transfers
from blurbench.video.transfer import Transfer


@metric(
    id="reblur-psnr",
    title="PSNR of the re-blurred prediction",
    unit="dB",
    better="higher",
    whole_clip=True,
    needs=("transfer", "blurry"),
    min_frames=2,
)
def reblur_psnr(prediction: Pixels, target: Pixels, *, transfer: str | Transfer = "pixel", blurry: Pixels | None = None) -> F64:
    """PSNR, peak 1, of encode(mean_t linear(p_t)) against the blurry picture; `linear` and `encode` are the data's transfer function.

    prediction, target: (T, H, W, 3), uint8 or float in [0, 1], T at least 2. transfer: a name (`pixel`, `gamma(2.2)`) or the function.
    blurry: (H, W, 3), uint8 or float in [0, 1]; without it the average of the target frames in the same light. Returns (1,) float64 in
    dB, higher is better, inf for equal pictures. The order of the frames does not matter.

    The average is not rounded, so against an 8-bit blurry picture even the frames that made it get about 59 dB; targets that are only
    some of the averaged frames get less. A video of copies of the blurry picture scores highest of all: read it beside the PSNR.

    Source: Y. Zhang, Wang, Maybank, Tao, "Exposure Trajectory Recovery", TPAMI 2021 (its re-blur task); Tedla et al. 2025.
    Raises PredictionError (shapes, types, ranges, NaN, one frame) and RecipeError (unknown transfer function).
    """
    curve = transfers.parse(transfer)
    if blurry is None:
        reference: Pixels = reblur(target, curve)[None]
    else:
        reference = blurry[None]
        check_frames("reblur-psnr: blurry[None]", reference)
        if blurry.shape != prediction.shape[1:]:
            raise PredictionError(f"reblur-psnr: blurry has shape {blurry.shape}, expected that of a frame, {prediction.shape[1:]}")
    return psnr(reblur(prediction, curve)[None], reference)


def reblur(frames: Pixels, transfer: Transfer) -> F64:
    """The mean of frames (T, H, W, 3) in linear light, encoded again: (H, W, 3) float64 in [0, 1], not rounded."""
    total, light = np.zeros(frames.shape[1:]), np.empty(frames.shape[1:])
    for frame in frames:
        total += cv2.LUT(frame, transfer.exact_table, light) if frame.dtype == np.uint8 else transfer.to_linear(np.clip(frame, 0, 1))
    return np.clip(transfer.to_encoded(total / len(frames)), 0, 1)
