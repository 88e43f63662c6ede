"""How much do the draws of a stochastic method differ?"""

from __future__ import annotations

from itertools import combinations
from typing import Literal

import cv2
import numpy as np

from blurbench.metrics._metric import Pixels, metric, to_unit
from blurbench.strict import one_of
from blurbench.types import F64

Distance = Literal["rms", "absolute"]


@metric(id="diversity", title="Mean pairwise distance between draws", unit="levels", better="higher", whole_clip=True, of="samples")
def diversity(prediction: Pixels, target: Pixels, *, distance: Distance = "rms") -> F64:
    """Mean over the N (N - 1) / 2 pairs of draws a, b of their distance over all frames, pixels and channels, on the scale 0 … 255:

        rms:       sqrt( mean ( a - b )² )
        absolute:  mean | a - b |

    Zero for draws that are equal, and for one draw. Draws that differ in direction of time alone differ. The target is not compared:
    noise is diverse too, so it says something only beside a best-of-N score.

    prediction: (N, T, H, W, 3), target: (T, H, W, 3), uint8 or float in [0, 1]. Returns (1,) float64 in grey levels from 0 to 255; higher
    is more diverse.

    Source: pairwise distances between draws as in Zhu et al., "Toward Multimodal Image-to-Image Translation", NIPS 2017, here
    of pixels instead of features.
    Raises PredictionError (shapes, types, ranges, NaN, no draw), RecipeError (distance).
    """
    one_of("diversity", "distance", distance, Distance)
    draws = [draw if draw.dtype == np.uint8 else to_unit(draw) * 255 for draw in prediction]
    distances = [_distance(a, b, distance) for a, b in combinations(draws, 2)]
    return np.array([np.mean(distances) if distances else 0.0])


def _distance(a: Pixels, b: Pixels, distance: Distance) -> float:
    """Of two draws (T, H, W, 3) of one dtype, in levels."""
    kind = cv2.NORM_L2SQR if distance == "rms" else cv2.NORM_L1
    mean = float(sum(cv2.norm(x, y, kind) for x, y in zip(a, b, strict=True))) / a.size
    return mean**0.5 if distance == "rms" else mean
