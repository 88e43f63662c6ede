"""Image folders and image files."""

from __future__ import annotations

import hashlib
import json
import re
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blurbench.errors import SourceError
from blurbench.types import F32
from blurbench.video.images import ImageFolderSource, natural_key, read_rgb, write_rgb
from blurbench.video.source import HasMotion, Source
from tests.video.folders import fill, noise, numbered

# Image files


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".tiff", ".PNG"])
def test_lossless_formats_come_back_exactly(tmp_path: Path, suffix: str) -> None:
    write_rgb(tmp_path / f"a{suffix}", noise())
    np.testing.assert_array_equal(read_rgb(tmp_path / f"a{suffix}"), noise())


def test_a_file_of_several_pictures_is_refused(tmp_path: Path) -> None:
    cv2.imwritemulti(str(tmp_path / "a.tif"), [noise(0), noise(1)])
    with pytest.raises(SourceError, match=r"a\.tif holds 2 pictures, expected one; save each as a file of its own"):
        read_rgb(tmp_path / "a.tif")


def test_an_image_that_goes_away(tmp_path: Path) -> None:
    source = ImageFolderSource(fill(tmp_path / "clip", numbered(range(3))))
    (tmp_path / "clip" / source.facts()["last"]).unlink()
    with pytest.raises(SourceError, match=r"cannot be read: No such file or directory; expected an image file"):
        source.fingerprint()


def test_red_is_the_first_channel(tmp_path: Path) -> None:
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 200
    write_rgb(tmp_path / "a.png", red)
    assert cv2.imread(str(tmp_path / "a.png"))[0, 0].tolist() == [0, 0, 200]  # OpenCV: blue, green, red
    write_rgb(tmp_path / "a.jpg", red)
    assert np.abs(read_rgb(tmp_path / "a.jpg").astype(int) - red).max() <= 3


def test_the_orientation_of_a_jpeg_is_applied(tmp_path: Path) -> None:
    image = np.zeros((16, 32, 3), np.uint8)
    image[:, :16] = 255
    write_rgb(tmp_path / "a.jpg", image)
    data = (tmp_path / "a.jpg").read_bytes()
    turn_right = b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    (tmp_path / "b.jpg").write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(turn_right) + 2) + turn_right + data[2:])
    turned = read_rgb(tmp_path / "b.jpg")
    assert turned.shape == (32, 16, 3)
    assert turned[:14].min() > 250
    assert turned[18:].max() < 5


def test_the_orientation_of_a_tiff_is_applied(tmp_path: Path) -> None:
    rows, columns, turn_right = 3, 4, 6
    image = noise(0, rows, columns)
    tags = {256: columns, 257: rows, 258: 8, 259: 1, 262: 2, 273: 200, 274: turn_right, 277: 3, 278: rows, 279: image.size, 284: 1}
    entries = b"".join(struct.pack("<HHII", tag, 4 if tag == 273 else 3, 1, value) for tag, value in tags.items())
    header = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    (tmp_path / "a.tif").write_bytes(header.ljust(200, b"\0") + image.tobytes())
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.tif"), np.rot90(image, -1))


@pytest.mark.parametrize(
    ("name", "image", "what"),
    [
        ("grey.png", np.zeros((4, 4), np.uint8), "8-bit grey"),
        ("grey.jpg", np.zeros((8, 8), np.uint8), "8-bit grey"),
        ("alpha.png", np.zeros((4, 4, 4), np.uint8), "8-bit RGBA"),
        ("deep.png", np.zeros((4, 4, 3), np.uint16), "16-bit RGB"),
        ("raw.tif", np.zeros((4, 4), np.uint16), "16-bit grey"),
        ("hdr.tif", np.zeros((4, 4, 3), np.float32), "32-bit RGB floating point"),
    ],
)
def test_other_than_8_bit_rgb_is_refused(tmp_path: Path, name: str, image: np.ndarray, what: str) -> None:
    assert cv2.imwrite(str(tmp_path / name), image)
    with pytest.raises(SourceError, match=rf"{name} is {what}, expected an 8-bit RGB image"):
        read_rgb(tmp_path / name)


@pytest.mark.parametrize("image", [np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)])
def test_alpha_and_floats_are_no_frames(tmp_path: Path, image: np.ndarray) -> None:
    assert cv2.imwrite(str(tmp_path / "a.tif"), image)
    with pytest.raises(SourceError, match=r"expected RGB or grey of 8 or 16 bits"):
        ImageFolderSource(tmp_path)


def test_grey_and_16_bit_frames_keep_their_depth_and_are_recorded(tmp_path: Path) -> None:
    deep = np.arange(12, dtype=np.uint16).reshape(3, 4) * 5000
    assert cv2.imwrite(str(tmp_path / "0.png"), deep)
    source = ImageFolderSource(tmp_path)
    (frame,) = source.frames()
    assert frame.image.dtype == np.uint16
    assert (frame.image == deep[..., None]).all()
    assert frame.image.shape == (3, 4, 3)
    assert source.facts()["stored_as"] == "16-bit grey"
    assert cv2.imwrite(str(tmp_path / "1.png"), (deep >> 8).astype(np.uint8))
    with pytest.raises(SourceError, match=r"1\.png is 8-bit grey, expected 16-bit grey as 0\.png"):
        list(ImageFolderSource(tmp_path).frames())


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif"])
@pytest.mark.parametrize("part", [0.0, 0.6, 0.97])
def test_a_cut_image_is_refused(tmp_path: Path, suffix: str, part: float) -> None:
    path = tmp_path / f"a{suffix}"
    write_rgb(path, noise(height=64, width=64))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(SourceError, match="not a readable image"):
        read_rgb(path)


def test_no_image_and_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("words")
    with pytest.raises(SourceError, match=r"a\.png is not a readable image \(5 bytes\)"):
        read_rgb(tmp_path / "a.png")
    with pytest.raises(SourceError, match=r"b\.png cannot be read: No such file.*expected an image file"):
        read_rgb(tmp_path / "b.png")


def test_a_broken_image_is_told_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """OpenCV says nothing beside."""
    level = cv2.utils.logging.getLogLevel()
    for suffix in (".png", ".tif", ".bmp"):
        write_rgb(tmp_path / f"a{suffix}", noise(height=64, width=64))
        data = (tmp_path / f"a{suffix}").read_bytes()
        (tmp_path / f"a{suffix}").write_bytes(data[: len(data) // 2])
        with pytest.raises(SourceError, match="is not a readable image"):
            read_rgb(tmp_path / f"a{suffix}")
    assert capfd.readouterr() == ("", "") and cv2.utils.logging.getLogLevel() == level


def test_writing_is_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    write_rgb(path, noise(1))

    def fail(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(SourceError, match=r"a\.png cannot be written: No space left"):
        write_rgb(path, noise(2))
    np.testing.assert_array_equal(read_rgb(path), noise(1))
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"suffix '\.gif', expected one of \.png"):
        write_rgb(tmp_path / "a.gif", noise())
    with pytest.raises(SourceError, match="No such file or directory; expected a folder"):
        write_rgb(tmp_path / "no" / "a.png", noise())
    with pytest.raises(ValueError, match=r"float64 of shape \(4, 4, 3\)"):
        write_rgb(tmp_path / "a.png", np.zeros((4, 4, 3)))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"uint8 of shape \(4, 4\)"):
        write_rgb(tmp_path / "a.png", np.zeros((4, 4), np.uint8))


# Image folders


def test_frames_in_natural_order_with_times(tmp_path: Path) -> None:
    fill(tmp_path / "clip.one", ["frame11.png", "frame10.jpg", "frame9.png"])
    (tmp_path / "clip.one" / "notes.txt").write_text("not an image")
    (tmp_path / "clip.one" / "._frame3.png").write_text("what macOS leaves behind")
    source = ImageFolderSource(tmp_path / "clip.one", fps=50)
    frames = list(source.frames())
    assert [frame.time for frame in frames] == [0, 0.02, 0.04]
    np.testing.assert_array_equal(frames[0].image, noise(2))
    np.testing.assert_array_equal(frames[2].image, noise(0))
    assert np.abs(frames[1].image.astype(int) - noise(1)).mean() < np.abs(noise(0).astype(int) - noise(1)).mean()
    assert (source.id, source.fps, source.size, source.length) == ("clip.one", 50, (10, 14), 3)
    facts = source.facts()
    assert json.loads(json.dumps(facts)) == facts
    assert (facts["decoded_frames"], facts["first"], facts["last"], facts["suffixes"]) == (3, "frame9.png", "frame11.png", [".jpg", ".png"])


def test_the_rate_is_240_unless_said_otherwise(tmp_path: Path) -> None:
    assert ImageFolderSource(fill(tmp_path, ["1.png"])).fps == 240
    with pytest.raises(SourceError, match="fps is 0, expected a rate above 0"):
        ImageFolderSource(tmp_path, fps=0)


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=9, unique=True), st.text("ab_", max_size=3), st.integers(1, 9))
def test_natural_order_is_that_of_the_numbers(numbers: list[int], stem: str, width: int) -> None:
    names = [f"{stem}{number:0{width}d}x" for number in numbers]
    assert sorted(names, key=natural_key) == [f"{stem}{number:0{width}d}x" for number in sorted(numbers)]


def test_names_of_any_kind_can_be_compared() -> None:
    names = ["b", "7", "a1", "a", "1a", "²", "٣x", ""]  # the superscript is no digit, the Arabic three is
    assert sorted(names, key=natural_key) == ["", "1a", "٣x", "7", "a", "a1", "b", "²"]


@pytest.mark.parametrize("twins", [("img1.png", "img01.png"), ("img1.png", "img1.jpg"), ("img1.png", "IMG1.png")])
def test_two_images_for_one_place(tmp_path: Path, twins: tuple[str, str]) -> None:
    fill(tmp_path, ["img0.png", *twins])
    if len(list(tmp_path.iterdir())) < 3:
        pytest.skip("this file system does not tell upper from lower case")
    with pytest.raises(SourceError, match="expected one image a frame number") as caught:
        ImageFolderSource(tmp_path)
    assert all(name in str(caught.value) for name in twins)


@pytest.mark.parametrize(
    ("names", "before", "after", "step"),
    [
        (numbered([*range(1, 6), *range(7, 23)]), "000005.png", "000007.png", 1),
        (numbered([*range(1, 22), 23]), "000021.png", "000023.png", 1),
        (numbered([*range(0, 50, 10), 60, 70]), "000040.png", "000060.png", 10),
        (numbered([1, 2, 3, 5, 6], "take3_{:02d}_1280x720"), "take3_03_1280x720.png", "take3_05_1280x720.png", 1),
        ([*numbered(range(1, 9)), "000004 copy.png"], "000004.png", "000004 copy.png", 1),
        ([*numbered(range(1, 9)), "000004 (2).png"], "000004.png", "000004 (2).png", 1),
        (["a1.png", "a2.png", "a3.png", "b1.png"], "a3.png", "b1.png", 1),
        (["1.png", "1 copy.png"], "1.png", "1 copy.png", 1),
    ],
)
def test_a_missing_frame_is_named(tmp_path: Path, names: list[str], before: str, after: str, step: int) -> None:
    fill(tmp_path, names)
    told = rf"{re.escape(after)} comes after {re.escape(before)}, expected a step of {step} .*copy it again, .*--keep-variable-rate"
    with pytest.raises(SourceError, match=told) as caught:
        ImageFolderSource(tmp_path)
    assert "\n" not in str(caught.value)
    source = ImageFolderSource(tmp_path, fps=10, keep_variable_rate=True)
    assert [frame.time for frame in source.frames()] == [n / 10 for n in range(len(names))]
    assert source.facts()["variable_rate"] is True


@pytest.mark.parametrize(
    "names",
    [
        ["only.png"],
        ["7.png"],
        ["1.png", "3.png"],
        ["first.png", "second.png", "third.png"],
        ["first2.png", "second.png", "third9.png"],
        numbered(range(47, 60)),
        numbered(range(3, 40, 7)),
        numbered(range(8, 12), "GOPR0384_11_{}"),
        numbered(range(8, 12), "frame{}_1280x720"),
        ["frame_1_0.0042.png", "frame_2_0.0083.png", "frame_3_0.0125.png"],
    ],
)
def test_even_steps_and_names_without_numbers_pass(tmp_path: Path, names: list[str]) -> None:
    source = ImageFolderSource(fill(tmp_path, names))
    assert sum(1 for _ in source.frames()) == len(names)
    assert source.facts()["variable_rate"] is False


def test_folders_that_are_no_source(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(SourceError, match=r"holds no image, expected files with one of the suffixes \.png"):
        ImageFolderSource(tmp_path)
    with pytest.raises(SourceError, match="is not a folder"):
        ImageFolderSource(tmp_path / "no")


def test_trouble_in_the_middle_is_named(tmp_path: Path) -> None:
    fill(tmp_path, ["1.png", "2.png", "3.png"])
    write_rgb(tmp_path / "2.png", noise(height=20))
    source = ImageFolderSource(tmp_path)
    with pytest.raises(SourceError, match=r"2\.png is 20x14, expected 10x14 \(height x width\) as 1\.png"):
        list(source.frames())
    (tmp_path / "2.png").write_text("words")
    with pytest.raises(SourceError, match=r"2\.png is not a readable image"):
        list(source.frames())


def test_fingerprint_sees_names_and_bytes(tmp_path: Path) -> None:
    prints = {
        ImageFolderSource(fill(tmp_path / "a", ["1.png", "2.png"])).fingerprint(),
        ImageFolderSource(fill(tmp_path / "b", ["1.png", "3.png"])).fingerprint(),
        ImageFolderSource(fill(tmp_path / "c", ["2.png", "1.png"])).fingerprint(),
    }
    assert len(prints) == 3
    assert ImageFolderSource(fill(tmp_path / "d", ["1.png", "2.png"])).fingerprint() in prints
    listing = "".join(f"{n}.png\0{hashlib.sha256((tmp_path / 'a' / f'{n}.png').read_bytes()).hexdigest()}\n" for n in (1, 2))
    assert ImageFolderSource(tmp_path / "a").fingerprint() == hashlib.sha256(listing.encode()).hexdigest()


# The protocols


def test_motion_is_an_optional_capability(tmp_path: Path) -> None:
    class Still(ImageFolderSource):
        def motion(self, i: int, j: int, /) -> F32:
            return np.zeros((*self.size, 2), np.float32)

    plain: Source = ImageFolderSource(fill(tmp_path, ["1.png", "2.png"]))
    moving: Source = Still(tmp_path)
    assert not isinstance(plain, HasMotion)
    assert isinstance(moving, HasMotion)
    assert moving.motion(0, 1).shape == (10, 14, 2)
