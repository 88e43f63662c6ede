"""One sample by its id: the same as among all, with its neighbours, and mistakes that say which id was meant."""

import contextlib
import json
import pickle
import shutil

import numpy as np
import pytest

from blurbench.errors import DataSetError, UnknownNameError
from blurbench.store.dataset import BlurDataset
from blurbench.store.pack import pack
from blurbench.store.reader import open_dataset
from blurbench.synth.pipeline import make_dataset
from tests.store import twins


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reader") / "data"
    make_dataset("genblur", out=folder, clips={"train": 1, "test": 1}, size=(48, 64))
    return open_dataset(folder)


@pytest.mark.parametrize("split", ["train", "test"])
def test_one_sample_is_the_one_among_all(data, split):
    for row, wanted in enumerate(data.samples(split, before=1, after=2)):
        found = data.sample(wanted.id, before=1, after=2)
        assert data.place(wanted.id) == (split, data.entries(split)[0], row)
        assert (found.id, found.video) == (wanted.id, wanted.video)
        for name in ("blurry", "sharp", "times"):
            np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
        np.testing.assert_array_equal(found.extras["before"], wanted.extras["before"])
        np.testing.assert_array_equal(found.extras["after"], wanted.extras["after"])
    first, last = data.sample(data.ids(split)[0], before=1), data.sample(data.ids(split)[-1], after=2)
    np.testing.assert_array_equal(first.extras["before"], first.blurry[None])  # beyond the ends the nearest is repeated
    np.testing.assert_array_equal(last.extras["after"], np.stack([last.blurry] * 2))
    assert "before" not in last.extras


def test_an_unknown_id_names_what_was_meant(data):
    ids = data.ids("test")
    video = ids[0].rpartition("/")[0]
    with pytest.raises(UnknownNameError, match=f"unknown video '{video[:-1]}' in .*; did you mean '{video}'"):
        data.sample(f"{video[:-1]}/00000")
    for id in (f"{video}/99999", f"{video}/0", video):
        with pytest.raises(DataSetError, match=f"no sample '{id}' in .*, expected {ids[0]} to {ids[-1]}; give one of them"):
            data.sample(id)


def test_an_id_that_two_splits_have(tmp_path):
    data = open_dataset(twins.make(tmp_path, {"train": 3, "test": 2}))
    for split in ("train", "test"):
        assert data.place("000/00001", split) == (split, data.entries(split)[0], 1)
        assert twins.level(data.sample("000/00001", split=split)) == twins.LEVELS[split] + 1
    with pytest.raises(
        DataSetError, match=r"sample '000/00001' is in the splits test and train of .*, expected to be in one; name the split"
    ):
        data.sample("000/00001")
    assert data.place("000/00002")[0] == "train"  # the third is of the longer video alone
    with pytest.raises(DataSetError, match=r"no sample '000/00002' in .*, expected 000/00000 to 000/00001"):
        data.place("000/00002", "test")
    with pytest.raises(UnknownNameError, match="unknown split 'val'"):
        data.place("000/00000", "val")


def test_a_missing_shard_is_told(data):
    (entry,) = data.entries("train")
    path = data.folder / entry.file
    path.rename(path.with_suffix(".away"))
    with pytest.raises(DataSetError, match=f"shard .*{entry.file} of the manifest is missing"):
        data.sample(data.ids("train")[0])
    path.with_suffix(".away").rename(path)


@pytest.mark.parametrize("name", ["fingerprint", "content"])
def test_a_shard_that_its_manifest_does_not_name_is_not_read(data, tmp_path, name):
    """As a run leaves it that was killed after a shard was made anew, before the manifest was written."""
    folder = shutil.copytree(data.folder, tmp_path / "data")
    pack(open_dataset(folder), tmp_path / "packed.h5")
    manifest = folder / "manifest.json"
    table = json.loads(manifest.read_text())
    table["splits"]["test"][0][name] = "0" * 64
    manifest.write_text(json.dumps(table))
    stale = open_dataset(folder)  # looks at no shard
    says = rf"shard .*{data.entries('test')[0].file} has not the {name} of the manifest; make the data set again into the same folder"
    readers = (lambda: next(stale.samples("test")), lambda: stale.sample(stale.ids("test")[0]), lambda: BlurDataset(stale, "test", crop=16))
    for read in readers:
        with pytest.raises(DataSetError, match=says):
            read()
    assert next(stale.samples("train")).blurry.any() and next(open_dataset(tmp_path / "packed.h5").samples("test")).blurry.any()
    with contextlib.closing(stale.shard(stale.entries("test")[0], compare=False)) as shard:
        assert len(shard) == data.count("test")
    make_dataset("genblur", out=folder, clips={"train": 1, "test": 1}, size=(48, 64))
    assert next(open_dataset(folder).samples("test")).blurry.any()


def test_a_shard_is_compared_in_each_process(data):
    """It is sent to processes closed, and with the entry that it must be of."""
    (shard,) = data.shards("train")
    other = pickle.loads(pickle.dumps(shard))
    assert other.entry == data.entries("train")[0] and len(other) == len(shard)
    shard.close(), other.close()
