"""The reading of crops for training, and budgets."""

import numpy as np
import pytest
import torch

from blurbench.errors import DataSetError, RecipeError
from blurbench.store.augment import Augmentation
from blurbench.store.dataset import BlurDataset
from blurbench.store.reader import open_dataset
from blurbench.train.budget import Budget


def test_crops_are_crops_of_the_data(made):
    data = open_dataset(made / "data/genblur")
    crops = BlurDataset(data, "train", crop=48, seed=3)
    pictures = [sample.blurry for sample in data.samples("train")]
    for draw in range(4):
        crop = crops[draw]["blurry"].permute(1, 2, 0).mul(255).round().numpy().astype(np.uint8)
        found = [
            np.array_equal(picture[y : y + 48, x : x + 48], version)
            for picture in pictures
            for version in (crop, crop[:, ::-1])
            for y, x in np.argwhere((picture[:-47, :-47] == version[0, 0]).all(axis=2))
        ]
        assert any(found)


def test_draws_are_reproducible_and_visit_everything(made):
    augmentation = Augmentation(flip=0.5, contrast=0.2, soften=2)
    one, two = (BlurDataset(made / "data/genblur", "train", 48, seed=1, augmentation=augmentation) for _ in range(2))
    assert len(one) == 8
    for draw in (5, 0, 13):
        assert torch.equal(one[draw]["sharp"], two[draw]["sharp"])
    assert not torch.equal(one[0]["sharp"], one[8]["sharp"])
    loader = torch.utils.data.DataLoader(one, batch_size=2, num_workers=2, sampler=range(6))
    assert torch.equal(torch.cat([batch["blurry"] for batch in loader]), torch.stack([one[draw]["blurry"] for draw in range(6)]))


def test_a_crop_larger_than_the_pictures(made):
    with pytest.raises(DataSetError, match="crop is 100, but the pictures"):
        BlurDataset(made / "data/genblur", "train", 100)


@pytest.mark.parametrize(("text", "expected"), [("40", (40, None)), ("1.5m", (None, 90)), ("2h", (None, 7200))])
def test_budget(text, expected):
    budget = Budget.parse(text)
    assert (budget.steps, budget.seconds) == expected


@pytest.mark.parametrize("text", ["", "0", "1.5", "m", "-3m", "soon", "infm", "nan"])
def test_wrong_budget(text):
    with pytest.raises(RecipeError, match="--budget"):
        Budget.parse(text)
    with pytest.raises(RecipeError, match="train: budget is 3, expected text: '4000' steps, '25m' minutes or '2h' hours"):
        Budget.parse(3)
