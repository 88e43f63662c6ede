"""What a sample page shows: which samples, and their pictures as strips of frames, error maps and flow pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from blurbench.errors import BlurbenchError
from blurbench.metrics._metric import Better
from blurbench.report.figures import resized
from blurbench.report.site_files import Made
from blurbench.types import F32, F64, U8
from blurbench.video.flow import load

if TYPE_CHECKING:
    import pandas as pd

WIDEST = 640
"""Pictures wider than this are reduced to it."""
ERROR_TOP = 64
"""Absolute difference in levels of 255 that is shown as the brightest error."""
FLOW = "dis-medium"
_MOST = 16000  # pixels a side; WebP ends at 16383
_QUALITY = 90


@dataclass(frozen=True)
class Pick:
    """A sample and why it is shown."""

    sample: str
    why: str


def picks(tables: Mapping[str, pd.DataFrame], column: str, better: Better) -> list[Pick]:
    """The best, median and worst sample of a column: by the mean over runs of each sample's value.

    Runs without any value in the column do not count, nor samples that another run lacks.
    tables: the scores of each run, see `blurbench.run.record.scores`. The median is the lower of two. Equal values are in order of their
    ids. Fewer samples than three are shown once each; none where no sample has a value in all runs.
    """
    import pandas as pd

    columns = [table.set_index("sample")[column].astype(float) for table in tables.values() if column in table]
    if not columns:
        return []
    means = pd.concat(columns, axis=1).dropna(axis=1, how="all").mean(axis=1, skipna=False).dropna().sort_index()
    order = means.sort_values(ascending=better == "lower", kind="stable").index.tolist()
    if not order:
        return []
    found: dict[str, str] = {}
    for place, why in ((0, "best"), (-1, "worst"), ((len(order) - 1) // 2, "median")):
        found.setdefault(str(order[place]), why)
    return [Pick(sample, why) for sample, why in found.items()]


def strip(frames: U8, columns: int | None = None) -> tuple[bytes, int]:
    """Frames (T, H, W, 3) uint8 RGB as one lossy WebP, row by row, and its number of columns: one, unless the strip would be too high.

    Raises BlurbenchError for pictures that WebP does not hold.
    """
    count, height, _, _ = frames.shape
    columns = columns or -(-count * height // _MOST)
    rows = -(-count // columns)
    blank = np.zeros((rows * columns - count, *frames.shape[1:]), np.uint8)
    grid = np.concatenate([frames, blank]).reshape(rows, columns, *frames.shape[1:])
    picture = grid.swapaxes(1, 2).reshape(rows * height, -1, 3)
    return encoded(picture), columns


def encoded(picture: U8, suffix: str = ".webp") -> bytes:
    """A picture (H, W, 3) uint8 RGB as the bytes of a file. Raises BlurbenchError for sizes that the format does not hold."""
    options = [cv2.IMWRITE_WEBP_QUALITY, _QUALITY] if suffix == ".webp" else []
    try:
        done, data = cv2.imencode(suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    except cv2.error:
        done = False
    if not done:
        height, width = picture.shape[:2]
        raise BlurbenchError(f"a picture of {width}x{height} cannot be written as {suffix}; expected at most 16383 a side")
    return data.tobytes()


def shrunk(frames: U8) -> U8:
    """Frames (T, H, W, 3) no wider than `WIDEST`, in their proportions."""
    width = min(WIDEST, frames.shape[2])
    return frames if width == frames.shape[2] else np.stack([resized(frame, width) for frame in frames])


def truth(blurry: U8, sharp: U8) -> Made:
    """Of a sample: `blurry`, `pictures` (the strip), and with several frames `flow`.

    Facts: frames, columns, width and height of a picture, whether it was reduced, and `flow_top`, the length in pixels that all flow
    pictures of the sample show in full colour: the 99th percentile of the true one, at least 1.
    """
    small = shrunk(sharp)
    data, columns = strip(small)
    files = {"blurry": (".webp", encoded(shrunk(blurry[None])[0])), "pictures": (".webp", data)}
    facts = {"frames": len(sharp), "columns": columns, "width": small.shape[2], "height": small.shape[1], "flow_top": 0.0}
    facts["reduced"] = small.shape != sharp.shape
    if len(sharp) > 1:
        flow = load(FLOW).between(sharp[0], sharp[-1])
        facts["flow_top"] = max(1.0, float(np.percentile(np.hypot(flow[..., 0], flow[..., 1]), 99)))
        files["flow"] = (".webp", encoded(shrunk(flow_colours(flow, facts["flow_top"])[None])[0]))
    return Made(files, facts)


def prediction(frames: U8, sharp: U8, flow_top: float) -> Made:
    """Of a clip in the direction in which it was scored: `pictures`; `error`, and `turned`, the error of the clip the other way round,
    each with a picture a frame; and `flow` where there are several frames.

    frames: (P, H, W, 3) uint8, sharp (T, H, W, 3) uint8. A single frame is held against the middle of an odd number of true frames, and
    the middle of several against a single true frame; there is no error where frames do not match otherwise.
    """
    small = shrunk(frames)
    data, columns = strip(small)
    files = {"pictures": (".webp", data)}
    pairs = _paired(frames, sharp)
    if pairs:
        files["error"] = (".webp", strip(shrunk(error_map(*pairs)))[0])
        if len(pairs[0]) > 1:
            files["turned"] = (".webp", strip(shrunk(error_map(pairs[0][::-1], pairs[1])))[0])
    if len(frames) > 1:
        flow = load(FLOW).between(frames[0], frames[-1])
        files["flow"] = (".webp", encoded(shrunk(flow_colours(flow, flow_top)[None])[0]))
    return Made(files, {"frames": len(frames), "columns": columns, "errors": len(pairs[0]) if pairs else 0})


def error_map(frames: U8, targets: U8) -> U8:
    """Mean over channels of the absolute difference of two clips (T, H, W, 3) uint8, 0 to `ERROR_TOP` levels, in colours (viridis)."""
    difference = cv2.absdiff(frames.reshape(-1, *frames.shape[2:]), targets.reshape(-1, *targets.shape[2:])).mean(axis=-1)
    codes = np.clip(np.rint(difference * (255 / ERROR_TOP)), 0, 255).astype(np.uint8)
    coloured: U8 = np.asarray(cv2.applyColorMap(codes, cv2.COLORMAP_VIRIDIS), np.uint8)[..., ::-1]
    return coloured.reshape(frames.shape)


def error_key(width: int = 192, height: int = 24) -> U8:
    """The colours of `error_map`, from 0 at the left to `ERROR_TOP` at the right."""
    levels = np.rint(np.linspace(0, ERROR_TOP, width)).astype(np.uint8)
    grey = np.broadcast_to(levels[None, None, :, None], (1, height, width, 3))
    key: U8 = error_map(np.ascontiguousarray(grey), np.zeros((1, height, width, 3), np.uint8))[0]
    return key


def flow_colours(flow: F32 | F64, top: float) -> U8:
    """A field (H, W, 2) of displacements (x right, y down) as colours: the hue is the direction, red to the right and cyan to the left,
    the saturation the length, full from `top` pixels on; white is still.
    """
    x, y = flow[..., 0].astype(np.float32), flow[..., 1].astype(np.float32)
    length, angle = cv2.cartToPolar(x, -y, angleInDegrees=True)
    colour = np.stack([angle, np.minimum(length / np.float32(top), 1), np.ones_like(length)], axis=-1)
    rgb = np.asarray(cv2.cvtColor(colour, cv2.COLOR_HSV2RGB), np.float32)
    codes: U8 = np.rint(rgb * 255).astype(np.uint8)
    return codes


def wheel(side: int = 96) -> U8:
    """The key of `flow_colours`: a disc on white whose rim is the full length."""
    axis = np.linspace(-1, 1, side)
    field = np.stack(np.meshgrid(axis, axis), axis=-1)
    picture = flow_colours(field, 1.0)
    picture[np.hypot(field[..., 0], field[..., 1]) > 1] = 255
    return picture


def _paired(frames: U8, sharp: U8) -> tuple[U8, U8] | None:
    """Frames and the true frames they are held against."""
    if frames.shape[1:] != sharp.shape[1:]:
        return None
    middle: Sequence[U8] = [clip[len(clip) // 2 : len(clip) // 2 + 1] if len(clip) % 2 else clip for clip in (frames, sharp)]
    if len(frames) != len(sharp) and 1 in (len(frames), len(sharp)):
        frames, sharp = middle[0], middle[1]
    return (frames, sharp) if len(frames) == len(sharp) else None
