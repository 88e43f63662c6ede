"""Whether a made data set still is what was made: every hash computed again, and nothing missing, left over or unknown beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blurbench.errors import DataSetError
from blurbench.store import pack
from blurbench.store.disk import PART
from blurbench.store.manifest import Entry
from blurbench.store.reader import MadeDataSet, manifest_text, open_dataset
from blurbench.store.shard import Shard

Progress = Callable[[int], None]
"""Called with how many samples were read since the last call."""


@dataclass(frozen=True)
class Finding:
    """The result of one check. split and video are empty where it is not about one; file: relative to the data set, or its manifest."""

    split: str
    video: str
    file: str
    ok: bool
    message: str


def verify(data: MadeDataSet | str | Path, progress: Progress = lambda samples: None) -> list[Finding]:
    """Check a folder or packed file; reads every stored value. Findings: a split each, a shard each (or its faults), leftovers.

    A split: the manifest's fingerprint and content against those of its entries. A shard: its content computed from its values, and its
    fingerprint from its provenance, against its attributes, and these against the manifest.
    Raises DataSetError for what is no data set, or one of a newer version; what is wrong inside one is a finding, not an error.
    """
    data = data if isinstance(data, MadeDataSet) else open_dataset(data)
    findings = list(_splits(data))
    for split, entries in data.manifest.splits.items():
        for entry in entries:
            faults = list(_faults(data, split, entry, progress))
            said = faults or [f"{entry.samples} samples as they were made"]
            findings += [Finding(split, entry.video, entry.file, not faults, message) for message in said]
    return findings + list(_leftovers(data))


def fingerprint(provenance: Mapping[str, Any], split: str) -> str | None:
    """The fingerprint of a shard from its provenance. None where that does not hold all that went in: released data, older versions."""
    try:
        recipe, interpolation = provenance["recipe"], provenance["interpolation"]
        parts = {"synthesis": provenance["made_with"]["synthesis"], "source": provenance["source"]["sha256"], "recipe": recipe}
        if recipe["kernels"]["variant"] != "none":
            parts["maps"] = recipe["kernels"]["maps"][split] + recipe["kernels"]["unblurred"]
    except (KeyError, TypeError):
        return None
    if inputs := provenance.get("inputs"):
        parts["inputs"] = inputs
    parts["interpolation"] = {key: value for key, value in interpolation.items() if key != "opencv"}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _splits(data: MadeDataSet) -> Iterator[Finding]:
    """The hashes that the manifest gives for each split, against those of its entries."""
    table = json.loads(manifest_text(data.folder))
    for split in data.manifest.splits:
        given = {"fingerprint": table.get("fingerprints", {}).get(split), "content": table.get("contents", {}).get(split)}
        wrong = [name for name, value in given.items() if value != getattr(data.manifest, name)(split)]
        message = f"not of its entries: {' and '.join(wrong)}" if wrong else "fingerprint and content are those of its entries"
        yield Finding(split, "", _manifest_name(data), not wrong, message)


def _manifest_name(data: MadeDataSet) -> str:
    return data.folder.name if data.packed else "manifest.json"


def _faults(data: MadeDataSet, split: str, entry: Entry, progress: Progress) -> Iterator[str]:
    """What is wrong with a shard."""
    shard = data.shard(entry, compare=False)
    if data.missing([entry]):
        yield "missing; make the data set again into the same folder"
        return
    try:
        yield from _attributes(shard, entry)
        given = fingerprint(shard.provenance, split)
        if given not in (None, shard.file.attrs.get("fingerprint")):
            yield "fingerprint is not that of its provenance"
        if shard.content(progress) != shard.file.attrs.get("content"):
            yield "values are not those that were written; delete it and make the data set again into the same folder"
    except (DataSetError, OSError, KeyError, RuntimeError, TypeError, ValueError) as error:
        yield f"cannot be read: {str(error).splitlines()[0]}"
    finally:
        shard.close()


def _attributes(shard: Shard, entry: Entry) -> Iterator[str]:
    attributes = shard.file.attrs
    for name in ("fingerprint", "content", "samples"):
        if (found := attributes.get(name)) != (expected := getattr(entry, name)):
            yield f"{name} is {_short(found)}, the manifest has {_short(expected)}"
    for name, array in shard.file.items():
        if len(array) != entry.samples:
            yield f"array {name!r} has {len(array)} rows, expected {entry.samples}"
    if "counts" in attributes:
        for name, found in json.loads(attributes["counts"]).items():
            if found != (expected := getattr(entry, name, None)):
                yield f"{name} is {found}, the manifest has {expected}"


def _short(value: object) -> object:
    return f"{value[:12]}…" if isinstance(value, str) else value


def _leftovers(data: MadeDataSet) -> Iterator[Finding]:
    """Shards that the manifest does not name, and files that were never finished."""
    known = {entry.file for entries in data.manifest.splits.values() for entry in entries}
    if data.packed:
        for name in sorted(pack.shards(data.folder) - known):
            yield Finding(name.split("/")[0], "", name, False, "not in the manifest; pack the data set again")
        return
    for path in sorted(data.folder.rglob("*")):
        file = path.relative_to(data.folder).as_posix()
        split = file.split("/")[0] if "/" in file else ""
        if path.name.startswith(".") and path.name.endswith(PART):
            yield Finding(split, "", file, False, "left half-written by a run that was stopped; repeat its command, or delete the file")
        elif path.suffix == ".h5" and file not in known and not pack.is_packed(path):
            yield Finding(split, "", file, False, "not in the manifest; repeat the command that made it, or delete the file")
