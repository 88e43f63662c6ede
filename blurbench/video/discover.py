"""From a path a user gave to the sources behind it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from blurbench.errors import SourceError
from blurbench.video.decode import VideoSource
from blurbench.video.images import IMAGE_SUFFIXES, ImageFolderSource, folder_name, image_files, natural_key
from blurbench.video.source import Source

SPLITS = ("train", "val", "test")
VIDEO_SUFFIXES = (".3gp", ".avi", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ts", ".webm", ".wmv", ".y4m")


@dataclass(frozen=True)
class Found:
    """A source, and the split whose sub-folder it was in (None: in none)."""

    source: Source
    split: str | None


def find_sources(path: Path, fps: float = 240, keep_variable_rate: bool = False) -> list[Found]:
    """All sources at a path: a video file, a folder of images, or a folder of videos and image folders, all of them perhaps below
    `train`, `val` and `test`. In natural order within each split.

    fps: rate of image folders, which state none. Raises SourceError when nothing is found, when two sources of a split share an id, when
    it would be a guess what belongs to what, when footage lies deeper than that, and for names that are not UTF-8.
    """
    if not path.exists():
        raise SourceError(f"{path} is missing, expected a video file or a folder of videos or images; check the path")
    placed = list(_places(path))
    if not placed:
        raise SourceError(
            f"{path} holds no footage, expected videos ({' '.join(VIDEO_SUFFIXES)}) or folders of images ({' '.join(IMAGE_SUFFIXES)})"
        )
    for place, _ in placed:
        for file in [place, *(image_files(place) if place.is_dir() else [])]:
            require_text(file, file.name)
    _refuse_duplicates(placed)
    return [Found(_open(place, fps, keep_variable_rate), split) for place, split in placed]


def require_text(path: Path, name: str) -> None:
    """Raises SourceError for a name, of this path, that is not UTF-8: ids, fingerprints and manifests could not hold it."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise SourceError(f"{str(path)!a} has a name that is not UTF-8, expected one that all systems can write; rename it") from error


def _places(path: Path) -> Iterator[tuple[Path, str | None]]:
    if path.is_file():
        if path.suffix.lower() in IMAGE_SUFFIXES:
            raise SourceError(f"{path} is a single image, expected a video file or a folder; give the folder the image is in")
        yield path, None
        return
    splits = [path / name for name in SPLITS if (path / name).is_dir()]
    named = "its train/, val/ or test/"
    outside = _footage(path, named if splits else f"{path} or {named}", skip=splits)
    if not splits:
        yield from ((place, None) for place in outside)
        return
    if outside:
        raise SourceError(
            f"{path} holds {splits[0].name}/ and beside it {outside[0].name}, expected all footage in split folders; move it into one"
        )
    for split in splits:
        yield from ((place, split.name) for place in _footage(split, str(split)))


def _footage(folder: Path, expected: str, skip: Sequence[Path] = ()) -> list[Path]:
    """Videos and image folders in a folder, in natural order; the folder itself if it is the image folder. expected: where all may lie."""
    entries = [entry for entry in folder.iterdir() if not _passed_over(entry.name) and entry not in skip]
    inside = [entry for entry in entries if (image_files(entry) if entry.is_dir() else entry.suffix.lower() in VIDEO_SUFFIXES)]
    inside.sort(key=lambda entry: (natural_key(entry.name), entry.name))
    images = image_files(folder)
    if images and inside:
        raise SourceError(
            f"{folder} holds both images ({images[0].name}) and other footage ({inside[0].name}), expected one kind; separate them"
        )
    found = [folder] if images else inside
    if file := next(_deeper([entry for entry in entries if entry.is_dir()], found), None):
        raise SourceError(
            f"{file} would be left out, expected videos and folders of images to lie directly in {expected}; move or rename its folder, "
            "or give that alone"
        )
    return found


def _deeper(folders: list[Path], found: list[Path]) -> Iterator[Path]:
    """Images and videos in folders and all below them that belong to no source found."""
    seen = {os.path.realpath(folder.parent) for folder in folders}  # links may go round
    for folder in folders:
        for name, below, files in os.walk(folder, followlinks=True):
            place, real = Path(name), os.path.realpath(name)
            if real in seen:
                below.clear()
                continue
            seen.add(real)
            below[:] = sorted(each for each in below if not _passed_over(each))
            suffixes = VIDEO_SUFFIXES if place in found else VIDEO_SUFFIXES + IMAGE_SUFFIXES
            yield from (place / file for file in sorted(files) if not _passed_over(file) and file.lower().endswith(suffixes))


def _passed_over(name: str) -> bool:
    """Hidden things, and what macOS puts beside them into archives."""
    return name.startswith(".") or name == "__MACOSX"


def _refuse_duplicates(placed: list[tuple[Path, str | None]]) -> None:
    seen: dict[tuple[str, str | None], Path] = {}
    for place, split in placed:
        name = folder_name(place) if place.is_dir() else place.stem
        if other := seen.get((name, split)):
            raise SourceError(f"{other} and {place} would both be called {name!r}, expected one source of a name in a split; rename one")
        seen[name, split] = place


def _open(place: Path, fps: float, keep_variable_rate: bool) -> Source:
    return ImageFolderSource(place, fps, keep_variable_rate) if place.is_dir() else VideoSource(place, keep_variable_rate)
