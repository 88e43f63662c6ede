"""A method whose own code raises, and names that a row of a board cannot have."""

import pytest

from blurbench.errors import RecipeError
from blurbench.run.evaluate import evaluate
from blurbench.run.runner import predict_dataset
from blurbench.run.score import score
from blurbench.store.reader import open_dataset
from blurbench.synth.pipeline import make_dataset

RAISES = """
import numpy as np
from blurbench.methods import Capabilities, Method, MethodCard

class Raises(Method):
    card = MethodCard(id="raises", title="t", paper="p", licence="l")
    capabilities = Capabilities()
    calls = 0
    def predict(self, blurry, request):
        type(self).calls += 1
        1 // (type(self).calls - 2)
        return np.repeat(blurry[None, None], len(request.times), axis=1)
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "genblur"
    make_dataset("genblur", out=folder, clips={"train": 1, "test": 1}, size=(64, 96))
    return folder


def test_an_error_of_the_methods_code(data, tmp_path):
    (tmp_path / "mine.py").write_text(RAISES)
    method, ids = f"{tmp_path / 'mine.py'}:Raises", open_dataset(data).ids("test")
    with pytest.raises(ZeroDivisionError) as caught:
        evaluate(method, data, out=tmp_path / "a")
    assert caught.value.__notes__ == [f"raises raised this on sample {ids[1]}"] and not list((tmp_path / "a").glob("*.json"))
    (record,) = evaluate(method, data, out=tmp_path / "b", allow_failures=True)
    assert record.failed == {ids[1]: "raises raised ZeroDivisionError: integer division or modulo by zero"}
    assert record.samples == len(ids) - 1
    with pytest.raises(ZeroDivisionError):  # a file with holes is no use
        predict_dataset(method, data, tmp_path / "p")


@pytest.mark.parametrize(("folder", "name"), [("mine", "a/b c"), ("mine", "dmphn"), ("my pictures", None)])
def test_names_of_pictures_that_cannot_be(data, tmp_path, folder, name):
    (tmp_path / folder).mkdir()
    with pytest.raises(RecipeError, match=r"^(--name|the name of the folder .*my pictures, without --name,) is "):
        score(tmp_path / folder, data, name=name, out=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_predicting_a_data_set_tells_of_shipped_weights(data, tmp_path, monkeypatch):
    monkeypatch.setenv("BLURBENCH_CACHE", str(tmp_path / "cache"))
    told = []
    predict_dataset("nah2017", data, tmp_path / "p", note=told.append)
    assert [line.split(",")[0] for line in told] == ["nah2017 runs with the shipped weights of a small network"]
