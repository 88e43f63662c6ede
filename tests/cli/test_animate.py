"""`blurbench animate`: files read back are the prediction, the sheet holds its frames, hints reach the method, mistakes are one line."""

import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image, ImageSequence

from blurbench.baselines.zhong2022 import STEMS, Animation, Zhong2022, Zhong2022Annotated, Zhong2022Video
from blurbench.cli import blurbench
from blurbench.errors import BlurbenchError
from blurbench.methods import load_method, predict
from blurbench.metrics.select import quantise
from blurbench.report.animation import write_loop, write_moving
from blurbench.report.figures import resized, solutions_sheet
from blurbench.run.animate import Hint, _title, animate
from blurbench.run.predict import photograph, predict_images
from blurbench.store.reader import open_dataset
from blurbench.synth.annotation import read_labelme
from blurbench.types import Sample
from blurbench.video.decode import VideoSource
from blurbench.video.images import read_rgb, write_rgb
from tests.baselines.official import picture, small_state
from tests.cli.test_inspect import holds
from tests.conftest import command

TOYS = """
import numpy as np
from blurbench.methods import Capabilities, Method, MethodCard

def card(name):
    return MethodCard(id=name, title="t", paper="p", licence="l")

class Draws(Method):
    card, capabilities = card("draws"), Capabilities(frames=3, stochastic=True)
    def predict(self, blurry, request):
        return request.rng.random((request.samples, 3, *blurry.shape), np.float32)

class Looks(Method):
    card, capabilities = card("looks"), Capabilities(frames=4, before=1, after=2)
    def predict(self, blurry, request):
        return np.stack([*request.before, blurry, *request.after])[None]

class Guided(Method):
    card, capabilities = card("guided"), Capabilities(frames=1, needs=frozenset({"guidance"}))
    def predict(self, blurry, request):
        field = (request.guidance.astype(np.float32) + 1) / 2
        return np.concatenate([field, blurry[..., :1]], axis=-1)[None, None]

class Shifts(Method):
    card, capabilities = card("shifts"), Capabilities()
    variants = {"guidance": "zhong2022-annotated"}
    def predict(self, blurry, request):
        return np.stack([np.roll(blurry, k, axis=1) for k in range(len(request.times))])[None]
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The working folder, with toy methods, a photograph `a.png` and its neighbours."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BLURBENCH_CACHE", str(tmp_path / "cache"))
    Path("toys.py").write_text(TOYS)
    for number, name in enumerate(("a", "prev", "next")):
        write_rgb(Path(f"{name}.png"), picture(24, 30, phase=0.7 * number))
    return tmp_path


def run(*arguments):
    """The command in this process; returns what it said. Raises what it raised."""
    done = CliRunner().invoke(blurbench, ["animate", *map(str, arguments)], catch_exceptions=False, standalone_mode=False)
    return done.stderr


def loop(path, tick=100):
    """Frames (T, H, W, 3) and milliseconds of a WebP or GIF, by another library than the one that wrote it.

    Of equal frames that follow each other a WebP has one, as long as all of them: it counts once for each `tick`.
    """
    with Image.open(path) as image:
        assert getattr(image, "n_frames", 1) == 1 or image.info["loop"] == 0
        frames = [(np.asarray(frame.convert("RGB")), frame.info.get("duration")) for frame in ImageSequence.Iterator(image)]
    counts = [round((time or tick) / tick) for _, time in frames]
    return np.repeat([pixels for pixels, _ in frames], counts, axis=0), [time for _, time in frames]


def expected(method, sample, samples=1, seed=0, weights=None):
    """What is to be shown, (N, T, H, W, 3) uint8."""
    return quantise(predict(load_method(method, weights), sample, samples, seed).frames, "round")


def psnr(one, other):
    return -10 * np.log10(((one / 255.0 - other / 255.0) ** 2).mean() + 1e-12)


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


def annotation(height=24, width=30, label="II"):
    """A box of one direction in the middle, as labelme saves it."""
    points = [[width // 3, 4], [2 * width // 3, 4], [2 * width // 3, height - 4], [width // 3, height - 4]]
    shapes = [{"label": label, "points": points, "shape_type": "polygon"}]
    return {"imageHeight": height, "imageWidth": width, "shapes": shapes}


def annotated(path=Path("a.png"), frames=1):
    """The photograph with the guidance of `annotation`, by hand."""
    sample = photograph(path, frames)
    field = np.zeros((24, 30, 2), np.int8)
    field[4:20, 10:20] = -1, -1
    return Sample(**{**vars(sample), "extras": {"guidance": field}})


def test_an_annotation_reaches_the_method_and_the_sheet(place):
    Path("a.json").write_text(json.dumps(annotation()))
    made = animate("toys.py:Guided", Path("a.png"), guidance="a.json")
    np.testing.assert_array_equal(loop(made.files[0])[0], expected("toys.py:Guided", annotated())[0])
    sheet = read_rgb(made.sheet)
    scale, left = 480 // 30, 8 + 480 + 4
    rows, _ = np.nonzero((sheet == (0, 255, 0)).all(axis=2))
    cell = sheet[rows.min() - 4 * scale :, left : left + 480][: 24 * scale]
    coloured = np.zeros((24, 30, 3), np.uint8)
    coloured[4:20, 10:20] = 0, 255, 0
    assert (np.abs(cell.astype(int) - coloured.repeat(scale, axis=0).repeat(scale, axis=1)).max(axis=2) > 9).mean() < 0.1


def test_neighbours_reach_the_method(place):
    """PREV is the one before, NEXT stands for both after; where NEXT is not given, the picture does."""
    said = run("a.png", "--method", "toys.py:Looks", "--guidance", "neighbours:prev.png,next.png")
    assert "looks looks at 2 exposures after; next.png stands for all\n" in said
    now, before, after = (read_rgb(Path(f"{name}.png")) for name in ("a", "prev", "next"))
    np.testing.assert_array_equal(loop("animations/a-looks.webp")[0][:3], [before, now, after])
    made = animate("toys.py:Looks", Path("a.png"), Path("b"), guidance="neighbours:prev.png")
    np.testing.assert_array_equal(quantise(made.prediction.frames[0], "round"), [before, now, now, now])
    assert made.notes == ["looks looks at 2 exposures after; none was given, the picture itself stands for them"]
    made = animate("toys.py:Looks", Path("a.png"), Path("c"))
    assert [note.split(";")[0] for note in made.notes] == ["looks looks at 1 exposures before", "looks looks at 2 exposures after"]


def test_frames_that_a_method_does_not_take_are_noted(place):
    assert animate("zhang2020", Path("a.png"), frames=9).notes == ["zhang2020 always gives 7 frames, not 9"]
    assert animate("zhang2020", Path("a.png"), frames=7).notes == []


def test_the_progress_counts_solutions(place):
    seen = []
    animate("toys.py:Draws", Path("a.png"), guidance="sample:3", progress=lambda *done: seen.append(done))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_a_sample_brings_guidance_neighbours_and_truth(made, place):
    data = made / "data/genblur"
    shard = open_dataset(data).shards("test")[0]
    sample = list(shard.samples(1, 2))[1]
    arguments = ("--dataset", data, "--sample", sample.id)
    stem = f"animations/{sample.id.replace('/', '-')}"
    run(*arguments, "--method", "toys.py:Looks")
    want = np.stack([*sample.extras["before"], sample.blurry, *sample.extras["after"]])
    np.testing.assert_array_equal(loop(f"{stem}-looks.webp")[0], want)
    assert len(np.unique(want[:3], axis=0)) == 3
    run(*arguments, "--method", "toys.py:Guided")
    np.testing.assert_array_equal(loop(f"{stem}-guided.webp")[0], expected("toys.py:Guided", sample)[0])
    run(*arguments, "--method", "oracle-reversed")
    np.testing.assert_array_equal(loop(f"{stem}-oracle-reversed.webp")[0], sample.sharp[::-1])
    sheet, width = read_rgb(Path(f"{stem}-oracle-reversed-sheet.png")), 2200 // 9
    found = [holds(sheet, resized(frame, width)) for frame in sample.sharp]
    (truth, back), top = zip(*found, strict=True), found[0][0][0]
    assert all(place[0] == top for place in truth) and [place[1] for place in truth] == [place[1] for place in back][::-1]


def test_what_a_hint_gives_goes_before_what_the_sample_has(made, place):
    sample = next(open_dataset(made / "data/genblur").samples("test"))
    Path("a.json").write_text(json.dumps(annotation(*sample.blurry.shape[:2])))
    made = animate("toys.py:Guided", dataset=made / "data/genblur", sample=sample.id, guidance="a.json")
    drawn = read_labelme(Path("a.json"), sample.blurry.shape[:2])
    np.testing.assert_array_equal(made.prediction.frames[0, 0, ..., :2], (drawn.astype(np.float32) + 1) / 2)


def test_rows_say_how_near_they_come_to_the_truth():
    truth = np.stack([np.full((4, 4, 3), value, np.uint8) for value in (10, 60, 200)])
    near = truth + np.uint8(3)
    assert _title(0, [near], "m", truth) == "m: mean PSNR 38.59 dB"  # 20 log10(255 / 3)
    assert _title(1, [near, near[::-1]], "m", truth) == "m, solution 2 of 2: mean PSNR 38.59 dB, read backwards"
    assert _title(0, [near], "m", None) == _title(0, [near[:1]], "m", truth) == "m"


def still(count, size=(32, 40)):
    """A sample and frames that differ nowhere but in a box at (9, 20) of a quarter of the size."""
    blurry = picture(*size)
    frames = np.repeat(blurry[None], count, axis=0)
    frames[:, 9:17, 20:30] = np.arange(count, dtype=np.uint8)[:, None, None, None] * 9
    return Sample("s", "v", blurry, frames, np.linspace(0, 1, count), "srgb"), frames


def test_the_close_up_is_where_it_moves():
    sample, frames = still(3)
    sheet = solutions_sheet(sample, {"m": frames}, width=40)
    for frame in frames:
        assert len(holds(sheet, frame)) == 1 and len(holds(sheet, resized(frame[9:17, 20:30], 40))) == 1
    marked = sample.blurry.copy()
    cv2.rectangle(marked, (20, 9), (29, 16), (255,) * 3, 2)
    cv2.rectangle(marked, (20, 9), (29, 16), (30,) * 3, 1)
    assert len(holds(sheet, marked)) == 1 and len(holds(sheet, resized(sample.blurry[9:17, 20:30], 40))) == 1


def test_the_close_up_of_one_frame_is_where_it_differs_from_the_blur():
    sample, frames = still(1)
    sheet = solutions_sheet(sample, {"m": frames}, width=40)
    assert len(holds(sheet, resized(sample.blurry[9:17, 20:30], 40))) == 1


def test_of_many_frames_some_are_shown_with_the_first_and_the_last():
    sample, frames = still(25)
    sheet = solutions_sheet(sample, {"m": frames}, width=40)
    shown = [index for index, frame in enumerate(frames) if holds(sheet, frame)]
    assert len(shown) == 16 and shown[0] == 0 and shown[-1] == 24 and set(np.diff(shown)) == {1, 2}


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    """Weights of zhong2022 in the official layout, values in a row of numbers."""
    folder = tmp_path_factory.mktemp("official")
    with torch.device("meta"):
        animation = Animation()
    for part, stem in STEMS.items():
        torch.save({f"module.{key}": value for key, value in small_state(animation.get_submodule(part)).items()}, folder / f"{stem}.pth")
    return folder


def test_zhong2022_takes_every_hint(place, official):
    """The three ways to guidance of the paper, by one name."""
    arguments = ("a.png", "--method", "zhong2022", "--weights", official, "--guidance")
    network = load_method("zhong2022", official).network
    Path("a.json").write_text(json.dumps(annotation()))
    sample = annotated(frames=7)

    def shows(path, method, samples=1, number=0):
        want = quantise(predict(method(network), sample, samples).frames, "round")[number]
        np.testing.assert_array_equal(loop(path)[0], want)
        return want

    said = run(*arguments, "a.json")
    assert "zhong2022-annotated: the variant of zhong2022 that sees what --guidance gives\n" in said
    drawn = shows("animations/a-zhong2022-annotated.webp", Zhong2022Annotated)
    run(*arguments, "sample:2")
    draws = [shows(f"animations/a-zhong2022-{number + 1}.webp", Zhong2022, 2, number) for number in range(2)]
    said = run(*arguments, "neighbours:prev.png")
    assert "zhong2022-video: the variant of zhong2022" in said
    sample.extras["before"] = read_rgb(Path("prev.png"))[None]
    moved = shows("animations/a-zhong2022-video.webp", Zhong2022Video)
    for one, other in ((drawn, draws[0]), (draws[0], draws[1]), (moved, drawn)):
        assert np.abs(one.astype(int) - other).max() > 2


def test_hints():
    assert Hint.parse(None) == Hint()
    assert Hint.parse("sample:12") == Hint(samples=12)
    assert Hint.parse("neighbours:a b.png") == Hint(before=Path("a b.png"))
    assert Hint.parse("neighbours:x:/a.png,b,c.png") == Hint(before=Path("x:/a.png"), after=Path("b,c.png"))
    assert Hint.parse("x/y:z.json") == Hint(file=Path("x/y:z.json"))


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


def test_pictures_that_no_webp_holds_are_told(tmp_path):
    with pytest.raises(BlurbenchError, match="OpenCV cannot encode 2 frames of 16400x1; take smaller pictures"):
        write_moving(tmp_path / "a.webp", list(np.zeros((2, 1, 16400, 3), np.uint8)), 10)
    assert not list(tmp_path.iterdir())


def test_equal_frames_are_shown_as_long_as_all_of_them(tmp_path):
    one, two = picture(12, 14), picture(12, 14, 1.0)
    write_moving(tmp_path / "a.webp", [one, one, one, two, one], 10)
    frames, milliseconds = loop(tmp_path / "a.webp")
    np.testing.assert_array_equal(frames, [one, one, one, two, one])
    assert sum(milliseconds) == 500


def test_a_loop_keeps_each_frame_s_time(tmp_path):
    frames = [picture(12, 14, phase) for phase in (0.0, 1.0, 2.0)]
    write_loop(tmp_path / "a.webp", frames, [20, 700, 41])
    back, milliseconds = loop(tmp_path / "a.webp", 20)
    np.testing.assert_array_equal(back, np.repeat(frames, [1, 35, 2], axis=0))
    assert milliseconds == [20, 700, 41]
