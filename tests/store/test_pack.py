"""One file in place of a folder: the same tiles byte for byte, and everything that reads a folder reads it."""

import itertools
import json
import pickle
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from blurbench.cli.pack import pack as command
from blurbench.errors import DataSetError, UnknownNameError
from blurbench.run.evaluate import evaluate
from blurbench.store.dataset import BlurDataset
from blurbench.store.pack import is_packed, manifest_text, pack
from blurbench.store.reader import open_dataset
from blurbench.synth.pipeline import make_dataset


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A data set of two splits with pictures of more than one tile."""
    folder = tmp_path_factory.mktemp("whole") / "data"
    make_dataset("gopro7", out=folder, clips={"train": 2, "test": 1}, size=(96, 160))
    return folder


@pytest.fixture(scope="module")
def packed(folder):
    path = folder.parent / "packed.h5"
    pack(open_dataset(folder), path)
    return path


def test_tiles_are_copied_as_they_are(folder, packed):
    with h5py.File(packed) as file:
        for shard in folder.glob("*/*.h5"):
            with h5py.File(shard) as one:
                other = file[shard.relative_to(folder).as_posix()]
                assert dict(one.attrs) == dict(other.attrs) and set(one) == set(other)
                for name in ("blurry", "sharp", "flow"):
                    old, new = one[name], other[name]
                    assert (old.shape, old.dtype, old.chunks) == (new.shape, new.dtype, new.chunks)
                    assert old.id.get_create_plist().get_filter(0) == new.id.get_create_plist().get_filter(0)
                    steps = [range(0, side, step) for side, step in zip(old.shape, old.chunks, strict=True)]
                    for offset in itertools.product(*steps):
                        assert old.id.read_direct_chunk(offset) == new.id.read_direct_chunk(offset)
    assert packed.stat().st_size < 1.02 * sum(shard.stat().st_size for shard in folder.glob("*/*.h5"))


def test_nothing_is_unpacked(folder, tmp_path):
    """Packing works with the plug-in missing that would read the pixels."""
    code = (
        "import sys, types; sys.modules['hdf5plugin'] = types.ModuleType('hdf5plugin')\n"
        "from blurbench.errors import DataSetError; from pathlib import Path\n"
        "from blurbench.store.pack import pack; from blurbench.store.reader import open_dataset\n"
        "data = open_dataset(sys.argv[1]); pack(data, Path(sys.argv[2]))\n"
        "try: data.shards('test')[0].sample(0)\n"
        "except DataSetError: print('no pixels')"
    )
    done = subprocess.run([sys.executable, "-c", code, folder, tmp_path / "a.h5"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout == "no pixels\n", done.stderr
    assert open_dataset(tmp_path / "a.h5").shards("test")[0].intact(open_dataset(folder).manifest.splits["test"][0].fingerprint)


def test_samples_are_the_same(folder, packed):
    one, other = open_dataset(folder), open_dataset(packed)
    assert one.manifest == other.manifest and json.loads(manifest_text(packed)) == json.loads((folder / "manifest.json").read_text())
    for a, b in zip(one.samples("train", 1, 1), other.samples("train", 1, 1), strict=True):
        assert (a.id, a.video, a.transfer) == (b.id, b.video, b.transfer)
        assert (a.blurry == b.blurry).all() and (a.sharp == b.sharp).all() and (a.times == b.times).all()
        assert set(a.extras) == set(b.extras) and all((a.extras[name] == b.extras[name]).all() for name in a.extras)


def test_it_is_found_by_name(packed, monkeypatch):
    monkeypatch.setenv("BLURBENCH_DATA", str(packed.parent))
    assert open_dataset("packed").folder == open_dataset("packed.h5").folder == packed
    with pytest.raises(UnknownNameError, match="did you mean 'test'"):
        open_dataset("packed").shards("tets")


def test_pickles_hold_no_open_file(packed):
    shard = open_dataset(packed).shards("test")[0]
    first = shard.sample(0)
    copy = pickle.loads(pickle.dumps(shard))
    assert copy._file is None and copy._arrays is None
    assert (copy.sample(0).blurry == first.blurry).all()
    shard.close()
    assert (shard.sample(0).sharp == first.sharp).all()


def test_training_draws_the_same_crops(folder, packed):
    one, other = (BlurDataset(place, "train", crop=48, seed=3) for place in (folder, packed))
    other = pickle.loads(pickle.dumps(other))
    for draw in range(6):
        a, b = one[draw], other[draw]
        assert all((a[name] == b[name]).all() for name in ("blurry", "sharp"))


def test_scores_are_the_same(folder, packed, tmp_path):
    one, other = (evaluate("copy-blur", place, out=tmp_path / str(number))[0] for number, place in enumerate((folder, packed)))
    assert one.values == other.values and (one.fingerprint, one.content) == (other.fingerprint, other.content)
    assert 10 < one.values["psnr-centre"].mean < 60


def test_the_command(folder, tmp_path):
    done = CliRunner().invoke(command, [str(folder), str(tmp_path / "deep/a.h5")])
    assert done.exit_code == 0, done.output
    assert is_packed(tmp_path / "deep/a.h5") and "12 samples" in done.output


def test_a_long_manifest_fits(folder, tmp_path):
    """HDF5 holds 64 KiB in an attribute proper; the manifest of 10,000 shards is megabytes."""
    data = open_dataset(folder)
    data.manifest.missing = {"train": [f"video-{number:06d}" for number in range(100_000)]}
    pack(data, tmp_path / "a.h5")
    assert len(manifest_text(tmp_path / "a.h5")) > 1_500_000
    assert open_dataset(tmp_path / "a.h5").manifest.missing == data.manifest.missing


def test_what_a_killed_run_left_is_removed(folder, tmp_path):
    (tmp_path / ".a.h5.99.part").write_bytes(b"half")
    pack(open_dataset(folder), tmp_path / "a.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def exchange(folder):
    shutil.copy(folder / "train/rendered-train-s0-0000.h5", folder / "train/rendered-train-s0-0001.h5")


def cut(folder):
    path = folder / "test/rendered-test-s0-0000.h5"
    path.write_bytes(path.read_bytes()[:5000])


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (exchange, "0001.h5 has not the fingerprint of the manifest"),
        (cut, "0000.h5 cannot be opened"),
        (lambda folder: (folder / "test/rendered-test-s0-0000.h5").unlink(), "0000.h5 of the manifest is missing"),
        (lambda folder: (folder.parent / "a.h5").touch(), "a.h5 exists; give another name"),
    ],
)
def test_what_cannot_be_packed_is_told_and_leaves_nothing(folder, tmp_path, spoil, says):
    copy = shutil.copytree(folder, tmp_path / "data")
    spoil(copy)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataSetError, match=says):
        pack(open_dataset(copy), tmp_path / "a.h5")
    assert sorted(tmp_path.rglob("*")) == before


def test_other_files_are_told_apart(folder, packed, tmp_path):
    shard = next(folder.glob("test/*.h5"))
    (tmp_path / "text.h5").write_text("no HDF5")
    h5py.File(tmp_path / "other.h5", "w").close()
    for path, says in (
        (shard, "is one shard; give the folder of its data set"),
        (tmp_path / "text.h5", "text.h5 is no data set"),
        (tmp_path / "other.h5", "is no data set of blurbench"),
    ):
        assert not is_packed(path)
        with pytest.raises(DataSetError, match=says):
            open_dataset(path)
    with pytest.raises(DataSetError, match="is packed already"):
        pack(open_dataset(packed), tmp_path / "a.h5")
    with pytest.raises(DataSetError, match=r"ends in '.zip', expected a name that ends in .h5"):
        pack(open_dataset(folder), tmp_path / "a.zip")


def test_newer_versions_are_refused(packed, tmp_path):
    path = tmp_path / "a.h5"
    shutil.copy(packed, path)
    with h5py.File(path, "r+") as file:
        file["test/rendered-test-s0-0000.h5"].attrs["format"] = 2
    with pytest.raises(DataSetError, match=r"a.h5:test/rendered-test-s0-0000.h5 has format 2"):
        next(open_dataset(path).samples("test"))
    with h5py.File(path, "r+") as file:
        file.attrs["manifest"] = json.dumps({**json.loads(file.attrs["manifest"]), "format": 2})
    with pytest.raises(DataSetError, match=r"a.h5 has format 2"):
        open_dataset(path)
    with h5py.File(path, "r+") as file:
        file.attrs["packed"] = 2
    with pytest.raises(DataSetError, match="pack format 2, this blurbench reads up to 1; install a newer"):
        open_dataset(path)


def test_many_shards_of_a_file_are_open_at_once(packed):
    shards = open_dataset(packed).shards("train")
    assert np.array_equal(shards[0].sample(0).blurry, open_dataset(packed).shards("train")[0].sample(0).blurry)
    first = shards[1].sample(0).blurry
    shards[0].close()
    assert (shards[1].sample(0).blurry == first).all()
