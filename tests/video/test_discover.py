"""Finding sources below a path."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from blurbench.errors import SourceError
from blurbench.video.decode import VideoSource
from blurbench.video.discover import Found, find_sources, walk
from blurbench.video.images import write_rgb
from tests.video.conftest import MakeVideo
from tests.video.folders import fill, noise, numbered


@pytest.fixture
def footage(tmp_path: Path, make_video: MakeVideo) -> Path:
    """clip2.mp4, clip10.mkv, the image folder clip3/, and things to be passed over."""
    folder = tmp_path / "footage"
    fill(folder / "clip3", ["1.png", "2.png"])
    frames = [noise(n, 32, 48) for n in range(3)]
    make_video(folder / "clip10.mkv", frames)
    make_video(folder / "clip2.mp4", frames)
    (folder / "readme.txt").touch()
    (folder / ".hidden.mp4").touch()
    (folder / "empty").mkdir()
    return folder


def ids(found: list[Found]) -> list[tuple[str, str | None]]:
    return [(one.source.id, one.split) for one in found]


def test_a_folder_of_videos_and_image_folders(footage: Path) -> None:
    found = find_sources(footage, fps=100, keep_variable_rate=True)
    assert ids(found) == [("clip2", None), ("clip3", None), ("clip10", None)]
    video, folder = found[0].source, found[1].source
    assert isinstance(video, VideoSource)
    assert (video.keep_variable_rate, video.fps, folder.fps) == (True, 30, 100)
    assert [sum(1 for _ in one.source.frames()) for one in found] == [3, 2, 3]


def test_one_video_one_image_folder(footage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ids(find_sources(footage / "clip2.mp4")) == [("clip2", None)]
    assert ids(find_sources(footage / "clip3")) == [("clip3", None)]
    monkeypatch.chdir(footage / "clip3")
    assert ids(find_sources(Path())) == [("clip3", None)]


@pytest.mark.parametrize("name", [b"\xff\xfe", b"clip/\xff.png"])
def test_names_that_are_not_utf8(tmp_path: Path, name: bytes) -> None:
    """A folder, and an image in one; refused before any work."""
    place = tmp_path / os.fsdecode(name)
    try:
        fill(place.parent if place.suffix else place, ["1.png"])
        if place.suffix:
            (place.parent / "1.png").rename(place)
    except OSError:
        pytest.skip("this file system has no such names")
    with pytest.raises(
        SourceError, match=r"udcff.* has a name that is not UTF-8, expected one that all systems can write; rename it"
    ) as caught:
        find_sources(tmp_path)
    str(caught.value).encode()


@pytest.mark.parametrize("name", ["li\nne", "cl\tip", "clip\x7f"])
def test_names_with_line_breaks(tmp_path: Path, name: str) -> None:
    fill(tmp_path / name, ["1.png"])
    with pytest.raises(SourceError, match="has a line break or the like in its name, expected one that can be read; rename it") as caught:
        find_sources(tmp_path)
    assert str(caught.value).isprintable()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_no_source(footage: Path) -> None:
    os.mkfifo(footage / "pipe.mp4")
    for place, expected in ((footage / "pipe.mp4", "an?"), (footage, "a")):
        with pytest.raises(SourceError, match=rf"pipe\.mp4 is no plain file \(a pipe or a device\), expected {expected} video file; "):
            find_sources(place)


def test_splits(footage: Path) -> None:
    for split in ("train", "test", "val"):
        (footage.parent / "data" / split).mkdir(parents=True)
    (footage / "clip2.mp4").rename(footage.parent / "data" / "train" / "clip2.mp4")
    (footage / "clip10.mkv").rename(footage.parent / "data" / "test" / "clip2.mkv")
    (footage / "clip3").rename(footage.parent / "data" / "train" / "clip3")
    assert ids(find_sources(footage.parent / "data")) == [("clip2", "train"), ("clip3", "train"), ("clip2", "test")]
    fill(footage.parent / "data" / "beside", ["1.png"])
    with pytest.raises(SourceError, match="beside it beside, expected all footage in split folders"):
        find_sources(footage.parent / "data")


def test_folders_of_the_originals_of_reds(tmp_path: Path) -> None:
    for place in ("train/train_orig/000", "train/train_orig/001", "val/val_orig/000"):
        fill(tmp_path / "REDS" / place, ["1.png"])
    both = [("000", "train"), ("001", "train")]
    assert ids(find_sources(tmp_path / "REDS")) == [*both, ("000", "val")]
    assert ids(find_sources(tmp_path / "REDS/train")) == ids(find_sources(tmp_path / "REDS/train/train_orig")) == both
    for part in ("train_orig_part10", "train_orig_part2", "val_orig_part0"):
        fill(tmp_path / "parts" / part / f"{part}-1", ["1.png"])
    assert [one.split for one in find_sources(tmp_path / "parts")] == ["train", "train", "val"]
    fill(tmp_path / "REDS/train/train_sharp/000", ["1.png"])
    with pytest.raises(SourceError, match=r"train_sharp/000/1\.png would be left out, expected .* directly in .*REDS/train/train_orig/;"):
        find_sources(tmp_path / "REDS")


def test_a_source_given_alone_is_of_the_split_that_it_lies_in(footage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is where the folder is given; but for a folder of videos that merely lies somewhere below one of that name."""
    train = footage.rename(footage.parent / "train")
    together = ids(find_sources(train))
    alone = [one for name in ("clip2.mp4", "clip3", "clip10.mkv") for one in ids(find_sources(train / name))]
    assert alone == together == [("clip2", "train"), ("clip3", "train"), ("clip10", "train")]
    monkeypatch.chdir(train)
    assert [ids(find_sources(Path(place))) for place in ("clip2.mp4", "clip3", "clip3/../clip3")] == [
        [("clip2", "train")],
        *[[("clip3", "train")]] * 2,
    ]
    monkeypatch.chdir(train / "clip3")
    assert ids(find_sources(Path())) == [("clip3", "train")]
    further = train.rename((footage.parent / "val").mkdir() or footage.parent / "val" / "footage")
    assert {split for _, split in ids(find_sources(further)) + ids(find_sources(further / "clip3"))} == {None}
    fill(footage.parent / "REDS/train/train_orig/000", ["1.png"])
    assert ids(find_sources(footage.parent / "REDS/train/train_orig/000")) == [("000", "train")]


def test_folders_of_splits_in_capitals(tmp_path: Path) -> None:
    for place in ("Train/a", "TEST/b", "Val/c"):
        fill(tmp_path / place, ["1.png"])
    every = [("a", "train"), ("c", "val"), ("b", "test")]
    assert ids(find_sources(tmp_path)) == every
    assert [one for place in ("Train", "Val/c", "TEST/b") for one in ids(find_sources(tmp_path / place))] == every
    fill(tmp_path / "Train" / "Train", ["1.png"])  # a clip's name
    assert ids(find_sources(tmp_path))[:2] == [("a", "train"), ("Train", "train")]


def test_a_clip_may_be_called_as_a_split(tmp_path: Path) -> None:
    fill(tmp_path / "train" / "test", ["1.png"])
    assert ids(find_sources(tmp_path)) == [("test", "train")]


@pytest.mark.parametrize("name", ["clip3/3.png", "clip4", "clip4.mp4", "clip3.boxes.csv", "deeper/frames"])
def test_a_link_to_nothing_is_not_passed_over(footage: Path, name: str) -> None:
    (footage / "deeper").mkdir()
    (footage / name).symlink_to("nowhere")
    with pytest.raises(SourceError, match=rf"{re.escape(str(footage / name))} is a link to no"):
        find_sources(footage)


def test_links_are_followed_but_not_round(footage: Path) -> None:
    (footage / "again").symlink_to(footage / "clip3")
    for name, target in (("up", footage.parent), ("self", footage), ("beside", footage / "empty")):
        (footage / "clip3" / name).symlink_to(target)
    names = [(place.relative_to(footage).as_posix(), files) for place, files in walk(footage)]
    kept = ["1.png", "2.png"]
    assert names == [
        *((".", ["clip2.mp4", "clip10.mkv", "readme.txt"]), ("again", kept), ("again/beside", [])),
        *(("clip3", kept), ("clip3/beside", []), ("empty", [])),
    ]


def test_two_of_one_name(footage: Path) -> None:
    (footage / "clip3.mp4").write_bytes((footage / "clip2.mp4").read_bytes())
    with pytest.raises(SourceError, match=r"called 'clip3'") as caught:
        find_sources(footage)
    assert str(footage / "clip3.mp4") in str(caught.value)
    assert f"{footage / 'clip3'} " in str(caught.value)


def test_images_beside_videos_are_no_guess(footage: Path) -> None:
    write_rgb(footage / "poster.png", noise())
    with pytest.raises(SourceError, match=r"both images \(poster\.png\) and other footage \(clip2\.mp4\)"):
        find_sources(footage)
    with pytest.raises(SourceError, match=r"single image.*give the folder"):
        find_sources(footage / "poster.png")


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"holds no footage, expected videos \(.*\.mp4.*\) or folders of images \(\.png") as caught:
        find_sources(tmp_path)
    assert "\n" not in str(caught.value)
    with pytest.raises(SourceError, match="missing is missing, expected a video file or a folder"):
        find_sources(tmp_path / "missing")


@pytest.mark.parametrize("split", [None, "train"])
@pytest.mark.parametrize("deeper", ["day1/b.mkv", "day1/morning/b.mp4", "day1/morning/1.png", "clip3/b.mkv", "clip3/blur/1.png"])
def test_footage_that_lies_deeper_is_not_left_out_in_silence(footage: Path, split: str | None, deeper: str) -> None:
    root = footage.parent / "data" if split else footage
    if split:
        root.mkdir()
        footage.rename(root / split)
    file = (root / split if split else root) / deeper
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    with pytest.raises(
        SourceError, match=rf"{re.escape(str(file))} would be left out, expected .* directly in .*; move or rename"
    ) as caught:
        find_sources(root)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["validation", "TESTS", "extra/clips"])
def test_a_folder_beside_the_splits_is_not_left_out_in_silence(tmp_path: Path, name: str) -> None:
    fill(tmp_path / "train" / "A", ["1.png"])
    fill(tmp_path / name / "B", ["1.png"])
    with pytest.raises(SourceError, match=rf"{name}/B/1\.png would be left out, expected .* directly in its train/, val/ or test/"):
        find_sources(tmp_path)


def test_images_below_images_are_not_left_out_in_silence(tmp_path: Path) -> None:
    fill(tmp_path, ["1.png", "2.png"])
    fill(tmp_path / "more" / "frames", ["1.png"])
    with pytest.raises(SourceError, match=r"more/frames/1\.png would be left out"):
        find_sources(tmp_path)


def test_what_is_no_footage_may_lie_anywhere(footage: Path) -> None:
    for name in ("notes/readme.txt", "__MACOSX/clip3/1.png", "clip3/.thumbnails/1.png", ".git/a.png", "clip3/boxes/1.csv", "day1/._b.mkv"):
        (footage / name).parent.mkdir(parents=True, exist_ok=True)
        (footage / name).touch()
    (footage / "clip3" / "up").symlink_to(footage)
    assert ids(find_sources(footage)) == [("clip2", None), ("clip3", None), ("clip10", None)]


def test_a_folder_with_a_gap_in_its_numbers_among_others(footage: Path) -> None:
    fill(footage / "clip4", numbered([1, 2, 4]))
    with pytest.raises(SourceError, match=r"clip4: 000004\.png comes after 000002\.png"):
        find_sources(footage)
    assert len(find_sources(footage, keep_variable_rate=True)) == 4
