"""Pictures of any size for flow models."""

import numpy as np

from blurbench.video.flow import load, padded


def test_padded_repeats_the_last_row_and_column():
    picture = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert padded(picture, 3, 4).tolist() == [[0, 1, 2, 2], [3, 4, 5, 5], [3, 4, 5, 5]]
    assert padded(picture, 2, 0) is picture
    coloured = np.dstack([picture, picture + 10])
    assert np.array_equal(padded(coloured, 4, 0)[..., 1], padded(picture, 4, 0) + 10)


def test_the_flow_of_a_flat_picture_is_of_its_size():
    picture = np.random.default_rng(0).integers(0, 256, (20, 130, 3), np.uint8)
    assert load("dis-ultrafast").between(picture, picture).shape == (20, 130, 2)
