"""Methods without a network, to place real ones on the scale of a metric: the blur itself, and the truth in four arrangements.

`copy-blur` is what a method must beat. The oracles see the true frames and say what a protocol gives for a perfect single frame
(`oracle-centre`), for the right frames in the wrong direction (`oracle-reversed`), and for the truth (`oracle`).
"""

from __future__ import annotations

import numpy as np

from blurbench.errors import PredictionError
from blurbench.methods import Capabilities, Method, MethodCard, Request
from blurbench.types import F32

_SEES_TRUTH = Capabilities(needs=frozenset({"sharp"}))


def _card(name: str, title: str) -> MethodCard:
    return MethodCard(id=name, title=title, paper="none", licence="Apache-2.0", weights="none needed")


def _truth(request: Request) -> F32:
    """The true frames (T, H, W, 3) float32 in [0, 1]. Raises PredictionError when the request carries none."""
    if request.sharp is None:
        raise PredictionError("an oracle was asked without the sharp frames; give Request.sharp")
    return request.sharp


class CopyBlur(Method):
    """T copies of the blurry image."""

    card = _card("copy-blur", "The blurry image, repeated")
    capabilities = Capabilities()

    def predict(self, blurry: F32, request: Request) -> F32:
        return np.repeat(blurry[None, None], len(request.times), axis=1)


class OracleCentre(Method):
    """T copies of the true centre frame, that of index T // 2: the middle one of an odd T, the later of the middle two of an even T."""

    card = _card("oracle-centre", "The true centre frame, repeated")
    capabilities = _SEES_TRUTH

    def predict(self, blurry: F32, request: Request) -> F32:
        sharp = _truth(request)
        return np.repeat(sharp[None, len(sharp) // 2, None], len(sharp), axis=1)


class OracleReversed(Method):
    """The true frames, last first: what a method does that sees the motion and cannot know its direction."""

    card = _card("oracle-reversed", "The true frames, backwards")
    capabilities = _SEES_TRUTH

    def predict(self, blurry: F32, request: Request) -> F32:
        return np.ascontiguousarray(_truth(request)[None, ::-1])


class Oracle(Method):
    """The true frames."""

    card = _card("oracle", "The true frames")
    capabilities = _SEES_TRUTH

    def predict(self, blurry: F32, request: Request) -> F32:
        return _truth(request)[None]
