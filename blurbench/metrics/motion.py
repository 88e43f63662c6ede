"""Errors of predicted motion over the exposure.

Both arguments are displacements (T, H, W, 2) in pixels, x right and y down, of what is at a pixel in the middle of the exposure, at T times
from open to close; the true ones come from `blurbench.metrics.trajectory`.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from blurbench.errors import PredictionError, UnavailableError
from blurbench.metrics._metric import Pixels, check_frames, metric, to_unit
from blurbench.strict import one_of, require, whole
from blurbench.types import F64

Direction = Literal["forward", "pixel"]
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


@metric(
    id="motion-mse-zhang2021",
    title="Mean squared error of the size of motion, by components",
    unit="px²",
    better="lower",
    whole_clip=True,
    min_frames=2,
    of="motion",
)
def motion_mse_zhang2021(prediction: Pixels, target: Pixels, *, border: int = 30) -> F64:
    """Mean over pixels, without `border` rows and columns on each side, and over x and y of ( |d_p| - |d_g| )², component by component.

    d is the displacement at the first time less that at the last (start minus end). Absolute values make it blind to direction, as it must
    be, and to diagonals, as it should not: motion to the lower right is right where that to the upper right is true. `motion-epe` sees it.

    prediction, target: (T, H, W, 2) floats in pixels, T at least 2, H and W above 2 border. Returns (1,) float64 in square pixels, at
    least 0, lower is better.

    Source: Y. Zhang et al., "Exposure Trajectory Recovery", TPAMI 2021, table 2 (3.27 to 50.12), and its released code, from which the
    border is. There d_g is the whole label of a kernel, d_p spans the first to the last of 15 offsets; a line of length m covers m pixels
    with ends m - 1 apart. To compare with that table, predict at the times 0 and 1.
    Raises PredictionError (shapes, types, NaN, one time, pictures within their border), RecipeError (border).
    """
    require("motion-mse-zhang2021", "border", border, whole(border, 0), "a number of pixels, at least 0")
    height, width = target.shape[1:3]
    if min(height, width) <= 2 * border:
        raise PredictionError(
            f"motion-mse-zhang2021: pictures of {height}x{width} (HxW) are nothing without a border of {border} pixels; give border"
        )
    inside = np.s_[border : height - border, border : width - border]
    p, g = (np.abs(_whole(motion)[inside]) for motion in (prediction, target))
    return np.array([np.square(p - g).mean()])


@metric(
    id="motion-epe",
    title="End-point error of the motion over the exposure",
    unit="px",
    better="lower",
    whole_clip=True,
    min_frames=2,
    of="motion",
)
def motion_epe(prediction: Pixels, target: Pixels) -> F64:
    """Mean over pixels of min( | d_p - d_g |, | d_p + d_g | ), d the displacement at the last time less that at the first.

    A blurred line has no direction, so each pixel takes the sign that fits better; both components keep theirs together, and a wrong
    diagonal counts. At most |d_g| where the prediction stands still. The path between the ends does not count: see `trajectory-error`.

    prediction, target: (T, H, W, 2) floats in pixels, T at least 2. Returns (1,) float64 in pixels, at least 0, lower is better.

    Source: the end-point error of Baker et al., "A Database and Evaluation Methodology for Optical Flow", IJCV 2011, with the sign free.
    Raises PredictionError (shapes, types, NaN, one time).
    """
    p, g = _whole(prediction), _whole(target)
    return np.array([np.minimum(_length(p - g), _length(p + g)).mean()])


@metric(
    id="trajectory-error",
    title="Distance between predicted and true trajectories",
    unit="px",
    better="lower",
    needs=("sharp",),
    min_frames=2,
    of="motion",
)
def trajectory_error(
    prediction: Pixels, target: Pixels, *, direction: Direction = "forward", texture: float = 0.0, sharp: Pixels | None = None
) -> F64:
    """For each time, the mean over pixels of the distance between where the prediction and where the truth has the pixel.

    With direction "pixel", each pixel takes the prediction or its reversal in time, whichever is nearer over all times: the kindest
    reading of a blur that does not tell its direction. It is exact for times that lie evenly around the middle, as targets do.

    texture: count only pixels around which the middle target changes by at least so many grey levels a pixel (length of the gradient of
    its BT.601 luma, by central differences, on the scale 0 … 255); in flat areas a blur shows no motion. 0 counts all.
    sharp: the target frames (N, H, W, 3), of which the middle one is taken, index N // 2.

    prediction, target: (T, H, W, 2) floats in pixels. Returns (T,) float64 in pixels, at least 0, lower is better; about 0 at the middle,
    which both share, so that a mean over times depends on how many there are.

    Raises PredictionError (shapes, types, NaN, texture without frames), UnavailableError (no pixel has so much texture), RecipeError
    (options).
    """
    one_of("trajectory-error", "direction", direction, Direction)
    number = isinstance(texture, int | float) and not isinstance(texture, bool) and texture >= 0
    require("trajectory-error", "texture", texture, number, "grey levels a pixel, at least 0")
    counted = _textured(sharp, texture, target.shape[1:3]) if texture else np.ones(target.shape[1:3], bool)
    distances = _distances(prediction, target)
    if direction == "pixel":
        backwards = _distances(prediction[::-1], target)
        turned = backwards.sum(axis=0) < distances.sum(axis=0)
        distances = np.where(turned, backwards, distances)
    return np.asarray(distances[:, counted].mean(axis=1))


def _whole(motion: Pixels) -> F64:
    """(H, W, 2): from the first to the last time."""
    return np.asarray(motion[-1].astype(np.float64) - motion[0])


def _length(vectors: F64) -> F64:
    return np.hypot(vectors[..., 0], vectors[..., 1])


def _distances(prediction: Pixels, target: Pixels) -> F64:
    """(T, H, W)."""
    return np.stack([_length(p.astype(np.float64) - g) for p, g in zip(prediction, target, strict=True)])


def _textured(sharp: Pixels | None, threshold: float, size: tuple[int, ...]) -> NDArray[np.bool_]:
    """(H, W): where the middle frame has a gradient of at least the threshold."""
    if sharp is None:
        raise PredictionError(f"trajectory-error: texture is {threshold:g} without frames to see it in; give sharp, the target frames")
    check_frames("trajectory-error: sharp", sharp)
    if sharp.shape[1:3] != size:
        raise PredictionError(f"trajectory-error: sharp has frames of {sharp.shape[1:3]} (H, W), expected {tuple(size)} as the motion")
    luma = to_unit(sharp[len(sharp) // 2]) @ _LUMA * 255
    # OpenCV's Sobel of size 1 is the central difference, 0.5 (next - previous).
    x, y = (cv2.Sobel(luma, cv2.CV_64F, *order, ksize=1, scale=0.5, borderType=cv2.BORDER_REPLICATE) for order in ((1, 0), (0, 1)))
    textured = np.asarray(np.hypot(x, y) >= threshold)
    if not textured.any():
        raise UnavailableError(f"no pixel of the middle target has a gradient of {threshold:g} levels a pixel")
    return textured
