"""The one way to run a method on a sample: what it asks for, padding, time, and checks of what it answers."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from blurbench import device as devices
from blurbench.errors import BlurbenchError, PredictionError
from blurbench.methods import Answer, Method, Request
from blurbench.types import F32, U8, Prediction, Sample


def predict(method: Method, sample: Sample, samples: int = 1, seed: int = 0) -> Prediction:
    """Run a method on one sample. The same seed gives the same prediction, whatever ran before.

    The prediction has the sample's number of frames, or the method's own where that is fixed. Raises PredictionError for an answer that
    cannot be used. What the method's own code raises keeps its type and traceback, with a note that names the sample.
    """
    can = method.capabilities
    frames = can.frames or len(sample.sharp)
    height, width = sample.blurry.shape[:2]
    rng = np.random.default_rng([seed, *sample.id.encode()])
    request = Request(
        times=sample.times,
        samples=samples if can.stochastic else 1,
        rng=rng,
        before=_neighbours(method, sample, "before", can.before),
        after=_neighbours(method, sample, "after", can.after),
        sharp=_pad(_to_float(sample.sharp), can.multiple) if "sharp" in can.needs else None,
        guidance=_guidance(method, sample) if "guidance" in can.needs else None,
    )
    blurry = _pad(_to_float(sample.blurry), can.multiple)
    devices.synchronise(method.device)
    start = time.perf_counter()
    answer = _answer(method, sample, blurry, request)
    devices.synchronise(method.device)
    seconds = time.perf_counter() - start
    pictures = answer.frames if isinstance(answer, Answer) else answer
    shape = request.samples, frames, *blurry.shape
    made = Prediction(sample.id, _checked(method, sample, "frames", pictures, shape)[:, :, :height, :width], seconds, method.device)
    if not isinstance(answer, Answer):
        return made
    times = np.asarray(answer.motion_times, np.float64)
    if times.ndim != 1 or not (np.abs(times - 0.5) <= 0.51).all() or (np.diff(times) <= 0).any():  # NaN is in no range
        told = f"{method.card.id} returned motion_times {times.tolist()} for sample {sample.id}"
        raise PredictionError(f"{told}, expected moments of the exposure, rising from 0 to 1")
    motion = _checked(method, sample, "motion", answer.motion, (request.samples, len(times), *blurry.shape[:2], 2))
    return replace(made, motion=motion[:, :, :height, :width], motion_times=times)


def failure(method: Method, error: Exception) -> PredictionError:
    """What a record says, in one line, of a sample on which `predict` raised this."""
    if isinstance(error, BlurbenchError):
        return PredictionError(str(error))
    told = f"{type(error).__name__}: {error}".partition("\n")[0]
    return PredictionError(f"{method.card.id} raised {told}")


def _answer(method: Method, sample: Sample, blurry: F32, request: Request) -> F32 | Answer:
    """The method's own answer; what runs on a CPU needs no torch."""
    try:
        with devices.exact(method.device):
            return method.predict(blurry, request)
    except Exception as error:
        error.add_note(f"{method.card.id} raised this on sample {sample.id}")
        raise


def _checked(method: Method, sample: Sample, what: str, given: object, expected: tuple[int, ...]) -> F32:
    """An answer as float32. Raises PredictionError for what is no array of numbers, another shape, or NaN."""
    axes = f"(N,T,H,W,{expected[-1]})"
    if not _is_numeric(given):
        kind = f"an array of {given.dtype}" if isinstance(given, np.ndarray) else "None" if given is None else f"a {type(given).__name__}"
        # A tensor is refused on the CPU too, or a method would pass its tests there and fail on a GPU.
        mend = "end `predict` with .detach().cpu().numpy()" if hasattr(given, "cpu") else "return one from `predict`"
        raise PredictionError(
            f"{method.card.id} returned {kind} as {what} for sample {sample.id}, expected a NumPy array {axes} float32; {mend}"
        )
    if given.shape != expected:
        told = f"{axes} = {expected}"
        raise PredictionError(f"{method.card.id} returned {what} of shape {given.shape} for sample {sample.id}, expected {told}")
    if not np.isfinite(given).all():
        bad = int((~np.isfinite(given)).sum())
        raise PredictionError(
            f"{method.card.id} returned {bad} NaN or infinite values for sample {sample.id}; check its weights and its input range [0, 1]"
        )
    return given.astype(np.float32, copy=False)


def _is_numeric(given: object) -> TypeGuard[NDArray[np.number]]:
    """Whether it is a NumPy array of real numbers."""
    return isinstance(given, np.ndarray) and given.dtype.kind in "uif"


def _neighbours(method: Method, sample: Sample, side: str, count: int) -> F32 | None:
    """The neighbouring exposures on one side, padded; a sample without them stands still: its own exposure is repeated."""
    if not count:
        return None
    given = sample.extras.get(side)
    pictures = np.repeat(sample.blurry[None], count, axis=0) if given is None else given
    return _pad(_to_float(pictures), method.capabilities.multiple)


def _guidance(method: Method, sample: Sample) -> NDArray[np.int8]:
    """The sample's guidance at the size of the padded picture, by nearest neighbour. Raises PredictionError where it has none."""
    if (given := sample.extras.get("guidance")) is None:
        raise PredictionError(f"{method.card.id} needs motion guidance, which sample {sample.id} lacks; make the data set with [guidance]")
    height, width = sample.blurry.shape[:2]
    rows, columns = np.arange(height) * given.shape[0] // height, np.arange(width) * given.shape[1] // width
    full = given[rows[:, None], columns]
    down, right = -height % method.capabilities.multiple, -width % method.capabilities.multiple
    return np.pad(full, [(0, down), (0, right), (0, 0)], mode="edge")


def _to_float(image: U8) -> F32:
    return image.astype(np.float32) / np.float32(255)


def _pad(image: F32, multiple: int) -> F32:
    """Reflect the last rows and columns of (..., H, W, 3) until both sizes are multiples."""
    *lead, height, width, _ = image.shape
    rows, columns = -height % multiple, -width % multiple
    if not rows and not columns:
        return image
    return np.pad(image, [*[(0, 0)] * len(lead), (0, rows), (0, columns), (0, 0)], mode="symmetric")
