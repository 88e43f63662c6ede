"""Taking away a blur that is known: what `classical` and `gong2017` share. Pictures are (H, W, 3) float32, [0, 1], as encoded.

A `Blur` is a linear operator and its transpose. Outside a blurry picture nothing is known. So the sharp picture is as much larger as
the kernel reaches, and what lies out there is estimated with the rest (Bertero & Boccacci, A&A 437, 2005): no dark or ringing borders.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import fft, sparse

from blurbench.synth.kernels import taps
from blurbench.types import F32, F64

Spectrum = NDArray[np.complex64]
Line = tuple[NDArray[np.int64], F32]
"""A line as (row, column) of its taps from its middle, (n, 2), and their weights, (n,)."""
DIFFERENCES: tuple[F64, F64] = np.array([[1.0, -1.0, 0.0]]), np.array([[1.0], [-1.0], [0.0]])
"""A pixel's difference to its left and to its upper neighbour, as kernels."""
_LEAST = np.float32(1e-6)
"""What is divided by is at least this, in units of the pictures."""


class Blur(Protocol):
    """A blur of pictures of one size, without negative weights."""

    def start(self, blurry: F32) -> F32:
        """The blurry picture, continued to the size of the sharp one."""

    def forward(self, sharp: F32) -> F32:
        """Sharp to blurry."""

    def transpose(self, blurry: F32) -> F32:
        """The transposed operator: blurry's size to sharp's."""

    def crop(self, sharp: F32) -> F32:
        """The part of the sharp picture that the blurry one shows."""


class _Framed:
    """The frame around a blurry picture, (rows, columns) of `margins` on each side, that makes it as large as the sharp one, `size`."""

    def __init__(self, blurry_size: tuple[int, int], margins: tuple[int, int]) -> None:
        self.margins = margins
        self.size = (blurry_size[0] + 2 * margins[0], blurry_size[1] + 2 * margins[1])

    def start(self, blurry: F32) -> F32:
        down, across = self.margins
        return np.pad(blurry, [(down, down), (across, across), (0, 0)], mode="edge")

    def crop(self, sharp: F32) -> F32:
        down, across = self.margins
        return np.ascontiguousarray(sharp[down : self.size[0] - down, across : self.size[1] - across])


class UniformBlur(_Framed):
    """One kernel (K, L), odd sizes, for all of a picture (H, W): y(p) = sum_q k(q) x(p - q). Sharp: (H + K - 1, W + L - 1)."""

    def __init__(self, kernel: F64, size: tuple[int, int]) -> None:
        super().__init__(size, (kernel.shape[0] // 2, kernel.shape[1] // 2))
        # Of a circular convolution of this size, the pixels that wrap around are those outside the blurry picture.
        self._fast = (fft.next_fast_len(self.size[0], real=True), fft.next_fast_len(self.size[1], real=True))
        self._spectrum = fft.rfft2(centred(kernel, self._fast)).astype(np.complex64)[..., None]

    def forward(self, sharp: F32) -> F32:
        return self.crop(self._filter(sharp, self._spectrum))

    def transpose(self, blurry: F32) -> F32:
        down, across = self.margins
        return self._filter(np.pad(blurry, [(down, down), (across, across), (0, 0)]), self._spectrum.conj())

    def _filter(self, image: F32, spectrum: Spectrum) -> F32:
        changed: F32 = fft.irfft2(fft.rfft2(image, self._fast, axes=(0, 1)) * spectrum, self._fast, axes=(0, 1))
        return changed[: self.size[0], : self.size[1]]


class LinearBlur(_Framed):
    """A line of its own for each pixel: motion (H, W, 2), (u, v) in pixels over the exposure, v upwards. Its kernels are
    `blurbench.synth.kernels.kernel`. The operator is a sparse matrix of 8 bytes a tap (about 3 taps a pixel of length).
    """

    def __init__(self, motion: F64) -> None:
        height, width = motion.shape[:2]
        motions, which = np.unique(motion.reshape(-1, 2), axis=0, return_inverse=True)
        lines = [_line(float(u), float(v)) for u, v in motions]
        margin = max(int(np.abs(offsets).max()) for offsets, _ in lines)
        super().__init__((height, width), (margin, margin))
        self._matrix = self._filled(lines, which.ravel())  # some versions of NumPy return a column

    def _filled(self, lines: list[Line], which: NDArray[np.int64]) -> sparse.csr_array:
        """The matrix (H W, pixels of the sharp picture) of the lines, of which pixel p has the `which[p]`-th."""
        # A row for each pixel, from starts[pixel] on, filled in place: all pixels of one line at a time.
        width, margin = self.size[1] - 2 * self.margins[1], self.margins[0]
        counts = np.array([len(weights) for _, weights in lines])[which]
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32 if counts.sum() < 2**31 else np.int64)
        columns, shares = np.empty(starts[-1], starts.dtype), np.empty(starts[-1], np.float32)
        order, ends = np.argsort(which, kind="stable"), np.cumsum(np.bincount(which))
        for (offsets, weights), pixels in zip(lines, np.split(order, ends[:-1]), strict=True):
            places = starts[pixels][:, None] + np.arange(len(weights), dtype=starts.dtype)
            rows, across = pixels // width + margin, pixels % width + margin
            columns[places] = (rows * self.size[1] + across)[:, None] + (offsets[:, 0] * self.size[1] + offsets[:, 1])
            shares[places] = weights
        return sparse.csr_array((shares, columns, starts), shape=(len(which), self.size[0] * self.size[1]))

    def forward(self, sharp: F32) -> F32:
        height, width = (size - 2 * margin for size, margin in zip(self.size, self.margins, strict=True))
        blurry: F32 = (self._matrix @ sharp.reshape(-1, sharp.shape[2])).reshape(height, width, -1)
        return blurry

    def transpose(self, blurry: F32) -> F32:
        sharp: F32 = (self._matrix.T @ blurry.reshape(-1, blurry.shape[2])).reshape(*self.size, -1)
        return sharp


def richardson_lucy(blurry: F32, blur: Blur, iterations: int) -> F32:
    """(H, W, 3) to (H, W, 3), not below 0: x <- x * A'(y / Ax) / A'1 (Richardson 1972, Lucy 1974), begun with the blurry picture."""
    sharp = np.maximum(blur.start(blurry), _LEAST)
    coverage = blur.transpose(np.ones_like(blurry))
    # Far outside, where less than a thousandth of the light of a pixel arrives, nothing can be learned.
    seen = coverage > 1e-3
    coverage = np.where(seen, coverage, 1)
    for _ in range(iterations):
        ratio = np.asarray(blurry / np.maximum(blur.forward(sharp), _LEAST), np.float32)
        sharp = np.where(seen, sharp * np.maximum(blur.transpose(ratio), 0) / coverage, sharp)
    return blur.crop(sharp)


class _Circular:
    """A blurry picture continued around by `taper`, so that blur is a product of spectra; `learn` corrects the continuation."""

    def __init__(self, blurry: F32, kernel: F64) -> None:
        self.picture, self.inner = taper(blurry, kernel)
        self.size = self.picture.shape[:2]
        self.kernel = self._of(kernel)
        self.gradients = [self._of(difference) for difference in DIFFERENCES]
        self.power = np.abs(self.kernel) ** 2
        self.roughness = sum(np.abs(gradient) ** 2 for gradient in self.gradients)

    def _of(self, kernel: F64) -> Spectrum:
        """The spectrum of a kernel of odd sizes."""
        spectrum: Spectrum = fft.rfft2(centred(kernel, self.size)).astype(np.complex64)
        return spectrum[..., None]

    def spectrum(self, image: F32) -> Spectrum:
        """Of a picture of the size continued to."""
        spectrum: Spectrum = fft.rfft2(image, axes=(0, 1))
        return spectrum

    def image(self, spectrum: Spectrum) -> F32:
        """The picture of a spectrum."""
        image: F32 = fft.irfft2(spectrum, self.size, axes=(0, 1))
        return image

    def learn(self, sharp: Spectrum) -> None:
        """Outside the blurry picture stands what the sharp one gives there when it is blurred."""
        shown = self.picture[self.inner].copy()
        self.picture = self.image(self.kernel * sharp)
        self.picture[self.inner] = shown

    def shown(self, sharp: Spectrum) -> F32:
        """The part (H, W, 3) that the blurry picture shows."""
        return np.ascontiguousarray(self.image(sharp)[self.inner])


def wiener(blurry: F32, kernel: F64, balance: float, rounds: int = 10) -> F32:
    """(H, W, 3) to (H, W, 3): X = K* Y / (|K|^2 + balance |D|^2), D the differences between neighbours: noise over signal is taken to rise
    with frequency as natural pictures fall. Each round also corrects what lies outside the picture.
    """
    frame = _Circular(blurry, kernel)
    sharp = frame.spectrum(frame.picture)
    for number in range(rounds):
        sharp = frame.kernel.conj() * frame.spectrum(frame.picture) / (frame.power + balance * frame.roughness)
        if number < rounds - 1:
            frame.learn(sharp)
    return frame.shown(sharp)


def sparse_gradients(blurry: F32, kernel: F64, weight: float, exponent: float = 0.8) -> F32:
    """Minimise |k * x - y|^2 + weight sum |grad x|^exponent by half-quadratic splitting (Krishnan & Fergus, NIPS 2009); (H, W, 3).

    Gradients are split off and shrunk, with a coupling that grows from 1 to 256; each step for x is exact in the Fourier domain.
    """
    frame = _Circular(blurry, kernel)
    sharp, coupling = frame.spectrum(frame.picture), 1.0
    while coupling <= 256:
        ratio = np.float32(weight / 2 * coupling)
        pulled = sum(g.conj() * frame.spectrum(shrink(frame.image(g * sharp), coupling, exponent)) for g in frame.gradients)
        for _ in range(2):
            fitted = frame.kernel.conj() * frame.spectrum(frame.picture) + ratio * pulled
            sharp = fitted / (frame.power + ratio * frame.roughness)
            frame.learn(sharp)
        coupling *= 2 * np.sqrt(2)
    return frame.shown(sharp)


def shrink(gradient: F32, coupling: float, exponent: float) -> F32:
    """The w that minimises |w|^exponent + coupling / 2 (w - gradient)^2, exponent in (0, 1]: by Newton's steps, or 0 where that is less."""
    target = np.abs(gradient)
    size = target.copy()
    for _ in range(4):
        safe = np.maximum(size, 1e-6)
        slope = exponent * safe ** (exponent - 1) + coupling * (safe - target)
        curve = exponent * (exponent - 1) * safe ** (exponent - 2) + coupling
        size = np.clip(safe - slope / np.where(curve > 1e-6, curve, np.inf), 0, target)
    better = size**exponent + coupling / 2 * (size - target) ** 2 < coupling / 2 * target**2
    return np.asarray(np.where(better, size, 0) * np.sign(gradient), np.float32)


def taper(blurry: F32, kernel: F64, rounds: int = 3) -> tuple[F32, tuple[slice, slice]]:
    """The picture, continued so that its opposite borders meet smoothly, and where it lies therein: for circular convolutions.

    Around the picture two kernels wide, borders are repeated, and then blurred circularly the more, the farther out.
    """
    height, width = blurry.shape[:2]
    margins = (2 * kernel.shape[0], 2 * kernel.shape[1])
    size = [fft.next_fast_len(n + 2 * m, real=True) for n, m in zip((height, width), margins, strict=True)]
    after = [s - n - m for s, n, m in zip(size, (height, width), margins, strict=True)]
    padded = np.pad(blurry, [(margins[0], after[0]), (margins[1], after[1]), (0, 0)], mode="edge")
    down, across = (_inside(s, m, s - m - a) for s, m, a in zip(size, margins, after, strict=True))
    weight = (down[:, None] * across[None])[..., None]
    spectrum = fft.rfft2(centred(kernel, (size[0], size[1])))[..., None]
    smooth = padded
    for _ in range(rounds):
        smooth = fft.irfft2(fft.rfft2(smooth, axes=(0, 1)) * spectrum, size, axes=(0, 1))
        padded = (weight * padded + (1 - weight) * smooth).astype(np.float32)
        smooth = padded
    return padded, (slice(margins[0], margins[0] + height), slice(margins[1], margins[1] + width))


def _inside(size: int, margin: int, inner: int) -> F32:
    """(size,): 1 over the picture, falling as a cosine to 0 at both ends."""
    place = np.arange(size)
    distance = np.maximum(0, np.maximum((margin - place) / max(1, margin), (place - margin - inner + 1) / max(1, size - margin - inner)))
    return (0.5 + 0.5 * np.cos(np.pi * np.minimum(distance, 1))).astype(np.float32)


def centred(kernel: F64, size: tuple[int, int]) -> F64:
    """A kernel of odd sizes in an array of `size`, its middle at (0, 0), the rest wrapped around."""
    rows, columns = kernel.shape
    large = np.zeros(size)
    large[np.ix_((np.arange(rows) - rows // 2) % size[0], (np.arange(columns) - columns // 2) % size[1])] = kernel
    return large


def _line(u: float, v: float) -> Line:
    found = np.array(taps(u, v))
    return found[:, :2].astype(np.int64), found[:, 2].astype(np.float32)
