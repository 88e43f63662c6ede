"""The rough measurement of steps: of pictures of any size, and for those that it has always measured what it has always been."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from blurbench.synth.steps import Rough

# In a process of its own: OpenCV's DIS would end this one.
_FLAT = """
import cv2, numpy as np
from blurbench.synth.steps import Rough
for width, height, reduced in ((160, 25, 1), (1280, 100, 8), (1280, 250, 8), (320, 60, 2), (80, 16, 1)):
    noise = cv2.GaussianBlur(np.random.default_rng(5).random((height, width + 6), np.float32), (0, 0), 3 * reduced)
    canvas = cv2.cvtColor(cv2.normalize(noise, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8), cv2.COLOR_GRAY2RGB)
    measure = Rough()
    measure(0, np.ascontiguousarray(canvas[:, :width]))
    print(measure(1, np.ascontiguousarray(canvas[:, 6:])).pixels)
"""


def test_flat_pictures_are_measured():
    """A pan by 6 pixels, of pictures reduced by up to 8: within two of the small picture's pixels."""
    done = subprocess.run([sys.executable, "-c", _FLAT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for found, reduced in zip(map(float, done.stdout.split()), (1, 8, 8, 2, 1), strict=True):
        assert found == pytest.approx(6, abs=2 * reduced)


@pytest.mark.parametrize(("width", "height"), [(320, 192), (160, 32), (64, 24), (20, 160)])
def test_other_pictures_are_measured_as_they_are(width, height):
    """The step is stored: it must stay, bit for bit, that of the pictures themselves."""
    images = [cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (height + 4, width + 4, 3), np.uint8), (0, 0), 2)]
    images = [np.ascontiguousarray(images[0][k : k + height, k : k + width]) for k in (0, 2)]
    measure = Rough()
    measure(0, images[0])
    scale = max(1, max(width, height) // 160)
    small = [cv2.resize(image[..., 1].copy(), (width // scale, height // scale), interpolation=cv2.INTER_AREA) for image in images]
    move = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST).calc(*small, None)
    lengths = np.sort(cv2.magnitude(*(plane * np.float32(scale) for plane in cv2.split(move))).ravel())
    assert measure(1, images[1]).pixels == lengths[int(0.995 * (lengths.size - 1))]
