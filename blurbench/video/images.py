"""Images on disk: 8-bit RGB read and written, and a folder of them, 8 or 16 bits, RGB or grey, as a source."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import mode
from typing import Any

import cv2
import numpy as np

from blurbench.errors import SourceError
from blurbench.types import U8
from blurbench.video.damage import damage
from blurbench.video.source import Frame

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # how such files begin
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


def read_rgb(path: Path) -> U8:
    """(H, W, 3) uint8 RGB of an image file; the orientation noted in a JPEG or TIFF is applied.

    Raises SourceError for a file that is missing, cut short, damaged as far as `damage` finds it or no image, and for an image that is not
    8-bit RGB.
    """
    image = _read(path)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise SourceError(f"{path} is {_kind(image)}, expected an 8-bit RGB image; convert it first")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def write_rgb(path: Path, image: U8) -> None:
    """Write (H, W, 3) uint8 RGB in the format of the suffix; the file appears whole or not at all.

    Raises SourceError for a suffix that is no image format and for a folder that cannot be written, ValueError for another shape or dtype.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"image is {image.dtype} of shape {image.shape}, expected uint8 of shape (H, W, 3)")
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        raise SourceError(f"{path} cannot be written: suffix {path.suffix!r}, expected one of {', '.join(IMAGE_SUFFIXES)}")
    done, data = cv2.imencode(path.suffix.lower(), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not done:
        raise SourceError(f"{path} cannot be written: OpenCV cannot encode {image.shape} as {path.suffix}; try .png")
    try:
        _write_atomically(path, data.tobytes())
    except OSError as error:
        raise SourceError(f"{path} cannot be written: {error.strerror or error}; expected a folder that can be written") from error


def natural_key(name: str) -> tuple[tuple[str, int], ...]:
    """Sort key that counts as people do: frame2 before frame10. Names that differ only in case or leading zeros tie."""
    parts = re.split(r"(\d+)", name.casefold())
    return tuple((text, int(number)) for text, number in zip(parts[::2], [*parts[1::2], "-1"], strict=True))


def image_files(folder: Path) -> list[Path]:
    """The images directly in a folder, in natural order of their stems; hidden files and files of other kinds are passed over.

    Raises SourceError when two of them tie, since their order would be a guess, and for a link to nothing.
    """
    found = [p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".") and _is_file(p)]
    paths = sorted(found, key=lambda p: (natural_key(p.stem), p.name))
    for one, two in pairwise(paths):
        if natural_key(one.stem) == natural_key(two.stem):
            raise SourceError(f"{folder} holds {one.name} and {two.name}, expected one image a frame number; remove or rename one of them")
    return paths


def _is_file(path: Path) -> bool:
    if path.is_file():
        return True
    if path.is_dir():
        return False
    raise SourceError(f"{path} is a link to nothing or no plain file, expected an image; copy the image there, or remove it")


class ImageFolderSource:
    """A folder of images of one size, depth and kind (RGB or grey), one image a frame, at a rate the caller states."""

    def __init__(self, folder: Path, fps: float = 240, keep_variable_rate: bool = False) -> None:
        """Look at the names and the first image. Raises SourceError, also for uneven steps between numbered names, as a missing frame
        leaves one; `keep_variable_rate`: take the images as if they came evenly, and record that their numbers do not.
        """
        if not folder.is_dir():
            raise SourceError(f"{folder} is not a folder, expected a folder of images")
        if not fps > 0:
            raise SourceError(f"{folder}: fps is {fps:g}, expected a rate above 0 frames a second")
        self.folder = folder
        self.id = folder_name(folder)
        self.fps = float(fps)
        self._paths = image_files(folder)
        if not self._paths:
            raise SourceError(f"{folder} holds no image, expected files with one of the suffixes {', '.join(IMAGE_SUFFIXES)}")
        self._uneven = _uneven(self._paths)
        if self._uneven and not keep_variable_rate:
            before, after, step = self._uneven
            raise SourceError(
                f"{folder}: {after.name} comes after {before.name}, expected a step of {step} from number to number, as a missing frame "
                "would shift all that follow; copy it again, number them without gaps, or pass --keep-variable-rate"
            )
        first = _read(self._paths[0])
        self._kind = _kind(first)
        if first.dtype not in (np.uint8, np.uint16) or (first.ndim == 3 and first.shape[2] != 3):
            raise SourceError(f"{self._paths[0]} is {self._kind}, expected RGB or grey of 8 or 16 bits; convert it first")
        self.size = (first.shape[0], first.shape[1])

    @property
    def length(self) -> int:
        """Number of images."""
        return len(self._paths)

    def facts(self) -> dict[str, Any]:
        """Provenance, JSON-ready."""
        return {
            "kind": "images",
            "folder": self.id,
            "first": self._paths[0].name,
            "last": self._paths[-1].name,
            "stored_as": self._kind,
            "suffixes": sorted({path.suffix.lower() for path in self._paths}),
            "decoded_frames": len(self._paths),
            "variable_rate": self._uneven is not None,
            "fps": self.fps,
            "fps_origin": "assumed",
            "size": list(self.size),
            "decoder": {"opencv": cv2.__version__},
        }

    def fingerprint(self) -> str:
        """SHA-256 (hex) over name and content of every image, in order."""
        digest = hashlib.sha256()
        for path in self._paths:
            content = hashlib.sha256(_bytes(path)).hexdigest()
            digest.update(f"{path.name}\0{content}\n".encode())
        return digest.hexdigest()

    def frames(self) -> Iterator[Frame]:
        """The images in natural order, frame n at n / fps seconds; grey is repeated over the channels. Raises SourceError naming one."""
        for index, path in enumerate(self._paths):
            image = _read(path)
            if (kind := _kind(image)) != self._kind:
                raise SourceError(f"{path} is {kind}, expected {self._kind} as {self._paths[0].name}; convert or remove it")
            if image.shape[:2] != self.size:
                expected = f"{_times(self.size)} (height x width) as {self._paths[0].name}"
                raise SourceError(f"{path} is {_times(image.shape)}, expected {expected}; resize or remove it")
            rgb = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB if image.ndim == 2 else cv2.COLOR_BGR2RGB)
            yield Frame(rgb, index / self.fps)  # type: ignore[arg-type]


def _uneven(paths: list[Path]) -> tuple[Path, Path, int] | None:
    """The first two neighbours whose step in number is not the usual one, and that; None where steps are equal or names hold no numbers.

    Of several numbers in names that are else alike, one with equal steps is enough: others may be a size or a rounded time.
    """
    keys = [natural_key(path.stem) for path in paths]
    rows = [[number for _, number in key[:-1]] for key in keys]
    if len(paths) < 2 or not all(rows):
        return None
    alike = len({tuple(text for text, _ in key) for key in keys}) == 1
    columns = [column for column in zip(*rows, strict=True) if len(set(column)) > 1] if alike else [[row[-1] for row in rows]]
    steps = [[after - before for before, after in pairwise(column)] for column in columns]
    if any(len(set(each)) == 1 and each[0] > 0 for each in steps):
        return None
    usual = max(mode(steps[-1]), 1)
    place = next(n for n, step in enumerate(steps[-1]) if step != usual)
    return paths[place], paths[place + 1], usual


def folder_name(folder: Path) -> str:
    """Name of a folder, also when it was given as `.` or `..`."""
    return folder.name if folder.name not in ("", "..") else folder.resolve().name


def _read(path: Path) -> np.ndarray[Any, Any]:
    """The image as it is stored, channels in OpenCV's order."""
    data = _bytes(path)
    found = damage(data)
    image = None if found else _decode(data)
    if image is None:
        told = f"{len(data)} bytes{found and f': {found}'}"
        raise SourceError(f"{path} is not a readable image ({told}), expected a whole PNG, JPEG, BMP or TIFF; copy it again")
    if data.startswith(_TIFF) and (pages := cv2.imcount(str(path), cv2.IMREAD_UNCHANGED)) > 1:
        raise SourceError(f"{path} holds {pages} pictures, expected one; save each as a file of its own")
    return image


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}; expected an image file") from error


def _decode(data: bytes) -> np.ndarray[Any, Any] | None:
    # IMREAD_UNCHANGED shows alpha, but turns only a TIFF upright: a PNG stays as it is stored, a JPEG has no alpha and is read without.
    jpeg = data.startswith(b"\xff\xd8")
    flags = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH if jpeg else cv2.IMREAD_UNCHANGED
    log = cv2.utils.logging
    level = log.setLogLevel(log.LOG_LEVEL_SILENT)  # what it says of a broken picture, the caller says in our words
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:  # an empty file
        return None
    finally:
        log.setLogLevel(level)


def _kind(image: np.ndarray[Any, Any]) -> str:
    channels = 1 if image.ndim == 2 else image.shape[2]
    name = {1: "grey", 3: "RGB", 4: "RGBA"}.get(channels, f"{channels}-channel")
    return f"{8 * image.dtype.itemsize}-bit {name}" + (" floating point" if image.dtype.kind == "f" else "")


def _times(shape: tuple[int, ...]) -> str:
    return f"{shape[0]}x{shape[1]}"


def _write_atomically(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
