"""A data set in one HDF5 file: each shard is a group named like its file (`test/clip.h5`), the manifest is an attribute of the root.

Tiles are copied as they lie in the shards, compressed: nothing is unpacked, so packing takes as long as copying the files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import h5py

from blurbench.errors import DataSetError
from blurbench.store.build import require_space
from blurbench.store.disk import PART, replacing, system_error

if TYPE_CHECKING:
    from blurbench.store.manifest import Entry
    from blurbench.store.reader import MadeDataSet

FORMAT = 1
MANIFEST = "manifest"


def pack(data: MadeDataSet, out: Path, progress: Callable[[int], None] = lambda samples: None) -> None:
    """Write the shards of a folder and its manifest into one file, which appears whole or not at all.

    progress: called with the samples of each shard copied. Values are not checked here: `store.verify` does it, before or after.
    Raises DataSetError for a data set that is packed already, a shard that is missing, broken or not that of the manifest, an `out`
    that exists or cannot be written, and a disk without room.
    """
    _refuse(data, out)
    entries = [entry for entries in data.manifest.splits.values() for entry in entries]
    for left in out.parent.glob(f".{out.name}.*{PART}"):
        left.unlink(missing_ok=True)  # of a killed run
    with replacing(out) as part, h5py.File(part, "w") as file:
        for entry in entries:
            _copy(data, entry, file)
            progress(entry.samples)
        # A string of any length: HDF5 keeps those of an attribute apart, beyond its limit of 64 KiB.
        file.attrs.update({"packed": FORMAT, MANIFEST: json.dumps(data.manifest.table(), allow_nan=False)})


def manifest_text(path: Path) -> str:
    """The text of the manifest of a packed file. Raises DataSetError."""
    with _open(path) as file:
        if MANIFEST not in file.attrs:
            what = "one shard; give the folder of its data set" if "content" in file.attrs else "no data set of blurbench"
            raise DataSetError(f"{path} is {what}; `blurbench pack` writes data sets in one file")
        if (found := int(file.attrs.get("packed", 0))) > FORMAT:
            raise DataSetError(f"{path} has pack format {found}, this blurbench reads up to {FORMAT}; install a newer blurbench")
        return str(file.attrs[MANIFEST])


def missing(path: Path, entries: Sequence[Entry]) -> list[Entry]:
    """Those of the entries that a packed file lacks. Raises DataSetError."""
    with _open(path) as file:
        return [entry for entry in entries if entry.file not in file]


def shards(path: Path) -> set[str]:
    """Names of the groups of a packed file that are shards. Raises DataSetError."""
    found: set[str] = set()
    with _open(path) as file:
        file.visititems(lambda name, item: found.add(name) if "content" in item.attrs else None)
    return found


def is_packed(path: Path) -> bool:
    """Whether a file is a packed data set."""
    try:
        return bool(manifest_text(path))
    except DataSetError:
        return False


def _open(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise DataSetError(
            f"{path} is no data set: {str(error).splitlines()[0]}; expected a folder that `blurbench make-dataset` made, or a packed .h5"
        ) from error


def _refuse(data: MadeDataSet, out: Path) -> None:
    if data.packed:
        raise DataSetError(f"{data.folder} is packed already; copy the file")
    if out.suffix != ".h5":
        raise DataSetError(f"{out} ends in {out.suffix!r}, expected a name that ends in .h5; give another")
    if out.exists():
        raise DataSetError(f"{out} exists; give another name, or delete it")
    shards = [shard for split in data.manifest.splits for shard in data.shards(split)]
    require_space(out.parent, sum(shard.path.stat().st_size for shard in shards))


def _copy(data: MadeDataSet, entry: Entry, file: h5py.File) -> None:
    shard = data.shard(entry)
    try:
        file.copy(shard.file, file, name=entry.file)
    except (OSError, RuntimeError) as error:
        if system_error(error) is not None:
            raise
        raise DataSetError(
            f"shard {shard.path} cannot be copied ({str(error).splitlines()[0]}); make the data set again into the same folder"
        ) from error
    finally:
        shard.close()
