"""A made data set as a torch Dataset for training: random crops that read only the tiles they touch, reproducible augmentation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from blurbench.errors import DataSetError, UnknownNameError
from blurbench.store.augment import FIELDS, PICTURES, Array, Augmentation
from blurbench.store.reader import MadeDataSet, open_dataset
from blurbench.store.shard import Shard

_OPEN = 256  # shards that a process holds open; systems allow 1024 files, and data sets of one shard a picture have more


class BlurDataset(Dataset[dict[str, torch.Tensor]]):
    """Random crops of a split, indexed by *draw*: draw d is the same crop with the same augmentation whichever worker makes it.

    Every epoch visits every sample once, in an order drawn from the seed. A draw gives `blurry` (3, c, c) and `sharp` (T, 3, c, c), float32
    RGB in [0, 1], and of the `extras` asked for: `flow` (T-1, 2, c, c), `flow_first_last`, `motion` (2, c, c), float32 pixels, x right and y
    down; `guidance` (2, c, c) int8, or (2, c/2, c/2) where it was made at half resolution: crops then begin at even places.
    Crops lie inside the part of a sample that is valid. Shards are opened in the process that reads them.
    """

    def __init__(
        self,
        data: MadeDataSet | str | Path,
        split: str,
        crop: int,
        seed: int = 0,
        videos: frozenset[str] | None = None,
        augmentation: Augmentation | None = None,
        extras: Sequence[str] = (),
    ) -> None:
        """videos: only these. augmentation: what happens to each crop at random; none by default.

        Raises DataSetError for an empty selection, a crop larger than the pictures, or a shard without the extras; UnknownNameError for an
        extra that no data set has.
        """
        data = data if isinstance(data, MadeDataSet) else open_dataset(data)
        if unknown := [name for name in extras if name not in FIELDS]:
            raise UnknownNameError("extra", unknown[0], FIELDS)
        self.crop = crop
        self.seed = seed
        self.augmentation = augmentation or Augmentation()
        self.extras = tuple(extras)
        self._index: list[tuple[Shard, int]] = []
        self._open: dict[Shard, None] = {}
        for shard in data.shards(split):
            if videos is None or shard.video in videos:
                self._check(shard)
                self._index += [(shard, row) for row in range(len(shard))]
                shard.close()
        if not self._index:
            raise DataSetError(f"split {split!r} of {data.folder} has no samples to train on")

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, draw: int) -> dict[str, torch.Tensor]:
        epoch, place = divmod(draw, len(self))
        shard, row = self._index[_order(self.seed, epoch, len(self))[place]]
        self._hold(shard)
        rng = np.random.default_rng([self.seed, 1, draw])
        arrays = self._read(shard, row, rng)
        for name in PICTURES:
            arrays[name] = arrays[name].astype(np.float32) / np.float32(255)
        changed = self.augmentation.draw(rng).apply(arrays)
        return {name: _tensor(array) for name, array in changed.items()}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}

    def _check(self, shard: Shard) -> None:
        """Raises DataSetError for a shard that cannot give such crops."""
        if missing := [name for name in self.extras if name not in shard.file]:
            raise DataSetError(
                f"{shard.path} has no {missing[0]!r}, expected the extras {', '.join(self.extras)}; "
                "make the data set by a recipe that stores them, or ask for fewer"
            )
        if self._halved(shard) and self.crop % 2:
            raise DataSetError(f"crop is {self.crop}, but the guidance of {shard.path} is at half resolution; take an even crop")
        for row in range(len(shard) if "valid" in shard.file else 1):
            height, width = self._room(shard, row)[2:]
            if self.crop > min(height, width):
                raise DataSetError(
                    f"crop is {self.crop}, but the pictures of {shard.path} are {width}x{height}; "
                    f"take a crop of at most {min(height, width)}"
                )

    def _halved(self, shard: Shard) -> bool:
        return "guidance" in self.extras and bool(shard.file["guidance"].shape[1:3] != shard.file["blurry"].shape[1:3])

    def _room(self, shard: Shard, row: int) -> tuple[int, int, int, int]:
        """(top, left, height, width) that crops may cover; even where guidance is at half resolution."""
        top, left, height, width = shard.box(row)
        if not self._halved(shard):
            return top, left, height, width
        bottom, right = (top + height) // 2 * 2, (left + width) // 2 * 2
        top, left = -(-top // 2) * 2, -(-left // 2) * 2
        return top, left, bottom - top, right - left

    def _read(self, shard: Shard, row: int, rng: np.random.Generator) -> dict[str, Array]:
        top, left, height, width = self._room(shard, row)
        step = 2 if self._halved(shard) else 1
        top += step * int(rng.integers((height - self.crop) // step + 1))
        left += step * int(rng.integers((width - self.crop) // step + 1))
        arrays = {}
        for name in (*PICTURES, *self.extras):
            scale = step if name == "guidance" else 1
            rows, columns = (slice(first // scale, (first + self.crop) // scale) for first in (top, left))
            arrays[name] = shard.file[name][row, ..., rows, columns, :]
        return arrays

    def _hold(self, shard: Shard) -> None:
        """Note that the shard is in use, and close the one that was longest not when too many are open."""
        self._open.pop(shard, None)
        self._open[shard] = None
        if len(self._open) > _OPEN:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.close()


class Draws(Sampler[int]):
    """Draw numbers from `start` without end."""

    def __init__(self, start: int = 0) -> None:
        self.start = start

    def __iter__(self) -> Iterator[int]:
        draw = self.start
        while True:
            yield draw
            draw += 1


def _tensor(array: Array) -> torch.Tensor:
    """(..., H, W, C) to (..., C, H, W); float16 to float32."""
    planes = np.ascontiguousarray(np.moveaxis(array, -1, -3))
    return torch.from_numpy(planes.astype(np.float32) if planes.dtype == np.float16 else planes)


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.random.default_rng([seed, 0, epoch]).permutation(count)
