"""Writing to disk so that a file with its final name is whole, and telling in one line why it cannot be written."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blurbench.errors import DataSetError

PART = ".part"  # suffix of a file that is not finished
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def part_of(path: Path) -> Path:
    """The hidden name beside `path` under which this process writes it."""
    return path.with_name(f".{path.name}.{os.getpid()}{PART}")


def finish(part: Path, path: Path) -> None:
    """Flush a written file to disk and give it its final name."""
    with part.open("rb+") as raw:
        os.fsync(raw.fileno())
    part.replace(path)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields the name to write to; leaving flushes the file to disk and renames it to `path`, leaving by an exception removes it.

    Raises DataSetError when it cannot be written. Folders are made as needed.
    """
    part = part_of(path)
    with telling(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            finish(part, path)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def telling(path: Path) -> Iterator[None]:
    """Turns a failure of the system to write `path` into a DataSetError of one line."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # HDF5 raises either
        number = system_error(error)
        if number is None:
            raise
        raise DataSetError(f"{path} cannot be written: {_reason(number)}") from error


@contextmanager
def looking(path: Path) -> Iterator[None]:
    """Turns a refusal to look at `path` into a DataSetError of one line."""
    try:
        yield
    except PermissionError as error:
        raise DataSetError(f"{error.filename or path} cannot be read: no permission; make it readable, or give another place") from error


def system_error(error: Exception) -> int | None:
    """The system's error number, which HDF5 has only in its text. None: the failure was not of the system."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    found = re.search(r"errno = (\d+)", str(error))
    return int(found[1]) if found else None


def _reason(number: int) -> str:
    what = os.strerror(number)
    if number in _FULL:
        return f"the disk or quota is full ({what}); make room and repeat the command, what is finished is kept"
    if number in FORBIDDEN:
        return f"no permission ({what}); give another place, or make this one writable"
    return f"{what}; give another place"
