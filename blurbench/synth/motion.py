"""Motion between the targets of a sample, measured by a flow model where footage does not know its own.

Which model, the hash of its weights and how it takes pictures are in the model's `facts()`, which the provenance of a shard keeps.
Released data of the field used RAFT; motion measured by another model is close to it, not equal.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from blurbench.errors import SourceError
from blurbench.types import F32, U8
from blurbench.video import flow
from blurbench.video.flow import Flow


def measured(sharp: U8, model: Flow | str = "dis-medium") -> dict[str, NDArray[np.float16]]:
    """Flow between the targets `sharp` (T, H, W, 3) uint8 RGB, T at least 2, as a shard stores it.

    `flow` (T-1, H, W, 2): where each pixel of target j is in target j + 1. `flow_first_last` (H, W, 2): where each pixel of the first
    is in the last, measured on these two alone, not added up. Both float16, pixels (x right, y down).
    model: a flow model or its name. Raises SourceError for other targets, UnknownNameError for an unknown model.
    """
    model = _model(sharp, model)
    steps = np.stack([model.between(a, b) for a, b in pairwise(sharp)])
    # Two targets have one motion; a model without memory would only measure it again.
    whole = steps[0] if len(sharp) == 2 else model.between(sharp[0], sharp[-1])
    return {"flow": steps.astype(np.float16), "flow_first_last": whole.astype(np.float16)}


def backward(sharp: U8, model: Flow | str = "dis-medium") -> F32:
    """Flow from each target to the one before, (T-1, H, W, 2) float32: entry j is where each pixel of target j + 1 is in target j.

    Negated it is what `guidance` takes. Parameters and errors as for `measured`.
    """
    model = _model(sharp, model)
    return np.stack([model.between(b, a) for a, b in pairwise(sharp)])


def _model(sharp: U8, model: Flow | str) -> Flow:
    if sharp.ndim != 4 or sharp.shape[-1] != 3 or len(sharp) < 2 or sharp.dtype != np.uint8:
        raise SourceError(f"targets are {sharp.dtype} {sharp.shape}, expected uint8 (T, H, W, 3) with T at least 2 to measure motion")
    return flow.load(model) if isinstance(model, str) else model
