"""Moving pictures: frames as an endless WebP, GIF or PNG, or as a video."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from blurbench.errors import BlurbenchError
from blurbench.store.disk import replacing
from blurbench.types import U8

FORMATS = ("webp", "mp4", "gif")
"""Formats of `write_moving`: WebP keeps every pixel, MP4 is small, GIF has 256 colours."""

RATES = (0.1, 50.0)
"""Least and largest rate, frames a second. Browsers slow a GIF down that asks for more."""

_LOSSLESS = [cv2.IMWRITE_WEBP_QUALITY, 101]  # up to 100 is lossy
_COLOURS = [cv2.IMWRITE_GIF_QUALITY, 8, cv2.IMWRITE_GIF_DITHER, 3]
_BT709 = 1  # in the numbering of H.273, also of the primaries


def check(format: str, fps: float) -> None:
    """Raises BlurbenchError for a format that is none of `FORMATS`, or a rate out of `RATES`."""
    if format not in FORMATS:
        raise BlurbenchError(f"format is {format!r}, expected one of {', '.join(FORMATS)}; give another")
    if not RATES[0] <= fps <= RATES[1]:
        raise BlurbenchError(f"fps is {fps:g}, expected {RATES[0]:g} to {RATES[1]:g} frames a second; give another")


def write_moving(path: Path, frames: Sequence[U8], fps: float) -> None:
    """Write frames (H, W, 3) uint8 RGB of one size at `fps` frames a second, in the format of the suffix.

    WebP and GIF run for ever, a frame for whole and for tens of milliseconds; in WebP, equal frames that follow each other become one that
    stays as long. MP4 is H.264 and runs once. The file appears whole or not at all.
    Raises BlurbenchError for another suffix, a rate out of `RATES` and what cannot be encoded or written.
    """
    check(path.suffix[1:], fps)
    if path.suffix == ".mp4":
        _write_video(path, frames, fps)
    else:
        tick = 10 if path.suffix == ".gif" else 1
        write_loop(path, frames, [round(1000 / fps / tick) * tick] * len(frames))


def write_loop(path: Path, frames: Sequence[U8], milliseconds: Sequence[int]) -> None:
    """Write frames (H, W, 3) uint8 RGB, each with its time, as an endless animation in the format of the suffix: .webp, .gif or .png.

    The file appears whole or not at all. Raises BlurbenchError, also for pictures that the format does not hold (WebP: above 16383).
    """
    animation = cv2.Animation()
    animation.frames = [cv2.cvtColor(frame, cv2.COLOR_RGB2BGR) for frame in frames]
    animation.durations = list(milliseconds)
    try:
        done, data = cv2.imencodeanimation(path.suffix, animation, {".webp": _LOSSLESS, ".gif": _COLOURS}.get(path.suffix, []))
    except cv2.error:
        done = False
    if not done:
        shape = "x".join(map(str, frames[0].shape[1::-1]))
        raise BlurbenchError(f"{path} cannot be written: OpenCV cannot encode {len(frames)} frames of {shape}; take smaller pictures")
    with replacing(path) as part:
        part.write_bytes(data.tobytes())


def _write_video(path: Path, frames: Sequence[U8], fps: float) -> None:
    """Colours as in high-definition television (BT.709), at half resolution, for only that plays everywhere; sizes must then be even:

    the last row or column is repeated where they are not.
    """
    height, width = frames[0].shape[:2]
    border = [(0, height % 2), (0, width % 2), (0, 0)]
    with replacing(path) as part, av.open(str(part), "w", format="mp4") as file:
        stream = file.add_stream("libx264", rate=Fraction(fps).limit_denominator(1000), options={"crf": "12"})
        stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
        context = stream.codec_context
        context.colorspace, context.color_primaries, context.color_trc, context.color_range = _BT709, _BT709, _BT709, ColorRange.MPEG
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.pad(frame, border, mode="edge"), format="rgb24")
            coded = picture.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)
            file.mux(stream.encode(coded))
        file.mux(stream.encode())
