"""DeblurNet: the layers of Table 1, residuals, training on a tiny batch and weights of any width."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from blurbench.baselines.noroozi2017 import DeblurNet, Noroozi2017, Noroozi2017SI, loss, reduced
from blurbench.errors import RecipeError
from blurbench.methods import load_method
from blurbench.registry import METHODS
from blurbench.running import predict
from blurbench.train import recipe
from tests.baselines.inputs import make_sample, padded, picture, tensor
from tests.baselines.official import count, refused, run, without_weights

SMALL = 1 / 32
TABLE = {
    "n1": [(11, 3, 96), (7, 96, 256), (7, 256, 384), (7, 384, 384), (3, 384, 256), (3, 256, 256), (3, 256, 3)],
    "n2": [(5, 3, 256), (5, 256, 256), (5, 256, 256), (5, 256, 256), (5, 256, 3)],
}
"""Kernel, inputs and outputs of each layer, as printed; N3 is like N2."""


@pytest.fixture(scope="module")
def filled():
    """A small network whose residuals are neither nothing nor large, and whose statistics are those of pictures."""
    torch.manual_seed(0)
    network = DeblurNet(SMALL)
    for part in (network.n1, network.n2, network.n3):
        nn.init.normal_(part[-1].weight, std=0.1)
    for _ in range(20):
        network(torch.cat([tensor(16, 24, phase) for phase in (0.0, 1.0, 2.0)]))
    return network.eval()


def file_of(network, folder):
    path = folder / "w.safetensors"
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, path)
    return path


def test_parameters_by_the_table():
    with torch.device("meta"):
        network = DeblurNet()
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
    expected = [(kernel, inputs, outputs) for name in ("n1", "n2", "n2") for kernel, inputs, outputs in TABLE[name]]
    assert [(layer.kernel_size[0], layer.in_channels, layer.out_channels) for layer in layers] == expected
    assert sum(kernel**2 * inputs * outputs + outputs for kernel, inputs, outputs in expected) == 24_673_673
    assert sum(count(layer) for layer in layers) == 24_673_673
    assert count(network) - 24_673_673 == 2 * sum(outputs for _, _, outputs in expected if outputs != 3) == 7360


def test_outputs_of_the_subgraphs_are_linear_and_all_else_is_normalised():
    for part in (DeblurNet(SMALL).n1, DeblurNet(SMALL).n3):
        kinds = [type(layer).__name__ for layer in part]
        assert kinds[:-1] == ["Conv2d", "BatchNorm2d", "ReLU"] * ((len(kinds) - 1) // 3)
        assert kinds[-1] in ("Conv2d", "ConvTranspose2d")


@settings(max_examples=15, deadline=None)
@given(height=st.integers(1, 9), width=st.integers(1, 9), batch=st.integers(1, 3))
def test_no_residual_returns_the_input_at_three_scales(height, width, batch):
    network = DeblurNet(SMALL).eval()
    for part in (network.n1, network.n2, network.n3):
        nn.init.zeros_(part[-1].weight)
    blurry = torch.rand(batch, 3, 4 * height, 4 * width)
    quarter, half, whole = run(network, blurry)
    torch.testing.assert_close(whole, blurry, rtol=0, atol=0)
    for made, factor in ((quarter, 4), (half, 2)):
        blocks = blurry.unflatten(3, (-1, factor)).unflatten(2, (-1, factor)).mean(dim=(3, 5))
        torch.testing.assert_close(made, blocks, rtol=0, atol=1e-6)


def test_the_equation_spelled_out(filled):
    blurry = tensor(16, 24)
    x1 = run(filled.n1, blurry) + reduced(blurry, 4)
    x2 = run(filled.n2, x1) + reduced(blurry, 2)
    for made, wanted in zip(run(filled, blurry), (x1, x2, run(filled.n3, x2) + blurry), strict=True):
        torch.testing.assert_close(made, wanted, rtol=0, atol=1e-6)
    assert (x2 - reduced(blurry, 2)).abs().max() > 1e-3


def test_a_batch_is_its_pictures(filled):
    pictures = torch.cat([tensor(16, 24, phase) for phase in (0.0, 1.0, 2.0, 3.0)])
    alone = torch.cat([run(filled, image[None])[-1] for image in pictures])
    torch.testing.assert_close(run(filled, pictures)[-1], alone, rtol=0, atol=1e-5)


def batch():
    torch.manual_seed(1)
    sharp = torch.rand(2, 3, 3, 16, 16)
    return {"blurry": sharp.mean(dim=1), "sharp": sharp}


def test_loss_is_the_sum_of_squares_at_three_scales():
    """Against numpy, of a network that gives the blurry picture back: the coarsest scale weighs 1/16 as much as its mean."""
    network = DeblurNet(SMALL).eval()
    for part in (network.n1, network.n2, network.n3):
        nn.init.zeros_(part[-1].weight)
    given = batch()
    terms = loss({"network": network}, given, {})
    error = (given["blurry"] - given["sharp"][:, 1]).numpy()
    for name, factor in (("quarter", 4), ("half", 2), ("whole", 1)):
        blocks = error.reshape(2, 3, 16 // factor, factor, 16 // factor, factor).mean(axis=(3, 5))
        assert terms[name].item() == pytest.approx((blocks**2).sum() / error.size, rel=1e-5)


def test_gradients_reach_all_but_biases_that_normalisation_takes_away():
    torch.manual_seed(0)
    network = DeblurNet(SMALL)
    sum(loss({"network": network}, batch(), {}).values()).backward()
    idle = {name for name, parameter in network.named_parameters() if not parameter.grad.abs().max() > 1e-8}
    last = {f"{name}.{len(part) - 1}.bias" for name, part in network.named_children()}
    assert idle <= {name for name in dict(network.named_parameters()) if name.endswith("bias")} - last
    assert not {name for name in idle if name.endswith("weight")}


def test_a_few_steps_lower_the_loss():
    torch.manual_seed(0)
    network, given = DeblurNet(1 / 8), batch()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    losses = []
    for _ in range(25):
        total = sum(loss({"network": network}, given, {}).values())
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        losses.append(total.item())
    assert losses[-1] < 0.5 * losses[0]


def test_the_recipe_has_the_printed_numbers():
    found = recipe.find(Noroozi2017.training)
    (stage,) = found.stages.values()
    assert (stage.batch, stage.learning_rate, stage.betas, stage.factor) == (10, 1e-3, [0.9, 0.999], 0.75)
    assert stage.schedule == "steps" and stage.every * stage.steps == 10_000
    assert count(Noroozi2017.training.network(**recipe.find(Noroozi2017.training, "small").network)) < 2_500_000, (
        "half precision of it is below 5 MB"
    )


@pytest.mark.parametrize("width", [SMALL, 0.25])
def test_prediction_by_name_with_weights_of_any_width(filled, tmp_path, width):
    """Any size is padded and cropped back; the file tells the width."""
    torch.manual_seed(2)
    network = filled if width == SMALL else DeblurNet(width).eval()
    path = file_of(network, tmp_path)
    blurry = picture(13, 18)
    expected = run(network, padded(blurry, 4))[-1].clamp(0, 1)[0, :, :13, :18].permute(1, 2, 0).numpy()
    for name in ("noroozi2017", "noroozi2017-si"):
        method = load_method(name, path)
        answer = predict(method, make_sample(blurry)).frames
        assert answer.shape == (1, 1, 13, 18, 3)
        np.testing.assert_allclose(answer[0, 0], expected, rtol=0, atol=1e-5)
        assert (method.card.id, method.weights.origin) == (name, "given")
        assert method.network.n1[0].out_channels == 96 * width
        assert all(torch.equal(value, network.state_dict()[key]) for key, value in method.state().items())


def test_names():
    assert METHODS.get("noroozi2017") is Noroozi2017
    assert METHODS.get("noroozi2017-si") is Noroozi2017SI


def test_half_precision_files(filled, tmp_path):
    """Statistics and weights come as they are stored, and the counter of batches stays a whole number."""
    path = tmp_path / "half.safetensors"
    save_file({key: value.half().contiguous() for key, value in filled.state_dict().items()}, path)
    network = load_method("noroozi2017", path).network
    assert network.n1[1].num_batches_tracked.item() == 20
    torch.testing.assert_close(run(network, tensor(16, 24))[-1], run(filled, tensor(16, 24))[-1], rtol=0, atol=0.02)


def test_no_weights_say_how_to_make_them():
    for name in ("noroozi2017", "noroozi2017-si"):
        assert without_weights(name, "FILE") == f"train it (`blurbench train --method {name} --dataset DATA`)"


def test_weights_of_something_else(filled, tmp_path):
    path = tmp_path / "w.safetensors"
    state = {key: value.contiguous() for key, value in filled.state_dict().items()}
    save_file({key: value for key, value in state.items() if key != "n3.0.weight"}, path)
    assert refused("noroozi2017", path) == f"{path} is not a checkpoint of DeblurNet: key 'n3.0.weight' is missing (1 of {len(state)} are)"
    save_file({"other": torch.zeros(1)}, path)
    assert refused("noroozi2017", path).startswith(f"{path} is not a checkpoint of DeblurNet: key 'n1.0.bias' is missing")
    save_file(state | {"n1.0.weight": torch.zeros(4, 3, 11, 11)}, path)
    assert refused("noroozi2017", path).startswith(f"{path} is not a checkpoint of DeblurNet: 'n1.0.weight' has shape (4, 3, 11, 11)")


@pytest.mark.parametrize("width", [0, -0.5, 0.3])
def test_widths_that_there_are_not(width):
    with pytest.raises(RecipeError, match=rf"^width is {width}, which makes .* expected a whole number above 0, as of 0.25$"):
        DeblurNet(width)
