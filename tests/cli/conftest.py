"""What tests of commands share: an empty cache, official weight files, a folder of photographs."""

from pathlib import Path

import pytest

from blurbench.video.images import write_rgb
from tests.baselines.inputs import picture
from tests.cli.animated import TOYS
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


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The working folder, with toy methods, a photograph `a.png` and its neighbours."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BLURBENCH_CACHE", str(tmp_path / "cache"))
    Path("toys.py").write_text(TOYS)
    for number, name in enumerate(("a", "prev", "next")):
        write_rgb(Path(f"{name}.png"), picture(24, 30, phase=0.7 * number))
    return tmp_path
