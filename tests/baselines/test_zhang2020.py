"""Every Moment Matters: the generator, its losses against loops and other libraries, the stages, more frames, and the methods."""

import hashlib
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from blurbench import weights
from blurbench.baselines import _zhang2020_features as sight
from blurbench.baselines import _zhang2020_losses as losses
from blurbench.baselines import _zhang2020_stages as stages
from blurbench.baselines._zhang2020_iterate import iterated, nearest, rounds_for
from blurbench.baselines._zhang2020_losses import TRIPLES
from blurbench.baselines._zhang2020_stages import Discriminator, Objective, Setting
from blurbench.baselines.zhang2020 import Generator, Zhang2020, Zhang2020BG, Zhang2020BGH, luminance
from blurbench.cli import blurbench
from blurbench.errors import RecipeError, WeightsError
from blurbench.methods import load_method, predict
from blurbench.registry import METHODS
from blurbench.train.recipe import find
from tests.baselines.official import count, fill, make_sample, picture, refused, run, tensor, unit, without_weights

SHIPPED = "zhang2020.safetensors"
LIGHT = Setting(vgg19=0, pwcnet=0, inputs=0)
SHIFT = (3, -2)  # pixels from the first frame to the last, x right and y down


def noise(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def small_frames(batch=1, size=16, seed=0):
    return noise(batch, 7, 1, size, size, seed=seed)


def identity(pictures):
    return pictures


def moving(size=96):
    """Seven frames (1, 7, 1, H, W) of a smooth texture that moves by SHIFT over them."""
    rng = np.random.default_rng(0)
    texture = cv2.GaussianBlur(rng.random((size + 40, size + 40), np.float32), (0, 0), 2)
    texture = np.clip((texture - texture.mean()) * 4 + 0.5, 0, 1)
    places = [np.float32([[1, 0, SHIFT[0] * n / 6 - 20], [0, 1, SHIFT[1] * n / 6 - 20]]) for n in range(7)]
    return torch.from_numpy(np.stack([cv2.warpAffine(texture, place, (size, size)) for place in places]))[None, :, None]


def exact_flow(towards):
    """A flow that is (x, y) times `towards` from the first to the last frame, asked in that order first."""
    signs = iter((towards, -towards))

    def flow(a, b):
        field = torch.tensor(SHIFT, dtype=torch.float32).view(1, 2, 1, 1) * next(signs)
        return field.expand(len(a), 2, *a.shape[2:])

    return flow


class Counting(torch.nn.Module):
    """A generator that shifts its input by a learned value a frame, and counts its passes."""

    def __init__(self):
        super().__init__()
        self.add = torch.nn.Parameter(torch.linspace(-0.1, 0.1, 7).view(1, 7, 1, 1))
        self.calls = []

    def forward(self, grey):
        self.calls.append(grey.detach())
        return grey + self.add


# The generator and its weights.


def test_generator_has_thirty_convolutions_and_the_shipped_names():
    network = Generator()
    layers = [layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d | torch.nn.ConvTranspose2d)]
    assert len(layers) == 30 and count(network) == 3_021_223
    shipped = weights.read(weights.shipped(SHIPPED))
    assert {key: value.shape for key, value in shipped.items()} == {key: value.shape for key, value in network.state_dict().items()}
    lines = sorted(f"{key}\t{'x'.join(map(str, value.shape))}" for key, value in shipped.items())
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == "a732b689a0f6b223bb9a3e6513acca692e7ccc51ddcf6da942b00ff09c3b3b7b"


def test_golden_values_of_the_generator():
    """The published rule of weights, on the formula picture; values of the first implementation."""
    made = run(fill(Generator()), luminance(tensor(48, 64))[:, None])
    assert made.shape == (1, 7, 48, 64)
    assert made.double().mean().item() == pytest.approx(0.55693537, rel=1e-5)
    assert made.double().std().item() == pytest.approx(0.24160949, rel=1e-5)
    assert made[0, [0, 3, 6], [0, 20, 47], [0, 30, 63]].tolist() == pytest.approx([0.58305597, 0.08487894, 0.22034474], rel=1e-4)


def test_colour_is_that_of_the_blur():
    method, image = load_method("zhang2020"), picture(48, 64)
    frames = predict(method, make_sample(image)).frames[0]
    assert frames.shape == (7, 48, 64, 3) and method.weights.origin == "shipped"
    grey = unit(image) @ np.float32([0.299, 0.587, 0.114])
    network = run(method.network, torch.from_numpy(grey)[None, None])[0].numpy()
    np.testing.assert_allclose(frames, np.clip(unit(image) + (network - grey)[..., None], 0, 1), atol=1e-5)
    inside = ((frames > 0) & (frames < 1)).all(axis=-1)
    assert inside.mean() > 0.5
    change = frames - unit(image)
    assert np.ptp(change, axis=-1)[inside].max() < 1e-5 < np.abs(change).max()


# Losses.


def test_the_nine_triples():
    found = {(a, b, c) for a in range(7) for b in range(a + 1, 7) for c in range(b + 1, 7) if b - a == c - b}
    assert set(TRIPLES) == found and len(TRIPLES) == 9 and TRIPLES[-1] == (0, 3, 6)


def naive_gram(features):
    """(3, C, h, w) to (3C, 3C), one product after the other."""
    three, channels, height, width = features.shape
    found = np.zeros((three * channels, three * channels))
    for i in range(three):
        for j in range(three):
            for c in range(channels):
                for d in range(channels):
                    found[i * channels + c, j * channels + d] = (features[i, c] * features[j, d]).sum() / (channels * height * width)
    return found


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


# What the losses look through.


@pytest.fixture
def torch_home(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    sight.load_features.cache_clear()
    yield tmp_path / "checkpoints"
    sight.load_features.cache_clear()


def vgg19_by_hand(state, grey):
    """torchvision's layers by their numbers, one convolution after the other; halving comes before 5, 10, 19 and 28."""
    x = (grey - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    for number in (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34):
        if number:
            x = torch.relu(x)
        if number in (5, 10, 19, 28):
            x = functional.max_pool2d(x, 2)
        x = functional.conv2d(x, state[f"features.{number}.weight"], state[f"features.{number}.bias"], padding=1)
    return x


def test_vgg19_has_the_layers_of_torchvision_up_to_conv5_4(torch_home):
    torch_home.mkdir()
    state = fill(sight.Vgg19()).state_dict()
    torch.save({**state, "classifier.0.bias": torch.zeros(1)}, torch_home / "vgg19-dcbb9e9d.pth")
    ours = sight.load_features("vgg19")
    grey = noise(2, 1, 32, 48)
    expected = vgg19_by_hand(state, grey)
    assert expected.shape == (2, 512, 2, 3) and expected.min() < 0 < expected.max()
    torch.testing.assert_close(run(ours, grey), expected)
    assert not any(parameter.requires_grad for parameter in ours.parameters()) and count(ours) == 20_024_384


def test_missing_vgg19_and_wrong_names(torch_home):
    batch = {"blurry": noise(1, 3, 32, 32), "sharp": noise(1, 7, 3, 32, 32)}
    networks = {"network": Counting(), "discriminator": Discriminator()}
    with pytest.raises(WeightsError) as caught:
        stages.generate(networks, batch, {**vars(LIGHT), "vgg19": 1})
    said = str(caught.value)
    assert (
        said.startswith(f"vgg19-dcbb9e9d.pth is not in {torch_home}; put it there (https://") and "vgg19 = 0" in said and "\n" not in said
    )
    torch_home.mkdir()
    torch.save({"features.0.weight": torch.zeros(1)}, torch_home / "vgg19-dcbb9e9d.pth")
    with pytest.raises(WeightsError, match=r"is not a checkpoint of Vgg19: key 'features.0.bias' is missing"):
        sight.load_features("vgg19")
    with pytest.raises(RecipeError, match="features is 'vgg16', expected one of vgg19, random"):
        sight.load_features("vgg16")


def test_features_first_seen_in_a_validation_serve_gradients_later():
    sight.load_features.cache_clear()
    with torch.inference_mode():
        sight.load_features("random")(noise(1, 1, 16, 16))
    grey = noise(1, 1, 16, 16).requires_grad_()
    sight.load_features("random")(grey).sum().backward()
    assert grey.grad.abs().max() > 0


def test_random_features_are_the_same_everywhere_and_see_structure():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    sight.load_features.cache_clear()
    one = sight.load_features("random")
    assert torch.equal(before, torch.get_rng_state())
    grey = noise(1, 1, 96, 96)
    seen = run(one, grey)
    assert seen.shape == (1, 64, 12, 12)
    torch.testing.assert_close(seen, run(sight.RandomFeatures(), grey))
    torch.testing.assert_close(run(one, grey + 0.3)[..., 3:-3, 3:-3], seen[..., 3:-3, 3:-3], atol=1e-5, rtol=1e-4)  # brightness is not seen
    assert (run(one, grey.flip(-1)) - seen).abs().max() > 0.01


# The stages.


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
        (replace(LIGHT, content=0, perceptual=0, adversarial=0, flow=0, cycle=1), "cycle", 2),
    ],
)
def test_terms_and_passes_of_the_stages(setting, names, passes):
    generator = Counting()
    terms = objective(setting).terms(generator, Discriminator(), small_frames(1, 32), small_frames(1, 32, seed=1))
    assert list(terms) == names.split() and len(generator.calls) == passes
    assert all(value.ndim == 0 and value.isfinite() for value in terms.values())


def test_terms_are_weighted():
    made, target, judge = small_frames(1, 32), small_frames(1, 32, seed=1), Discriminator()
    one = Setting(1, 1, 1, 1, 1, 1, 0, 0, 0)
    plain = objective(one).terms(Counting(), judge, made, target)
    heavy = objective(Setting(2, 3, 4, 5, 6, 7, 0, 0, 0)).terms(Counting(), judge, made, target)
    factors = {"centre": 2, "pairs": 2, "perceptual": 3, "adversarial": 4, "flow": 5, "gram": 6, "cycle": 7}
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

    setting = replace(LIGHT, content=0, perceptual=0, adversarial=0, flow=0, gram=1, inputs=inputs)
    terms = objective(setting).terms(knowing, Discriminator(), target, target)
    assert len(asked) == (9 if inputs else 1) and terms["gram"] == 0
    asked.clear()
    other = objective(setting).terms(knowing, Discriminator(), target, target.flip(1))
    assert other["gram"] > 0


def test_gram_term_is_the_sum_over_nine_triples():
    target, generator, features = small_frames(1, 16, seed=1), Counting(), sight.load_features("random")
    first = small_frames(1, 16)
    setting = replace(LIGHT, content=0, perceptual=0, adversarial=0, flow=0, gram=1)
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
    setting = replace(LIGHT, content=0, perceptual=0, adversarial=0, flow=0, gram=1, cycle=1)
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
    terms = stages.content({"network": generator}, batch, {})
    weight = np.array([0.299, 0.587, 0.114])
    target = np.einsum("btchw,c->bthw", batch["sharp"].double().numpy(), weight)
    made = np.einsum("bchw,c->bhw", batch["blurry"].double().numpy(), weight)[:, None] + generator.add.detach().double().numpy()
    assert terms["centre"].item() == pytest.approx(np.abs(target[:, 3] - made[:, 3]).mean(), rel=1e-5)
    pairs = 0.0
    for i in range(3):
        for sign in (1, -1):
            difference = np.abs(made[:, i] + sign * made[:, 6 - i]) - np.abs(target[:, i] + sign * target[:, 6 - i])
            pairs += np.abs(difference).mean() / 3
    assert terms["pairs"].item() == pytest.approx(pairs, rel=1e-5)


def test_recipes_have_the_numbers_of_the_paper():
    paper, shipped = find(Zhang2020BGH.training), find(Zhang2020.training)
    assert list(paper.stages) == ["b", "bg", "bgh"] and list(shipped.stages) == ["content", "b", "bg", "bgh"]
    for name, added in (("b", (0, 0)), ("bg", (1, 0)), ("bgh", (1, 1))):
        plan, light = paper.stages[name], shipped.stages[name]
        setting = Setting(**plan.settings)
        assert (plan.batch, plan.crop, plan.final_learning_rate, plan.augmentation.flip) == (4, 128, 1e-5, 0.5)
        assert (setting.adversarial, setting.flow, setting.gram, setting.cycle) == (0.0005, 0.001, *added)
        assert (setting.inputs, setting.vgg19, setting.pwcnet) == (1, 1, 1)
        assert Setting(**light.settings) == replace(setting, gram=100 * setting.gram, inputs=0, vgg19=0, pwcnet=0)
    assert paper.stages["b"].learning_rate == 1e-4
    with pytest.raises(RecipeError, match=r"settings of zhang2020: vgg19 is 0.5, expected 1 \(yes\) or 0 \(no\)"):
        Setting(vgg19=0.5)


# More frames.


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


def test_nearest_in_time():
    times = torch.tensor([0.1, 0.4, 0.4, 0.9])
    assert nearest(times, torch.tensor([0.0, 0.3, 0.39, 0.7, 2.0])).tolist() == [0, 1, 1, 3, 3]


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


# The methods.


def test_variants_take_own_weights(tmp_path):
    for name, cls in (("zhang2020-bg", Zhang2020BG), ("zhang2020-bgh", Zhang2020BGH)):
        assert METHODS.get(name) is cls and cls.card.wants_weights
        assert without_weights(name, "FILE") == "train it by `blurbench train --method zhang2020-bgh`"
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(weights.shipped(SHIPPED).read_bytes())
        own = load_method(name, path)
        assert own.weights.origin == "given"
        sample = make_sample(picture(16, 24))
        np.testing.assert_array_equal(predict(own, sample).frames, predict(load_method("zhang2020"), sample).frames)


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save(Discriminator().state_dict(), tmp_path / "d.pth")
    assert "is not a checkpoint of Generator: key 'at_half.bias' is missing" in refused("zhang2020-bgh", tmp_path / "d.pth")
