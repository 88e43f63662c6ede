"""Reading ahead: the next frames are decoded in a thread while the last are being averaged."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from queue import Empty, Full, Queue
from typing import TypeVar

T = TypeVar("T")
_PATIENCE = 0.05  # seconds between two looks at whether the reader has gone


def ahead(items: Iterator[T], depth: int = 3) -> Generator[T, None, None]:
    """The same items in the same order, at most `depth` of them made before they are asked for.

    What the iterator raises is raised here in its place. Closing the generator stops the thread and closes the iterator.
    """
    queue: Queue[tuple[T | None, BaseException | None]] = Queue(depth)
    stop = threading.Event()

    def put(entry: tuple[T | None, BaseException | None]) -> None:
        while not stop.is_set():
            try:
                queue.put(entry, timeout=_PATIENCE)
            except Full:
                continue
            return

    def work() -> None:
        try:
            for item in items:
                put((item, None))
                if stop.is_set():
                    break
            else:
                put((None, StopIteration()))
        except BaseException as error:  # it belongs to the reader, whatever it is
            put((None, error))
        finally:
            if isinstance(items, Generator):
                items.close()

    thread = threading.Thread(target=work, name="ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, error = _next(queue, thread)
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]
    finally:
        stop.set()
        thread.join()


def _next(queue: Queue[tuple[T | None, BaseException | None]], thread: threading.Thread) -> tuple[T | None, BaseException | None]:
    """The next entry; waits in short turns, so that Ctrl-C is heard on every platform."""
    while True:
        try:
            return queue.get(timeout=1)
        except Empty:
            if not thread.is_alive() and queue.empty():
                raise RuntimeError("the reading thread ended without a word") from None
