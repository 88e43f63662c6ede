"""Losses against hand computations and the metrics, which are other code."""

import numpy as np
import pytest
import torch

from blurbench.metrics import get, on_device
from blurbench.train import losses


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (7, 12, 16, 3), dtype=np.uint8) for _ in range(2)]


def tensor(pictures):
    return torch.from_numpy(pictures.transpose(0, 3, 1, 2)[None] / 255.0)


def test_pair_loss_is_the_metric_on_its_own_scale(pair):
    p, g = pair
    assert float(losses.pair_loss(tensor(p), tensor(g))) * 255 == pytest.approx(float(get("ordering")(p, g)[0]), rel=1e-9)
    assert float(losses.pair_loss(tensor(g).flip(1), tensor(g))) == 0


def test_centre_loss_sees_the_middle_alone(pair):
    p, g = map(tensor, pair)
    assert float(losses.centre_loss(p, g)) == pytest.approx(float((p[0, 3] - g[0, 3]).abs().mean()))
    p[:, 3] = g[:, 3]
    assert float(losses.centre_loss(p, g)) == 0


def test_over_scales_by_hand():
    made, wanted = [torch.zeros(1, 1, 2, 2), torch.full((1, 1, 1, 1), 3.0)], [torch.full((1, 1, 2, 2), 2.0), torch.zeros(1, 1, 1, 1)]
    assert float(losses.over_scales(made, wanted)) == 4 + 9


def test_charbonnier_by_hand():
    assert float(losses.charbonnier(torch.tensor([0.0, 3.0]), torch.zeros(2), 4.0)) == (4 + 5) / 2


def test_total_variation_by_hand():
    field = torch.tensor([[0.0, 1.0, 3.0], [0.0, -1.0, 3.0]])
    assert float(losses.total_variation(field)) == pytest.approx((1 + 2 + 1 + 4) / 4 + (0 + 2 + 0) / 3)


def test_ms_ssim_is_the_metric():
    rng = np.random.default_rng(1)
    target = np.kron(rng.random((1, 23, 24, 3)), np.ones((1, 8, 8, 1)))[:, :176].astype(np.float32)
    made = np.clip(target + 0.1 * rng.standard_normal(target.shape), 0, 1).astype(np.float32)
    mine = losses.ms_ssim(*(torch.from_numpy(x.transpose(0, 3, 1, 2)) for x in (made, target)))
    assert float(mine) == pytest.approx(float(get("ms-ssim")(made, target)[0]), abs=1e-4)


def test_ms_ssim_of_small_pictures_and_its_gradient():
    target = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    made = (0.5 * target).requires_grad_()
    assert float(losses.ms_ssim(target, target)) == pytest.approx(1)
    losses.ms_ssim(made, target).backward()
    assert torch.isfinite(made.grad).all() and made.grad.abs().max() > 0


def test_ms_ssim_first_seen_in_a_validation_gives_gradients_later():
    on_device._window.cache_clear()
    target = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        seen = float(losses.ms_ssim(0.5 * target, target))
    made = (0.5 * target).requires_grad_()
    value = losses.ms_ssim(made, target)
    value.backward()
    assert value.item() == pytest.approx(seen) and made.grad.abs().max() > 0


def test_ms_ssim_is_exact_where_networks_run_in_bfloat16():
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(1, 3, 64, 64, generator=generator)
    made = target + 0.05 * torch.randn(target.shape, generator=generator)
    with torch.autocast("cpu", torch.bfloat16):
        value = losses.ms_ssim(made, target)
    assert float(value) == pytest.approx(float(losses.ms_ssim(made, target)), abs=1e-6)
