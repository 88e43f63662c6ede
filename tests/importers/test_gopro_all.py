"""GOPRO_Large_all is a source for recipes as it is released."""

import numpy as np
import pytest

from blurbench.errors import SourceError
from blurbench.store.reader import open_dataset
from blurbench.synth.pipeline import make_dataset
from blurbench.video.discover import find_sources
from tests.importers import trees
from tests.importers.trees import picture


def test_sequences_are_found_in_their_splits(tmp_path):
    videos = [("train", "GOPR0372_07_00"), ("train", "GOPR0372_07_01"), ("test", "GOPR0384_11_00")]
    found = find_sources(trees.gopro_all(tmp_path / "all", videos, frames=2))
    assert sorted((one.split, one.source.id) for one in found) == sorted(videos)


def test_one_name_in_two_splits_is_two_videos(tmp_path):
    root = trees.gopro_all(tmp_path / "all", [("train", "GOPR0001_07_00"), ("test", "GOPR0001_07_00")], frames=7)
    manifest = make_dataset("gopro-linear", root, tmp_path / "out")
    assert [(split, entry.file) for split, entries in sorted(manifest.splits.items()) for entry in entries] == [
        ("test", "test/GOPR0001_07_00.h5"),
        ("train", "train/GOPR0001_07_00.h5"),
    ]


def test_two_frames_of_one_number_are_no_guess(tmp_path):
    root = trees.gopro_all(tmp_path / "all", [("test", "GOPR0001_07_00")], frames=2)
    trees.write(root / "test/GOPR0001_07_00/1.png", picture(1))
    with pytest.raises(SourceError, match=r"holds (1.png and 000001.png|000001.png and 1.png), expected one image a frame number"):
        find_sources(root)


@pytest.mark.parametrize(("video", "length"), [("GOPR0001_07_00", 7), ("GOPR0002_11_00", 11), ("GOPR0003_13_00", 13)])
def test_the_window_is_that_of_the_name(tmp_path, video, length):
    root = trees.gopro_all(tmp_path / "all", [("test", video)], frames=2 * length + 1)
    make_dataset("gopro-linear", root, tmp_path / "out")
    samples = list(open_dataset(tmp_path / "out").samples("test"))
    assert len(samples) == 2
    for window, sample in enumerate(samples):
        frames = np.stack([picture(window * length + k + 1) for k in range(length)])
        assert (sample.sharp[0] == frames[length // 2]).all()
        assert (sample.blurry == np.floor(frames.mean(axis=0) + 0.5)).all()
