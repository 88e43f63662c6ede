"""Does the predicted video, averaged again, give back the blurry picture?"""

from __future__ import annotations

from typing import Literal, get_args

import cv2
import numpy as np

from blurbench.errors import PredictionError
from blurbench.metrics._metric import Pixels, check_frames, metric
from blurbench.metrics.psnr import psnr
from blurbench.metrics.ssim import ssim
from blurbench.types import F64
from blurbench.video import transfer as transfers
from blurbench.video.transfer import Transfer

Against = Literal["blurry", "truth"]


@metric(
    id="reblur-psnr",
    title="PSNR of the re-blurred prediction",
    unit="dB",
    better="higher",
    whole_clip=True,
    needs=("transfer", "blurry"),
    min_frames=2,
)
def reblur_psnr(
    prediction: Pixels, target: Pixels, *, transfer: str | Transfer = "pixel", blurry: Pixels | None = None, against: Against = "blurry"
) -> F64:
    """PSNR, peak 1, of encode(mean_t linear(p_t)) against the blurry picture; `linear` and `encode` are the data's transfer function.

    prediction, target: (T, H, W, 3), uint8 or float in [0, 1], T at least 2. transfer: a name (`pixel`, `gamma(2.2)`) or the function.
    blurry: (H, W, 3), uint8 or float in [0, 1]. Where there is none, or with `against="truth"`, the average of the target frames in the
    same light takes its place. Returns (1,) float64 in dB, higher is better, inf for equal pictures. The order of the frames does not
    matter.

    The average is not rounded, so against an 8-bit blurry picture even the frames that made it get about 59 dB; targets that are only
    some of the averaged frames get less. A video of copies of the blurry picture scores highest of all: read it beside the PSNR.

    Source: Y. Zhang, Wang, Maybank, Tao, "Exposure Trajectory Recovery", TPAMI 2021 (its re-blur task); Tedla et al. 2025 (the truth).
    Raises PredictionError (shapes, types, ranges, NaN, one frame, another `against`) and RecipeError (unknown transfer function).
    """
    return psnr(*_pictures("reblur-psnr", prediction, target, transfer, blurry, against))


@metric(
    id="reblur-ssim",
    title="SSIM of the re-blurred prediction",
    unit="1",
    better="higher",
    whole_clip=True,
    needs=("transfer", "blurry"),
    min_frames=2,
)
def reblur_ssim(
    prediction: Pixels, target: Pixels, *, transfer: str | Transfer = "pixel", blurry: Pixels | None = None, against: Against = "blurry"
) -> F64:
    """`ssim` of encode(mean_t linear(p_t)) against the blurry picture; `linear` and `encode` are the data's transfer function.

    Parameters as for `reblur-psnr`, H and W at least 11. Returns (1,) float64 without unit in [-1, 1], 1 for equal pictures, higher is
    better. The order of the frames does not matter, and copies of the blurry picture get 1.

    Source: as for `reblur-psnr`; its papers mean other variants of SSIM.
    Raises PredictionError (shapes, types, ranges, NaN, one frame, small frames) and RecipeError (unknown transfer function).
    """
    return ssim(*_pictures("reblur-ssim", prediction, target, transfer, blurry, against))


def _pictures(
    id: str, prediction: Pixels, target: Pixels, transfer: str | Transfer, blurry: Pixels | None, against: str
) -> tuple[F64, Pixels]:
    """The re-blurred prediction and what it must look like, each a clip of one frame (1, H, W, 3)."""
    if against not in get_args(Against):
        raise PredictionError(f"{id}: against is {against!r}, expected one of {', '.join(get_args(Against))}")
    curve = transfers.parse(transfer)
    if blurry is None or against == "truth":
        return reblur(prediction, curve)[None], reblur(target, curve)[None]
    check_frames(f"{id}: blurry[None]", blurry[None])
    if blurry.shape != prediction.shape[1:]:
        raise PredictionError(f"{id}: blurry has shape {blurry.shape}, expected that of a frame, {prediction.shape[1:]}")
    return reblur(prediction, curve)[None], blurry[None]


def reblur(frames: Pixels, transfer: Transfer) -> F64:
    """The mean of frames (T, H, W, 3) in linear light, encoded again: (H, W, 3) float64 in [0, 1], not rounded."""
    total, light = np.zeros(frames.shape[1:]), np.empty(frames.shape[1:])
    for frame in frames:
        total += cv2.LUT(frame, transfer.exact_table, light) if frame.dtype == np.uint8 else transfer.to_linear(np.clip(frame, 0, 1))
    return np.clip(transfer.to_encoded(total / len(frames)), 0, 1)
