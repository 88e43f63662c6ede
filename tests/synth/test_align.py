"""Aligning released pairs with the high-rate frames: rule kept, shifted by a few frames, far away, drifting, lost."""

import math

import numpy as np
import pytest

from blurbench.errors import SourceError
from blurbench.synth import align, recipe
from tests.importers.trees import picture, write

FRAMES = 70


def pan(number):
    """(48, 64, 3) uint8: frame of a camera moving one pixel a frame over a wide picture."""
    wide = picture(7, height=48, width=64 + FRAMES)
    return wide[:, number : number + 64]


def tree(root, offsets, video="GOPR0001_07_00", frames=FRAMES, noise=0, first=1):
    """GOPRO_Large and GOPRO_Large_all of one sequence whose pair n lies `offsets[n - first]` frames from where the rule says."""
    rng = np.random.default_rng(0)
    length = int(video[9:11])
    for number in range(1, frames + 1):
        write(root / "all/test" / video / f"{number:06d}.png", pan(number - 1))
    for pair, offset in enumerate(offsets, first):
        start = (pair - 1) * length + offset  # counted from 0
        window = np.stack([pan(number) for number in range(start, start + length)])
        gamma = ((window / 255) ** 2.2).mean(axis=0) ** (1 / 2.2) * 255
        for folder, image in (("sharp", window[length // 2]), ("blur", window.mean(axis=0)), ("blur_gamma", gamma)):
            noisy = image + rng.integers(-noise, noise + 1, image.shape)
            write(root / "pairs/test" / video / folder / f"{pair:06d}.png", np.clip(noisy + 0.5, 0, 255).astype(np.uint8))
    return root


def result(root):
    (sequence,) = align.find_sequences(root / "pairs", root / "all", recipe.load("gopro-linear"))
    return align.align(sequence)


def test_the_example_of_the_author():
    """Pair 47 of GOPR0372_07_00 is made of frames 323 to 329, its centre is 326."""
    assert (47 - 1) * 7 + (7 + 1) // 2 == 326
    length = recipe.load("gopro-linear").windows("GOPR0372_07_00").window(0).length
    assert length == 7


@pytest.mark.parametrize("video", ["GOPR0001_07_00", "GOPR0001_11_00", "GOPR0001_13_00"])
def test_the_rule_holds(tmp_path, video):
    found = result(tree(tmp_path, [0, 0, 0, 0], video))
    length = int(video[9:11])
    assert found.sequence.length == length and found.verdict == "as published"
    assert [match.rule for match in found.matches] == [n * length + (length + 1) // 2 for n in range(4)]
    for match in found.matches:
        assert match.found == match.rule and match.sharp == 0
        assert match.blur["blur as pixel"] == 0
        assert match.blur["blur_gamma as gamma(2.2)"] < 0.03  # one level in a few of 10,000 values
        # A camera curve moves the average by several grey levels.
        assert match.blur["blur as gamma(2.2)"] > 1 < match.blur["blur_gamma as pixel"]


def test_a_shift_of_a_few_frames(tmp_path):
    """As in GOPR0384_11_05, whose pair 4001 is frame 44001 and not 44006."""
    found = result(tree(tmp_path, [0, -5, -5, -5], "GOPR0384_11_05"))
    assert [match.found - match.rule for match in found.matches] == [0, -5, -5, -5]
    assert found.offsets.most_common(1) == [(-5, 3)] and found.verdict == "shifts from -5 to +0"
    assert all(match.blur["blur as pixel"] == 0 for match in found.matches)


def test_one_shift_of_all(tmp_path):
    assert result(tree(tmp_path, [3, 3, 3])).verdict == "shifted by +3"


def test_far_away_it_is_searched_in_the_whole_sequence_once(tmp_path, monkeypatch):
    root = tree(tmp_path, [40, 40, 40])
    seen = []
    original = align._thumbnail
    monkeypatch.setattr(align, "_thumbnail", lambda image: seen.append(1) or original(image))
    found = result(root)
    assert found.verdict == "shifted by +40"
    assert len(seen) == FRAMES + 1  # every frame once, and the first picture: the others lie where it does


def test_noise_of_a_grey_level_does_not_mislead(tmp_path):
    found = result(tree(tmp_path, [0, 2, -4], noise=1))
    assert [match.found - match.rule for match in found.matches] == [0, 2, -4]
    # Whole numbers drawn evenly from -1, 0, 1 have a mean square of 2/3.
    assert align.pooled([match.sharp for match in found.matches]) == pytest.approx(math.sqrt(2 / 3), rel=0.05)


def test_of_equal_frames_the_one_of_the_rule(tmp_path):
    still = picture(3)
    for number in range(1, 22):
        write(tmp_path / f"all/test/GOPR0001_07_00/{number:06d}.png", still)
    write(tmp_path / "pairs/test/GOPR0001_07_00/sharp/000002.png", still)
    (match,) = result(tmp_path).matches
    assert match.found == match.rule == 11 and match.blur == {}


def test_what_is_not_there_is_not_found(tmp_path):
    root = tree(tmp_path, [0, 0])
    write(root / "pairs/test/GOPR0001_07_00/sharp/000002.png", picture(99))
    found = result(root)
    assert found.incomplete and found.verdict == "1 of 2 not found"
    assert found.matches[1].found is None and found.matches[1].sharp > align.NEAR and found.matches[1].blur == {}


def test_a_window_that_is_not_whole_is_not_averaged(tmp_path):
    root = tree(tmp_path, [0, 0])
    (root / "all/test/GOPR0001_07_00/000009.png").unlink()
    one, two = result(root).matches
    assert one.blur["blur as pixel"] == 0 and two.found == two.rule and two.blur == {}


def test_missing_frames_are_a_result_and_other_trouble_an_error(tmp_path):
    root = tree(tmp_path, [0])
    write(root / "pairs/train/GOPR0009_11_00/sharp/000001.png", picture(1))
    sequences = align.find_sequences(root / "pairs", root / "all", recipe.load("gopro-linear"))
    results = align.align_all(sequences)
    assert [(one.sequence.id, one.verdict) for one in results] == [
        ("GOPR0009_11_00", "frames are missing"),
        ("GOPR0001_07_00", "as published"),
    ]
    write(root / "all/test/GOPR0001_07_00/000003.png", picture(1, height=40))
    with pytest.raises(SourceError, match=r"000003.png is 64x40, .*000001.png is 64x48"):
        align.align_all(sequences)
    write(root / "all/test/GOPR0001_07_00/000003.png", pan(2))
    write(root / "pairs/test/GOPR0001_07_00/sharp/first.png", picture(1))
    with pytest.raises(SourceError, match=r"first.png has no number for a name"):
        align.align_all(sequences[1:])
    with pytest.raises(SourceError, match="holds no sequences"):
        align.find_sequences(root / "all", root / "all", recipe.load("gopro-linear"))


def test_a_split_that_the_release_lacks(tmp_path):
    root = tree(tmp_path, [0])
    assert len(align.find_sequences(root / "pairs", root / "all", recipe.load("gopro-linear"), ("test",))) == 1
    with pytest.raises(SourceError, match=r"^--split is 'train', but .*pairs holds sequences of test only; give --split test$"):
        align.find_sequences(root / "pairs", root / "all", recipe.load("gopro-linear"), ("test", "train"))


def test_processes_give_the_same(tmp_path):
    root = tree(tmp_path, [0, 0])
    tree(root, [2, 2], "GOPR0002_11_00")
    sequences = align.find_sequences(root / "pairs", root / "all", recipe.load("gopro-linear"))
    told = []
    assert align.align_all(sequences, 2, told.append) == align.align_all(sequences)
    assert told == [2, 2]


def test_measures():
    a, b = np.zeros((2, 3, 3), np.uint8), np.full((2, 3, 3), 51, np.uint8)
    assert align.grey_levels(a, b) == pytest.approx(51) and align.psnr(51) == pytest.approx(20 * math.log10(5))
    assert align.psnr(0) == math.inf and math.isnan(align.pooled([])) and align.pooled([3, 4]) == pytest.approx(math.sqrt(12.5))
