"""Motion and re-blurring of Motion-ETR, scored under the protocols of its paper."""

from dataclasses import replace

import numpy as np
import pytest

from blurbench.baselines.zhang2021_reblur import Zhang2021Reblur
from blurbench.metrics import protocol as protocols
from blurbench.metrics.score import score
from blurbench.running import predict
from blurbench.types import Sample
from tests.baselines.zhang2021_pieces import still

MOTION = np.array([12, -8])  # pixels over the exposure, x right and y down


@pytest.fixture(scope="module")
def sample():
    """A smooth texture, blurred by 15 steps along a line; as synthetic-linear stores it."""
    import cv2

    texture = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (120, 160, 3)).astype(np.float32), (0, 0), 1.5)
    texture = np.clip((texture - texture.mean()) * 3 + 128, 0, 255)
    shifts = [MOTION * (n / 14 - 0.5) for n in range(15)]
    moved = [cv2.warpAffine(texture, np.float32([[1, 0, x], [0, 1, y]]), (160, 120), borderMode=cv2.BORDER_REPLICATE) for x, y in shifts]
    blurry, sharp = (np.round(image).clip(0, 255).astype(np.uint8) for image in (np.mean(moved, axis=0), texture))
    motion = np.broadcast_to(MOTION, (120, 160, 2)).astype(np.float16)
    return Sample("s", "v", blurry, sharp[None], np.array([0.5]), "pixel", {"motion": motion})


def knowing(shift):
    """The method with the end of the curve at a shift (x, y) from the centre, its start opposite; offsets are (dy, dx), and point back."""
    x, y = shift
    return still((y, x), (-y, -x))


def quick(name):
    rules = protocols.load(name)
    return replace(rules, columns=tuple(column for column in rules.columns if column.metric != "cw-ssim"), crop="border:16")


def test_the_true_motion_gives_the_blurry_picture_back(sample):
    right = Zhang2021Reblur(knowing(MOTION / 2).network)
    values = score(quick("zhang2021-reblur"), predict(right, sample), sample).values
    wrong = Zhang2021Reblur(knowing(MOTION[::-1] / 2).network)
    assert values["psnr"] > 40 > 30 > score(quick("zhang2021-reblur"), predict(wrong, sample), sample).values["psnr"]
    assert values["ssim"] > 0.98


@pytest.mark.parametrize(
    ("shift", "mse", "epe"), [((6, -4), 0, 0), ((-6, 4), 0, 0), ((6, 4), 0, 16), ((0, 0), (144 + 64) / 2, np.hypot(12, 8))]
)
def test_errors_of_the_motion(sample, shift, mse, epe):
    """The paper's error does not see a wrong diagonal; neither sees the direction."""
    answer = predict(knowing(shift), sample)
    assert answer.motion.shape == (1, 15, 120, 160, 2)
    np.testing.assert_allclose(answer.motion[0, -1, 50, 50] - answer.motion[0, 0, 50, 50], 2 * np.array(shift), atol=1e-5)
    values = score(replace(protocols.load("zhang2021-motion")), answer, sample).values
    assert values["mse"] == pytest.approx(mse, abs=1e-3)
    assert values["motion-epe"] == pytest.approx(epe, abs=1e-3)
    straight = np.abs(np.linspace(-0.5, 0.5, 15)).mean()
    assert values["trajectory"] == pytest.approx(epe * straight, abs=1e-3)


def test_a_method_without_motion_leaves_the_columns_empty(sample):
    plain = replace(predict(knowing((0, 0)), sample), motion=None)
    result = score(
        replace(
            protocols.load("blurbench-motion"),
            columns=protocols.load("zhang2021-motion").columns[:1] + protocols.load("nah2017").columns[:1],
            rank_by="psnr",
        ),
        plain,
        sample,
    )
    assert result.values["mse"] is None and result.empty["mse"] == "the method gives no motion"
