"""Filling a folder with shards: what making a data set and importing one have in common."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableSequence, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol, TypeVar

from rich.filesize import decimal

from blurbench import processes
from blurbench.errors import DataSetError, RecipeError
from blurbench.lock import held
from blurbench.store import manifest as manifests
from blurbench.store.disk import PART, looking, telling
from blurbench.store.manifest import Entry, Manifest
from blurbench.store.shard import CODECS, Shard
from blurbench.strict import require, whole

LOCK = ".lock"  # in a folder that is being made
_EVERY = 0.2  # seconds between two looks at what the processes did


class Unit(Protocol):
    """What is made at once: a video of a split. file: its shard, relative to the folder, `split/video.h5`."""

    @property
    def split(self) -> str: ...

    @property
    def file(self) -> str: ...


J = TypeVar("J", bound=Unit)


@dataclass(frozen=True)
class Made:
    """A finished unit. `fresh` is False when the shard was there already. `empty`: why no shard came of it; its entry has no samples."""

    split: str
    entry: Entry
    fresh: bool
    empty: str = ""


Progress = Callable[[str, int], None]
"""Called with a video's id and how much of it was read since the last call."""


def check(where: str, changes: object, splits: object, codec: object, workers: object) -> None:
    """Raises RecipeError for settings of a run that are none. where: the function that they were given to."""
    for name, value in (("changes", changes), ("splits", splits)):
        require(where, name, value, not isinstance(value, str), f"a list of texts; give [{value!r}]")
    if codec not in CODECS:
        raise RecipeError(f"codec is {codec!r}, expected one of {', '.join(CODECS)}")
    require(where, "workers", workers, whole(workers, 1), "a whole number of processes, at least 1")


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
    there, here = ({"footage": each.footage, **each.recipe} for each in (old, fresh))
    if told := difference(there, here):
        raise DataSetError(
            f"{folder} already holds {old.label!r} version {old.version}, made otherwise ({told[0]}: {told[1]} there, {told[2]} here); "
            "give another --out, or delete the folder"
        )
    return old


def difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """The first key in which two nested tables differ, and both values as JSON, `nothing` where one has no such key; None if equal."""
    first, second = dict(_flat(one)), dict(_flat(other))
    pairs = ((key, first.get(key, "nothing"), second.get(key, "nothing")) for key in (*first, *second))
    return next((pair for pair in pairs if pair[1] != pair[2]), None)


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """(key, value as JSON) of nested tables; an inner key as `outer.inner`."""
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{before}{key}.")
        else:
            yield before + key, json.dumps(value, sort_keys=True)


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


def not_there(folder: Path, jobs: Iterable[J]) -> list[J]:
    """The jobs of which the folder holds no shard. Raises DataSetError where that cannot be seen."""
    with looking(folder):
        return [job for job in jobs if not (folder.is_dir() and (folder / job.file).is_file())]


def require_space(folder: Path, need: int) -> None:
    """Raises DataSetError when fewer than `need` bytes are free where the folder is, or will be."""
    with looking(folder):
        existing = next(parent for parent in [folder, *folder.absolute().parents] if parent.exists())
    free = shutil.disk_usage(existing).free
    if need > free:
        raise DataSetError(f"{folder} needs up to {decimal(need)}, {decimal(free)} are free; give another --out")


def videos(jobs: Iterable[Unit]) -> dict[str, list[str]]:
    """The videos of jobs, by split."""
    found: dict[str, list[str]] = {}
    for job in jobs:
        found.setdefault(job.split, []).append(_video(job))
    return found


def plan(folder: Path, manifest: Manifest, jobs: Iterable[Unit], note: Callable[[str], None]) -> None:
    """Name in the manifest what is about to be made, and write it where there is one: what a killed run leaves shows as unfinished.

    note: told of videos that an earlier run planned and did not make, and that are no longer in the source.
    """
    given_up = [video for split, names in videos(jobs).items() for video in manifest.plan(split, names)]
    if given_up:
        note(f"note: the source lacks {len(given_up)} videos that an earlier run left unfinished (first: {given_up[0]}); they are left out")
    if manifest.splits:
        manifest.write(folder)


def tell_kept(folder: Path, kept: Sequence[str], note: Callable[[str], None]) -> None:
    """Say which videos of the folder the source lacks."""
    if kept:
        note(f"note: {folder} keeps {len(kept)} videos that the source lacks (first: {kept[0]}); to leave them out give another --out")


def run(
    jobs: Sequence[J], make: Callable[[J, Progress], Made], workers: int, progress: Progress, note: Callable[[str], None]
) -> Iterator[Made]:
    """Make the jobs here, or in processes; with processes, in the order in which they are finished.

    make: a function of a module, so that it can be sent to a process. note: told how many were there already.
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
    # One number a job, and last whether to give up. No lock: a process killed in between leaves no harm.
    counts = get_context("spawn").RawArray("q", len(jobs) + 1)
    told = [0] * len(jobs)
    with processes.pool(min(workers, len(jobs)), _count_in, counts) as pool:
        pending = {pool.submit(_counted, make, job, number) for number, job in enumerate(jobs)}
        try:
            while pending:
                done, pending = wait(pending, _EVERY, FIRST_COMPLETED)
                for number, count in enumerate(counts[:-1]):
                    if count > told[number]:
                        progress(_video(jobs[number]), count - told[number])
                        told[number] = count
                yield from (future.result() for future in done)
        except (KeyboardInterrupt, GeneratorExit):
            counts[-1] = 1  # else the pool would wait for the jobs under way, and for those that it has handed out already
            raise


_counts: MutableSequence[int] = []  # in a worker process: how much was read of each job, shared with the process that started it


def _count_in(counts: MutableSequence[int]) -> None:
    global _counts
    _counts = counts


def _counted(make: Callable[[J, Progress], Made], job: J, number: int) -> Made:
    def count(video: str, amount: int) -> None:
        if _counts[-1]:
            raise KeyboardInterrupt
        _counts[number] += amount

    count(_video(job), 0)
    return make(job, count)


def _video(job: Unit) -> str:
    return Path(job.file).stem


@contextmanager
def one_thread() -> Iterator[None]:
    """Meanwhile OpenCV works in one thread: videos are made side by side, where its own would only get in the way."""
    import cv2  # not needed by who only reads

    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
