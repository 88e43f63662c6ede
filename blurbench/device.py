"""Where networks run."""

from __future__ import annotations

from blurbench.errors import BlurbenchError


def check(device: str) -> str:
    """The device as it was given, after trying it. Raises BlurbenchError for one that torch does not know or this machine lacks."""
    if device == "cpu":
        return device
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built for CUDA
        reason = str(error).splitlines()[0]
        raise BlurbenchError(f"--device {device} cannot be used here ({reason}); use --device cpu, or see `blurbench doctor`") from error
    return device


def synchronise(device: str) -> None:
    """Wait until the device has done what it was given, so that a clock means something."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.synchronize(device)
