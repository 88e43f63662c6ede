"""Deconvolution: operators against SciPy and a dense matrix, filters against scikit-image."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import convolve
from skimage import restoration

from blurbench.baselines import _deconvolution as deconvolution
from blurbench.synth import kernels
from tests.baselines.inputs import unit
from tests.baselines.photographs import KERNELS, blurred, photograph, psnr

# Operators.

SIZES = st.tuples(st.integers(1, 12), st.integers(1, 12))


def random_kernel(rows, columns, rng):
    kernel = rng.random((2 * rows + 1, 2 * columns + 1))
    return kernel / kernel.sum()


def random_motion(size, rng, largest=7):
    return np.round(rng.uniform(-largest, largest, (*size, 2)))


def operators(size, rng):
    """One of each kind, for pictures of this size."""
    yield deconvolution.UniformBlur(random_kernel(*rng.integers(0, 5, 2), rng), size)
    yield deconvolution.LinearBlur(random_motion(size, rng))


@settings(max_examples=60, deadline=None)
@given(SIZES, st.integers(0, 9999))
def test_transposed_is_the_adjoint(size, seed):
    """<A x, y> = <x, A' y> for pictures of any content."""
    rng = np.random.default_rng(seed)
    for blur in operators(size, rng):
        blurry = rng.normal(size=(*size, 3)).astype(np.float32)
        sharp = rng.normal(size=blur.start(blurry).shape).astype(np.float32)
        left = (blur.forward(sharp).astype(np.float64) * blurry).sum()
        right = (blur.transpose(blurry).astype(np.float64) * sharp).sum()
        assert left == pytest.approx(right, abs=1e-5 * float(np.linalg.norm(blurry) * np.linalg.norm(sharp)))


@settings(max_examples=30, deadline=None)
@given(SIZES, st.integers(0, 9999))
def test_blur_keeps_light_and_the_sharp_picture_surrounds_the_blurry_one(size, seed):
    rng = np.random.default_rng(seed)
    for blur in operators(size, rng):
        blurry = rng.random((*size, 3)).astype(np.float32)
        start = blur.start(blurry)
        np.testing.assert_array_equal(blur.crop(start), blurry)
        np.testing.assert_allclose(blur.forward(np.ones_like(start)), 1, rtol=1e-5)


@settings(max_examples=30, deadline=None)
@given(SIZES, st.integers(0, 4), st.integers(0, 4), st.integers(0, 9999))
def test_uniform_blur_is_a_convolution(size, rows, columns, seed):
    rng = np.random.default_rng(seed)
    kernel = random_kernel(rows, columns, rng)
    blur = deconvolution.UniformBlur(kernel, size)
    sharp = rng.random((*blur.size, 3)).astype(np.float32)
    np.testing.assert_allclose(blur.forward(sharp), convolve(sharp.astype(np.float64), kernel[..., None], mode="valid"), atol=2e-6)


@settings(max_examples=30, deadline=None)
@given(SIZES, st.floats(-9, 9), st.floats(-9, 9), st.integers(0, 9999))
def test_linear_blur_of_one_line_is_uniform(size, u, v, seed):
    image = np.random.default_rng(seed).random((*size, 3)).astype(np.float32)
    linear = deconvolution.LinearBlur(np.broadcast_to([u, v], (*size, 2)))
    uniform = deconvolution.UniformBlur(kernels.kernel(u, v), size)
    np.testing.assert_allclose(linear.forward(linear.start(image)), uniform.forward(uniform.start(image)), atol=2e-6)


@pytest.mark.parametrize("strength", kernels.STRENGTHS)
def test_linear_blur_is_that_of_the_data(strength):
    """Measured: the same to the bit."""
    image = photograph("coffee").astype(np.float32)[:96, :128]
    motion = kernels.field((96, 128), kernels.STRENGTHS[strength], np.random.default_rng(0))
    assert len(np.unique(motion.reshape(-1, 2), axis=0)) > 25
    blur = deconvolution.LinearBlur(motion)
    np.testing.assert_allclose(blur.forward(blur.start(image)), kernels.blur(image, motion), atol=1e-6)


# Filters.


def test_richardson_lucy_by_its_definition():
    """With the operator as a dense matrix in double precision."""
    rng = np.random.default_rng(0)
    for blur in operators((7, 9), rng):
        blurry = rng.random((7, 9, 3)).astype(np.float32)
        start = blur.start(blurry)
        height, width = start.shape[:2]
        units = np.eye(height * width, dtype=np.float32).reshape(-1, height, width)
        matrix = np.stack([blur.forward(one[..., None])[..., 0].ravel() for one in units], axis=1).astype(np.float64)
        x, y, coverage = start.reshape(-1, 3).astype(np.float64), blurry.reshape(-1, 3), matrix.sum(axis=0)[:, None]
        seen = coverage > 1e-3
        for _ in range(5):
            x = np.where(seen, x * (matrix.T @ (y / (matrix @ x))) / np.where(seen, coverage, 1), x)
        expected = blur.crop(x.reshape(height, width, 3))
        np.testing.assert_allclose(deconvolution.richardson_lucy(blurry, blur, 5), expected, rtol=1e-3, atol=1e-5)


def test_richardson_lucy_without_blur_changes_nothing():
    image = photograph("coffee").astype(np.float32)[:20, :30]
    restored = deconvolution.richardson_lucy(image, deconvolution.UniformBlur(np.ones((1, 1)), (20, 30)), 30)
    np.testing.assert_allclose(restored, np.maximum(image, 1e-6), atol=1e-4)


def test_wiener_is_that_of_scikit_image():
    """The picture continued in the same way, and gradients for its regularising filter; no correction of the continuation."""
    kernel = KERNELS["shake 18"]
    _, blurry = blurred("coffee", kernel)
    image = unit(blurry)
    padded, inner = deconvolution.taper(image, kernel)
    size = padded.shape[:2]
    differences = [np.abs(np.fft.rfft2(deconvolution.centred(d, size))) ** 2 for d in deconvolution.DIFFERENCES]
    gradients = np.sqrt(sum(differences)).astype(complex)
    actual = deconvolution.wiener(image, kernel, 0.01, rounds=1)
    for channel in range(3):
        plane = padded[..., channel].astype(np.float64)
        expected = restoration.wiener(plane, kernel, 0.01, reg=gradients, is_real=True, clip=False)
        np.testing.assert_allclose(actual[..., channel], expected[inner], atol=2e-4)


@settings(max_examples=200, deadline=None)
@given(st.floats(-1, 1), st.floats(1, 256), st.sampled_from([0.5, 2 / 3, 0.8, 1.0]))
def test_shrink_finds_the_least(gradient, coupling, exponent):
    def energy(size):
        return abs(size) ** exponent + coupling / 2 * (size - gradient) ** 2

    found = float(deconvolution.shrink(np.array([gradient], np.float32), coupling, exponent)[0])
    candidates = np.linspace(-1, 1, 4001)
    assert energy(found) <= energy(candidates).min() + 1e-4
    assert found * gradient >= 0


def test_sparse_gradients_lessen_their_energy():
    """Below that of the blurry picture and of the true one, which has more gradients; and with the true kernel it gains most."""
    kernel = KERNELS["shake 18"]
    sharp, blurry = blurred("coffee", kernel)
    restored = deconvolution.sparse_gradients(unit(blurry), kernel, 1e-3)

    def energy(image):
        rest = convolve(image, kernel[..., None], mode="same") - unit(blurry)
        rough = [np.abs(image[25:-25, 25:-25] - np.roll(image, 1, axis)[25:-25, 25:-25]) ** 0.8 for axis in (0, 1)]
        return (rest[25:-25, 25:-25] ** 2).sum() + 1e-3 * np.sum(rough)

    assert energy(restored) < 0.9 * min(energy(unit(blurry)), energy(sharp))
    assert psnr(restored.clip(0, 1), sharp) > psnr(unit(blurry), sharp) + 8


@settings(max_examples=20, deadline=None)
@given(st.tuples(st.integers(1, 30), st.integers(1, 30)), st.integers(0, 4), st.integers(0, 4))
def test_taper_keeps_the_picture_and_closes_the_circle(size, rows, columns):
    image = np.random.default_rng(0).random((*size, 3)).astype(np.float32)
    padded, inner = deconvolution.taper(image, random_kernel(rows, columns, np.random.default_rng(1)))
    np.testing.assert_array_equal(padded[inner], image)
    assert padded.shape[0] >= size[0] + 4 * (2 * rows + 1)
    assert padded.min() >= -1e-5
    assert padded.max() <= 1 + 1e-5


def test_taper_meets_itself():
    """A ramp, whose ends would differ by one: across the seam neighbours differ by far less."""
    ramp = np.linspace(0, 1, 60, dtype=np.float32)[None, :, None].repeat(40, axis=0).repeat(3, axis=2)
    padded, _ = deconvolution.taper(ramp, np.ones((9, 9)) / 81)
    assert np.abs(padded[:, 0] - padded[:, -1]).max() < 0.15
