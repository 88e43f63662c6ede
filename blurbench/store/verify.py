"""Whether a made data set still is what was made: every hash computed again, and nothing missing, left over or unknown beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blurbench.errors import BlurbenchError
from blurbench.importers.layouts import LAYOUTS
from blurbench.registry import DATASETS
from blurbench.store import pack
from blurbench.store.build import difference
from blurbench.store.disk import PART
from blurbench.store.fingerprint import UNREADABLE, of_release, of_video
from blurbench.store.manifest import Entry, Manifest
from blurbench.store.reader import MadeDataSet, manifest_text, open_dataset
from blurbench.store.shard import Shard
from blurbench.synth import changes as changing
from blurbench.synth import recipe as recipes
from blurbench.video import transfer

_RELEASED = "released"
_RULES = ("transfer", "window")  # of the recipe that a release was made by, what decides the values

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

    A split: the manifest's fingerprint and content against those of its entries, and whether all that was planned is made. A shard: its
    content computed from its values, and its fingerprint from its provenance, against its attributes, and all of these against the
    manifest. Of released data the fingerprint is computed from the stored hashes of the files, which are all there unless samples were
    left out for what was in them.
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


def fingerprint(shard: Shard, split: str) -> str | None:
    """The fingerprint of a shard from its provenance. None for released data of which it does not hold every hash.

    Raises KeyError or TypeError for a provenance that does not say all that went in.
    """
    facts = shard.provenance
    if facts["source"]["kind"] == _RELEASED:
        return _of_release(shard, facts)
    kernels = facts["recipe"]["kernels"]
    maps = kernels["maps"][split] + kernels["unblurred"] if kernels["variant"] != "none" else None
    source, synthesis = facts["source"]["sha256"], facts["made_with"]["synthesis"]
    return of_video(synthesis, source, facts["recipe"], facts["interpolation"], maps, facts.get("inputs"))


def _of_release(shard: Shard, facts: Mapping[str, Any]) -> str | None:
    """Files lie in the order of their roles; each role has one, but `sharp`."""
    rules = _rules(facts["layout"])
    importing, layout = facts["made_with"]["import"], facts["source"]["layout"]
    if UNREADABLE in json.loads(shard.file.attrs["counts"])["left_out"]:
        return None
    extras = [role for role in ("bbox", "flow_half", "guidance") if role in shard.file]
    samples = []
    for names, digests in zip(shard.file["files"][:], shard.file["files_sha256"][:], strict=True):
        hashes = [digest.tobytes().hex() for digest in digests]
        roles = ["pair"] if len(hashes) == 1 else sorted(["blurry", *extras])
        blurry = names[roles.index("pair" if len(hashes) == 1 else "blurry")]
        number = re.search(rb"(\d+)\.\w+$", blurry)
        sharp = {"sharp": hashes[len(roles) :]} if len(hashes) > 1 else {}
        samples.append([int(number[1]) if number else None, {role: [digest] for role, digest in zip(roles, hashes, strict=False)} | sharp])
    return of_release(importing, layout, rules, samples)


def _splits(data: MadeDataSet) -> Iterator[Finding]:
    """The hashes that the manifest gives for each split, against those of its entries."""
    table = json.loads(manifest_text(data.folder))
    for split in data.manifest.splits:
        given = {"fingerprint": table.get("fingerprints", {}).get(split), "content": table.get("contents", {}).get(split)}
        wrong = [name for name, value in given.items() if value != getattr(data.manifest, name)(split)]
        message = f"not of its entries: {' and '.join(wrong)}" if wrong else "fingerprint and content are those of its entries"
        yield Finding(split, "", _manifest_name(data), not wrong, message)
    for split, videos in data.manifest.unfinished.items():
        message = f"{len(videos)} videos are planned and not made yet (first: {videos[0]}); repeat the command that made it, it goes on"
        yield Finding(split, "", _manifest_name(data), False, message)
    try:
        lost = _undeclared(data.manifest)
    except (BlurbenchError, AttributeError, KeyError, TypeError) as error:
        lost = f"its recipe is none: {error}"
    if lost:
        yield Finding("", "", _manifest_name(data), False, lost)


def _undeclared(manifest: Manifest) -> str:
    """What is wrong with the changes that a manifest names; nothing where what it goes by is not installed here in the same version."""
    id, version = (manifest.recipe.get(key) for key in (("layout", "") if manifest.footage == _RELEASED else ("id", "version")))
    if (id, version or manifest.version) != (manifest.dataset, manifest.version):
        return f"its name is {manifest.dataset!r} version {manifest.version}, its recipe's {id!r} version {version}"
    if manifest.footage == _RELEASED:
        named = {change.partition("=")[0].strip() for change in manifest.changes}
        lacking = sorted(_released_otherwise(manifest) - named)
        return f"changes name {sorted(named)}, its rules differ in {lacking[0]!r} as well" if lacking else ""
    if manifest.dataset not in DATASETS.names():
        return ""
    own = recipes.load(manifest.dataset, built_in=manifest.footage == "rendered")
    if own.version != manifest.version:
        return ""
    taken = {f"interpolation.method={own.interpolation.fallback}"} - set(manifest.changes)  # where the method itself cannot run
    found = {change for change in changing.told(own.processing(), manifest.recipe) if not change.startswith("seed=")} - taken
    named = {change for change in manifest.changes if not change.startswith("split.")}  # decides no values
    return f"changes are {sorted(named)}, its recipe differs from that of its name by {sorted(found)}" if found != named else ""


def _released_otherwise(manifest: Manifest) -> set[str]:
    """The keys in which the rules of an import differ from those of its layout, which is known here in this version."""
    layout = LAYOUTS.get(manifest.dataset)
    if layout is None or layout.version != manifest.version:
        return set()
    own, rules = recipes.load(layout.recipe), manifest.recipe
    differ = {key for key, value in rules["options"].items() if value != layout.options.get(key)}
    differ |= {f"window.{key}" for key, value in rules["window"].items() if value != getattr(own.window, key)}
    differ |= {f"boxes.{key}" for key, value in rules.get("boxes", {}).items() if value != getattr(own.boxes, key)}
    response = "response.file" if own.transfer == "response" and rules["transfer"].startswith("response(") else ""
    return differ | ({response or "transfer"} if rules["transfer"] != own.transfer or not layout.transfer else set())


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
        yield from _origin(data.manifest, shard, split)
        if shard.content(progress) != shard.file.attrs.get("content"):
            yield "values are not those that were written; delete it and make the data set again into the same folder"
    except (BlurbenchError, OSError, KeyError, RuntimeError, TypeError, ValueError) as error:
        yield f"cannot be read: {str(error).splitlines()[0]}"
    finally:
        shard.close()


def _origin(manifest: Manifest, shard: Shard, split: str) -> Iterator[str]:
    """What of a shard's provenance is lacking, or agrees neither with its attributes nor with the manifest."""
    facts = shard.provenance
    try:
        given, recipe, kind = fingerprint(shard, split), _recipe(facts), facts["source"]["kind"]
        light = recipe["response"]["file"] if recipe["transfer"] == "response" else recipe["transfer"]
    except (KeyError, TypeError) as error:
        yield f"provenance does not say all that went in ({error} is missing); make the data set again into another folder"
        return
    if given not in (None, shard.file.attrs.get("fingerprint")):
        yield "fingerprint is not that of its provenance"
    if (footage := kind if kind in ("rendered", _RELEASED) else "video") != manifest.footage:
        yield f"footage is {footage!r}, the manifest has {manifest.footage!r}"
    if told := difference(recipe, manifest.recipe):
        yield f"recipe has {told[0]}: {told[1]}, the manifest {told[2]}"
    stored = transfer.parse(str(shard.file.attrs["transfer"])).name
    expected = light if light.startswith("response(") else transfer.parse(light).name
    if stored != expected:
        yield f"transfer is {stored!r}, its recipe has {expected!r}"
    if manifest.transfer != expected:
        yield f"transfer by its recipe is {expected!r}, the manifest has {manifest.transfer!r}"


def _recipe(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The `recipe` of the manifest, from the provenance of a shard. Raises KeyError."""
    if facts["source"]["kind"] != _RELEASED:
        return dict(facts["recipe"])
    rules = _rules(facts["layout"])
    options = {key: value for key, value in facts["layout"].items() if key not in rules}
    return {"layout": facts["source"]["layout"], "import": facts["made_with"]["import"], "options": options, **rules}


def _rules(layout: Mapping[str, Any]) -> dict[str, Any]:
    """What of the recipe decides the values of a release, from its provenance. Raises KeyError."""
    crops = {"boxes": layout["boxes"]} if "boxes" in layout else {}
    return {key: layout[key] for key in _RULES} | crops


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
