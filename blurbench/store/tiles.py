"""Crops of a stored array read past HDF5: the compressed tiles that a crop touches are read by their place in the file and unpacked here.

HDF5 looks every tile up in a tree on disk and sets up a new decompressor for each, which takes as long as unpacking it. The places of all
tiles are read once for each array and process, 12 bytes and about 2 microseconds a tile.
"""

from __future__ import annotations

import itertools
import os
import zlib
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import zstandard
from numpy.typing import NDArray

from blurbench.errors import DataSetError

_UNPACK: dict[int, Callable[[], Callable[[bytes], bytes]]] = {  # by HDF5 filter number
    32015: lambda: zstandard.ZstdDecompressor().decompress,
    1: lambda: zlib.decompress,
}


class Tiles:
    """The tiles of one open HDF5 array (S, ..., H, W, C), stored as chunks (1, ..., h, w, C). Belongs to the process that made it.

    An array stored in another way is read by HDF5 itself.
    """

    def __init__(self, array: h5py.Dataset) -> None:
        self._array = array
        self._shape, self._dtype = array.shape, array.dtype
        self._unpack = _unpacker(array)
        if self._unpack is None:
            return
        self._chunk = array.chunks
        self._file = array.file.id.get_vfd_handle()
        counts = [-(-side // step) for side, step in zip(array.shape, array.chunks, strict=True)]
        self._places = np.zeros(counts, np.uint64)
        self._sizes = np.zeros(counts, np.uint32)
        array.id.chunk_iter(self._note)

    def crop(self, row: int, rows: slice, columns: slice) -> NDArray[Any]:
        """`array[row, ..., rows, columns, :]`, the slices with both ends inside the array. Raises DataSetError for a damaged tile."""
        if self._unpack is None:
            found: NDArray[Any] = self._array[row, ..., rows, columns, :]
            return found
        lead, channels = self._shape[1:-3], self._shape[-1]
        crop = np.zeros((*lead, rows.stop - rows.start, columns.stop - columns.start, channels), self._dtype)
        high, wide = self._chunk[-3:-1]
        parts = [(*down, *across) for down in _cover(rows, high) for across in _cover(columns, wide)]
        for first in itertools.product(*map(range, lead)):
            picture = crop[first]
            for y, to_rows, of_rows, x, to_columns, of_columns in parts:
                tile = self._tile((row, *first, y, x, 0))
                if tile is not None:
                    picture[to_rows, to_columns] = tile[of_rows, of_columns]
        return crop

    def _note(self, chunk: Any) -> None:
        where = tuple(offset // step for offset, step in zip(chunk.chunk_offset, self._chunk, strict=True))
        if chunk.filter_mask:  # stored as it is, or through only some of the filters: rare enough to leave to HDF5
            self._unpack = None
        self._places[where] = chunk.byte_offset
        self._sizes[where] = chunk.size

    def _tile(self, where: tuple[int, ...]) -> NDArray[Any] | None:
        """(h, w, C); None for a tile that was never written, which holds zeros."""
        assert self._unpack is not None
        if not (size := int(self._sizes[where])):
            return None
        try:
            raw = self._unpack(os.pread(self._file, size, int(self._places[where])))
            return np.frombuffer(raw, self._dtype).reshape(self._chunk[-3:])
        except (zstandard.ZstdError, zlib.error, ValueError) as error:
            raise damaged(self._array.file.filename, self._array.name, where[0], error) from error


def damaged(file: str, array: str, sample: int, error: Exception) -> DataSetError:
    """What to say of values that cannot be read. array: its name; sample: its row."""
    return DataSetError(
        f"{file} is damaged: a tile of {array!r}, sample {sample}, cannot be unpacked ({str(error).splitlines()[0]}); "
        "delete the file and make the data set again into the same folder"
    )


def _unpacker(array: h5py.Dataset) -> Callable[[bytes], bytes] | None:
    """What unpacks a tile of the array; None when HDF5 has to read it."""
    if not array.chunks or any(step != 1 for step in array.chunks[:-3]) or array.chunks[-1] != array.shape[-1] or not hasattr(os, "pread"):
        return None
    filters = array.id.get_create_plist()
    make = _UNPACK.get(filters.get_filter(0)[0]) if filters.get_nfilters() == 1 else None
    return make() if make else None


def _cover(wanted: slice, step: int) -> list[tuple[int, slice, slice]]:
    """For each tile of `step` that the slice touches: its number, the part of the result that it fills, the part of it that goes there."""
    parts = []
    for number in range(wanted.start // step, -(-wanted.stop // step)):
        low, high = max(number * step, wanted.start), min((number + 1) * step, wanted.stop)
        inside = slice(low - number * step, high - number * step)
        parts.append((number, slice(low - wanted.start, high - wanted.start), inside))
    return parts
