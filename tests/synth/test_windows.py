from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blurbench.errors import RecipeError
from blurbench.synth.windows import RandomWindows, RegularWindows, targets


@pytest.mark.parametrize(
    ("rule", "length", "expected"),
    [
        ("all", 3, (0, 1, 2)),
        ("centre", 11, (5,)),
        ("centre", 128, (64,)),
        ("even:7", 128, (0, 21, 42, 64, 85, 106, 127)),  # GenBlur's seven of 128, halves rounded up
        ("even:7", 25, (0, 4, 8, 12, 16, 20, 24)),
        ("at:5,9", 11, (5, 9)),
    ],
)
def test_targets(rule, length, expected):
    assert targets(rule, length) == expected


@pytest.mark.parametrize("rule", ["", "even", "even:1", "even:9", "first", "at:", "at:8", "at:3,3", "at:5,2"])
def test_a_wrong_rule_names_the_right_ones(rule):
    with pytest.raises(RecipeError, match=r"expected all, centre, even:N"):
        targets(rule, 8)


def test_times_are_the_middles_of_slices():
    assert RegularWindows(7, 7, (0, 3, 6)).window(4).times().tolist() == pytest.approx([0.5 / 7, 0.5, 6.5 / 7])


@given(
    length=st.integers(1, 20),
    stride=st.integers(1, 25),
    offset=st.integers(0, 9),
    tail=st.integers(0, 5),
    limit=st.none() | st.integers(0, 4),
    frames=st.integers(0, 120),
)
def test_covering_and_count_agree_with_enumeration(length, stride, offset, tail, limit, frames):
    windows = RegularWindows(length, stride, (0,), offset, tail)
    windows.limit = limit
    starts = [offset + n * stride for n in range(120 if limit is None else limit)]
    for frame in range(frames):
        assert [w.number for w in windows.covering(frame)] == [n for n, s in enumerate(starts) if s <= frame < s + length]
    assert windows.count(frames) == sum(start + length + tail <= frames for start in starts)


@pytest.mark.parametrize("frames", [23, 24, 31, 32, 240])
def test_bin_makes_as_many_windows_as_its_code(frames):
    """floor(n / 8) - 2, the first centred on frame 16 (Shen et al., CVPR 2020, released code)."""
    windows = RegularWindows(11, 8, (5, 9), offset=11, tail=2)
    assert windows.count(frames) == max(0, frames // 8 - 2)
    assert windows.window(0).start + 5 == 16


def test_random_windows_are_odd_disjoint_and_follow_the_seed():
    def draw(seed):
        windows = RandomWindows(7, 23, "centre", np.random.default_rng(seed))
        return [windows.window(number) for number in range(600)]

    drawn = draw(3)
    lengths = np.array([window.length for window in drawn])
    assert set(lengths) == {7, 9, 11, 13, 15, 17, 19, 21, 23}
    assert np.bincount(lengths)[7:24:2].min() > 600 / 9 / 2  # evenly: 67 each on average
    assert all(after.start == before.last + 1 for before, after in pairwise(drawn))
    assert all(window.targets == (window.length // 2,) for window in drawn)
    assert drawn == draw(3) != draw(4)


def test_random_windows_are_found_by_frame():
    windows = RandomWindows(1, 5, "centre", np.random.default_rng(0))
    fresh = RandomWindows(1, 5, "centre", np.random.default_rng(0))
    for frame in range(100):
        (window,) = windows.covering(frame)
        assert window.start <= frame <= window.last
        assert fresh.window(window.number) == window
    assert windows.covering(3) == [next(w for w in map(fresh.window, range(50)) if w.start <= 3 <= w.last)]
    assert windows.count(100) == sum(fresh.window(n).last < 100 for n in range(100))
