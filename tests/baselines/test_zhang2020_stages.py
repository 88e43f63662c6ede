"""The training stages of zhang2020: their terms, who changes what, and the numbers of the paper."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from blurbench import weights
from blurbench.baselines import _zhang2020_features as sight
from blurbench.baselines import _zhang2020_losses as losses
from blurbench.baselines import _zhang2020_stages as stages
from blurbench.baselines._zhang2020_losses import TRIPLES
from blurbench.baselines._zhang2020_stages import Discriminator, Objective, Setting
from blurbench.baselines.zhang2020 import Generator, Zhang2020, Zhang2020BGH
from blurbench.errors import RecipeError
from blurbench.train.recipe import find
from tests.baselines.official import run
from tests.baselines.zhang2020_frames import LIGHT, Counting, moving, naive_gram, noise, small_frames


def objective(setting):
    return Objective.of(setting, torch.device("cpu"))


@pytest.mark.parametrize(
    ("setting", "names", "passes"),
    [
        (LIGHT, "centre pairs perceptual adversarial flow", 0),
        (replace(LIGHT, gram=1), "centre pairs perceptual adversarial flow gram", 1),
        (replace(LIGHT, gram=1, inputs=1), "centre pairs perceptual adversarial flow gram", 9),
        (replace(LIGHT, gram=1, cycle=1), "centre pairs perceptual adversarial flow gram cycle", 2),
        (replace(LIGHT, gram=1, cycle=1, inputs=1), "centre pairs perceptual adversarial flow gram cycle", 10),
        (replace(LIGHT, content=0, pairs=0, perceptual=0, adversarial=0, flow=0, cycle=1), "cycle", 2),
    ],
)
def test_terms_and_passes_of_the_stages(setting, names, passes):
    generator = Counting()
    terms = objective(setting).terms(generator, Discriminator(), small_frames(1, 32), small_frames(1, 32, seed=1))
    assert list(terms) == names.split() and len(generator.calls) == passes
    assert all(value.ndim == 0 and value.isfinite() for value in terms.values())


def test_the_pixel_term_of_the_centre():
    """The mean squared error of the text, or the absolute one of the printed norm."""
    made, target = small_frames(1, 32), small_frames(1, 32, seed=1)
    difference = (made[:, 3] - target[:, 3]).double()
    for squared, expected in ((1, difference.square().mean()), (0, difference.abs().mean())):
        terms = objective(replace(LIGHT, squared=squared)).terms(Counting(), Discriminator(), made, target)
        assert terms["centre"].item() == pytest.approx(float(expected), rel=1e-5)


def test_terms_are_weighted():
    made, target, judge = small_frames(1, 32), small_frames(1, 32, seed=1), Discriminator()
    one = Setting(1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0)
    plain = objective(one).terms(Counting(), judge, made, target)
    heavy = objective(Setting(2, 8, 3, 4, 5, 6, 7, 0, 0, 0, 0)).terms(Counting(), judge, made, target)
    factors = {"centre": 2, "pairs": 8, "perceptual": 3, "adversarial": 4, "flow": 5, "gram": 6, "cycle": 7}
    assert plain.keys() == factors.keys()
    for name, factor in factors.items():
        assert heavy[name].item() == pytest.approx(factor * plain[name].item(), rel=1e-5)


@pytest.mark.parametrize("inputs", [0, 1])
def test_gram_term_is_zero_for_the_truth(inputs):
    """A generator that knows the true frames: all seven, or for each average of three, these at start, middle and end."""
    target = small_frames(2, 16, seed=1)
    asked = []

    def knowing(grey):
        triple = TRIPLES[len(asked)]
        torch.testing.assert_close(grey, target[:, list(triple if inputs else (0, 3, 6))].mean(dim=1))
        asked.append(triple)
        return target[:, list(np.repeat(triple, (1, 4, 2)) if inputs else range(7)), 0]

    setting = replace(LIGHT, content=0, pairs=0, perceptual=0, adversarial=0, flow=0, gram=1, inputs=inputs)
    terms = objective(setting).terms(knowing, Discriminator(), target, target)
    assert len(asked) == (9 if inputs else 1) and terms["gram"] == 0
    asked.clear()
    other = objective(setting).terms(knowing, Discriminator(), target, target.flip(1))
    assert other["gram"] > 0


def test_gram_term_is_the_sum_over_nine_triples():
    target, generator, features = small_frames(1, 16, seed=1), Counting(), sight.load_features("random")
    first = small_frames(1, 16)
    setting = replace(LIGHT, content=0, pairs=0, perceptual=0, adversarial=0, flow=0, gram=1)
    second = generator(first[:, [0, 3, 6]].mean(dim=1))[:, :, None]
    total = 0.0
    for triple in TRIPLES:
        grams = [naive_gram(run(features, frames[0, list(triple)]).double().numpy()[:, :6]) for frames in (second.detach(), target)]
        whole = [losses.gram(run(features, frames[0, list(triple)])[None])[0].double() for frames in (second.detach(), target)]
        ratio = 64 / 6  # of the divisors: six of the channels go through the loop
        np.testing.assert_allclose(whole[0].view(3, 64, 3, 64)[:, :6, :, :6].reshape(18, 18) * ratio, grams[0], rtol=1e-3, atol=1e-7)
        total += np.sqrt(((whole[0] - whole[1]) ** 2).sum().item())
    found = objective(setting).terms(generator, Discriminator(), first, target)["gram"]
    assert found.item() == pytest.approx(total, rel=1e-4)


def test_what_a_stage_is_given_is_a_constant():
    """Gram and cycle terms change the generator by their last pass, not what went before."""
    made, target = small_frames(1, 16).requires_grad_(), small_frames(1, 16, seed=1)
    setting = replace(LIGHT, content=0, pairs=0, perceptual=0, adversarial=0, flow=0, gram=1, cycle=1)
    generator = Counting()
    terms = objective(setting).terms(generator, Discriminator(), made, target)
    sum(terms.values()).backward()
    assert made.grad is None and generator.add.grad.abs().min() > 0
    given_ = stages.again(generator, made, (0, 3, 6)).detach()
    torch.testing.assert_close(generator.calls[1], given_.mean(dim=1))


def tiny_batch():
    sharp = moving(64).expand(2, -1, 3, -1, -1).clone()
    sharp[1] = sharp[1].flip(-1)
    return {"blurry": sharp.mean(dim=1), "sharp": sharp}


def turn(networks, name, loss, setting, optimiser):
    """One player's turn, the others' parameters frozen: what the trainer does."""
    for key, network in networks.items():
        network.requires_grad_(key == name)
    terms = loss(networks, tiny_batch(), vars(setting))
    optimiser.zero_grad()
    sum(terms.values()).backward()
    optimiser.step()
    return sum(value.item() for value in terms.values())


@pytest.mark.parametrize("stage", ["b", "bg", "bgh"])
def test_each_player_changes_its_own_network_and_lowers_its_loss(stage):
    torch.manual_seed(0)
    networks = {"network": Generator(), "discriminator": Discriminator()}
    setting = replace(LIGHT, gram=float(stage != "b"), cycle=float(stage == "bgh"))
    for player in Zhang2020BGH.training.stages[stage].players:
        (name,) = player.trains
        before = {key: weights.state_hash(network) for key, network in networks.items()}
        optimiser = torch.optim.Adam(networks[name].parameters(), lr=1e-4)
        values = [turn(networks, name, player.loss, setting, optimiser) for _ in range(4)]
        after = {key: weights.state_hash(network) for key, network in networks.items()}
        assert [key for key in networks if before[key] != after[key]] == [name]
        assert values[-1] < values[0]


def test_judge_gives_the_generator_no_gradient_and_generate_gives_every_tensor_one():
    networks = {"network": Generator(), "discriminator": Discriminator()}
    sum(stages.judge(networks, tiny_batch(), vars(LIGHT)).values()).backward()
    assert all(parameter.grad is None for parameter in networks["network"].parameters())
    assert all(parameter.grad is not None for parameter in networks["discriminator"].parameters())
    networks["discriminator"].requires_grad_(False)
    sum(stages.generate(networks, tiny_batch(), vars(LIGHT)).values()).backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in networks["network"].parameters())


def test_the_content_stage_is_eq_1_and_2_by_hand():
    batch = {"blurry": noise(2, 3, 8, 8), "sharp": noise(2, 7, 3, 8, 8, seed=1)}
    generator = Counting()
    terms = stages.content({"network": generator}, batch, {"content": 4.0, "pairs": 0.5})
    weight = np.array([0.299, 0.587, 0.114])
    target = np.einsum("btchw,c->bthw", batch["sharp"].double().numpy(), weight)
    made = np.einsum("bchw,c->bhw", batch["blurry"].double().numpy(), weight)[:, None] + generator.add.detach().double().numpy()
    assert terms["centre"].item() == pytest.approx(4 * np.abs(target[:, 3] - made[:, 3]).mean(), rel=1e-5)
    pairs = 0.0
    for i in range(3):
        for sign in (1, -1):
            difference = np.abs(made[:, i] + sign * made[:, 6 - i]) - np.abs(target[:, i] + sign * target[:, 6 - i])
            pairs += np.abs(difference).mean() / 3
    assert terms["pairs"].item() == pytest.approx(0.5 * pairs, rel=1e-5)


def test_recipes_have_the_numbers_of_the_paper():
    paper, shipped = find(Zhang2020BGH.training), find(Zhang2020.training)
    assert list(paper.stages) == ["b", "bg", "bgh"] and list(shipped.stages) == ["content", "b", "bg", "bgh"]
    for name, added in (("b", (0, 0)), ("bg", (1, 0)), ("bgh", (1, 1))):
        plan, light = paper.stages[name], shipped.stages[name]
        setting = Setting(**plan.settings)
        assert (setting.squared, setting.pairs) == (1, 3)
        assert (plan.batch, plan.crop, plan.final_learning_rate, plan.augmentation.flip) == (4, 128, 1e-5, 0.5)
        assert (setting.adversarial, setting.flow, setting.gram, setting.cycle) == (0.0005, 0.001, *added)
        assert (setting.inputs, setting.vgg19, setting.pwcnet) == (1, 1, 1)
        assert Setting(**light.settings) == replace(setting, pairs=1, gram=100 * setting.gram, squared=0, inputs=0, vgg19=0, pwcnet=0)
    assert paper.stages["b"].learning_rate == 1e-4
    with pytest.raises(RecipeError, match=r"settings of zhang2020: vgg19 is 0.5, expected 1 \(yes\) or 0 \(no\)"):
        Setting(vgg19=0.5)
