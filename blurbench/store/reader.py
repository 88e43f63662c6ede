"""Opening a made data set, a folder or one packed file, and going through its samples."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Container, Iterator, Sequence
from pathlib import Path

import h5py

from blurbench.errors import DataSetError, UnknownNameError, did_you_mean
from blurbench.registry import DATASETS
from blurbench.store import manifest as manifests
from blurbench.store import pack
from blurbench.store.disk import looking
from blurbench.store.manifest import Entry, Manifest
from blurbench.store.shard import Shard, sample_id
from blurbench.types import Sample


def data_root() -> Path:
    """Where data sets are made and looked for: $BLURBENCH_DATA (where it is set, `~` is the home folder), or ./data."""
    return Path(os.environ.get("BLURBENCH_DATA") or "data").expanduser()


class EnteredShard(Shard):
    """A shard that is the one its manifest names, or cannot be opened: a run killed between writing the two leaves them apart."""

    def __init__(self, path: Path, entry: Entry, group: str = "/") -> None:
        super().__init__(path, entry.video, group)
        self.entry = entry

    def _open(self) -> h5py.Group:
        arrays = super()._open()
        for name in ("fingerprint", "content"):
            if arrays.attrs.get(name) != getattr(self.entry, name):
                self.close()
                raise DataSetError(f"shard {self.path} has not the {name} of the manifest; make the data set again into the same folder")
        return arrays


class MadeDataSet:
    """A made data set: its manifest and its folder, or packed file."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self.packed = folder.is_file()

    def entries(self, split: str) -> list[Entry]:
        """What the manifest says of a split, by video. Raises UnknownNameError."""
        if split not in self.manifest.splits:
            raise UnknownNameError("split", split, self.manifest.splits, str(self.folder))
        return self.manifest.splits[split]

    def shards(self, split: str) -> list[Shard]:
        """The shards of a split, by video. Raises UnknownNameError, and DataSetError when a shard of the manifest is missing."""
        return self._present(self.entries(split))

    def _present(self, entries: Sequence[Entry]) -> list[Shard]:
        """The shards of entries. Raises DataSetError when one is missing."""
        if missing := self.missing(entries):
            raise DataSetError(
                f"shard {self.folder / missing[0].file} of the manifest is missing; make the data set again into the same folder"
            )
        return [self.shard(entry) for entry in entries]

    def shard(self, entry: Entry, compare: bool = True) -> Shard:
        """The shard of an entry of the manifest, whether it is there or not.

        compare: opening it raises DataSetError when its fingerprint or content is not that of the entry.
        """
        path, group = (self.folder, entry.file) if self.packed else (self.folder / entry.file, "/")
        return EnteredShard(path, entry, group) if compare else Shard(path, entry.video, group)

    def missing(self, entries: Sequence[Entry]) -> list[Entry]:
        """Those of the entries that have no shard."""
        if not self.packed:
            return [entry for entry in entries if not (self.folder / entry.file).is_file()]
        return pack.missing(self.folder, entries)

    def count(self, split: str) -> int:
        """Number of samples of a split."""
        return sum(entry.samples for entry in self.manifest.splits.get(split, []))

    def ids(self, split: str) -> list[str]:
        """The ids of all samples of a split, in the order of `samples`; opens nothing."""
        return [sample_id(entry.video, index) for entry in self.entries(split) for index in range(entry.samples)]

    def place(self, id: str, split: str | None = None) -> tuple[str, Entry, int]:
        """Where a sample is, by its id: the split, the entry of its video, and the row there; opens nothing.

        split: where to look; in all by default. Raises UnknownNameError for a split that is not there and a video that is in none,
        DataSetError for a number that the video does not have, and for an id that several splits have.
        """
        splits = self.manifest.splits if split is None else {split: self.entries(split)}
        there = [(name, entry) for name, listed in splits.items() for entry in listed if entry.samples]
        video = id.rpartition("/")[0] or id
        if not (held := [(name, entry) for name, entry in there if entry.video == video]):
            raise UnknownNameError("video", video, {entry.video for _, entry in there}, str(self.folder))
        ids = [sample_id(video, row) for row in range(max(entry.samples for _, entry in held))]
        if id not in ids:
            raise DataSetError(f"no sample {id!r} in {self.folder}, expected {ids[0]} to {ids[-1]}; give one of them")
        row = ids.index(id)
        found = [(name, entry, row) for name, entry in held if row < entry.samples]
        if len(found) > 1:
            names = sorted(name for name, _, _ in found)
            told = f"sample {id!r} is in the splits {' and '.join(names)} of {self.folder}, expected to be in one"
            raise DataSetError(f"{told}; name the split, as --split {names[0]}")
        return found[0]

    def sample(self, id: str, before: int = 0, after: int = 0, split: str | None = None) -> Sample:
        """One sample by its id, of this split or of the only one that has it, with so many neighbouring exposures.

        Raises UnknownNameError and DataSetError for an id that is not there, see `place`, and DataSetError when its shard is missing.
        """
        _, entry, row = self.place(id, split)
        with contextlib.closing(self._present([entry])[0]) as shard:
            return shard.sample(row, before, after)

    def samples(self, split: str, before: int = 0, after: int = 0, skip: Container[str] = ()) -> Iterator[Sample]:
        """All samples of a split but those to skip, video by video, with so many neighbouring exposures; one shard is open at a time."""
        for shard in self.shards(split):
            yield from shard.samples(before, after, skip)
            shard.close()


def manifest_text(place: Path) -> str:
    """The text of the manifest of a folder or packed file. Raises DataSetError."""
    return pack.manifest_text(place) if place.is_file() else manifests.read_text(place)


def open_dataset(name: str | Path) -> MadeDataSet:
    """A made data set by folder or packed file, or by name below `data_root()`. Raises DataSetError."""
    places = [Path(name), data_root() / name, data_root() / f"{name}.h5"]
    with looking(places[0]):
        found = next((place for place in places if (place / manifests.NAME).is_file() or place.is_file()), None)
    if found:
        return MadeDataSet(found, manifests.parse(manifest_text(found), str(found if found.is_file() else found / manifests.NAME)))
    if str(name) and places[0].is_dir():
        raise DataSetError(f"{name} is a folder without {manifests.NAME}; `blurbench make-dataset` makes one, `--source {name}` reads one")
    raise DataSetError(_absent(str(name)))


def _absent(name: str) -> str:
    """What to say of a data set that is not there: how it is made, where a recipe has its name, else what may be meant."""
    root, recipes = data_root(), DATASETS.names()
    told = f"no data set {name!r} here or in {root}/"
    if name in recipes:
        return f"{told}; make it with `blurbench make-dataset {name}`"
    made = {path.parent.name for path in root.glob(f"*/{manifests.NAME}")} | {path.stem for path in root.glob("*.h5")}
    hint = did_you_mean(name, made) or did_you_mean(name, recipes, ", which must be made first")
    return f"{told}; {hint}{hint and ' '}made there: {', '.join(sorted(made)) or '(none)'}; `blurbench ls datasets` shows what can be made"
