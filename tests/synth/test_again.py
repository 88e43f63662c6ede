"""Making a data set again into the same folder: what is there grows, and is never mixed with other footage in silence."""

import json
import shlex

import cv2
import numpy as np
import pytest

from blurbench.cli import blurbench
from blurbench.errors import DataSetError, RecipeError
from blurbench.store import manifest as manifests
from blurbench.store.reader import open_dataset
from blurbench.store.verify import verify
from blurbench.synth.pipeline import make_dataset
from blurbench.synth.plan import command_for
from tests.synth.recipe_head import HEAD

WHOLE = "there already, whole, and not made again"


def rendered(folder, **settings):
    return make_dataset("gopro7", out=folder, **{"clips": {"train": 0, "test": 2}, "size": (32, 48), "frames": 14, **settings})


def videos(manifest):
    return {split: [entry.video for entry in entries] for split, entries in manifest.splits.items()}


def test_more_clips_and_other_splits_join_what_is_there(tmp_path):
    first = rendered(tmp_path)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.glob("test/*.h5")}
    grown = rendered(tmp_path, clips={"train": 1, "test": 3})
    assert {split: len(names) for split, names in videos(grown).items()} == {"train": 1, "test": 3}
    assert grown.splits["test"][:2] == first.splits["test"] and len(written) == 2
    assert all(path.stat().st_mtime_ns == moment for path, moment in written.items())
    assert rendered(tmp_path, clips={"train": 2, "test": 0}).splits["test"] == grown.splits["test"]
    assert rendered(tmp_path, clips={"train": 3, "test": 1}, splits=("train",)).splits["test"] == grown.splits["test"]


def test_what_was_there_already_is_told(tmp_path):
    told = []
    rendered(tmp_path, clips={"train": 0, "test": 1}, note=told.append)
    assert not told
    rendered(tmp_path, note=told.append)
    rendered(tmp_path, workers=2, note=told.append)
    assert told == [f"1 of 2 videos was {WHOLE}", f"2 of 2 videos were {WHOLE}"]


@pytest.mark.parametrize("clips", [{"train": 0, "test": 2}, {"train": 1, "test": 0}])
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"seed": 1}, "holds clips of --seed 0, asked for are clips of --seed 1; give another --out, or delete the folder"),
        ({"size": (32, 64)}, "holds clips of --size 48x32, asked for are clips of --size 64x32; give another --out"),
        ({"frames": 21}, "holds clips of --frames 14, asked for are clips of --frames 21; give another --out"),
    ],
)
def test_other_built_in_footage_is_refused(tmp_path, change, says, clips):
    before = rendered(tmp_path)
    with pytest.raises(DataSetError, match=says):
        rendered(tmp_path, clips=clips, **change)
    assert manifests.read(tmp_path) == before and all(finding.ok for finding in verify(tmp_path))


def test_a_manifest_that_never_knew_better_is_no_way_around(tmp_path):
    """Its first shard cannot be read, the second says what the footage is."""
    entries = rendered(tmp_path).splits["test"]
    (tmp_path / entries[0].file).write_bytes(b"broken")
    with pytest.raises(DataSetError, match="holds clips of --seed 0"):
        rendered(tmp_path, seed=1)
    assert rendered(tmp_path).splits["test"] == entries and all(finding.ok for finding in verify(tmp_path))


def test_another_codec_is_for_what_is_made_anew_and_said(tmp_path):
    said = []
    first = rendered(tmp_path, note=said.append)
    assert not said
    grown = rendered(tmp_path, clips={"train": 0, "test": 3}, codec="gzip", note=said.append)
    codec = f"note: finished videos in {tmp_path} keep their codec, zstd; for gzip give another --out"
    assert said == [codec, f"2 of 3 videos were {WHOLE}"]
    assert [shard.codec for shard in open_dataset(tmp_path).shards("test")] == ["zstd", "zstd", "gzip"]
    assert grown.splits["test"][:2] == first.splits["test"]


def test_fewer_clips_are_refused(tmp_path):
    before = rendered(tmp_path, clips={"train": 0, "test": 3})
    says = r"holds 2 clips of test beyond the 1 asked for \(first: rendered-test-s0-0001\); ask for as many with --clips test=N, "
    with pytest.raises(DataSetError, match=says):
        rendered(tmp_path, clips={"train": 1, "test": 1})
    assert manifests.read(tmp_path) == before


@pytest.fixture
def photographs(tmp_path):
    """A folder of two pictures."""
    rng = np.random.default_rng(0)
    (tmp_path / "shown").mkdir()
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / "shown" / name), rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))
    return tmp_path / "shown"


def test_own_photographs_are_in_training_clips_alone(tmp_path, photographs):
    """Test clips are those of every other data set, and so are their fingerprints."""
    own = rendered(tmp_path / "own", clips={"train": 2, "test": 2}, photographs=photographs)
    bundled = rendered(tmp_path / "bundled", clips={"train": 2, "test": 2})
    assert own.fingerprint("test") == bundled.fingerprint("test") and own.fingerprint("train") != bundled.fingerprint("train")
    (shard, _), (other, _) = (list(open_dataset(tmp_path / name).shards("train")) for name in ("own", "bundled"))
    assert (shard.sample(0).sharp != other.sample(0).sharp).mean() > 0.2
    assert shard.provenance["source"]["photographs"]["files"] == 2
    assert all(finding.ok for finding in verify(tmp_path / "own"))


def test_the_command_that_makes_built_in_footage_again(tmp_path, photographs, monkeypatch):
    """Run from where the photographs lie, it makes clips of the same fingerprint."""
    settings = {"clips": {"train": 2, "test": 1}, "photographs": photographs, "changes": ["transfer=pixel"], "seed": 3}
    made = rendered(tmp_path / "data", **settings)
    command = command_for(open_dataset(tmp_path / "data"), "train")
    assert command.startswith("blurbench make-dataset gopro7 --set=transfer=pixel --clips train=2 --clips test=0 --seed 3 --size 48x32")
    assert command.endswith("--frames 14 --photographs shown")
    monkeypatch.chdir(tmp_path)
    blurbench.main([*shlex.split(command)[1:], "--out", "again"], standalone_mode=False)
    assert manifests.read(tmp_path / "again").fingerprint("train") == made.fingerprint("train")


def test_no_command_makes_the_footage_of_others_again(source):
    made(source)
    assert command_for(open_dataset(source.parent / "data"), "train") is None


def test_clips_of_other_photographs_are_not_mixed(tmp_path, photographs):
    """Neither with fewer nor with more; but test clips join, and more clips of the same photographs."""
    rendered(tmp_path / "data", clips={"train": 1, "test": 0}, photographs=photographs)
    forgotten = r"holds clips of train made with --photographs shown \(2 files\), asked for are clips made without --photographs; give"
    with pytest.raises(DataSetError, match=forgotten):
        rendered(tmp_path / "data", clips={"train": 2, "test": 2})
    grown = rendered(tmp_path / "data", clips={"train": 2, "test": 0}, photographs=photographs)
    assert len(grown.splits["train"]) == 2
    (photographs / "b.png").unlink()
    with pytest.raises(DataSetError, match=r"shown \(2 files\), asked for are clips made with --photographs shown \(1 files\)"):
        rendered(tmp_path / "data", clips={"train": 2, "test": 0}, photographs=photographs)
    assert len(rendered(tmp_path / "data").splits["test"]) == 2


@pytest.mark.parametrize("settings", [{}, {"clips": {"train": 1, "test": 1}, "splits": ("test",)}])
def test_photographs_without_training_clips_are_refused(tmp_path, photographs, settings):
    with pytest.raises(RecipeError, match=r"--photographs is for training clips, but none are asked for; give e\.g\. --clips train=900"):
        rendered(tmp_path / "data", photographs=photographs, **settings)


def test_no_clip_is_asked_for(tmp_path):
    planned = []
    with pytest.raises(RecipeError, match=r"--clips is train=0, test=0, expected at least one clip; give e.g. --clips test=16"):
        rendered(tmp_path / "data", clips={"train": 0, "test": 0}, planned=planned.append)
    assert not planned and not (tmp_path / "data").exists()


@pytest.fixture
def source(tmp_path):
    """Three folders of pictures, and a recipe that lists two of them."""
    rng = np.random.default_rng(0)
    for place in ("train/a", "test/b", "test/c"):
        (tmp_path / "source" / place).mkdir(parents=True)
        for number in range(3):
            cv2.imwrite(str(tmp_path / "source" / place / f"{number}.png"), rng.integers(0, 256, (32, 48, 3), dtype=np.uint8))
    (tmp_path / "mine.toml").write_text(HEAD + '[window]\nlength = 3\n[split]\ntest = ["b", "c"]\n')
    return tmp_path / "source"


def made(source, **settings):
    said = []
    manifest = make_dataset(str(source.parent / "mine.toml"), source, source.parent / "data", note=said.append, **settings)
    return manifest, said


def test_a_video_that_left_the_source_is_kept_and_said(source):
    whole, said = made(source)
    assert not said and videos(whole) == {"train": ["a"], "test": ["b", "c"]}
    (source / "test/b").rename(source.parent / "b")
    kept, said = made(source)
    assert kept == whole
    lacks = f"note: {source.parent / 'data'} keeps 1 videos that the source lacks (first: b); to leave them out give another --out"
    assert said == [lacks, f"2 of 2 videos were {WHOLE}"]
    assert made(source, splits=("train",))[1] == [f"1 of 1 videos was {WHOLE}"]  # nothing of a split that is not made


def test_a_source_may_come_in_parts(source):
    """A video is missing until it came."""
    (source / "test/b").rename(source.parent / "b")
    part, said = made(source)
    assert part.missing == {"test": ["b"]} == json.loads((source.parent / "data/manifest.json").read_text())["missing"]
    assert len(said) == 1 and "lacks videos of the recipe's lists (1 of 2 test; first: b)" in said[0]
    (source.parent / "b").rename(source / "test/b")
    (source / "test/c").rename(source.parent / "c")
    whole, said = made(source)
    assert whole.missing == {} and videos(whole) == {"train": ["a"], "test": ["b", "c"]}
    assert "keeps 1 videos that the source lacks (first: c)" in said[0] and said[1:] == [f"1 of 2 videos was {WHOLE}"]


def bare(source):
    """The same without folders of splits, each video alone."""
    for place in ("train/a", "test/b", "test/c"):
        (source / place).rename(source.parent / place[-1])
    return source.parent


def test_a_part_without_a_listed_video_does_not_join_listed_ones(source):
    """As if it had come with them; by its folder it does."""
    place = bare(source)
    recipe, out = str(place / "mine.toml"), place / "data"
    whole = make_dataset(recipe, place / "b", out, note=print)
    with pytest.raises(DataSetError) as caught:
        make_dataset(recipe, place / "a", out, note=print)
    assert str(caught.value) == (
        f"{out} holds videos of the lists of 'mine', of the source none is in a list (first: a), so that it belongs to no split; "
        "put it into a folder train/ or test/, or give another --out"
    )
    assert manifests.read(out) == whole and [path.name for path in out.glob("*/*.h5")] == ["b.h5"]
    (place / "Test").mkdir()
    (place / "a").rename(place / "Test/a")
    assert videos(make_dataset(recipe, place / "Test", out, note=print)) == {"test": ["a", "b"]}


def test_listed_videos_do_not_join_what_is_in_no_list(source):
    place = bare(source)
    recipe, out = str(place / "mine.toml"), place / "data"
    make_dataset(recipe, place / "a", out, note=print)
    with pytest.raises(DataSetError) as caught:
        make_dataset(recipe, place / "b", out, note=print)
    told = (
        f"{out} holds 1 videos that are in no list of 'mine' (first: a in test), which videos of the lists would join; give another --out"
    )
    assert str(caught.value) == told and manifests.read(out).videos() == {"a"}
    make_dataset(recipe, place / "a", out, note=print)


def test_a_video_in_another_split_is_refused(source):
    made(source)
    (source / "train/a").rename(source / "test/a")
    for splits in ((), ("test",)):
        with pytest.raises(DataSetError, match="holds a in train, the source has it in test; move it back, or give another --out"):
            made(source, splits=splits)
