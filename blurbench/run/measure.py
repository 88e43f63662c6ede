"""What a method costs: measured while it is evaluated."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from blurbench import running
from blurbench.methods import Method
from blurbench.run import cost
from blurbench.types import Prediction, Sample

_STATUS = Path("/proc/self/status")  # Linux; getrusage would also count the process that started this one
_CLEAR = Path("/proc/self/clear_refs")
_PEAK = "5"  # what written there sets the peak back to what is held now


class Meter:
    """Predicts, and counts on the first prediction, which warms up and is in no mean of seconds.

    known: the facts of an earlier part of the same run, which are not counted again. The peak of memory is set back when it begins.
    """

    def __init__(self, method: Method, known: Mapping[str, Any] | None = None) -> None:
        self.method = method
        self._facts = dict(known or {})
        self._warm = False
        _reset_peak(method.device)

    def predict(self, sample: Sample, draws: int, seed: int) -> Prediction:
        """`running.predict`; the seconds are NaN where it warms up."""
        if self._warm:
            return running.predict(self.method, sample, draws, seed)
        made = running.predict(self.method, sample, draws, seed) if self._facts else self._counted(sample, draws, seed)
        self._warm = True
        return replace(made, seconds=math.nan)

    def facts(self) -> dict[str, Any]:
        """`input` [height, width] of the pictures, `parameters`, `multiply_adds` a prediction, `peak_memory_mib`.

        Memory is that of the device for a GPU, else of this process with all that it holds besides, the largest since the meter began.
        Only what is known; empty when nothing ever ran.
        """
        if not self._warm:
            return self._facts
        peak = round(_peak_bytes(self.method.device) / 2**20)
        return {**self._facts, "peak_memory_mib": max(peak, self._facts.get("peak_memory_mib", 0))}

    def _counted(self, sample: Sample, draws: int, seed: int) -> Prediction:
        size = list(sample.blurry.shape[:2])
        if not (networks := _networks(self.method)):
            made = running.predict(self.method, sample, draws, seed)
            self._facts = {"input": size}
            return made
        with cost.counting() as counted:
            made = running.predict(self.method, sample, draws, seed)
        self._facts = {"input": size, "multiply_adds": counted(), "parameters": cost.parameters(*networks)}
        return made


def _networks(method: Method) -> list[Any]:
    """The torch modules that the method holds."""
    import sys

    if "torch" not in sys.modules:
        return []
    from torch import nn

    return [value for value in vars(method).values() if isinstance(value, nn.Module)]


def _reset_peak(device: str) -> None:
    """Forget how much memory was held before. Does nothing where the system does not offer it."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.reset_peak_memory_stats(device)
    else:
        with suppress(OSError):
            _CLEAR.write_text(_PEAK)


def _peak_bytes(device: str) -> int:
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.max_memory_allocated(device))
    lines = _STATUS.read_text().splitlines() if _STATUS.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)
