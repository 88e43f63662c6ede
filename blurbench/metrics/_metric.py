"""What a metric is: a function of two clips with a card, and the one check of its input that all metrics share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, Literal, ParamSpec, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from blurbench.errors import PredictionError
from blurbench.types import F64

Pixels = NDArray[np.uint8] | NDArray[np.floating[Any]]
"""Frames as uint8, or as floats in [0, 1]; 255 and 1.0 are the same white."""

Better = Literal["higher", "lower"]
Kind = Literal["frames", "motion", "samples"]
Facts = Callable[[Mapping[str, Any]], dict[str, Any]]
P = ParamSpec("P")
_DTYPES = ("uint8", "float16", "float32", "float64")
_SLACK = 1e-6  # what a float32 clamp followed by a change of type may leave outside [0, 1]


@dataclass(frozen=True)
class MetricInfo:
    """The card of a metric.

    unit: "dB", "1" for a pure number, … better: which way is better. whole_clip: one value a clip instead of one a frame.
    needs: fields of `blurbench.types.Sample`, or of its extras, that the scorer passes as options of the same name; a sample without
    them has no value. min_frames: below it there is no value. of: what is compared: `frames`, two clips; `motion`, two fields of
    displacements; `samples`, all draws of a stochastic method and the target clip. facts: from the options to what else decides on the
    value (weights, versions), JSON-ready, for the run record.
    """

    id: str
    title: str
    unit: str
    better: Better
    whole_clip: bool = False
    needs: frozenset[str] = frozenset()
    min_frames: int = 1
    of: Kind = "frames"
    facts: Facts | None = None


class Metric(Protocol[P]):
    """`f(prediction, target, **options)`: two clips (T, H, W, 3) to (T,) float64, or (1,) when `info.whole_clip`.

    With `info.of` "motion" both are displacements (T, H, W, 2) in pixels (x right, y down) from where a pixel is in the middle of the
    exposure; with "samples" the prediction is (N, T, H, W, 3).
    """

    info: MetricInfo

    def __call__(self, prediction: Pixels, target: Pixels, *args: P.args, **options: P.kwargs) -> F64: ...


def metric(
    *,
    id: str,
    title: str,
    unit: str,
    better: Better,
    whole_clip: bool = False,
    needs: Iterable[str] = (),
    min_frames: int = 1,
    of: Kind = "frames",
    facts: Facts | None = None,
) -> Callable[[Callable[Concatenate[Pixels, Pixels, P], F64]], Metric[P]]:
    """Make a function of (prediction, target) a metric: attach its MetricInfo as `.info`, and check the two clips before every call."""
    info = MetricInfo(id, title, unit, better, whole_clip, frozenset(needs), min_frames, of, facts)

    def decorate(function: Callable[Concatenate[Pixels, Pixels, P], F64]) -> Metric[P]:
        @wraps(function)
        def checked(prediction: Pixels, target: Pixels, *args: P.args, **options: P.kwargs) -> F64:
            check_pair(info, prediction, target)
            return function(prediction, target, *args, **options)

        checked.info = info  # type: ignore[attr-defined]
        return cast(Metric[P], checked)

    return decorate


def check_pair(info: MetricInfo, prediction: Pixels, target: Pixels) -> None:
    """Raises PredictionError unless both are what `info.of` says, of one shape, long enough, of known type, finite and in range."""
    check = check_motion if info.of == "motion" else check_frames
    (check_draws if info.of == "samples" else check)(f"{info.id}: prediction", prediction)
    check(f"{info.id}: target", target)
    if info.of == "samples":
        prediction = prediction[0]
    if prediction.shape != target.shape:
        raise PredictionError(
            f"{info.id}: prediction has shape {prediction.shape}, target {target.shape}; crop, resize or pick frames so that they are equal"
        )
    if len(prediction) < info.min_frames:
        raise PredictionError(f"{info.id}: the clips have {len(prediction)} frame(s), expected at least {info.min_frames}")


def check_motion(name: str, motion: Pixels) -> None:
    """Raises PredictionError, naming the array, unless it holds displacements (T, H, W, 2), finite floats."""
    if not isinstance(motion, np.ndarray) or motion.dtype.kind != "f":
        found = getattr(motion, "dtype", type(motion).__name__)
        raise PredictionError(f"{name} is {found}, expected a numpy array of floats, displacements in pixels")
    if motion.ndim != 4 or motion.shape[-1] != 2 or not motion.size:
        raise PredictionError(f"{name} has shape {motion.shape}, expected (T, H, W, 2), (x right, y down)")
    if bad := int((~np.isfinite(motion)).sum()):
        raise PredictionError(f"{name} holds {bad} NaN or infinite values of {motion.size}")


def check_draws(name: str, draws: Pixels) -> None:
    """Raises PredictionError, naming the array, unless it holds at least one clip, (N, T, H, W, 3), each as `check_frames` wants it."""
    _check_array(name, draws)
    if draws.ndim != 5 or not len(draws):
        raise PredictionError(f"{name} has shape {draws.shape}, expected (N, T, H, W, 3) with N at least 1")
    check_frames(name, draws.reshape(draws.shape[0] * draws.shape[1], *draws.shape[2:]))


def check_frames(name: str, frames: Pixels) -> None:
    """Raises PredictionError, naming the array, unless it is a clip (T, H, W, 3), uint8 or float in [0, 1] (slack 1e-6)."""
    _check_array(name, frames)
    if frames.dtype.name not in _DTYPES:
        raise PredictionError(f"{name} has dtype {frames.dtype}, expected one of {', '.join(_DTYPES)}; convert it with .astype")
    if frames.ndim != 4 or frames.shape[-1] != 3:
        raise PredictionError(f"{name} has shape {frames.shape}, expected (T, H, W, 3) in RGB; add the axis of frames, move channels last")
    if not frames.size:
        raise PredictionError(f"{name} has shape {frames.shape}, expected at least one frame and one pixel")
    if frames.dtype == np.uint8:
        return
    low, high = float(frames.min()), float(frames.max())  # NaN if any value is
    if not np.isfinite([low, high]).all():
        bad = int((~np.isfinite(frames)).sum())
        raise PredictionError(f"{name} holds {bad} NaN or infinite values of {frames.size}; a network that diverged cannot be scored")
    if low < -_SLACK or high > 1 + _SLACK:
        raise PredictionError(f"{name} has values from {low:.6g} to {high:.6g}, expected floats in [0, 1]; clamp them, or divide by 255")


def _check_array(name: str, given: object) -> None:
    if not isinstance(given, np.ndarray):
        raise PredictionError(f"{name} is {type(given).__name__}, expected a numpy array; convert it with numpy.asarray")


def to_unit(frames: Pixels) -> F64:
    """Frames or a frame of either kind as float64 in [0, 1]."""
    unit = frames.astype(np.float64)
    return unit / 255 if frames.dtype == np.uint8 else unit
