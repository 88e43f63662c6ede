"""Locks between processes, which the system gives up with the process that holds them, however that ends."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from blurbench.errors import DataSetError
from blurbench.store.disk import telling

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_TAKEN = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK)
_ours: set[int] = set()  # descriptors of the locks that this process holds


def _let_go() -> None:
    """In a forked process: its copies of the descriptors would keep the locks when it outlives the process that took them."""
    while _ours:
        os.close(_ours.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)


@contextmanager
def held(path: Path, told: str) -> Iterator[None]:
    """Hold the lock of the file `path`, which exists meanwhile; worker processes do not inherit it.

    Raises DataSetError with the text `told` where another holds it, and where the file cannot be written. A file system that knows no
    locks refuses nobody.
    """
    with telling(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = _lock(path, told)
        while lock is None:  # who held it removed the file between opening and locking it
            lock = _lock(path, told)
    _ours.add(lock)
    try:
        yield
    finally:
        _ours.discard(lock)
        # Windows removes no open file, elsewhere a closed one may be another's by now.
        if sys.platform == "win32":
            os.close(lock)
        with suppress(OSError):
            path.unlink()
        if sys.platform != "win32":
            os.close(lock)


def _lock(path: Path, told: str) -> int | None:
    """A descriptor of the locked file; None where what was locked is not the file of this name any more. Raises DataSetError, OSError."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _take(file, told)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file), path.stat()):
                return file
    except BaseException:
        os.close(file)
        raise
    os.close(file)
    return None


def _take(file: int, told: str) -> None:
    try:
        if sys.platform == "win32":
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _TAKEN:
            raise DataSetError(told) from error
