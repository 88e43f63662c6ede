"""Decoding: colours by the stated matrix and range, or by the assumed ones."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from blurbench.errors import SourceError
from blurbench.types import F64, U8
from blurbench.video.decode import VideoSource
from tests.video.conftest import MakeVideo
from tests.video.reading import moving

LIMITED, FULL = 1, 2


LUMA = {"bt709": (0.2126, 0.0722), "bt601": (0.299, 0.114), "bt2020": (0.2627, 0.0593)}  # weights of red and blue in luma


def yuv_to_rgb(planes: NDArray[np.integer], matrix: str, full: bool, bits: int = 8) -> F64:
    """(3, H, W) YUV codes -> (H, W, 3) float64 RGB on 0..255, straight from the definition in ITU-R BT.601 / BT.709."""
    unit = 2.0 ** (bits - 8)
    top = 2**bits - 1
    y, cb, cr = planes.astype(np.float64)
    y, cb, cr = (y / top, (cb - 128 * unit) / top, (cr - 128 * unit) / top) if full else (
        (y - 16 * unit) / (219 * unit), (cb - 128 * unit) / (224 * unit), (cr - 128 * unit) / (224 * unit))  # fmt: skip
    kr, kb = LUMA[matrix]
    red, blue = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    green = (y - kr * red - kb * blue) / (1 - kr - kb)
    return np.clip(np.stack([red, green, blue], axis=-1) * 255, 0, 255)


def patches(height: int, width: int, side: int = 16, seed: int = 0) -> U8:
    """(3, height, width) YUV planes of flat patches, of colours that mostly exist."""
    low, high = np.array([30, 80, 80])[:, None, None], np.array([220, 176, 176])[:, None, None]
    small = np.random.default_rng(seed).integers(low, high, (3, -(-height // side), -(-width // side)))
    return np.kron(small, np.ones((1, side, side)))[:, :height, :width].astype(np.uint8)


def stored(planes: NDArray[np.integer], pix_fmt: str) -> av.VideoFrame:
    """A frame that holds exactly these planes; chroma is subsampled as the format wants."""
    frame = av.VideoFrame(planes.shape[2], planes.shape[1], pix_fmt)
    for target, source in zip(frame.planes, planes, strict=False):
        rows, columns = planes.shape[1] // target.height, planes.shape[2] // target.width
        kind = np.uint16 if frame.format.components[0].bits > 8 else np.uint8
        memory = np.frombuffer(memoryview(target), kind).reshape(target.height, -1)
        memory[:, : target.width] = source[::rows, ::columns]
    return frame


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize(("matrix", "code"), [("bt709", 1), ("bt601", 5), ("bt601", 6), ("bt2020", 9)])
def test_stated_matrix_and_range_are_used(tmp_path: Path, make_video: MakeVideo, matrix: str, code: int, full: bool) -> None:
    planes = patches(64, 96, side=1)
    path = make_video(
        tmp_path / "a.mp4", [stored(planes, "yuv444p")], pix_fmt="yuv444p", matrix=code, color_range=FULL if full else LIMITED
    )
    source = VideoSource(path)
    (frame,) = source.frames()
    assert np.abs(frame.image - yuv_to_rgb(planes, matrix, full)).max() <= 1
    facts = source.facts()
    assert (facts["matrix"], facts["matrix_origin"]) == (matrix, "stated")
    assert (facts["range"], facts["range_origin"]) == ("full" if full else "limited", "stated")


@pytest.mark.parametrize(("height", "matrix"), [(718, "bt601"), (720, "bt709")])
def test_unstated_matrix_goes_by_height(tmp_path: Path, make_video: MakeVideo, height: int, matrix: str) -> None:
    planes = patches(height, 96)
    source = VideoSource(make_video(tmp_path / "a.mp4", [stored(planes, "yuv420p")]))
    (frame,) = source.frames()
    inside = np.s_[6::16, 6::16]  # away from the edges of the patches, where chroma is interpolated
    assert np.abs(frame.image[inside] - yuv_to_rgb(planes, matrix, False)[inside]).max() <= 1
    facts = source.facts()
    assert (facts["matrix"], facts["matrix_origin"], facts["range"], facts["range_origin"]) == (matrix, "assumed", "limited", "assumed")


def test_ten_bits_become_eight(tmp_path: Path, make_video: MakeVideo) -> None:
    planes = patches(64, 96).astype(np.uint16) * 4 + 2
    source = VideoSource(make_video(tmp_path / "a.mkv", [stored(planes, "yuv420p10le")], codec="ffv1", pix_fmt="yuv420p10le"))
    (frame,) = source.frames()
    assert frame.image.dtype == np.uint8
    inside = np.s_[6::16, 6::16]
    assert np.abs(frame.image[inside] - yuv_to_rgb(planes, "bt601", False, bits=10)[inside]).max() <= 1
    assert source.facts()["pix_fmt"] == "yuv420p10le"


DEEP = ["yuv444p10le", "yuv444p12le", "gbrp10le", "gbrp12le", "gbrp16le", "gray10le", "gray12le", "gray16le"]


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("pix_fmt", DEEP)
def test_more_than_eight_bits_are_rounded(tmp_path: Path, make_video: MakeVideo, pix_fmt: str, full: bool) -> None:
    bits = int(pix_fmt[-4:-2])
    low, high = (30, 80, 80), (220, 176, 176)
    if not pix_fmt.startswith("yuv"):
        low, high = (0,) * 3, (256,) * 3
    bounds = np.array([low, high])[..., None, None] << bits - 8
    planes = np.random.default_rng(0).integers(*bounds, (3, 64, 96)).astype(np.uint16)
    planes[:, 0, :2] = planes.min(), planes.max()
    path = make_video(
        tmp_path / "a.mkv", [stored(planes, pix_fmt)], codec="ffv1", pix_fmt=pix_fmt, matrix=1 if "yuv" in pix_fmt else None,
        color_range=FULL if full else LIMITED,
    )  # fmt: skip
    (frame,) = VideoSource(path).frames()
    if pix_fmt.startswith("yuv"):
        expected = yuv_to_rgb(planes, "bt709", full, bits)
    else:
        unit = 2.0 ** (bits - 8)
        levels = planes * (255 / (2**bits - 1)) if full else np.clip((planes / unit - 16) * 255 / 219, 0, 255)
        expected = np.stack([levels[0]] * 3 if pix_fmt.startswith("gray") else [levels[2], levels[0], levels[1]], axis=-1)
    difference = frame.image - expected
    assert np.abs(difference).max() < 0.52
    assert abs(difference.mean()) < 0.02


@pytest.mark.parametrize(
    ("transfer", "primaries", "names"), [(1, 1, ("bt709", "bt709")), (8, 9, ("linear", "bt2020")), (13, 12, ("iec61966-2-1", "smpte432"))]
)
def test_transfer_and_primaries_are_recorded(
    tmp_path: Path, make_video: MakeVideo, transfer: int, primaries: int, names: tuple[str, str]
) -> None:
    path = make_video(tmp_path / "a.mp4", moving(2), transfer=transfer, primaries=primaries)
    facts = VideoSource(path).facts()
    assert (facts["transfer"], facts["primaries"]) == names


@pytest.mark.parametrize(("transfer", "name"), [(16, r"PQ \(smpte2084\)"), (18, r"HLG \(arib-std-b67\)")])
def test_high_dynamic_range_is_refused(tmp_path: Path, make_video: MakeVideo, transfer: int, name: str) -> None:
    path = make_video(tmp_path / "a.mp4", moving(2), transfer=transfer, primaries=9, matrix=9)
    with pytest.raises(SourceError, match=rf"a\.mp4: its transfer .* is {name}, expected .*; tone-map it to bt709 first") as caught:
        VideoSource(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("pix_fmt", ["bgra", "yuva420p"])
def test_alpha_is_refused(tmp_path: Path, make_video: MakeVideo, pix_fmt: str) -> None:
    path = make_video(tmp_path / "a.mkv", moving(2), codec="ffv1", pix_fmt=pix_fmt)
    with pytest.raises(SourceError, match=rf"a\.mkv: its pictures have an alpha channel \({pix_fmt}\), expected none"):
        VideoSource(path)


@pytest.mark.parametrize(("color_range", "black", "white"), [(None, 0, 255), (FULL, 0, 255), (LIMITED, 16, 235)])
def test_grey_and_its_range(tmp_path: Path, make_video: MakeVideo, color_range: int | None, black: int, white: int) -> None:
    codes = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    source = VideoSource(make_video(tmp_path / "a.mkv", [stored(codes, "gray")], codec="ffv1", pix_fmt="gray", color_range=color_range))
    (frame,) = source.frames()
    expected = np.clip((codes[0].astype(np.float64) - black) * 255 / (white - black), 0, 255)
    assert np.abs(frame.image - expected[..., None]).max() <= 0.5
    facts = source.facts()
    assert (facts["matrix"], facts["range"]) == ("grey", "limited" if color_range == LIMITED else "full")
    assert facts["range_origin"] == ("assumed" if color_range is None else "stated")


def test_stored_rgb_is_exact(tmp_path: Path, make_video: MakeVideo) -> None:
    frames = moving(3)
    source = VideoSource(make_video(tmp_path / "a.mkv", frames, codec="libx264rgb", pix_fmt="rgb24"))
    np.testing.assert_array_equal([frame.image for frame in source.frames()], frames)
    assert source.facts()["matrix"] == "rgb"


def test_motion_jpeg_states_full_range(tmp_path: Path, make_video: MakeVideo) -> None:
    planes = patches(64, 96)
    path = make_video(
        tmp_path / "a.avi", [stored(planes, "yuvj420p")], codec="mjpeg", pix_fmt="yuvj420p", color_range=FULL, qmin="1", qmax="1"
    )
    source = VideoSource(path)
    (frame,) = source.frames()
    inside = np.s_[6::16, 6::16]
    assert np.abs(frame.image[inside] - yuv_to_rgb(planes, "bt601", True)[inside]).mean() < 2
    assert (source.facts()["range"], source.facts()["range_origin"]) == ("full", "stated")


def test_a_matrix_that_cannot_be_undone_is_refused(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "a.mp4", [stored(patches(64, 96), "yuv444p")], pix_fmt="yuv444p", matrix=8)  # YCgCo
    with pytest.raises(SourceError, match=r"a\.mp4.*code 8.*expected one of.*bt709"):
        VideoSource(path)
