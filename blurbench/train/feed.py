"""Batches for training: which videos are learnt from, which are kept for validation, and what each step of each device sees."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader, Sampler

from blurbench.errors import DataSetError, RecipeError
from blurbench.store.dataset import BlurDataset
from blurbench.store.reader import MadeDataSet

HELD_OUT = 0.05
"""Share of the training videos kept for validation; test clips are never looked at."""


class Batches(Sampler[list[int]]):
    """Without end, the draws of each step from `step` on that are one device's: those of a step are consecutive, and shared out evenly.

    Which draws a step sees depends on nothing but its number, so training goes on exactly where it stopped, with any number of devices.
    """

    def __init__(self, step: int, batch: int, rank: int = 0, devices: int = 1) -> None:
        """batch: crops of a step over all devices. Raises RecipeError when they cannot be shared evenly."""
        if batch % devices:
            raise RecipeError(f"batch is {batch}, which {devices} devices cannot share evenly; take a number of devices that divides it")
        self.step, self.batch, self.each = step, batch, batch // devices
        self.offset = rank * self.each

    def __iter__(self) -> Iterator[list[int]]:
        step = self.step
        while True:
            first = step * self.batch + self.offset
            yield list(range(first, first + self.each))
            step += 1


def split_videos(data: MadeDataSet) -> tuple[frozenset[str], frozenset[str]]:
    """Training videos to learn from and to validate on. Raises DataSetError for a data set without a training split, RecipeError for
    one of a single video."""
    if not data.manifest.splits.get("train"):
        have = ", ".join(name for name, entries in data.manifest.splits.items() if entries) or "none"
        raise DataSetError(f"{data.folder} has no training split (its splits: {have}); make it with training clips, e.g. --clips train=200")
    videos = [entry.video for entry in data.entries("train")]
    if len(videos) < 2:
        told = f"{data.folder} has {len(videos)} training video, expected at least 2: one is kept for validation"
        raise RecipeError(f"{told}; make it of more videos (built-in footage: --clips train=200)")
    count = max(1, round(len(videos) * HELD_OUT))
    return frozenset(videos[:-count]), frozenset(videos[-count:])


def loader(data: BlurDataset, batches: Batches, workers: int, pinned: bool) -> Iterator[dict[str, torch.Tensor]]:
    """The batches, read by worker processes ahead of their use; none: read when asked for."""
    return iter(
        DataLoader(
            data,
            batch_sampler=batches,
            num_workers=workers,
            pin_memory=pinned,
            prefetch_factor=4 if workers else None,
            worker_init_fn=_deaf,
        )
    )


def _deaf(worker: int) -> None:
    """Ctrl-C is the training's affair: it ends the processes that read."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
