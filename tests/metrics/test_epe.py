"""End-point errors of flow, by clips that move by a known amount and by OpenCV's DIS called here."""

import subprocess
import sys
import threading

import cv2
import numpy as np
import pytest

from blurbench.errors import BlurbenchError, PredictionError, RecipeError
from blurbench.metrics import _flow
from blurbench.metrics.epe import epe_adjacent, epe_first_last
from blurbench.video.photographs import Photographs
from blurbench.video.textures import dead_leaves

METRICS = [epe_first_last, epe_adjacent]
BOTH = pytest.mark.parametrize("metric", METRICS)


@pytest.fixture(scope="module")
def scene():
    """(160, 192, 3) uint8: a picture larger than the frames cut from it."""
    picture = dead_leaves(Photographs("train"), (160, 192), np.random.default_rng(3))
    return picture if picture.dtype == np.uint8 else np.round(picture * 255).astype(np.uint8)


def moving(scene, steps):
    """(T, 96, 128, 3): frames of which each shows the scene moved by a further step (x, y)."""
    places = np.cumsum([(32, 32), *[(-x, -y) for x, y in steps]], axis=0)
    return np.stack([scene[y : y + 96, x : x + 128] for x, y in places])


def dis(a, b):
    """What the default model is, spelled out."""
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (a, b)]
    return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(*grey, None).astype(np.float64)


def length(field):
    return np.sqrt((field**2).sum(axis=-1))


@pytest.fixture(scope="module")
def pair(scene):
    """Two clips of four frames that move differently, and the lower half of the first runs backwards."""
    p, g = moving(scene, [(2, 0), (1, 1), (2, 1)]), moving(scene, [(3, 0), (0, 2), (2, -1)])
    p[:, 48:] = p[::-1, 48:]
    return p, g


def test_first_to_last_by_its_definition(pair):
    p, g = pair
    truth = dis(g[0], g[-1])
    forward, backward = length(dis(p[0], p[-1]) - truth), length(dis(p[-1], p[0]) - truth)
    assert epe_first_last(p, g)[0] == pytest.approx(forward.mean(), rel=1e-6)
    assert epe_first_last(p, g, direction="pixel")[0] == pytest.approx(np.minimum(forward, backward).mean(), rel=1e-6)


def test_adjacent_by_its_definition(pair):
    p, g = pair
    forward = np.stack([length(dis(p[t], p[t + 1]) - dis(g[t], g[t + 1])) for t in range(3)])
    backward = np.stack([length(dis(p[3 - t], p[2 - t]) - dis(g[t], g[t + 1])) for t in range(3)])
    assert epe_adjacent(p, g)[0] == pytest.approx(forward.mean(), rel=1e-6)
    turned = backward.sum(axis=0) < forward.sum(axis=0)
    assert 0.2 < turned.mean() < 0.8
    kinder = np.where(turned, backward, forward)
    assert epe_adjacent(p, g, direction="pixel")[0] == pytest.approx(kinder.mean(), rel=1e-6)


@pytest.mark.parametrize(("predicted", "true"), [((3, 0), (3, 2)), ((-2, 1), (2, 1)), ((0, 0), (3, -4))])
def test_known_shifts(scene, predicted, true):
    """The error is the difference of the shifts, away from borders where nothing can be measured."""
    p, g = moving(scene, [predicted] * 2), moving(scene, [true] * 2)
    expected = np.hypot(predicted[0] - true[0], predicted[1] - true[1])
    assert epe_adjacent(p, g)[0] == pytest.approx(expected, rel=0.15)
    assert epe_first_last(p, g)[0] == pytest.approx(2 * expected, rel=0.15)


@BOTH
def test_zero_for_the_target_and_for_its_reversal_where_pixels_choose(metric, pair):
    _, g = pair
    for direction in ("forward", "pixel"):
        assert metric(g, g, direction=direction)[0] == 0
    assert metric(g[::-1], g, direction="pixel")[0] == 0
    assert metric(g[::-1], g)[0] > 0.5


@BOTH
def test_pixels_that_choose_forgive(metric, pair):
    p, g = pair
    forward, free = metric(p, g)[0], metric(p, g, direction="pixel")[0]
    assert 0 < free < forward
    assert metric(p[::-1], g, direction="pixel")[0] == pytest.approx(free, rel=1e-12)


def test_half_of_the_picture_backwards(scene):
    """A direction for each pixel leaves little of the error of a clip whose right half runs backwards; one for the clip cannot."""
    g = moving(scene, [(3, 1)] * 2)
    p = g.copy()
    p[:, :, 64:] = g[::-1, :, 64:]
    forward, free = epe_first_last(p, g)[0], epe_first_last(p, g, direction="pixel")[0]
    assert forward > 3
    assert free < forward / 4


def test_of_two_frames_both_are_one(pair):
    p, g = (clip[:2] for clip in pair)
    for direction in ("forward", "pixel"):
        assert epe_adjacent(p, g, direction=direction) == epe_first_last(p, g, direction=direction)


def test_what_stands_still_moves_by_nothing(pair):
    """Its error is the length of the true flow."""
    _, g = pair
    still = np.stack([g[0]] * 4)
    assert epe_first_last(still, still)[0] == 0
    assert epe_first_last(still, g)[0] == pytest.approx(length(dis(g[0], g[-1]) - dis(g[0], g[0])).mean(), rel=1e-6)


@BOTH
def test_floats_are_rounded_to_8_bits(metric, pair):
    p, g = pair
    assert metric((p / 255 + 0.4 / 255).clip(0, 1).astype(np.float32), g) == metric(p, g)


@BOTH
def test_the_model_matters_and_is_kept(metric, pair):
    p, g = pair
    assert metric(p, g, flow="dis-fast") != metric(p, g)
    assert _flow.model("dis-fast") is _flow.model("dis-fast")
    assert _flow.facts({"flow": "dis-fast"})["flow"]["model"] == "dis-fast"
    with pytest.raises(BlurbenchError, match="unknown flow model 'dis-medum'; did you mean 'dis-medium'"):
        metric(p, g, flow="dis-medum")


def test_one_model_a_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(_flow.model("dis-fast")))
    thread.start()
    thread.join()
    assert found[0] is not _flow.model("dis-fast")


def test_no_model_is_loaded_by_an_import():
    code = (
        "import cv2\ncv2.DISOpticalFlow.create = None\n"
        "import sys, blurbench.metrics.epe, blurbench.metrics.warp\n"
        "print([name for name in ('torch', 'ptlflow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


@BOTH
def test_refused(metric, pair):
    p, g = pair
    id = metric.info.id
    with pytest.raises(RecipeError, match=f"^{id}: direction is 'best', expected one of forward, pixel"):
        metric(p, g, direction="best")
    with pytest.raises(PredictionError, match=rf"^{id}: the clips have 1 frame\(s\)"):
        metric(p[:1], g[:1])


@BOTH
@pytest.mark.parametrize("flow", ["dis-medium", "dis-ultrafast"])
def test_small_and_narrow_frames(metric, flow, pair):
    """OpenCV's DIS alone ends the process for some of these, or measures otherwise from then on."""
    p, g = pair
    before = metric(p, g, flow=flow)
    for height, width in [(12, 128), (96, 15), (30, 30), (1, 1)]:
        small, true = p[:, :height, :width], g[:, :height, :width]
        assert metric(true, true, flow=flow)[0] == 0
        assert np.isfinite(metric(small, true, flow=flow)).all()
    assert metric(p, g, flow=flow) == before


def test_small_frames_are_padded_by_their_borders(pair):
    p, g = (clip[[0, -1], 20:60, 30:80] for clip in pair)
    padded = [np.pad(clip, [(0, 0), (0, 56), (0, 46), (0, 0)], mode="edge") for clip in (p, g)]
    expected = length(dis(*padded[0]) - dis(*padded[1]))[:40, :50].mean()
    assert epe_first_last(p, g)[0] == pytest.approx(expected, rel=1e-6)
