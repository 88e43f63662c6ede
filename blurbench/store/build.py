"""Filling a folder with shards: what making a data set and importing one have in common."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from blurbench import processes
from blurbench.errors import DataSetError
from blurbench.store import manifest as manifests
from blurbench.store.disk import PART, looking
from blurbench.store.manifest import Entry, Manifest

J = TypeVar("J")


@dataclass(frozen=True)
class Made:
    """A finished unit. `fresh` is False when the shard was there already."""

    split: str
    entry: Entry
    fresh: bool


Progress = Callable[[str, int], None]
"""Called with a video's id and how much of it was read since the last call."""


def open_manifest(folder: Path, fresh: Manifest) -> Manifest:
    """The manifest to go on with, or the fresh one. Raises DataSetError when the folder holds something else."""
    with looking(folder):
        begun = (folder / manifests.NAME).exists()
    if not begun:
        if folder.exists() and not folder.is_dir():
            raise DataSetError(f"{folder} is a file, expected a folder to make the data set in; give another --out")
        return fresh
    old = manifests.read(folder)
    if old.recipe != fresh.recipe or old.footage != fresh.footage:
        raise DataSetError(
            f"{folder} already holds {old.label!r} version {old.version} made by another recipe or from other footage; "
            "give another --out, or delete the folder"
        )
    return old


def sweep(folder: Path) -> None:
    """Remove what a killed run left half-written."""
    for part in folder.glob(f"**/.*{PART}"):
        part.unlink(missing_ok=True)


def require_space(folder: Path, need: int) -> None:
    """Raises DataSetError when fewer than `need` bytes are free where the folder is, or will be."""
    with looking(folder):
        existing = next(parent for parent in [folder, *folder.absolute().parents] if parent.exists())
    free = shutil.disk_usage(existing).free
    if need > free:
        raise DataSetError(f"{folder} needs up to {need / 1e9:.1f} GB, {free / 1e9:.1f} GB are free; give another --out")


def run(jobs: Sequence[J], make: Callable[[J, Progress], Made], workers: int, progress: Progress) -> Iterator[Made]:
    """Make the jobs here, or in processes; with processes, in the order in which they are finished.

    make: a function of a module, so that it can be sent to a process. progress: with processes, called once a finished job.
    """
    if workers <= 1 or len(jobs) <= 1:
        for job in jobs:
            yield make(job, progress)
        return
    with processes.pool(min(workers, len(jobs))) as pool:
        for future in as_completed([pool.submit(make, job, _silent) for job in jobs]):
            made = future.result()
            progress(made.entry.video, made.entry.frames)
            yield made


def _silent(video: str, amount: int) -> None:
    """A process has nobody to tell."""
