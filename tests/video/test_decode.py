"""Decoding: every frame once and in order, as other readers see them, and the facts of the file."""

from __future__ import annotations

import gc
import hashlib
import json
import re
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from blurbench.types import U8
from blurbench.video.decode import VideoSource
from tests.video.conftest import MakeVideo
from tests.video.reading import mean_difference, moving


def images(path: Path, **options: bool) -> list[U8]:
    return [frame.image for frame in VideoSource(path, **options).frames()]


# Frames


def test_all_frames_in_order_despite_reordering(tmp_path: Path, make_video: MakeVideo) -> None:
    levels = list(range(20, 220, 5))
    flat = [np.full((48, 64, 3), level, np.uint8) for level in levels]
    source = VideoSource(make_video(tmp_path / "a.mp4", flat, preset="medium", bf="3", g="12"))
    got = [frame.image for frame in source.frames()]
    assert [round(float(image.mean())) for image in got] == pytest.approx(levels, abs=1)
    assert all(image.shape == (48, 64, 3) and image.flags.c_contiguous and image.flags.writeable for image in got)


def test_it_can_be_read_again_and_frames_are_the_readers_own(tmp_path: Path, make_video: MakeVideo) -> None:
    source = VideoSource(make_video(tmp_path / "a.mp4", moving(6)))
    first = [frame.image.copy() for frame in source.frames()]
    for frame in source.frames():
        frame.image[:] = 0
    np.testing.assert_array_equal([frame.image for frame in source.frames()], first)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotation_is_applied_as_opencv_does(tmp_path: Path, make_video: MakeVideo, rotation: int) -> None:
    frames = moving(3)
    source = VideoSource(make_video(tmp_path / "a.mp4", frames, rotation=rotation))
    assert source.size == ((64, 48) if rotation != 180 else (48, 64))
    assert source.facts()["size"] == list(source.size)
    upright = [np.rot90(frame, -rotation // 90) for frame in frames]
    for ours, theirs, true in zip(images(source.path), opencv(source.path), upright, strict=True):
        assert ours.shape[:2] == source.size
        assert ours.flags.c_contiguous
        assert mean_difference(ours, theirs) < 5  # OpenCV does not interpolate chroma; colours are strong here
        assert mean_difference(ours, true) < 4  # chroma was subsampled
        assert mean_difference(ours[::-1, ::-1], true) > 20
    assert source.facts()["rotation"] == -rotation % 360


def test_real_video_equals_opencvs_reading(real_videos: Path) -> None:
    path = real_videos / "bikes.mp4"
    theirs = opencv(path)
    source = VideoSource(path)
    count, worst = 0, 0.0
    for frame, other in zip(source.frames(), theirs, strict=True):
        count += 1
        worst = max(worst, mean_difference(frame.image, other))
    assert count == source.length == source.facts()["decoded_frames"] == 250
    assert worst < 2  # OpenCV takes swscale's fast conversion, one level too dark on average
    assert (source.size, source.fps) == ((272, 640), 25)


@pytest.mark.parametrize(
    ("name", "count", "fps", "matrix"), [("bigbuckbunny", 132, "25", "bt709"), ("carphone_pristine", 120, "30000/1001", "bt601")]
)
def test_real_videos_are_read_whole(real_videos: Path, name: str, count: int, fps: str, matrix: str) -> None:
    source = VideoSource(real_videos / f"{name}.mp4")
    assert sum(1 for _ in source.frames()) == count == source.length
    facts = source.facts()
    assert (facts["fps_fraction"], facts["matrix"], facts["matrix_origin"]) == (fps, matrix, "assumed")
    assert facts["variable_rate"] is False


def opencv(path: Path) -> list[U8]:
    capture, frames = cv2.VideoCapture(str(path)), []
    while (read := capture.read())[0]:
        frames.append(read[1][..., ::-1])
    return frames


# Facts


def test_facts_are_json_and_know_after_a_reading(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "clip one.mp4", moving(5), fps=240)
    source = VideoSource(path)
    before = source.facts()
    assert (before["decoded_frames"], before["variable_rate"], before["declared_frames"]) == (None, None, 5)
    next(iter(source.frames()))
    assert source.facts()["decoded_frames"] is None  # an abandoned reading knows nothing
    list(source.frames())
    facts = source.facts()
    assert json.loads(json.dumps(facts)) == facts
    assert (facts["decoded_frames"], facts["variable_rate"]) == (5, False)
    assert {key: facts[key] for key in ("codec", "pix_fmt", "fps", "fps_fraction", "size", "rotation")} == {
        "codec": "h264", "pix_fmt": "yuv420p", "fps": 240.0, "fps_fraction": "240", "size": [48, 64], "rotation": 0
    }  # fmt: skip
    assert (facts["sample_aspect_ratio"], facts["transfer"], facts["primaries"]) == (None, "unstated", "unstated")
    assert facts["decoder"]["pyav"] == av.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", facts["decoder"]["libavcodec"])
    assert (source.id, source.length) == ("clip one", 5)
    assert source.fingerprint() == hashlib.sha256(path.read_bytes()).hexdigest()


def test_pixels_that_are_not_square_are_recorded_and_left(tmp_path: Path, make_video: MakeVideo) -> None:
    source = VideoSource(make_video(tmp_path / "a.mp4", moving(3), aspect=Fraction(4, 3)))
    assert (source.facts()["sample_aspect_ratio"], source.size) == ("4/3", (48, 64))


@pytest.mark.parametrize(
    ("name", "container", "checked"),
    [
        ("a.mp4", {}, True),
        ("a.mkv", {}, True),
        ("a.avi", {}, True),
        ("a.mp4", {"movflags": "frag_keyframe"}, False),
        ("a.mp4", {"movflags": "frag_keyframe+empty_moov"}, False),
        ("a.mkv", {"live": "1"}, False),
        ("a.ts", {}, False),
        ("a.h264", {}, False),
    ],
)
def test_whether_a_lost_tail_would_show_is_recorded(
    tmp_path: Path, make_video: MakeVideo, name: str, container: dict[str, str], checked: bool
) -> None:
    source = VideoSource(make_video(tmp_path / name, moving(12), container=container, g="4"))
    assert sum(1 for _ in source.frames()) == 12
    assert source.facts()["end_checked"] is checked


def test_decoded_frames_are_let_go_without_the_garbage_collector(tmp_path: Path, make_video: MakeVideo) -> None:
    """PyAV ties a frame to its side data once they are asked for: of long videos hundreds of pictures would wait."""
    source = VideoSource(make_video(tmp_path / "a.mp4", moving(40)))
    gc.collect()
    gc.disable()
    try:
        assert sum(1 for _ in source.frames()) == 40
        assert sum(isinstance(one, av.VideoFrame) for one in gc.get_objects()) < 5
    finally:
        gc.enable()
