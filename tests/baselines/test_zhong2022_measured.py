"""Guidance that is measured between an exposure and the one before it."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from blurbench.baselines.zhong2022 import Zhong2022Video


def textured(height, width):
    """Smoothed noise (H, W, 3) uint8, which flow can follow."""
    noise = np.random.default_rng(0).random((height, width, 3))
    smooth = F.avg_pool2d(torch.from_numpy(noise).permute(2, 0, 1)[None], 5, 1, 2)[0].permute(1, 2, 0).numpy()
    return np.clip(255 * (0.5 + 3 * (smooth - 0.5)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("right", "down"), [(4, 3), (-4, 3), (4, -3), (-4, -3)])
def test_guidance_points_where_the_picture_went(right, down):
    """The scene moves by (right, down) from the exposure before to this one."""
    scene = textured(80, 96)
    before, now = scene[8:72, 8:88], scene[8 - down : 72 - down, 8 - right : 88 - right]
    method = Zhong2022Video.__new__(Zhong2022Video)
    guidance = method.measured(now.astype(np.float32) / 255, before.astype(np.float32) / 255)
    inner = guidance[8:-8, 8:-8].reshape(-1, 2)
    assert (inner == np.sign([right, down])).all(axis=1).mean() > 0.95


def test_motion_is_measured_from_this_exposure_to_the_one_before(monkeypatch):
    seen = []

    class Constant:
        def between(self, a, b):
            seen.append((a[0, 0, 0], b[0, 0, 0], a.shape))
            flow = np.zeros((*a.shape[:2], 2), np.float32)
            flow[:, :4] = -0.3, 0.3  # 0.42 pixels
            flow[:, 4:] = -0.4, 0.4  # 0.57 pixels
            return flow

    monkeypatch.setattr("blurbench.video.flow.load", lambda name: Constant())
    now, before = np.full((8, 20, 3), 10 / 255, np.float32), np.full((8, 20, 3), 200 / 255, np.float32)
    guidance = Zhong2022Video.__new__(Zhong2022Video).measured(now, before)
    assert seen == [(10, 200, (8, 20, 3))]
    assert guidance.shape == (8, 20, 2)
    assert (guidance[:, :4] == 0).all()
    assert (guidance[:, 4:] == (1, -1)).all()
