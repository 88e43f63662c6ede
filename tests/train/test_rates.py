"""Learning rates at known shares, and which parameters an optimiser has."""

import pytest
import torch
from torch import nn

from blurbench.errors import RecipeError
from blurbench.train.budget import Budget
from blurbench.train.rates import Plateau, named, optimiser, rate
from blurbench.train.recipe import Schedule


def schedule(**keys):
    return Schedule(**{"name": "s", "steps": 100, "batch": 1, "crop": 8, "learning_rate": 1.0, **keys})


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, {0: 1, 0.7: 1}),
        ({"schedule": "linear", "hold": 0.5}, {0.5: 1, 0.75: 0.5, 1: 0}),
        ({"schedule": "linear", "final_learning_rate": 0.2}, {0: 1, 0.5: 0.6, 1: 0.2}),
        ({"schedule": "cosine", "final_learning_rate": 0.5}, {0: 1, 0.5: 0.75, 1: 0.5}),
        ({"schedule": "power", "power": 0.5}, {0: 1, 0.75: 0.5, 1: 0}),
        ({"schedule": "steps", "factor": 0.5, "milestones": [0.5, 0.9]}, {0.49: 1, 0.5: 0.5, 0.95: 0.25}),
        ({"schedule": "steps", "factor": 0.1, "every": 0.1}, {0: 1, 0.1: 0.1, 0.3: 1e-3}),
    ],
)
def test_rate(keys, expected):
    for share, value in expected.items():
        assert rate(schedule(**keys), share, 1.0) == pytest.approx(value)
        assert rate(schedule(**keys), share, 0.1) == pytest.approx(value / 10)


def test_plateau():
    plateau, seen = Plateau(2), []
    for better in (True, False, False, False, True, False, False, False):
        plateau.see(better)
        seen.append(plateau.lowered)
    assert seen == [0, 0, 0, 1, 1, 1, 1, 2]
    assert rate(schedule(schedule="plateau", patience=2, factor=0.2), 0.9, 1.0, plateau.lowered) == pytest.approx(0.04)


def test_budgets_are_shared_in_proportion():
    stages = [schedule(steps=300), schedule(steps=100)]
    assert [each.steps for each in Budget.parse("40").share(stages)] == [30, 10]
    assert [each.steps for each in Budget.parse(None).share(stages)] == [300, 100]
    assert [each.seconds for each in Budget.parse("4m").share(stages)] == [180, 60]
    assert [each.steps for each in Budget.parse("1").share(stages)] == [1, 1]


def test_parameters_by_the_beginning_of_their_names():
    networks = nn.ModuleDict({"network": nn.ModuleDict({"a": nn.Linear(2, 2), "ab": nn.Linear(2, 2)})})
    assert list(named(networks, ["network.a"])) == ["network.a.weight", "network.a.bias"]
    with pytest.raises(RecipeError, match=r"no parameter is named network\.c"):
        named(networks, ["network.c"])
    numbers = {"betas": [0.5, 0.9], "weight_decay": 0.25}
    made = optimiser(schedule(rates={"network.ab": 0.5}, optimiser="adamw", **numbers), named(networks, ["network"]))
    assert all(group["betas"] == (0.5, 0.9) and group["weight_decay"] == 0.25 for group in made.param_groups)
    assert isinstance(made, torch.optim.AdamW) and [(group["lr"], len(group["params"])) for group in made.param_groups] == [
        (1.0, 2),
        (0.5, 2),
    ]


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"batch": 0}, "batch is 0"),
        ({"schedule": "stairs"}, "'stairs', expected one of"),
        ({"schedule": "steps"}, "milestones"),
        ({"schedule": "steps", "milestones": [0.5]}, "factor is 1.0, expected more than 0 and below 1"),
        ({"schedule": "plateau", "patience": 1, "factor": -0.5}, "factor is -0.5"),
        ({"schedule": "steps", "every": -0.1, "factor": 0.5}, "every is -0.1"),
        ({"power": 0}, "power is 0, expected more than 0"),
        ({"weight_decay": -1}, "weight_decay is -1, expected at least 0"),
        ({"final_learning_rate": -1}, "final_learning_rate is -1"),
        ({"clip": -1}, "clip is -1"),
        ({"rates": {"network": -1}}, "rates is"),
        ({"score": "psnr"}, "protocol"),
    ],
)
def test_wrong_schedules(keys, told):
    with pytest.raises(RecipeError, match=told):
        schedule(**keys)
