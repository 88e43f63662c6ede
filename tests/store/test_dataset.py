"""BlurDataset: what it reads is what the shards hold at one place of one sample, whatever they hold, however many processes read."""

import os
import pickle

import h5py
import numpy as np
import pytest
import torch

from blurbench.errors import BlurbenchError, DataSetError, UnknownNameError
from blurbench.store import dataset as dataset_module
from blurbench.store.augment import Augmentation, Change
from blurbench.store.dataset import BlurDataset
from blurbench.store.manifest import Entry, Manifest
from blurbench.store.reader import open_dataset
from blurbench.store.shard import ShardWriter
from blurbench.store.tiles import Tiles
from blurbench.synth.guidance import guidance


def sample(rng, height, width, targets, half):
    """A sample in which each array says where it is: every picture holds its row and column, flow and guidance follow from them."""
    y, x = np.mgrid[:height, :width]
    place = np.dstack([y % 256, x % 256, 16 * (y // 256) + x // 256]).astype(np.uint8)
    moved = np.broadcast_to(np.dstack([x, y]).astype(np.float16), (max(targets - 1, 1), height, width, 2)).copy()
    found = guidance(rng.normal(size=(1, height, width, 2)), half=half)
    sharp = np.stack([place + np.uint8([0, 0, 100]) + np.uint8(t) for t in range(targets)])
    return {"blurry": place, "sharp": sharp, "times": np.linspace(0, 1, targets), "flow": moved, "guidance": found}


def make(folder, *, sizes=((150, 170),), targets=3, half=True, samples=3, codec="zstd", valid=None):
    """A made data set of one shard for each size; returns it with all that was written."""
    manifest = Manifest("test", 1, "test", "video", "pixel", {}, "0")
    rng = np.random.default_rng(0)
    written = {}
    for number, size in enumerate(sizes):
        with ShardWriter(folder / f"{number}.h5", codec) as writer:
            for row in range(samples):
                item = sample(rng, *size, targets, half)
                if valid is not None:
                    item["valid"] = np.array(valid)
                writer.append(item)
                written[number, row] = item
            content = writer.finish({"fingerprint": "f", "transfer": "pixel", "provenance": "{}"})
        manifest.enter("train", Entry(str(number), f"{number}.h5", samples, 0, 0, "f", content))
    manifest.write(folder)
    return written


def place_of(crop):
    """(top, left) of a crop of `sample`'s blurry picture."""
    y, x, high = (int(value) for value in (crop[:, 0, 0] * 255).round())
    return y + 256 * (high // 16), x + 256 * (high % 16)


@pytest.mark.parametrize("codec", ["zstd", "gzip"])
@pytest.mark.parametrize("targets", [1, 3])
def test_pictures_flow_and_guidance_are_of_one_place(tmp_path, codec, targets):
    written = make(tmp_path, targets=targets, codec=codec)
    extras = ("flow", "guidance") if targets > 1 else ("guidance",)
    crops = BlurDataset(tmp_path, "train", crop=30, extras=extras)
    places = set()
    for draw in range(12):
        found = crops[draw]
        top, left = place_of(found["blurry"])
        places.add((top, left))
        assert top % 2 == left % 2 == 0
        assert found["blurry"].shape == (3, 30, 30) and found["sharp"].shape == (targets, 3, 30, 30)
        assert found["guidance"].shape == (2, 15, 15) and found["guidance"].dtype == torch.int8
        here, halved = np.s_[..., top : top + 30, left : left + 30, :], np.s_[top // 2 : top // 2 + 15, left // 2 : left // 2 + 15]
        rows = [item for item in written.values() if np.array_equal(item["guidance"][halved], found["guidance"].permute(1, 2, 0))]
        assert len(rows) == 1  # guidance is noise, so it tells the sample
        for name in ("blurry", "sharp", "flow")[: len(extras) + 1]:
            scale = 1 if name == "flow" else 255
            assert np.array_equal((found[name] * scale).round().movedim(-3, -1).numpy(), rows[0][name][here].astype(np.float32)), name
    assert len(places) > 8


def test_every_sample_once_an_epoch(tmp_path):
    written = make(tmp_path, sizes=((32, 40), (50, 36)), half=False)
    crops = BlurDataset(tmp_path, "train", crop=32, extras=("guidance",))
    for epoch in range(2):
        drawn = {crops[draw]["guidance"].numpy().tobytes() for draw in range(epoch * 6, epoch * 6 + 6)}
        assert len(drawn) == 6 == len(written)


def test_the_augmentation_is_applied_to_everything(tmp_path):
    make(tmp_path)
    plain = BlurDataset(tmp_path, "train", 20, extras=("flow", "guidance"))
    reversed_ = BlurDataset(tmp_path, "train", 20, extras=("flow", "guidance"), augmentation=Augmentation(flip=1, reverse_time=1))
    for draw in range(3):
        arrays = {name: np.moveaxis(tensor.numpy(), -3, -1) for name, tensor in plain[draw].items()}
        changed = Change(flip=True, reverse_time=True).apply(arrays)
        # Both draw their place first, so it is the same one.
        for name, tensor in reversed_[draw].items():
            assert np.array_equal(tensor.movedim(-3, -1), changed[name]), name


def numbered(folder, samples):
    """A made data set of one video whose pictures hold row, column and the number of their sample; targets 50 and 100 more."""
    manifest = Manifest("test", 1, "test", "video", "pixel", {}, "0")
    y, x = np.mgrid[:40, :50]
    with ShardWriter(folder / "0.h5") as writer:
        for number in range(samples):
            place = np.dstack([y, x, np.full_like(x, number)]).astype(np.uint8)
            motion = np.full((40, 50, 2), number, np.float16)
            writer.append({"blurry": place, "sharp": np.stack([place + np.uint8([0, 0, 50 * t]) for t in (1, 2)]), "motion": motion})
        content = writer.finish({"fingerprint": "f", "transfer": "pixel", "provenance": "{}"})
    manifest.enter("train", Entry("0", "0.h5", samples, 0, 0, "f", content))
    manifest.write(folder)


@pytest.mark.parametrize("reverse", [False, True])
def test_neighbours_are_the_same_crop_of_the_exposures_around(tmp_path, reverse):
    """Two before and one after. Reversed, the same four run backwards, and the sample is the one that then has two before it."""
    numbered(tmp_path, 6)
    augmentation = Augmentation(flip=1, reverse_time=float(reverse))
    crops = BlurDataset(tmp_path, "train", 24, augmentation=augmentation, extras=("motion",), before=2, after=1)
    assert len(crops) == 3
    seen = set()
    for draw in range(6):
        found = {name: array if name == "motion" else (255 * array).round() for name, array in crops[draw].items()}
        window = [int(picture[2, 0, 0]) for picture in found["blurry_around"]]
        seen.add(tuple(window))
        own = window[2]
        assert torch.equal(found["blurry"], found["blurry_around"][2]) and torch.equal(found["sharp"], found["sharp_around"][2])
        assert (found["motion"].abs() == own).all()
        for number, targets in zip(window, found["sharp_around"][:, :, 2, 0, 0].tolist(), strict=True):
            assert targets == [number + 100, number + 50] if reverse else [number + 50, number + 100]
        top, right = found["blurry"][:2, 0, 0].tolist()
        y, x = np.mgrid[top : top + 24, right - 23 : right + 1]
        for pictures in (found["blurry_around"], found["sharp_around"].flatten(0, 1)):
            assert all(np.array_equal(picture[:2].numpy(), [y, x[:, ::-1]]) for picture in pictures)
    windows = {(first, first + 1, first + 2, first + 3) for first in range(3)}
    assert seen == ({window[::-1] for window in windows} if reverse else windows)


def test_neighbours_are_softened_and_dulled_with_their_sample(tmp_path):
    numbered(tmp_path, 4)
    crops = BlurDataset(tmp_path, "train", 24, augmentation=Augmentation(contrast=0.3, soften=2), before=1, after=1)
    plain = BlurDataset(tmp_path, "train", 24, before=1, after=1)
    for draw in range(3):
        rng = np.random.default_rng([0, 1, draw])
        rng.integers(17), rng.integers(27)
        sigma = rng.uniform(0.3, 2) if rng.random() < 0.8 else 0.0
        change = Change(sigma=sigma, contrast=rng.uniform(0.3, 1))
        around = {name: plain[draw][name].numpy() for name in ("blurry_around", "sharp_around")}
        for name, array in change.tone(around).items():
            assert crops[draw][name].numpy() == pytest.approx(array, abs=1e-6)


def test_draws_of_the_shipped_weights_training(tmp_path):
    """Place, flip, turn, sigma, contrast, in this order: the crops of a seed stay what they were when weights were trained on them."""
    written = make(tmp_path, samples=1, half=False)
    crops = BlurDataset(tmp_path, "train", 32, seed=7, augmentation=Augmentation(flip=0.5, turns=True, contrast=0.3, soften=1.5))
    for draw in range(6):
        rng = np.random.default_rng([7, 1, draw])
        top, left = int(rng.integers(150 - 32 + 1)), int(rng.integers(170 - 32 + 1))
        pixels = written[0, 0]["sharp"][:, top : top + 32, left : left + 32].astype(np.float32) / 255
        blurry = written[0, 0]["blurry"][top : top + 32, left : left + 32].astype(np.float32) / 255
        arrays = {"blurry": blurry, "sharp": pixels}
        flip, turns = rng.random() < 0.5, int(rng.integers(4))
        sigma = rng.uniform(0.3, 1.5) if rng.random() < 0.8 else 0.0
        expected = Change(flip=flip, turns=turns, sigma=sigma, contrast=rng.uniform(0.3, 1)).apply(arrays)
        assert crops[draw]["sharp"].movedim(-3, -1).numpy() == pytest.approx(expected["sharp"], abs=1e-6)


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_two_workers_read_what_one_reads(tmp_path, start):
    make(tmp_path, sizes=((64, 64), (64, 64)))
    crops = BlurDataset(tmp_path, "train", 32, augmentation=Augmentation(flip=0.5, soften=1), extras=("flow", "guidance"))
    alone = [crops[draw] for draw in range(8)]  # leaves files open, which workers must not use
    loader = torch.utils.data.DataLoader(crops, batch_size=2, num_workers=2, sampler=range(8), multiprocessing_context=start)
    for number, batch in enumerate(loader):
        for name, tensor in batch.items():
            assert torch.equal(tensor, torch.stack([alone[2 * number][name], alone[2 * number + 1][name]]))
    assert all(torch.equal(crops[draw]["sharp"], alone[draw]["sharp"]) for draw in range(8))


def test_a_fork_opens_its_own_files(tmp_path):
    make(tmp_path)
    crops = BlurDataset(tmp_path, "train", 32)
    expected = crops[0]["blurry"]
    reader, writer = os.pipe()
    if not (child := os.fork()):
        before = crops._index[0][0]._file
        same = torch.equal(crops[0]["blurry"], expected)
        os.write(writer, b"y" if same and not before and crops._index[0][0]._file is not before else b"n")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 1) == b"y"
    assert torch.equal(crops[0]["blurry"], expected)


def test_no_open_file_is_pickled(tmp_path):
    make(tmp_path)
    crops = BlurDataset(tmp_path, "train", 32, extras=("guidance",))
    first = crops[0]["guidance"]
    copy = pickle.loads(pickle.dumps(crops))
    assert not copy._open and torch.equal(copy[0]["guidance"], first)


def test_few_files_stay_open(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset_module, "_OPEN", 2)
    make(tmp_path, sizes=((32, 32),) * 5, samples=1)
    crops = BlurDataset(tmp_path, "train", 16)
    first = [crops[draw]["sharp"] for draw in range(10)]
    shards = [shard for shard, _, _ in crops._index]
    assert sum(shard._file is not None for shard in shards) == 2
    assert all(torch.equal(crops[draw]["sharp"], first[draw]) for draw in range(10))


def test_crops_lie_inside_the_valid_box(tmp_path):
    make(tmp_path, valid=(21, 31, 45, 60))
    whole = BlurDataset(tmp_path, "train", 40)
    halved = BlurDataset(tmp_path, "train", 40, extras=("guidance",))
    for crops, first in ((whole, (21, 31)), (halved, (22, 32))):
        places = np.array([place_of(crops[draw]["blurry"]) for draw in range(80)])
        assert (places >= first).all() and (places + 40 <= (66, 91)).all()
        assert (places.min(0) == first).all()
    with pytest.raises(DataSetError, match=r"crop is 46, but the pictures .* are 60x45; take a crop of at most 45"):
        BlurDataset(tmp_path, "train", 46)


def test_the_smallest_shard_counts(tmp_path):
    make(tmp_path, sizes=((64, 64), (64, 40)))
    with pytest.raises(DataSetError, match=r"1\.h5 are 40x64; take a crop of at most 40"):
        BlurDataset(tmp_path, "train", 48)
    assert len(BlurDataset(tmp_path, "train", 48, videos=frozenset({"0"}))) == 3


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"extras": ("trajectory",)}, UnknownNameError, "unknown extra 'trajectory'"),
        ({"extras": ("flow", "motion")}, DataSetError, "has no 'motion'"),
        ({"extras": ("guidance",), "crop": 31}, DataSetError, "take an even crop"),
        ({"videos": frozenset()}, DataSetError, "no samples to train on"),
        ({"before": 2, "after": 1}, DataSetError, "no samples to train on: no video has 4 exposures in a row; take longer ones"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path, options, error, message):
    make(tmp_path)
    with pytest.raises(error, match=message):
        BlurDataset(tmp_path, "train", **{"crop": 32, **options})


def test_guidance_of_another_size_is_told(tmp_path):
    make(tmp_path)
    with h5py.File(tmp_path / "0.h5", "r+") as file:
        del file["guidance"]
        file["guidance"] = np.zeros((3, 40, 40, 2), np.int8)
    with pytest.raises(DataSetError, match="guidance of 40x40, expected 170x150 or half of it"):
        BlurDataset(tmp_path, "train", 32, extras=("guidance",))


def stored(path, **options):
    values = np.random.default_rng(0).integers(0, 256, (2, 3, 100, 150, 3), dtype=np.uint8)
    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=values, **options)
    return values


@pytest.mark.parametrize(
    "options",
    [
        {"chunks": (1, 1, 32, 48, 3), "compression": "gzip"},
        {"chunks": (1, 1, 32, 48, 3), "compression": 32015},
        {"chunks": (1, 1, 32, 48, 3), "compression": "gzip", "shuffle": True},
        {"chunks": (1, 3, 32, 48, 3), "compression": "gzip"},
        {"chunks": (1, 1, 32, 48, 1), "compression": "gzip"},
        {"chunks": (1, 1, 32, 48, 3)},
        {},
    ],
)
def test_tiles_are_what_hdf5_reads(tmp_path, options):
    values = stored(tmp_path / "a.h5", **options)
    with h5py.File(tmp_path / "a.h5") as file:
        tiles = Tiles(file["a"])
        for rows, columns in ((slice(0, 100), slice(0, 150)), (slice(31, 65), slice(47, 49)), (slice(96, 97), slice(149, 150))):
            assert np.array_equal(tiles.crop(1, rows, columns), values[1, :, rows, columns])


def test_tiles_never_written_hold_zeros(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        array = file.create_dataset("a", (1, 64, 64, 3), "u1", chunks=(1, 32, 32, 3), compression="gzip")
        array[0, :32, :32] = 7
    with h5py.File(tmp_path / "a.h5") as file:
        crop = Tiles(file["a"]).crop(0, slice(20, 50), slice(20, 50))
    assert (crop[:12, :12] == 7).all() and crop.sum() == 12 * 12 * 3 * 7


def test_a_tile_stored_past_its_filter(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        array = file.create_dataset("a", (1, 32, 32, 3), "u1", chunks=(1, 32, 32, 3), compression="gzip")
        array.id.write_direct_chunk((0, 0, 0, 0), bytes([5]) * 32 * 32 * 3, filter_mask=1)
    with h5py.File(tmp_path / "a.h5") as file:
        assert (Tiles(file["a"]).crop(0, slice(3, 9), slice(0, 32)) == 5).all()


@pytest.mark.parametrize("codec", ["zstd", "gzip"])
def test_a_damaged_tile_is_told(tmp_path, codec):
    make(tmp_path, codec=codec)
    with h5py.File(tmp_path / "0.h5") as file:
        place = file["blurry"].id.get_chunk_info_by_coord((1, 0, 0, 0))
    with (tmp_path / "0.h5").open("r+b") as raw:
        raw.seek(place.byte_offset)
        raw.write(bytes(place.size))
    crops = BlurDataset(tmp_path, "train", 140)
    with pytest.raises(DataSetError, match=r"0\.h5 is damaged: a tile of '/blurry', sample 1"):
        for draw in range(3):
            crops[draw]
    (shard,) = [shard for shard in open_dataset(tmp_path).shards("train") if shard.video == "0"]
    shard.sample(0)
    says = r"0\.h5 is damaged: a tile of 'blurry', sample 1, cannot be unpacked \(.*\); delete the file"
    for read in (lambda: shard.sample(1), lambda: shard.sample(0, after=1)):
        with pytest.raises(DataSetError, match=says):
            read()


def test_pictures_that_a_shard_lacks_are_told(tmp_path):
    make(tmp_path)
    with h5py.File(tmp_path / "0.h5", "r+") as file:
        del file["sharp"]
    with pytest.raises(DataSetError, match=r"0\.h5 has no 'sharp', expected blurry, sharp; make the data set"):
        BlurDataset(tmp_path, "train", 32)
    with pytest.raises(DataSetError, match=r"0\.h5 lacks the array 'sharp', which every shard has; make the data set again"):
        next(open_dataset(tmp_path).samples("train"))


def test_going_through_it_ends_behind_the_first_epoch(tmp_path):
    make(tmp_path, sizes=((64, 64), (64, 64)))
    crops = BlurDataset(tmp_path, "train", 32)
    for seen in (list(crops), list(crops)):
        assert len(seen) == len(crops)
        assert all((each["blurry"] == crops[draw]["blurry"]).all() for draw, each in enumerate(seen))


def test_negative_draws_count_from_the_end_of_the_epoch(tmp_path):
    make(tmp_path)
    crops = BlurDataset(tmp_path, "train", 32, seed=5)
    whole = len(crops)
    for epoch in (0, 2):
        crops.set_epoch(epoch)
        assert all(torch.equal(crops[-1][name], crops[whole - 1][name]) for name in ("blurry", "sharp"))
        assert torch.equal(crops[-whole]["blurry"], crops[0]["blurry"])
    with pytest.raises(IndexError, match=f"draw {-whole - 1} of {whole} samples, expected at least {-whole}"):
        crops[-whole - 1]
    with pytest.raises(BlurbenchError, match="set_epoch: epoch is -1, expected a whole number, at least 0"):
        crops.set_epoch(-1)


def test_an_epoch_for_samplers_that_know_of_none(tmp_path):
    """What torch's own ask for are always 0 to len - 1."""
    make(tmp_path)
    crops, again = BlurDataset(tmp_path, "train", 20), BlurDataset(tmp_path, "train", 20)
    again.set_epoch(2)
    for draw in range(len(crops)):
        assert torch.equal(again[draw]["blurry"], crops[2 * len(crops) + draw]["blurry"])
    assert torch.equal(pickle.loads(pickle.dumps(again))[1]["blurry"], again[1]["blurry"])


@pytest.mark.parametrize("way", ["fork", "spawn"])
def test_workers_that_stay_alive_hear_of_the_epoch(tmp_path, way):
    make(tmp_path)
    crops = BlurDataset(tmp_path, "train", 20)
    loader = torch.utils.data.DataLoader(crops, num_workers=1, persistent_workers=True, multiprocessing_context=way)
    for epoch in range(2):
        crops.set_epoch(epoch)
        for draw, batch in enumerate(loader):
            assert torch.equal(batch["blurry"][0], BlurDataset(tmp_path, "train", 20)[epoch * len(crops) + draw]["blurry"])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"crop": 0}, "BlurDataset: crop is 0, expected a number of pixels, at least 1"),
        ({"crop": "32"}, "BlurDataset: crop is '32', expected a number of pixels, at least 1"),
        ({"crop": 20, "seed": -1}, "BlurDataset: seed is -1, expected a whole number, at least 0"),
        ({"crop": 20, "before": -1}, "BlurDataset: before is -1, expected a whole number, at least 0"),
        ({"crop": 20, "after": 1.0}, "BlurDataset: after is 1.0, expected a whole number, at least 0"),
        ({"crop": 20, "videos": ["1"]}, "unknown video '1' in split 'train' of .*; known: 0"),
    ],
)
def test_crops_of_nothing_and_videos_that_are_not_there(tmp_path, given, told):
    make(tmp_path)
    with pytest.raises(BlurbenchError, match=told):
        BlurDataset(tmp_path, "train", **given)
