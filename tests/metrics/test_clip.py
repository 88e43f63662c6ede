"""What metrics return for a clip, and what they must not."""

import numpy as np
import pytest

from blurbench import metrics
from blurbench.errors import BlurbenchError
from blurbench.metrics.clip import Clip
from blurbench.types import Sample
from tests.formulas import golden_sequence


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        (lambda count: 3.0, "metric 'mine' returned float, expected a NumPy array of floats of shape"),
        (lambda count: np.zeros(count + 1), r"metric 'mine' returned float64 of shape \(8,\), expected .* of shape \(7,\); mend it there"),
        (lambda count: np.arange(count), r"metric 'mine' returned int64 of shape \(7,\), expected"),
        (lambda count: np.r_[np.zeros(count - 1), np.nan], "metric 'mine' is NaN for frame 6, expected a number"),
    ],
)
def test_a_metric_that_returns_what_it_must_not(monkeypatch, returned, told):
    def mine(prediction, target):
        return returned(len(target))

    mine.info = metrics.get("psnr").info
    whole = metrics.get
    monkeypatch.setattr(metrics, "get", lambda name: mine if name == "mine" else whole(name))
    sharp = golden_sequence()
    data = Sample("clip", "video", sharp[3], sharp, (np.arange(7) + 0.5) / 7, "gamma(2.2)")
    with pytest.raises(BlurbenchError, match=told):
        Clip(sharp, sharp, data).values("mine", {}, range(7), range(7))
