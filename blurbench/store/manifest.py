"""The manifest of a made data set: which shards it has, what they were made from, and its fingerprints.

A *fingerprint* identifies what went in (recipe, sources, seed, interpolator) and is the same on every machine; leaderboards compare it.
*content* is a digest of the stored values themselves.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from blurbench.errors import DataSetError
from blurbench.store.disk import looking, replacing

FORMAT = 1
NAME = "manifest.json"
_AGAIN = "delete it and repeat the command that made the data set, finished shards are kept"
_WORDS: dict[Any, str] = {str: "text", int: "a whole number", list[str]: "a list of texts", dict[str, Any]: "a table"}  # of values


@dataclass(frozen=True)
class Entry:
    """One finished shard. `file` is relative to the manifest; `frames` were read, `unused` of them are in no sample.

    `left_out`: windows that became no sample, counted by reason.
    """

    video: str
    file: str
    samples: int
    frames: int
    unused: int
    fingerprint: str
    content: str
    left_out: dict[str, int] = field(default_factory=dict)


@dataclass
class Manifest:
    """What `manifest.json` says. `footage`: "video", "rendered" or "released" (an import). `splits`: entries by split, sorted by video.

    `changes`: `key=value` for keys of the recipe that the user set otherwise. `missing`: videos that the recipe's lists name and no source
    had. `empty`: by split, videos of which the recipe left out every window, and why. `unfinished`: by split, videos that a run planned and
    that are not made yet; none in a finished data set.
    """

    dataset: str
    version: int
    title: str
    footage: str
    transfer: str
    recipe: dict[str, Any]
    blurbench: str
    splits: dict[str, list[Entry]] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)
    missing: dict[str, list[str]] = field(default_factory=dict)
    empty: dict[str, dict[str, str]] = field(default_factory=dict)
    unfinished: dict[str, list[str]] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def label(self) -> str:
        """The name to show: rendered footage, changed recipes, what was made again and what is unfinished never pass as a paper's data."""
        # The recipe `rendered` says so by its name.
        suffix = "" if self.footage == "video" or self.footage == self.dataset else f"-{self.footage}"
        changes = f"[{','.join(sorted(self.changes))}]" if self.changes else ""
        return self.dataset + suffix + changes + ("-unfinished" if self.unfinished else "")

    def videos(self) -> set[str]:
        """The videos of all splits."""
        return {entry.video for entries in self.splits.values() for entry in entries}

    def fingerprint(self, split: str) -> str:
        """SHA-256 of what the split was made from."""
        return _combine(entry.video + entry.fingerprint for entry in self.splits[split])

    def content(self, split: str) -> str:
        """SHA-256 of the split's stored values."""
        return _combine(entry.video + entry.content for entry in self.splits[split])

    def plan(self, split: str, videos: Collection[str]) -> list[str]:
        """Name as unfinished what of a split is to be made and is not there. Returns what was so named before, and is planned no longer."""
        there = {entry.video for entry in self.splits.get(split, [])} | self.empty.get(split, {}).keys()
        before = self.unfinished.pop(split, [])
        if lacking := sorted(set(videos) - there):
            self.unfinished[split] = lacking
        return [video for video in before if video not in videos]

    def enter(self, split: str, entry: Entry) -> None:
        """Add or replace a finished shard."""
        self._settle(split, entry.video)
        others = [other for other in self.splits.get(split, []) if other.video != entry.video]
        self.splits[split] = sorted([*others, entry], key=lambda e: e.video)

    def drop(self, split: str, video: str) -> None:
        """Take out a video of which nothing can be made, and what was made of it before; a split without videos is none."""
        self._settle(split, video)
        others = [other for other in self.splits.pop(split, []) if other.video != video]
        self.splits |= {split: others} if others else {}

    def leave_out(self, split: str, video: str, reason: str) -> None:
        """Name a video of which nothing is left; what was made of it before goes."""
        self.drop(split, video)
        self.empty.setdefault(split, {})[video] = reason

    def _settle(self, split: str, video: str) -> None:
        """Forget that a video is empty or unfinished."""
        if self.empty.get(split, {}).pop(video, None) and not self.empty[split]:
            del self.empty[split]
        if video in self.unfinished.get(split, []):
            self.unfinished[split].remove(video)
            self.unfinished = {name: videos for name, videos in self.unfinished.items() if videos}

    def write(self, folder: Path) -> None:
        """Write atomically. Raises DataSetError when it cannot be written."""
        write_json(folder / NAME, self.table())

    def table(self) -> dict[str, Any]:
        """What is written: the fields, `fingerprints` and `contents` by split."""
        table = asdict(self)
        table["fingerprints"] = {split: self.fingerprint(split) for split in self.splits}
        table["contents"] = {split: self.content(split) for split in self.splits}
        return table


def read(folder: Path) -> Manifest:
    """The manifest of a folder. Raises DataSetError."""
    return parse(read_text(folder), str(folder / NAME))


def read_text(folder: Path) -> str:
    """The text of a folder's manifest. Raises DataSetError."""
    try:
        with looking(folder / NAME):
            return (folder / NAME).read_text()
    except FileNotFoundError:
        raise DataSetError(f"{folder} is not a made data set: it has no {NAME}; make one with `blurbench make-dataset`") from None
    except UnicodeDecodeError as error:
        raise _damaged(str(folder / NAME), error) from error


def parse(text: str, where: str) -> Manifest:
    """A manifest from its text; where: named in errors. Raises DataSetError."""
    try:
        table = json.loads(text)
    except json.JSONDecodeError as error:
        raise _damaged(where, error) from error
    try:
        if table.get("format", 0) > FORMAT:
            raise DataSetError(f"{where} has format {table['format']}, this blurbench reads up to {FORMAT}; install a newer blurbench")
        table.pop("fingerprints", None), table.pop("contents", None)
        table["splits"] = {split: [Entry(**entry) for entry in entries] for split, entries in table["splits"].items()}
        manifest = Manifest(**table)
        _require_kinds(manifest, get_type_hints(Manifest), "")
        kinds = get_type_hints(Entry)
        for split, entries in manifest.splits.items():
            for entry in entries:
                _require_kinds(entry, kinds, f" of {split}/{entry.video}")
        return manifest
    except (KeyError, TypeError, AttributeError) as error:
        raise DataSetError(f"{where} is not a manifest of this blurbench: {error}; {_AGAIN}") from error


def _require_kinds(record: Manifest | Entry, kinds: Mapping[str, Any], where: str) -> None:
    """Raises TypeError for a value that is not of the kind that its field has. kinds: by field. where: for the message."""
    for name, kind in kinds.items():
        if not _fits(value := getattr(record, name), kind):
            raise TypeError(f"{name}{where} is {str(value)[:60]!r}, expected {_WORDS.get(kind, kind)}")


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value read from JSON is of a kind: text, a whole number, a table or list of such. Entries are looked at by themselves."""
    outer, inner = get_origin(kind) or kind, get_args(kind)
    if outer is dict:
        return isinstance(value, dict) and all(_fits(each, inner[1]) for each in value.values())
    if outer is list:
        return isinstance(value, list) and all(_fits(each, inner[0]) for each in value)
    return kind in (Any, Entry) or (isinstance(value, kind) and not isinstance(value, bool))


def write_json(path: Path, table: Mapping[str, Any]) -> None:
    """Write JSON under a temporary name, flush to disk, rename. Raises DataSetError when it cannot be written."""
    with replacing(path) as part, part.open("w") as file:
        json.dump(table, file, indent=1, allow_nan=False)


def _damaged(where: str, error: Exception) -> DataSetError:
    return DataSetError(f"{where} is damaged ({error}); {_AGAIN}")


def _combine(parts: Any) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode())
    return digest.hexdigest()
