"""From the numbers a video stores to 8-bit RGB: by the matrix and range the stream states, or by a recorded assumption."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import VideoReformatter

from blurbench.errors import SourceError
from blurbench.types import U8

# Stated matrix (code of H.273) -> name, swscale's code of it. Others (YCgCo, constant luminance, ...) are refused.
_MATRICES = {1: ("bt709", 1), 4: ("fcc", 4), 5: ("bt601", 5), 6: ("bt601", 5), 7: ("smpte240m", 7), 9: ("bt2020", 9)}
_UNSTATED = (0, 2)  # "RGB" on a frame that is not RGB says nothing either
_LIMITED, _FULL = 1, 2
# Bilinear | full chroma interpolation, in and out | accurate rounding | bit exact. swscale's default for 4:2:0 is about twice as
# fast, but on average one level too dark and up to three levels off.
_SWSCALE = 1 << 1 | 1 << 13 | 1 << 14 | 1 << 18 | 1 << 19
_STRETCH = np.clip(np.rint((np.arange(256) - 16) * 255 / 219), 0, 255).astype(np.uint8)
_TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


@dataclass(frozen=True)
class Colour:
    """How the stored numbers become RGB; each `..._origin` is "stated" by the stream or "assumed" by us.

    matrix: "bt709", ..., or "rgb" and "grey", which need none. range: "limited" (16-235) or "full" (0-255).
    """

    matrix: str
    matrix_origin: str
    range: str
    range_origin: str

    @classmethod
    def of(cls, frame: VideoFrame) -> Colour:
        """The colour facts of a decoded frame. Unstated: BT.709 from 720 rows on, else BT.601; limited range, full for RGB and grey.

        Raises SourceError for a matrix that cannot be undone.
        """
        full = frame.color_range == _FULL or frame.format.name.startswith("yuvj")
        stated = full or frame.color_range == _LIMITED
        plain = "rgb" if frame.format.is_rgb or frame.format.has_palette else "grey" if len(frame.format.components) < 3 else None
        name = "full" if full or (plain and not stated) else "limited"
        origin = "stated" if stated else "assumed"
        if plain:
            return cls(plain, "stated", name, origin)
        if frame.colorspace in _UNSTATED:
            return cls("bt709" if frame.height >= 720 else "bt601", "assumed", name, origin)
        if frame.colorspace not in _MATRICES:
            known = ", ".join(sorted({name for name, _ in _MATRICES.values()}))
            raise SourceError(f"the colour matrix has code {frame.colorspace} (H.273), expected one of {known}; re-encode it as bt709")
        return cls(_MATRICES[frame.colorspace][0], "stated", name, origin)


class Converter:
    """Decoded frames of one stream to (H, W, 3) uint8 RGB, upright. Keeps one swscale context: a new one a frame halves the speed."""

    def __init__(self, colour: Colour, rotation: int) -> None:
        """rotation: degrees counter-clockwise by which a frame must be turned to stand upright: 0, 90, 180 or 270."""
        self._reformatter = VideoReformatter()
        self._matrix = next((code for name, code in _MATRICES.values() if name == colour.matrix), 5)
        # swscale's versions differ in what they do with grey and RGB of limited range: it is told "full" and we stretch.
        plain, limited = colour.matrix in ("rgb", "grey"), colour.range == "limited"
        self._range = _LIMITED if limited and not plain else _FULL
        self._stretch = limited and plain
        self._turn = _TURNS.get(rotation)

    def __call__(self, frame: VideoFrame) -> U8:
        # Planar output, as only that conversion is both exact and vectorised in swscale. The matrix of the output means nothing for
        # RGB, but PyAV < 17 leaves out the colour settings altogether when it equals that of the input.
        planar = self._reformatter.reformat(
            frame,
            format="gbrp",
            interpolation=_SWSCALE,
            src_colorspace=self._matrix,
            dst_colorspace=5 if self._matrix == 1 else 1,
            src_color_range=self._range,
            dst_color_range=_FULL,
        )
        green, blue, red = (_pixels(plane) for plane in planar.planes)
        image = cv2.merge([red, green, blue])
        if self._stretch:
            image = cv2.LUT(image, _STRETCH)
        if self._turn is not None:
            image = cv2.rotate(image, self._turn)
        return np.asarray(image, np.uint8)


def _pixels(plane: VideoPlane) -> U8:
    return np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
