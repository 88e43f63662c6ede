"""Decoding: times of the frames, and a SourceError where the rate is not constant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from blurbench.errors import SourceError
from blurbench.types import F64
from blurbench.video.decode import VideoSource
from blurbench.video.rate import Rate
from tests.video.conftest import MakeVideo
from tests.video.reading import mean_difference, moving, read_all


def test_timestamps_are_kept(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "a.mkv", moving(40), times=[1.5 + n / 240 for n in range(40)], fps=240)
    times = [frame.time for frame in VideoSource(path).frames()]
    assert times == pytest.approx([1.5 + n / 240 for n in range(40)], abs=0.0006)  # Matroska counts milliseconds


@pytest.mark.parametrize("fps", [240, 480, 900])
def test_a_coarse_clock_is_no_variable_rate(tmp_path: Path, make_video: MakeVideo, fps: int) -> None:
    source = VideoSource(make_video(tmp_path / "a.mkv", moving(40), fps=fps))
    assert sum(1 for _ in source.frames()) == 40
    assert source.facts()["variable_rate"] is False


def test_jitter_is_no_variable_rate(tmp_path: Path, make_video: MakeVideo) -> None:
    jitter = np.random.default_rng(0).uniform(-0.1, 0.1, 40)
    path = make_video(tmp_path / "a.mp4", moving(40), times=[(n + 1 + e) / 30 for n, e in enumerate(jitter)])
    assert read_all(path) == 40


@pytest.mark.parametrize("gap", [1, 5, 30])
def test_a_dropped_frame_is_named(tmp_path: Path, make_video: MakeVideo, gap: int) -> None:
    times = [n / 30 for n in range(41) if n != gap]
    path = make_video(tmp_path / "a.mp4", moving(40), times=times)
    with pytest.raises(SourceError, match=rf"frame {gap} at {times[gap]:.4f} s .*expected about 0.0333.*--keep-variable-rate"):
        read_all(path)
    source = VideoSource(path, keep_variable_rate=True)
    assert [frame.time for frame in source.frames()] == pytest.approx(times, abs=1e-4)
    assert (source.facts()["variable_rate"], source.facts()["decoded_frames"]) == (True, 40)


def test_variable_rate_stops_the_reading_where_it_is_seen() -> None:
    rate = Rate("a.mp4", fps=30, tick=1e-5, end=None, keep=False)
    with pytest.raises(SourceError, match="frame 3 at"):
        for time in [0, 1 / 30, 2 / 30, 4 / 30] + [n / 30 for n in range(5, 100)]:
            rate.add(time)
    assert len(rate.times) == 16  # the usual interval is the median of the first 15
    rate = Rate("a.mp4", fps=30, tick=1e-5, end=None, keep=False)
    with pytest.raises(SourceError, match="frame 50 at"):
        for time in [n / 30 for n in range(50)] + [51 / 30, 52 / 30]:
            rate.add(time)
    assert len(rate.times) == 51


@pytest.mark.parametrize("keep", [False, True])
def test_time_never_stands_still_or_goes_back(keep: bool) -> None:
    for times in ([0, 0.1, 0.2, 0.2, 0.3], [0, 0.1, 0.2, 0.15]):
        rate = Rate("a.mp4", fps=10, tick=0.02, end=None, keep=keep)
        with pytest.raises(SourceError, match=r"frame 3 at 0\.\d+ s is not later than frame 2"):
            for time in times:
                rate.add(time)
            rate.finish()


def test_half_the_rate_from_somewhere_on_is_noticed(tmp_path: Path, make_video: MakeVideo) -> None:
    times = [n / 60 for n in range(20)] + [20 / 60 + n / 30 for n in range(20)]
    path = make_video(tmp_path / "a.mp4", moving(40), times=times)
    with pytest.raises(SourceError, match="frame 21 at"):
        read_all(path)


def test_a_rate_that_is_not_the_stated_one_is_noticed(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "a.mkv", moving(40), fps=120, times=[n / 30 for n in range(40)])
    with pytest.raises(SourceError, match=r"a frame every 0\.033.* s, expected 0\.0083.* s by its header"):
        read_all(path)


def test_a_small_change_of_rate_is_noticed(tmp_path: Path, make_video: MakeVideo) -> None:
    times = [n / 240 for n in range(30)] + [30 / 240 + n * 1.4 / 240 for n in range(30)]
    path = make_video(tmp_path / "a.mp4", moving(60), fps=240, times=times)
    with pytest.raises(
        SourceError, match=r"variable frame rate: frame \d+ at .* off the best constant rate.*--keep-variable-rate"
    ) as caught:
        read_all(path)
    assert "\n" not in str(caught.value)
    source = VideoSource(path, keep_variable_rate=True)
    assert [frame.time for frame in source.frames()] == pytest.approx(times, abs=1e-4)
    assert source.facts()["variable_rate"] is True


def test_a_lost_frame_is_noticed_though_the_clock_is_coarse(tmp_path: Path, make_video: MakeVideo) -> None:
    times = [n / 960 for n in range(301) if n != 150]
    path = make_video(tmp_path / "a.mkv", moving(300, 16, 16), fps=960, times=times)
    with pytest.raises(SourceError, match=r"variable frame rate: .* off the best constant rate"):
        read_all(path)


CLOCKS = {"ms": 1e-3, "600": 1 / 600, "90k": 1 / 90_000}
RATES = [24000 / 1001, 25, 30000 / 1001, 30, 60, 120000 / 1001, 120, 240000 / 1001, 240, 300, 480, 500, 600, 900, 960]


@pytest.mark.parametrize("rounded", [np.round, np.floor])
@pytest.mark.parametrize("clock", CLOCKS)
def test_what_a_constant_rate_looks_like_on_any_clock(clock: str, rounded: Callable[[F64], F64]) -> None:
    tick = CLOCKS[clock]
    for fps in (fps for fps in RATES if fps * tick < 0.99):
        for count in (2, 3, 17, 300, 3000):
            rate = Rate("a", fps, tick, None, keep=False)
            for time in rounded((0.123 + np.arange(count) / fps) / tick + 1e-6) * tick:
                rate.add(float(time))
            rate.finish()
            assert not rate.variable


def test_rounding_twice_is_no_variable_rate() -> None:
    for fps in (30, 120, 240, 300, 480):
        rate = Rate("a", fps, 1 / 90_000, None, keep=False)
        for n in range(500):  # from Matroska's milliseconds into an mp4
            rate.add(round(round(n / fps, 3) * 90_000) / 90_000)
        rate.finish()


@pytest.mark.parametrize("fps", [240, 480, 500, 600, 960])
@pytest.mark.parametrize("gap", [60, 150, 240])
def test_one_lost_frame_of_300_is_noticed_in_milliseconds(fps: int, gap: int) -> None:
    rate = Rate("a", fps, 1e-3, None, keep=False)
    with pytest.raises(SourceError, match="variable frame rate"):
        for n in range(301):
            if n != gap:
                rate.add(round(n / fps, 3))
        rate.finish()


def test_a_stream_without_timestamps_gets_them_from_its_rate(tmp_path: Path, make_video: MakeVideo) -> None:
    source = VideoSource(make_video(tmp_path / "a.h264", moving(10), fps=50, preset="medium", bf="2"))
    assert [frame.time for frame in source.frames()] == pytest.approx([n / 50 for n in range(10)])
    assert source.facts()["timestamps"] == "assumed"


def test_avi_with_reordered_frames(tmp_path: Path, make_video: MakeVideo) -> None:
    frames = moving(30)
    source = VideoSource(make_video(tmp_path / "a.avi", frames, preset="medium", bf="3", g="12"))
    got = list(source.frames())
    assert [frame.time for frame in got] == pytest.approx([n / 30 for n in range(30)])
    assert max(mean_difference(a.image, b) for a, b in zip(got, frames, strict=True)) < 4


def test_a_tag_that_is_no_time_states_no_end(tmp_path: Path, make_video: MakeVideo) -> None:
    """Matroska's tags are free text; the container's own duration counts then."""
    path = make_video(tmp_path / "a.mkv", moving(10), fps=240)
    data = path.read_bytes()
    assert data.count(b"00:00:00.0") == 1
    path.write_bytes(data.replace(b"00:00:00.0", b"0 seconds "))
    assert VideoSource(path).length == 10
