"""Opening a made data set and going through its samples."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from blurbench.errors import DataSetError, UnknownNameError
from blurbench.store import manifest as manifests
from blurbench.store.manifest import Manifest
from blurbench.store.shard import Shard
from blurbench.types import Sample


def data_root() -> Path:
    """Where data sets are made and looked for: $BLURBENCH_DATA, or ./data."""
    return Path(os.environ.get("BLURBENCH_DATA", "data"))


class MadeDataSet:
    """A made data set: its folder and manifest."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest

    def shards(self, split: str) -> list[Shard]:
        """The shards of a split, by video. Raises UnknownNameError, and DataSetError when a shard of the manifest is missing."""
        if split not in self.manifest.splits:
            raise UnknownNameError("split", split, self.manifest.splits, str(self.folder))
        shards = [Shard(self.folder / entry.file, entry.video) for entry in self.manifest.splits[split]]
        for shard in shards:
            if not shard.path.is_file():
                raise DataSetError(f"shard {shard.path} of the manifest is missing; make the data set again into the same folder")
        return shards

    def count(self, split: str) -> int:
        """Number of samples of a split."""
        return sum(entry.samples for entry in self.manifest.splits.get(split, []))

    def samples(self, split: str, before: int = 0, after: int = 0) -> Iterator[Sample]:
        """All samples of a split, video by video, with so many neighbouring exposures; one shard is open at a time."""
        for shard in self.shards(split):
            yield from shard.samples(before, after)
            shard.close()


def open_dataset(name: str | Path) -> MadeDataSet:
    """A made data set by folder, or by name below `data_root()`. Raises DataSetError."""
    folders = [Path(name), data_root() / name]
    for folder in folders:
        if (folder / manifests.NAME).is_file():
            return MadeDataSet(folder, manifests.read(folder))
    if folders[0].is_dir():
        raise DataSetError(f"{name} is a folder without {manifests.NAME}; `blurbench make-dataset` makes one, `--source {name}` reads one")
    raise DataSetError(f"no data set {str(name)!r} here or in {data_root()}/; make it with `blurbench make-dataset {name}`")
