"""The narrow decomposer: the way around its first stage, its file, the term of motion that it learns from, and the weights that ship."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from blurbench.baselines._zhong2022_networks import Decomposer, Stage
from blurbench.baselines.zhong2022 import Animation, decomposing
from blurbench.methods import load_method
from blurbench.running import predict
from blurbench.store.reader import open_dataset
from blurbench.synth.pipeline import make_dataset
from blurbench.video import flow
from tests.baselines.official import count

WIDTHS = {"width": 1 / 16, "refining_width": 1 / 64, "around": True}


@pytest.fixture(scope="module")
def seen():
    """A picture of noise, and guidance of every quadrant."""
    rng = torch.Generator().manual_seed(1)
    blurry = torch.rand(2, 3, 32, 48, generator=rng)
    return blurry, torch.randint(2, (2, 2, 32, 48), generator=rng).float() * 2 - 1


def test_it_starts_as_a_copy(seen):
    """Stage 2 adds sigmoid(-4) everywhere."""
    blurry, guidance = seen
    rough, refined = Decomposer(**WIDTHS)(blurry, guidance)
    expected = blurry.clamp(0.02, 0.98)[:, None].expand_as(rough)
    torch.testing.assert_close(rough, expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(refined - rough, torch.full_like(rough, 1 / (1 + np.exp(4))), rtol=0, atol=1e-6)


def test_the_way_around_adds_logits(seen):
    x = torch.cat(seen, dim=1)
    torch.manual_seed(0)
    stage, plain = Stage(5, 1 / 16, around=True).eval(), Stage(5, 1 / 16).eval()
    torch.nn.init.normal_(stage.final_conv[0].weight, std=0.1)
    plain.load_state_dict({key: value for key, value in stage.state_dict().items() if key != "around"})
    torch.nn.init.constant_(stage.around, 0.7)
    ways = torch.logit(plain(x)), 0.7 * torch.logit(x[:, :3].clamp(0.02, 0.98))
    torch.testing.assert_close(stage(x), torch.sigmoid(ways[0] + ways[1][:, None]), rtol=1e-4, atol=1e-6)


def test_all_is_learnt(seen):
    """From the second step on: the last layers start at zero and stop what comes before."""
    network = Decomposer(**WIDTHS)
    optimiser = torch.optim.SGD(network.parameters(), 0.1)
    for _ in range(2):
        optimiser.zero_grad()
        network(*seen)[1].square().mean().backward()
        optimiser.step()
    assert all(value.grad.abs().sum() > 0 for value in network.parameters())


def test_a_file_tells_widths_and_the_way_around(seen, tmp_path):
    torch.manual_seed(0)
    network = Animation(predictor_width=1 / 16, **WIDTHS).eval()
    for stage in (network.decomposer.s1, network.decomposer.s2):
        torch.nn.init.normal_(stage.final_conv[0].weight, std=0.1)
    torch.nn.init.constant_(network.decomposer.s1.around, 0.7)
    save_file(network.state_dict(), path := tmp_path / "w.safetensors")
    found = load_method("zhong2022", path).network
    assert count(found) == count(network)
    with torch.no_grad():
        torch.testing.assert_close(found.decomposer(*seen)[1], network.decomposer(*seen)[1], rtol=0, atol=1e-5)


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


def test_what_ships_moves_as_guidance_says(tmp_path):
    """On average it is above a copy of the blur with true guidance; with guidance reversed things move the other way."""
    make_dataset("rendered", out=tmp_path / "rendered", splits=("test",), clips={"test": 2})
    method, measure = load_method("zhong2022-annotated"), flow.load("dis-medium").between
    psnr = []
    for sample in open_dataset(tmp_path / "rendered").samples("test"):
        true = np.asarray(sample.extras["flow_first_last"], np.float32)
        far = np.linalg.norm(true, axis=-1) > 2
        made = [sample.blurry[None] / 255]
        for sign in (1, -1):
            told = replace(sample, extras={**sample.extras, "guidance": sign * sample.extras["guidance"]})
            made.append(predict(method, told).frames[0])
            motion = measure(*np.rint(255 * made[-1][[0, -1]]).astype(np.uint8))
            assert np.corrcoef(motion[far].ravel(), sign * true[far].ravel())[0, 1] > 0.3
        psnr.append([-10 * np.log10(np.square(frames - sample.sharp / 255).mean()) for frames in made])
    copy, guided, reversed_ = np.mean(psnr, axis=0)
    assert guided > copy + 0.5 > reversed_ + 1.5
