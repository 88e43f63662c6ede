"""Which split a video goes into: by folder, by list, or left out."""

import cv2
import numpy as np
import pytest

from blurbench.errors import SourceError
from blurbench.synth import recipe as recipes
from blurbench.synth.pipeline import make_dataset
from blurbench.synth.splits import place
from tests.synth.recipe_head import HEAD

LISTS = '[window]\nlength = 3\n[split]\ntrain = ["a", "b"]\ntest = ["c"]\n'


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "mine.toml").write_text(HEAD + LISTS)
    return recipes.load(str(tmp_path / "mine.toml"))


@pytest.mark.parametrize(
    ("videos", "placed", "told"),
    [
        ([("x", None), ("y", "train")], ["test", "train"], []),  # none is listed
        ([("a", None), ("c", None), ("b", "val")], ["train", "test", "val"], []),
        (
            [("x", None), ("c", None), ("y", None)],
            [None, "test", None],
            ["2 of 3 videos are in no list of 'mine' (first: x) and are left out; to have one, put it into a folder train/ or test/"],
        ),
        (
            [("a", "train"), ("x", "test"), ("y", "val")],
            ["train", "test", "val"],
            ["1 of 3 videos are in no list of 'mine' (first: x) and stay in the split of their folder"],  # val has no list
        ),
    ],
)
def test_the_split_of_each_video(recipe, videos, placed, told):
    said = []
    assert place(recipe, videos, said.append) == placed
    assert said == [f"note: {line}" for line in told]


@pytest.mark.parametrize(("name", "split", "listed"), [("a", "test", "train"), ("c", "train", "test"), ("c", "val", "test")])
def test_a_video_in_another_split_than_its_list(recipe, name, split, listed):
    with pytest.raises(SourceError) as caught:
        place(recipe, [(name, split)], print)
    assert str(caught.value) == f"{name} lies in {split}/, but the lists of 'mine' have it in {listed}; move it there"
    other = next(one for one in ("train", "val", "test") if one not in (split, listed))
    assert place(recipe, [(name, split), ("b", other)] if other != "test" else [(name, split)], print, [other])[0] == split


@pytest.mark.parametrize(
    ("given", "split", "told"),
    [
        ("train/x", "train", False),
        ("train/day1", "test", True),  # of videos and folders, which the folder train/ given would refuse
        ("train/day1/test", "test", True),  # a clip of that name, or a split?
        ("Test/day1", "test", False),
        ("train/both", "test", False),
    ],
)
def test_footage_from_below_a_folder_of_another_split(tmp_path, given, split, told):
    for clip in ("train/x", "train/day1/y", "train/day1/test", "Test/day1/z", "train/both/test/y"):
        (tmp_path / clip).mkdir(parents=True)
        for number in range(3):
            cv2.imwrite(str(tmp_path / clip / f"{number}.png"), np.full((32, 48, 3), 90, np.uint8))
    if given == "train/day1":
        (tmp_path / "train/day1/test").rename(tmp_path / "train/day1/u")
    (tmp_path / "mine.toml").write_text(HEAD + "[window]\nlength = 3\n")
    said = []
    manifest = make_dataset(str(tmp_path / "mine.toml"), tmp_path / given, tmp_path / "data", note=said.append)
    assert list(manifest.splits) == [split]
    counts = "2 of 2 sources; first: u" if given == "train/day1" else "1 of 1 sources; first: test"
    says = (
        f"note: {tmp_path / given} lies below {tmp_path / 'train'}, but goes to test ({counts}), as a folder counts for what lies directly "
    )
    assert said == ([f"{says}in it; if that is train footage, put it directly into a folder train/"] if told else [])


def test_an_unlisted_video_is_not_made(tmp_path, recipe):
    for name in ("c", "x"):
        (tmp_path / "source" / name).mkdir(parents=True)
        for number in range(3):
            cv2.imwrite(str(tmp_path / "source" / name / f"{number}.png"), np.full((32, 48, 3), 90, np.uint8))
    said = []
    manifest = make_dataset(str(tmp_path / "mine.toml"), tmp_path / "source", tmp_path / "data", note=said.append)
    assert manifest.videos() == {"c"} and sum("(first: x) and are left out" in line for line in said) == 1
