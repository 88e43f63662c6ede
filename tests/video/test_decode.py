"""Decoding: right colours, right frames, right times, and a SourceError wherever one of them cannot be had."""

from __future__ import annotations

import hashlib
import json
import re
import struct
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from blurbench.errors import SourceError
from blurbench.types import F64, U8
from blurbench.video.decode import VideoSource
from blurbench.video.rate import Rate
from tests.video.conftest import MakeVideo

LIMITED, FULL = 1, 2
LUMA = {"bt709": (0.2126, 0.0722), "bt601": (0.299, 0.114), "bt2020": (0.2627, 0.0593)}  # weights of red and blue in luma


def yuv_to_rgb(planes: NDArray[np.integer], matrix: str, full: bool, bits: int = 8) -> F64:
    """(3, H, W) YUV codes -> (H, W, 3) float64 RGB on 0..255, straight from the definition in ITU-R BT.601 / BT.709."""
    unit = 2.0 ** (bits - 8)
    top = 2**bits - 1
    y, cb, cr = planes.astype(np.float64)
    y, cb, cr = (y / top, (cb - 128 * unit) / top, (cr - 128 * unit) / top) if full else (
        (y - 16 * unit) / (219 * unit), (cb - 128 * unit) / (224 * unit), (cr - 128 * unit) / (224 * unit))  # fmt: skip
    kr, kb = LUMA[matrix]
    red, blue = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    green = (y - kr * red - kb * blue) / (1 - kr - kb)
    return np.clip(np.stack([red, green, blue], axis=-1) * 255, 0, 255)


def patches(height: int, width: int, side: int = 16, seed: int = 0) -> U8:
    """(3, height, width) YUV planes of flat patches, of colours that mostly exist."""
    low, high = np.array([30, 80, 80])[:, None, None], np.array([220, 176, 176])[:, None, None]
    small = np.random.default_rng(seed).integers(low, high, (3, -(-height // side), -(-width // side)))
    return np.kron(small, np.ones((1, side, side)))[:, :height, :width].astype(np.uint8)


def stored(planes: NDArray[np.integer], pix_fmt: str) -> av.VideoFrame:
    """A frame that holds exactly these planes; chroma is subsampled as the format wants."""
    frame = av.VideoFrame(planes.shape[2], planes.shape[1], pix_fmt)
    for target, source in zip(frame.planes, planes, strict=False):
        rows, columns = planes.shape[1] // target.height, planes.shape[2] // target.width
        kind = np.uint16 if frame.format.components[0].bits > 8 else np.uint8
        memory = np.frombuffer(memoryview(target), kind).reshape(target.height, -1)
        memory[:, : target.width] = source[::rows, ::columns]
    return frame


def moving(count: int, height: int = 48, width: int = 64, seed: int = 0) -> list[U8]:
    """Smooth texture sliding by two pixels a frame; no two frames alike, no symmetry."""
    noise = np.random.default_rng(seed).integers(0, 255, (height, width + 2 * count, 3), dtype=np.uint8)
    wide = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 4), None, 0, 255, cv2.NORM_MINMAX)
    return [wide[:, 2 * n : 2 * n + width] for n in range(count)]


def images(path: Path, **options: bool) -> list[U8]:
    return [frame.image for frame in VideoSource(path, **options).frames()]


def read_all(path: Path) -> int:
    return sum(1 for _ in VideoSource(path).frames())


# Colour


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize(("matrix", "code"), [("bt709", 1), ("bt601", 5), ("bt601", 6), ("bt2020", 9)])
def test_stated_matrix_and_range_are_used(tmp_path: Path, make_video: MakeVideo, matrix: str, code: int, full: bool) -> None:
    planes = patches(64, 96, side=1)
    path = make_video(
        tmp_path / "a.mp4", [stored(planes, "yuv444p")], pix_fmt="yuv444p", matrix=code, color_range=FULL if full else LIMITED
    )
    source = VideoSource(path)
    (frame,) = source.frames()
    assert np.abs(frame.image - yuv_to_rgb(planes, matrix, full)).max() <= 1
    facts = source.facts()
    assert (facts["matrix"], facts["matrix_origin"]) == (matrix, "stated")
    assert (facts["range"], facts["range_origin"]) == ("full" if full else "limited", "stated")


@pytest.mark.parametrize(("height", "matrix"), [(718, "bt601"), (720, "bt709")])
def test_unstated_matrix_goes_by_height(tmp_path: Path, make_video: MakeVideo, height: int, matrix: str) -> None:
    planes = patches(height, 96)
    source = VideoSource(make_video(tmp_path / "a.mp4", [stored(planes, "yuv420p")]))
    (frame,) = source.frames()
    inside = np.s_[6::16, 6::16]  # away from the edges of the patches, where chroma is interpolated
    assert np.abs(frame.image[inside] - yuv_to_rgb(planes, matrix, False)[inside]).max() <= 1
    facts = source.facts()
    assert (facts["matrix"], facts["matrix_origin"], facts["range"], facts["range_origin"]) == (matrix, "assumed", "limited", "assumed")


def test_ten_bits_become_eight(tmp_path: Path, make_video: MakeVideo) -> None:
    planes = patches(64, 96).astype(np.uint16) * 4 + 2
    source = VideoSource(make_video(tmp_path / "a.mkv", [stored(planes, "yuv420p10le")], codec="ffv1", pix_fmt="yuv420p10le"))
    (frame,) = source.frames()
    assert frame.image.dtype == np.uint8
    inside = np.s_[6::16, 6::16]
    assert np.abs(frame.image[inside] - yuv_to_rgb(planes, "bt601", False, bits=10)[inside]).max() <= 1
    assert source.facts()["pix_fmt"] == "yuv420p10le"


@pytest.mark.parametrize(("color_range", "black", "white"), [(None, 0, 255), (FULL, 0, 255), (LIMITED, 16, 235)])
def test_grey_and_its_range(tmp_path: Path, make_video: MakeVideo, color_range: int | None, black: int, white: int) -> None:
    codes = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    source = VideoSource(make_video(tmp_path / "a.mkv", [stored(codes, "gray")], codec="ffv1", pix_fmt="gray", color_range=color_range))
    (frame,) = source.frames()
    expected = np.clip((codes[0].astype(np.float64) - black) * 255 / (white - black), 0, 255)
    assert np.abs(frame.image - expected[..., None]).max() <= 0.5
    facts = source.facts()
    assert (facts["matrix"], facts["range"]) == ("grey", "limited" if color_range == LIMITED else "full")
    assert facts["range_origin"] == ("assumed" if color_range is None else "stated")


def test_stored_rgb_is_exact(tmp_path: Path, make_video: MakeVideo) -> None:
    frames = moving(3)
    source = VideoSource(make_video(tmp_path / "a.mkv", frames, codec="libx264rgb", pix_fmt="rgb24"))
    np.testing.assert_array_equal([frame.image for frame in source.frames()], frames)
    assert source.facts()["matrix"] == "rgb"


def test_motion_jpeg_states_full_range(tmp_path: Path, make_video: MakeVideo) -> None:
    planes = patches(64, 96)
    path = make_video(
        tmp_path / "a.avi", [stored(planes, "yuvj420p")], codec="mjpeg", pix_fmt="yuvj420p", color_range=FULL, qmin="1", qmax="1"
    )
    source = VideoSource(path)
    (frame,) = source.frames()
    inside = np.s_[6::16, 6::16]
    assert np.abs(frame.image[inside] - yuv_to_rgb(planes, "bt601", True)[inside]).mean() < 2
    assert (source.facts()["range"], source.facts()["range_origin"]) == ("full", "stated")


def test_a_matrix_that_cannot_be_undone_is_refused(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "a.mp4", [stored(patches(64, 96), "yuv444p")], pix_fmt="yuv444p", matrix=8)  # YCgCo
    with pytest.raises(SourceError, match=r"a\.mp4.*code 8.*expected one of.*bt709"):
        VideoSource(path)


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


def mean_difference(one: U8, two: U8) -> float:
    return float(np.abs(one.astype(np.int16) - two).mean())


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
    assert facts["decoder"]["pyav"] == av.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", facts["decoder"]["libavcodec"])
    assert (source.id, source.length) == ("clip one", 5)
    assert source.fingerprint() == hashlib.sha256(path.read_bytes()).hexdigest()


# Time


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


# What is refused


def test_a_name_is_never_a_protocol_or_a_pattern(tmp_path: Path, make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch) -> None:
    make_video(tmp_path / "a.mp4", moving(3)).rename(tmp_path / "http:%03d.mp4")
    monkeypatch.chdir(tmp_path)
    assert read_all(Path("http:%03d.mp4")) == 3


def test_no_file_folder_text_and_nothing(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("these are words, not pictures\n" * 100)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "folder.mp4").mkdir()
    for name, problem in {"no.mp4": "missing", "folder.mp4": "a folder", "text.mp4": "Invalid data", "empty.mp4": "not a readable"}.items():
        with pytest.raises(SourceError, match=rf"{name} is .*{problem}.*expected") as caught:
            VideoSource(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_sound_without_picture(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as out:
        stream = out.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        out.mux(stream.encode(frame))
        out.mux(stream.encode())
    with pytest.raises(SourceError, match=r"no video stream.*\(streams: audio\), expected one"):
        VideoSource(tmp_path / "a.mp4")


def test_a_header_without_frames(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.avi"), "w") as out:
        stream = out.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        out.start_encoding()
    with pytest.raises(SourceError, match="holds no frame, expected at least one"):
        VideoSource(tmp_path / "a.avi")


def test_mp4_without_its_index(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "a.mp4", moving(30))
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"moov") - 4])
    with pytest.raises(SourceError, match=r"index \(moov\) is missing"):
        VideoSource(path)


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "avi"])
@pytest.mark.parametrize("part", [0.5, 0.9])
def test_a_cut_file_is_never_taken_for_a_short_one(tmp_path: Path, make_video: MakeVideo, suffix: str, part: float) -> None:
    options = {"movflags": "faststart"} if suffix in ("mp4", "mov") else {}
    path = make_video(tmp_path / f"a.{suffix}", moving(60), container=options, preset="medium", bf="2")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(SourceError, match=r"is cut short: its \d+ frames end at|damaged at or soon after frame \d+"):
        read_all(path)


def test_a_damaged_packet_is_named(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "a.mp4", moving(60), g="1")
    with av.open(str(path)) as container:
        packet = next(p for n, p in enumerate(container.demux(video=0)) if n == 40)
        assert packet.pos is not None
        start, size = packet.pos, packet.size
    data = bytearray(path.read_bytes())
    data[start + size // 3 : start + size // 3 * 2] = bytes(size // 3)
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"damaged at or soon after frame (\d+)") as caught:
        read_all(path)
    named = int(re.findall(r"frame (\d+)", str(caught.value))[0])
    assert 20 <= named <= 40  # threads decode ahead: what was not given out before the damage is not given out at all


def test_a_trimmed_video_is_whole(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "a.mp4", moving(60), preset="medium", bf="2", g="12")
    data = bytearray(path.read_bytes())
    start = data.index(b"elst") + 12
    duration, media_time = struct.unpack(">Ii", data[start : start + 8])
    data[start : start + 8] = struct.pack(">Ii", duration // 2, media_time)
    path.write_bytes(data)
    source = VideoSource(path)
    assert source.length == sum(1 for _ in source.frames()) == 30


def test_frames_of_another_size(tmp_path: Path, make_video: MakeVideo) -> None:
    one = make_video(tmp_path / "1.h264", moving(8))
    two = make_video(tmp_path / "2.h264", moving(8, 64, 96))
    path = tmp_path / "a.h264"
    path.write_bytes(one.read_bytes() + two.read_bytes())
    with pytest.raises(SourceError, match=r"frame 8 has size \(64, 96\), expected \(48, 64\) as frame 0"):
        read_all(path)
