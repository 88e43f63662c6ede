"""A method of a third party."""

import numpy as np

from blurbench.methods import Capabilities, Method, MethodCard


class Invert(Method):
    """One frame: the negative of the blurry image."""

    card = MethodCard(id="toy-invert", title="Negative", paper="none", licence="CC0-1.0")
    capabilities = Capabilities(frames=1)

    def predict(self, blurry, request):
        return np.float32(1) - blurry[None, None]
