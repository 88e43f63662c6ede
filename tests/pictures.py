"""Looking at pictures: where one holds another, and what a moving file shows."""

import numpy as np
from PIL import Image, ImageSequence


def holds(picture, part):
    """Where a picture (H, W, 3) holds a part exactly, as (top, left) pairs."""
    height, width = part.shape[:2]
    corners = (picture[: picture.shape[0] - height + 1, : picture.shape[1] - width + 1] == part[0, 0]).all(axis=2)
    return [[y, x] for y, x in np.argwhere(corners).tolist() if (picture[y : y + height, x : x + width] == part).all()]


def loop(path, tick=100):
    """Frames (T, H, W, 3) and milliseconds of a WebP or GIF, by another library than the one that wrote it.

    Of equal frames that follow each other a WebP has one, as long as all of them: it counts once for each `tick`.
    """
    with Image.open(path) as image:
        assert getattr(image, "n_frames", 1) == 1 or image.info["loop"] == 0
        frames = [(np.asarray(frame.convert("RGB")), frame.info.get("duration")) for frame in ImageSequence.Iterator(image)]
    counts = [round((time or tick) / tick) for _, time in frames]
    return np.repeat([pixels for pixels, _ in frames], counts, axis=0), [time for _, time in frames]
