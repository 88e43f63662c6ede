import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blurbench.errors import RecipeError
from blurbench.video import transfer


@given(value=st.floats(0, 1), name=st.sampled_from(["pixel", "srgb", "gamma(1.8)", "gamma(2.2)"]))
def test_inverse(value, name):
    curve = transfer.parse(name)
    assert curve.to_encoded(curve.to_linear(np.array([value])))[0] == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "encoded", "linear"),
    [("pixel", 0.3, 0.3), ("gamma(2.2)", 0.5, 0.5**2.2), ("srgb", 0.5, 0.21404114048223255), ("srgb", 0.04, 0.04 / 12.92)],
)
def test_known_values(name, encoded, linear):
    assert transfer.parse(name).to_linear(np.array([encoded]))[0] == pytest.approx(linear, abs=1e-12)


def test_table_is_the_function_of_each_code():
    assert transfer.SRGB.table[200] == pytest.approx(transfer.SRGB.to_linear(np.array([200 / 255]))[0], rel=1e-6)


@pytest.mark.parametrize("name", ["gamma", "gamma()", "gamma(0.4)", "gamma(2.2", "log", ""])
def test_unknown_names(name):
    with pytest.raises(RecipeError, match="expected pixel, linear, srgb or gamma"):
        transfer.parse(name)


def calibration():
    """An inverse response as OpenCV's calibration gives one: BGR, a power of 2.2, wild above code 250, one step down."""
    codes = np.arange(256) / 128
    curve = np.stack([codes**2.2, 1.1 * codes**2.2, 0.9 * codes**2.2], axis=1)
    curve[251:] = [[34.0, 46.0, 40.0]]
    curve[100, 2] = curve[99, 2] - 0.001
    return curve.astype(np.float32)[:, None]


def test_a_response_is_read_straightened_and_inverted(tmp_path):
    np.save(tmp_path / "crf.npy", calibration())
    curve = transfer.read_response(tmp_path / "crf.npy", order="bgr", straight_from=251)
    red, green, blue = np.array(curve.curve).T
    given = calibration()[:, 0].astype(np.float64)
    slope = (given[251] - given[249]) / 2
    assert blue[251] / blue[250] == pytest.approx((given[250, 0] + slope[0]) / given[250, 0], rel=1e-6)
    assert green[255] / green[250] == pytest.approx((given[250, 1] + 5 * slope[1]) / given[250, 1], rel=1e-6)
    assert red[100] >= red[99]
    assert curve.exact_table.shape == (256, 1, 3)
    image = np.random.default_rng(0).integers(0, 256, (5, 6, 3)) / 255
    np.testing.assert_allclose(curve.to_encoded(curve.to_linear(image)), image, atol=0.6 / 255)  # the levelled step is flat
    assert transfer.parse(curve.spelling()) == curve


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({120: 0.3}, r"light 0\.3 at code 120 after 0\.4667"),
        (dict.fromkeys(range(256), 0), "the same light at all codes"),
        ({255: -1}, r"light -1 at code 255 after 0\.9961"),
    ],
)
def test_a_response_that_falls_is_refused(tmp_path, change, says):
    """But for a fall as noise makes it, or one that is straightened."""
    curve = np.arange(256) / 255
    curve[100] -= 0.008
    np.save(tmp_path / "crf.npy", curve)
    transfer.read_response(tmp_path / "crf.npy")
    curve[list(change)] = list(change.values())
    np.save(tmp_path / "crf.npy", curve)
    with pytest.raises(RecipeError, match=rf"crf\.npy has {says}, expected light that rises from code to code; measure it again"):
        transfer.read_response(tmp_path / "crf.npy")
    if 255 in change and 0 not in change:
        transfer.read_response(tmp_path / "crf.npy", straight_from=251)


@pytest.mark.parametrize("shape", [(256, 2), (255,), (3, 256)])
def test_a_response_of_another_shape_is_refused(tmp_path, shape):
    np.save(tmp_path / "crf.npy", np.ones(shape))
    with pytest.raises(RecipeError, match="expected finite light of 256 codes"):
        transfer.read_response(tmp_path / "crf.npy")


@pytest.mark.parametrize("code", [-1, 1, 256, 300])
def test_a_response_straight_from_no_code_is_refused(tmp_path, code):
    np.save(tmp_path / "crf.npy", calibration())
    with pytest.raises(RecipeError, match=f"straight_from is {code}, expected 0 or a code from 2 to 255"):
        transfer.read_response(tmp_path / "crf.npy", straight_from=code)


@pytest.mark.parametrize("content", [b"", b"nothing", b"PK\x05\x06" + bytes(18)])
def test_a_file_that_is_no_response_is_refused(tmp_path, content):
    path = tmp_path / "crf.npy"
    path.write_bytes(content)
    with pytest.raises(RecipeError) as caught:
        transfer.read_response(path)
    assert str(caught.value) == f"camera response {path} is no .npy file of numbers; give one of 256 codes, as numpy.save writes it"


def test_a_response_that_is_missing_is_named_once(tmp_path):
    with pytest.raises(RecipeError) as caught:
        transfer.read_response(tmp_path / "crf.npy")
    assert str(caught.value) == f"camera response {tmp_path / 'crf.npy'} cannot be read: No such file or directory; check the path"
