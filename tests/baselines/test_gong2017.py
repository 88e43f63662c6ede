"""Motion flow: shapes, labels as in the published data, transposed convolutions as interpolation, restoration, files, the command."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.nn import functional as F

from blurbench.baselines import gong2017
from blurbench.baselines._deconvolution import UniformBlur, richardson_lucy
from blurbench.baselines.gong2017 import LARGEST, U_LABELS, V_LABELS, Gong2017, MotionFlow, labels, motion
from blurbench.methods import load_method
from blurbench.metrics.motion import motion_epe
from blurbench.metrics.trajectory import true_trajectory
from blurbench.running import predict
from blurbench.synth import kernels
from tests.baselines.inputs import make_sample, picture, tensor, unit
from tests.baselines.official import count, refused, run, small_state, without_weights
from tests.baselines.photographs import photograph, psnr
from tests.conftest import command


@pytest.fixture(scope="module")
def network():
    """Small values that are neither bilinear nor zero."""
    network = MotionFlow()
    network.load_state_dict(small_state(network))
    return network.eval()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """As trained on several GPUs."""
    path = tmp_path_factory.mktemp("gong2017") / "flow.pth"
    torch.save({f"module.{key}": value for key, value in small_state(MotionFlow()).items()}, path)
    return path


# Labels, 1.8 of the protocols: u and v whole pixels, v upwards, both negated where u is negative.


def test_numbers_of_labels():
    assert (U_LABELS, V_LABELS, LARGEST) == (37, 73, 36)
    maxima = kernels.STRENGTHS["strong"]
    assert maxima.shift_x * (1 + maxima.gradient_x / 2) <= LARGEST, "what a strong shift gives"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((0, 0), (0, 36)),
        ((36, -36), (36, 0)),
        ((5, 3), (5, 39)),
        ((-5, 3), (5, 33)),
        ((-5, -3), (5, 39)),
        ((0, -3), (0, 33)),
        ((0, 3), (0, 39)),
        ((-0.4, 7.6), (0, 28)),
        ((50, 2), (36, 38)),
        ((-1, -80), (1, 72)),
    ],
)
def test_labels_by_hand(given, expected):
    assert labels(np.array(given, np.float64)).tolist() == list(expected)


MOTIONS = arrays(np.float64, (2, 3, 4, 2), elements=st.integers(-36, 36).map(float))


def scores_of(found):
    """Scores (B, 110, H, W) whose likeliest labels are these, (B, H, W, 2)."""
    u, v = (torch.from_numpy(found[..., axis]) for axis in (0, 1))
    return torch.cat([F.one_hot(u, U_LABELS), F.one_hot(v, V_LABELS)], dim=-1).permute(0, 3, 1, 2).float()


@given(MOTIONS)
def test_round_trip(field):
    """Motion, labels, scores, motion: the same in the half-plane."""
    found = labels(field)
    assert found.dtype == np.int64
    assert found.min() >= 0
    assert (found.max(axis=(0, 1, 2)) < (U_LABELS, V_LABELS)).all()
    back = motion(scores_of(found))
    np.testing.assert_array_equal(back, kernels.half_plane(field))
    np.testing.assert_array_equal(labels(back), found)


@given(st.integers(-36, 36), st.integers(-36, 36))
def test_a_label_blurs_like_its_motion(u, v):
    back = motion(scores_of(labels(np.full((1, 1, 1, 2), (u, v), np.float64))))[0, 0, 0]
    np.testing.assert_allclose(kernels.kernel(*back), kernels.kernel(u, v), atol=1e-12)


@pytest.mark.parametrize("strength", kernels.STRENGTHS)
def test_labels_of_the_data(strength):
    field = kernels.field((60, 80), kernels.STRENGTHS[strength], np.random.default_rng(0))
    np.testing.assert_array_equal(motion(scores_of(labels(field[None])))[0], kernels.half_plane(field))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 9999))
def test_likeliest_label_of_each_axis(seed):
    scores = torch.randn(2, 110, 3, 4, generator=torch.Generator().manual_seed(seed))
    found, each = motion(scores), scores.numpy()
    for b, y, x in np.ndindex(2, 3, 4):
        u, v = each[b, :37, y, x].argmax(), each[b, 37:, y, x].argmax() - 36
        assert found[b, y, x].tolist() == [u, v]


# The network.


def test_parameters():
    convolutions = 96 * 3 * 49 + 256 * 96 * 25 + (512 * 256 + 3 * 512 * 512) * 9 + 110 * 512 + 96 + 256 + 4 * 512 + 110
    skips, enlarging = 110 * (256 + 512) + 2 * 110, 110 * 110 * (16 + 16 + 64) + 3 * 110
    assert count(MotionFlow()) == convolutions + skips + enlarging == 10_191_508


@pytest.mark.parametrize(("height", "width"), [(16, 16), (32, 48), (48, 16)])
def test_scores_for_each_pixel(network, height, width):
    assert run(network, torch.cat([tensor(height, width)] * 2)).shape == (2, 110, height, width)


@pytest.mark.parametrize("factor", [2, 4])
def test_enlarging_begins_as_bilinear_interpolation(factor):
    """As torch does it, but for the border, where the layer mixes in zeros."""
    image = torch.randn(1, 110, 5, 7, generator=torch.Generator().manual_seed(0))
    actual = gong2017._bilinear(factor)(image)
    expected = F.interpolate(image, scale_factor=factor, mode="bilinear", align_corners=False)
    assert actual.shape == expected.shape
    inner = (..., slice(factor, -factor), slice(factor, -factor))
    torch.testing.assert_close(actual[inner], expected[inner], rtol=0, atol=1e-5)


def test_scores_see_as_far_as_lines_are_long(network):
    """A change at one pixel reaches the scores of pixels up to 69 away, so that a line of the largest label is seen, and none far away."""
    image = tensor(16, 320)
    changed = image.clone()
    changed[..., 8, 8] += 1
    difference = (run(network, changed) - run(network, image)).abs().amax(dim=(0, 1, 2))
    assert difference.nonzero().max() - 8 == 69
    assert difference[8] > 0


# The method.


class Knows(MotionFlow):
    """Gives the scores of a motion that it was told."""

    def __init__(self, field):
        super().__init__()
        self.scores = scores_of(labels(field[None]))

    def forward(self, blurry):
        return self.scores


@pytest.mark.parametrize("photo", ["astronaut", "coffee"])
def test_known_motion_restores_a_photograph(photo):
    """Blurred by a field of the published kind, in 8 bits. Measured: 5.3 and 5.8 dB."""
    sharp = photograph(photo).astype(np.float32)
    field = kernels.field(sharp.shape[:2], kernels.STRENGTHS["mild"], np.random.default_rng(0))
    assert np.ptp(field, axis=(0, 1)).max() > 10
    blurry = np.rint(255 * kernels.blur(sharp, field)).astype(np.uint8)
    inner = slice(20, -20), slice(20, -20)  # the blurry border was made of repeated pixels
    restored = predict(Gong2017(Knows(field)), make_sample(blurry)).frames[0, 0]
    assert psnr(restored[inner], sharp[inner]) > psnr(unit(blurry)[inner], sharp[inner]) + 4


def test_its_motion_can_be_scored():
    """As the data store theirs, y downwards: but for rounded labels, and the sign that no blur tells."""
    field = kernels.field((48, 64), kernels.STRENGTHS["strong"], np.random.default_rng(0))
    sample = make_sample(picture(48, 64), frames=1, motion=(field * [1, -1]).astype(np.float32))
    made = predict(Gong2017(Knows(field)), sample)
    assert made.motion_times.tolist() == [0, 1] and made.motion.shape == (1, 2, 48, 64, 2)
    np.testing.assert_array_equal(made.motion[0, 0], -made.motion[0, 1])
    assert motion_epe(made.motion[0], true_trajectory(sample, made.motion_times))[0] < np.sqrt(0.5)
    turned = made.motion[0] * np.float32([1, -1])
    assert motion_epe(turned, true_trajectory(sample, made.motion_times))[0] > 5


def test_one_motion_is_richardson_lucy_with_its_kernel():
    image = picture(32, 48)
    found = predict(Gong2017(Knows(np.full((32, 48, 2), (-4.0, 3.0)))), make_sample(image)).frames[0, 0]
    expected = richardson_lucy(unit(image), UniformBlur(kernels.kernel(4, -3), (32, 48)), 30).clip(0, 1)
    # Beyond the kernel's reach the sharp picture is continued a little further by one of the two.
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_no_motion_changes_nothing():
    image = picture(16, 32)
    found = predict(Gong2017(Knows(np.zeros((16, 32, 2)))), make_sample(image)).frames[0, 0]
    np.testing.assert_allclose(found, unit(image), atol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (31, 45), (5, 70)])
def test_any_size(checkpoint, height, width):
    frames = predict(load_method("gong2017", checkpoint), make_sample(picture(height, width))).frames
    assert frames.shape == (1, 1, height, width, 3)
    assert frames.min() >= 0
    assert frames.max() <= 1
    assert frames.std() > 0.05


def test_official_layout_and_plain_files_are_the_same(checkpoint, network, tmp_path):
    torch.save(network.state_dict(), tmp_path / "plain.pth")
    image = make_sample(picture(32, 32))
    one, other = load_method("gong2017", checkpoint), load_method("gong2017", tmp_path / "plain.pth")
    np.testing.assert_array_equal(predict(one, image).frames, predict(other, image).frames)
    assert (one.weights.files, one.weights.origin) == (("flow.pth",), "given")
    for key, value in one.state().items():
        torch.testing.assert_close(value, network.state_dict()[key], rtol=0, atol=0)


# Files and the command.


def test_no_weights():
    assert without_weights("gong2017", "FILE") == "the authors' do not fit its layers; train MotionFlow (.safetensors or .pth)"


def test_files_that_do_not_fit(checkpoint, tmp_path):
    state = small_state(MotionFlow())
    lacking = {key: value for key, value in state.items() if key != "conv5.bias"}
    torch.save(lacking, tmp_path / "lacking.pth")
    assert "conv5.bias" in refused("gong2017", tmp_path / "lacking.pth")
    torch.save(state | {"conv8.weight": torch.zeros(1)}, tmp_path / "more.pth")
    assert "conv8.weight" in refused("gong2017", tmp_path / "more.pth")
    torch.save(state | {"conv7.weight": torch.zeros(146, 512, 1, 1)}, tmp_path / "other.pth")
    assert "conv7.weight" in refused("gong2017", tmp_path / "other.pth")
    (tmp_path / "cut.pth").write_bytes(checkpoint.read_bytes()[:1000])
    assert "cut.pth cannot be read safely" in refused("gong2017", tmp_path / "cut.pth")
    assert refused("gong2017", tmp_path / "none.pth") == f"weights file {tmp_path / 'none.pth'} does not exist"


def test_command(checkpoint, tmp_path):
    """A photograph in, the method's picture in 8 bits out; files that do not fit are one line and exit code 2."""
    image = picture(40, 56)
    cv2.imwrite(str(tmp_path / "photo.png"), image[..., ::-1])
    done = command("predict", "photo.png", "--method", "gong2017", "--weights", checkpoint, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (written,) = (tmp_path / "predictions").rglob("*.png")
    expected = predict(load_method("gong2017", checkpoint), make_sample(image)).frames[0, 0]
    assert np.abs(cv2.imread(str(written))[..., ::-1] - 255 * expected).max() < 0.51
    torch.save({"conv1.weight": torch.zeros(3)}, tmp_path / "other.pth")
    done = command("predict", "photo.png", "--method", "gong2017", "--weights", "other.pth", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in done.stderr
