"""Where networks run, and how exactly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Lock

from blurbench.errors import BlurbenchError


def check(device: str) -> str:
    """The device as it was given, after trying it. Raises BlurbenchError for one that torch does not know or this machine lacks."""
    if device == "cpu":
        return device
    if device.startswith("cpu:"):
        raise BlurbenchError(f"--device is {device}, but a CPU has no number; use --device cpu")
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built for CUDA
        reason = str(error).splitlines()[0]
        raise BlurbenchError(f"--device {device} cannot be used here ({reason}); use --device cpu, or see `blurbench doctor`") from error
    return device


class _TF32:
    """cuDNN's switch, which all threads share: off from the first that wants it off to the last, then as it was."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._holders = 0
        self._before = True

    @contextmanager
    def off(self) -> Iterator[None]:
        import torch

        with self._lock:
            if not self._holders:
                self._before, torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32, False
            self._holders += 1
        try:
            yield
        finally:
            with self._lock:
                self._holders -= 1
                if not self._holders:
                    torch.backends.cudnn.allow_tf32 = self._before


_TF32_SWITCH = _TF32()


def exact(device: str) -> AbstractContextManager[None]:
    """Context: convolutions in float32 as they are. In TF32, which cuDNN takes unless told otherwise, values depend on the kind of GPU.

    The switch is the whole process's: on the processor, which has none, it is left to whoever predicts meanwhile.
    """
    return nullcontext() if device == "cpu" else _TF32_SWITCH.off()


def synchronise(device: str) -> None:
    """Wait until the device has done what it was given, so that a clock means something."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.synchronize(device)
