"""Neighbouring exposures: a gap that the recipe, the gate or a broken release left ends a run as the end of the video does."""

import json

import numpy as np
import pytest

from blurbench.errors import DataSetError
from blurbench.store.dataset import BlurDataset
from blurbench.store.manifest import Entry, Manifest
from blurbench.store.reader import open_dataset
from blurbench.store.shard import Shard, ShardWriter
from blurbench.synth.pipeline import make_dataset
from blurbench.video.images import write_rgb


def windows(starts, length=7, factor=1, lengths=None):
    """`averaged` of windows that begin at these frames of the averaged stream; of these lengths, filled up to `length` with NaN."""
    rows = np.array(starts, np.float64)[:, None] + np.arange(length)
    for row, own in enumerate(lengths or []):
        rows[row, own:] = np.nan
    return {"averaged": rows / factor}


def released(*names):
    return {"files": np.array([[name, b"sharp/7.png"] for name in names])}


def recipe(stride=0, shortest=0, factor=1):
    return {"recipe": {"window": {"stride": stride, "shortest": shortest}, "interpolation": {"factor": factor}}}


def kernels(variant):
    return {"recipe": {**recipe()["recipe"], "kernels": {"variant": variant}}}


def write(folder, count, arrays, provenance):
    """A data set of one video whose pictures hold the number of their row."""
    with ShardWriter(folder / "a.h5") as writer:
        for row in range(count):
            blurry = np.full((16, 16, 3), row, np.uint8)
            own = {name: array[row] for name, array in arrays.items()}
            writer.append({"blurry": blurry, "sharp": blurry[None], "times": np.array([0.5]), **own})
        content = writer.finish({"fingerprint": "f", "transfer": "pixel", "provenance": json.dumps(provenance)})
    manifest = Manifest("test", 1, "test", "video", "pixel", {}, "0")
    manifest.enter("train", Entry("a", "a.h5", count, 0, 0, "f", content))
    manifest.write(folder)
    return Shard(folder / "a.h5", "a")


@pytest.mark.parametrize(
    ("arrays", "provenance", "runs"),
    [
        (windows([0, 7, 21, 28, 35]), recipe(), [(0, 2), (2, 5)]),
        (windows([0, 7, 14]), recipe(), [(0, 3)]),
        (windows([7, 21, 42]), recipe(), [(0, 1), (1, 2), (2, 3)]),
        (windows([11, 19, 27, 43], 11), recipe(stride=8), [(0, 3), (3, 4)]),  # overlapping
        (windows([0, 80, 240], 65, 16), recipe(stride=80, factor=16), [(0, 2), (2, 3)]),  # apart
        (windows([0, 10, 20, 30], 10, 3), recipe(factor=3), [(0, 4)]),  # fractions
        (windows([0, 3, 8, 16, 19], 5, 1, [3, 5, 3, 3, 5]), recipe(shortest=3), [(0, 3), (3, 5)]),
        (windows([0, 3, 8], 5, 1, [3, 5, 3]), recipe(stride=4, shortest=3), [(0, 3)]),  # a stride that such windows do not follow
        (windows([11, 19, 35], 11), {}, [(0, 2), (2, 3)]),  # released, with the whole sharp video
        (released(b"blur/000005.png", b"blur/000006.png", b"blur/000008.png"), {}, [(0, 2), (2, 3)]),
        (released(b"GOPR0372_07_00_000005.png", b"GOPR0372_07_00_000006.png"), {}, [(0, 2)]),
        (released(b"b.png", b"a.png", b"c.png"), {}, [(0, 3)]),
        ({"times": np.zeros((3, 1))}, {}, [(0, 3)]),
        ({"times": np.zeros((3, 1))}, kernels("per-pixel"), [(0, 1), (1, 2), (2, 3)]),
        ({"times": np.zeros((3, 1))}, kernels("uniform"), [(0, 1), (1, 2), (2, 3)]),
        (windows([0, 7, 14]), kernels("none"), [(0, 3)]),
        (windows([5]), recipe(), [(0, 1)]),
    ],
)
def test_runs(tmp_path, arrays, provenance, runs):
    shard = write(tmp_path, len(next(iter(arrays.values()))), arrays, provenance)
    assert shard.runs == [range(*run) for run in runs]


def test_a_gap_is_an_end(tmp_path):
    shard = write(tmp_path, 5, windows([0, 7, 21, 28, 35]), recipe())
    seen = {}
    for row, sample in enumerate(shard.samples(before=2, after=1)):
        seen[row] = [int(picture[0, 0, 0]) for picture in (*sample.extras["before"], sample.blurry, *sample.extras["after"])]
    assert seen == {0: [0, 0, 0, 1], 1: [0, 0, 1, 1], 2: [2, 2, 2, 3], 3: [2, 2, 3, 4], 4: [2, 3, 4, 4]}


def test_no_crops_across_a_gap(tmp_path):
    write(tmp_path, 5, windows([0, 7, 21, 28, 35]), recipe())
    crops = BlurDataset(tmp_path, "train", 8, before=1, after=1)
    assert len(crops) == 1
    assert (crops[0]["blurry_around"][:, 0, 0, 0] * 255).round().tolist() == [2, 3, 4]
    assert len(BlurDataset(tmp_path, "train", 8, after=1)) == 3
    assert len(BlurDataset(tmp_path, "train", 8)) == 5
    with pytest.raises(DataSetError, match="no video has 4 exposures in a row"):
        BlurDataset(tmp_path, "train", 8, before=3)


def test_maps_of_one_picture_are_no_neighbours(tmp_path):
    """Three blurs of the same picture: each stands alone, and none is there to train a method of several exposures."""
    rng = np.random.default_rng(0)
    (tmp_path / "pictures").mkdir()
    write_rgb(tmp_path / "pictures/a.png", rng.integers(0, 256, (96, 120, 3), dtype=np.uint8))
    made = make_dataset("synthetic-linear", tmp_path / "pictures", tmp_path / "data", changes=["kernels.strength=mild"])
    assert made.splits["test"][0].samples == 3
    for sample in open_dataset(tmp_path / "data").samples("test", before=1, after=1):
        for side in ("before", "after"):
            np.testing.assert_array_equal(sample.extras[side], sample.blurry[None])
    with pytest.raises(DataSetError, match="no video has 2 exposures in a row"):
        BlurDataset(tmp_path / "data", "test", 8, before=1)


def test_exposures_beside_what_a_gate_left_out(tmp_path):
    """The fastest window inside a video is left out: those beside it are no neighbours, all others are as without a gate."""
    options = {"clips": {"train": 0, "test": 1}, "size": (48, 64), "frames": 64}
    make_dataset("gopro7", out=tmp_path / "all", **options)
    whole = list(open_dataset(tmp_path / "all").samples("test", before=1))
    steps = np.array([sample.extras["largest_step"].item() for sample in whole])
    limit = steps[1:-1].max() - 1e-3
    make_dataset("gopro7", out=tmp_path / "gated", changes=[f"gate.largest_step={limit}"], **options)
    kept = [row for row, step in enumerate(steps) if step <= limit]
    gated = list(open_dataset(tmp_path / "gated").samples("test", before=1))
    assert len(gated) == len(kept) < len(whole)
    for row, sample in zip(kept, gated, strict=True):
        np.testing.assert_array_equal(sample.blurry, whole[row].blurry)
        np.testing.assert_array_equal(sample.extras["before"][0], whole[row - 1 if row - 1 in kept else row].blurry)
