"""When a video is over by its header, and whether that proves it whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import av
from av.container import InputContainer
from av.video.stream import VideoStream


def stated_end(container: InputContainer, stream: VideoStream, start: float, fps: float) -> float | None:
    """Seconds when the video is over by the header; None for containers where FFmpeg only estimates that from what is there."""
    kind = container.format.name.split(",")[0]
    if kind == "avi" and stream.frames:
        return start + stream.frames / fps
    if kind == "mov" and stream.duration and stream.time_base:
        return start + float(stream.duration * stream.time_base)
    if kind == "matroska":
        tag = stream.metadata.get("DURATION", "")
        if time := re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d*)?)", tag.strip()):  # any text may stand there
            hours, minutes, seconds = time.groups()
            return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
        if len(container.streams) == 1 and container.duration:
            return container.duration / av.time_base
    return None


def in_pieces(path: Path) -> bool:
    """Whether this is an mp4 of fragments (`mvex` in its `moov`): its end is then that of the fragments that are there."""
    with path.open("rb") as file:
        for kind, stop in _boxes(file, path.stat().st_size):
            if kind == b"moov":
                return any(inner == b"mvex" for inner, _ in _boxes(file, stop))
    return False


def _boxes(file: BinaryIO, end: int) -> Iterator[tuple[bytes, int]]:
    """Kind and end of each box from here on, the file standing at its content; stops at what is no box."""
    while (start := file.tell()) + 8 <= end:
        size, kind = int.from_bytes(file.read(4)), file.read(4)
        if size == 1:
            size = int.from_bytes(file.read(8))
        if size < 8:
            return
        yield kind, start + size
        file.seek(start + size)
