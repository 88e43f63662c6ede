"""Shipped recipes with small crops and batches, so that a test can run them."""

import re
from dataclasses import replace

from blurbench.train import recipe, validate
from blurbench.train.trainer import train


def shrunk(cls, folder, monkeypatch, by_loss=True, **numbers):
    """Give a method class its recipe with other numbers (`crop=32, batch=2`, in every stage), validated by the loss of few crops, or as
    the recipe says on one sample.
    """
    text = recipe.find(cls.training).path.read_text()
    if by_loss:
        text = re.sub(r"^(protocol|score) = .*\n", "", text, flags=re.MULTILINE)
    for key, value in {"validations": 1, **numbers}.items():
        text = re.sub(rf"^{key} = .*\n", "", text, flags=re.MULTILINE)
        text = re.sub(r"^(name = .*\n)", rf"\1{key} = {value!r}\n", text, flags=re.MULTILINE)
    path = folder / "shrunk.toml"
    path.write_text(text)
    monkeypatch.setattr(validate, "CROPS", 4)
    monkeypatch.setattr(validate, "SAMPLES", 1)
    monkeypatch.setattr(cls, "training", replace(cls.training, recipe=path))


def trained(name, data, out, **options):
    """The weights file of a training run in this process, in float32."""
    return train(name, data, out, **{"workers": 0, "half": False, "budget": "1", **options}).weights
