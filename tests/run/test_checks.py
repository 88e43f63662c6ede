"""The look at the first predictions: a warning, never an end."""

import numpy as np
import pytest

from blurbench.run.checks import Look
from blurbench.types import Prediction, Sample


def warned(*pairs):
    """What is said of (frames, sharp) pairs."""
    look = Look()
    for number, (frames, sharp) in enumerate(pairs):
        look.add(Prediction(f"v/{number}", frames, 0, "cpu"), Sample(f"v/{number}", "v", sharp[0], sharp, np.array([0.5]), "srgb"))
    return look.warning()


def test_what_cannot_be_scored_gets_no_warning():
    """It is told when it is scored, where the run may go on after it."""
    sharp = np.zeros((1, 4, 4, 3), np.uint8) + np.array([200, 90, 10], np.uint8)
    swapped = (sharp[None, ..., ::-1] / 255).astype(np.float32)
    assert "red and blue look exchanged in the prediction of v/0: " in warned((swapped, sharp))
    for frames in (swapped * np.float32(255), swapped * np.float32(np.nan)):
        assert warned((frames, sharp)) is None


def test_one_grey_sample_hides_no_exchange():
    grey, coloured = np.full((1, 4, 4, 3), 90, np.uint8), np.zeros((1, 4, 4, 3), np.uint8) + np.array([200, 90, 10], np.uint8)
    swapped = [frames[None, ..., ::-1] for frames in (grey, coloured)]
    assert warned((swapped[0], grey)) is None
    told = "red and blue look exchanged in the prediction of v/0 and the 1 after it: "
    assert warned((swapped[0], grey), (swapped[1], coloured)).startswith(told)


def test_black_pictures_are_no_cut_ones():
    """Floats from 0 to 1 that were stored as 8 bits."""
    sharp = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), np.uint8)
    assert warned(((sharp[None] / 255).astype(np.uint8), sharp)) is None


@pytest.mark.parametrize("stored", [False, True])
def test_values_from_minus_one_to_one(stored):
    """As networks that end in tanh give them, and as a file keeps them. Half of the light is cut off, and nothing fails."""
    sharp = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), np.uint8)
    light = (sharp[None] / 255).astype(np.float32)
    given = light * 2 - 1
    if stored:
        given = np.rint(255 * given.clip(0, 1)).astype(np.uint8)
    told = warned((given, sharp))
    assert told.startswith("values look as if they went from -1 to 1 in the prediction of v/0: ") and "expected 0 to 1" in told
    for frames in (light, light * np.float32(0.5), sharp[None]):
        assert warned((frames, sharp)) is None
