"""What happens to each source frame first: brought to a size, then cropped."""

from __future__ import annotations

import cv2
import numpy as np

from blurbench.errors import SourceError
from blurbench.synth.tables import Frame as FrameRule
from blurbench.types import U8, U16

_KERNELS = {"area": cv2.INTER_AREA, "linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC}


def framed_size(size: tuple[int, int], rule: FrameRule) -> tuple[int, int]:
    """(height, width) that a picture of `size` has after `reframe`. Raises SourceError as that."""
    return _cropped(resized(size, rule), rule)


def _cropped(size: tuple[int, int], rule: FrameRule) -> tuple[int, int]:
    height, width = size
    if rule.crop[1] > height or rule.crop[0] > width:
        raise SourceError(f"frames are {width}x{height}, frame.crop asks for {rule.crop[0]}x{rule.crop[1]}; make the crop smaller")
    return rule.crop[1] or height, rule.crop[0] or width


def reframe(image: U8 | U16, rule: FrameRule) -> U8 | U16:
    """Resize, then crop, as the recipe's [frame] says.

    Raises SourceError when nothing of the picture would be left, and when the crop is larger than what is.
    """
    new = resized((image.shape[0], image.shape[1]), rule)
    height, width = _cropped(new, rule)
    image = _binned(image, rule.shrink) if rule.shrink > 1 else image
    if image.shape[:2] != new:
        image = cv2.resize(image, new[::-1], interpolation=_KERNELS[rule.kernel])  # type: ignore[assignment]
    top, left = crop_corner(new, rule)
    return np.ascontiguousarray(image[top : top + height, left : left + width])  # type: ignore[return-value]


def _binned(image: U8 | U16, by: int) -> U8 | U16:
    """Means of by x by blocks, rounded."""
    height, width = image.shape[0] // by, image.shape[1] // by
    whole = image[: height * by, : width * by]
    if by % 2 == 0:  # the box filter rounds means of even numbers with an error
        return cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]
    means = cv2.boxFilter(whole, -1, (by, by), anchor=(0, 0))  # half the time of resizing by area
    return cv2.resize(means, (width, height), interpolation=cv2.INTER_NEAREST)  # type: ignore[return-value]


def crop_corner(resized: tuple[int, int], rule: FrameRule) -> tuple[int, int]:
    """(top, left) of the crop in the resized picture of that (height, width)."""
    if rule.anchor == "top-left":
        return 0, 0
    height, width = _cropped(resized, rule)
    return (resized[0] - height) // 2, (resized[1] - width) // 2


def resized(size: tuple[int, int], rule: FrameRule) -> tuple[int, int]:
    """(height, width) of a picture of `size` before the crop. Raises SourceError when that leaves nothing of it."""
    new = _fitted((size[0] // rule.shrink, size[1] // rule.shrink), rule)
    if not all(new):
        asked = f"frame.shrink {rule.shrink}, width {rule.width} and height {rule.height}"
        raise SourceError(f"frames are {size[1]}x{size[0]}, of which {asked} leave {new[1]}x{new[0]}, expected pixels; reduce them less")
    return new


def _fitted(size: tuple[int, int], rule: FrameRule) -> tuple[int, int]:
    """(height, width) that become of `size`: exactly the rule's (`stretch`), or the largest of the picture's shape that fits into it.

    Where the rule has one side, the other follows from the picture's shape.
    """
    height, width = size
    if not (rule.width or rule.height) or not all(size):
        return size
    if rule.fit == "stretch":
        return rule.height or round(height * rule.width / width), rule.width or round(width * rule.height / height)
    scale = min(1.0, *(wanted / side for wanted, side in ((rule.width, width), (rule.height, height)) if wanted))
    return round(height * scale), round(width * scale)
