"""`blurbench inspect`: blur sizes are those of the motion that made the samples, and the pictures show what the shards hold."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from blurbench.report import blur, figures
from blurbench.report.blur import Blur
from blurbench.report.preview import preview, write_animation
from blurbench.store.manifest import Entry, Manifest
from blurbench.store.pack import pack
from blurbench.store.reader import open_dataset
from blurbench.store.shard import Shard, ShardWriter
from blurbench.types import Sample
from blurbench.video.flow import load
from blurbench.video.photographs import Photographs
from blurbench.video.textures import dead_leaves
from tests.conftest import command
from tests.pictures import holds

TIMES = np.array([0.1, 0.5, 0.9])


def shard(path, **arrays):
    """A shard of one sample."""
    arrays = {"blurry": np.zeros((24, 32, 3), np.uint8), "sharp": np.zeros((3, 24, 32, 3), np.uint8), "times": TIMES, **arrays}
    with ShardWriter(path) as writer:
        writer.append(arrays)
        writer.finish({"fingerprint": "f", "transfer": "pixel", "provenance": '{"motion": {"flow": {"model": "raft"}}}'})
    return Shard(path, path.stem)


def field(*rows):
    """A field of motion (24, 32, 2) of as many bands as vectors are given."""
    return np.repeat(np.array(rows, np.float16)[:, None], 24 // len(rows), axis=0).repeat(32, axis=1)


def test_the_blur_of_stored_flow_is_that_of_the_whole_exposure(tmp_path):
    """Vectors of 5, 5 and 10 pixels between targets 0.8 exposures apart."""
    found = blur.blur(shard(tmp_path / "a.h5", flow_first_last=field((3, 4), (-3, 4), (6, -8))), 0, load("dis-medium"))
    assert found == Blur(pytest.approx(5 / 0.8), pytest.approx(20 / 3 / 0.8), pytest.approx(10 / 0.8), "flow by raft stored")


def test_exact_motion_counts_inside_the_valid_box_only(tmp_path):
    """The box leaves out the last third, where motion is largest."""
    box = np.array([0, 0, 16, 32])
    one = shard(tmp_path / "a.h5", motion=field((3, 4), (0, 1), (60, 80)), valid=box, sharp=np.zeros((1, 24, 32, 3), np.uint8), times=[0.5])
    assert blur.blur(one, 0, load("dis-medium")) == Blur(3.0, 3.0, 5.0, "exact motion")


def test_blur_is_measured_where_no_motion_is_stored(tmp_path):
    canvas = dead_leaves(Photographs("test"), (120, 170), np.random.default_rng(0))
    sharp = np.stack([canvas[10:110, 10 + step : 160 + step] for step in (0, 4, 8)])
    found = blur.blur(shard(tmp_path / "a.h5", blurry=sharp[0], sharp=sharp), 0, load("dis-medium"))
    assert found.median == pytest.approx(8 / 0.8, rel=0.05) and found.source == "flow by dis-medium measured now"
    assert blur.blur(shard(tmp_path / "b.h5", sharp=sharp[:1], times=[0.5]), 0, load("dis-medium")) is None


@pytest.mark.parametrize("stored", [True, False])
def test_the_steps_between_averaged_frames(tmp_path, stored):
    """2 px is not above 2 px."""
    manifest = Manifest("test", 1, "test", "video", "pixel", {}, "0")
    for name, step in (("a", 0.5), ("b", 2.0), ("c", 2.5), ("d", 1.0)):
        one = shard(tmp_path / f"{name}.h5", **({"largest_step": np.array([step], np.float32)} if stored else {}))
        manifest.enter("test", Entry(name, f"{name}.h5", 1, 0, 0, "f", str(one.file.attrs["content"])))
        one.close()
    manifest.write(tmp_path)
    expected = "median 1.50 px, largest 2.50 px, 25% of 4 samples above 2 px" if stored else "not known: no largest_step is stored"
    assert blur.ghosting(open_dataset(tmp_path), "test") == expected


def test_histograms_count_each_sample_once():
    """The lower edge belongs to a bin; leading and trailing empty bins are left out."""
    values = [(1.0, 2.0), (1.999, 8.0), (2.0, 9.0), (3.9, 5000.0)]
    names, medians, largests = blur.histograms([Blur(median, median, largest, "") for median, largest in values])
    assert names == ["1-2", "2-4", "4-8", "8-16", "16-32", "32-64", "64-128", "128-256", "256-512", "512-1024", "over 1024"]
    assert medians == [2, 2, *[0] * 9] and largests == [0, 1, 0, 2, *[0] * 6, 1]
    lines = list(blur.histogram_lines([Blur(median, median, largest, "") for median, largest in values], columns=4))
    assert lines[1].split() == ["1-2", "████", "2"] and lines[2].split() == ["2-4", "████", "2", "██", "1"]
    assert lines[3].split() == ["4-8"] and len(lines) == 12


def test_samples_are_picked_over_the_whole_split(tmp_path):
    manifest = Manifest("test", 1, "test", "video", "pixel", {}, "0")
    for number, samples in enumerate((5, 1, 4)):
        (tmp_path / f"{number}.h5").touch()
        manifest.enter("test", Entry(str(number), f"{number}.h5", samples, 0, 0, "f", "c"))
    manifest.write(tmp_path)

    def places(most):
        return [(shard.video, row) for shard, row in blur.picked(open_dataset(tmp_path), "test", most)]

    assert places(100) == [*(("0", row) for row in range(5)), ("1", 0), *(("2", row) for row in range(4))]
    assert places(4) == [("0", 0), ("0", 3), ("2", 0), ("2", 3)] and places(1) == [("0", 0)]


def samples(targets):
    rng = np.random.default_rng(targets)
    sharp = [rng.integers(0, 256, (20, 30, 3), dtype=np.uint8) for _ in range(targets)]
    return Sample(f"clip/{targets}", "clip", np.full((20, 30, 3), 77, np.uint8), np.stack(sharp), np.linspace(0, 1, targets), "pixel")


def test_the_preview_shows_targets_in_order_and_waits_for_the_longest(tmp_path):
    short, long = samples(2), samples(4)
    frames = preview([short, long], width=30)
    assert len(frames) == 4
    for step, frame in enumerate(frames):
        assert len(holds(frame, short.blurry)) == 2
        for sample in (short, long):
            shown = [index for index, target in enumerate(sample.sharp) if holds(frame, target)]
            assert shown == [min(step, len(sample.sharp) - 1)]
    write_animation(tmp_path / "a.png", frames)
    done, back = cv2.imreadanimation(str(tmp_path / "a.png"))
    assert done and list(back.durations) == [160, 160, 160, 700] and back.loop_count == 0
    assert all((cv2.cvtColor(a[..., :3], cv2.COLOR_BGR2RGB) == b).all() for a, b in zip(back.frames, frames, strict=True))


def test_one_target_goes_to_and_fro_with_the_blurry_image():
    sample = samples(1)
    first, second = preview([sample], width=30)
    assert len(holds(first, sample.blurry)) == 2 and not holds(first, sample.sharp[0])
    assert len(holds(second, sample.blurry)) == 1 and len(holds(second, sample.sharp[0])) == 1


def test_the_sheet_shows_first_middle_and_last(tmp_path):
    sample = samples(4)
    sheet = figures.contact_sheet([sample], ["blur"], width=30)
    assert [len(holds(sheet, target)) for target in sample.sharp] == [1, 0, 1, 1]
    lefts = [holds(sheet, picture)[0][1] for picture in (sample.blurry, *sample.sharp[[0, 2, 3]])]
    assert lefts == sorted(lefts)


def test_the_sheet_says_what_the_colours_of_guidance_mean(monkeypatch):
    said = []
    keep = figures.title
    monkeypatch.setattr(figures, "title", lambda text, note, width: said.append(note) or keep(text, note, width))
    plain = samples(4)
    figures.contact_sheet([plain], width=200)
    assert said == [""]
    guided = replace(plain, extras={"guidance": np.zeros((20, 30, 2), np.int8)})
    figures.contact_sheet([plain, guided], width=200)
    assert [note for note in said if note] == ["guidance: red up-right, green up-left, yellow down-left, blue down-right, black still"]


def test_bars_are_as_long_as_their_counts():
    drawn = figures.bars("heading", ["a", "b", "c"], [4, 1, 0], width=300)
    blue = (drawn == figures._BAR).all(axis=2).sum(axis=1)
    assert sorted(set(blue[blue > 0].tolist())) == [pytest.approx(blue.max() / 4, abs=1), blue.max()]


def test_long_ids_are_cut_at_their_start():
    assert figures._fitted("short", 1000) == "short"
    cut = figures._fitted("a-very-long-name-of-a-video/00001", 120)
    assert cut.startswith("..") and cut.endswith("/00001") and figures._width(cut) <= 120


@pytest.mark.parametrize("packed", [False, True])
def test_the_command(made, tmp_path, packed):
    place, out = made / "data/genblur", tmp_path / "pictures"
    if packed:
        pack(open_dataset(place), tmp_path / "packed.h5")
        place, out = tmp_path / "packed.h5", tmp_path / "packed-pictures"
    done = command("inspect", place, *([] if packed else ["--out", out]), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "first shard, test/rendered-test-s0-0000.h5:" in done.stdout and "gamma(2.2)" in done.stdout
    assert "blur of test, pixels across the exposure, 8 of 8 samples: median" in done.stdout and "exact flow stored" in done.stdout
    assert "ghosting of test, steps between averaged frames: median" in done.stdout
    assert sorted(path.name for path in out.iterdir()) == ["blur-size.png", "contact-sheet.png", "preview.png"]
    sheet = cv2.cvtColor(cv2.imread(str(out / "contact-sheet.png")), cv2.COLOR_BGR2RGB)
    last = list(open_dataset(place).samples("test"))[-1]
    assert len(holds(sheet[-200:], figures.resized(last.blurry, 240))) == 1
    assert (sheet == (255, 0, 0)).all(axis=2).sum() > 1000  # guidance, of which much is quadrant I
    assert len(cv2.imreadanimation(str(out / "preview.png"))[1].frames) == 7


@pytest.mark.parametrize("split", ["test", "train"])
def test_ids_alone_are_listed(made, split):
    """One a line, in the order of the samples, and no picture is written."""
    place = made / "data/genblur"
    before = sorted(place.iterdir())
    done = command("inspect", "genblur", "--ids", *([] if split == "test" else ["--split", split]), cwd=made)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [sample.id for sample in open_dataset(place).samples(split)]
    assert sorted(place.iterdir()) == before


def test_an_unknown_split_is_told(made):
    done = command("inspect", "genblur", "--split", "tset", cwd=made)
    assert done.returncode == 2 and "unknown split 'tset' in genblur; did you mean 'test'" in done.stderr
