"""Metrics: functions of two clips that return one number a frame, and the rules by which a protocol turns them into a score."""

from __future__ import annotations

from functools import cache
from typing import Any

from blurbench import registry
from blurbench.errors import BrokenPluginError
from blurbench.metrics._metric import Metric, MetricInfo, Pixels, metric

__all__ = ["Metric", "MetricInfo", "Pixels", "get", "metric"]


@cache
def get(id: str) -> Metric[Any]:
    """The metric of an id (`psnr`) or from a file (`my_metrics.py:sharpness`).

    Raises UnknownNameError, and BrokenPluginError also for what is no metric.
    """
    found = registry.METRICS.get(id)
    if not isinstance(getattr(found, "info", None), MetricInfo):
        raise BrokenPluginError(f"metric {id!r} is {found!r}, expected a function decorated with @blurbench.metrics.metric")
    return found  # type: ignore[no-any-return]
