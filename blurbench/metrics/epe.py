"""Does the predicted clip move as the true one does? End-point errors between flows measured in both."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np

from blurbench.metrics import _flow
from blurbench.metrics._metric import Pixels, metric
from blurbench.strict import one_of
from blurbench.types import F32, F64, U8
from blurbench.video.flow import Flow

Direction = Literal["forward", "pixel"]


@metric(
    id="epe-first-last",
    title="End-point error of the flow from first to last frame",
    unit="px",
    better="lower",
    whole_clip=True,
    min_frames=2,
    facts=_flow.facts,
)
def epe_first_last(prediction: Pixels, target: Pixels, *, flow: str = "dis-medium", direction: Direction = "forward") -> F64:
    """Mean over pixels of | F(p_1, p_T) - F(g_1, g_T) |, where F(a, b) is the flow that a model measures from frame a to frame b.

    With direction "pixel" each pixel takes the smaller of that and | F(p_T, p_1) - F(g_1, g_T) |, both at the same place of the picture:
    how the published script forgives the direction. It forgives more than a direction: what moves by d has an error of at most |d|
    where the prediction stands still, and of a prediction with the wrong direction in half of the picture nothing is left.

    prediction, target: (T, H, W, 3), uint8 or float in [0, 1] (rounded to 8 bits), T at least 2. flow: the model,
    `dis-…` or `ptlflow:NAME`; values of two models cannot be compared. Returns (1,) float64 in pixels, at least 0, lower is better.

    Source: K. Zhang et al., ACM MM 2020 (table 1: 10 to 18 px; model, frames and resolution not stated); direction "pixel" as in the
    evaluation script of Tedla et al. 2025, which resizes to multiples of 8 and gives RAFT frames in [0, 1]; here nothing is resized.
    Raises PredictionError (shapes, types, ranges, NaN, one frame), RecipeError (direction), UnknownNameError (flow), for
    models of ptlflow also WeightsError and BrokenPluginError.
    """
    one_of("epe-first-last", "direction", direction, Direction)
    p, g = _flow.in_8_bits(prediction), _flow.in_8_bits(target)
    return _smaller_mean(_flow.model(flow), p[[0, -1]], g[[0, -1]], direction)


@metric(
    id="epe-adjacent",
    title="End-point error of the flow between adjacent frames",
    unit="px",
    better="lower",
    whole_clip=True,
    min_frames=2,
    facts=_flow.facts,
)
def epe_adjacent(prediction: Pixels, target: Pixels, *, flow: str = "dis-medium", direction: Direction = "forward") -> F64:
    """Mean over pixels and t = 1 … T - 1 of | F(p_t, p_t+1) - F(g_t, g_t+1) |, F(a, b) the flow that a model measures from a to b.

    With direction "pixel" each pixel takes the prediction or its reversal, whichever has the smaller error over all t at that place. For
    two frames that is `epe-first-last`.

    Parameters, range and errors as for `epe-first-last`. Returns (1,) float64 in pixels a step, lower is better.
    """
    one_of("epe-adjacent", "direction", direction, Direction)
    p, g = _flow.in_8_bits(prediction), _flow.in_8_bits(target)
    return _smaller_mean(_flow.model(flow), p, g, direction)


def _smaller_mean(model: Flow, prediction: U8, target: U8, direction: Direction) -> F64:
    """(1,) mean end-point error a step of two clips."""
    truth = [model.between(a, b) for a, b in pairwise(target)]
    errors = _errors(model, prediction, truth)
    if direction == "pixel":
        errors = np.minimum(errors, _errors(model, prediction[::-1], truth))
    return np.array([errors.mean() / len(truth)])


def _errors(model: Flow, frames: U8, truth: list[F32]) -> F64:
    """(H, W) float64: the end-point errors of all steps, added up."""
    total = np.zeros(frames.shape[1:3])
    for (a, b), true in zip(pairwise(frames), truth, strict=True):
        apart = model.between(a, b) - true
        total += np.hypot(apart[..., 0], apart[..., 1])
    return total
