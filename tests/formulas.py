"""Pictures defined by formulas, on which values of official code are known."""

import numpy as np


def image(height, width, phase=0.0):
    """(3, H, W) float64: 0.5 + 0.25 sin(0.20 i + 0.5 c + phase) + 0.2 cos(0.13 j - 0.3 c + phase); row i, column j, channel c."""
    c, i, j = np.mgrid[:3, :height, :width].astype(np.float64)
    return 0.5 + 0.25 * np.sin(0.20 * i + 0.5 * c + phase) + 0.2 * np.cos(0.13 * j - 0.3 * c + phase)


def golden_sequence():
    """(7, 64, 80, 3) uint8: round(255 image(64, 80, phase=0.30 (t - 3)))."""
    frames = [np.round(255 * image(64, 80, 0.30 * (t - 3))) for t in range(7)]
    return np.stack(frames).transpose(0, 2, 3, 1).astype(np.uint8)


def golden_prediction():
    """(7, 64, 80, 3) float32: clip(golden_sequence() + 6 sin(0.9 j) cos(0.7 i) + [4, 2, 1, 0, -1, -2, -4][t], 0, 255)."""
    _, i, j, _ = np.ogrid[:7, :64, :80, :3]
    shift = np.array([4, 2, 1, 0, -1, -2, -4]).reshape(7, 1, 1, 1)
    return np.clip(golden_sequence() + 6 * np.sin(0.9 * j) * np.cos(0.7 * i) + shift, 0, 255).astype(np.float32)
