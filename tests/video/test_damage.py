"""Damaged image files: found before OpenCV makes other pixels of them, and whole ones of every kind are not suspected."""

from __future__ import annotations

import random
from pathlib import Path

import cv2
import numpy as np
import pytest

from blurbench.errors import SourceError
from blurbench.video.damage import damage
from blurbench.video.images import ImageFolderSource, read_rgb
from tests.video.folders import fill, noise, numbered

PICTURE = cv2.resize(noise(0, 45, 80), (640, 360))
DEFLATE, LZW = 8, 5


def encoded(suffix: str, *options: int, depth: type[np.generic] = np.uint8, grey: bool = False) -> bytes:
    image = PICTURE.astype(depth)[..., 0] if grey else PICTURE.astype(depth)
    return cv2.imencode(suffix, image, list(options))[1].tobytes()


def overwritten(data: bytes, seed: int, length: int = 1024) -> bytes:
    """Bytes of chance somewhere in the picture."""
    draw = random.Random(seed)
    place = draw.randrange(len(data) // 10, len(data) * 8 // 10)
    return data[:place] + draw.randbytes(length) + data[place + length :]


KINDS = {
    "png": (".png",),
    "jpg": (".jpg",),
    "progressive": (".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "restarting": (".jpg", cv2.IMWRITE_JPEG_RST_INTERVAL, 4),
    "deflate": (".tif", cv2.IMWRITE_TIFF_COMPRESSION, DEFLATE),
}


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_that_were_overwritten(tmp_path: Path, capfd: pytest.CaptureFixture[str], kind: str) -> None:
    """OpenCV takes all but the PNGs."""
    data = encoded(*KINDS[kind])  # type: ignore[arg-type]
    found = [overwritten(data, seed) for seed in range(20)]
    assert sum(bool(damage(each)) for each in found) >= (18 if KINDS[kind][0] == ".jpg" else 20)
    path = tmp_path / f"a{KINDS[kind][0]}"
    path.write_bytes(next(each for each in found if damage(each)))
    capfd.readouterr()
    with pytest.raises(
        SourceError, match=r"is not a readable image \(\d+ bytes: .* (wrong|damaged)\), expected a whole PNG, .* copy it again"
    ):
        read_rgb(path)
    assert capfd.readouterr().err == ""  # of libpng, libjpeg


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
@pytest.mark.parametrize("part", [0.2, 0.7, 0.99])
def test_files_that_were_cut_short(tmp_path: Path, capfd: pytest.CaptureFixture[str], suffix: str, part: float) -> None:
    data = encoded(suffix)
    (tmp_path / f"a{suffix}").write_bytes(data[: int(len(data) * part)])
    with pytest.raises(SourceError, match=r"is not a readable image \(\d+ bytes"):
        read_rgb(tmp_path / f"a{suffix}")
    assert capfd.readouterr().err == ""


def test_strips_beyond_the_end() -> None:
    """A TIFF whose tags come first, as other programs write it."""
    strip = bytes(8)
    tags = [(256, 1, 4), (257, 1, 2), (258, 1, 8), (259, 1, 1), (262, 1, 1), (273, 1, 8 + 2 + 12 * 7 + 4), (279, 1, len(strip))]
    table = b"".join(np.array([tag, 3, count, 0, value, 0], "<u2").tobytes() for tag, count, value in tags)
    data = b"II*\0" + (8).to_bytes(4, "little") + len(tags).to_bytes(2, "little") + table + bytes(4) + strip
    assert damage(data) == "" and damage(data[:-1]) == damage(data[:20]) == "it is cut short"


def test_a_damaged_picture_in_a_folder(tmp_path: Path) -> None:
    fill(tmp_path / "clip", numbered(range(3)), height=64, width=64)
    path = tmp_path / "clip" / numbered(range(3))[1]
    path.write_bytes(overwritten(path.read_bytes(), 0, 16))
    with pytest.raises(SourceError, match=r"000001\.png is not a readable image \(.*the checksum of a chunk 'IDAT' is wrong\)"):
        list(ImageFolderSource(tmp_path / "clip").frames())


def test_whole_files_of_all_kinds() -> None:
    jpeg = encoded(".jpg")
    files = [encoded(*each) for each in KINDS.values()]  # type: ignore[arg-type]
    files += [encoded(".png", depth=np.uint16), encoded(".png", grey=True), encoded(".jpg", grey=True), encoded(".bmp")]
    files += [encoded(".tif", cv2.IMWRITE_TIFF_COMPRESSION, each, depth=np.uint16) for each in (1, LZW, DEFLATE)]
    files += [encoded(".jpg", cv2.IMWRITE_JPEG_SAMPLING_FACTOR, each) for each in (0x411111, 0x111111, 0x221111, 0x211111)]
    files += [jpeg + b"what a camera adds" * 9, jpeg[:2] + b"\xff\xe1\0\x08\xff\xd9\xff\xda\xff\xd8" + jpeg[2:], b"BM", b"", b"nothing"]
    assert [damage(each) for each in files] == [""] * len(files)
