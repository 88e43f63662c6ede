"""One sample by its id: the same as among all, with its neighbours, and mistakes that say which id was meant."""

import numpy as np
import pytest

from blurbench.errors import DataSetError, UnknownNameError
from blurbench.store.reader import open_dataset
from blurbench.synth.pipeline import make_dataset


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


def test_a_missing_shard_is_told(data):
    (entry,) = data.entries("train")
    path = data.folder / entry.file
    path.rename(path.with_suffix(".away"))
    with pytest.raises(DataSetError, match=f"shard .*{entry.file} of the manifest is missing"):
        data.sample(data.ids("train")[0])
    path.with_suffix(".away").rename(path)
