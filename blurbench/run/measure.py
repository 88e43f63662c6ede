"""What a method costs: measured while it is evaluated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from blurbench import methods
from blurbench.methods import Method
from blurbench.run import cost
from blurbench.types import Prediction, Sample

_STATUS = Path("/proc/self/status")  # Linux; getrusage would also count the process that started this one


class Meter:
    """Predicts, and counts on the first prediction, which warms up and is in no mean of seconds."""

    def __init__(self, method: Method) -> None:
        self.method = method
        self._facts: dict[str, Any] = {}

    def predict(self, sample: Sample, draws: int, seed: int) -> Prediction:
        """`methods.predict`."""
        if self._facts:
            return methods.predict(self.method, sample, draws, seed)
        self._facts["input"] = list(sample.blurry.shape[:2])
        if not (networks := _networks(self.method)):
            return methods.predict(self.method, sample, draws, seed)
        with cost.counting() as counted:
            made = methods.predict(self.method, sample, draws, seed)
        self._facts |= {"multiply_adds": counted(), "parameters": cost.parameters(*networks)}
        return made

    def facts(self) -> dict[str, Any]:
        """`input` [height, width] of the pictures, `parameters`, `multiply_adds` a prediction, `peak_memory_mib`.

        Memory is that of the device for a GPU, else the largest of this process so far. Only what is known; empty when nothing ran.
        """
        return self._facts and {**self._facts, "peak_memory_mib": round(_peak_bytes(self.method.device) / 2**20)}


def _networks(method: Method) -> list[Any]:
    """The torch modules that the method holds."""
    import sys

    if "torch" not in sys.modules:
        return []
    from torch import nn

    return [value for value in vars(method).values() if isinstance(value, nn.Module)]


def _peak_bytes(device: str) -> int:
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.max_memory_allocated(device))
    lines = _STATUS.read_text().splitlines() if _STATUS.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)
