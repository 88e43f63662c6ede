"""DMPHN's deeper and stacked variants: parameters, arithmetic patch by patch, their checkpoints and how wrong ones are told."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from blurbench.baselines._zhang2019_network import MultiPatch, Stack, started
from blurbench.baselines.zhang2019 import Zhang2019, Zhang2019Deeper, Zhang2019Stack
from blurbench.methods import load_method
from blurbench.running import predict
from blurbench.train import recipe
from tests.baselines.inputs import make_sample, padded, picture, tensor
from tests.baselines.official import count, fill, refused, run, small_state, without_weights
from tests.train.shrunk import shrunk, trained

REPOSITORY = "github.com/HongguangZhang/DMPHN-cvpr19-master"


@pytest.fixture(scope="module")
def deeper():
    return fill(MultiPatch(4))


@pytest.fixture(scope="module")
def stack():
    return fill(Stack(4))


def blocks(name):
    """Sub-networks of a variant and the stems of their official files."""
    if name == "zhang2019-1248":
        return {f"{kind}_lv{level}": f"{kind}_lv{level}" for kind in ("encoder", "decoder") for level in (1, 2, 3, 4)}
    parts = [(kind, stage, level) for stage in (1, 2, 3, 4) for kind in ("encoder", "decoder") for level in (1, 2, 3)]
    return {f"s{stage}.{kind}_lv{level}": f"{kind}_s{stage}_lv{level}" for kind, stage, level in parts}


@pytest.fixture(scope="module", params=["zhang2019-1248", "zhang2019-stack4"])
def official(request, tmp_path_factory):
    """Name, state_dict, and a folder with one old-style pickle a block, as in the official repository."""
    name, folder = request.param, tmp_path_factory.mktemp("checkpoint")
    network = MultiPatch(4) if name == "zhang2019-1248" else Stack(4)
    state = small_state(network)
    for part, stem in blocks(name).items():
        own = {key.removeprefix(f"{part}."): 0.8 * value for key, value in state.items() if key.startswith(f"{part}.")}
        torch.save(own, folder / f"{stem}.pkl", _use_new_zipfile_serialization=False)
    return name, {key: 0.8 * value for key, value in state.items()}, folder


def test_parameter_counts(deeper, stack):
    assert count(deeper) == 7_232_524
    assert count(stack) == 21_697_572 == 4 * count(MultiPatch())


def test_values_of_formula_weights(deeper, stack):
    """Values of this code when it gave, with the authors' weights of the stack, the authors' pictures to the last of 8 bits."""
    assert run(deeper, tensor(32, 48))[0, :, 10, 20].tolist() == pytest.approx([0.526451, 0.458071, 0.409291], abs=2e-6)
    assert run(stack, tensor(32, 48))[0, :, 10, 20].tolist() == pytest.approx([0.558527, 0.493569, 0.431774], abs=2e-6)


def rows(image):
    """Upper and lower half."""
    return image.chunk(2, dim=2)


def columns(image):
    return image.chunk(2, dim=3)


def test_four_levels_spelled_out(deeper):
    """One patch at a time: eight patches, four quadrants, two halves, the whole."""
    net, image = deeper, tensor(32, 40) - 0.5
    with torch.inference_mode():
        quadrants = [[*columns(half)] for half in rows(image)]
        features4 = [[torch.cat([net.encoder_lv4(part) for part in rows(quadrant)], dim=2) for quadrant in line] for line in quadrants]
        halves3 = []
        for line, found in zip(quadrants, features4, strict=True):
            refined = [net.encoder_lv3(quadrant + net.decoder_lv4(each)) for quadrant, each in zip(line, found, strict=True)]
            halves3.append(torch.cat(refined, dim=3) + torch.cat(found, dim=3))
        halves2 = [net.encoder_lv2(half + net.decoder_lv3(found)) + found for half, found in zip(rows(image), halves3, strict=True)]
        features2 = torch.cat(halves2, dim=2)
        expected = net.decoder_lv1(net.encoder_lv1(image + net.decoder_lv2(features2)) + features2) + 0.5
    torch.testing.assert_close(run(net, image + 0.5), expected, rtol=0, atol=2e-6)


def test_stack_spelled_out(stack):
    """Every network after the first starts from the image before, adds the features before, and at level 2 the first image."""
    image = tensor(16, 24) - 0.5
    start, before, first = image, [0, 0, 0], 0
    with torch.inference_mode():
        for net in (stack.s1, stack.s2, stack.s3, stack.s4):
            lines = [torch.cat([net.encoder_lv3(quadrant) for quadrant in columns(half)], dim=3) for half in rows(start)]
            lines = [line + kept for line, kept in zip(lines, rows(before[2]) if torch.is_tensor(before[2]) else (0, 0), strict=True)]
            halves = [net.encoder_lv2(half + net.decoder_lv3(line)) + line for half, line in zip(rows(start), lines, strict=True)]
            features2 = torch.cat(halves, dim=2) + before[1]
            features1 = net.encoder_lv1(start + net.decoder_lv2(features2) + first) + features2 + before[0]
            start = net.decoder_lv1(features1)
            before = [features1, features2, torch.cat(lines, dim=2)]
            first = first if torch.is_tensor(first) else start
    expected = start + 0.5
    torch.testing.assert_close(run(stack, image + 0.5), expected, rtol=0, atol=2e-6 * max(1, expected.abs().max().item()))


@pytest.mark.parametrize("name", ["deeper", "stack"])
def test_images_of_a_batch_do_not_mix(request, name):
    network = request.getfixturevalue(name)
    first, second = tensor(16, 24), 1 - tensor(16, 24)
    both = run(network, torch.cat([first, second, second, first]))
    expected = torch.cat([run(network, first), run(network, second)])
    torch.testing.assert_close(both, expected[[0, 1, 1, 0]], rtol=0, atol=1e-5)


def test_gradients_flow_to_every_parameter():
    for network in (MultiPatch(4), Stack(2)):
        network(tensor(16, 16)).square().mean().backward()
        assert all(parameter.grad is not None and parameter.grad.any() for parameter in network.parameters())


# Training.


def clips(pictures=2, size=16):
    """Blurry (B, 3, H, W) and sharp (B, 3, 3, H, W): columns that move by a pixel a frame."""
    start = torch.rand(pictures, 3, size, size, generator=torch.Generator().manual_seed(0))
    sharp = torch.stack([start.roll(shift, dims=-1) for shift in (-1, 0, 1)], dim=1)
    return {"blurry": sharp.mean(dim=1), "sharp": sharp}


def test_each_network_of_the_row_has_its_error():
    """Against NumPy, and networks of the row cut off one after the other."""
    stack, batch = started(Stack), clips()
    terms = Zhang2019Stack.training.stages["deblur"].players[0].loss({"network": stack}, batch, {})
    assert list(terms) == ["squared-1", "squared-2", "squared-3", "squared-4"]
    for length, term in enumerate(terms.values(), 1):
        shorter = Stack(length)
        shorter.load_state_dict({key: value for key, value in stack.state_dict().items() if int(key[1]) <= length})
        wrong = run(shorter, batch["blurry"]).double().numpy() - batch["sharp"][:, 1].double().numpy()
        assert term.item() == pytest.approx((wrong**2).mean(), rel=1e-5)


def test_initial_values_are_those_of_the_authors():
    torch.manual_seed(0)
    network = started(MultiPatch, 4)
    for layer, inputs, outputs, side in ((network.encoder_lv4.layer9, 64, 128, 3), (network.decoder_lv1.layer16, 128, 64, 4)):
        assert layer.weight.numel() == inputs * outputs * side * side
        assert layer.weight.std().item() == pytest.approx(0.5 * (2 / (side * side * outputs)) ** 0.5, rel=0.02)
        assert not layer.bias.any()


def test_recipes_have_the_printed_epochs():
    epochs = {"zhang2019": (2400, [0.416667, 0.833333]), "zhang2019-1248": (4000, 0.25), "zhang2019-stack4": (3000, [0.333333, 0.666667])}
    for cls in (Zhang2019, Zhang2019Deeper, Zhang2019Stack):
        stage = recipe.find(cls.training).stages["deblur"]
        assert (stage.steps, stage.milestones or stage.every) == (350 * epochs[cls.card.id][0], epochs[cls.card.id][1])
        assert (stage.batch, stage.crop, stage.learning_rate, stage.factor) == (6, 256, 1e-4, 0.1)


@pytest.mark.parametrize("cls", [Zhang2019Deeper, Zhang2019Stack])
def test_a_few_steps_lower_the_loss(cls):
    torch.manual_seed(0)
    network, batch = cls.training.network(), clips()
    (player,) = cls.training.stages["deblur"].players
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-4)
    course = []
    for _ in range(12):
        terms = player.loss({"network": network}, batch, {})
        optimiser.zero_grad()
        sum(terms.values()).backward()
        optimiser.step()
        course.append(sum(terms.values()).item())
    assert course[-1] < 0.85 * course[0], course


def test_trained_weights_load_and_change_the_pictures(made, tmp_path, monkeypatch):
    shrunk(Zhang2019Stack, tmp_path, monkeypatch, crop=32, batch=2)
    path = trained("zhang2019-stack4", made / "data/genblur", tmp_path / "w.safetensors", budget="2")
    torch.manual_seed(0)
    methods = Zhang2019Stack(Zhang2019Stack.training.network()), load_method("zhang2019-stack4", path)
    one, two = (predict(method, make_sample(picture(16, 24), frames=1)).frames for method in methods)
    assert np.isfinite(two).all() and np.abs(one - two).max() > 1e-4


def test_prediction_with_official_files(official):
    """Each file gets to its block, and the picture is padded, cropped and clamped."""
    name, state, folder = official
    method = load_method(name, folder)
    blurry = picture(13, 27)
    answer = predict(method, make_sample(blurry)).frames
    network = MultiPatch(4) if name == "zhang2019-1248" else Stack(4)
    network.load_state_dict(state)
    image = padded(blurry, method.capabilities.multiple)
    raw = run(network.eval(), image)[0, :, :13, :27].permute(1, 2, 0).numpy()
    assert answer.shape == (1, 1, 13, 27, 3)
    assert np.std(answer) > 0.001
    np.testing.assert_allclose(answer[0, 0], raw.clip(0, 1), rtol=0, atol=1e-5 * max(1, np.abs(raw).max()))
    assert set(method.weights.files) == {f"{stem}.pkl" for stem in blocks(name).values()}


def test_safetensors(official, tmp_path):
    name, state, _ = official
    path = tmp_path / "w.safetensors"
    save_file({key: value.contiguous() for key, value in state.items()}, path)
    own = load_method(name, path).network.state_dict()
    assert all(torch.equal(own[key], value) for key, value in state.items())


@pytest.mark.parametrize(("name", "folder"), [("zhang2019-1248", "DMPHN_1_2_4_8"), ("zhang2019-stack4", "SDNet4")])
def test_no_weights_tells_what_to_fetch_and_where_it_goes(name, folder):
    message = without_weights(name)
    assert message.startswith("put into one folder encoder_")
    assert all(f"{stem}.pkl" in message for stem in blocks(name).values())
    assert message.endswith(f" from checkpoints/{folder} of {REPOSITORY}")


def test_folder_of_another_variant(official):
    name, _, folder = official
    if name == "zhang2019-1248":
        assert refused("dmphn", folder).startswith(f"weights folder {folder} is of DMPHN(1-2-4-8), for it has encoder_lv4.pkl; zhang2019 ")
        assert refused("zhang2019-stack4", folder).startswith(f"weights folder {folder} is of DMPHN(1-2-4-8), for it has encoder_lv4.pkl; ")
    else:
        assert refused("dmphn", folder).startswith(f"weights folder {folder} lacks encoder_lv1.pkl, encoder_lv2.pkl, ")
        assert refused("zhang2019-1248", folder).startswith(f"weights folder {folder} lacks encoder_lv1.pkl, encoder_lv2.pkl, ")


def test_file_of_another_variant(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file({key: value.contiguous() for key, value in small_state(MultiPatch()).items()}, path)
    assert isinstance(Zhang2019.load(path), Zhang2019)
    for cls, told in (
        (Zhang2019Deeper, "MultiPatch: key 'decoder_lv4.layer13.0.bias' is missing (60 of 240 are)"),
        (
            Zhang2019Stack,
            "Stack: key 's1.decoder_lv1.layer13.0.bias' is missing (720 of 720 are); it has 'decoder_lv1.layer13.0.bias', which is unknown",
        ),
    ):
        assert refused(cls.card.id, path) == f"{path} is not a checkpoint of {told}"
