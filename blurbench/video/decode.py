"""Video files as sources: decoded in order with PyAV, never sought in.

What FFmpeg or the timestamps show to be wrong stops the reading with a SourceError: damage, missing frames, a picture that changes its
size, a rate that varies. Not all is shown: a decoder takes most single flipped bits for pictures, and many containers do not state their
end (`end_checked`). Everything the pixels depend on is in `VideoSource.facts`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from blurbench.errors import SourceError
from blurbench.video.colour import Colour, Converter
from blurbench.video.ending import in_pieces, stated_end
from blurbench.video.rate import Rate
from blurbench.video.source import Frame


@dataclass(frozen=True)
class _Look:
    """What must not change from frame to frame. rotation: degrees counter-clockwise, 0 to 359."""

    size: tuple[int, int]
    pix_fmt: str
    matrix: int
    range: int
    transfer: int
    rotation: int

    @classmethod
    def of(cls, frame: VideoFrame) -> _Look:
        transfer = getattr(frame, "color_trc", 0)  # PyAV < 17 tells it of the stream alone
        colours = int(frame.colorspace), int(frame.color_range), int(transfer)
        return cls((frame.height, frame.width), frame.format.name, *colours, frame.rotation % 360)

    def difference(self, other: _Look) -> str:
        """The first thing that differs, in words."""
        for name, mine in vars(self).items():
            if mine != (theirs := getattr(other, name)):
                return f"{name} {theirs}, expected {mine}"
        return ""


@dataclass(frozen=True)
class _Header:
    """What the container and the first frame say. start, end: seconds, None where the container does not state them; tick: seconds.

    end_checked: whether a video cut short would end before `end`.
    """

    container: str
    codec: str
    fps: Fraction
    tick: float
    start: float
    end: float | None
    end_checked: bool
    declared_frames: int | None
    timestamps: str
    interlaced: bool
    sample_aspect_ratio: str | None
    look: _Look
    colour: Colour


class VideoSource:
    """A video file. `keep_variable_rate`: take frames as they come even where their intervals differ, and record that they do."""

    def __init__(self, path: Path, keep_variable_rate: bool = False) -> None:
        """Open the file and decode its first frame. Raises SourceError."""
        self.path = path
        self.keep_variable_rate = keep_variable_rate
        self.id = path.stem
        self._header = header = _read_header(path)
        self.fps = float(header.fps)
        height, width = header.look.size
        self.size = (width, height) if header.look.rotation in (90, 270) else (height, width)
        self._decoded: int | None = None
        self._variable: bool | None = None
        self._sha256: str | None = None

    @property
    def length(self) -> int | None:
        """Number of frames by the header, None if it does not say; an edit list that trims the video is taken into account."""
        header = self._header
        return header.declared_frames if header.end is None else round((header.end - header.start) * self.fps)

    def facts(self) -> dict[str, Any]:
        """Provenance, JSON-ready. `decoded_frames` and `variable_rate` are None until all frames have been read once.

        `end_checked`: whether the header states an end, which the frames must reach; a file without one may have lost its tail.
        `transfer`, `primaries`, `sample_aspect_ratio`: as stated, not applied.
        """
        header = self._header
        return {
            "kind": "video",
            "file": self.path.name,
            "container": header.container,
            "codec": header.codec,
            "pix_fmt": header.look.pix_fmt,
            "matrix": header.colour.matrix,
            "matrix_origin": header.colour.matrix_origin,
            "range": header.colour.range,
            "range_origin": header.colour.range_origin,
            "transfer": header.colour.transfer,
            "primaries": header.colour.primaries,
            "rotation": header.look.rotation,
            "interlaced": header.interlaced,
            "sample_aspect_ratio": header.sample_aspect_ratio,
            "size": list(self.size),
            "fps": self.fps,
            "fps_fraction": str(header.fps),
            "timestamps": header.timestamps,
            "declared_frames": header.declared_frames,
            "decoded_frames": self._decoded,
            "variable_rate": self._variable,
            "end_checked": header.end_checked,
            "decoder": {"pyav": av.__version__, **{name: _version(name) for name in ("libavcodec", "libswscale")}},
        }

    def fingerprint(self) -> str:
        """SHA-256 (hex) of the file. Raises SourceError if it cannot be read any more."""
        if self._sha256 is None:
            try:
                with self.path.open("rb") as file:
                    self._sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise SourceError(f"{self.path} cannot be read: {error.strerror}; expected a video file") from error
        return self._sha256

    def frames(self) -> Iterator[Frame]:
        """All frames from the first, upright RGB. Raises SourceError naming the frame where something is wrong."""
        header = self._header
        convert = Converter(header.colour, header.look.rotation)
        rate = Rate(str(self.path), self.fps, header.tick, header.end, self.keep_variable_rate)
        with _opened(self.path) as (container, stream):
            for index, frame in enumerate(_decode(self.path, container, stream)):
                if (look := _Look.of(frame)) != header.look:
                    change = header.look.difference(look)
                    raise SourceError(f"{self.path}: frame {index} has {change} as frame 0 has; split the video there or re-encode it")
                rate.add(self._time(index, frame))
                yield Frame(convert(frame), rate.times[-1])
        rate.finish()
        self._decoded, self._variable = len(rate.times), rate.variable
        declared = header.declared_frames
        if header.container == "avi" and declared and self._decoded != declared:  # frames have no times of their own there
            self._variable = True
            if not self.keep_variable_rate:
                raise SourceError(
                    f"{self.path} has {self._decoded} frames, expected {declared} by its header: some were dropped, and nothing says "
                    "where; copy it again, or pass --keep-variable-rate"
                )

    def _time(self, index: int, frame: VideoFrame) -> float:
        if self._header.timestamps == "assumed":
            return index / self.fps
        if frame.pts is None or frame.time_base is None:
            raise SourceError(f"{self.path}: frame {index} has no timestamp, expected one as frame 0 has; re-encode the video")
        return float(frame.pts * frame.time_base)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no plain file (a pipe or a device)" if path.exists() else "missing"
        raise SourceError(f"{path} is {found}, expected a video file; check the path")
    try:
        container = av.open(f"file:{path}", metadata_errors="replace")  # the prefix keeps a colon in a name from being a protocol
    except (av.FFmpegError, OSError) as error:
        raise SourceError(f"{path} is not a readable video: {_reason(path, error)}; expected a whole video file, e.g. .mp4") from error
    with container:
        covers = Disposition.attached_pic  # pictures in a sound file
        stream = next((s for s in container.streams.video if not s.disposition & covers), None)
        if stream is None or stream.codec_context is None:
            kinds = ", ".join(sorted({s.type for s in container.streams})) or "none"
            raise SourceError(f"{path} has no video stream that can be decoded (streams: {kinds}), expected one; check the file")
        stream.thread_type = "AUTO"
        yield container, stream


def _reason(path: Path, error: Exception) -> str:
    reason = getattr(error, "strerror", None) or str(error)
    try:
        with path.open("rb") as file:
            mp4 = file.read(8).endswith(b"ftyp")
    except OSError:
        return str(reason)
    return "its index (moov) is missing, recording or copying was cut short" if mp4 else str(reason)


def _decode(path: Path, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Every frame in order of display. Raises SourceError at the first sign of damage instead of passing over or repairing it."""
    count = 0
    try:
        for packet in container.demux(stream):
            if packet.is_corrupt:
                raise _damaged(path, count, "a packet is cut or damaged")
            for frame in packet.decode():
                if frame.is_corrupt:
                    raise _damaged(path, count, "the decoder had to guess part of the picture")
                yield frame
                count += 1
    except av.FFmpegError as error:
        raise _damaged(path, count, str(error.strerror)) from error
    if not count:
        raise SourceError(f"{path} holds no frame, expected at least one; record or export it again")


def _damaged(path: Path, count: int, reason: str) -> SourceError:
    return SourceError(f"{path} is damaged at or soon after frame {count}: {reason}; copy it again, or re-encode what is whole")


def _read_header(path: Path) -> _Header:
    with _opened(path) as (container, stream):
        first = next(_decode(path, container, stream))
        # AVI counts packets, not pictures: with reordered frames its timestamps are wrong. Where there are none at all (raw streams),
        # the demuxer's average is a default, and what the codec states is the better guess.
        assumed = first.pts is None or container.format.name == "avi"
        rates = (stream.guessed_rate, stream.average_rate) if assumed else (stream.average_rate, stream.guessed_rate)
        fps = next((rate for rate in rates if rate), None)
        if fps is None:
            raise SourceError(f"{path} states no frame rate, expected one; re-encode it at a constant rate")
        look = _Look.of(first)
        if look.rotation % 90:
            raise SourceError(f"{path} is to be shown turned by {look.rotation} degrees, expected a multiple of 90; re-encode it upright")
        if _mirrored(first):
            raise SourceError(f"{path} is to be shown mirrored, expected a picture that is only turned; re-encode it upright")
        try:
            colour = Colour.of(first, stream.codec_context)
        except SourceError as error:
            raise SourceError(f"{path}: {error}") from None
        start = float((stream.start_time or 0) * (stream.time_base or 0))
        end = stated_end(container, stream, start, float(fps))
        return _Header(
            container=container.format.name,
            codec=stream.codec_context.name,
            fps=Fraction(fps),
            tick=float(stream.time_base or 0),
            start=start,
            end=end,
            end_checked=end is not None and not in_pieces(path),
            declared_frames=stream.frames or None,
            timestamps="assumed" if assumed else "stated",
            interlaced=first.interlaced_frame,
            sample_aspect_ratio=str(ratio) if (ratio := stream.sample_aspect_ratio) else None,
            look=look,
            colour=colour,
        )


def _mirrored(frame: VideoFrame) -> bool:
    """Whether the display matrix turns left into right: FFmpeg's rotation is then no more than part of it, or 0.

    Asked of the first frame alone: PyAV ties a frame and its side data in a ring, which only the garbage collector frees.
    """
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return False
    a, b, _, c, d = (int(value) for value in np.frombuffer(bytes(matrix), np.int32, 5))
    return a * d < b * c


def _version(library: str) -> str:
    return ".".join(map(str, av.library_versions[library]))
