"""The losses of zhang2020 against loops, their definitions and other libraries."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from blurbench.baselines import _zhang2020_features as sight
from blurbench.baselines import _zhang2020_losses as losses
from blurbench.baselines import _zhang2020_stages as stages
from blurbench.baselines._zhang2020_losses import TRIPLES
from tests.baselines.zhang2020_frames import SHIFT, moving, naive_gram, noise, small_frames


def identity(pictures):
    return pictures


def exact_flow(towards):
    """A flow that is (x, y) times `towards` from the first to the last frame, asked in that order first."""
    signs = iter((towards, -towards))

    def flow(a, b):
        field = torch.tensor(SHIFT, dtype=torch.float32).view(1, 2, 1, 1) * next(signs)
        return field.expand(len(a), 2, *a.shape[2:])

    return flow


def test_the_nine_triples():
    found = {(a, b, c) for a in range(7) for b in range(a + 1, 7) for c in range(b + 1, 7) if b - a == c - b}
    assert set(TRIPLES) == found and len(TRIPLES) == 9 and TRIPLES[-1] == (0, 3, 6)


def test_gram_matrices_against_loops():
    a, b = (noise(2, 3, 4, 5, 6, seed=seed) for seed in (0, 1))
    for one, matrix in zip(a, losses.gram(a), strict=True):
        np.testing.assert_allclose(matrix.numpy(), naive_gram(one.double().numpy()), rtol=1e-5)
    expected = np.mean(
        [np.sqrt(((naive_gram(x.double().numpy()) - naive_gram(y.double().numpy())) ** 2).sum()) for x, y in zip(a, b, strict=True)]
    )
    looked = {id(x): x for x in (a, b)}
    found = losses.gram_loss(*looked.values(), features=lambda pictures: pictures)
    assert found.item() == pytest.approx(expected, rel=1e-5)
    assert losses.gram_loss(a, a.clone(), identity) == 0


@given(seed=st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_gram_matrices_forget_places_and_remember_time(seed):
    features = noise(1, 3, 2, 4, 4, seed=seed)
    shuffled = features.flatten(3)[..., torch.randperm(16, generator=torch.Generator().manual_seed(seed))].unflatten(3, (4, 4))
    torch.testing.assert_close(losses.gram(features), losses.gram(shuffled))
    moved = features.clone()
    moved[:, 2] = moved[:, 2].roll(1, dims=-1)  # the last frame moves against the others: only blocks off the diagonal see it
    difference = (losses.gram(features) - losses.gram(moved))[0]
    assert difference[4:, 4:].abs().max() < 1e-6 < difference[:4, 4:].abs().max()


def test_bi_cycle_loss_against_loops():
    given_, back = (small_frames(2, 4, seed=seed) for seed in (0, 1))
    x, y = given_.double().numpy(), back.double().numpy()
    blurs = sum(np.abs(sum(x[n]) / 7 - sum(y[n]) / 7).sum() for n in range(2)) / (2 * 16)
    frames = sum(np.abs(x[n, i] - y[n, i]).sum() for n in range(2) for i in range(7)) / (7 * 2 * 16)
    assert losses.bi_cycle_loss(given_, back).item() == pytest.approx(blurs + frames, rel=1e-6)
    assert losses.bi_cycle_loss(given_, given_.clone()) == 0
    backwards = losses.bi_cycle_loss(given_, given_.flip(1)).item()
    assert backwards == pytest.approx((given_ - given_.flip(1)).abs().mean().item(), rel=1e-5)


def test_eq_8_alone_is_zero_for_a_generator_that_copies():
    copies = small_frames()[:, :1].expand(-1, 7, -1, -1, -1)
    assert losses.bi_cycle_loss(copies, stages.again(lambda grey: grey.expand(-1, 7, -1, -1), copies)) < 1e-6


def test_cycle_flow_is_zero_for_the_truth_and_its_flow_points_where_frames_are():
    frames = moving()
    ends = torch.zeros_like(frames)
    ends[:, 0], ends[:, -1] = frames[:, 0], torch.roll(frames[:, 0], (SHIFT[1], SHIFT[0]), dims=(-2, -1))
    inner = torch.zeros_like(frames)
    inner[..., 10:-10, 10:-10] = 1
    true = losses.cycle_flow_loss(ends, ends, exact_flow(1)).item()
    as_printed = losses.cycle_flow_loss(ends, ends, exact_flow(-1)).item()
    reversed_ = losses.cycle_flow_loss(ends.flip(1), ends, exact_flow(-1)).item()
    # Rolled rows and columns enter from the other side; they are seen from outside the picture and not counted.
    assert true < 1e-6 < 1 < min(as_printed, reversed_)


def test_cycle_flow_against_a_loop():
    made, target = small_frames(1, 8, seed=1), small_frames(1, 8, seed=2)
    dx, dy = SHIFT
    total = 0.0
    for y in range(8):
        for x in range(8):
            if 0 <= y + dy < 8 and 0 <= x + dx < 8:
                total += float(target[0, 0, 0, y, x] - made[0, 6, 0, y + dy, x + dx]) ** 2
            if 0 <= y - dy < 8 and 0 <= x - dx < 8:
                total += float(target[0, 6, 0, y, x] - made[0, 0, 0, y - dy, x - dx]) ** 2
    assert losses.cycle_flow_loss(made, target, exact_flow(1)).item() == pytest.approx(total, rel=1e-4)


def test_cycle_flow_by_dis_tells_the_direction_and_reaches_both_ends_only():
    frames, flow = moving(), sight.load_flow("dis-medium")
    found = flow(frames[:, 0], frames[:, -1])
    assert found.shape == (1, 2, 96, 96)
    np.testing.assert_allclose(found[0, :, 10:-10, 10:-10].mean(dim=(1, 2)), SHIFT, atol=0.2)
    made = frames.clone().requires_grad_()
    true, backwards = losses.cycle_flow_loss(made, frames, flow), losses.cycle_flow_loss(frames.flip(1), frames, flow)
    assert 20 * true < backwards
    (true + losses.cycle_flow_loss(made + 0.1, frames, flow)).backward()
    reached = made.grad.abs().amax(dim=(0, 2, 3, 4))
    assert (reached[[0, 6]] > 0).all() and (reached[1:6] == 0).all()


def test_adversarial_losses_against_their_definition_and_far_out():
    real, fake = torch.tensor([0.3, -1.2, 2.0]), torch.tensor([0.5, -0.7, 1.5])
    assert losses.adversarial_loss(fake).item() == pytest.approx(np.mean(np.log(1 - 1 / (1 + np.exp(-fake.double().numpy())))), rel=1e-6)
    bce = functional.binary_cross_entropy_with_logits
    expected = bce(real, torch.ones(3)) + bce(fake, torch.zeros(3))
    torch.testing.assert_close(losses.discriminator_loss(real, fake), expected)
    for far in (torch.tensor([200.0]), torch.tensor([-200.0])):
        assert losses.adversarial_loss(far).isfinite() and losses.discriminator_loss(far, far).isfinite()


def test_perceptual_loss_looks_at_the_middle_frame():
    made, target = small_frames(2, seed=3).requires_grad_(), small_frames(2, seed=4)
    loss = losses.perceptual_loss(made, target, lambda pictures: 3 * pictures)
    assert loss.item() == pytest.approx(3 * (made - target)[:, 3].abs().mean().item(), rel=1e-5)
    loss.backward()
    reached = made.grad.abs().amax(dim=(0, 2, 3, 4))
    assert reached[3] > 0 and reached.sum() == reached[3]
