import pytest
from hypothesis import given
from hypothesis import strategies as st

from blurbench.errors import RecipeError
from blurbench.synth.windows import Windows, targets


@pytest.mark.parametrize(
    ("rule", "length", "expected"),
    [
        ("all", 3, (0, 1, 2)),
        ("centre", 11, (5,)),
        ("centre", 128, (64,)),
        ("even:7", 128, (0, 21, 42, 64, 85, 106, 127)),  # GenBlur's seven of 128, halves rounded up
        ("even:7", 25, (0, 4, 8, 12, 16, 20, 24)),
    ],
)
def test_targets(rule, length, expected):
    assert targets(rule, length) == expected


@pytest.mark.parametrize("rule", ["", "even", "even:1", "even:9", "first"])
def test_a_wrong_rule_names_the_right_ones(rule):
    with pytest.raises(RecipeError, match=r"expected all, centre or even:N"):
        targets(rule, 8)


def test_times_are_the_middles_of_slices():
    assert Windows(7, 7, (0, 3, 6)).times().tolist() == pytest.approx([0.5 / 7, 0.5, 6.5 / 7])


@given(length=st.integers(1, 20), stride=st.integers(1, 25), frames=st.integers(0, 120))
def test_covering_agrees_with_enumeration(length, stride, frames):
    windows = Windows(length, stride, (0,))
    for frame in range(frames):
        expected = [n for n in range(frame + 1) if windows.start(n) <= frame < windows.start(n) + length]
        assert list(windows.covering(frame)) == expected
    assert windows.count(frames) == sum(windows.start(n) + length <= frames for n in range(frames))
