"""A sample whose id two splits have: of which split it is shown."""

import cv2
import numpy as np
import pytest

from blurbench.errors import BlurbenchError, DataSetError, PredictionError
from blurbench.report.figures import sample_sheet
from blurbench.report.site_files import SiteFiles
from blurbench.report.site_samples import SamplePages
from blurbench.report.view import _clip, view
from blurbench.run.animate import animate
from blurbench.run.predictions import Predictions
from blurbench.run.runner import predict_dataset
from blurbench.store.reader import open_dataset
from blurbench.video.images import read_rgb
from tests.store import twins

ID = "000/00001"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Data, and predictions of each split."""
    folder = tmp_path_factory.mktemp("twins")
    twins.make(folder / "data", {"train": 2, "test": 2})
    for split in ("train", "test"):
        predict_dataset("copy-blur", folder / "data", folder / split, split=split)
    return folder


@pytest.mark.parametrize("split", ["train", "test"])
def test_view_shows_the_split_of_the_predictions_or_that_is_named(folder, tmp_path, split):
    seen = open_dataset(folder / "data").sample(ID, split=split)
    sheet, _ = view(folder / "data", ID, out=tmp_path, split=split)
    assert np.array_equal(read_rgb(sheet), sample_sheet(seen, {}, {}))
    name, frames, note = _clip(Predictions(folder / split), seen)
    sheet, _ = view(folder / "data", ID, [folder / split], tmp_path)
    assert np.array_equal(read_rgb(sheet), sample_sheet(seen, {name: frames}, {name: note}))


def test_view_says_what_is_ambiguous(folder, tmp_path):
    with pytest.raises(DataSetError, match="is in the splits test and train of"):
        view(folder / "data", ID, out=tmp_path)
    with pytest.raises(PredictionError, match="train holds predictions of twins, split train; asked for twins, split test"):
        view(folder / "data", ID, [folder / "train"], tmp_path, split="test")


def test_animate_takes_the_split(folder, tmp_path):
    with pytest.raises(BlurbenchError, match="is in the splits test and train of"):
        animate("copy-blur", out=tmp_path, dataset=folder / "data", sample=ID)
    for split, level in twins.LEVELS.items():
        made = animate("copy-blur", out=tmp_path, dataset=folder / "data", sample=ID, split=split)
        assert np.allclose(made.prediction.frames, (level + 1) / 255, atol=1e-6)


def test_the_site_shows_each_split_that_has_predictions(folder, tmp_path):
    data = open_dataset(folder / "data")
    for splits in (["test"], ["train"], ["test", "train"]):
        pages = SamplePages(data, [folder / split for split in splits], [], tmp_path, SiteFiles(tmp_path / "site"), print)
        found = pages.build([ID])
        assert [page.split for page in found] == splits
        for page in found:
            picture = cv2.imread(str(tmp_path / "site" / page.blurry))
            assert abs(int(picture[0, 0, 0]) - twins.LEVELS[page.split] - 1) <= 3
