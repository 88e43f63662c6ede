"""The look at the first prediction: a warning, never an end."""

import numpy as np

from blurbench.run.checks import colour_order
from blurbench.types import Prediction, Sample


def test_what_cannot_be_scored_gets_no_warning():
    """It is told when it is scored, where the run may go on after it."""
    picture = np.zeros((4, 4, 3), np.uint8) + np.array([200, 90, 10], np.uint8)
    sample = Sample("v/0", "v", picture, picture[None], np.array([0.5]), "srgb")
    swapped = (picture[None, None, ..., ::-1] / 255).astype(np.float32)
    assert "red and blue look exchanged in the prediction of v/0" in str(colour_order(Prediction("v/0", swapped, 0, "cpu"), sample))
    for frames in (swapped * np.float32(255), swapped * np.float32(np.nan)):
        assert colour_order(Prediction("v/0", frames, 0, "cpu"), sample) is None
