"""Shards: what is written is what is read, tiles of any size, both codecs, and what is broken is told."""

import errno
import pickle

import h5py
import numpy as np
import pytest

from blurbench.errors import DataSetError
from blurbench.store.shard import Shard, ShardWriter


def samples(count=3, height=150, width=200, frames=2):
    rng = np.random.default_rng(0)
    return [
        {
            "blurry": rng.integers(0, 256, (height, width, 3), dtype=np.uint8),
            "sharp": rng.integers(0, 256, (frames, height, width, 3), dtype=np.uint8),
            "flow": rng.normal(size=(frames - 1, height, width, 2)).astype(np.float16),
            "times": np.linspace(0, 1, frames),
        }
        for _ in range(count)
    ]


def write(path, items, codec="zstd"):
    with ShardWriter(path, codec) as writer:
        for item in items:
            writer.append(item)
        return writer.finish({"fingerprint": "f", "transfer": "pixel", "provenance": "{}"})


@pytest.mark.parametrize("codec", ["zstd", "gzip"])
@pytest.mark.parametrize("size", [(128, 128), (150, 200), (20, 300)])
def test_read_back(tmp_path, codec, size):
    items = samples(3, *size)
    content = write(tmp_path / "a.h5", items, codec)
    shard = Shard(tmp_path / "a.h5", "a")
    assert len(shard) == 3
    for index, item in enumerate(items):
        sample = shard.sample(index)
        assert (sample.blurry == item["blurry"]).all() and (sample.sharp == item["sharp"]).all()
        assert (sample.extras["flow"] == item["flow"]).all() and (sample.times == item["times"]).all()
        assert sample.id == f"a/{index:05d}"
    assert shard.content() == content
    assert shard.intact("f") and not shard.intact("g")


def test_content_does_not_depend_on_the_codec(tmp_path):
    assert write(tmp_path / "a.h5", samples(), "zstd") == write(tmp_path / "b.h5", samples(), "gzip")


def test_gzip_is_plain_hdf5(tmp_path):
    write(tmp_path / "a.h5", samples(), "gzip")
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["blurry"].compression == "gzip"
        assert file["sharp"].chunks == (1, 1, 128, 128, 3)


def test_a_changed_value_is_found(tmp_path):
    write(tmp_path / "a.h5", samples(), "gzip")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["times"][1, 0] += 1e-9
    assert not Shard(tmp_path / "a.h5", "a").intact("f")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda item: {**item, "sharp": item["sharp"][:1]},
            r"'sharp' of sample 1 for .*a\.h5 is uint8 of shape \(1, 40, 50, 3\), expected uint8 of shape \(2, 40, 50, 3\)",
        ),
        (
            lambda item: {**item, "times": np.zeros(3)},
            r"'times' of sample 1 .* is float64 of shape \(3,\), expected float64 of shape \(2,\)",
        ),
        (
            lambda item: {name: item[name] for name in ("blurry", "sharp", "times")},
            r"'flow' of sample 1 .* is nothing, expected float16 of shape \(1, 40",
        ),
        (lambda item: {**item, "bbox": np.zeros(4)}, r"'bbox' of sample 1 .* is float64 of shape \(4,\), expected nothing"),
        (lambda item: {**item, "flow": item["flow"].astype("f4")}, r"'flow' of sample 1 .* is float32 of shape .*, expected float16"),
    ],
)
def test_samples_of_other_shapes_or_types_are_refused(tmp_path, change, says):
    first, second = samples(2, 40, 50)
    with pytest.raises(DataSetError, match=says), ShardWriter(tmp_path / "a.h5") as writer:
        writer.append(first)
        writer.append(change(second))
    assert not list(tmp_path.iterdir())


def test_a_failed_shard_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), ShardWriter(tmp_path / "a.h5") as writer:
        writer.append(samples(1)[0])
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_truncated_file_is_told(tmp_path):
    write(tmp_path / "a.h5", samples())
    data = (tmp_path / "a.h5").read_bytes()
    (tmp_path / "a.h5").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataSetError, match=r"a.h5 cannot be opened"):
        len(Shard(tmp_path / "a.h5", "a"))
    assert not Shard(tmp_path / "a.h5", "a").intact("f")


def test_an_open_shard_is_never_pickled_open(tmp_path):
    write(tmp_path / "a.h5", samples())
    shard = Shard(tmp_path / "a.h5", "a")
    first = shard.sample(0)
    copy = pickle.loads(pickle.dumps(shard))
    assert copy._file is None
    assert (copy.sample(0).blurry == first.blurry).all()


def test_a_shard_that_may_not_be_read(tmp_path, monkeypatch):
    write(tmp_path / "a.h5", samples(1))

    def refuse(path, mode):
        raise PermissionError(errno.EACCES, "Unable to synchronously open file (unable to open file: errno = 13)")

    monkeypatch.setattr(h5py, "File", refuse)
    with pytest.raises(DataSetError) as caught:
        len(Shard(tmp_path / "a.h5", "a"))
    assert str(caught.value) == f"shard {tmp_path / 'a.h5'} cannot be opened: no permission; make it readable"
