"""Predictions on disk, so that scoring needs neither method nor GPU.

A folder with `predictions.json`, which says of which data and by what, and one HDF5 file a source video, with a group a sample:
`frames` (N, T, H, W, 3), float32 or uint8; where the method gives it `motion` (N, M, H, W, 2) float32 with `motion_times` (M,); `seconds`
as attribute. A folder of plain pictures is read as well: `<video>/<sample>/<frame>.png`, or `<video>/<sample>/<k>/<frame>.png` for several
draws, named as the samples of the data set are; frames and draws in natural order of their names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import h5py
import hdf5plugin
import numpy as np

import blurbench
from blurbench.errors import PredictionError, SourceError, counted
from blurbench.lock import held
from blurbench.metrics.select import quantise
from blurbench.store.disk import PART, replacing
from blurbench.store.manifest import write_json
from blurbench.store.reader import MadeDataSet
from blurbench.types import U8, Prediction, Sample
from blurbench.video.images import IMAGE_SUFFIXES, image_files, natural_key, read_rgb

FORMAT = 1
HEADER = "predictions.json"
Store = Literal["float32", "uint8"]
_LOCK = ".lock"
_LOSSY = (".jpg", ".jpeg")


@dataclass(frozen=True)
class Header:
    """What predictions are of, and what made them.

    draws: how many were asked for; weights, cost: as in a run record; code: digest of the method's, see `registry.Registry.code`.
    """

    method: str
    title: str
    dataset: str
    split: str
    fingerprint: str
    content: str
    weights: dict[str, Any] | None = None
    draws: int = 1
    seed: int = 0
    device: str = ""
    store: Store = "float32"
    cost: dict[str, Any] | None = None
    command: str = ""
    code: str = ""
    blurbench: str = blurbench.__version__
    format: int = FORMAT

    def identity(self) -> dict[str, Any]:
        """What decides on a prediction, by what a person calls it: predictions that differ in any of it are not of one run."""
        return {
            "method": self.method,
            "code of the method": self.code,
            "version of blurbench": self.blurbench,
            "weights": self.weights["sha256"] if self.weights else None,
            "data": [self.dataset, self.split, self.fingerprint, self.content],
            "number of draws": self.draws,
            "seed": self.seed,
            "kind of device": self.device.partition(":")[0],  # a network gives other values on a GPU than on a CPU
            "store": self.store,
        }

    def check(self, data: MadeDataSet, split: str, folder: Path) -> None:
        """Raises PredictionError unless the predictions are of this split of these data."""
        manifest = data.manifest
        if self.dataset != manifest.label or self.split != split:
            raise PredictionError(
                f"{folder} holds predictions of {self.dataset}, split {self.split}; asked for {manifest.label}, split {split}"
            )
        if self.fingerprint != (wanted := manifest.fingerprint(split)):
            raise PredictionError(
                f"{folder} holds predictions of {self.dataset} with fingerprint {self.fingerprint[:12]}, {data.folder} has {wanted[:12]}: "
                "other sources, recipe or seed; predict again"
            )
        if self.content != manifest.content(split):
            raise PredictionError(
                f"{folder} holds predictions of {self.dataset} whose stored values differ from those of {data.folder} (another decoder?); "
                "predict again on this copy"
            )


class Predictions:
    """Predictions in a folder, by sample. header: None for plain pictures."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise PredictionError(f"{folder} is no folder of predictions; `blurbench predict --dataset` makes one")
        self.folder = folder
        self.header = _read_header(folder / HEADER) if (folder / HEADER).is_file() else None

    def digest(self, workers: int = 1) -> str:
        """SHA-256 over names and bytes of all files, for the record. workers: threads, each of which reads a file at a time."""
        digest = hashlib.sha256()
        paths = sorted(path for path in self.folder.rglob("*") if path.is_file() and not path.name.startswith("."))
        with ThreadPoolExecutor(workers) as pool:
            for path, own in zip(paths, pool.map(_sha256, paths), strict=True):
                digest.update(f"{path.relative_to(self.folder)} {path.stat().st_size} ".encode() + own)
        return digest.hexdigest()

    def check_names(self, samples: Iterable[str]) -> None:
        """Raises PredictionError for what is of no sample of the data, naming the first: a wrong split, or names counted otherwise."""
        known = set(samples)
        if extra := sorted(set(self._names()) - known):
            raise PredictionError(
                f"{self.folder} holds {extra[0]!r}, which is no sample of the data ({len(extra)} such); they have {min(known)!r} and so on"
            )

    def get(self, sample: Sample) -> Prediction:
        """The prediction of a sample. Raises PredictionError where there is none, or it cannot be read."""
        try:
            return self._stored(sample, self.header) if self.header else self._pictures(sample)
        # Pictures raise SourceError, HDF5 nearly anything, by what is damaged.
        except (SourceError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
            told = f"the prediction of sample {sample.id} in {self.folder} cannot be read: {str(error)[:200]}"
            raise PredictionError(f"{told}; make it again") from error

    def draws(self, samples: Sequence[str]) -> int:
        """How many draws of each of these samples there are; a sample of which there is nothing is passed over.

        Raises PredictionError for plain pictures that have another number of draws of one sample than of the first, and for one frame of
        one sample, which would count as its centre, and several of another.
        """
        if self.header:
            return self.header.draws
        draws = {sample: _draws(self.folder / sample) for sample in samples if (self.folder / sample).is_dir()}
        for what, counts in (
            ("draw", {sample: len(folders) for sample, folders in draws.items()}),
            ("frame", {sample: len(image_files(folders[0])) for sample, folders in draws.items()}),
        ):
            first, expected = next(iter(counts.items()), ("", 1))
            for sample, count in counts.items():
                if count != expected and (what == "draw" or 1 in (count, expected)):
                    told = f"{self.folder} has {counted(count, what)} of sample {sample} and {expected} of {first}"
                    raise PredictionError(f"{told}; expected as many of each")
        return len(next(iter(draws.values()), [self.folder]))

    def lossy(self) -> Path | None:
        """The first plain picture that was compressed with loss, by its suffix; None where there is none."""
        paths = () if self.header else self.folder.glob("*/*/**/*")
        return min((path for path in paths if path.suffix.lower() in _LOSSY and not path.name.startswith(".")), default=None)

    def _names(self) -> Iterator[str]:
        if not self.header:
            yield from sorted({"/".join(path.relative_to(self.folder).parts[:2]) for path in self.folder.glob("*/*") if path.is_dir()})
            return
        for path in sorted(self.folder.glob("*.h5")):
            with _opened(path) as file:
                yield from (f"{path.stem}/{name}" for name in file)

    def _stored(self, sample: Sample, header: Header) -> Prediction:
        with _opened(self.folder / f"{sample.video}.h5") as file:
            if (name := sample.id.rpartition("/")[2]) not in file:
                raise PredictionError(f"{self.folder} has no prediction of sample {sample.id}; predict again into the same folder")
            group = file[name]
            motion, times = (group[name][()] if name in group else None for name in ("motion", "motion_times"))
            frames = group["frames"][()]
            if len(frames) != header.draws:
                found = counted(len(frames), "draw")
                raise PredictionError(f"{self.folder} has {found} of sample {sample.id}, its {HEADER} says {header.draws}")
            return Prediction(sample.id, frames, float(group.attrs["seconds"]), header.device, motion, times)

    def _pictures(self, sample: Sample) -> Prediction:
        folder = self.folder / sample.id
        if not folder.is_dir():
            raise PredictionError(f"{self.folder} has no folder {sample.id} with the frames of that sample")
        frames = [_read_frames(draw) for draw in _draws(folder)]
        if len({clip.shape for clip in frames}) > 1:
            raise PredictionError(f"{folder}: the draws have shapes {sorted({clip.shape for clip in frames})}, expected one")
        return Prediction(sample.id, np.stack(frames), float("nan"), "")


class Writer:
    """Fills a folder with predictions, a file a video; videos whose file is there are done."""

    def __init__(self, folder: Path, header: Header) -> None:
        if (folder / HEADER).is_file():
            old = _read_header(folder / HEADER)
            if other := differing(old.identity(), header.identity()):
                told = f"{folder} already holds predictions of {old.method} on {old.dataset}, made with another {' and '.join(other)}"
                raise PredictionError(f"{told}; give another folder, or delete it")
            header = replace(header, cost=old.cost)
        else:
            require_place(folder)
            write_json(folder / HEADER, asdict(header))
        self.folder, self.header = folder, header

    def has(self, video: str) -> bool:
        """Whether all of a video is there."""
        return (self.folder / f"{video}.h5").is_file()

    @contextmanager
    def video(self, video: str) -> Iterator[Callable[[Prediction], None]]:
        """Yields a function that writes the predictions of a video, one by one; the file is there when all are.

        Raises DataSetError when it cannot be written.
        """
        with replacing(self.folder / f"{video}.h5") as part, h5py.File(part, "w") as file:
            yield lambda prediction: self._put(file, prediction)

    def _put(self, file: h5py.File, prediction: Prediction) -> None:
        group = file.create_group(prediction.sample.rpartition("/")[2])
        group.attrs["seconds"] = prediction.seconds
        frames = quantise(prediction.frames, "round") if self.header.store == "uint8" else prediction.frames
        if prediction.motion is not None:
            group["motion_times"] = prediction.motion_times
        for name, array in (("frames", frames), ("motion", prediction.motion)):
            if array is not None:
                group.create_dataset(name, data=array, chunks=(1, 1, *array.shape[2:]), shuffle=True, **hdf5plugin.Zstd(clevel=1))

    def enter_cost(self, cost: dict[str, Any]) -> None:
        """Say in the head what the method costs, see `Meter.facts`."""
        self.header = replace(self.header, cost=cost)
        write_json(self.folder / HEADER, asdict(self.header))


@contextmanager
def writing(folder: Path, header: Header) -> Iterator[Writer]:
    """A writer into a folder that no other process writes meanwhile; what a killed one left half written there is removed.

    Raises PredictionError for a folder of other things or other predictions, DataSetError where another process writes there.
    """
    require_place(folder)
    with held(folder / _LOCK, f"another run is writing predictions into {folder}; wait for it, or give another folder"):
        writer = Writer(folder, header)
        for part in folder.glob(f".*{PART}"):
            part.unlink(missing_ok=True)
        yield writer


def require_place(folder: Path, mend: str = "give another folder") -> None:
    """Raises PredictionError for a file, and for a folder that holds other things than predictions."""
    if folder.exists() and not folder.is_dir():
        raise PredictionError(f"{folder} is a file, expected a folder for predictions; {mend}")
    if folder.is_dir() and not (folder / HEADER).is_file() and any(path.name != _LOCK for path in folder.iterdir()):
        raise PredictionError(f"{folder} is not empty and holds no {HEADER}; {mend}")


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The keys whose values differ."""
    return [key for key in {**one, **other} if one.get(key) != other.get(key)]


def _read_header(path: Path) -> Header:
    try:
        table = json.loads(path.read_text())
        if (format := int(table.get("format", FORMAT))) > FORMAT:  # first: a newer one may have other keys
            raise PredictionError(f"{path} has format {format}, this blurbench reads up to {FORMAT}; install a newer blurbench")
        return Header(**table)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise PredictionError(f"{path} cannot be read as the head of predictions: {str(error)[:120]}") from error


def _sha256(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _opened(path: Path) -> h5py.File:
    if not path.is_file():
        raise PredictionError(
            f"{path.parent} has no file {path.name}: predictions of that video are missing; predict again into the same folder"
        )
    try:
        return h5py.File(path)
    except OSError as error:
        raise PredictionError(f"{path} cannot be read: {str(error)[:120]}; delete it and predict again") from error


def _draws(folder: Path) -> list[Path]:
    """The folders of a sample's draws, in natural order; the sample's own where it has one draw. Raises PredictionError for both."""
    folders = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    if folders and (files := image_files(folder)):
        raise PredictionError(f"{folder} holds {files[0].name} and {folders[0].name}/, expected frames or folders of draws, not both")
    return sorted(folders, key=lambda path: natural_key(path.name)) or [folder]


def _read_frames(folder: Path) -> U8:
    """(T, H, W, 3)."""
    files = image_files(folder)
    if not files:
        raise PredictionError(f"{folder} holds no frames, expected pictures ({', '.join(IMAGE_SUFFIXES)})")
    frames = [read_rgb(path) for path in files]
    if len({frame.shape for frame in frames}) > 1:
        raise PredictionError(f"{folder}: the frames have shapes {sorted({frame.shape for frame in frames})}, expected one")
    return np.stack(frames)
