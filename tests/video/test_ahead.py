import threading
import time

import pytest

from blurbench.video.ahead import ahead


def counting(count, seen, fail_at=None):
    try:
        for number in range(count):
            if number == fail_at:
                raise ValueError("broken frame")
            seen.append(number)
            yield number
    finally:
        seen.append("closed")


def test_the_same_items_in_the_same_order():
    assert list(ahead(iter(range(100)))) == list(range(100))


def test_at_most_so_many_are_made_before_they_are_asked_for():
    seen = []
    items = ahead(counting(50, seen), depth=3)
    assert next(items) == 0
    time.sleep(0.3)
    assert len(seen) == 5  # one taken, three waiting, one in the hand of the thread
    items.close()
    assert seen[-1] == "closed"
    assert not [thread for thread in threading.enumerate() if thread.name == "ahead"]


def test_errors_come_in_their_place():
    items = ahead(counting(9, [], fail_at=4))
    assert [next(items) for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="broken frame"):
        next(items)
