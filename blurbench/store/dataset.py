"""A made data set as a torch Dataset for training: random crops that read only the tiles they touch, reproducible augmentation."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset

from blurbench.errors import DataSetError, UnknownNameError
from blurbench.store.augment import FIELDS, PICTURES, Array, Augmentation
from blurbench.store.reader import MadeDataSet, open_dataset
from blurbench.store.shard import Shard
from blurbench.store.tiles import Tiles
from blurbench.strict import require, whole
from blurbench.types import F32

_OPEN = 256  # shards that a process holds open; systems allow 1024 files, and data sets of one shard a picture have more


class Box(NamedTuple):
    """The part of a picture in which crops may be. They begin at multiples of `step`, 2 where guidance is at half resolution."""

    top: int
    left: int
    height: int
    width: int
    step: int


class BlurDataset(Dataset[dict[str, torch.Tensor]]):
    """Random crops of a split, indexed by *draw*: draw d is the same crop with the same augmentation whichever worker makes it.
    Negative ones count from the end of the epoch, as in a list.

    Every epoch visits every sample once, in an order drawn from the seed. A draw gives `blurry` (3, c, c) and `sharp` (T, 3, c, c),
    float32 RGB in [0, 1], and of the `extras` asked for: `flow` (T-1, 2, c, c), `flow_first_last`, `motion` (2, c, c), float32 pixels,
    x right and y down; `guidance` (2, c, c) int8, or (2, c/2, c/2) where it was made at half resolution: crops then begin at even
    places. Crops lie inside the part of a sample that is valid. Shards are opened in the process that reads them.

    With neighbours, N exposures of the video in all, there are besides `blurry_around` (N, 3, c, c) and `sharp_around` (N, T, 3, c, c): the
    same crop, changed alike, of the exposures before, the sample's own and those after, in order of time. Samples that lack one of
    them, at the ends of a video or beside exposures that became no sample, are left out. Time reversed, the same N come in reverse, and
    the sample is the one that then stands at the sample's place. `flow` and `flow_first_last` of reversed time are approximate: negated,
    on the grid that they had, see `blurbench.store.augment.reversed_time`.
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
        before: int = 0,
        after: int = 0,
    ) -> None:
        """videos: only these. augmentation: what happens to each crop at random; none by default. before, after: neighbouring exposures.

        Raises DataSetError for an empty selection, a crop larger than the pictures, or a shard without the extras; UnknownNameError for an
        extra that no data set has and for a video that the split lacks; RecipeError for a crop of nothing and a negative number.
        """
        data = data if isinstance(data, MadeDataSet) else open_dataset(data)
        require("BlurDataset", "crop", crop, whole(crop, 1), "a number of pixels, at least 1")
        for name, value in (("seed", seed), ("before", before), ("after", after)):
            require("BlurDataset", name, value, whole(value, 0), "a whole number, at least 0")
        known = [entry.video for entry in data.entries(split)]
        if strange := sorted(set(videos or ()).difference(known)):
            raise UnknownNameError("video", strange[0], known, f"split {split!r} of {data.folder}")
        if unknown := [name for name in extras if name not in FIELDS]:
            raise UnknownNameError("extra", unknown[0], FIELDS)
        self.crop = crop
        self.seed = seed
        self.augmentation = augmentation or Augmentation()
        self.extras = tuple(extras)
        self.before, self.after = before, after
        self._index: list[tuple[Shard, int, Box]] = []
        self._open: dict[Shard, dict[str, Tiles]] = {}
        self._process = os.getpid()
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]  # workers that stay alive see it
        for shard in data.shards(split):
            if videos is None or shard.video in videos:
                self._check(shard)
                rows = [row for run in shard.runs for row in run[before : len(run) - after]]
                self._index += [(shard, row, self._room(shard, row)) for row in rows]
                shard.close()
        if not self._index:
            short = f": no video has {before + 1 + after} exposures in a row; take longer ones" if before + after else ""
            raise DataSetError(f"split {split!r} of {data.folder} has no samples to train on{short}")

    def __len__(self) -> int:
        return len(self._index)

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        """The draws of the first epoch, once: indexing never ends, so that the protocol of sequences would not."""
        return (self[draw] for draw in range(len(self)))

    def set_epoch(self, epoch: int) -> None:
        """Let draws 0 to len - 1 be those of this epoch: for a sampler that asks for no others, as torch's own do. Call it before each;
        workers that stay alive hear of it too.

        Raises RecipeError for a negative one.
        """
        require("set_epoch", "epoch", epoch, whole(epoch, 0), "a whole number, at least 0")
        self._epoch.fill_(epoch)

    def __getitem__(self, draw: int) -> dict[str, torch.Tensor]:
        if draw < -len(self):
            raise IndexError(f"draw {draw} of {len(self)} samples, expected at least {-len(self)}")
        draw += int(self._epoch) * len(self) + (len(self) if draw < 0 else 0)
        epoch, place = divmod(draw, len(self))
        shard, row, room = self._index[_order(self.seed, epoch, len(self))[place]]
        rng = np.random.default_rng([self.seed, 1, draw])
        corner = self._corner(room, rng)
        change = self.augmentation.draw(rng)
        rows = range(row - self.before, row + self.after + 1)[:: -1 if change.reverse_time else 1]
        own = rows[self.before]
        moved = {each: change.move(self._read(shard, each, room.step, corner, self.extras if each == own else ())) for each in rows}
        planes = {name: np.moveaxis(array, -1, -3) for name, array in moved[own].items()}
        if len(rows) == 1:
            planes |= change.tone({name: _in_unit_range(planes[name]) for name in PICTURES})
        else:
            around = {name: np.moveaxis(np.stack([moved[each][name] for each in rows]), -1, -3) for name in PICTURES}
            for name, array in change.tone({name: _in_unit_range(array) for name, array in around.items()}).items():
                planes |= {name: array[self.before], f"{name}_around": array}
        return {name: _tensor(array) for name, array in planes.items()}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}

    def _check(self, shard: Shard) -> None:
        """Raises DataSetError for a shard without the pictures or extras, or whose guidance the crop does not suit."""
        if missing := [name for name in (*PICTURES, *self.extras) if name not in shard.file]:
            raise DataSetError(
                f"{shard.path} has no {missing[0]!r}, expected {', '.join((*PICTURES, *self.extras))}; "
                "make the data set by a recipe that stores them, or ask for fewer"
            )
        if not self._halved(shard):
            return
        found, (height, width) = shard.file["guidance"].shape[1:3], shard.file["blurry"].shape[1:3]
        if found != (height // 2, width // 2):
            raise DataSetError(f"{shard.path} has guidance of {found[1]}x{found[0]}, expected {width}x{height} or half of it")
        if self.crop % 2:
            raise DataSetError(f"crop is {self.crop}, but the guidance of {shard.path} is at half resolution; take an even crop")

    def _halved(self, shard: Shard) -> bool:
        return "guidance" in self.extras and bool(shard.file["guidance"].shape[1:3] != shard.file["blurry"].shape[1:3])

    def _room(self, shard: Shard, row: int) -> Box:
        """Where crops may be. Raises DataSetError when the crop is larger."""
        top, left, height, width = shard.box(row)
        step = 2 if self._halved(shard) else 1
        bottom, right = (top + height) // step * step, (left + width) // step * step
        top, left = -(-top // step) * step, -(-left // step) * step
        if self.crop > (side := min(bottom - top, right - left)):
            raise DataSetError(f"crop is {self.crop}, but the pictures of {shard.path} are {width}x{height}; take a crop of at most {side}")
        return Box(top, left, bottom - top, right - left, step)

    def _corner(self, room: Box, rng: np.random.Generator) -> tuple[int, int]:
        """Top and left of a crop."""
        top = room.top + room.step * int(rng.integers((room.height - self.crop) // room.step + 1))
        return top, room.left + room.step * int(rng.integers((room.width - self.crop) // room.step + 1))

    def _read(self, shard: Shard, row: int, step: int, corner: tuple[int, int], extras: Sequence[str]) -> dict[str, Array]:
        self._hold(shard)
        arrays = {}
        for name in (*PICTURES, *extras):
            scale = step if name == "guidance" else 1
            rows, columns = (slice(first // scale, (first + self.crop) // scale) for first in corner)
            arrays[name] = self._tiles(shard, name).crop(row, rows, columns)
        return arrays

    def _tiles(self, shard: Shard, name: str) -> Tiles:
        tiles = self._open[shard]
        if name not in tiles:
            tiles[name] = Tiles(shard.file[name])
        return tiles[name]

    def _hold(self, shard: Shard) -> None:
        """Note that the shard is in use, and close the one that was longest not when too many are open.

        A process that was forked off shares the files of its parent, so it closes them (for itself alone) and opens its own.
        """
        if self._process != os.getpid():
            for inherited in self._open:
                inherited.close()
            self._open, self._process = {}, os.getpid()
        self._open[shard] = self._open.pop(shard, {})
        if len(self._open) > _OPEN:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.close()


def _in_unit_range(planes: Array) -> F32:
    """uint8 planes (..., H, W) as float32 in [0, 1]."""
    scaled = np.empty(planes.shape, np.float32)
    for where in np.ndindex(planes.shape[:-2]):  # plane by plane the strides suit the cache: five times as fast as at once
        np.divide(planes[where], np.float32(255), out=scaled[where])
    return scaled


def _tensor(planes: Array) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(planes, np.float32 if planes.dtype == np.float16 else None))


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.random.default_rng([seed, 0, epoch]).permutation(count)
