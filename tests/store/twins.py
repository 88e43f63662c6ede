"""A made data set in which two splits have a video of the same id."""

import numpy as np

from blurbench.store.manifest import Entry, Manifest
from blurbench.store.shard import ShardWriter

LEVELS = {"test": 100, "train": 10}
"""Of the first blurry picture of video 000 in each split; each later one is one more."""


def make(folder, counts):
    """Video 000 with so many samples in each split, by split; 24x32, the target 50 grey levels above the blurry picture."""
    manifest = Manifest("twins", 1, "twins", "video", "pixel", {}, "0")
    for split, samples in counts.items():
        with ShardWriter(folder / split / "000.h5") as writer:
            for row in range(samples):
                blurry = np.full((24, 32, 3), LEVELS[split] + row, np.uint8)
                writer.append({"blurry": blurry, "sharp": blurry[None] + np.uint8(50), "times": np.array([0.5])})
            content = writer.finish({"fingerprint": split, "transfer": "pixel", "provenance": "{}"})
        manifest.enter(split, Entry("000", f"{split}/000.h5", samples, 0, 0, split, content))
    manifest.write(folder)
    return folder


def level(sample):
    """The grey level of its blurry picture."""
    return int(sample.blurry[0, 0, 0])
