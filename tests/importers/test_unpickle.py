"""Pickles of strangers: plain values come through, whatever could run code or lie about memory does not."""

import collections
import io
import os
import pickle
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from blurbench.errors import SourceError
from blurbench.importers.unpickle import load

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(PLAIN, st.integers(0, 5))
def test_plain_values(tmp_path_factory, value, protocol):
    path = tmp_path_factory.getbasetemp() / "plain.pkl"
    path.write_bytes(pickle.dumps(value, protocol))
    assert load(path) == value


@given(
    arrays.arrays(st.sampled_from(["u1", "<i4", ">i2", "<f4", ">f8", "?"]), arrays.array_shapes(min_side=0, max_side=3)),
    st.integers(0, 5),
    st.booleans(),
)
def test_arrays(tmp_path_factory, array, protocol, turned):
    path = tmp_path_factory.getbasetemp() / "array.pkl"
    array = array.T if turned else array
    path.write_bytes(pickle.dumps({"bbox": [array, array.flat[0] if array.size else 0]}, protocol))
    back, first = load(path)["bbox"]
    assert back.shape == array.shape and back.dtype.kind == array.dtype.kind
    np.testing.assert_array_equal(back, array)
    if array.size:
        np.testing.assert_array_equal(first, array.flat[0])


class Runs:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class Persistent(pickle.Pickler):
    def persistent_id(self, value):
        return "elsewhere" if value == 1 else None


def persistent():
    stream = io.BytesIO()
    Persistent(stream).dump([1])
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (pickle.dumps(Runs(os.mkdir, "made")), "mkdir is not admitted"),
        (pickle.dumps(Runs(eval, "1")), "eval is not admitted"),
        (pickle.dumps(Runs(getattr, 1, "real")), "getattr is not admitted"),
        (b"cnumpy\nload\n(S'made'\ntR.", "numpy.load is not admitted"),
        (pickle.dumps(np.array([{"a": 1}], object)), "arrays of object are not admitted"),
        (pickle.dumps(np.zeros(2, [("a", "f4")])), "are not admitted"),
        (pickle.dumps(np.dtype("f4")), "a dtype is no value"),
        (pickle.dumps(Runs(np.ndarray, (1 << 40,)))[:-1] + b"x.", "no pickle of plain values"),
        (persistent(), "references out of the file"),
        (pickle.dumps([1.5] * 9)[:20], "no pickle of plain values"),
        (b"", "no pickle of plain values"),
        (pickle.dumps(np.arange(4.0), 2).replace(struct.pack("<B", 4) + b"\x85", struct.pack("<B", 9) + b"\x85"), "cannot reshape"),
    ],
)
def test_what_is_refused(tmp_path, monkeypatch, data, reason):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.pkl").write_bytes(data)
    with pytest.raises(SourceError, match=reason) as caught:
        load(tmp_path / "bad.pkl")
    assert "bad.pkl" in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "made").exists()


def test_ordered_dictionaries_and_size(tmp_path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(collections.OrderedDict(a=np.float32(1.5))))
    assert load(tmp_path / "a.pkl") == {"a": 1.5}
    with (tmp_path / "big.pkl").open("wb") as file:
        file.truncate(17 << 20)
    with pytest.raises(SourceError, match="has 17825792 bytes"):
        load(tmp_path / "big.pkl")
    with pytest.raises(SourceError, match=r"absent.pkl cannot be read"):
        load(tmp_path / "absent.pkl")
