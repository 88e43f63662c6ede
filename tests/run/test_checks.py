"""The look at the first prediction: a warning, never an end."""

import numpy as np

from blurbench.run.checks import slip
from blurbench.types import Prediction, Sample


def test_what_cannot_be_scored_gets_no_warning():
    """It is told when it is scored, where the run may go on after it."""
    picture = np.zeros((4, 4, 3), np.uint8) + np.array([200, 90, 10], np.uint8)
    sample = Sample("v/0", "v", picture, picture[None], np.array([0.5]), "srgb")
    swapped = (picture[None, None, ..., ::-1] / 255).astype(np.float32)
    assert "red and blue look exchanged in the prediction of v/0" in str(slip(Prediction("v/0", swapped, 0, "cpu"), sample))
    for frames in (swapped * np.float32(255), swapped * np.float32(np.nan)):
        assert slip(Prediction("v/0", frames, 0, "cpu"), sample) is None


def test_values_from_minus_one_to_one():
    """As networks that end in tanh give them. Half of the light is cut off, and nothing fails."""
    rng = np.random.default_rng(0)
    sharp = rng.integers(0, 256, (1, 8, 8, 3), np.uint8)
    sample = Sample("v/0", "v", sharp[0], sharp, np.array([0.5]), "srgb")
    light = (sharp[None] / 255).astype(np.float32)
    told = slip(Prediction("v/0", light * 2 - 1, 0, "cpu"), sample)
    assert told and told.startswith("values look as if they went from -1 to 1 in the prediction of v/0: ") and "expected 0 to 1" in told
    for frames in (light, light * np.float32(0.5), sharp[None]):
        assert slip(Prediction("v/0", frames, 0, "cpu"), sample) is None
