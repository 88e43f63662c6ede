"""`blurbench doctor`."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from importlib import import_module, metadata
from pathlib import Path

import click

from blurbench.cli._terminal import table

# Those that load compiled code, which may be broken although it is installed; by the module to import.
_COMPILED = {
    "av": "av",
    "h5py": "h5py",
    "hdf5plugin": "hdf5plugin",
    "numpy": "numpy",
    "opencv-python": "cv2",
    "safetensors": "safetensors",
    "scikit-image": "skimage",
    "torch": "torch",
    "zstandard": "zstandard",
}
_OPTIONAL = {"ptlflow": "pip install 'ptlflow>=0.4.2', for RAFT and other flow models"}
"""What no extra of blurbench brings, and how to get it."""


@click.command()
def doctor() -> None:
    """Check what works on this machine: libraries, devices, plug-ins, weights, disk.

    `ok` works, `not here` and `needs weights` can be had as the line says, `low` is a disk with less than 5 GB left, `BROKEN` is to be
    mended (exit code 1).
    """
    rows = [["python", platform.python_version(), "ok"], *_libraries(), _devices(), *_plugins(), *_files(), _disk()]
    table(["what", "found", "state"], rows)
    if any(row[2].startswith("BROKEN") for row in rows):
        sys.exit(1)


def _libraries() -> list[list[str]]:
    """What blurbench requires, and what its extra `lpips` does; compiled ones are imported, the others looked up."""
    rows = []
    for line in metadata.requires("blurbench") or []:
        name, extra = re.match(r"[\w.-]+", line), re.search(r"extra == .(\w+).", line)
        if name and name[0] != "blurbench" and (extra is None or extra[1] == "lpips"):
            rows.append(_library(name[0], f"not here: pip install 'blurbench[{extra[1]}]'" if extra else f"BROKEN: pip install {name[0]}"))
    return [*rows, *(_library(name, f"not here: {mend}") for name, mend in _OPTIONAL.items())]


def _library(name: str, absent: str) -> list[str]:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return [name, "-", absent]
    try:
        if name in _COMPILED:
            import_module(_COMPILED[name])
    except Exception as error:  # a broken binary raises more than ImportError
        return [name, version, f"BROKEN: {type(error).__name__}: {error}"]
    return [name, version, "ok"]


def _devices() -> list[str]:
    try:
        import torch
    except Exception:  # told among the libraries
        return ["devices", "-", "BROKEN: see torch"]
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return ["devices", ", ".join(["cpu", *gpus]), f"ok, {os.cpu_count()} cores"]


def _plugins() -> list[list[str]]:
    """Each method, metric and interpolation method: one without its weights is not broken, it says what to do."""
    from blurbench.registry import INTERPOLATORS, METHODS, METRICS

    return [
        [f"{registry.kind} {entry.name}", entry.origin, f"BROKEN: {entry.broken}" if entry.broken else state(entry.name)]
        for registry, state in ((METHODS, _method), (METRICS, _metric), (INTERPOLATORS, _interpolator))
        for entry in registry.entries()
    ]


def _method(name: str) -> str:
    from blurbench.errors import WeightsError
    from blurbench.methods import load_method

    try:
        method = load_method(name)
    except WeightsError as error:
        return f"needs weights: {error}"
    return f"ok, {method.weights.origin} weights {method.weights.sha256[:8]}" if method.weights else "ok"


def _metric(name: str) -> str:
    """What its scores depend on besides the pictures is asked for, as a run record does."""
    from blurbench.errors import UnavailableError
    from blurbench.registry import METRICS

    facts = METRICS.get(name).info.facts
    try:
        if facts is not None:
            facts({})
    except UnavailableError as error:
        return f"not here: {error}"
    return "ok"


def _interpolator(name: str) -> str:
    from blurbench.video.interpolate import available

    reason = available(name)
    return f"not here: {reason}" if reason else "ok"


def _files() -> list[list[str]]:
    """Recipes and protocols, each kind in a row with how many can be read; what cannot has a row of its own."""
    from blurbench.errors import BlurbenchError
    from blurbench.metrics import protocol as protocols
    from blurbench.registry import DATASETS, PROTOCOLS
    from blurbench.synth import recipe as recipes

    rows = []
    for registry, load in ((DATASETS, recipes.load), (PROTOCOLS, protocols.load)):
        broken = []
        for name in registry.names():
            try:
                load(name)
            except BlurbenchError as error:
                broken.append([f"{registry.kind} {name}", "-", f"BROKEN: {error}"])
        rows += [[f"{registry.kind}s", str(len(registry.names()) - len(broken)), "ok"], *broken]
    return rows


def _disk() -> list[str]:
    free = shutil.disk_usage(Path.cwd()).free
    return ["disk here", f"{free / 1e9:.0f} GB free", "ok" if free > 5e9 else "low"]
