"""What is known to fail is told while planning, before anything is made."""

from functools import partial

import cv2
import numpy as np
import pytest

from blurbench.errors import BlurbenchError
from blurbench.synth.pipeline import make_dataset
from tests.synth.recipe_head import HEAD
from tests.video.conftest import _write

AROUND = "for one window and what it skips around it"
SHORT = "leave such sources out, give more frames or shorten window.length"


@pytest.fixture
def source(tmp_path):
    """Clips of 5, 3 and 4 frames, and a recipe of windows of 3."""
    for name, frames in (("a", 5), ("b", 3), ("c", 4)):
        (tmp_path / "source" / name).mkdir(parents=True)
        for number in range(frames):
            cv2.imwrite(str(tmp_path / "source" / name / f"{number}.png"), np.full((32, 48, 3), number, np.uint8))
    (tmp_path / "mine.toml").write_text(HEAD + '[window]\nlength = 3\ntargets = "all"\n')
    return tmp_path / "source"


def plan(source, *changes, recipe="mine.toml", planned=lambda jobs: None):
    recipe = str(source.parent / recipe) if recipe.endswith(".toml") else recipe
    make_dataset(recipe, source, source.parent / "data", changes=changes, planned=planned)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (("window.length=4",), f"b has 3 frames, the recipe 'mine' needs 4 {AROUND}; {SHORT}"),
        (("window.length=5",), f"b has 3 frames, the recipe 'mine' needs 5 {AROUND}, and 1 more of 3 sources are as short; {SHORT}"),
        (("motion.flow=nope",), "unknown flow model 'nope'; known: dis-fast, dis-medium, dis-ultrafast, ptlflow:NAME"),
        (
            ("motion.flow=nope", "window.targets=centre"),
            "unknown flow model 'nope'; known: dis-fast, dis-medium, dis-ultrafast, ptlflow:NAME",
        ),
        (("gate.flow=nope", "gate.largest_step=1"), "unknown flow model 'nope'; known: dis-fast, dis-medium, dis-ultrafast, ptlflow:NAME"),
        (("window.targets=",), "[window] of recipe 'mine' with window.targets=: targets is '', expected text, not an empty one"),
        (("transfer=response",), "recipe 'mine' needs a camera response: add --set response.file=FILE (.npy, 256 codes)"),
    ],
)
def test_before_anything_is_made(source, changes, says):
    with pytest.raises(BlurbenchError) as caught:
        plan(source, *changes, planned=lambda jobs: pytest.fail("the plan was announced"))
    assert str(caught.value) == says and not (source.parent / "data").exists()


def test_a_name_too_long_for_the_file_made_of_it(source):
    """In bytes, which are two for an umlaut; one that is just not too long is made."""
    (source / "a").rename(source / ("ü" * 119))
    make_dataset(str(source.parent / "mine.toml"), source, source.parent / "data", note=print)
    (source / "b").rename(source / ("ü" * 119 + "b"))
    with pytest.raises(BlurbenchError) as caught:
        plan(source, planned=lambda jobs: pytest.fail("the plan was announced"))
    told = "has a name of 239 bytes, expected at most 238, as the file made of it has a longer one; rename it"
    assert str(caught.value) == f"{'ü' * 20}… {told}"


def test_pictures_too_small_for_guidance(source):
    changes = ("guidance.aggregate=max", "motion.flow=dis-fast")
    with pytest.raises(BlurbenchError) as caught:
        plan(source, "frame.width=1", *changes, planned=lambda jobs: pytest.fail("the plan was announced"))
    told = "which guidance has half the size, expected 2 pixels a side or more; leave it out, or add --set guidance.aggregate=none"
    assert str(caught.value) == f"a gives pictures of 1x1, of {told}"
    plan(source, "frame.width=3", *changes)


def test_boxes_that_cannot_be_read(source):
    (source / "c.boxes.csv").write_text("1,2,3,4,5\n")
    with pytest.raises(BlurbenchError, match=r"c\.boxes\.csv begins with '1,2,3,4,5'"):
        plan(source, "boxes.width=4", "boxes.height=4", planned=lambda jobs: pytest.fail("the plan was announced"))


def test_a_source_that_states_no_length_is_taken(source, monkeypatch):
    monkeypatch.setattr("blurbench.video.images.ImageFolderSource.length", None)
    told = []
    with pytest.raises(BlurbenchError, match=r"^b has 3 frames"):
        plan(source, "window.length=4", planned=told.append)
    assert len(told[0]) == 3
    with pytest.raises(BlurbenchError, match=r"^3 of 3 sources do not state their length \(first: a\), which window.skip_last needs"):
        plan(source, "window.skip_last=1", planned=told.append)
    assert len(told) == 1


def test_a_finished_video_that_was_taken_with_its_uneven_frames(tmp_path):
    """Without the flag it would be refused, so it is not found finished either; of even frames nobody asks."""
    (tmp_path / "mine.toml").write_text(HEAD + "fps = 30\n[window]\nlength = 3\n")
    frames = [np.full((32, 48, 3), 5 * number, np.uint8) for number in range(12)]
    for name, gap in (("even", 0), ("uneven", 5)):
        times = [(number + (gap if number > 6 else 0)) / 30 for number in range(len(frames))]
        _write(tmp_path / f"{name}.mp4", frames, times=times)
    for name in ("even", "uneven"):
        make = partial(make_dataset, str(tmp_path / "mine.toml"), tmp_path / f"{name}.mp4", tmp_path / name, note=lambda text: None)
        first = make(keep_variable_rate=True)
        if name == "even":
            assert make() == first
            continue
        with pytest.raises(BlurbenchError) as caught:
            make()
        told = f"uneven has frames that are not evenly spaced, and is in {tmp_path / name} by --keep-variable-rate; pass it again, or "
        assert str(caught.value) == f"{told}leave the video out and give another --out"
        assert make(keep_variable_rate=True) == first
