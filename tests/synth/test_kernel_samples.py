"""Samples blurred by kernels: what is stored, where pictures come from, and the whole way from a folder of pictures to a score."""

import os

import numpy as np
import pytest

from blurbench.errors import RecipeError, SourceError
from blurbench.run.record import scores
from blurbench.store.reader import open_dataset
from blurbench.store.shard import Shard, ShardWriter
from blurbench.synth import kernels
from blurbench.synth import recipe as recipes
from blurbench.synth.kernel_samples import KernelSamples, PictureSource, estimate, find_pictures
from blurbench.video.images import write_rgb
from tests.conftest import command
from tests.synth.recipe_head import HEAD

HEADER = f"{HEAD}rounding = 'truncate'\nwindow = {{ length = 1 }}"


def picture(size, seed=0):
    """Smooth noise, so that blur is neither nothing nor everything."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (size[0] // 4 + 2, size[1] // 4 + 2, 3)).astype(np.uint8)
    return np.ascontiguousarray(coarse.repeat(4, axis=0).repeat(4, axis=1)[: size[0], : size[1]])


def recipe(tmp_path, keys):
    path = tmp_path / "mine.toml"
    path.write_text(f"{HEADER}\n{keys}\n")
    return recipes.read(path)


def source(tmp_path, size=(96, 120), name="a", seed=0):
    write_rgb(tmp_path / f"{name}.png", picture(size, seed))
    return PictureSource(tmp_path / f"{name}.png", name, 240.0)


def samples(source, recipe, split="test"):
    ticks = []
    made = KernelSamples(source, recipe, split, lambda: ticks.append(1))
    result = list(made)
    assert (made.frames, made.unused, len(ticks)) == (1, 0, 1)
    return result


PER_PIXEL = 'kernels = { variant = "per-pixel", maps = { train = 3, test = 2 }, noise = 0 }'
UNIFORM = 'kernels = { variant = "uniform", count = 50, maps = { test = 4 }, noise = 0, strength = "mild" }'


@pytest.mark.parametrize(("keys", "count"), [(PER_PIXEL, 2), (UNIFORM, 4)])
def test_the_stored_motion_is_that_of_the_blur(tmp_path, keys, count):
    """Blurring the stored target along either stored field gives the stored blur, and the box is that of the field."""
    made = samples(source(tmp_path), recipe(tmp_path, keys))
    assert len(made) == count
    for sample in made:
        assert (sample["sharp"][0] == picture((96, 120))).all() and sample["times"].tolist() == [0.5]
        label, motion = (sample[name].astype(np.float64) for name in ("kernel_motion", "motion"))
        assert sample["motion"].dtype == sample["kernel_motion"].dtype == np.float16
        for field in (label, motion * [1, -1]):
            light = kernels.blur(sample["sharp"][0].astype(np.float32), field)
            assert (sample["blurry"] == np.floor(light).astype(np.uint8)).mean() > 0.999  # sums of mirrored kernels differ in the last bit
            assert tuple(sample["valid"]) == kernels.valid_box((96, 120), field)
        assert label[..., 0].min() >= 0 and (np.abs(label) == np.abs(motion)).all()
        assert (sample["blurry"] != sample["sharp"][0]).mean() > 0.3


def test_uniform_is_one_kernel_out_of_the_set(tmp_path):
    few = recipe(tmp_path, UNIFORM.replace("count = 50", "count = 2").replace("test = 4", "test = 12"))
    fields = [sample["motion"] for sample in samples(source(tmp_path), few)]
    assert all((field == field[0, 0]).all() for field in fields)
    assert len({tuple(field[0, 0]) for field in fields}) == 2
    other = source(tmp_path, (80, 90), "b", 1)
    assert {tuple(s["motion"][0, 0]) for s in samples(other, few)} == {tuple(field[0, 0]) for field in fields}


def test_truncation_noise_and_the_map_without_blur(tmp_path):
    """A sample without blur: noise of 0.001 grey levels and truncation lower half of the values by one, rounding none."""
    keys = 'kernels = { variant = "per-pixel", maps = { test = 1 }, unblurred = true }'
    plain = samples(source(tmp_path), recipe(tmp_path, keys))
    assert len(plain) == 2
    last = plain[-1]
    steps = last["sharp"][0].astype(int) - last["blurry"]
    inside = (last["sharp"][0] > 0) & (last["sharp"][0] < 255)
    assert set(np.unique(steps)) == {0, 1} and steps[inside].mean() == pytest.approx(0.5, abs=0.02)
    assert not last["motion"].any() and tuple(last["valid"]) == (0, 0, 96, 120)
    rounded = recipes.load(str(tmp_path / "mine.toml"), ["rounding=half-up"])
    assert (samples(source(tmp_path), rounded)[-1]["blurry"] == last["sharp"][0]).all()


def test_noise_has_its_size(tmp_path):
    keys = PER_PIXEL.replace("noise = 0", "noise = 8.0")
    noisy, clean = (samples(source(tmp_path), recipe(tmp_path, k))[0] for k in (keys, PER_PIXEL))
    inside = (clean["blurry"] > 40) & (clean["blurry"] < 215)
    assert (noisy["blurry"][inside].astype(float) - clean["blurry"][inside]).std() == pytest.approx(8, rel=0.03)


def test_same_seed_same_bytes_and_maps_do_not_depend_on_their_number(tmp_path):
    one, two = (samples(source(tmp_path), recipe(tmp_path, PER_PIXEL), split) for split in ("test", "train"))
    assert (len(one), len(two)) == (2, 3)
    for a, b in zip(one, two, strict=False):
        assert all(a[name].tobytes() == b[name].tobytes() for name in a)
    assert (two[0]["motion"] != two[1]["motion"]).any()
    seeded = samples(source(tmp_path), recipe(tmp_path, f"seed = 1\n{PER_PIXEL}"))
    assert (seeded[0]["motion"] != one[0]["motion"]).any()
    other = samples(source(tmp_path, name="b", seed=1), recipe(tmp_path, PER_PIXEL))
    assert (other[0]["motion"] != one[0]["motion"]).any()


def test_a_shard_gives_the_valid_part_only(tmp_path):
    made = samples(source(tmp_path), recipe(tmp_path, PER_PIXEL))
    with ShardWriter(tmp_path / "a.h5") as writer:
        for sample in made:
            writer.append(sample)
        writer.finish({"fingerprint": "f", "transfer": "pixel"})
    shard = Shard(tmp_path / "a.h5", "a")
    for index, sample in enumerate(made):
        top, left, height, width = shard.box(index)
        assert top > 0 and left > 0
        read = shard.sample(index)
        assert read.blurry.shape == (height, width, 3) and read.sharp.shape == (1, height, width, 3)
        assert (read.blurry == sample["blurry"][top : top + height, left : left + width]).all()
        for name in ("motion", "kernel_motion"):
            assert (read.extras[name] == sample[name][top : top + height, left : left + width]).all()
    assert shard.intact("f")


def test_pictures_whose_names_are_not_utf8(tmp_path):
    source(tmp_path)
    try:
        (tmp_path / "a.png").rename(tmp_path / os.fsdecode(b"\xff.png"))
    except OSError:
        pytest.skip("this file system has no such names")
    with pytest.raises(SourceError, match="has a name that is not UTF-8"):
        find_pictures(tmp_path, 240.0)


def test_a_picture_too_small_for_its_blur(tmp_path):
    keys = (
        'kernels = { variant = "uniform", count = 9, maps = { test = 9 }, strength = { shift_x = 90, shift_y = 0, gradient_x = 0, '
        "gradient_y = 0, zoom = 0, turn = 0, centre = 0 } }"
    )
    with pytest.raises(SourceError, match=r"a is 20x40, its borders alone fill it .* give larger pictures"):
        samples(source(tmp_path, (40, 20)), recipe(tmp_path, keys))
    with pytest.raises(RecipeError, match="no number for split 'train', only for test"):
        KernelSamples(source(tmp_path), recipe(tmp_path, keys), "train", lambda: None)


def test_links_of_pictures(tmp_path):
    (tmp_path / "city").mkdir()
    write_rgb(tmp_path / "city/1.png", picture((32, 40)))
    (tmp_path / "city/up").symlink_to(tmp_path)
    (tmp_path / "more").symlink_to(tmp_path / "city")
    assert [one.source.id for one in find_pictures(tmp_path, 240.0)] == ["city-1", "more-1"]
    (tmp_path / "city/2.png").symlink_to("nowhere")
    with pytest.raises(SourceError, match=r"city/2\.png is a link to nothing"):
        find_pictures(tmp_path, 240.0)


def test_pictures_are_found_in_folders_and_splits(tmp_path):
    for place in ("train/10.png", "train/2.png", "train/city/2.png", "train/.hidden/x.png", "test/10.png"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        write_rgb(tmp_path / place, picture((32, 40)))
    found = find_pictures(tmp_path, 240.0)
    assert [(one.split, one.source.id) for one in found] == [("train", "2"), ("train", "10"), ("train", "city-2"), ("test", "10")]
    assert [one.source.size for one in found] == [(32, 40)] * 4
    for place, expected in (("test/10.png", ("test", "10")), ("train/10.png", ("train", "10")), ("train/city", ("train", "2"))):
        assert [(one.split, one.source.id) for one in find_pictures(tmp_path / place, 240.0)] == [expected]

    write_rgb(tmp_path / "train/city-2.png", picture((32, 40)))
    with pytest.raises(SourceError, match="would both be called 'city-2'"):
        find_pictures(tmp_path, 240.0)
    write_rgb(tmp_path / "stray.png", picture((32, 40)))
    with pytest.raises(SourceError, match=r"beside it stray.png"):
        find_pictures(tmp_path, 240.0)
    (tmp_path / "stray.png").unlink()
    (tmp_path / "validation/city").mkdir(parents=True)
    write_rgb(tmp_path / "validation/city/1.png", picture((32, 40)))
    with pytest.raises(SourceError, match=r"beside it validation/city/1.png"):
        find_pictures(tmp_path, 240.0)
    (tmp_path / "none").mkdir()
    for path, says in (("none", "holds no picture"), ("nowhere", "is missing")):
        with pytest.raises(SourceError, match=says):
            find_pictures(tmp_path / path, 240.0)


def test_estimate_counts_maps_and_splits(tmp_path):
    rule = recipe(tmp_path, PER_PIXEL)
    pictures = [(source(tmp_path, (40, 60), "a"), "train"), (source(tmp_path, (60, 40), "b"), "test")]
    assert estimate(pictures, rule) == (3 + 2) * 40 * 60 * (3 + 3 + 4 + 4)
    assert estimate(pictures * 900, rule) == 900 * estimate(pictures, rule)


@pytest.mark.parametrize("name", ["synthetic-linear", "synthetic-uniform"])
def test_from_pictures_to_a_score(tmp_path, name):
    """The real commands: a dry run, the data set, a second run that finds it made, and copy-blur on it."""
    # Portrait and landscape in one folder, as in BSD500.
    for place, size in {"train/a": (144, 208), "test/b": (208, 144), "test/c": (144, 208)}.items():
        (tmp_path / "in" / place).parent.mkdir(parents=True, exist_ok=True)
        write_rgb(tmp_path / "in" / f"{place}.png", picture(size, len(place)))
    few = ("--set", "kernels.maps={ train = 4, test = 3 }") if name == "synthetic-linear" else ()
    make = ("make-dataset", name, *few, "--source", "in", "--out", "out")
    dry = command(*make, "--dry-run", cwd=tmp_path)
    assert dry.returncode == 0 and "1 train source, 2 test sources" in dry.stderr, dry.stderr
    assert not (tmp_path / "out").exists()

    done = command(*make, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    data = open_dataset(tmp_path / "out")
    counts = (4, 6) if name == "synthetic-linear" else (1, 2)
    assert (data.count("train"), data.count("test")) == counts
    before = data.manifest.content("test")
    assert command(*make, cwd=tmp_path).returncode == 0
    assert open_dataset(tmp_path / "out").manifest.content("test") == before

    run = command("evaluate", "--method", "copy-blur", "--dataset", "out", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    (record,) = (tmp_path / "runs").glob("*.json")
    values = scores(record)["psnr-centre"]
    assert len(values) == counts[1]
    for value, sample in zip(values, data.samples("test"), strict=True):
        error = np.mean((sample.blurry.astype(float) - sample.sharp[0]) ** 2)
        assert value == pytest.approx(10 * np.log10(255**2 / error), abs=1e-3)
        assert value < 40
