"""`blurbench animate`: files read back are the prediction, the sheet holds its frames, mistakes are one line."""

import json
from pathlib import Path

import av
import numpy as np
import pytest

from blurbench.errors import BlurbenchError
from blurbench.report.figures import resized
from blurbench.run.animate import _title, animate
from blurbench.run.predict import photograph, predict_images
from blurbench.video.decode import VideoSource
from blurbench.video.images import read_rgb, write_rgb
from tests.baselines.inputs import picture
from tests.cli.animated import annotated, annotation, expected, psnr, run
from tests.conftest import command
from tests.pictures import holds, loop


def test_a_webp_holds_every_pixel_of_the_prediction(place):
    """The same as `blurbench predict` writes, by the shipped weights; at 10 frames a second."""
    said = run("a.png", "--method", "zhang2020")
    frames, milliseconds = loop("animations/a-zhang2020.webp")
    np.testing.assert_array_equal(frames, expected("zhang2020", photograph(Path("a.png"), 7))[0])
    np.testing.assert_array_equal(frames, [read_rgb(path) for path in predict_images("zhang2020", [Path("a.png")], place / "pngs")])
    assert milliseconds == [100] * 7 and len(np.unique(frames, axis=0)) == 7
    assert said.splitlines()[-1] == "wrote animations/a-zhang2020.webp, animations/a-zhang2020-sheet.png"
    assert sorted(path.name for path in Path("animations").iterdir()) == ["a-zhang2020-sheet.png", "a-zhang2020.webp"]


def test_one_file_a_solution_and_the_seed_decides(place):
    run("a.png", "--method", "toys.py:Draws", "--guidance", "sample:3", "--seed", 5, "--out", "x/y")
    want = expected("toys.py:Draws", photograph(Path("a.png"), 3), samples=3, seed=5)
    for number in range(3):
        np.testing.assert_array_equal(loop(f"x/y/a-draws-{number + 1}.webp")[0], want[number])
    sheet = read_rgb(Path("x/y/a-draws-sheet.png"))
    tops = [[holds(sheet, resized(frame, 480))[0][0] for frame in solution] for solution in want]
    assert [len(set(row)) for row in tops] == [1, 1, 1] and tops[0][0] < tops[1][0] < tops[2][0]
    run("a.png", "--method", "toys.py:Draws", "--seed", 5, "--out", "one")
    np.testing.assert_array_equal(loop("one/a-draws.webp")[0], want[0])


def test_bounce_goes_there_and_back(place):
    run("a.png", "--method", "toys.py:Shifts", "--frames", 4, "--bounce", "--fps", 7.5)
    frames, milliseconds = loop("animations/a-shifts.webp", 133)
    blurry = read_rgb(Path("a.png"))
    np.testing.assert_array_equal(frames, [np.roll(blurry, shift, axis=1) for shift in (0, 1, 2, 3, 2, 1)])
    assert milliseconds == [133] * 6


@pytest.mark.parametrize("count", [1, 2])
def test_bounce_of_one_or_two_frames_repeats_none(place, count):
    made = animate("toys.py:Shifts", Path("a.png"), frames=count, bounce=True)
    assert len(loop(made.files[0])[0]) == count


@pytest.mark.parametrize(("height", "width"), [(24, 30), (25, 31)])
def test_an_mp4_comes_near_the_prediction(place, height, width):
    """Chroma has half the resolution. Odd sizes are made even by repeating the border; the colours are those stated in the file."""
    write_rgb(Path("b.png"), picture(height, width))
    run("b.png", "--method", "toys.py:Shifts", "--format", "mp4", "--fps", 12.5)
    source = VideoSource(Path("animations/b-shifts.mp4"))
    frames = np.stack([frame.image for frame in source.frames()])
    want = expected("toys.py:Shifts", photograph(Path("b.png"), 7))[0]
    assert source.fps == 12.5 and source.size == (height + height % 2, width + width % 2) and len(frames) == 7
    assert min(psnr(*pair) for pair in zip(frames[:, :height, :width], want, strict=True)) > 35
    assert np.abs(frames[:, :height, :width].mean(axis=(0, 1, 2)) - want.mean(axis=(0, 1, 2))).max() < 1
    facts = source.facts()
    assert (facts["codec"], facts["pix_fmt"], facts["matrix"], facts["range"]) == ("h264", "yuv420p", "bt709", "limited")
    with av.open("animations/b-shifts.mp4") as file:
        context = file.streams.video[0].codec_context
        assert (context.color_primaries, context.color_trc) == (1, 1)


def test_a_gif_comes_near_the_prediction(place):
    """256 colours; time goes in hundredths of a second."""
    run("a.png", "--method", "toys.py:Shifts", "--format", "gif", "--fps", 7.5)
    frames, milliseconds = loop("animations/a-shifts.gif", 130)
    want = expected("toys.py:Shifts", photograph(Path("a.png"), 7))[0]
    assert milliseconds == [130] * 7 and min(psnr(*pair) for pair in zip(frames, want, strict=True)) > 28


@pytest.mark.parametrize("format", ["webp", "mp4", "gif"])
def test_a_method_of_one_frame_gives_a_still_and_says_so(place, format):
    Path("a.json").write_text(json.dumps(annotation()))
    said = run("a.png", "--method", "toys.py:Guided", "--guidance", "a.json", "--format", format, "--bounce")
    assert "guided gives one frame, so that each file shows a still picture\n" in said
    path = Path(f"animations/a-guided.{format}")
    frames = np.stack([frame.image for frame in VideoSource(path).frames()]) if format == "mp4" else loop(path)[0]
    assert len(frames) == 1 and psnr(frames, expected("toys.py:Guided", annotated())[0]) > (20 if format != "webp" else 99)


def test_frames_that_a_method_does_not_take_are_noted(place):
    assert animate("zhang2020", Path("a.png"), frames=9).notes == [
        "zhang2020 always gives 7 frames, not 9; --method zhang2020-iterated gives as many as asked"
    ]
    assert animate("zhang2020", Path("a.png"), frames=7).notes == []


def test_the_progress_counts_solutions(place):
    seen = []
    animate("toys.py:Draws", Path("a.png"), guidance="sample:3", progress=lambda *done: seen.append(done))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_rows_say_how_near_they_come_to_the_truth():
    truth = np.stack([np.full((4, 4, 3), value, np.uint8) for value in (10, 60, 200)])
    near = truth + np.uint8(3)
    assert _title(0, [near], "m", truth) == "m: mean PSNR 38.59 dB"  # 20 log10(255 / 3)
    assert _title(1, [near, near[::-1]], "m", truth) == "m, solution 2 of 2: mean PSNR 38.59 dB, read backwards"
    assert _title(0, [near], "m", None) == _title(0, [near[:1]], "m", truth) == "m"


DATA = ("--dataset", "{data}")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["a.png", "--method", "zhang2020", "--guidance", "sample:3"],
            "zhang2020 has one solution a picture, expected a method that draws",
        ),
        (["a.png", "--method", "zhang2020", "--guidance", "a.json"], "zhang2020 takes no motion guidance, which a.json is"),
        (["a.png", "--method", "zhang2020", "--guidance", "neighbours:b.png"], "zhang2020 looks at no neighbour, which b.png is"),
        (["a.png", "--method", "zhong2022", "--guidance", "neighbours:b,c"], "zhong2022-video looks at no exposure after, which c is"),
        (["a.png", "--method", "zhong2022-annotated"], "zhong2022-annotated needs motion guidance, which a.png does not have; give --guid"),
        (["a.png", "--method", "oracle"], "oracle needs sharp frames, which plain images do not have; give --dataset and --sample"),
        (
            ["a.png", "--method", "toys.py:Looks", "--guidance", "neighbours:big.png"],
            "big.png is 60x48, expected 30x24 (width x height) as a;",
        ),
        (["a.png", "--method", "toys.py:Looks", "--guidance", "neighbours:none.png"], "none.png cannot be read"),
        (["a.png", "--method", "toys.py:Guided", "--guidance", "big.json"], "big.json: imageHeight is 48, expected 24, for the picture is"),
        (["a.png", "--method", "toys.py:Guided", "--guidance", "none.json"], "none.json cannot be read"),
        (["a.png", "--method", "toys.py:Guided", "--guidance", "up.json"], "up.json: shapes[0]: label is 'up', expected still, I, II"),
        (["a.png", "--method", "toys.py:Draws", "--guidance", "sample:0"], "guidance is 'sample:0', expected FILE.json, sample:N"),
        (["a.png", "--method", "toys.py:Draws", "--guidance", "sample:x"], "guidance is 'sample:x', expected FILE.json"),
        (["a.png", "--method", "toys.py:Draws", "--guidance", "neighbours:"], "guidance is 'neighbours:', expected FILE.json"),
        (["a.png", "--method", "toys.py:Draws", "--guidance", "neighbours:a,"], "guidance is 'neighbours:a,', expected FILE.json"),
        (["a.png", "--method", "toys.py:Draws", "--guidance", ""], "guidance is '', expected FILE.json"),
        (["a.png", "--method", "toys.py:Draws", "--format", "avi"], "format is 'avi', expected one of webp, mp4, gif; give another"),
        (["a.png", "--method", "toys.py:Draws", "--fps", "0"], "fps is 0, expected 0.1 to 50 frames a second; give another"),
        (["a.png", "--method", "toys.py:Draws", "--fps", "nan"], "fps is nan, expected 0.1 to 50 frames a second"),
        (["a.png", "--method", "toys.py:Draws", "--out", "a.png/x"], "cannot be written"),
        (["none.png", "--method", "toys.py:Draws"], "none.png cannot be read"),
        (["a.png", "--method", "zhang22020"], "did you mean 'zhang2020'"),
        (["--method", "toys.py:Draws"], "no picture was given, expected one; give IMAGE, or --dataset and --sample"),
        (["a.png", "--method", "toys.py:Draws", *DATA], "were both given, expected one; give IMAGE, or --dataset and --sample"),
        (["--method", "toys.py:Draws", *DATA], "was given without a sample, expected its id; give --sample, e.g. rendered-"),
        (["--method", "toys.py:Draws", *DATA, "--sample", "rendered-test-s0-00000/0"], "did you mean 'rendered-test-s0-0000'"),
        (
            ["--method", "toys.py:Draws", *DATA, "--sample", "rendered-test-s0-0000/99"],
            "rendered-test-s0-0000/00000 to rendered-test-s0-0000/0000",
        ),
        (["--method", "toys.py:Draws", *DATA, "--sample", "rendered-test-s0-0000"], "no sample 'rendered-test-s0-0000' in"),
        (["--method", "toys.py:Draws", *DATA, "--sample", "a/0", "--frames", "9"], "9 frames were asked of a sample"),
        (["--method", "toys.py:Draws", "--dataset", "none", "--sample", "a/0"], "no data set 'none'"),
    ],
)
def test_mistakes_are_one_line(made, place, arguments, says):
    write_rgb(Path("big.png"), picture(48, 60))
    Path("big.json").write_text(json.dumps(annotation(48, 60)))
    Path("up.json").write_text(json.dumps(annotation(label="up")))
    with pytest.raises(BlurbenchError) as error:
        run(*(argument.format(data=made / "data/genblur") for argument in arguments))
    assert says in str(error.value) and "\n" not in str(error.value)
    assert not Path("animations").exists()


def test_a_user_sees_one_line_and_a_code(place):
    done = command("animate", "a.png", "--method", "copy-blur", "--guidance", "sample:2", cwd=place)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: copy-blur has one solution a picture")
    done = command("animate", "a.png", "--method", "copy-blur", "--frames", "2", cwd=place)
    assert done.returncode == 0 and done.stdout == "" and (place / "animations/a-copy-blur.webp").is_file()
