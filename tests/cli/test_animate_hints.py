"""`blurbench animate --guidance`: annotations, neighbours and samples reach the method, and go before what a sample has."""

import json
from pathlib import Path

import numpy as np

from blurbench.baselines.zhong2022 import Zhong2022, Zhong2022Annotated, Zhong2022Video
from blurbench.methods import load_method
from blurbench.metrics.select import quantise
from blurbench.report.figures import resized
from blurbench.run.animate import Hint, animate
from blurbench.running import predict
from blurbench.store.reader import open_dataset
from blurbench.synth.annotation import read_labelme
from blurbench.video.images import read_rgb
from tests.cli.animated import annotated, annotation, expected, run
from tests.pictures import holds, loop


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
    sheet, width = read_rgb(Path(f"{stem}-oracle-reversed-sheet.png")), 2200 // 8
    found = [holds(sheet, resized(frame, width)) for frame in sample.sharp]
    assert sheet.shape[1] < 8.3 * width  # the blurry picture and seven frames: guidance that the method never saw is not there
    (truth, back), top = zip(*found, strict=True), found[0][0][0]
    assert all(place[0] == top for place in truth) and [place[1] for place in truth] == [place[1] for place in back][::-1]


def test_what_a_hint_gives_goes_before_what_the_sample_has(made, place):
    sample = next(open_dataset(made / "data/genblur").samples("test"))
    Path("a.json").write_text(json.dumps(annotation(*sample.blurry.shape[:2])))
    made = animate("toys.py:Guided", dataset=made / "data/genblur", sample=sample.id, guidance="a.json")
    drawn = read_labelme(Path("a.json"), sample.blurry.shape[:2])
    np.testing.assert_array_equal(made.prediction.frames[0, 0, ..., :2], (drawn.astype(np.float32) + 1) / 2)


def test_zhong2022_takes_every_hint(place, official):
    """The three ways to guidance of the paper, by one name."""
    weights = official("zhong2022")
    arguments = ("a.png", "--method", "zhong2022", "--weights", weights, "--guidance")
    network = load_method("zhong2022", weights).network
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
