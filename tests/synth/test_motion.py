"""Measured motion: direction, grid and sequence of the flows, by pictures that move by a known amount."""

import numpy as np
import pytest

from blurbench.errors import SourceError, UnknownNameError
from blurbench.synth.motion import backward, measured
from blurbench.video import flow
from blurbench.video.photographs import Photographs
from blurbench.video.textures import dead_leaves

STEPS = [(3, 0), (0, 2), (-2, -1)]


@pytest.fixture(scope="module")
def sharp():
    """(4, 96, 128, 3): a window on a large picture; the scene moves by STEPS (x right, y down)."""
    canvas = dead_leaves(Photographs("train"), (128, 160), np.random.default_rng(0))
    canvas = canvas if canvas.dtype == np.uint8 else np.round(canvas * 255).astype(np.uint8)
    places = np.cumsum([(16, 16), *[(-x, -y) for x, y in STEPS]], axis=0)
    return np.stack([canvas[y : y + 96, x : x + 128] for x, y in places])


def typical(field):
    return np.median(field[16:-16, 16:-16].reshape(-1, 2).astype(float), axis=0)


def test_flow_points_from_each_target_to_the_next(sharp):
    found = measured(sharp)
    assert {name: (field.shape, field.dtype) for name, field in found.items()} == {
        "flow": ((3, 96, 128, 2), np.float16),
        "flow_first_last": ((96, 128, 2), np.float16),
    }
    for field, step in zip(found["flow"], STEPS, strict=True):
        assert typical(field) == pytest.approx(step, abs=0.15)
    assert typical(found["flow_first_last"]) == pytest.approx(np.sum(STEPS, axis=0), abs=0.15)


def test_backward_points_from_each_target_to_the_one_before(sharp):
    found = backward(sharp, flow.load("dis-medium"))
    assert found.shape == (3, 96, 128, 2) and found.dtype == np.float32
    for field, (x, y) in zip(found, STEPS, strict=True):
        assert typical(field) == pytest.approx((-x, -y), abs=0.15)


def test_two_targets_have_one_motion(sharp):
    found = measured(sharp[:2])
    assert (found["flow"][0] == found["flow_first_last"]).all() and found["flow"].any()


def test_a_model_by_name(sharp):
    fast = flow.load("dis-fast")
    assert (measured(sharp[:2], "dis-fast")["flow"] == measured(sharp[:2], fast)["flow"]).all()
    with pytest.raises(UnknownNameError, match="dis-medum"):
        measured(sharp, "dis-medum")


@pytest.mark.parametrize(
    "wrong", [np.zeros((1, 32, 32, 3), np.uint8), np.zeros((2, 32, 32, 3), np.float32), np.zeros((2, 32, 32), np.uint8)]
)
def test_wrong_targets(wrong):
    with pytest.raises(SourceError, match="expected uint8"):
        measured(wrong)
