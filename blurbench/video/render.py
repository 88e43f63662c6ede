"""Rendered footage: clips, at 240 fps or any other rate, of shaken cameras and moving objects, with the exact motion of every pixel.

It is the built-in source: no download, the same pixels for the same seed, and it is called "rendered" wherever it appears.
A clip is a background and one to three cut-outs with soft edges. Each is a textured plane that moves by a smooth similarity
(translation, rotation, zoom); the camera moves all of them, a cut-out moves by itself on top. Planes are sampled in linear light with
cubic splines, so that motion is exact to far below a pixel, and the frame is encoded with gamma 2.2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blurbench.types import F32, F64
from blurbench.video.photographs import Folder, Photographs
from blurbench.video.source import Frame
from blurbench.video.textures import surface
from blurbench.video.transfer import gamma

FPS = 240.0  # unless another rate is asked for; motion is stated in frames of this rate
TRANSFER = gamma(2.2)
VERSION = 3  # raise it whenever a pixel changes
_KEPT = 64  # frames whose owners are remembered, so that asking for their motion does not render them again
# Pixels an exposure, of camera and cut-outs. With it a copy of the blur scores about 28 dB on training clips: as 7-frame averages of real
# 240 fps footage do (27.7 dB and less), where slower motion would mostly ask a method to leave pictures alone.
_SPEEDS = (4, 20)
_EXPOSURE = 6  # frame intervals over which speeds below are stated: 25 ms, the exposure of the built-in recipes


@dataclass(frozen=True)
class Motion:
    """A smooth random walk of a similarity: sums of three sinusoids below 8 Hz for x, y (pixels), angle (radians) and log zoom."""

    amplitudes: F64  # (4, 3)
    frequencies: F64  # (4, 3) cycles a frame
    phases: F64  # (4, 3)

    @classmethod
    def random(cls, speed: float, turn: float, zoom: float, rng: np.random.Generator) -> Motion:
        """Root-mean-square rates: `speed` pixels, `turn` radians and `zoom` (relative) an exposure of 25 ms."""
        frequencies = rng.uniform(1.0, 8.0, (4, 3)) / FPS
        weights = rng.uniform(0.2, 1.0, (4, 3))
        direction = rng.normal(size=2)
        direction /= np.hypot(*direction)
        rates = np.array([speed * direction[0], speed * direction[1], turn, zoom]) / _EXPOSURE
        slopes = weights * 2 * np.pi * frequencies / np.sqrt(2)
        amplitudes = weights * (rates / np.sqrt((slopes**2).sum(axis=1)))[:, None]
        return cls(amplitudes, frequencies, rng.uniform(0, 2 * np.pi, (4, 3)))

    def at(self, frame: float) -> F64:
        """The 3x3 matrix that moves the plane's points, given relative to the pivot, to where they are at that frame."""
        x, y, angle, zoom = (self.amplitudes * np.sin(2 * np.pi * self.frequencies * frame + self.phases)).sum(axis=1)
        scale = np.exp(zoom)
        cos, sin = scale * np.cos(angle), scale * np.sin(angle)
        return np.array([(cos, -sin, x), (sin, cos, y), (0, 0, 1)])


@dataclass(frozen=True)
class Plane:
    """A textured plane. coefficients: (3 or 4, h, w) splines of linear light (and opacity); `origin`: its middle in the frame."""

    coefficients: F64
    origin: tuple[float, float]
    motion: Motion | None

    def to_frame(self, camera: F64, frame: float, centre: tuple[float, float]) -> F64:
        """The 3x3 matrix from texture pixels (x, y) to frame pixels (x, y) at that frame."""
        height, width = self.coefficients.shape[1:]
        place = _shift(-(width - 1) / 2, -(height - 1) / 2)
        own = self.motion.at(frame) if self.motion else np.eye(3)
        in_world = _shift(self.origin[0] - centre[0], self.origin[1] - centre[1]) @ own @ place
        return np.asarray(_shift(*centre) @ camera @ in_world)


class RenderedSource:
    """One rendered clip; a `Source` with exact motion."""

    def __init__(
        self,
        split: str,
        number: int,
        frames: int,
        size: tuple[int, int] = (192, 320),
        seed: int = 0,
        fps: float = FPS,
        folder: Folder | None = None,
    ) -> None:
        """`split` and `folder` decide which photographs may appear; `number` and `seed` everything else but the rate.

        size: (height, width).
        """
        self.id = f"rendered-{split}-s{seed}-{number:04d}"
        self.fps = fps
        self.size = size
        self.length = frames
        self.photographs = Photographs(split, folder)
        self._key = (split, number, seed)
        self._scene: tuple[Motion, list[Plane]] | None = None
        self._owners: dict[int, NDArray[np.int8]] = {}

    def facts(self) -> dict[str, Any]:
        """Provenance, JSON-ready."""
        split, number, seed = self._key
        folder = self.photographs.folder
        return {
            "kind": "rendered",
            "renderer": VERSION,
            "split": split,
            "number": number,
            "seed": seed,
            "fps": self.fps,
            "size": list(self.size),
            "frames": self.length,
            "transfer": TRANSFER.name,
            **({"photographs": folder.facts()} if folder else {}),
        }

    def fingerprint(self) -> str:
        """SHA-256 of what determines the pixels: renderer version, clip, size, frame count, rate, photographs beside the bundled ones."""
        own = (self.photographs.folder.sha256,) if self.photographs.folder else ()
        return hashlib.sha256(repr(("rendered", VERSION, self._key, self.size, self.length, self.fps, *own)).encode()).hexdigest()

    def frames(self) -> Iterator[Frame]:
        """Render the frames in order."""
        for index in range(self.length):
            colour, self._owners[index] = self._render(index)
            self._owners.pop(index - _KEPT, None)
            yield Frame(np.floor(TRANSFER.to_encoded(colour) * 255 + 0.5).astype(np.uint8), index / self.fps)

    def motion(self, start: int, end: int) -> F32:
        """(H, W, 2) float32: where each pixel of frame `start` is in frame `end`, as (x right, y down) pixels of displacement.

        A pixel belongs to the topmost plane that covers at least half of it.
        """
        camera, planes = self._build()
        owner = self._owners[start] if start in self._owners else self._render(start)[1]
        before, after = start * FPS / self.fps, end * FPS / self.fps
        centre = self._centre
        rows, columns = np.mgrid[: self.size[0], : self.size[1]].astype(np.float64)
        field = np.zeros((*self.size, 2), np.float32)
        for index, plane in enumerate(planes):
            there = plane.to_frame(camera.at(after), after, centre)
            back = np.linalg.inv(plane.to_frame(camera.at(before), before, centre))
            move = there @ back - np.eye(3)
            mine = owner == index
            x, y = columns[mine], rows[mine]
            field[mine, 0] = move[0, 0] * x + move[0, 1] * y + move[0, 2]
            field[mine, 1] = move[1, 0] * x + move[1, 1] * y + move[1, 2]
        return field

    @property
    def _centre(self) -> tuple[float, float]:
        return (self.size[1] - 1) / 2, (self.size[0] - 1) / 2

    def _build(self) -> tuple[Motion, list[Plane]]:
        """The scene; made at first use, so that a list of many sources costs nothing."""
        if self._scene is None:
            split, number, seed = self._key
            rng = np.random.default_rng([seed, number, *split.encode()])
            self._scene = _scene(self.photographs, self.size, rng)
        return self._scene

    def _render(self, index: int) -> tuple[F64, NDArray[np.int8]]:
        """(H, W, 3) float64 linear light in [0, 1], and (H, W) the number of the plane that each pixel belongs to."""
        camera, planes = self._build()
        moment = index * FPS / self.fps
        view = camera.at(moment)
        owner = np.zeros(self.size, np.int8)
        frame = np.zeros((*self.size, 3))
        for number, plane in enumerate(planes):
            sampled = _sample(plane, plane.to_frame(view, moment, self._centre), self.size)
            if number == 0:
                frame = sampled
                continue
            alpha = sampled[..., 3:]
            frame = sampled[..., :3] * alpha + frame * (1 - alpha)
            owner[alpha[..., 0] >= 0.5] = number
        return np.clip(frame, 0, 1), owner


def _scene(photographs: Photographs, size: tuple[int, int], rng: np.random.Generator) -> tuple[Motion, list[Plane]]:
    """Background, cut-outs and camera of one clip."""
    height, width = size
    margin = max(size) // 5
    camera = Motion.random(speed=_log_uniform(*_SPEEDS, rng), turn=rng.uniform(0, 0.012), zoom=rng.uniform(0, 0.01), rng=rng)
    background = surface(photographs, (height + 2 * margin, width + 2 * margin), rng)
    planes = [Plane(_spline(background), ((width - 1) / 2, (height - 1) / 2), None)]
    for _ in range(int(rng.integers(1, 4))):
        side = (int(rng.uniform(0.3, 0.6) * height), int(rng.uniform(0.2, 0.45) * width))
        texture = np.dstack([surface(photographs, side, rng), _cut_out(side, rng)])
        origin = (rng.uniform(0.1, 0.9) * width, rng.uniform(0.15, 0.85) * height)
        own = Motion.random(speed=_log_uniform(*_SPEEDS, rng), turn=rng.uniform(0, 0.05), zoom=rng.uniform(0, 0.02), rng=rng)
        planes.append(Plane(_spline(texture), origin, own))
    return camera, planes


def _cut_out(size: tuple[int, int], rng: np.random.Generator) -> F32:
    """Opacity of a cut-out (H, W) in [0, 1]: a rounded star of random harmonics whose edge is about two pixels wide."""
    rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float64)
    y, x = (rows - (size[0] - 1) / 2) / (size[0] / 2), (columns - (size[1] - 1) / 2) / (size[1] / 2)
    angle = np.arctan2(y, x)
    reach = np.full(size, 0.72)
    for harmonic in range(2, 6):
        reach += rng.uniform(-0.2, 0.2) / harmonic * np.cos(harmonic * angle + rng.uniform(0, 2 * np.pi))
    distance = (reach - np.hypot(x, y)) * min(size) / 2
    return np.asarray(np.clip(distance / 2 + 0.5, 0, 1), np.float32)


def _spline(image: F32) -> F64:
    """Cubic spline coefficients (channels, H, W) of an image, mirrored at its border."""
    from scipy.ndimage import spline_filter

    return np.stack([spline_filter(image[..., c], order=3, mode="mirror") for c in range(image.shape[2])])


def _sample(plane: Plane, to_frame: F64, size: tuple[int, int]) -> F64:
    """The plane seen through the frame, (H, W, channels) float64. The background goes on in mirror images, a cut-out ends."""
    from scipy.ndimage import affine_transform

    inverse = np.linalg.inv(to_frame)
    matrix = inverse[[1, 0]][:, [1, 0]]  # scipy counts rows first
    offset = inverse[[1, 0], 2]
    channels = len(plane.coefficients)
    out = np.zeros((*size, channels))
    window = (slice(None), slice(None)) if channels == 3 else _visible(plane, to_frame, size)
    rows, columns = window[0].indices(size[0]), window[1].indices(size[1])
    shift = offset + matrix @ (rows[0], columns[0])
    shape = (len(range(*rows)), len(range(*columns)))
    if not all(shape):
        return out
    for channel, coefficients in enumerate(plane.coefficients):
        mode = "mirror" if channel < 3 else "constant"
        out[(*window, channel)] = affine_transform(coefficients, matrix, shift, shape, order=3, mode=mode, prefilter=False)
    if channels == 4:
        np.clip(out[..., 3], 0, 1, out=out[..., 3])
    return out


def _visible(plane: Plane, to_frame: F64, size: tuple[int, int]) -> tuple[slice, slice]:
    """The rows and columns of the frame that a cut-out can touch."""
    height, width = plane.coefficients.shape[1:]
    corners = to_frame @ np.array([(0, 0, 1), (width, 0, 1), (0, height, 1), (width, height, 1)]).T
    low = np.floor(corners[:2].min(axis=1)).astype(int) - 1
    high = np.ceil(corners[:2].max(axis=1)).astype(int) + 2
    x0, x1 = np.clip((low[0], high[0]), 0, size[1])
    y0, y1 = np.clip((low[1], high[1]), 0, size[0])
    return slice(int(y0), int(y1)), slice(int(x0), int(x1))


def _shift(x: float, y: float) -> F64:
    return np.array([(1, 0, x), (0, 1, y), (0, 0, 1)], np.float64)


def _log_uniform(low: float, high: float, rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
