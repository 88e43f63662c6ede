"""Predictions on disk: what their digest is made of."""

from hashlib import sha256

import pytest

from blurbench.run.predictions import Predictions

FILES = {"b/0/1.png": b"one", "b/0/0.png": b"", "a.h5": b"three"}


@pytest.mark.parametrize("workers", [1, 3])
def test_the_digest_is_of_names_and_bytes_in_order(tmp_path, workers):
    for name, content in {**FILES, ".hidden": b"not read"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    expected = b"".join(f"{name} {len(content)} ".encode() + sha256(content).digest() for name, content in sorted(FILES.items()))
    assert Predictions(tmp_path).digest(workers) == sha256(expected).hexdigest()
