"""The files of a site: written only where they change, media named by their content, and what an earlier build left is removed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from blurbench.errors import DataSetError
from blurbench.store.disk import part_of, telling
from blurbench.store.manifest import write_json

INDEX = ".site.json"
_FORMAT = 1
_PLAIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Media:
    """Files made from one input: paths in the site by name, and JSON-ready facts that a page must know of them."""

    files: dict[str, str]
    facts: dict[str, Any]


@dataclass
class Counts:
    """How many files a build wrote, left as they were, and removed."""

    written: int = 0
    kept: int = 0
    removed: int = 0


@dataclass(frozen=True)
class Made:
    """What `SiteFiles.media` is to keep: bytes by name with the suffix of their file, and the facts."""

    files: Mapping[str, tuple[str, bytes]]
    facts: Mapping[str, Any] = field(default_factory=dict)


class SiteFiles:
    """A folder that a site is built into.

    Raises DataSetError for a folder that holds the index of a newer format, and wherever a file cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.counts = Counts()
        self._old, self._known = _read_index(folder / INDEX)
        self._there = {path for path in self._old if (folder / path).is_file()}
        self._used: dict[str, Media] = {}
        self._files: set[str] = set()

    def write(self, path: str, content: str | bytes) -> str:
        """Put a file at a relative path, unless it already holds that; returns the path."""
        data = content.encode("utf-8", "replace") if isinstance(content, str) else content
        place = self.folder / path
        self._files.add(path)
        if _holds(place, data):
            self.counts.kept += 1
            return path
        _put(place, data)
        self.counts.written += 1
        return path

    def media(self, key: object, make: Callable[[], Made], folder: str = "media") -> Media:
        """Files that `make` returns, named by the hash of their content, made again only if the `key` (JSON-ready) is new or one is gone.

        key: all that decides on the content.
        """
        name = digest(key)
        known = self._known.get(name)
        if known and all(path in self._there for path in known.files.values()):
            self._files.update(known.files.values())
            self.counts.kept += len(known.files)
            self._used[name] = known
            return known
        made = make()
        files = {
            kind: self.write(f"{folder}/{hashlib.sha256(data).hexdigest()[:20]}{suffix}", data)
            for kind, (suffix, data) in made.files.items()
        }
        self._used[name] = Media(files, dict(made.facts))
        return self._used[name]

    @property
    def left(self) -> set[str]:
        """The files of an earlier build that this one does not have, so far."""
        return self._old - self._files

    def finish(self) -> Counts:
        """Remove what is `left` of an earlier build, and enter what there is."""
        for path in self.left:
            with telling(self.folder / path), suppress(FileNotFoundError):
                (self.folder / path).unlink()
                self.counts.removed += 1
        table = {
            "format": _FORMAT,
            "files": sorted(self._files),
            "media": {name: [media.files, media.facts] for name, media in sorted(self._used.items())},
        }
        if not _holds(self.folder / INDEX, json.dumps(table, indent=1).encode()):
            write_json(self.folder / INDEX, table)
        return self.counts


def digest(key: object) -> str:
    """SHA-256 of anything JSON-ready."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def page_name(text: str) -> str:
    """A name of a file for any text, the same on every system: plain text stays, all else becomes plain and gets a hash.

    Two texts never share a name, nor do names differ in case alone.
    """
    if _PLAIN.fullmatch(text) and ".." not in text and not text.endswith("."):
        return text
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60]
    return f"{plain or 'x'}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def _put(path: Path, data: bytes) -> None:
    """The file appears whole or not at all. It is not forced to disk, which would take most of the time: a site is built again."""
    with telling(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = part_of(path)
        try:
            part.write_bytes(data)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def _holds(path: Path, data: bytes) -> bool:
    with suppress(OSError):
        return path.stat().st_size == len(data) and path.read_bytes() == data
    return False


def _read_index(path: Path) -> tuple[set[str], dict[str, Media]]:
    """Files and media of the build before; nothing where there was none, or the index is damaged."""
    try:
        table = json.loads(path.read_text())
        if (format := int(table["format"])) > _FORMAT:  # first: a newer one may have other keys
            raise DataSetError(
                f"{path} has format {format}, this blurbench reads up to {_FORMAT}; install a newer blurbench or give another --out"
            )
        files, media = set(map(str, table["files"])), {name: Media(*entry) for name, entry in table["media"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return set(), {}
    return {name for name in files if _inside(name)}, media


def _inside(path: str) -> bool:
    """Whether a path of the index lies in the site: nothing else is ever removed."""
    pure = PurePosixPath(path)
    return not pure.is_absolute() and ".." not in pure.parts and path != INDEX
