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


@pytest.mark.parametrize("name", ["gamma", "gamma()", "gamma(0.4)", "gamma(2.2", "linear", ""])
def test_unknown_names(name):
    with pytest.raises(RecipeError, match="expected pixel, srgb or gamma"):
        transfer.parse(name)
