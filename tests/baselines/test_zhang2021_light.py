"""Motion-ETR on data that were exposed in linear light: `--gamma 2.2`, which its weights remember."""

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from blurbench import weights
from blurbench.baselines import _zhang2021_offsets as motion
from blurbench.baselines import zhang2021 as etr
from blurbench.baselines.zhang2021 import Zhang2021
from blurbench.errors import UnknownNameError
from blurbench.methods import load_method
from blurbench.metrics.psnr import psnr
from tests.baselines.inputs import tensor
from tests.baselines.zhang2021_pieces import fill
from tests.train.shrunk import shrunk, trained

SETTINGS = {"structure": 0.1, "smoothness": 2e-4, "size": 5e-6}
EDGES = (torch.arange(64) // 4 % 2).float().expand(1, 3, 64, 64)
"""Black and white stripes, which light and code values add up to most differently."""


def sliding(pixels):
    """Offsets (1, 15, 2, 64, 64) of a picture that slides so many pixels to the right."""
    offsets = torch.zeros(1, 15, 2, 64, 64)
    offsets[:, :, 1] = -torch.tensor(motion.GRID)[:, None, None] * pixels / 2
    return offsets


def by_scipy(sharp, offsets, gamma, floor):
    """(1, 3, H, W) float64: frames in linear light, their mean, and what it is as code values."""
    places = np.indices(sharp.shape[-2:]) + offsets.double().numpy()[0]
    light = [np.mean([map_coordinates(plane, at, order=1, mode="grid-constant") for at in places], axis=0) for plane in sharp**gamma]
    return (np.array(light) + floor) ** (1 / gamma)


def test_exposure_by_its_definition():
    sharp, offsets = tensor(64, 64), sliding(7.0)
    expected = by_scipy(sharp[0].double().numpy(), offsets, 2.2, 0.0)
    np.testing.assert_allclose(motion.exposed(sharp, offsets, 2.2)[0], expected, atol=1e-5)
    assert torch.equal(motion.exposed(sharp, offsets, 1.0), motion.reblur(sharp, offsets))


def test_true_motion_gives_the_blur_of_linear_light_back():
    blurry = np.mean([np.roll(EDGES.numpy(), shift, -1) ** 2.2 for shift in range(-7, 8)], axis=0) ** (1 / 2.2)
    inner = np.s_[:, :, 8:-8, 8:-8]  # beyond, zeros come in
    right, released = (motion.exposed(EDGES, sliding(14.0), gamma).numpy() for gamma in (2.2, 1.0))
    assert np.abs(right - blurry)[inner].max() < 1e-4
    assert psnr(np.moveaxis(released[inner], 1, 3), np.moveaxis(blurry[inner], 1, 3))[0] < 20


def test_the_loss_by_its_definition():
    network = etr.constrained(True, gamma="2.2")
    fill(network.offset, {"conv_out_0": 20})
    batch = {"blurry": tensor(64, 64), "sharp": tensor(64, 64)[:, None]}
    terms = etr.offset_stage({"network": network}, batch, SETTINGS)
    with torch.no_grad():
        curves = motion.offsets(network.offset, batch["blurry"])
    again = by_scipy(batch["sharp"][0, 0].double().numpy(), curves, 2.2, 0.002)
    blurry = (batch["blurry"][0].double().numpy() ** 2.2 + 0.002) ** (1 / 2.2)
    assert terms["reblur"].item() == pytest.approx(np.mean((again - blurry) ** 2), rel=1e-4)


def test_black_pixels_have_a_gradient_of_their_own_size():
    """Without a floor that of stripes is not finite."""
    offsets = sliding(3.0).requires_grad_()
    for floor, finite in ((0.002, True), (0.0, False)):
        (slope,) = torch.autograd.grad(motion.exposed(EDGES * 0.5, offsets, 2.2, floor).sum(), offsets)
        assert bool(slope.isfinite().all()) is finite


def test_weights_remember_their_light(made, tmp_path, monkeypatch):
    shrunk(Zhang2021, tmp_path, monkeypatch, by_loss=False, crop=32, batch=2)
    path = tmp_path / "w.safetensors"
    trained("zhang2021", made / "data/genblur", path, budget="2", options={"gamma": "2.2"})
    assert weights.card(path)["options"] == {"gamma": "2.2"}
    assert load_method("zhang2021-reblur", path).network.gamma == 2.2
    assert load_method("zhang2021-reblur", path).label == "zhang2021-reblur"
    with pytest.raises(UnknownNameError, match=r"unknown gamma '2\.4' in training zhang2021; .*known: 1, 2\.2"):
        trained("zhang2021", made / "data/genblur", tmp_path / "v.safetensors", budget="2", options={"gamma": "2.4"})
    with pytest.raises(UnknownNameError, match=r"unknown option 'gamma' in zhang2021; known: constraint"):
        load_method("zhang2021", path, options={"gamma": "1"})
