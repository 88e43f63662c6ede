"""The starting values of the narrow decomposer: a copy, by its own formula, from which everything can be learnt."""

import pytest
import torch
from torch.nn import functional as F

from blurbench.baselines._zhong2022_networks import Decomposer
from blurbench.baselines.zhong2022 import decomposing, decomposing_network
from blurbench.errors import RecipeError


@pytest.fixture(scope="module")
def decomposer():
    torch.manual_seed(0)
    return decomposing_network(start="copy", width=0.125).decomposer.eval()


@pytest.fixture(scope="module")
def seen():
    """A picture of noise, and guidance of every quadrant."""
    rng = torch.Generator().manual_seed(1)
    blurry = torch.rand(2, 3, 32, 48, generator=rng)
    return blurry, torch.randint(2, (2, 2, 32, 48), generator=rng).float() * 2 - 1


def test_stage_1_copies_every_pixel(decomposer, seen):
    """To the sigmoid of its logits, whatever the guidance; batch norm's epsilon of 1e-5 acts in nine places."""
    blurry, guidance = seen
    rough, _ = decomposer(blurry, guidance)
    expected = torch.sigmoid(4.4 * blurry - 2.2)
    assert (expected - blurry).abs().max() < 0.1
    torch.testing.assert_close(rough, expected[:, None].expand_as(rough), rtol=1e-4, atol=0)


def test_gates_are_open_where_guidance_is_of_their_quadrant(decomposer, seen):
    """Ten times the mean grey levels of 2x2 pixels, at the end of the way."""
    blurry, guidance = seen
    guidance = guidance.clone()
    guidance[:, :, :8] = 0
    found = []
    handle = decomposer.s1.up_blocks.register_forward_hook(lambda module, given, made: found.append(made))
    decomposer(blurry, guidance)
    handle.remove()
    for gate, quadrant in enumerate([(1, -1), (-1, -1), (-1, 1), (1, 1)]):
        is_open = (guidance == torch.tensor(quadrant)[:, None, None]).all(dim=1)
        expected = F.interpolate(F.avg_pool2d((10 * blurry.mean(dim=1) * is_open)[:, None], 2), scale_factor=2)
        torch.testing.assert_close(found[0][:, 3 + gate, None], expected, rtol=2e-4, atol=1e-5)


def test_stage_2_adds_little(decomposer, seen):
    rough, refined = decomposer(*seen)
    assert (refined - rough).min() > 0 and (refined - rough).mean() < 0.04


def test_all_is_learnt_but_the_blocks_between(decomposer, seen):
    """Of those the last layers come first, for they are zero; then the others follow."""
    decomposer.zero_grad()
    decomposer(*seen)[1].square().mean().backward()
    idle = {name for name, value in decomposer.named_parameters() if not value.grad.abs().sum()}
    assert idle and all("bottleneck" in name and ".conv2." not in name for name in idle)


def test_a_network_that_is_too_narrow():
    with pytest.raises(RecipeError, match="with 32 channels at a quarter of the size, expected 64 or more"):
        decomposing_network(start="copy", width=1 / 16)


def test_an_unknown_start():
    with pytest.raises(RecipeError, match="zhong2022-annotated: start is 'copi', expected one of usual, copy"):
        decomposing_network(start="copi", width=0.125)


def test_the_motion_term_sees_motion_alone(seen):
    """A brighter video, the same moment by moment, costs nothing; a video that stands still costs the variance over time."""
    blurry, guidance = seen
    sharp = torch.rand(2, 7, 3, 32, 48, generator=torch.Generator().manual_seed(2))

    def errors(frames, motion):
        class Made(torch.nn.Module):
            def decomposer(self, blurry, guidance):
                return frames, 2 * frames

        return decomposing({"network": Made()}, {"blurry": blurry, "guidance": guidance, "sharp": sharp}, {"motion": motion})

    assert errors(sharp + 0.5, 0).keys() == {"rough", "refined"} and errors(sharp + 0.5, 0)["rough"] == pytest.approx(0.25)
    assert errors(sharp + 0.5, 3)["rough-motion"] == pytest.approx(0, abs=1e-12)
    still = errors(blurry[:, None].expand_as(sharp), 3)
    assert still["rough-motion"] == pytest.approx(3 * sharp.var(dim=1, correction=0).mean().item()) == still["refined-motion"]


def test_the_usual_start_is_that_of_pytorch():
    torch.manual_seed(0)
    network = decomposing_network(width=0.125).decomposer
    torch.manual_seed(0)
    expected = Decomposer(0.125)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), expected.parameters(), strict=True))
