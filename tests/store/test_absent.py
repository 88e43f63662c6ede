"""A data set that is not there: what may be meant, and how it is made."""

from pathlib import Path

import pytest

from blurbench.errors import DataSetError
from blurbench.store.reader import data_root, open_dataset


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("genblur", "make it with `blurbench make-dataset genblur`"),
        (
            "genblurr",
            "did you mean 'genblur', which must be made first? made there: bikes, packed; `blurbench ls datasets` shows what can be made",
        ),
        ("bike", "did you mean 'bikes'? made there: bikes, packed; `blurbench ls datasets` shows what can be made"),
        ("pakced", "did you mean 'packed'? made there: bikes, packed; `blurbench ls datasets` shows what can be made"),
        ("qqqq", "made there: bikes, packed; `blurbench ls datasets` shows what can be made"),
        ("", "made there: bikes, packed; `blurbench ls datasets` shows what can be made"),
    ],
)
def test_near_names_are_those_made_and_those_that_can_be(tmp_path, monkeypatch, name, told):
    monkeypatch.setenv("BLURBENCH_DATA", str(tmp_path))
    (tmp_path / "bikes").mkdir()
    (tmp_path / "bikes/manifest.json").touch()
    (tmp_path / "packed.h5").touch()
    with pytest.raises(DataSetError) as caught:
        open_dataset(name)
    assert str(caught.value) == f"no data set {name!r} here or in {tmp_path}/; {told}"


def test_nothing_was_made(tmp_path, monkeypatch):
    monkeypatch.setenv("BLURBENCH_DATA", str(tmp_path / "none"))
    with pytest.raises(DataSetError, match=r"/; made there: \(none\); `blurbench ls datasets` shows what can be made$"):
        open_dataset("qqqq")


@pytest.mark.parametrize(("value", "expected"), [("~/sets", "/home/me/sets"), ("", "data"), ("sets", "sets")])
def test_where_data_sets_are_by_the_environment(monkeypatch, value, expected):
    """`~` as a file of settings has it, which no shell reads; an empty word is none."""
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("BLURBENCH_DATA", value)
    assert data_root() == Path(expected)
