"""Where each pixel of the middle of an exposure was at other times, from what a data set stores of motion."""

from __future__ import annotations

import numpy as np

from blurbench.metrics._flow import fetch
from blurbench.types import F32, F64, Sample
from blurbench.video.flow import grid

_MIDDLE = 0.5
_SAME = 1e-6  # exposures; a target this near to the middle is in the middle
_STEPS = 6  # of the search for where a pixel came from; more change nothing but edges of what moves, where nothing settles


def true_trajectory(sample: Sample, times: F64 | None = None) -> F32 | None:
    """(T, H, W, 2) float32: displacement, in pixels (x right, y down), of what is at a pixel in the middle of the exposure, at each time.

    times: (T,) in units of the exposure, by default those of the targets. At 0.5 the displacement is zero. Known from

    - `motion` (H, W, 2) of synthetic kernels, the displacement over the whole exposure: a straight line of constant speed. Which of its
      ends comes first is the data's choice, since the blur is the same;
    - else `flow` (T - 1, H, W, 2) from each target to the next: followed from the middle outwards, to later targets by sampling it
      (bilinear) where the pixel has come to, to earlier ones by searching the place whose flow leads to the pixel. Between two targets,
      and in a middle that no target shows, motion is straight and of constant speed. It is as true as the flow, exact for rendered data,
      float16, and a guess where the pixel is hidden in another target or left the picture (there the flow of the nearest pixel is taken).

    None where the sample has neither, where the targets do not have the middle between them, or `times` go beyond the targets.
    """
    asked = np.asarray(sample.times if times is None else times, np.float64)
    if (line := sample.extras.get("motion")) is not None:
        return np.asarray((asked - _MIDDLE)[:, None, None, None] * line.astype(np.float32), np.float32)
    known = np.asarray(sample.times, np.float64)
    if (flow := sample.extras.get("flow")) is None or len(known) < 2 or not (np.diff(known) > 0).all():
        return None
    if not known[0] - _SAME <= min(_MIDDLE, asked.min()) <= max(_MIDDLE, asked.max()) <= known[-1] + _SAME:
        return None
    places = _followed(flow, known)
    places -= grid(flow.shape[1:])
    return places if times is None else at_times(places, known, asked)


def _followed(flow: F32, times: F64) -> F32:
    """(T, H, W, 2): the place (x, y) of every pixel of the middle, at the times of the targets."""
    start = int(np.searchsorted(times, _MIDDLE + _SAME, side="right")) - 1  # the last target that is not later than the middle
    places = np.empty((len(times), *flow.shape[1:]), np.float32)
    places[start] = middle = grid(flow.shape[1:])
    if times[start] < _MIDDLE - _SAME:
        share = (_MIDDLE - times[start]) / (times[start + 1] - times[start])
        places[start] = _back(flow[start], middle, flow[start], share)
    for t in range(start, len(flow)):
        places[t + 1] = places[t] + fetch(flow[t].astype(np.float32), places[t])
    for t in range(start, 0, -1):
        # What is hidden at t - 1 and what hides it may lead to one place; the pixel's own step is nearest to its step after t.
        likely = places[t + 1] - places[t] if t < len(flow) else flow[t - 1]
        places[t - 1] = _back(flow[t - 1], places[t], likely)
    return places


def _back(flow: F32, places: F32, likely: F32, share: float = 1.0) -> F32:
    """Where in a frame that is whose `share` of the flow out of that frame leads to these places, (H, W, 2).

    By iterating y = x - share flow(y), from the step that is likely. Where that does not settle, the best place met counts.
    """
    way = flow.astype(np.float32) * np.float32(share)
    found = places - np.float32(share) * likely
    best, least = found, np.full(places.shape[:2], np.inf, np.float32)
    for _ in range(_STEPS):
        step = fetch(way, found)
        off = np.square(found + step - places).sum(axis=-1)
        better = off < least
        if not better.any():
            break
        best, least = np.where(better[..., None], found, best), np.minimum(off, least)
        found = places - step
    return np.asarray(best, np.float32)


def at_times(displacements: F32, known: F64, asked: F64) -> F32:
    """Displacements (M, H, W, 2) at the rising times `known` (M,) as those at the times `asked`: linear in between, constant beyond."""
    before = np.clip(np.searchsorted(known, asked, side="right") - 1, 0, len(known) - 2)
    share = np.clip((asked - known[before]) / (known[before + 1] - known[before]), 0, 1).astype(np.float32)[:, None, None, None]
    return np.asarray((1 - share) * displacements[before] + share * displacements[before + 1], np.float32)
