"""Filling a folder with shards: what making a data set and importing one have in common."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import as_completed
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rich.filesize import decimal

from blurbench import processes
from blurbench.errors import DataSetError
from blurbench.lock import held
from blurbench.store import manifest as manifests
from blurbench.store.disk import PART, looking, telling
from blurbench.store.manifest import Entry, Manifest
from blurbench.store.shard import Shard

LOCK = ".lock"  # in a folder that is being made

J = TypeVar("J")


@dataclass(frozen=True)
class Made:
    """A finished unit. `fresh` is False when the shard was there already. `empty`: why no shard came of it; its entry has no samples."""

    split: str
    entry: Entry
    fresh: bool
    empty: str = ""


Progress = Callable[[str, int], None]
"""Called with a video's id and how much of it was read since the last call."""


@contextmanager
def making(folder: Path, fresh: Manifest) -> Iterator[Manifest]:
    """The manifest to go on with, or the fresh one; what a killed run left half-written is removed. Meanwhile no other run gets in here.

    Folders that were made meanwhile, this one and those above it too, are removed again where they are left empty.
    Raises DataSetError when the folder holds something else, cannot be written, or is being made by another run.
    """
    with looking(folder):
        if folder.exists() and not folder.is_dir():
            raise DataSetError(f"{folder} is a file, expected a folder to make the data set in; give another --out")
    with _without_empty(lambda: (folder, *folder.parents)):
        with telling(folder):
            folder.mkdir(parents=True, exist_ok=True)
        with held(folder / LOCK, f"another run is making {folder}; wait for it, or give another --out"):
            manifest = _begun(folder, fresh)
            for part in folder.glob(f"**/.*{PART}"):
                part.unlink(missing_ok=True)
            with _without_empty(lambda: folder.rglob("*")):
                yield manifest


@contextmanager
def _without_empty(folders: Callable[[], Iterable[Path]]) -> Iterator[None]:
    """Removes on leaving those of the folders that were not there on entering, and are empty."""
    before = {path for path in folders() if path.is_dir()}
    try:
        yield
    finally:
        for path in sorted({path for path in folders() if path.is_dir()} - before, reverse=True):  # a folder after those in it
            with suppress(OSError):  # not empty
                path.rmdir()


def _begun(folder: Path, fresh: Manifest) -> Manifest:
    if not (folder / manifests.NAME).exists():
        if other := next(_strangers(folder), None):
            raise DataSetError(
                f"{folder} holds other files (first: {other.relative_to(folder)}), expected an empty folder or a made data set; "
                "give another --out"
            )
        return fresh
    old = manifests.read(folder)
    if old.recipe != fresh.recipe or old.footage != fresh.footage:
        raise DataSetError(
            f"{folder} already holds {old.label!r} version {old.version} made by another recipe or from other footage; "
            "give another --out, or delete the folder"
        )
    return old


def _strangers(folder: Path) -> Iterator[Path]:
    """Files that are neither hidden nor shards; these a first run may have left that was killed before there was a manifest."""
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (path for name in sorted(files) if not name.startswith(".") and not _is_shard(path := Path(root, name)))


def _is_shard(path: Path) -> bool:
    if path.suffix != ".h5":
        return False
    with suppress(DataSetError), closing(Shard(path, path.stem)) as shard:
        return {"format", "fingerprint", "content"} <= set(shard.file.attrs)
    return False


def require_space(folder: Path, need: int) -> None:
    """Raises DataSetError when fewer than `need` bytes are free where the folder is, or will be."""
    with looking(folder):
        existing = next(parent for parent in [folder, *folder.absolute().parents] if parent.exists())
    free = shutil.disk_usage(existing).free
    if need > free:
        raise DataSetError(f"{folder} needs up to {decimal(need)}, {decimal(free)} are free; give another --out")


def run(
    jobs: Sequence[J], make: Callable[[J, Progress], Made], workers: int, progress: Progress, note: Callable[[str], None]
) -> Iterator[Made]:
    """Make the jobs here, or in processes; with processes, in the order in which they are finished.

    make: a function of a module, so that it can be sent to a process. progress: with processes, called once a finished job. note: told
    how many were there already.
    """
    there = 0
    for made in _made(jobs, make, workers, progress):
        there += not made.fresh
        yield made
    if there:
        note(f"{there} of {len(jobs)} videos {'were' if there > 1 else 'was'} there already, whole, and not made again")


def _made(jobs: Sequence[J], make: Callable[[J, Progress], Made], workers: int, progress: Progress) -> Iterator[Made]:
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
