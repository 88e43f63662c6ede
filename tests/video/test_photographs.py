"""Photographs that rendered footage is painted with: the bundled ones by split, and a folder's in training clips."""

import cv2
import numpy as np
import pytest

from blurbench.errors import SourceError
from blurbench.video import photographs
from blurbench.video.images import read_rgb
from blurbench.video.photographs import BUNDLED, Folder, Photographs, bundled
from blurbench.video.render import RenderedSource


@pytest.fixture
def folder(tmp_path):
    """Forty pictures of one colour each, in two folders; natural order is that of their red, 2 to 80."""
    for number in range(1, 41):
        place = tmp_path / "shown" / ("day" if number <= 20 else "night")
        place.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(place / f"{number}.png"), np.full((32, 48, 3), (200, 100, 2 * number), np.uint8))
    return tmp_path / "shown"


def test_no_photograph_is_both_for_training_and_test():
    assert not set(BUNDLED["train"]) & set(BUNDLED["test"])
    assert all(bundled(name).shape[2] == 3 for names in BUNDLED.values() for name in names)


def test_all_are_drawn_each_as_likely(folder):
    rng = np.random.default_rng(0)
    shown = Photographs("train", Folder.open(folder))
    drawn = [shown.draw(rng) for _ in range(2700)]  # 50 of each of 54
    mine = [int(image[0, 0, 0]) for image in drawn if image.shape == (32, 48, 3)]
    assert set(mine) == set(range(2, 82, 2))
    counts = np.bincount(mine)[2::2]
    assert counts.min() > 25 and counts.max() < 85
    assert len(mine) == pytest.approx(2000, abs=100)


def test_files_are_in_natural_order_and_the_digest_is_of_their_bytes(folder, tmp_path):
    found = Folder.open(folder)
    assert [file.name for file in found.files] == [f"{number}.png" for number in range(1, 41)]
    assert found.facts() == {"folder": "shown", "files": 40, "sha256": found.sha256}
    copy = folder.rename(tmp_path / "elsewhere")
    assert Folder.open(copy).sha256 == found.sha256
    (copy / "day/1.png").write_bytes((copy / "day/2.png").read_bytes())
    assert Folder.open(copy).sha256 != found.sha256


def test_a_clip_shows_them_and_says_so(folder, monkeypatch):
    """One's own photographs are read for the clip; its fingerprint and its facts tell."""
    opened = []
    monkeypatch.setattr(photographs, "_read", lambda path: opened.append(path) or read_rgb(path))
    alone, joined = (RenderedSource("train", 0, 2, (48, 64), folder=each) for each in (None, Folder.open(folder)))
    one = next(alone.frames()).image
    assert not opened
    two = next(joined.frames()).image
    assert opened and set(opened) <= set(Folder.open(folder).files) and (one != two).mean() > 0.5
    assert alone.fingerprint() != joined.fingerprint() and "photographs" not in alone.facts()
    assert joined.facts()["photographs"]["files"] == 40


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "shown is missing, expected a folder of photographs; check the path"),
        ({}, "shown holds no photograph, expected .jpg, .png or other images; give another folder"),
        ({"a.png": (16, 48, 3)}, r"shown/a.png is 48x16, expected at least 32x32; remove it"),
        ({"a.png": (48, 48)}, r"shown/a.png is 8-bit grey, expected an 8-bit RGB image; convert it first"),
        ({"a.jpg": b"no picture"}, r"shown/a.jpg is not a readable image \(10 bytes\)"),
    ],
)
def test_what_is_no_folder_of_photographs_is_told(tmp_path, content, says):
    if content is not None:
        (tmp_path / "shown").mkdir()
    for name, what in (content or {}).items():
        path = tmp_path / "shown" / name
        path.write_bytes(what if isinstance(what, bytes) else cv2.imencode(".png", np.zeros(what, np.uint8))[1].tobytes())
    with pytest.raises(SourceError, match=says):
        Folder.open(tmp_path / "shown")


def test_a_file_is_no_folder(folder):
    with pytest.raises(SourceError, match=r"1.png is no folder, expected a folder of photographs"):
        Folder.open(folder / "day/1.png")
