"""What stands for a progress bar in the log of a job."""

from itertools import count

import pytest

from blurbench.cli import _terminal


@pytest.mark.parametrize(
    ("total", "lines"),
    [
        (4, ["making d …", "making d: 2 of 4 frames, 1 min left", "making d: 4 of 4 frames, 0 min left"]),
        (None, ["making d …"]),
    ],
)
def test_a_line_a_minute(monkeypatch, capsys, total, lines):
    """By a clock on which 40 seconds are between two calls, so that every second one is told."""
    seconds = count(0, 40)
    monkeypatch.setattr(_terminal.time, "monotonic", lambda: next(seconds))
    with _terminal.progress("making d", total, "frames") as advance:
        for _ in range(4):
            advance(1)
    assert capsys.readouterr().err.splitlines() == lines
