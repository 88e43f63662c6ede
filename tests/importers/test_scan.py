"""Which videos of a released tree are found, and in which split."""

import pytest

from blurbench.errors import SourceError
from blurbench.importers import layouts
from blurbench.importers.scan import scan
from blurbench.synth import recipe as recipes
from tests.importers import trees
from tests.importers.trees import picture

NONE = {"bbox": "none", "guidance": "none", "flow_half": "none"}


def scanned(name, root, chosen=(), options=None):
    """(split, video, samples) of each, and the notes."""
    layout, said = layouts.find(name), []
    found = scan(root, layout, options or layout.options, recipes.load(layout.recipe), chosen, said.append)
    return [(video.split, video.id, len(video.samples)) for video in found], said


def test_links_to_folders_are_followed_but_not_round(tmp_path):
    trees.gopro(tmp_path / "disk", videos=[("test", "X_11_00"), ("test", "Y_11_00")])
    root = tmp_path / "tree"
    (root / "test").mkdir(parents=True)
    (root / "test/X_11_00").symlink_to(tmp_path / "disk/test/X_11_00")
    (root / "train").symlink_to(tmp_path / "disk/test")
    (tmp_path / "disk/test/up").symlink_to(tmp_path / "disk")
    found, _ = scanned("gopro-linear", root)
    assert found == [("test", "X_11_00", 3), ("train", "X_11_00", 3), ("train", "Y_11_00", 3)]
    (root / "test/Z_11_00").symlink_to("nowhere")
    with pytest.raises(SourceError, match=r"Z_11_00 is a link to nowhere, where nothing is"):
        scanned("gopro-linear", root)


def test_val_may_hold_listed_training_videos(tmp_path):
    for place in ("val/GOPR0372_07_00_000047", "train/GOPR0372_07_01_000601", "val/own_000001"):
        trees.write(tmp_path / f"{place}.png", picture(0))
    assert scanned("gopro-align", tmp_path) == (
        [("train", "GOPR0372_07_01", 1), ("val", "GOPR0372_07_00", 1), ("val", "own", 1)],
        [],
    )
    trees.write(tmp_path / "val/GOPR0384_11_00_000001.png", picture(0))
    with pytest.raises(SourceError, match=r"GOPR0384_11_00 lies in val/, but the lists of 'gopro-linear' have it in test; move it there"):
        scanned("gopro-align", tmp_path)
    assert len(scanned("gopro-align", tmp_path, chosen=("train",))[0]) == 4


def test_unlisted_videos_beside_listed_ones(tmp_path):
    for video in ("IMG_0015", "mine"):
        trees.genblur(tmp_path / "tree", video=video)
    found, said = scanned("genblur", tmp_path / "tree", options=NONE)
    assert [video for _, video, _ in found] == ["IMG_0015"]
    told = "note: 1 of 2 videos are in no list of 'genblur' (first: mine) and are left out"
    assert said == [f"{told}; to have one, import it from a folder without listed ones"]
    trees.genblur(tmp_path / "alone", video="mine")
    assert [video[:2] for video in scanned("genblur", tmp_path / "alone", options=NONE)[0]] == [("test", "mine")]
