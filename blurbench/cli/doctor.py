"""`blurbench doctor`."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from pathlib import Path

import click

from blurbench.cli._terminal import table


@click.command()
def doctor() -> None:
    """Check what works on this machine: libraries, devices, plug-ins, weights, disk."""
    rows = [["python", platform.python_version(), "ok"], *_libraries(), *_plugins(), _disk()]
    table(["what", "found", "state"], rows)
    if any(row[2].startswith("BROKEN") for row in rows):
        sys.exit(1)


def _libraries() -> list[list[str]]:
    from importlib import import_module

    rows = []
    for module in ("numpy", "cv2", "av", "h5py", "hdf5plugin", "zstandard", "torch", "skimage", "safetensors"):
        try:
            found = import_module(module)
            rows.append([module, getattr(found, "__version__", getattr(found, "version", "?")), "ok"])
        except Exception as error:  # a broken binary raises more than ImportError
            rows.append([module, "-", f"BROKEN: {type(error).__name__}: {error}"])
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    rows.append(["devices", ", ".join(["cpu", *gpus]), f"ok, {os.cpu_count()} cores"])
    return rows


def _plugins() -> list[list[str]]:
    """Each method with its weights: a method without shipped weights is not broken, it says what to do."""
    from blurbench.errors import WeightsError
    from blurbench.methods import load_method
    from blurbench.registry import METHODS, METRICS

    rows = []
    for registry in (METHODS, METRICS):
        for entry in registry.entries():
            state = f"BROKEN: {entry.broken}" if entry.broken else "ok"
            if registry is METHODS and not entry.broken:
                try:
                    method = load_method(entry.name)
                    state = f"ok, {method.weights.origin} weights {method.weights.sha256[:8]}" if method.weights else "ok"
                except WeightsError as error:
                    state = f"needs weights: {error}"
            rows.append([f"{registry.kind} {entry.name}", entry.origin, state])
    return rows


def _disk() -> list[str]:
    free = shutil.disk_usage(Path.cwd()).free
    return ["disk here", f"{free / 1e9:.0f} GB free", "ok" if free > 5e9 else "low"]
