"""What tests of commands share: an empty cache, and official weight files."""

import pytest

from tests.cli.official_files import FORMATS


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of the test's own; returns where weights go in it."""
    monkeypatch.setenv("BLURBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


@pytest.fixture
def official(tmp_path):
    """Makes the official files of a method; returns them, or the folder where the method takes one."""

    def make(name):
        (folder := tmp_path / "official").mkdir(exist_ok=True)
        FORMATS[name](folder)
        inside = list(folder.iterdir())
        return inside[0] if len(inside) == 1 else folder

    return make
