"""The guidance predictor's training: classes, both players' losses against NumPy, whom they change, and weights that the method takes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from blurbench import weights
from blurbench.baselines import _zhong2022_guidance as guidance
from blurbench.baselines import zhong2022
from blurbench.baselines._zhong2022_networks import Discriminator, Encoder, Generator
from blurbench.baselines.zhong2022 import Zhong2022, Zhong2022Annotated, Zhong2022Video
from blurbench.errors import RecipeError, WeightsError
from blurbench.methods import load_method
from blurbench.running import predict
from blurbench.synth.guidance import classes, vectors
from blurbench.train import recipe
from tests.baselines.inputs import make_sample, picture
from tests.train.shrunk import shrunk, trained

SETTINGS = {"encoded": 1.0, "prior": 0.5, "cross_entropy": 10.0, "divergence": 0.01}
PLAYERS = Zhong2022.training.stages["predictor"].players


def batch(pictures=4, size=32):
    """Patches of guidance, at half resolution, and pictures that show it."""
    draw = np.random.default_rng(0)
    found = np.repeat(np.repeat(draw.integers(5, size=(pictures, 4, 4)), size // 8, axis=1), size // 8, axis=2)
    field = torch.from_numpy(np.moveaxis(vectors(found.astype(np.uint8)), -1, 1).copy())
    blurry = torch.from_numpy(draw.random((pictures, 3, size, size), np.float32))
    blurry[:, :2] = 0.1 * blurry[:, :2] + 0.4 * (1 + F.interpolate(field.float(), (size, size)))
    return {"blurry": blurry, "guidance": field}


class Bank(nn.Module):
    """Logits that are 60 above the others at one class, whatever goes in: which class the Gumbel noise does not change."""

    def __init__(self, pictures):
        super().__init__()
        self.at = torch.randint(5, (2 * pictures, 256, 256), generator=torch.Generator().manual_seed(1))
        self.seen = None

    def forward(self, blurry, latent):
        self.seen = blurry, latent
        return 60 * F.one_hot(self.at, 5).permute(0, 3, 1, 2).float()


class Plane(nn.Module):
    """A score for each pixel, and its mean over 2x2."""

    share = torch.tensor([0.3, -0.2, 0.7, 1.1, -0.5])

    def forward(self, hot):
        scores = torch.einsum("bchw,c->bhw", hot, self.share)[:, None]
        return scores, F.avg_pool2d(scores, 2)


class Mean(nn.Module):
    """Latents from how often each class occurs."""

    def forward(self, hot):
        share = hot.mean(dim=(2, 3))
        return 2 * share[:, :4], share[:, 1:] - 1


class Part(nn.Module):
    def __init__(self, predictor):
        super().__init__()
        self.predictor = predictor


def known(pictures=2):
    return {"network": Part(Bank(pictures)), "encoder": Mean(), "discriminator": Plane()}


def in_numpy(numbers):
    """Scores of `Plane` for class numbers (b, 256, 256), at both scales."""
    scores = Plane.share.double().numpy()[numbers]
    return scores, scores.reshape(len(scores), 128, 2, 128, 2).mean(axis=(2, 4))


def true_numbers(given):
    found = np.stack([classes(np.moveaxis(field.numpy(), 0, -1)) for field in given["guidance"]])
    return found.repeat(16, axis=1).repeat(16, axis=2)


def test_numbers_are_those_of_the_data_sets():
    every = vectors(np.arange(5, dtype=np.uint8)[None])
    assert guidance.numbers(torch.from_numpy(every).permute(2, 0, 1)[None].float()).tolist() == [[list(range(5))]]


def test_what_the_networks_are_shown():
    """The first half, twice, resized as by the method; its encoded latents, then others."""
    networks, given = known(), batch()
    torch.manual_seed(3)
    made = guidance.make(networks, given)
    torch.manual_seed(3)
    noise, other = torch.randn(2, 4), torch.randn(2, 4)
    blurry, latent = networks["network"].predictor.seen
    large = F.interpolate(given["blurry"][:2], (256, 256), mode="nearest")
    assert torch.equal(blurry, torch.cat([large, large]))
    assert np.array_equal(made.true.numpy(), true_numbers(given))
    share = np.stack([(true_numbers(given)[:2] == number).mean(axis=(1, 2)) for number in range(5)], axis=1)
    encoded = 2 * share[:, :4] + np.exp(0.5 * (share[:, 1:] - 1)) * noise.numpy()
    np.testing.assert_allclose(latent.numpy(), np.concatenate([encoded, other]), rtol=1e-5, atol=1e-6)


def test_the_discriminators_loss_by_hand():
    networks, given = known(), batch()
    terms = guidance.judge(networks, given, SETTINGS)
    made, true = networks["network"].predictor.at.numpy(), true_numbers(given)
    for name, half in (("encoded", slice(0, 2)), ("prior", slice(2, 4))):
        wrong = sum((scores**2).mean() for scores in in_numpy(made[half]))
        right = sum(((scores - 1) ** 2).mean() for scores in in_numpy(true[half]))
        assert terms[f"judge-{name}"].item() == pytest.approx(wrong + right, rel=1e-5)


def test_the_generators_loss_by_hand():
    networks, given = known(), batch()
    terms = guidance.generate(networks, given, SETTINGS)
    made, true = networks["network"].predictor.at.numpy(), true_numbers(given)
    for name, half in (("encoded", slice(0, 2)), ("prior", slice(2, 4))):
        wanted = SETTINGS[name] * sum(((scores - 1) ** 2).mean() for scores in in_numpy(made[half]))
        assert terms[name].item() == pytest.approx(wanted, rel=1e-5)
    # One class at 60, four at 0: -log of the true one's share.
    costs = np.where(made[:2] == true[:2], 0, 60) + np.log1p(4 * np.exp(-60))
    assert terms["cross-entropy"].item() == pytest.approx(10 * costs.mean(), rel=1e-5)
    share = np.stack([(true[:2] == number).mean(axis=(1, 2)) for number in range(5)], axis=1)
    mean, log_variance = 2 * share[:, :4], share[:, 1:] - 1
    divergence = 0.5 * (np.exp(log_variance) + mean**2 - 1 - log_variance).sum(axis=1).mean()
    assert terms["divergence"].item() == pytest.approx(0.01 * divergence, rel=1e-4)


def test_an_odd_batch():
    with pytest.raises(RecipeError, match="a device has 3 crops; take an even number"):
        guidance.make(known(), batch(3))


class Small(nn.Module):
    """A generator of one convolution, at any width."""

    def __init__(self, width=1.0):
        super().__init__()
        self.layer = nn.Conv2d(7, 5, 3, padding=1)

    def forward(self, blurry, latent, rng=None):
        return self.layer(torch.cat([blurry, latent[:, :, None, None].expand(-1, -1, *blurry.shape[2:])], dim=1))


class Learning(nn.Module):
    """One of the known networks behind a convolution."""

    def __init__(self, known):
        super().__init__()
        self.layer, self.known = nn.Conv2d(5, 5, 3, padding=1), known

    def forward(self, hot):
        return self.known(self.layer(hot))


def test_each_player_changes_its_own_networks_and_lowers_its_loss():
    torch.manual_seed(0)
    networks, given = nn.ModuleDict({"network": Part(Small()), "encoder": Learning(Mean()), "discriminator": Learning(Plane())}), batch(2)
    for player in PLAYERS:
        own = {name: value for name, value in networks.named_parameters() if name.startswith(player.trains)}
        for name, value in networks.named_parameters():
            value.requires_grad_(name in own)
        before = {name: value.detach().clone() for name, value in networks.named_parameters()}
        optimiser = torch.optim.Adam(own.values(), lr=2e-2, betas=(0.5, 0.999))
        course = []
        for _ in range(12):
            optimiser.zero_grad()
            total = sum(player.loss(networks, given, SETTINGS).values())
            total.backward()
            optimiser.step()
            course.append(total.item())
        changed = {name for name, value in networks.named_parameters() if not torch.equal(value, before[name])}
        assert changed == set(own) and np.mean(course[-5:]) < 0.9 * course[0], course


def test_gradients_reach_every_tensor_of_encoder_and_generator():
    torch.manual_seed(0)
    networks = {"network": Part(guidance.started(Generator())), "encoder": guidance.started(Encoder()), "discriminator": Discriminator()}
    networks["discriminator"].requires_grad_(False)
    sum(guidance.generate(networks, batch(2), SETTINGS).values()).backward()
    for name in ("network", "encoder"):
        for key, value in networks[name].named_parameters():
            # A bias in front of a norm changes nothing.
            assert value.grad is not None and (value.grad.any() or key.endswith("bias")), key


def test_initial_values_are_those_of_the_authors():
    torch.manual_seed(0)
    layer = guidance.started(Encoder()).conv[0]
    assert layer.weight.std().item() == pytest.approx(0.02 * (2 / (16 * (5 + 64))) ** 0.5, rel=0.05) and not layer.bias.any()


def test_the_recipe_has_the_numbers_of_the_code():
    stage = recipe.find(Zhong2022.training).stages["predictor"]
    assert stage.settings == {"encoded": 1, "prior": 1, "cross_entropy": 10, "divergence": 0.01}
    assert (stage.learning_rate, stage.betas, stage.final_learning_rate) == (2e-4, [0.5, 0.999], 0)
    assert (stage.schedule, stage.hold) == ("linear", 0.5)
    assert (stage.batch, stage.crop, stage.steps % 200) == (4, 256, 0)


class Frames(nn.Module):
    """A decomposer of one number, at any width."""

    def __init__(self, **narrow):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.5))

    def forward(self, blurry, found):
        frames = (self.gain * blurry + 0.1 * found[:, :1])[:, None].repeat(1, 7, 1, 1, 1)
        return frames, frames


@pytest.fixture
def small(monkeypatch):
    """Networks of a few numbers in place of 190 million."""
    helpers = {"encoder": lambda: Learning(Mean()), "discriminator": lambda: Learning(Plane())}
    stages = {"predictor": replace(guidance.PREDICTING, helpers=helpers)}
    monkeypatch.setattr(Zhong2022, "training", replace(Zhong2022.training, stages=stages))
    monkeypatch.setattr(zhong2022, "Decomposer", Frames)
    monkeypatch.setattr(zhong2022, "Generator", Small)


@pytest.fixture
def decomposer(tmp_path):
    """What training the decomposer alone leaves."""
    path = tmp_path / "decomposer.safetensors"
    save_file({"decomposer.gain": torch.tensor(0.25)}, path)
    return path


def test_trained_beside_a_decomposer_and_loaded_by_every_variant(small, decomposer, made, tmp_path, monkeypatch):
    shrunk(Zhong2022, tmp_path, monkeypatch, crop=32, batch=2)
    path = trained("zhong2022", made / "data/genblur", tmp_path / "w.safetensors", budget="2", start=decomposer)
    state = weights.read(path)
    assert state.keys() == {"decomposer.gain", "predictor.layer.weight", "predictor.layer.bias"} and state["decomposer.gain"] == 0.25
    torch.manual_seed(0)
    before = Zhong2022.training.network()
    after = load_method("zhong2022", path).network
    image, latent = torch.rand(1, 3, 256, 256), torch.randn(1, 4)
    with torch.no_grad():
        logits, learnt = (each.predictor(image, latent) for each in (before, after))
    assert (logits - learnt).abs().max() > 1e-6
    sample = make_sample(picture(16, 24), guidance=np.zeros((16, 24, 2), np.int8), before=picture(16, 24)[None])
    for name in ("zhong2022", "zhong2022-deterministic", "zhong2022-annotated", "zhong2022-video"):
        frames = predict(load_method(name, path), sample).frames
        assert frames.shape == (1, 7, 16, 24, 3) and np.isfinite(frames).all()
    # What was trained goes on from its own file as well.
    trained("zhong2022", made / "data/genblur", tmp_path / "again.safetensors", start=path)


def test_training_without_a_decomposer(small, made, tmp_path, monkeypatch):
    shrunk(Zhong2022, tmp_path, monkeypatch, crop=32, batch=2)
    told = "training zhong2022 needs a decomposer, but no weights were given; give one by --start FILE: `blurbench train"
    with pytest.raises(RecipeError, match=f"^{told} --method zhong2022-annotated`"):
        trained("zhong2022", made / "data/genblur", tmp_path / "w.safetensors")
    save_file({"predictor.layer.bias": torch.zeros(5)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match=r"key 'decomposer.gain' is missing"):
        trained("zhong2022", made / "data/genblur", tmp_path / "w.safetensors", start=tmp_path / "other.safetensors")


def test_the_decomposers_weights_need_nothing_more(small, decomposer):
    assert load_method("zhong2022-annotated", decomposer).network.decomposer.gain == 0.25
    assert Zhong2022Annotated.training.given == {} and getattr(Zhong2022Video, "training", None) is None
