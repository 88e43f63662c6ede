"""More frames than seven: zhang2020 applied to its own frames."""

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from blurbench.baselines._zhang2020_iterate import chosen, iterated, rounds_for
from blurbench.cli import blurbench
from blurbench.methods import load_method
from blurbench.running import predict
from tests.baselines.inputs import make_sample, picture, unit
from tests.baselines.official import run


def test_rounds():
    assert [rounds_for(frames) for frames in (1, 7, 8, 42, 43, 252, 253)] == [0, 0, 1, 1, 2, 2, 3]


def clock(seed):
    """A scene that is as bright as it is late, taken apart without an error but in a direction drawn at random."""
    rng, calls = np.random.default_rng(seed), []

    def recover(blurry):
        width = 6 / 7 if not calls else 1 / 7 if len(calls) <= 6 else 1 / 42
        calls.append(width)
        seven = torch.linspace(-width / 2, width / 2, 7, dtype=torch.float64).view(7, 1, 1) + blurry
        return seven.flip(0) if len(calls) > 1 and rng.random() < 0.5 else seven

    return recover, calls


@given(seed=st.integers(0, 1000), rounds=st.integers(0, 2))
@settings(max_examples=12, deadline=None)
def test_iterated_frames_are_in_order_of_time(seed, rounds):
    recover, calls = clock(seed)
    frames, times = iterated(recover, torch.full((2, 3), 0.5, dtype=torch.float64), rounds)
    assert len(frames) == len(times) == 7 * 6**rounds and len(calls) == sum(6**n for n in range(rounds + 1))
    torch.testing.assert_close(frames[:, 0, 0], times)
    assert times[0] == pytest.approx(1 / 14) and times[-1] == pytest.approx(13 / 14)
    assert (times.diff() > -1e-12).all()


@pytest.mark.parametrize(
    ("asked", "frames"),
    [
        ([0.0, 0.3, 0.39, 0.7, 2.0], [0, 1, 1, 3, 3]),
        ([0.0, 0.3, 0.7, 1.0], [0, 1, 2, 3]),  # as many, over all that time
        ([1.0, 0.7, 0.3, 0.0], [3, 3, 1, 0]),
        ([0.6, 0.6, 0.6, 0.6], [1, 1, 1, 1]),
        ([0.3, 0.35, 0.4, 0.45], [1, 1, 1, 1]),
    ],
)
def test_chosen_by_time(asked, frames):
    assert chosen(torch.tensor([0.1, 0.4, 0.4, 0.9]), torch.tensor(asked)).tolist() == frames


def test_iterated_method_gives_what_is_asked():
    image = picture(24, 32)
    plain, more = load_method("zhang2020"), load_method("zhang2020-iterated")
    seven, forty_two, nine = (predict(more, asked(image, count)).frames[0] for count in (7, 42, 9))
    np.testing.assert_array_equal(seven, predict(plain, asked(image, 7)).frames[0])
    assert forty_two.shape == (42, 24, 32, 3) and nine.shape == (9, 24, 32, 3)
    group = (unit(image) @ np.float32([0.299, 0.587, 0.114]))[None, None]
    lum = run(plain.network, torch.from_numpy(group))[0].clamp(0, 1)
    for number, (a, b) in enumerate(pairwise(lum)):
        made = run(plain.network, ((a + b) / 2)[None, None])[0]
        turned = (made[0] - b).square().mean() + (made[6] - a).square().mean() < (made[0] - a).square().mean() + (
            made[6] - b
        ).square().mean()
        expected = np.clip(unit(image) + ((made.flip(0) if turned else made).numpy() - group[0])[..., None], 0, 1)
        np.testing.assert_allclose(forty_two[7 * number : 7 * number + 7], expected, atol=1e-5)
    places = [next(n for n in range(42) if np.array_equal(forty_two[n], frame)) for frame in nine]
    assert places == sorted(places) and len(set(places)) == 9


def asked(image, frames):
    return replace(make_sample(image, frames), times=(np.arange(frames) + 0.5) / frames)


def test_forty_two_pictures_of_a_photograph(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("street.png", picture(24, 24)[..., ::-1])
    done = CliRunner().invoke(blurbench, ["predict", "street.png", "--method", "zhang2020-iterated", "--frames", "42", "--out", "p"])
    assert done.exit_code == 0, done.output
    made = sorted((tmp_path / "p").rglob("*.png"))
    assert len(made) == 42 and len({path.read_bytes() for path in made}) > 20
