"""The photographs that rendered footage is painted with: those bundled in scikit-image, and for training those of a folder beside them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np

from blurbench.errors import SourceError
from blurbench.types import U8
from blurbench.video.discover import pictures_below
from blurbench.video.images import read_rgb

# No photograph stands in both lists: test clips show what no training clip shows.
BUNDLED = {
    "train": (
        *("astronaut", "coffee", "motorcycle_left", "motorcycle_right", "gravel", "grass", "camera", "hubble_deep_field", "coins"),
        *("clock_motion", "moon", "page", "retina", "cell"),
    ),
    "test": ("chelsea", "rocket", "brick", "ihc"),
}
_SMALLEST = 32  # pixels, of height and width
_OPEN = 16  # files of a folder that are kept in memory


@dataclass(frozen=True)
class Folder:
    """Photographs of a folder, in order. sha256: of all their files; the order counts, names do not."""

    name: str
    files: tuple[Path, ...]
    sha256: str

    @classmethod
    def open(cls, path: Path) -> Self:
        """All 8-bit RGB images below a folder, in natural order.

        Raises SourceError where there is none, and for a file that cannot be read or is no such image of at least 32 x 32 pixels.
        """
        if not path.is_dir():
            raise SourceError(f"{path} is {'no folder' if path.exists() else 'missing'}, expected a folder of photographs; check the path")
        files = tuple(pictures_below(path))
        if not files:
            raise SourceError(f"{path} holds no photograph, expected .jpg, .png or other images; give another folder")
        digest = hashlib.sha256()
        for file in files:
            height, width, _ = read_rgb(file).shape
            if min(height, width) < _SMALLEST:
                raise SourceError(f"{file} is {width}x{height}, expected at least {_SMALLEST}x{_SMALLEST}; remove it")
            digest.update(hashlib.sha256(file.read_bytes()).digest())
        return cls(path.resolve().name, files, digest.hexdigest())

    def facts(self) -> dict[str, Any]:
        """Provenance, JSON-ready."""
        return {"folder": self.name, "files": len(self.files), "sha256": self.sha256}


@dataclass(frozen=True)
class Photographs:
    """What may appear in the clips of a split: the bundled photographs of that split, and those of a folder, each as likely."""

    split: str
    folder: Folder | None = None

    def draw(self, rng: np.random.Generator) -> U8:
        """One of them, (H, W, 3) uint8 RGB."""
        names = BUNDLED[self.split]
        files = self.folder.files if self.folder else ()
        place = int(rng.integers(len(names) + len(files)))
        return bundled(names[place]) if place < len(names) else _read(files[place - len(names)])


@cache
def bundled(name: str) -> U8:
    """A photograph of scikit-image, (H, W, 3) uint8 RGB; grey ones are repeated over the channels."""
    from skimage import data, io

    folder = data.__path__[0]
    suffix = "jpg" if name in ("rocket", "hubble_deep_field", "retina") else "png"
    image = np.asarray(io.imread(f"{folder}/{name}.{suffix}"))
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    return np.ascontiguousarray(image[..., :3])


_read = lru_cache(_OPEN)(read_rgb)
