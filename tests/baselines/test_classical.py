"""Methods of known and estimated kernels: what they gain on photographs, and kernel files."""

import cv2
import numpy as np
import pytest
from scipy.ndimage import shift

from blurbench.baselines.classical import RichardsonLucy, Wiener, Xu2013Type, read_kernel
from blurbench.errors import WeightsError
from blurbench.methods import load_method
from blurbench.running import predict
from tests.baselines.inputs import make_sample, unit
from tests.baselines.official import refused
from tests.baselines.photographs import KERNELS, blurred, gain, photograph, psnr
from tests.conftest import command


@pytest.mark.parametrize("photo", ["astronaut", "chelsea", "coffee"])
@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_true_kernel_gains_three_decibels(photo, kernel):
    """Rounded to 8 bits. Measured: Wiener 4.7 to 9.5 dB, Richardson-Lucy 3.4 to 9.6 dB."""
    sharp, blurry = blurred(photo, kernel)
    assert gain(Wiener(kernel), sharp, blurry) > 4.5
    assert gain(RichardsonLucy(kernel), sharp, blurry) > 3.2


@pytest.mark.parametrize("photo", ["astronaut", "coffee"])
@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_true_kernel_gains_with_noise(photo, kernel):
    """2.55 grey levels of noise. Measured: Wiener 3.4 to 7.6 dB, Richardson-Lucy 3.3 to 6.3 dB; for smooth chelsea 2.7 and 1.6 at least."""
    sharp, blurry = blurred(photo, kernel, noise=2.55)
    assert gain(Wiener(kernel), sharp, blurry) > 3.2
    assert gain(RichardsonLucy(kernel), sharp, blurry) > 3.0


def test_gain_reaches_the_borders():
    """Measured in the outer 12 pixels: Wiener 4.2 dB, Richardson-Lucy 5.8 dB."""
    kernel = KERNELS["shake 18"]
    sharp, blurry = blurred("coffee", kernel)
    frame = np.ones((256, 288), bool)
    frame[12:-12, 12:-12] = False
    for method in (Wiener(kernel), RichardsonLucy(kernel)):
        restored = predict(method, make_sample(blurry)).frames[0, 0]
        assert psnr(restored[frame], sharp[frame]) > psnr(unit(blurry)[frame], sharp[frame]) + 3


@pytest.mark.parametrize("method", [Wiener, RichardsonLucy, lambda kernel: Xu2013Type()], ids=["wiener", "richardson-lucy", "xu2013-type"])
def test_flat_pictures_stay_flat_to_the_border(method):
    flat = np.full((40, 52, 3), 100, np.uint8)
    np.testing.assert_allclose(predict(method(KERNELS["shake 18"]), make_sample(flat)).frames, 100 / 255, atol=2e-3)


# Kernel files.


@pytest.mark.parametrize("method", ["wiener", "richardson-lucy"])
@pytest.mark.parametrize("suffix", [".npy", ".png"])
def test_kernel_from_a_file(tmp_path, method, suffix):
    """Any sum, and even sizes, whose middle is at rows // 2, columns // 2."""
    path = tmp_path / f"kernel{suffix}"
    values = np.array([[0, 0, 0, 0], [0, 10, 30, 0]], np.uint8)
    np.save(path, values) if suffix == ".npy" else cv2.imwrite(str(path), values)
    loaded = load_method(method, path)
    expected = np.zeros((3, 5))
    expected[1, 1:3] = 0.25, 0.75
    np.testing.assert_array_equal(loaded.kernel, expected)
    assert (loaded.weights.files, loaded.weights.origin) == ((f"kernel{suffix}",), "given")
    assert load_method(method).weights is None


@pytest.mark.parametrize("method", [Wiener, RichardsonLucy])
def test_kernel_moves_light_as_it_says(method):
    """A kernel off the middle: what it moved comes back."""
    kernel = np.zeros((7, 7))
    kernel[3 + 1, 3 + 2] = 1
    image = photograph("coffee")[:48, :64]
    blurry = np.rint(255 * shift(image, (1, 2, 0), order=0, mode="nearest")).astype(np.uint8)
    restored = predict(method(kernel), make_sample(blurry)).frames[0, 0]
    inner = slice(6, -6), slice(6, -6)
    assert psnr(restored[inner], image[inner]) > psnr(unit(blurry)[inner], image[inner]) + 8


def saved(path, values):
    np.save(path, values)
    return path


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones((2, 3, 3)), "holds float64 (2, 3, 3), expected a two-dimensional array of numbers"),
        (np.ones((3, 3), complex), "holds complex128 (3, 3), expected a two-dimensional array of numbers"),
        (np.ones((0, 3)), "holds float64 (0, 3), expected a two-dimensional array of numbers"),
        (np.zeros((3, 3)), "has values from 0 to 0, expected 0 or more, and not all 0"),
        (np.array([[1.0, -0.5]]), "has values from -0.5 to 1, expected 0 or more, and not all 0"),
        (np.array([[1.0, np.nan]]), "has values from nan to nan, expected 0 or more, and not all 0"),
    ],
)
def test_wrong_kernels(tmp_path, values, message):
    path = saved(tmp_path / "kernel.npy", values)
    assert refused("wiener", path) == f"kernel file {path} {message}"


def test_kernel_files_that_are_none(tmp_path):
    path = tmp_path / "kernel.npy"
    assert refused("wiener", path) == f"kernel file {path} does not exist"
    np.save(path, np.array([[{}]], object), allow_pickle=True)
    assert refused("richardson-lucy", path).startswith(f"kernel file {path} cannot be read (ValueError: Object arrays")
    path.write_bytes(b"")
    assert "cannot be read (EOFError" in refused("wiener", path)
    picture = tmp_path / "kernel.png"
    picture.write_bytes(b"not a picture")
    assert refused("wiener", picture) == f"kernel file {picture} cannot be read as a picture; give a .npy or .png"
    with pytest.raises(WeightsError, match="holds NpzFile, expected a two-dimensional array of numbers"):
        np.savez(tmp_path / "a.npz", a=np.ones((3, 3)))
        (tmp_path / "a.npz").rename(path)
        read_kernel(path)


def test_estimating_method_takes_no_kernel(tmp_path):
    path = saved(tmp_path / "kernel.npy", np.ones((3, 3)))
    assert refused("xu2013-type", path) == f"xu2013-type has no weights, but --weights {path} was given; leave it out"


def test_command(tmp_path):
    """A photograph and its kernel in, the picture of the method out; a wrong kernel is one line and exit code 2."""
    sharp, blurry = blurred("astronaut", KERNELS["shake 18"])
    cv2.imwrite(str(tmp_path / "photo.png"), blurry[..., ::-1])
    saved(tmp_path / "kernel.npy", KERNELS["shake 18"])
    done = command("predict", "photo.png", "--method", "wiener", "--weights", "kernel.npy", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (written,) = (tmp_path / "predictions").rglob("*.png")
    assert psnr(cv2.imread(str(written))[..., ::-1] / 255, sharp) > psnr(unit(blurry), sharp) + 7
    saved(tmp_path / "kernel.npy", np.zeros((3, 3)))
    done = command("predict", "photo.png", "--method", "wiener", "--weights", "kernel.npy", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "error: kernel file kernel.npy has values from 0 to 0, expected 0 or more, and not all 0"
