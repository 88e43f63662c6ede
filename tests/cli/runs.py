"""Scores for records that tests write themselves: 29 samples of ten videos."""

import numpy as np

IDS = [f"v{video:02d}/{sample:04d}" for video in range(10) for sample in range(2 + video % 3)]
VIDEOS = [id.split("/")[0] for id in IDS]


def hard(seed=0):
    """PSNRs whose videos differ by several dB."""
    rng = np.random.default_rng(seed)
    return 30 + np.array([{v: rng.normal(0, 4) for v in sorted(set(VIDEOS))}[video] for video in VIDEOS])
