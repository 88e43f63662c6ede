"""From sharp pictures to samples blurred by kernels: one source is one picture, one sample is one map of motion on it.

A sample has `blurry` and `sharp` (one target, in the middle of the exposure), both of the picture's whole size; `valid`, the box
(top, left, height, width) that the published data keep and that reading crops to; and the exact motion twice. `motion` (H, W, 2) float16
is the displacement over the whole exposure, x to the right, y *down*, in pixels. `kernel_motion` (H, W, 2) float16 is the label of the
published data, `uv_half`: y *up*, and both components negated where x is negative, since a line has no direction.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from blurbench.errors import SourceError
from blurbench.synth import kernels
from blurbench.synth.accumulate import Rounding
from blurbench.synth.framing import framed_size, reframe
from blurbench.synth.recipe import Recipe
from blurbench.types import F32, F64, U8
from blurbench.video.discover import Found, pictures_below, require_text, split_around, split_folders, split_named
from blurbench.video.images import IMAGE_SUFFIXES, folder_name, read_rgb
from blurbench.video.source import Frame, Source

_BYTES_A_PIXEL = 3 + 3 + 2 * 4  # blurry, sharp, two fields of two float16
_MEASURED = 1000  # pictures that an estimate opens at most


class PictureSource:
    """One 8-bit RGB picture as a source of one frame. A picture has no rate; `fps` is what the caller says."""

    length = 1

    def __init__(self, path: Path, name: str, fps: float) -> None:
        self.path = path
        self.id = name
        self.fps = fps

    @cached_property
    def size(self) -> tuple[int, int]:
        """(height, width). Raises SourceError."""
        height, width, _ = read_rgb(self.path).shape
        return height, width

    def facts(self) -> dict[str, Any]:
        """Provenance, JSON-ready."""
        return {"kind": "picture", "file": self.path.name, "size": list(self.size), "decoder": {"opencv": cv2.__version__}}

    def fingerprint(self) -> str:
        """SHA-256 (hex) of the file. Raises SourceError."""
        try:
            return hashlib.sha256(self.path.read_bytes()).hexdigest()
        except OSError as error:
            raise SourceError(f"{self.path} cannot be read: {error.strerror or error}; expected an image file") from error

    def frames(self) -> Iterator[Frame]:
        """The picture. Raises SourceError."""
        yield Frame(read_rgb(self.path), 0.0)


def find_pictures(path: Path, fps: float) -> list[Found]:
    """Every picture at a path, each a source of its own: a file, or a folder with all below it, perhaps in folders that stand for a split
    (`discover.split_named`), as the path itself may, or the folder in which it lies.

    A picture's id is its place in the split without the suffix, folders joined by `-`. Raises SourceError when there is none, when two
    would have one id, for pictures beside split folders, for names that are not UTF-8 and for links to nothing.
    """
    if not path.exists():
        raise SourceError(f"{path} is missing, expected a picture or a folder of pictures; check the path")
    splits = split_folders(path) if path.is_dir() else {}
    if splits and (outside := pictures_below(path, splits)):
        beside, first = outside[0].relative_to(path).as_posix(), next(iter(splits)).name
        raise SourceError(f"{path} holds {first}/ and beside it {beside}, expected all pictures in split folders; move it")
    found: list[Found] = []
    named: dict[tuple[str | None, str], Path] = {}
    for folder, split in splits.items() or [(path, split_named(folder_name(path)) or split_around(path))]:
        for file in [path] if path.is_file() else pictures_below(folder):
            name = file.stem if file == path else "-".join(file.relative_to(folder).with_suffix("").parts)
            require_text(file, name)
            if other := named.get((split, name)):
                raise SourceError(f"{other} and {file} would both be called {name!r}, expected one picture of a name; rename one")
            named[split, name] = file
            found.append(Found(PictureSource(file, name, fps), split))
    if not found:
        raise SourceError(f"{path} holds no picture, expected files with one of the suffixes {', '.join(IMAGE_SUFFIXES)}")
    return found


class KernelSamples:
    """The samples of one picture, the first frame of a source; iterate once. Afterwards `frames` is 1; nothing is `unused` or `left_out`.

    Map k of a picture depends on the recipe's seed, the picture's fingerprint and k alone.
    """

    def __init__(self, source: Source, recipe: Recipe, split: str, tick: Callable[[], None]) -> None:
        """`tick` is called when the picture is done. Raises RecipeError for a recipe without a number of maps for the split."""
        self.source = source
        self.recipe = recipe
        self.kernels = recipe.kernels
        self.samples = self.kernels.samples(split)
        self.frames = 0
        self.unused = 0
        self.left_out: Counter[str] = Counter()
        self._tick = tick

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """One dictionary of arrays a map, as a shard stores them. Raises SourceError for a picture too small for its blur."""
        sharp = np.asarray(reframe(next(iter(self.source.frames())).image, self.recipe.frame), np.uint8)
        self.frames = 1
        key = int(self.source.fingerprint()[:16], 16)
        for number in range(self.samples):
            rng = np.random.default_rng([self.recipe.seed, key, number])
            yield self._sample(sharp, self._motion(sharp.shape[:2], number, rng), rng)
        self._tick()

    def facts(self) -> dict[str, Any]:
        """Where motion comes from, JSON-ready."""
        return {"flow": "exact"}

    def _motion(self, size: tuple[int, ...], number: int, rng: np.random.Generator) -> F64:
        """(H, W, 2) or (2,), (u, v), v upwards."""
        if self.kernels.unblurred and number == self.samples - 1:
            return np.zeros(2)
        maxima = self.kernels.maxima()
        if self.kernels.variant == "per-pixel":
            return kernels.field((size[0], size[1]), maxima, rng)
        # One of `count` kernels: number n of the set is the same for every picture and every size of the set.
        return kernels.uniform_motion(maxima, np.random.default_rng([self.recipe.seed, int(rng.integers(self.kernels.count))]))

    def _sample(self, sharp: U8, motion: F64, rng: np.random.Generator) -> dict[str, Any]:
        height, width = sharp.shape[:2]
        motion = np.broadcast_to(motion, (height, width, 2))
        box = kernels.valid_box((height, width), motion)
        if min(box[2:]) < 1:
            across, up = np.abs(motion).max(axis=(0, 1))
            raise SourceError(
                f"{self.source.id} is {width}x{height}, its borders alone fill it when it is blurred by up to {across:g} pixels across and "
                f"{up:g} along; give larger pictures, or take a weaker kernels.strength"
            )
        light = kernels.blur(sharp.astype(np.float32), motion)
        if self.kernels.noise:
            light += rng.standard_normal(light.shape, np.float32) * np.float32(self.kernels.noise)
        return {
            "blurry": _codes(light, self.recipe.rounding),
            "sharp": sharp[None],
            "times": np.array([0.5]),
            "valid": np.array(box),
            "kernel_motion": kernels.half_plane(motion).astype(np.float16),
            "motion": (motion * [1, -1] + 0.0).astype(np.float16),
        }


def estimate(sources: list[tuple[Source, str]], recipe: Recipe) -> int:
    """Bytes of pixels before compression of sources with their splits; of very many, some are opened and stand for the others.

    Raises SourceError for one that cannot be read, RecipeError for a split without a number of maps.
    """
    step = -(-len(sources) // _MEASURED)
    counts = [recipe.kernels.samples(split) for _, split in sources]
    sizes = [framed_size(source.size, recipe.frame) for source, _ in sources[::step]]
    pixels = sum(height * width * count for (height, width), count in zip(sizes, counts[::step], strict=True))
    return round(pixels * _BYTES_A_PIXEL * sum(counts) / sum(counts[::step]))


def _codes(light: F32, rounding: Rounding) -> U8:
    """Grey levels (float, 0 to 255 and a little beyond) to 8-bit codes."""
    up = np.float32(0.5 if rounding == "half-up" else 0)
    return np.asarray(np.floor(np.clip(light, 0, 255) + up), np.uint8)
