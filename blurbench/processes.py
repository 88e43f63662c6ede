"""Worker processes: started clean, ended with the process that started them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from threading import Thread, current_thread, main_thread
from typing import Any

from blurbench.errors import BlurbenchError


@contextmanager
def pool(workers: int, prepare: Callable[..., object] | None = None, *arguments: Any) -> Iterator[ProcessPoolExecutor]:
    """Processes that have called `prepare(*arguments)`, a function of a module. Leaving by an exception gives up what is not begun.

    They start at once. Each has one thread for BLAS and OpenMP: the processes share the cores already. Raises BlurbenchError when one of
    them ends before its work is done. SIGTERM meanwhile is a KeyboardInterrupt, as Ctrl-C: the processes end in order.
    """
    with _telling(), _interruptible(), ProcessPoolExecutor(workers, get_context("spawn"), _begin, (prepare, arguments)) as executor:
        with _environment(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1"):
            for _ in range(workers):
                executor.submit(_nothing)  # starts one
        try:
            yield executor
        except BaseException:
            executor.shutdown(cancel_futures=True)
            raise


@contextmanager
def _telling() -> Iterator[None]:
    """Turns the end of a process, which left no reason, into a BlurbenchError of one line."""
    try:
        yield
    except BrokenProcessPool as error:
        raise BlurbenchError(
            "a worker process ended before its work was done, most likely for want of memory; repeat with fewer --workers "
            '(a script that starts workers must do so below `if __name__ == "__main__":`, for they import it)'
        ) from error


@contextmanager
def _interruptible() -> Iterator[None]:
    """Python would end at once by SIGTERM, and what watches over the semaphores of processes warn of those left behind."""
    if current_thread() is not main_thread() or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    """What processes find that start in here; BLAS looks once, when it is loaded."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _nothing() -> None:
    pass


def _begin(prepare: Callable[..., object] | None, arguments: tuple[Any, ...]) -> None:
    _end_with_parent()
    if prepare is not None:
        prepare(*arguments)


def _end_with_parent() -> None:
    """End this process when the one that started it was killed. It would wait for jobs for ever, and write beside the next run."""
    parent = parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    Thread(target=wait, daemon=True).start()
