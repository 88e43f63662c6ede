"""What rendered footage is painted with: photographs, and dead leaves.

The bundled photographs are few, and a network trained on a few photographs alone learns those photographs. So every second surface of
training clips is a dead-leaves image (Lee, Mumford & Huang, IJCV 2001): occluding shapes whose sizes follow r^-3, which gives them the
1/f^2 power spectrum and the edges of natural images. Half of the larger leaves are filled with a piece of a photograph, and edges are as
soft as a lens leaves them, from crisp to two pixels wide: a network that has seen crisp edges only takes softness for motion. Everything
is augmented in colour, contrast and channel order.
"""

from __future__ import annotations

import cv2
import numpy as np

from blurbench.types import F32, F64, U8
from blurbench.video.photographs import Photographs
from blurbench.video.transfer import SRGB

_DEAD_LEAVES_SHARE = {"train": 0.5, "test": 0.25}
_SMALLEST_PHOTOGRAPH = 12  # radius, in pixels of the double-size canvas, below which a leaf has one colour


def surface(photographs: Photographs, size: tuple[int, int], rng: np.random.Generator) -> F32:
    """A painted surface (H, W, 3) float32 in linear light, [0, 1]: a crop of one of the photographs, or dead leaves; augmented."""
    if rng.random() < _DEAD_LEAVES_SHARE[photographs.split]:
        image = dead_leaves(photographs, size, rng)
    else:
        image = _crop(photographs.draw(rng), size, rng)
    return augment(SRGB.to_linear(image.astype(np.float32) / 255).astype(np.float32), rng)


def dead_leaves(photographs: Photographs, size: tuple[int, int], rng: np.random.Generator) -> U8:
    """Occluding ellipses, boxes and polygons with r^-3 sizes, each with its own colour, shading, texture or photograph; (H, W, 3) uint8.

    Drawn at twice the size, softened by a lens of random sharpness and averaged down, so that edges are antialiased.
    """
    height, width = size[0] * 2, size[1] * 2
    canvas = np.empty((height, width, 3), np.float32)
    canvas[:] = _piece(photographs, (height, width), rng) if rng.random() < 0.5 else _colour(rng)
    shortest, longest = float(np.exp(rng.uniform(np.log(6), np.log(50)))), 0.35 * min(height, width)
    # As many leaves as cover the canvas twice if none were hidden: with r^-3, the mean square of r is 2 s^2 ln(l / s).
    cover = 2 * height * width / (2 * shortest**2 * np.log(longest / shortest) * 2)
    # Inverse of the cumulative distribution of r^-3 between the two radii; largest first, so that small leaves stay visible.
    uniform = rng.random(int(np.clip(cover, 20, 1500)))
    radii = np.sort(1 / np.sqrt(uniform / shortest**2 + (1 - uniform) / longest**2))[::-1]
    for radius in radii:
        _leaf(canvas, float(radius), photographs, rng)
    canvas += _grain((height, width), rng)[..., None] * rng.uniform(1, 14)
    canvas = np.asarray(cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.3, 4)), np.float32)
    level = canvas.mean()
    canvas = level + (canvas - level) * np.float32(rng.uniform(0.3, 1))
    small = cv2.resize(canvas, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(np.clip(small + 0.5, 0, 255), np.uint8)


def augment(linear: F32, rng: np.random.Generator) -> F32:
    """Flip, turn by half, permute channels, and change exposure, white balance, contrast and saturation of a linear image."""
    if rng.random() < 0.5:
        linear = linear[:, ::-1]
    if rng.random() < 0.25:
        linear = linear[::-1, ::-1]
    if rng.random() < 0.5:
        linear = linear[..., rng.permutation(3)]
    grey = linear.mean(axis=2, keepdims=True)
    image = grey + (linear - grey) * rng.uniform(0.5, 1.3)
    image = np.maximum(image, 0) ** rng.uniform(0.75, 1.3) * rng.uniform(0.6, 1.1) * rng.uniform(0.85, 1.1, 3)
    return np.ascontiguousarray(np.clip(image, 0, 1), np.float32)


def _crop(image: U8, size: tuple[int, int], rng: np.random.Generator) -> U8:
    """A random crop of that size, the photograph scaled between just fitting and its own size or a little above."""
    fit = max(size[0] / image.shape[0], size[1] / image.shape[1])
    scale = rng.uniform(fit, max(fit, 1.0) * 1.05)
    kernel = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    target = (max(size[1], round(image.shape[1] * scale)), max(size[0], round(image.shape[0] * scale)))
    scaled = cv2.resize(image, target, interpolation=kernel)
    top = int(rng.integers(scaled.shape[0] - size[0] + 1))
    left = int(rng.integers(scaled.shape[1] - size[1] + 1))
    return np.ascontiguousarray(scaled[top : top + size[0], left : left + size[1]])


def _leaf(canvas: F32, radius: float, photographs: Photographs, rng: np.random.Generator) -> None:
    """Draw one leaf in place: a shape with a piece of a photograph, or a colour with shading across it, stripes on every fifth and
    a random texture on every third that is large enough."""
    height, width = canvas.shape[:2]
    centre = rng.random(2) * (width, height)
    half = min(int(np.ceil(radius * 1.5)) + 2, max(height, width))
    x0, y0 = int(max(0, centre[0] - half)), int(max(0, centre[1] - half))
    x1, y1 = int(min(width, centre[0] + half)), int(min(height, centre[1] + half))
    if x1 <= x0 or y1 <= y0:
        return
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    outline = _outline(radius, rng) + centre - (x0, y0)
    cv2.fillPoly(mask, [np.round(outline).astype(np.int32)], 255)
    patch = canvas[y0:y1, x0:x1]
    inside = mask > 0
    if radius > _SMALLEST_PHOTOGRAPH and rng.random() < 0.5:
        patch[inside] = _piece(photographs, inside.shape, rng)[inside]
        return
    direction = rng.normal(size=2)
    direction /= np.hypot(*direction) + 1e-9
    ramp = (np.arange(x1 - x0)[None, :] * direction[0] + np.arange(y1 - y0)[:, None] * direction[1]) / radius
    shade = rng.uniform(-25, 25) * ramp
    if rng.random() < 0.2:
        shade = shade + rng.uniform(10, 40) * np.sign(np.sin(ramp * rng.uniform(4, 14)))
    if radius > _SMALLEST_PHOTOGRAPH and rng.random() < 0.3:
        shade = shade + rng.uniform(8, 40) * _grain(inside.shape, rng, rng.uniform(0, 1))
    patch[inside] = (_colour(rng) + shade[..., None].astype(np.float32))[inside]


def _piece(photographs: Photographs, size: tuple[int, int], rng: np.random.Generator) -> F32:
    """A piece of one of the photographs, (H, W, 3) float32, 0-255, magnified up to three times or until it fits; dimmed by chance."""
    image = photographs.draw(rng)
    zoom = max(rng.uniform(1, 3), size[0] / image.shape[0], size[1] / image.shape[1])
    height, width = (min(image.shape[axis], max(2, round(size[axis] / zoom))) for axis in (0, 1))
    top, left = int(rng.integers(image.shape[0] - height + 1)), int(rng.integers(image.shape[1] - width + 1))
    crop = image[top : top + height, left : left + width]
    scaled = cv2.resize(crop, (size[1], size[0]), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    return np.asarray(np.clip(scaled, 0, 255) * np.float32(rng.uniform(0.4, 1)), np.float32)


def _outline(radius: float, rng: np.random.Generator) -> F64:
    """(K, 2) points around the origin: an ellipse, a box, or a rough polygon."""
    kind = rng.integers(3)
    aspect, turn = rng.uniform(0.35, 1.0), rng.uniform(0, np.pi)
    if kind == 1:
        points = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], np.float64) * 0.8
    else:
        count = 32 if kind == 0 else int(rng.integers(3, 9))
        angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
        reach = np.ones(count) if kind == 0 else rng.uniform(0.6, 1.4, count)
        points = np.stack([np.cos(angle), np.sin(angle)], axis=1) * reach[:, None]
    points = points * (radius, radius * aspect)
    cos, sin = np.cos(turn), np.sin(turn)
    return np.asarray(points @ np.array([(cos, sin), (-sin, cos)]))


def _colour(rng: np.random.Generator) -> F32:
    """A colour as surfaces have them: brightness widely spread, channels strongly correlated; (3,) float32, 0-255."""
    return np.clip(rng.uniform(15, 240) + rng.normal(0, 28, 3), 0, 255).astype(np.float32)


def _grain(size: tuple[int, int], rng: np.random.Generator, slope: float = 1.0) -> F32:
    """Noise (H, W) of standard deviation 1 whose amplitudes fall as frequency to the power of -slope: 0 is sand, 1 clouds."""
    fy, fx = np.fft.fftfreq(size[0])[:, None], np.fft.rfftfreq(size[1])[None, :]
    frequency = np.hypot(fy, fx)
    frequency[0, 0] = 1
    spectrum = np.exp(2j * np.pi * rng.random(frequency.shape)) / frequency**slope
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum, s=size)
    return np.asarray(field / field.std(), np.float32)
