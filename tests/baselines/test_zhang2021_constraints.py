"""The constraints on trajectories of Motion-ETR: their losses, their training, and weights that remember which they are of."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.ndimage import map_coordinates

from blurbench import weights
from blurbench.baselines import zhang2021 as etr
from blurbench.baselines.zhang2021 import MotionETR, OffsetNetwork, Zhang2021
from blurbench.errors import BlurbenchError, RecipeError, UnknownNameError, WeightsError
from blurbench.methods import load_method
from blurbench.running import predict
from tests.baselines.inputs import picture, tensor
from tests.baselines.official import refused
from tests.baselines.zhang2021_pieces import fill, make_sample, slices
from tests.train.shrunk import shrunk, trained

CONSTRAINTS = ("quadratic", "bi-linear", "linear", "zero")
SETTINGS = {"structure": 0.1, "smoothness": 5e-4, "size": 2e-5}


def run(method):
    return predict(method, make_sample(picture(16, 24), slices(3))).frames


def lines(size=32):
    """A batch of a texture, and its mean over shifts of -3 to 3 columns."""
    texture = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    texture = torch.nn.functional.avg_pool2d(texture, 5, stride=1, padding=2)
    return {"blurry": sum(texture.roll(shift, dims=-1) for shift in range(-3, 4)) / 7, "sharp": texture[:, None]}


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_the_loss_of_a_constraint_by_its_equation(constraint):
    """Offsets by Equations 12 to 14, warped by SciPy, averaged; the error, and the regularisers of Equations 9 and 10, in NumPy."""
    network, batch = etr.constrained(True, constraint), lines(16)
    fill(network.offset, {"conv_out_0": 20})
    terms = etr.offset_stage({"network": network}, batch, SETTINGS)
    with torch.no_grad():
        points = network.offset(batch["blurry"]).double().numpy()
    t = np.linspace(-1, 1, 15)[:, None, None, None]
    curve_of = {
        "quadratic": lambda p: (t * t - t) / 2 * p[0] + (t * t + t) / 2 * p[-1],
        "bi-linear": lambda p: np.where(t < 0, -t * p[0], t * p[-1]),
        "linear": lambda p: -t * p[0],
        "zero": lambda p: p,
    }[constraint]
    paths = np.stack([curve_of(each) for each in points])
    sharp, blurry = (batch[name].double().numpy() for name in ("sharp", "blurry"))
    again = np.zeros_like(blurry)
    for made_picture, planes, moved in zip(again, sharp[:, 0], np.indices((16, 16)) + paths, strict=True):
        for made, plane in zip(made_picture, planes, strict=True):
            made += np.mean([map_coordinates(plane, places, order=1, mode="grid-constant") for places in moved], axis=0)
    assert terms["reblur"].item() == pytest.approx(np.mean((again - blurry) ** 2), rel=1e-4)
    variation = np.abs(np.diff(paths, axis=-1)).mean() + np.abs(np.diff(paths, axis=-2)).mean()
    assert terms["smoothness"].item() == pytest.approx(5e-4 * variation, rel=1e-4)
    assert terms["size"].item() == pytest.approx(2e-5 * (paths**2).mean(), rel=1e-4)


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_a_few_steps_lower_the_loss_of_a_constraint(constraint):
    torch.manual_seed(0)
    network, batch = etr.constrained(True, constraint), lines()
    (player,) = Zhang2021.training.stages["offset"].players
    optimiser = torch.optim.Adam(network.offset.parameters(), lr=1e-3)
    course = []
    for _ in range(20):
        terms = player.loss({"network": network}, batch, SETTINGS)
        optimiser.zero_grad()
        sum(terms.values()).backward()
        optimiser.step()
        course.append(sum(terms.values()).item())
    assert course[-1] < 0.9 * course[0], course[::4]


def test_both_offset_networks_have_the_constraint():
    for constraint, points in zip(CONSTRAINTS, (2, 2, 1, 15), strict=True):
        network = etr.constrained(False, constraint)
        for each in (network.offset, network.deblur.offset_net):
            assert each.constraint == constraint and each(tensor(16, 16)).shape == (1, points, 2, 16, 16)
            shapes = [{key: value.shape for key, value in other.state_dict().items()} for other in (each, OffsetNetwork(constraint))]
            assert shapes[0] == shapes[1]
        etr.begin_deblurring({"network": network})
        inside = network.deblur.offset_net.state_dict()
        assert all(torch.equal(value, inside[key]) for key, value in network.offset.state_dict().items())


@pytest.mark.parametrize("constraint", ["linear", "bi-linear"])
def test_trained_weights_of_a_constraint(made, tmp_path, monkeypatch, constraint):
    """Both stages; the file is refused as one of another constraint, which bi-linear weights would fit."""
    shrunk(Zhang2021, tmp_path, monkeypatch, by_loss=False, crop=32, batch=2)
    path, chosen = tmp_path / "w.safetensors", {"constraint": constraint}
    trained("zhang2021", made / "data/genblur", path, budget="2", options=chosen)
    assert weights.read(path)["deblur.deblur_net.decoder_lv1.ratio_3"] == torch.tensor(0.08), "a constant"
    card = weights.card(path)
    assert card["validated_by"] == "blurbench-1 psnr-centre"
    assert card["options"] == chosen and f"--option constraint={constraint}" in card["command"]
    method = load_method("zhang2021", path, options=chosen)
    assert method.label == f"zhang2021+constraint-{constraint}" and method.network.offset.constraint == constraint
    torch.manual_seed(0)
    assert np.abs(run(method) - run(Zhang2021(Zhang2021.training.network(constraint=constraint)))).max() > 1e-5
    made_with = f"{path} was made with constraint={constraint}, but"
    assert refused("zhang2021", path) == f"{made_with} that was not chosen; give --constraint {constraint}, or other weights"
    with pytest.raises(
        WeightsError, match=f"holds {constraint} trajectories, expected quadratic ones; give --option constraint={constraint}"
    ):
        Zhang2021.load(path)
    with pytest.raises(WeightsError, match=f"{made_with} constraint=zero was chosen; give --constraint {constraint}, or"):
        load_method("zhang2021-reblur", path, options={"constraint": "zero"})
    with pytest.raises(RecipeError, match=f"options.constraint = '{constraint}', now it is 'zero'"):
        trained("zhang2021", made / "data/genblur", path, budget="2", options={"constraint": "zero"}, resume=True)


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("zhang2021", {"constraint": "cubic"}, "unknown constraint 'cubic' in training zhang2021"),
        ("zhang2021", {"constrain": "zero"}, "unknown option 'constrain' in training zhang2021; did you mean 'constraint'"),
        ("dmphn", {"constraint": "zero"}, "training zhang2019 takes no options, but --option constraint=zero was given; leave it out"),
    ],
)
def test_options_that_do_not_fit_the_training(made, tmp_path, name, options, told):
    with pytest.raises(BlurbenchError, match=f"^{told}"):
        trained(name, made / "data/genblur", tmp_path / "w.safetensors", options=options)
    assert not list(tmp_path.iterdir())


def test_unknown_constraint_of_the_method(tmp_path):
    save_file({key: value.contiguous() for key, value in etr.once(MotionETR()).items()}, tmp_path / "w.safetensors")
    with pytest.raises(UnknownNameError, match="unknown constraint 'bilinear' in zhang2021; did you mean 'bi-linear'"):
        load_method("zhang2021", tmp_path / "w.safetensors", options={"constraint": "bilinear"})
