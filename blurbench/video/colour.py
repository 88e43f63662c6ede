"""From the numbers a video stores to 8-bit RGB: by the matrix and range the stream states, or by a recorded assumption."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import VideoReformatter
from cv2.typing import MatLike

from blurbench.errors import SourceError
from blurbench.types import U8, U16

# Stated matrix (code of H.273) -> name, swscale's code of it. Others (YCgCo, constant luminance, ...) are refused.
_MATRICES = {1: ("bt709", 1), 4: ("fcc", 4), 5: ("bt601", 5), 6: ("bt601", 5), 7: ("smpte240m", 7), 9: ("bt2020", 9)}
_UNSTATED = (0, 2)  # "RGB" on a frame that is not RGB says nothing either
_LIMITED, _FULL = 1, 2
# By their codes of H.273, with the names that ffprobe prints.
_TRANSFERS = {
    1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "linear", 9: "log100", 10: "log316", 11: "iec61966-2-4",
    12: "bt1361e", 13: "iec61966-2-1", 14: "bt2020-10", 15: "bt2020-12", 16: "smpte2084", 17: "smpte428", 18: "arib-std-b67",
}  # fmt: skip
_PRIMARIES = {
    1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film", 9: "bt2020", 10: "smpte428", 11: "smpte431",
    12: "smpte432", 22: "ebu3213",
}  # fmt: skip
_HDR = {16: "PQ", 18: "HLG"}  # far from every curve that light is added up by
# Bilinear | full chroma interpolation, in and out | accurate rounding | bit exact. swscale's default for 4:2:0 is about twice as
# fast, but on average one level too dark and up to three levels off.
_SWSCALE = 1 << 1 | 1 << 13 | 1 << 14 | 1 << 18 | 1 << 19
_PLANAR = (9, 10, 12, 14, 16)  # bits of the planar RGB formats
_STRETCH = np.clip(np.rint((np.arange(256) - 16) * 255 / 219), 0, 255).astype(np.uint8)
_TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


@dataclass(frozen=True)
class Colour:
    """How the stored numbers become RGB; each `..._origin` is "stated" by the stream or "assumed" by us.

    matrix: "bt709", ..., or "rgb" and "grey", which need none. range: "limited" (16-235) or "full" (0-255). bits: of a stored number.
    transfer, primaries: as stated, else "unstated"; neither is undone.
    """

    matrix: str
    matrix_origin: str
    range: str
    range_origin: str
    transfer: str
    primaries: str
    bits: int

    @classmethod
    def of(cls, frame: VideoFrame, context: VideoCodecContext) -> Colour:
        """The colour facts of a decoded frame. Unstated: BT.709 from 720 rows on, else BT.601; limited range, full for RGB and grey.

        Raises SourceError for a matrix that cannot be undone, a transfer that is not that of a gamma, and for pictures with alpha.
        """
        parts, transfer = frame.format.components, context.color_trc
        if any(part.is_alpha for part in parts):
            raise SourceError(f"its pictures have an alpha channel ({frame.format.name}), expected none; re-encode it without")
        if transfer in _HDR:
            name = f"{_HDR[transfer]} ({_TRANSFERS[transfer]})"
            raise SourceError(f"its transfer characteristic is {name}, expected one of standard range; tone-map it to bt709 first")
        full = frame.color_range == _FULL or frame.format.name.startswith("yuvj")
        stated = full or frame.color_range == _LIMITED
        plain = "rgb" if frame.format.is_rgb or frame.format.has_palette else "grey" if len(parts) < 3 else None
        return cls(
            *((plain, "stated") if plain else _matrix(frame)),
            range="full" if full or (plain and not stated) else "limited",
            range_origin="stated" if stated else "assumed",
            transfer=_named(transfer, _TRANSFERS),
            primaries=_named(context.color_primaries, _PRIMARIES),
            bits=max(part.bits for part in parts),
        )


def _matrix(frame: VideoFrame) -> tuple[str, str]:
    """Name and origin of the matrix of a YUV frame."""
    if frame.colorspace in _UNSTATED:
        return "bt709" if frame.height >= 720 else "bt601", "assumed"
    if frame.colorspace not in _MATRICES:
        known = ", ".join(sorted({name for name, _ in _MATRICES.values()}))
        raise SourceError(f"the colour matrix has code {frame.colorspace} (H.273), expected one of {known}; re-encode it as bt709")
    return _MATRICES[frame.colorspace][0], "stated"


def _named(code: int, names: dict[int, str]) -> str:
    return "unstated" if code in _UNSTATED else names.get(code, f"code {code}")


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
        # From a full range of more than 8 bits swscale would take the upper 8, up to 1.5 levels too bright: it gives all, and we round.
        self._depth = 8
        if colour.bits > 8 and self._range == _FULL:
            self._depth = colour.bits if colour.matrix == "rgb" and colour.bits in _PLANAR else 16
        # To more bits than there are it shifts, so that white is less than the highest number.
        spare = max(self._depth - colour.bits, 0)
        self._white = (1 << self._depth) - (1 << spare)
        self._turn = _TURNS.get(rotation)

    def __call__(self, frame: VideoFrame) -> U8:
        # Planar output, as only that conversion is both exact and vectorised in swscale. The matrix of the output means nothing for
        # RGB, but PyAV < 17 leaves out the colour settings altogether when it equals that of the input.
        planar = self._reformatter.reformat(
            frame,
            format="gbrp" if self._depth == 8 else f"gbrp{self._depth}le",
            interpolation=_SWSCALE,
            src_colorspace=self._matrix,
            dst_colorspace=5 if self._matrix == 1 else 1,
            src_color_range=self._range,
            dst_color_range=_FULL,
        )
        green, blue, red = (_pixels(plane, self._depth) for plane in planar.planes)
        image = cv2.merge([red, green, blue])
        if self._depth > 8:
            image = self._reduced(image)
        elif self._stretch:
            image = cv2.LUT(image, _STRETCH)
        if self._turn is not None:
            image = cv2.rotate(image, self._turn)
        return np.asarray(image, np.uint8)

    def _reduced(self, image: MatLike) -> MatLike:
        """To 8 bits, rounded."""
        if not self._stretch:
            return cv2.convertScaleAbs(image, alpha=255 / self._white)
        unit = 1 << self._depth - 8
        black = 16 * unit
        return cv2.convertScaleAbs(np.maximum(image, black) - black, alpha=255 / (219 * unit))


def _pixels(plane: VideoPlane, depth: int) -> U8 | U16:
    """(rows, columns) of numbers of that many bits: a view."""
    stored: U8 | U16 = np.frombuffer(memoryview(plane), "u1" if depth == 8 else "<u2")
    return stored.reshape(plane.height, -1)[:, : plane.width]
