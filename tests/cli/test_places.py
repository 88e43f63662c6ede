"""Where something else stands than a command needs: told in one line, before the work."""

import pytest
from click.testing import CliRunner

from blurbench.cli import blurbench
from blurbench.errors import BlurbenchError
from blurbench.video.images import write_rgb
from tests.baselines.inputs import picture


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder, with a photograph, a text file and a folder of something else."""
    monkeypatch.chdir(tmp_path)
    write_rgb(tmp_path / "a.png", picture(16, 24))
    (tmp_path / "file.txt").touch()
    (tmp_path / "else").mkdir()
    (tmp_path / "else/file.txt").touch()
    return tmp_path


DATA = ["--method", "copy-blur", "--dataset", "{made}"]
IMAGE = ["predict", "a.png", "--method", "copy-blur"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["evaluate", *DATA, "--predictions", "file.txt"],
            "file.txt is a file, expected a folder for predictions; give another --predictions",
        ),
        (["evaluate", *DATA, "--predictions", "else"], "else is not empty and holds no predictions.json; give another --predictions"),
        (["predict", *DATA, "--out", "file.txt"], "file.txt is a file, expected a folder for predictions; give another --out"),
        (["predict", *DATA, "--out", "else"], "else is not empty and holds no predictions.json; give another --out"),
        ([*IMAGE, "--out", "file.txt"], "file.txt cannot be written: Not a directory; give another place"),
        ([*IMAGE, "--out", "file.txt", "--frames", "1"], "file.txt cannot be written: File exists; give another place"),
        (["inspect", "{made}", "--out", "file.txt"], "file.txt cannot be written: File exists; give another place"),
        (["verify", "gopro", "else", "else", "--out", "else"], "else cannot be written: Is a directory; give another place"),
        (
            ["verify", "gopro", "else", "else", "--map", "file.txt/m.csv"],
            "file.txt/m.csv cannot be written: File exists; give another place",
        ),
        (
            ["plot", "seconds", "--runs", "file.txt"],
            "file.txt is a file, expected a folder of run records; `blurbench evaluate` writes them",
        ),
        (["plot", "seconds", "--runs", "no"], "no is not there, expected a folder of run records; `blurbench evaluate` writes them"),
    ],
)
def test_it_is_told_before_the_work(made, folder, monkeypatch, arguments, told):
    for work in ("blurbench.running.predict", "blurbench.report.blur.measure", "blurbench.synth.align.find_sequences"):
        monkeypatch.setattr(work, lambda *_, **__: pytest.fail("it was told too late"))
    filled = [argument.format(made=made / "data/genblur") for argument in arguments]
    with pytest.raises(BlurbenchError) as caught:
        CliRunner().invoke(blurbench, filled, catch_exceptions=False, standalone_mode=False)
    assert str(caught.value) == told


def test_what_stands_where_frames_of_a_later_image_belong(folder):
    """Of several images, all folders are made before the first prediction."""
    write_rgb(folder / "b.png", picture(16, 24))
    (folder / "out").mkdir()
    (folder / "out/b").touch()
    with pytest.raises(BlurbenchError, match=r"out cannot be written: File exists"):
        CliRunner().invoke(blurbench, [*IMAGE, "b.png", "--out", "out"], catch_exceptions=False, standalone_mode=False)
    assert not list(folder.glob("out/a/*"))
