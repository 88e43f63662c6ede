"""What is not a whole video: a SourceError that names what is wrong."""

from __future__ import annotations

import re
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from blurbench.errors import SourceError
from blurbench.video.decode import VideoSource
from tests.video.conftest import MakeVideo
from tests.video.reading import moving, read_all


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


def test_avi_with_dropped_frames(tmp_path: Path) -> None:
    """Frames have no times there: an empty chunk stands for each that the camera dropped."""
    with av.open(str(tmp_path / "a.avi"), "w") as out:
        stream = out.add_stream("mjpeg", rate=240)
        stream.width, stream.height, stream.pix_fmt, stream.time_base = 64, 48, "yuvj420p", Fraction(1, 240)
        for number in (*range(15), *range(16, 30)):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 8 * number, np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 240)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    with pytest.raises(SourceError, match=r"a\.avi has 29 frames, expected 30 by its header: some were dropped"):
        list(VideoSource(tmp_path / "a.avi").frames())
    taken = VideoSource(tmp_path / "a.avi", keep_variable_rate=True)
    assert len(list(taken.frames())) == 29 and taken.facts()["variable_rate"] is True


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


@pytest.mark.parametrize("pieces", [1, 3, 5])
def test_an_mp4_of_fragments_cut_between_two_claims_no_end(tmp_path: Path, make_video: MakeVideo, pieces: int) -> None:
    path = make_video(tmp_path / "a.mp4", moving(60), g="10", container={"movflags": "frag_keyframe+empty_moov"})
    data = path.read_bytes()
    cuts = [found.start() - 4 for found in re.finditer(b"moof", data)]
    path.write_bytes(data[: cuts[pieces]])
    source = VideoSource(path)
    assert sum(1 for _ in source.frames()) == 10 * pieces  # what is missing cannot be known
    assert source.facts()["end_checked"] is False


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_mirrored_video_is_refused(tmp_path: Path, make_video: MakeVideo, rotation: int) -> None:
    path = make_video(tmp_path / "a.mp4", moving(3), rotation=rotation, mirrored=True)
    with pytest.raises(SourceError, match=r"a\.mp4 is to be shown mirrored, expected .*; re-encode it upright") as caught:
        VideoSource(path)
    assert "\n" not in str(caught.value)


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
