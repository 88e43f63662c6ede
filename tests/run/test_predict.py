"""A method on plain photographs: what is refused, and before anything is written."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from blurbench.cli import blurbench
from blurbench.errors import BlurbenchError, PredictionError, SourceError
from blurbench.run.predict import predict_images
from blurbench.video.images import read_rgb, write_rgb
from tests.baselines.inputs import picture

MINE = """
import numpy as np
from blurbench.methods import Capabilities, Method, MethodCard

class Seven(Method):
    card = MethodCard(id="seven", title="t", paper="p", licence="l")
    capabilities = Capabilities(frames=7)
    def predict(self, blurry, request):
        return np.repeat(blurry[None, None], 7, axis=1)

class Any(Seven):
    card, capabilities = MethodCard(id="any", title="t", paper="p", licence="l"), Capabilities()
    def predict(self, blurry, request):
        return np.repeat(blurry[None, None], len(request.times), axis=1)

class Drawn(Seven):
    card, capabilities = MethodCard(id="drawn", title="t", paper="p", licence="l"), Capabilities(stochastic=True)
    def predict(self, blurry, request):
        levels = request.rng.random((request.samples, 1, 1, 1, 1), np.float32)
        return np.broadcast_to(levels, (request.samples, len(request.times), *blurry.shape))

class Codes(Seven):
    card = MethodCard(id="codes", title="t", paper="p", licence="l")
    def predict(self, blurry, request):
        return np.full((1, 7, *blurry.shape), 200, np.float32)
"""


@pytest.fixture
def images(tmp_path, monkeypatch):
    """Two photographs, in the working folder with toy methods."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BLURBENCH_CACHE", str(tmp_path / "cache"))
    Path("mine.py").write_text(MINE)
    for number, name in enumerate("ab"):
        write_rgb(Path(f"{name}.png"), picture(16, 24, phase=number))
    return [Path("a.png"), Path("b.png")]


def test_as_many_frames_as_asked_where_the_method_lets_one_choose(images):
    for asked, count in ((None, 7), (3, 3)):
        written = predict_images("mine.py:Any", images, Path(f"out{count}"), frames=asked)
        assert written == [Path(f"out{count}/{name}/{number:03d}.png") for name in "ab" for number in range(count)]
    np.testing.assert_array_equal(read_rgb(Path("out3/b/002.png")), picture(16, 24, phase=1))


def test_several_samples_of_a_stochastic_method(images):
    """Each has a folder of its own, or a file; the first is what one sample gives, and a seed gives them again."""
    one, drawn, again = (predict_images("mine.py:Drawn", images, Path(f"out{k}"), frames=2, samples=n) for k, n in enumerate((1, 3, 3)))
    assert drawn == [Path(f"out1/{name}-{k}/{frame:03d}.png") for name in "ab" for k in (1, 2, 3) for frame in (0, 1)]
    levels = [np.unique(read_rgb(path)).tolist() for path in drawn]
    assert levels[:2] + levels[6:8] == [np.unique(read_rgb(path)).tolist() for path in one]
    assert levels[::2] == levels[1::2] and len({tuple(level) for level in levels}) == 6
    assert [path.read_bytes() for path in drawn] == [path.read_bytes() for path in again]
    single = predict_images("mine.py:Drawn", images[:1], Path("single"), frames=1, samples=2)
    assert single == [Path("single/a-1.png"), Path("single/a-2.png")] and all(path.is_file() for path in single)


def test_several_samples_of_a_deterministic_method(images):
    with pytest.raises(PredictionError, match=r"^--samples is 2, but seven is deterministic; leave it out$"):
        predict_images("mine.py:Seven", images, Path("out"), samples=2)
    assert not Path("out").exists()


def test_another_number_of_frames_than_the_methods_own(images):
    assert len(predict_images("mine.py:Seven", images, Path("out"), frames=7)) == 14
    with pytest.raises(BlurbenchError, match=r"^seven always gives 7 frames, but --frames 3 was given; leave it out$"):
        predict_images("mine.py:Seven", images, Path("none"), frames=3)
    with pytest.raises(
        BlurbenchError, match=r"^zhang2020 always .* --frames 42 was given; leave it out, or take --method zhang2020-iterated$"
    ):
        predict_images("zhang2020", images, Path("none"), frames=42)
    assert len(predict_images("zhang2020-iterated", images[:1], Path("many"), frames=42)) == 42
    assert not Path("none").exists()


@pytest.mark.parametrize("broken", ["grey", "cut", "missing"])
def test_all_images_are_looked_at_before_the_first_is_predicted(images, broken):
    last = Path("last.png")
    if broken == "grey":
        cv2.imwrite(str(last), np.zeros((16, 24), np.uint8))
    elif broken == "cut":
        last.write_bytes(images[0].read_bytes()[:99])
    with pytest.raises(SourceError, match=r"^last\.png "):
        predict_images("mine.py:Seven", [*images, last], Path("out"))
    assert not Path("out").exists()


def test_what_photographs_do_not_have(images, tmp_path):
    with pytest.raises(SourceError, match=r"^oracle needs sharp frames, which plain images do not have; give --dataset instead$"):
        predict_images("oracle", images, Path("out"))
    text = MINE.replace("Capabilities(frames=7)", 'Capabilities(frames=7, needs=frozenset({"guidance"}))')
    (tmp_path / "mine.py").write_text(text)
    mend = r"draw it and run `blurbench animate IMAGE --method seven --guidance FILE\.json`"
    with pytest.raises(SourceError, match=rf"^seven needs motion guidance, which plain images do not have; {mend}$"):
        predict_images("mine.py:Seven", images, Path("out"))


def test_values_on_another_scale_name_method_and_image(images):
    with pytest.raises(PredictionError, match=r"^codes on a\.png: the prediction has values from 200 to 200, .*; divide by 255\?$"):
        predict_images("mine.py:Codes", images, Path("out"))


def test_the_command_tells_of_shipped_weights(images):
    for arguments in (["predict", "a.png"], ["animate", "a.png"]):
        done = CliRunner().invoke(blurbench, [*arguments, "--method", "nah2017"], catch_exceptions=False, standalone_mode=False)
        assert done.stderr.count("nah2017 runs with the shipped weights of a small network, which say nothing of the authors' results") == 1


def test_pictures_of_two_methods_do_not_meet(images):
    """Each method has its own folder; its own earlier pictures are replaced, and that is told."""
    for name in ("seven", "any"):
        done = CliRunner().invoke(blurbench, ["predict", "a.png", "b.png", "--method", f"mine.py:{name.title()}"], catch_exceptions=False)
        assert done.exit_code == 0 and "replaced" not in done.stderr
        assert len(list(Path("predictions", name).rglob("*.png"))) == 14
    told = []
    predict_images("mine.py:Any", images, Path("predictions/any"), frames=8, note=told.append)
    predict_images("mine.py:Any", images[:1], Path("predictions/any"), frames=1, note=told.append)
    predict_images("mine.py:Any", images[:1], Path("predictions/any"), frames=1, note=told.append)
    assert told == ["14 earlier pictures in predictions/any are replaced", "1 earlier picture in predictions/any is replaced"]


def test_two_images_of_one_name(images):
    Path("other").mkdir()
    write_rgb(Path("other/a.png"), picture(16, 24))
    mend = "predict them apart, each with an --out of its own"
    with pytest.raises(SourceError, match=rf"^a\.png and other/a\.png would both be written as a; {mend}$"):
        predict_images("mine.py:Seven", [*images, Path("other")], Path("out"))


def test_folders_without_images(tmp_path):
    (tmp_path / "out/inner").mkdir(parents=True)
    told = r"holds no image, expected files with one of the suffixes \.png, .*"
    with pytest.raises(SourceError, match=rf"out {told}; folders in it are not read, give them$"):
        predict_images("copy-blur", [tmp_path / "out"], Path("none"))
    with pytest.raises(SourceError, match=rf"inner {told}\.tiff$"):
        predict_images("copy-blur", [tmp_path / "out/inner"], Path("none"))


def test_a_photograph_is_not_written_over(tmp_path):
    write_rgb(path := tmp_path / "a.png", np.full((8, 12, 3), 7, np.uint8))
    before = path.read_bytes()
    with pytest.raises(SourceError, match=r"the prediction of .*a\.png would be written over it; give another --out than "):
        predict_images("copy-blur", [path], tmp_path, frames=1)
    assert path.read_bytes() == before
    assert predict_images("copy-blur", [path], tmp_path / "out", frames=1) == [tmp_path / "out/a.png"]
