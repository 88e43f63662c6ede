"""Does the predicted clip follow the motion of the true one from frame to frame?"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from blurbench.errors import UnavailableError
from blurbench.metrics import _flow
from blurbench.metrics._metric import Pixels, metric, to_unit
from blurbench.types import F64
from blurbench.video.flow import grid


@metric(
    id="warp-error",
    title="Temporal warping error along the true motion",
    unit="1",
    better="lower",
    whole_clip=True,
    min_frames=2,
    facts=_flow.facts,
)
def warp_error(prediction: Pixels, target: Pixels, *, flow: str = "dis-medium") -> F64:
    """Mean over t = 1 … T - 1 of the mean over RGB and the counted pixels x of

        ( p_t+1(x + w_t(x)) - p_t(x) )²

    on the scale 0 … 1. w_t is the flow that a model measures between the *target* frames t and t + 1; p_t+1 is sampled bilinearly. A pixel
    counts where the target shows it in both frames: flow there and flow back agree, |w + v|² ≤ 0.01 (|w|² + |v|²) + 0.5, and x + w is
    inside the picture. A step of which no pixel counts is left out.

    Zero where target and prediction stand still. The target's own value, warp-error(g, g), is the floor for a clip that moves rightly: it
    holds what interpolation, a flow's errors and changing light leave, and is the row of the method `oracle` on a board. Below it are
    blurred clips, in which a wrong motion costs little: read it beside a metric of pictures.

    prediction, target: (T, H, W, 3), uint8 or float in [0, 1] (the target rounded to 8 bits for the flow), T at least 2.
    flow: the model, `dis-…` or `ptlflow:NAME`; values of two models cannot be compared. Returns (1,) float64 without unit in [0, 1],
    lower is better.

    Source: Lai et al., "Learning Blind Video Temporal Consistency", ECCV 2018 (flow warping error), there with FlowNet2 and a mask that
    leaves out motion boundaries too (Ruder, Dosovitskiy, Brox 2016).
    Raises PredictionError (shapes, types, ranges, NaN, one frame), UnavailableError (no pixel counts), UnknownNameError
    (flow), for models of ptlflow also WeightsError and BrokenPluginError.
    """
    truth, model = _flow.in_8_bits(target), _flow.model(flow)
    errors = []
    for t, (here, there) in enumerate(pairwise(truth)):
        along = model.between(here, there)
        counted = _flow.seen(along, model.between(there, here))
        if counted.any():
            now, then = (to_unit(prediction[index]).astype(np.float32) for index in (t, t + 1))
            change = _flow.fetch(then, grid(now.shape) + along) - now
            errors.append(np.square(change[counted], dtype=np.float64).mean())
    if not errors:
        raise UnavailableError("no pixel of the targets is seen in two frames")
    return np.array([np.mean(errors)])
