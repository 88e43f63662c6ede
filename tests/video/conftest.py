"""Tiny videos, written with PyAV, for every test that needs one."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from blurbench.types import U8

CLOCK = Fraction(1, 90_000)


MakeVideo = Callable[..., Path]
"""`_write`."""


@pytest.fixture
def make_video() -> MakeVideo:
    """Writes frames, (H, W, 3) uint8 RGB arrays or `av.VideoFrame`s that are stored as they are, and returns the path.

    times: seconds of each frame, instead of a constant rate. matrix, transfer, primaries, color_range: what the stream states (codes of
    H.273; 1 limited, 2 full). aspect: of a pixel. rotation, mirrored: degrees clockwise a player shall turn the picture, and whether it
    shall swap left and right first (mp4, mov). container, options: of the muxer and of the encoder; libx264 is lossless unless they say
    otherwise.
    """
    return _write


@pytest.fixture
def real_videos(shared: Path) -> Path:
    """Folder of real videos; skips where there is none."""
    folder = shared / "data" / "videos"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent; set BLURBENCH_SHARED to run this test")
    return folder


def _write(
    path: Path,
    frames: Iterable[U8 | av.VideoFrame],
    fps: float | Fraction = 30,
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    times: Sequence[float] | None = None,
    matrix: int | None = None,
    transfer: int | None = None,
    primaries: int | None = None,
    aspect: Fraction | None = None,
    color_range: int | None = None,
    rotation: int = 0,
    mirrored: bool = False,
    container: dict[str, str] | None = None,
    **options: str,
) -> Path:
    rate = Fraction(fps).limit_denominator(1001)
    defaults = {"preset": "ultrafast", "qp": "0"} if codec.startswith("libx264") else {}
    with av.open(str(path), "w", options=container or {}) as out:
        stream: Any = None
        for index, item in enumerate(frames):
            frame = item if isinstance(item, av.VideoFrame) else av.VideoFrame.from_ndarray(np.ascontiguousarray(item), format="rgb24")
            if stream is None:
                stream = out.add_stream(codec, rate=rate, options={**defaults, **options})
                stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, pix_fmt
                stream.codec_context.time_base = 1 / rate if times is None else CLOCK
                facts = {"colorspace": matrix, "color_trc": transfer, "color_primaries": primaries, "color_range": color_range}
                for name, value in {**facts, "sample_aspect_ratio": aspect}.items():
                    if value is not None:
                        setattr(stream.codec_context, name, value)
            frame = frame.reformat(format=pix_fmt)
            frame.time_base = stream.codec_context.time_base
            frame.pts = index if times is None else round(times[index] / CLOCK)
            if color_range is not None:
                frame.color_range = color_range
            if matrix is not None:
                frame.colorspace = matrix
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    if rotation or mirrored:
        _rotate(path, rotation, mirrored)
    return path


def _rotate(path: Path, degrees: int, mirrored: bool) -> None:
    """Rewrite the display matrix in an mp4's track header: not every PyAV can write one."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 44
    cos, sin = round(np.cos(np.radians(degrees))), round(np.sin(np.radians(degrees)))
    side = -1 if mirrored else 1
    data[start : start + 36] = struct.pack(">9i", side * cos * 65536, side * sin * 65536, 0, -sin * 65536, cos << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
