"""Is the rate of a video constant, and did it end where its header says? Judged from the timestamps while they stream by."""

from __future__ import annotations

import numpy as np

from blurbench.errors import SourceError
from blurbench.types import F64

_SAMPLE = 15  # intervals; their median is what all intervals are compared with
_OFF = 1.5  # an interval longer or shorter than that by this factor is another rate
_ASTRAY = 0.4  # intervals by which a time may be off the straight line through all; a lost frame puts its neighbours 0.5 off
_JITTER = 0.1  # intervals, beside the clock's rounding, where that alone is more than `_ASTRAY`
_NARROWINGS = 60  # leave 1e-10 of what the interval is sought in
_MISSING = 2.5  # intervals that may lack at the end: a header's rounding, not damage
_CHANGE_RATE = "re-encode it at a constant rate, or pass --keep-variable-rate"


class Rate:
    """The timestamps of one reading. `times`: seconds, so far; `variable`: whether an interval stood out, or in the end their course."""

    def __init__(self, name: str, fps: float, tick: float, end: float | None, keep: bool) -> None:
        """name: for messages; tick: seconds, the container's unit of time; end: seconds, when the video is over by its header.

        keep: only record that the rate varies.
        """
        self.name = name
        self.nominal = 1 / fps
        self.tick = tick * 1.001
        self.end = end
        self.keep = keep
        self.times: list[float] = []
        self.variable = False
        self._usual: float | None = None

    def add(self, time: float) -> None:
        """Take the time of the next frame. Raises SourceError where the rate varies, up to `_SAMPLE` frames after the place it names."""
        self.times.append(time)
        if self._usual is not None:
            self._check(len(self.times) - 1, self._usual)
        elif len(self.times) > _SAMPLE:
            self._settle()

    def finish(self) -> None:
        """The stream is over. Raises SourceError if that was too early, or if the frames did not come at the stated rate."""
        nominal, end, times = self.nominal, self.end, self.times
        if self._usual is None and len(times) > 1:
            self._settle()
        usual = self._usual or nominal
        over = times[-1] + nominal
        if end is not None and end - over > _MISSING * max([usual, *np.diff(times)]):
            raise SourceError(
                f"{self.name} is cut short: its {len(times)} frames end at {over:.3f} s, expected {end:.3f} s by its header "
                f"(about {round((end - times[0]) / nominal)} frames); copy it again, or re-encode what is left"
            )
        mean = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else nominal
        if not self.keep and self._off(mean, nominal):
            raise SourceError(f"{self.name} has a frame every {mean:.4g} s, expected {nominal:.4g} s by its header; {_CHANGE_RATE}")
        if len(times) > 2 and not self.variable:
            self._check_course()

    def _settle(self) -> None:
        self._usual = float(np.median(np.diff(self.times)))
        for index in range(1, len(self.times)):
            self._check(index, self._usual)

    def _check(self, index: int, usual: float) -> None:
        time, interval = self.times[index], self.times[index] - self.times[index - 1]
        if interval <= 0:
            raise SourceError(f"{self.name}: frame {index} at {time:.4f} s is not later than frame {index - 1}; re-encode the video")
        if not self._off(interval, usual):
            return
        self.variable = True
        if not self.keep:
            raise SourceError(
                f"{self.name} has a variable frame rate: frame {index} at {time:.4f} s comes {interval:.4g} s after the one before, "
                f"expected about {usual:.4g} s; {_CHANGE_RATE}"
            )

    def _check_course(self) -> None:
        """Against a straight line: no interval stands out where a rate changes little, or a frame is lost and the clock is coarse."""
        interval, astray = _straightest(np.array(self.times))
        index = 1 + int(np.abs(astray[1:-1]).argmax())  # both ends stand out as much, but tell nothing
        allowed = max(_ASTRAY * interval, _JITTER * interval + self.tick / 2)
        if abs(astray[index]) <= allowed:
            return
        self.variable = True
        if not self.keep:
            raise SourceError(
                f"{self.name} has a variable frame rate: frame {index} at {self.times[index]:.4f} s is {abs(astray[index]):.4g} s off the "
                f"best constant rate, a frame every {interval:.4g} s, expected at most {allowed:.4g} s; {_CHANGE_RATE}"
            )

    def _off(self, interval: float, usual: float) -> bool:
        # A container that counts in milliseconds cannot say 4.17 ms: one tick either way is no variation.
        return interval > usual * _OFF + self.tick or interval < usual / _OFF - self.tick


def _straightest(times: F64) -> tuple[float, F64]:
    """The constant interval that fits best, and by how much each time is off: of all lines that whose largest deviation is smallest."""
    order = np.arange(len(times))
    steps = np.diff(times)
    low, high = float(steps.min()), float(steps.max())
    for _ in range(_NARROWINGS):  # the range of the deviations is convex in the interval
        third = (high - low) / 3
        if np.ptp(times - order * (low + third)) < np.ptp(times - order * (high - third)):
            high -= third
        else:
            low += third
    interval = (low + high) / 2
    astray = times - order * interval
    return interval, astray - (astray.max() + astray.min()) / 2
