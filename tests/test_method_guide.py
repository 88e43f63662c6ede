"""The examples of docs/method.md and README.md, run as they stand there, and what is kept of the weights of such a method."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from blurbench import weights
from blurbench.convert import convert
from blurbench.errors import PredictionError, WeightsError
from blurbench.methods import load_method
from blurbench.run.evaluate import evaluate
from blurbench.run.predict import photograph
from blurbench.run.predictions import Predictions
from blurbench.run.runner import predict_dataset
from blurbench.running import predict
from blurbench.video.images import write_rgb
from tests.baselines.inputs import picture

ROOT = Path(__file__).parents[1]
MINE = "my_network.py:MyNetwork"


def example(document: str) -> Path:
    """The Python of a document that begins with the name of its file, written under that name into the working folder."""
    ((name, text),) = re.findall(r"```python\n# (\S+\.py)\n(.*?)```", (ROOT / document).read_text(encoding="utf-8"), re.DOTALL)
    Path(name).write_text(text, encoding="utf-8")
    return Path(name)


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """The working folder, with the method of the guide and an empty cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BLURBENCH_CACHE", str(tmp_path / "cache"))
    return example("docs/method.md")


def checkpoint(name, share):
    """A file as training leaves it: frame t of the network's answer is `share` of the picture plus t / 100."""
    kernel = torch.zeros(21, 3, 3, 3)
    kernel[range(21), [channel % 3 for channel in range(21)], 1, 1] = share
    bias = torch.arange(7).repeat_interleave(3) / 100
    torch.save({"epoch": 3, "state_dict": {"layer.weight": kernel, "layer.bias": bias}}, name)
    return Path(name)


def answer(method):
    write_rgb(Path("a.png"), picture(16, 24))
    return predict(method, photograph(Path("a.png"), 7)).frames


def test_the_example_without_weights():
    example("README.md")
    np.testing.assert_allclose(answer(load_method("my_method.py:MyMethod"))[0, 6], picture(16, 24) / 255, atol=1e-6)


def test_the_example_with_weights():
    frames = answer(load_method(MINE, checkpoint("mine.pth", 0.5)))
    assert frames.shape == (1, 7, 16, 24, 3)
    for number, frame in enumerate(frames[0]):
        np.testing.assert_allclose(frame, picture(16, 24) / 255 / 2 + number / 100, atol=1e-6)


def test_its_weights_are_converted_and_found(tmp_path):
    with pytest.raises(WeightsError) as caught:
        load_method(MINE)
    assert str(caught.value) == "mine2026 was given no weights; get mine.pth of example.org, and give --weights FILE"
    given = checkpoint("mine.pth", 0.5)
    assert convert(MINE, [given]) == weights.place("mine2026")
    assert weights.card(weights.place("mine2026"))["files"] == [weights.identity(given)]
    method = load_method(MINE)
    assert method.weights == weights.describe([weights.place("mine2026")], "found")
    np.testing.assert_array_equal(answer(method), answer(load_method(MINE, given)))


def test_it_is_known_by_the_files_that_were_given(place):
    """Whatever it does not say itself; a folder stands for all files in it, in the order of their paths."""
    one, other = checkpoint("mine.pth", 0.5), checkpoint("other.pth", 1)
    assert load_method(MINE, one).weights == weights.describe([one], "given")
    text = place.read_text(encoding="utf-8").replace("files.read(weights,", 'files.read(weights / "b/mine.pth",')
    place.write_text(text, encoding="utf-8")
    for path, target in ((one, Path("all/b/mine.pth")), (other, Path("all/a/other.pth"))):
        target.parent.mkdir(parents=True)
        path.rename(target)
    assert load_method(MINE, "all").weights == weights.describe([Path("all/a/other.pth"), Path("all/b/mine.pth")], "given")
    text = text.replace("return cls(", 'cls.weights = files.describe([weights / "b/mine.pth"])\n        return cls(')
    place.write_text(text, encoding="utf-8")
    assert load_method(MINE, "all").weights.files == ("mine.pth",), "what the method says itself goes before"


class Stop(Exception):
    pass


def after_two(done, total):
    if done == 2:
        raise Stop


def test_runs_with_other_weights_do_not_meet(made):
    """Neither a stopped one with the next, nor the records of two."""
    plus, zero = checkpoint("plus.pth", 1), checkpoint("zero.pth", 0)
    data, told = made / "data/genblur", []
    with pytest.raises(Stop):
        evaluate(MINE, data, weights=plus, out="runs", progress=after_two)
    (of_zero,) = evaluate(MINE, data, weights=zero, out="runs", note=told.append)
    assert told == [] and of_zero.values == evaluate(MINE, data, weights=zero, out="fresh")[0].values
    (of_plus,) = evaluate(MINE, data, weights=plus, out="runs", note=told.append)
    assert told[0].startswith("going on with the stopped run in ") and of_plus.values["psnr"].mean > of_zero.values["psnr"].mean + 3
    assert {path.stem for path in Path("runs").glob("*.json")} == {of_zero.name, of_plus.name}
    assert of_plus.name.startswith(f"mine2026-{weights.describe([plus]).sha256[:8]}__")


def test_predictions_with_other_weights_are_not_mixed(made):
    predict_dataset(MINE, made / "data/genblur", "p", weights=checkpoint("plus.pth", 1))
    assert Predictions(Path("p")).header.weights["files"] == ["plus.pth"]
    with pytest.raises(PredictionError, match=r"made with another weights; give another folder, or delete it$"):
        predict_dataset(MINE, made / "data/genblur", "p", weights=checkpoint("zero.pth", 0))
