"""A made data set as a torch Dataset for training: random crops that read only the tiles they touch, reproducible augmentation."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from blurbench.errors import DataSetError
from blurbench.store.reader import MadeDataSet, open_dataset


class BlurDataset(Dataset[dict[str, torch.Tensor]]):
    """Random crops of a split, indexed by *draw*: draw d is the same crop with the same augmentation whichever worker makes it.

    Every epoch visits every sample once, in an order drawn from the seed. A draw gives `blurry` (3, c, c) and `sharp` (T, 3, c, c),
    float32 RGB in [0, 1]; flipped left-right by chance. Shards are opened in the process that reads them.

    `contrast` below 1 and `soften` above 0 make crops duller and softer by chance, blurry and sharp alike: rendered edges are sharper than
    those of a lens. Softening commutes with motion blur but for the transfer function.
    """

    def __init__(
        self,
        data: MadeDataSet | str | Path,
        split: str,
        crop: int,
        seed: int = 0,
        videos: frozenset[str] | None = None,
        contrast: float = 1.0,
        soften: float = 0.0,
        turns: bool = False,
    ) -> None:
        """videos: only these. contrast: least contrast. soften: largest Gaussian sigma in pixels. turns: quarter turns as well as flips.

        Raises DataSetError for an empty selection or a crop larger than the pictures.
        """
        data = data if isinstance(data, MadeDataSet) else open_dataset(data)
        self.crop = crop
        self.seed = seed
        self.contrast = contrast
        self.soften = soften
        self.turns = turns
        self._shards = [shard for shard in data.shards(split) if videos is None or shard.video in videos]
        self._index = [(shard, row) for shard in self._shards for row in range(len(shard))]
        if not self._index:
            raise DataSetError(f"split {split!r} of {data.folder} has no samples to train on")
        height, width = self._shards[0].file["blurry"].shape[1:3]
        if crop > min(height, width):
            raise DataSetError(
                f"crop is {crop}, but the pictures of {data.folder} are {width}x{height}; take a crop of at most {min(height, width)}"
            )
        for shard in self._shards:
            shard.close()

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, draw: int) -> dict[str, torch.Tensor]:
        epoch, place = divmod(draw, len(self))
        shard, row = self._index[_order(self.seed, epoch, len(self))[place]]
        rng = np.random.default_rng([self.seed, 1, draw])
        blurry, sharp = shard.file["blurry"], shard.file["sharp"]
        top = int(rng.integers(blurry.shape[1] - self.crop + 1))
        left = int(rng.integers(blurry.shape[2] - self.crop + 1))
        rows, columns = slice(top, top + self.crop), slice(left, left + self.crop)
        pixels = np.concatenate([blurry[row, rows, columns][None], sharp[row, :, rows, columns]]).astype(np.float32) / np.float32(255)
        if rng.random() < 0.5:
            pixels = pixels[:, :, ::-1]
        if self.turns:
            pixels = np.rot90(pixels, int(rng.integers(4)), axes=(1, 2))
        if self.soften and rng.random() < 0.8:
            sigma = rng.uniform(0.3, self.soften)
            pixels = np.stack([cv2.GaussianBlur(np.ascontiguousarray(frame), (0, 0), sigma) for frame in pixels])
        level = pixels.mean()
        pixels = level + (pixels - level) * np.float32(rng.uniform(self.contrast, 1))
        planes = torch.from_numpy(np.ascontiguousarray(np.moveaxis(pixels, -1, -3)))
        return {"blurry": planes[0], "sharp": planes[1:]}


class Draws(Sampler[int]):
    """Draw numbers from `start` without end."""

    def __init__(self, start: int = 0) -> None:
        self.start = start

    def __iter__(self) -> Iterator[int]:
        draw = self.start
        while True:
            yield draw
            draw += 1


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.random.default_rng([seed, 0, epoch]).permutation(count)
