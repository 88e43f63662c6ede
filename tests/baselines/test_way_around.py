"""Narrow networks whose blurry picture goes around them (`way_around`): they start as a copy, the share counts, and files tell of it."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from blurbench.baselines.nah2017 import pyramid
from blurbench.baselines.shen2020 import once
from blurbench.errors import WeightsError
from blurbench.methods import Request, load_method, method_class
from blurbench.train import recipe
from tests.baselines.inputs import tensor
from tests.baselines.official import count

NAMES = ("nah2017", "tao2018", "zhang2019")
LEVELS = 255.0


def small(name, **changes):
    torch.manual_seed(0)
    training = method_class(name).training
    return training.network(**{**recipe.find(training, "small").network, **changes})


def trained(name):
    """With a share of 0.7 and last layers that no longer give 0."""
    network = small(name)
    for key, value in network.named_parameters():
        if not value.any():
            torch.nn.init.normal_(value, std=0.05)
        if key == "around":
            torch.nn.init.constant_(value, 0.7)
    return network.eval()


def seen(name, image):
    """What the network gets of a picture (1, 3, H, W) in [0, 1], and what of it each output is added to, coarsest first."""
    if name == "nah2017":
        levels = pyramid(LEVELS * image)
        return levels, [level - LEVELS / 2 for level in reversed(levels)]
    if name == "tao2018":
        colours = image[0][:, None]
        return colours, [colours[..., ::step, ::step] for step in (4, 2, 1)]
    return image, [image - 0.5]


@torch.no_grad()
def outputs(name, network, image):
    """Coarsest first."""
    made = network(seen(name, image)[0])
    return [made] if name == "zhang2019" else made[::-1] if name == "nah2017" else list(made)


@pytest.mark.parametrize("name", NAMES)
def test_it_starts_as_a_copy(name):
    image = tensor(32, 48)
    middle = {"nah2017": LEVELS / 2, "zhang2019": 0.5}.get(name, 0)
    for made, picture in zip(outputs(name, small(name), image), seen(name, image)[1], strict=True):
        torch.testing.assert_close(made, picture + middle, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_share_weighs_the_picture(name):
    """At 0 it is the network without a way around; the coarsest picture, which sees no other, is linear in the share."""
    image, network, plain = tensor(32, 48), trained(name), small(name, around=False).eval()
    plain.load_state_dict({key: value for key, value in network.state_dict().items() if key != "around"})
    assert count(network) == count(plain) + 1
    whole = outputs(name, network, image)
    torch.nn.init.zeros_(network.around)
    without = outputs(name, network, image)
    for made, expected in zip(without, outputs(name, plain, image), strict=True):
        torch.testing.assert_close(made, expected, rtol=0, atol=0)
    torch.testing.assert_close(whole[0] - without[0], 0.7 * seen(name, image)[1][0], rtol=0, atol=1e-3 if name == "nah2017" else 1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_all_is_learnt(name):
    """From the second step on: last layers start at 0 and stop what comes before."""
    network, image = small(name), tensor(32, 48)
    optimiser = torch.optim.SGD(network.parameters(), 1e-6)
    training = method_class(name).training
    (player,) = training.stages["deblur"].players
    batch = {"blurry": image, "sharp": image[:, None].flip(-1)}
    for _ in range(2):
        optimiser.zero_grad()
        sum(player.loss({"network": network}, batch, recipe.find(training, "small").stages["deblur"].settings).values()).backward()
        optimiser.step()
    assert all(value.grad is not None and value.grad.any() for value in network.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_a_file_tells_of_it(name, tmp_path):
    network, image = trained(name), tensor(32, 48)
    save_file(network.state_dict(), path := tmp_path / "w.safetensors")
    frame = load_method(name, path).predict(image[0].permute(1, 2, 0).numpy(), Request(np.array([0.5]), 1, np.random.default_rng(0)))
    made = outputs(name, network, image)[-1].reshape(3, 32, 48) / (LEVELS if name == "nah2017" else 1)
    torch.testing.assert_close(torch.from_numpy(frame[0, 0]).permute(2, 0, 1), made.clamp(0, 1), rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", ["zhang2019-stack4", "zhang2019-1248", "nah2017", "tao2018"])
def test_a_file_of_another_method(name, tmp_path):
    save_file(small("zhang2019").state_dict(), path := tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=r"w\.safetensors"):
        load_method(name, path)


# shen2020, where the exposure of that moment goes around two of four stages.


def exposures(number=6):
    return [tensor(8, 12, 0.2 * step) for step in range(number)]


AT = {4: 1, 5: 2, 6: 3, 9: 2, 11: 4, 13: 3}
"""Outputs of stages 2 and 4, and the exposures that they show; all others show a moment midway."""


@torch.no_grad()
def test_pyramids_start_as_copies():
    six = exposures()
    made = small("shen2020")(six)
    for number, image in enumerate(made):
        if number in AT:
            torch.testing.assert_close(image, six[AT[number]], rtol=1e-6, atol=1e-6)
        else:
            assert all((image - exposure).abs().max() > 1e-3 for exposure in six)


@torch.no_grad()
def test_the_share_weighs_the_exposure_against_the_mean():
    """At 0 it is the published network; in between, a unit is linear in the share."""
    six, network, plain = exposures(), trained("shen2020"), small("shen2020", around=False).eval()
    shares = [f"model.model{stage}_1.around" for stage in (2, 4)]
    assert {name for name, value in network.named_parameters() if value.numel() == 1} == set(shares)
    for name in shares:
        torch.nn.init.constant_(network.get_parameter(name), 0.7)
    own, *pictures = six[:4]
    unit = network.get_submodule("model.model2_1")
    moved = unit(*pictures, own=own) - unit(*pictures)
    torch.testing.assert_close(moved, 0.7 * (own - sum(pictures) / 3), rtol=0, atol=1e-5)
    for name in shares:
        torch.nn.init.zeros_(network.get_parameter(name))
    plain.load_state_dict({key: value for key, value in network.state_dict().items() if not key.endswith("around")})
    for made, expected in zip(network(six), plain(six), strict=True):
        torch.testing.assert_close(made, expected, rtol=0, atol=0)


@torch.no_grad()
def test_a_file_of_pyramids_tells_of_it(tmp_path):
    network, five = trained("shen2020"), exposures(5)
    save_file({key: value.contiguous() for key, value in once(network).items()}, path := tmp_path / "w.safetensors")
    made = load_method("shen2020", path).network.centre(five)
    for image, expected in zip(made, network.centre(five), strict=True):
        torch.testing.assert_close(image, expected, rtol=0, atol=2e-6)
