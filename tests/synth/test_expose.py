"""From frames to samples: what is added up, what is left out, and what is recorded."""

import cv2
import numpy as np
import pytest

from blurbench.errors import EmptySourceError, RecipeError, SourceError
from blurbench.synth import recipe as recipes
from blurbench.synth.expose import Samples
from blurbench.synth.framing import framed_size, reframe
from blurbench.synth.steps import Exact, Gated, Rough
from blurbench.video import interpolate
from blurbench.video.photographs import Photographs
from blurbench.video.render import RenderedSource
from blurbench.video.source import Frame
from blurbench.video.textures import dead_leaves
from tests.synth.recipe_head import HEAD


class Frames:
    """A source of given frames (N, H, W, 3)."""

    id = "clip"
    fps = 240.0

    def __init__(self, frames, length=None):
        self._frames = frames
        self.length = len(frames) if length is None else length
        self.size = frames.shape[1:3]

    def facts(self):
        return {}

    def fingerprint(self):
        return "0"

    def frames(self):
        for index, image in enumerate(self._frames):
            yield Frame(image, index / self.fps)


def samples(tmp_path, source, text):
    path = tmp_path / "mine.toml"
    path.write_text(HEAD + text)
    recipe = recipes.read(path)
    made = Samples(source, recipe, interpolate.load(recipe.interpolation.method), lambda: None)
    return list(made), made


def noise(count, dtype=np.uint8, size=(24, 32)):
    top = np.iinfo(dtype).max
    return np.random.default_rng(count).integers(0, top + 1, (count, *size, 3), dtype)


def panned(count, step, size=(96, 128)):
    """A picture that moves left by `step` pixels a frame."""
    canvas = dead_leaves(Photographs("train"), (size[0], size[1] + step * count), np.random.default_rng(5))
    return np.stack([canvas[:, index * step : index * step + size[1]] for index in range(count)])


def test_bin_windows(tmp_path):
    """11 frames from 11 on, every 8 frames, truncated; two more frames must follow (Shen et al., CVPR 2020)."""
    frames = noise(33)
    text = 'rounding = "truncate"\n[window]\nlength = 11\nstride = 8\noffset = 11\ntail = 2\ntargets = "at:5,9"'
    found, made = samples(tmp_path, Frames(frames), text)
    assert len(found) == 2
    for number, sample in enumerate(found):
        first = 11 + 8 * number
        assert (sample["blurry"] == frames[first : first + 11].astype(np.uint32).sum(axis=0) // 11).all()
        assert (sample["sharp"] == frames[[first + 5, first + 9]]).all()
        assert sample["averaged"].tolist() == list(range(first, first + 11))
    assert made.unused == 33 - 19


def test_random_windows_fill_up_with_nan(tmp_path):
    frames = noise(60)
    found, made = samples(tmp_path, Frames(frames), "[window]\nlength = 9\nshortest = 3")
    lengths = [int(np.isfinite(sample["averaged"]).sum()) for sample in found]
    assert all(sample["averaged"].shape == (9,) for sample in found)
    assert len(set(lengths)) > 1
    assert sum(lengths) == 60 - made.unused
    second = found[1]["averaged"][: lengths[1]].astype(int)
    assert second[0] == lengths[0]
    assert (found[1]["sharp"][0] == frames[second[lengths[1] // 2]]).all()
    mean = np.floor(frames[second].mean(axis=0) + 0.5)
    assert (found[1]["blurry"] == mean).all()


def test_sixteen_bits_are_averaged_in_full_depth(tmp_path):
    frames = noise(5, np.uint16)
    (sample,), _ = samples(tmp_path, Frames(frames), 'transfer = "linear"\n[window]\nlength = 5\ntargets = "all"')
    exact = np.floor(frames.astype(np.float64).mean(axis=0) / 65535 * 255 + 0.5)
    assert np.abs(sample["blurry"] - exact).max() <= 1
    assert (sample["blurry"] != exact).mean() < 1e-3
    assert (sample["sharp"] == np.floor(frames / 257 + 0.5)).all()


def test_sixteen_bits_are_not_interpolated(tmp_path):
    with pytest.raises(RecipeError, match="16-bit frames, which cannot be interpolated"):
        samples(tmp_path, Frames(noise(5, np.uint16)), '[window]\nlength = 5\n[interpolation]\nmethod = "flow"\nfactor = 2')


def test_first_and_last_windows_are_skipped(tmp_path):
    frames = noise(50)
    found, made = samples(tmp_path, Frames(frames), "[window]\nlength = 5\nskip_first = 2\nskip_last = 3")
    assert [sample["averaged"][0] for sample in found] == [10, 15, 20, 25, 30]
    assert made.unused == 25
    with pytest.raises(SourceError, match="states 55 frames and has 50"):
        samples(tmp_path, Frames(frames, length=55), "[window]\nlength = 5\nskip_last = 3")


@pytest.mark.parametrize(
    ("text", "need"),
    [
        ("length = 5", 5),
        ("length = 11\nstride = 8\noffset = 11\ntail = 2", 24),
        ("length = 5\nskip_first = 2\nskip_last = 3", 30),
        ("length = 13\n[interpolation]\nmethod = 'flow'\nfactor = 4", 4),
        ("length = 12\ntail = 2\n[interpolation]\nmethod = 'flow'\nfactor = 4", 5),
    ],
)
def test_a_video_that_is_too_short_is_told_what_is_needed(tmp_path, text, need):
    """As many frames are enough for a window, and one less is not."""
    assert len(samples(tmp_path, Frames(noise(need)), f"[window]\n{text}")[0]) == 1
    with pytest.raises(SourceError, match=f"clip has {need - 1} frames, the recipe 'mine' needs {need} for one window"):
        samples(tmp_path, Frames(noise(need - 1)), f"[window]\n{text}")


def test_the_gate_leaves_out_fast_windows_and_counts_them(tmp_path):
    frames = np.concatenate([panned(10, 1), panned(10, 4)])
    text = "[window]\nlength = 5\n[gate]\nlargest_step = 2.0\nquantile = 0.9"
    found, made = samples(tmp_path, Frames(frames), text)
    assert [sample["averaged"][0] for sample in found] == [0, 5]
    assert all(0.8 < sample["largest_step"] < 1.3 for sample in found)
    assert all(sample["matching_error"] < 12 for sample in found)
    assert made.left_out == {"a step above 2 px": 2}
    assert made.unused == 10
    with pytest.raises(EmptySourceError, match=r"all 4 windows are left out \(4 for a step above 0.1 px\)"):
        samples(tmp_path, Frames(frames), "[window]\nlength = 5\n[gate]\nlargest_step = 0.1")


@pytest.mark.parametrize(("measure", "within"), [(Rough(), 2), (Gated(recipes.Gate(1.0, quantile=0.9)), 0.5)])
def test_steps_are_measured(measure, within):
    """A pan by 6 pixels a frame; the rough measure sees it in pictures reduced by 3.2."""
    found = [measure(index, image) for index, image in enumerate(panned(3, 6, (288, 512)))]
    assert found[0] is None
    assert [step.pixels for step in found[1:]] == pytest.approx([6, 6], abs=within)


def test_exact_steps_of_rendered_footage():
    source = RenderedSource("test", 0, 3, (48, 64))
    frames = [frame.image for frame in source.frames()]
    steps = [Exact(source)(index, image) for index, image in enumerate(frames)]
    move = source.motion(1, 2).astype(np.float64)
    assert steps[0] is None
    assert steps[2].pixels == pytest.approx(np.hypot(move[..., 0], move[..., 1]).max(), rel=1e-5)


@pytest.mark.parametrize("by", [2, 3, 5])
def test_shrinking_takes_the_mean_of_blocks(by):
    image = noise(1, size=(31, 43))[0]
    height, width = 31 // by, 43 // by
    means = image[: height * by, : width * by].reshape(height, by, width, by, 3).mean(axis=(1, 3))
    made = reframe(image, recipes.Frame(shrink=by))
    assert made.shape == (height, width, 3)
    assert np.abs(made - means).max() <= 0.5 + 1e-9


@pytest.mark.parametrize(
    ("rule", "left"),
    [
        ({"shrink": 40}, "of which frame.shrink 40, width 0 and height 0 leave 1x0, expected pixels; reduce them less"),
        ({"shrink": 40, "width": 8}, "leave 1x0, expected pixels"),
        ({"height": 1, "width": 1}, "of which frame.shrink 1, width 1 and height 1 leave 1x0"),
    ],
)
def test_a_picture_that_is_reduced_to_nothing(rule, left):
    image = np.zeros((20, 50, 3), np.uint8)
    for take in (lambda rule: reframe(image, rule), lambda rule: framed_size((20, 50), rule)):
        with pytest.raises(SourceError, match=f"^frames are 50x20, .*{left}"):
            take(recipes.Frame(**rule))


@pytest.mark.parametrize(("kernel", "level"), [("area", 64), ("linear", 0), ("cubic", 0)])
def test_the_kernel_reaches_the_pixels(kernel, level):
    """Every fourth column is white: what a kernel that does not widen sees of it, reduced by four, is nothing."""
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::4] = 255
    assert (reframe(stripes, recipes.Frame(width=16, height=16, kernel=kernel)) == level).all()
    noisy = noise(1, size=(36, 48))[0]
    expected = cv2.resize(noisy, (32, 24), interpolation=getattr(cv2, f"INTER_{kernel.upper()}"))
    np.testing.assert_array_equal(reframe(noisy, recipes.Frame(width=32, height=24, kernel=kernel)), expected)


def test_adobe240_is_reduced_without_aliasing():
    stripes = np.zeros((1408, 2560, 3), np.uint8)
    stripes[:, ::4] = 255
    assert (reframe(stripes, recipes.load("adobe240").frame) == 64).all()


def test_the_largest_step_and_the_worst_match_of_a_window_are_kept(tmp_path):
    """The picture moves by 1, 3 and 2 pixels, and is noisiest in the middle step."""
    canvas = dead_leaves(Photographs("train"), (96, 140), np.random.default_rng(5))
    places = np.cumsum([0, 1, 3, 2])
    frames = np.stack([canvas[:, place : place + 128] for place in places])
    frames[2] ^= np.random.default_rng(0).integers(0, 8, frames[2].shape, np.uint8)
    text = "[window]\nlength = 4\n[gate]\nlargest_step = 9.0\nquantile = 0.9"
    (sample,), made = samples(tmp_path, Frames(frames), text)
    gated = Gated(made.recipe.gate)
    steps = [gated(index, frame) for index, frame in enumerate(frames)][1:]
    assert len({round(step.mismatch, 3) for step in steps}) == len({round(step.pixels, 3) for step in steps}) == 3
    assert sample["matching_error"] == pytest.approx(max(step.mismatch for step in steps))
    assert sample["largest_step"] == pytest.approx(max(step.pixels for step in steps))


def test_interpolated_steps_are_smaller(tmp_path):
    frames = panned(7, 6, (288, 512))
    (plain,), _ = samples(tmp_path, Frames(frames), "[window]\nlength = 7")
    text = '[window]\nlength = 25\n[interpolation]\nmethod = "flow"\nfactor = 4'
    (fine,), _ = samples(tmp_path, Frames(frames), text)
    assert plain["largest_step"] == pytest.approx(4 * fine["largest_step"])


@pytest.mark.parametrize(
    ("rule", "size", "corner"),
    [
        ("shrink = 3", (8, 10), None),
        ("shrink = 2", (12, 16), None),
        ("width = 16\nheight = 16", (12, 16), None),
        ('width = 16\nheight = 16\nfit = "stretch"', (16, 16), None),
        ("width = 16", (12, 16), None),
        ("height = 12", (12, 16), None),
        ("width = 64", (24, 32), None),
        ('width = 64\nfit = "stretch"', (48, 64), None),
        ('height = 36\nfit = "stretch"', (36, 48), None),
        ("crop = [8, 6]", (6, 8), (0, 0)),
        ("crop = [8, 0]", (24, 8), (0, 0)),
        ('crop = [0, 6]\nanchor = "centre"', (6, 32), (9, 0)),
        ('crop = [8, 6]\nanchor = "centre"', (6, 8), (9, 12)),
    ],
)
def test_framing(tmp_path, rule, size, corner):
    frames = noise(3)
    (sample,), made = samples(tmp_path, Frames(frames), f'[window]\nlength = 3\ntargets = "all"\n[frame]\n{rule}')
    assert sample["blurry"].shape == (*size, 3)
    assert framed_size((24, 32), made.recipe.frame) == size
    if corner:
        top, left = corner
        assert (sample["sharp"] == frames[:, top : top + size[0], left : left + size[1]]).all()
