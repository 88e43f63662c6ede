"""One shard: the samples of one source video in one HDF5 file.

Arrays have one row a sample: `blurry (S,H,W,3)` and `sharp (S,T,H,W,3)` uint8, `flow (S,T-1,H,W,2)` float16 where the recipe makes it,
`times (S,T)`, `averaged (S,K)` positions of the averaged frames counted in source frames, `seconds (S,K)` their timestamps; all float64.
Where borders do not count, `valid (S,4)` int64 is the box (top, left, height, width) that does: `Shard.sample` cuts to it.
Pictures are tiled 128x128, so that a random crop reads only what it touches.

Tiles are compressed in threads and handed to HDF5 as finished chunks: HDF5's own filter pipeline would hold the interpreter lock on
one core. A shard is written under a temporary name, flushed to disk, and renamed: a file with the final name is complete.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import threading
import zlib
from collections import deque
from collections.abc import Callable, Container, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import hdf5plugin  # noqa: F401  registers the zstd filter for reading
import numpy as np
import zstandard
from numpy.typing import NDArray

from blurbench.errors import DataSetError
from blurbench.store.disk import FORBIDDEN, finish, part_of, system_error, telling
from blurbench.store.runs import runs
from blurbench.store.tiles import damaged
from blurbench.types import Sample

FORMAT = 1
TILE = 128
_ZSTD_FILTER = 32015
_ALWAYS = ("blurry", "sharp", "times")  # arrays that every shard has
_PENDING = 12  # arrays in flight; bounds the memory, keeps two cores busy
Array = NDArray[Any]


# Matches of five bytes and more, all else entropy-coded alone: read 1.3 to 2.2 times as fast as level 1 does, files 3 to 9 % larger.
_ZSTD = zstandard.ZstdCompressionParameters(
    window_log=17, hash_log=14, chain_log=6, search_log=1, min_match=5, target_length=1, strategy=zstandard.STRATEGY_FAST
)


class _Compressors(threading.local):
    """One a thread: to set one up takes a quarter of the time that a tile does, and no two threads may use the same."""

    def __init__(self) -> None:
        self.zstd = zstandard.ZstdCompressor(compression_params=_ZSTD)


_COMPRESSORS = _Compressors()
CODECS: dict[str, tuple[dict[str, Any], Callable[[bytes], bytes]]] = {
    "zstd": ({"compression": _ZSTD_FILTER}, lambda raw: _COMPRESSORS.zstd.compress(raw)),
    "gzip": ({"compression": "gzip", "compression_opts": 4}, lambda raw: zlib.compress(raw, 4)),
}


class ShardWriter:
    """Writes samples to `path`; use as a context manager. Leaving it by an exception removes the unfinished file.

    Every method raises DataSetError when the system cannot write: disk full, no permission.
    """

    def __init__(self, path: Path, codec: str = "zstd") -> None:
        self.path = path
        self.samples = 0
        self._kinds: dict[str, tuple[tuple[int, ...], str]] = {}
        self._options, self._compress = CODECS[codec]
        self._part = part_of(path)
        self._small: dict[str, list[Array]] = {}
        self._digests: list[Future[bytes]] = []
        self._pending: deque[tuple[str, int, Future[list[tuple[tuple[int, ...], bytes]]]]] = deque()

    def __enter__(self) -> Self:
        with telling(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        self._pool = ThreadPoolExecutor(2)
        return self

    @cached_property
    def _file(self) -> h5py.File:
        """Made at first use, i.e. inside the `with` statement: Ctrl-C before that leaves nothing, after that it is removed."""
        return h5py.File(self._part, "w")

    def append(self, sample: Mapping[str, Array]) -> None:
        """Add one sample. Raises DataSetError for one whose arrays have other names, shapes or types than those of the first."""
        self._check({name: (np.shape(array), np.asarray(array).dtype.str) for name, array in sample.items()})
        for name in sorted(sample):
            array = np.ascontiguousarray(sample[name])
            self._digests.append(self._pool.submit(_digest, name, array))
            if array.ndim < 3:
                self._small.setdefault(name, []).append(array)
                continue
            with telling(self.path):
                if name not in self._file:
                    self._create(name, array)
            self._pending.append((name, self.samples, self._pool.submit(self._tiles, array)))
        self.samples += 1
        while len(self._pending) > _PENDING:
            self._write_oldest()

    def finish(self, attributes: Mapping[str, str]) -> str:
        """Write what is left and the attributes, flush to disk, take the final name. Returns the content digest."""
        while self._pending:
            self._write_oldest()
        content = hashlib.sha256(b"".join(future.result() for future in self._digests)).hexdigest()
        with telling(self.path):
            for name, rows in self._small.items():
                self._file.create_dataset(name, data=np.stack(rows))
            self._file.attrs.update({"format": FORMAT, "samples": self.samples, "content": content, **attributes})
            self._file.close()
            finish(self._part, self.path)
        return content

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)
        if "_file" in self.__dict__:
            with suppress(OSError, RuntimeError):  # on a full disk HDF5 cannot write what is left; the file goes anyway
                self._file.close()
        self._part.unlink(missing_ok=True)

    def _check(self, kinds: dict[str, tuple[tuple[int, ...], str]]) -> None:
        """Tiles are written as bytes: of another shape or type they would be read back as something else."""
        self._kinds = self._kinds or kinds
        for name in sorted(kinds | self._kinds):
            found, expected = kinds.get(name), self._kinds.get(name)
            if found != expected:
                raise DataSetError(
                    f"{name!r} of sample {self.samples} for {self.path} is {_kind(found)}, expected {_kind(expected)} "
                    "as in the first sample; give all samples of a video the same arrays"
                )

    def _create(self, name: str, array: Array) -> None:
        chunks = (1, *(1,) * (array.ndim - 3), min(TILE, array.shape[-3]), min(TILE, array.shape[-2]), array.shape[-1])
        self._file.create_dataset(
            name, shape=(0, *array.shape), maxshape=(None, *array.shape), chunks=chunks, dtype=array.dtype, **self._options
        )

    def _tiles(self, array: Array) -> list[tuple[tuple[int, ...], bytes]]:
        """(offset inside the sample, compressed tile) for each tile; tiles at the border are filled up with zeros."""
        *lead, height, width, _channels = array.shape
        rows, columns = min(TILE, height), min(TILE, width)
        tiles = []
        for index in itertools.product(*map(range, lead), range(0, height, rows), range(0, width, columns)):
            *first, y, x = index
            tile = array[tuple(first)][y : y + rows, x : x + columns]
            if tile.shape[:2] != (rows, columns):
                tile = np.pad(tile, [(0, rows - tile.shape[0]), (0, columns - tile.shape[1]), (0, 0)])
            tiles.append(((*first, y, x, 0), self._compress(tile.tobytes())))
        return tiles

    def _write_oldest(self) -> None:
        name, sample, future = self._pending.popleft()
        tiles = future.result()
        with telling(self.path):
            dataset = self._file[name]
            if len(dataset) <= sample:
                dataset.resize(sample + 1, axis=0)
            for offset, data in tiles:
                dataset.id.write_direct_chunk((sample, *offset), data)


class Shard:
    """A shard open for reading: a file, or a group of a packed file. Opened at first use in each process, never pickled open."""

    def __init__(self, path: Path, video: str, group: str = "/") -> None:
        """group: where in the file the arrays are."""
        self.path = path
        self.video = video
        self.group = group
        self._file: h5py.File | None = None
        self._arrays: h5py.Group | None = None

    @property
    def file(self) -> h5py.Group:
        """The open group of the arrays. Raises DataSetError when it is missing or broken."""
        if self._arrays is None:
            self._arrays = self._open()
        return self._arrays

    @property
    def _name(self) -> str:
        """What errors call it."""
        return str(self.path) if self.group == "/" else f"{self.path}:{self.group}"

    def _open(self) -> h5py.Group:
        try:
            self._file = h5py.File(self.path, "r")
            arrays = self._file[self.group]
        except (OSError, KeyError) as error:
            self.close()
            if system_error(error) in FORBIDDEN:
                raise DataSetError(f"shard {self._name} cannot be opened: no permission; make it readable") from error
            raise DataSetError(f"shard {self._name} cannot be opened ({_first_line(error)}); make the data set again") from error
        if (found := int(arrays.attrs.get("format", 0))) > FORMAT:
            self.close()
            raise DataSetError(f"shard {self._name} has format {found}, this blurbench reads up to {FORMAT}; install a newer blurbench")
        return arrays

    def __len__(self) -> int:
        return int(self.file.attrs["samples"])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None, "_arrays": None}

    def close(self) -> None:
        self._arrays = None
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def codec(self) -> str:
        """By which of `CODECS` its pictures are packed."""
        return "gzip" if self.file["blurry"].compression == "gzip" else "zstd"  # h5py calls this one unknown

    @property
    def provenance(self) -> dict[str, Any]:
        """Where every pixel of this shard comes from."""
        return dict(json.loads(self.file.attrs["provenance"]))

    def sample(self, index: int, before: int = 0, after: int = 0) -> Sample:
        """One sample, cut to its box. Raises DataSetError for an array that is missing or damaged.

        Extras `before` and `after` hold so many neighbouring exposures, see `runs` (the nearest repeated beyond the ends of the run).
        """
        arrays = {name: self._row(name, index) for name in sorted({*self.file, *_ALWAYS})}
        extras = {name: array for name, array in arrays.items() if name not in _ALWAYS}
        for side, rows in (("before", range(index - before, index)), ("after", range(index + 1, index + 1 + after))):
            if rows:
                run = next(run for run in self.runs if index in run)
                extras[side] = np.stack([self._row("blurry", min(max(row, run.start), run.stop - 1)) for row in rows])
        return Sample(
            id=sample_id(self.video, index),
            video=self.video,
            blurry=arrays["blurry"],
            sharp=arrays["sharp"],
            times=arrays["times"],
            transfer=str(self.file.attrs["transfer"]),
            extras=extras,
        ).cut(self.box(index))

    def _row(self, name: str, index: int) -> Array:
        """One row of an array."""
        try:
            row: Array = self.file[name][index]
            return row
        except KeyError as error:
            raise DataSetError(f"shard {self._name} lacks the array {name!r}, which every shard has; make the data set again") from error
        except OSError as error:
            raise damaged(self._name, name, index, error) from error

    def box(self, index: int) -> tuple[int, int, int, int]:
        """(top, left, height, width) of the part of a sample's pictures that counts: its `valid`, else all."""
        if "valid" not in self.file:
            return (0, 0, *self.file["blurry"].shape[1:3])
        top, left, height, width = map(int, self.file["valid"][index])
        return top, left, height, width

    @cached_property
    def runs(self) -> list[range]:
        """Runs of rows that follow each other in time, see `blurbench.store.runs`."""
        return runs(self.file, json.loads(self.file.attrs.get("provenance", "{}")))

    def samples(self, before: int = 0, after: int = 0, skip: Container[str] = ()) -> Iterator[Sample]:
        """All samples in order but those whose id is to be skipped, with so many neighbouring exposures."""
        for index in range(len(self)):
            if sample_id(self.video, index) not in skip:
                yield self.sample(index, before, after)

    def content(self, progress: Callable[[int], None] = lambda samples: None) -> str:
        """SHA-256 over the stored values, recomputed; independent of codec and tiling. Equals attribute `content` in an intact shard.

        progress: called with 1 after each sample.
        """
        digest = hashlib.sha256()
        names = sorted(self.file)
        for index in range(len(self)):
            for name in names:
                digest.update(_digest(name, self.file[name][index]))
            progress(1)
        return digest.hexdigest()

    def intact(self, fingerprint: str) -> bool:
        """Whether the shard is readable, was made with this fingerprint, and holds the values that were written."""
        try:
            attributes = self.file.attrs
            return bool(attributes.get("fingerprint") == fingerprint and attributes.get("content") == self.content())
        except (DataSetError, OSError, KeyError, RuntimeError, ValueError):
            return False


def sample_id(video: str, index: int) -> str:
    """The id of a video's sample, counted from 0."""
    return f"{video}/{index:05d}"


def _first_line(error: Exception) -> str:
    return str(error.args[0] if isinstance(error, KeyError) else error).splitlines()[0]


def _digest(name: str, array: Array) -> bytes:
    digest = hashlib.sha256(f"{name} {array.dtype.str} {array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.digest()


def _kind(found: tuple[tuple[int, ...], str] | None) -> str:
    return "nothing" if found is None else f"{np.dtype(found[1])} of shape {found[0]}"
