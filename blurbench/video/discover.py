"""From a path a user gave to the sources behind it."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from blurbench.errors import SourceError
from blurbench.video.decode import VideoSource
from blurbench.video.images import IMAGE_SUFFIXES, ImageFolderSource, folder_name, image_files, natural_key
from blurbench.video.source import Source

SPLITS = ("train", "val", "test")
VIDEO_SUFFIXES = (".3gp", ".avi", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ts", ".webm", ".wmv", ".y4m")
_OTHER_KINDS = (  # of footage, which are not read
    *(".264", ".265", ".360", ".asf", ".dv", ".f4v", ".flv", ".h264", ".hevc", ".insv", ".m2v", ".mjpeg", ".ogv", ".qt", ".r3d", ".vob"),
    *(".dng", ".exr", ".heic", ".jp2", ".pgm", ".ppm", ".tga", ".webp"),
)
_SPLIT = re.compile(rf"({'|'.join(SPLITS)})(_orig(_part\d+)?)?", re.IGNORECASE)  # REDS has train_orig/, in parts train_orig_part0/ to 15/


@dataclass(frozen=True)
class Found:
    """A source, and the split whose sub-folder it was in (None: in none)."""

    source: Source
    split: str | None


def find_sources(path: Path, fps: float = 240, keep_variable_rate: bool = False) -> list[Found]:
    """All sources at a path: a video file, a folder of images, or a folder of videos and image folders, all of them perhaps below
    folders that stand for a split (`split_named`), as the path itself may, or the folder in which it lies where it is one source. In
    natural order within each split.

    fps: rate of image folders, which state none. Raises SourceError when nothing is found, when two sources of a split share an id, when
    it would be a guess what belongs to what, when footage lies deeper than that, for names that are not UTF-8 and for links to nothing.
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
    """Raises SourceError for a name, of this path, that is not UTF-8 or holds a line break or the like: ids, fingerprints and manifests
    could not hold it, or nobody could read it there.
    """
    if any(unicodedata.category(character) == "Cc" for character in name):
        raise SourceError(f"{str(path)!a} has a line break or the like in its name, expected one that can be read; rename it")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise SourceError(f"{str(path)!a} has a name that is not UTF-8, expected one that all systems can write; rename it") from error


def split_named(folder: str) -> str | None:
    """The split that a folder of this name stands for: `train`, or as REDS has it `train_orig` and `train_orig_part1`, in capitals or not;
    None for others.
    """
    match = _SPLIT.fullmatch(folder)
    return match[1].lower() if match else None


def split_around(path: Path) -> str | None:
    """The split that the folder stands for in which a path lies."""
    return split_named(_absolute(path).parent.name)


def by_folder(source: Source) -> bool:
    """Whether a source that was found stands in the folder of a split, or is one itself; pictures may lie anywhere below it."""
    place: Path | None = getattr(source, "folder", None) or getattr(source, "path", None)
    if place is None:
        return False
    if place.suffix.lower() in IMAGE_SUFFIXES:
        return split_above(place) is not None
    return bool(split_named(folder_name(place)) or split_around(place))


def split_above(path: Path) -> Path | None:
    """The nearest folder above a path that stands for a split; None where there is none, or where the path holds split folders itself."""
    if path.is_dir() and split_folders(path):
        return None
    return next((folder for folder in _absolute(path).parents if split_named(folder.name)), None)


def split_folders(folder: Path) -> dict[Path, str]:
    """The folders directly in a folder that stand for a split, with that: first train, then val, then test."""
    named = {entry: split for entry in folder.iterdir() if (split := split_named(entry.name)) and entry.is_dir()}
    return dict(sorted(named.items(), key=lambda item: (SPLITS.index(item[1]), natural_key(item[0].name))))


def walk(folder: Path, above: Sequence[Path] = ()) -> Iterator[tuple[Path, list[str]]]:
    """A folder and those below it, each with the names of its files, in natural order; hidden ones are passed over.

    Links are followed, but for those that lead back to a folder that they lie in, or to one of `above` (real paths). Raises SourceError for
    a link to nothing whose name has no suffix: it may have been a folder.
    """
    real = folder.resolve()
    if any(each.is_relative_to(real) for each in above):
        return
    with os.scandir(folder) as entries:
        kinds = {entry.name: _is_folder(entry) for entry in entries if not _passed_over(entry.name)}
    names = sorted(kinds, key=lambda name: (natural_key(name), name))
    yield folder, [name for name in names if not kinds[name]]
    for name in names:
        if kinds[name]:
            yield from walk(folder / name, (*above, real))


def pictures_below(folder: Path, skip: Collection[Path] = ()) -> list[Path]:
    """The pictures in a folder and its folders without those to skip, in natural order; hidden ones are passed over."""
    places = [place for place, _ in walk(folder) if not any(place.is_relative_to(each) for each in skip)]
    return [file for place in places for file in image_files(place)]


def not_taken(path: Path) -> list[Path]:
    """Files below a path of kinds of footage that are not read, such as GoPro's `.360`."""
    below = walk(path) if path.is_dir() else ()
    return [place / name for place, names in below for name in names if name.lower().endswith(_OTHER_KINDS)]


def _absolute(path: Path) -> Path:
    """Without `..`, and with the links that it goes through."""
    return Path(os.path.abspath(path))  # noqa: PTH100  Path.absolute keeps `..`


def _is_folder(entry: os.DirEntry[str]) -> bool:
    if not entry.is_symlink():
        return entry.is_dir()
    path = Path(entry)
    if not path.suffix:
        _require_target(path)
    return path.is_dir()


def _require_target(path: Path) -> None:
    if path.is_symlink() and not path.exists():
        raise SourceError(f"{path} is a link to {path.readlink()}, where nothing is; mend the link, or remove it")


def _places(path: Path) -> Iterator[tuple[Path, str | None]]:
    if not path.is_dir():
        if not path.is_file():
            raise SourceError(f"{path} is no plain file (a pipe or a device), expected a video file; save it to disk, and give that")
        if path.suffix.lower() in IMAGE_SUFFIXES:
            raise SourceError(f"{path} is a single image, expected a video file or a folder; give the folder the image is in")
        yield path, split_around(path)
        return
    named = "its train/, val/ or test/"
    splits = split_folders(path)
    if not splits:
        footage = _footage(path, f"{path} or {named}")
        split = split_named(folder_name(path)) or (split_around(path) if footage == [path] else None)
        yield from ((place, split) for place in footage)
        return
    _refuse_beside(path, splits, named)
    for folder, split in splits.items():
        if parts := [part for part, its in split_folders(folder).items() if its == split != part.name.lower()]:  # REDS: train/train_orig/
            _refuse_beside(folder, parts, " or ".join(f"{part}/" for part in parts))
        for part in parts or [folder]:
            yield from ((place, split) for place in _footage(part, str(part)))


def _refuse_beside(folder: Path, splits: Collection[Path], expected: str) -> None:
    """Raises SourceError for footage in a folder that is in none of those that stand for a split."""
    if outside := _footage(folder, expected, splits):
        held = f"{folder} holds {next(iter(splits)).name}/ and beside it {outside[0].name}"
        raise SourceError(f"{held}, expected all footage in split folders; move it into one")


def _footage(folder: Path, expected: str, skip: Collection[Path] = ()) -> list[Path]:
    """Videos and image folders in a folder, in natural order; the folder itself if it is the image folder. expected: where all may lie."""
    entries = [entry for entry in folder.iterdir() if not _passed_over(entry.name) and entry not in skip]
    for entry in entries:
        _require_target(entry)
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
    for folder in folders:
        for place, names in walk(folder, [folder.parent.resolve()]):
            suffixes = VIDEO_SUFFIXES if place in found else VIDEO_SUFFIXES + IMAGE_SUFFIXES
            yield from (place / name for name in names if name.lower().endswith(suffixes))


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
