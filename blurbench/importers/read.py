"""The arrays of one released sample."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurbench.errors import SourceError
from blurbench.importers import unpickle
from blurbench.importers.scan import Files
from blurbench.synth.guidance import strangers
from blurbench.types import F32
from blurbench.video.images import read_rgb

Array = NDArray[Any]


def read_sample(root: Path, files: Files) -> dict[str, Array]:
    """`blurry` (H, W, 3) and `sharp` (T, H, W, 3) uint8, and what lies beside them. Raises SourceError naming the file."""
    if "pair" in files.roles:
        return _halves(root / files.roles["pair"][0])
    path = root / files.roles["blurry"][0]
    blurry = read_rgb(path)
    targets = []
    for name in files.roles["sharp"]:
        targets.append(read_rgb(root / name))
        if targets[-1].shape != blurry.shape:
            raise SourceError(f"{root / name} is {_size(targets[-1])}, expected {_size(blurry)} as its blurry picture {path.name}")
    sample = {"blurry": blurry, "sharp": np.stack(targets)}
    for role, reader in _EXTRAS.items():
        if role in files.roles:
            sample[role] = reader(root / files.roles[role][0], blurry.shape[:2], len(targets))
    return sample


def _halves(path: Path) -> dict[str, Array]:
    both = read_rgb(path)
    width = both.shape[1] // 2
    if both.shape[1] % 2:
        raise SourceError(f"{path} is {_size(both)}, expected an even width: the blurry picture on the left, the sharp one on the right")
    return {"blurry": both[:, :width].copy(), "sharp": both[None, :, width:].copy()}


def guidance(path: Path, size: tuple[int, int], targets: int) -> Array:
    """(H // 2, W // 2, 2) int8: four-quadrant motion guidance as released, x right, y down, at half resolution. Raises SourceError.

    The authors' script leaves no vector on an axis, so that a file with one was made by another rule.
    """
    array = _array(path)
    expected = (size[0] // 2, size[1] // 2, 2)
    if array.shape != expected or array.dtype.kind not in "if":
        raise SourceError(f"{path} is {array.dtype} of shape {array.shape}, expected numbers of shape {expected}")
    if (strange := strangers(array)).any():
        x, y = array[strange][0].tolist()
        raise SourceError(f"{path} holds the vector ({x:g}, {y:g}), expected (0, 0) or (±1, ±1) alone (without: --set guidance=none)")
    return array.astype(np.int8)


def flow_half(path: Path, size: tuple[int, int], targets: int) -> Array:
    """(T-1, h, w, 2) float16: released flow between targets, in the pixels of a picture of half the size. Raises SourceError.

    As the authors' script makes it: the negated flow from a target to the one before, on the grid of the later one.
    """
    array = _array(path)
    expected = (size[0] // 2, size[1] // 2, 2 * (targets - 1))
    if array.shape != expected or array.dtype.kind != "f" or not np.isfinite(array).all():
        raise SourceError(f"{path} is {array.dtype} of shape {array.shape}, expected finite floats of shape {expected}")
    return np.moveaxis(array.reshape(*expected[:2], targets - 1, 2), 2, 0).astype(np.float16)


def bbox(path: Path, size: tuple[int, int], targets: int) -> F32:
    """(4,) float32: x_min, y_min, x_max, y_max in pixels, from an annotation; a score behind them is dropped. Raises SourceError."""
    annotation = unpickle.load(path)
    try:
        box = np.asarray(annotation["bbox"], np.float32).reshape(-1)
    except (KeyError, TypeError, ValueError, IndexError):
        raise SourceError(f"{path} has no numbers under `bbox`, expected x_min, y_min, x_max, y_max and perhaps a score") from None
    if box.size not in (4, 5) or not np.isfinite(box).all() or box[0] >= box[2] or box[1] >= box[3]:
        raise SourceError(f"{path}: bbox is {box.tolist()}, expected x_min < x_max, y_min < y_max and perhaps a score")
    return box[:4]


_EXTRAS: dict[str, Callable[[Path, tuple[int, int], int], Array]] = {"guidance": guidance, "flow_half": flow_half, "bbox": bbox}


def _array(path: Path) -> Array:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise SourceError(f"{path} is no readable .npy file ({str(error).splitlines()[0]}); copy it again") from error
    return np.asarray(array)


def _size(image: Array) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
