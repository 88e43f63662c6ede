"""Importing: from a miniature tree of each released layout to a data set that reads like any other."""

import hashlib
import shutil

import cv2
import numpy as np
import pytest

from blurbench.errors import DataSetError, RecipeError, SourceError, UnknownNameError
from blurbench.importers.layouts import LAYOUTS
from blurbench.importers.pipeline import import_dataset
from blurbench.run.evaluate import evaluate
from blurbench.store import manifest as manifests
from blurbench.store.reader import open_dataset
from blurbench.store.verify import verify
from blurbench.synth.guidance import vectors
from tests.importers import trees
from tests.importers.trees import picture


def rows(folder, split):
    return list(open_dataset(folder).samples(split))


def read(path):
    return cv2.imread(str(path))[..., ::-1]


@pytest.mark.parametrize(("layout", "folder", "transfer"), [("gopro-linear", "blur", "pixel"), ("gopro-gamma", "blur_gamma", "gamma(2.2)")])
def test_gopro(tmp_path, layout, folder, transfer):
    root = trees.gopro(tmp_path / "GOPRO_Large")
    said = []
    manifest = import_dataset(layout, root, tmp_path / "out", note=said.append)
    assert (manifest.dataset, manifest.footage, manifest.transfer) == (layout, "released", transfer)
    assert {split: [(e.video, e.samples) for e in entries] for split, entries in manifest.splits.items()} == {
        "train": [("GOPR0001_07_00", 3)],
        "test": [("GOPR0002_11_00", 3)],
    }
    for number, sample in enumerate(rows(tmp_path / "out", "test"), 3):
        path = root / "test/GOPR0002_11_00" / folder / f"{number:06d}.png"
        assert (sample.blurry == read(path)).all()
        assert (sample.sharp[0] == read(path.parents[1] / "sharp" / path.name)).all() and sample.sharp.shape[0] == 1
        assert sample.times.tolist() == [0.5] and sample.transfer == transfer
        names = [name.decode() for name in sample.extras["files"]]
        assert names == [f"test/GOPR0002_11_00/{kind}/{number:06d}.png" for kind in (folder, "sharp")]
        for name, digest in zip(names, sample.extras["files_sha256"], strict=True):
            assert digest.tobytes().hex() == hashlib.sha256((root / name).read_bytes()).hexdigest()
    assert "note: 3 samples in test, the whole release has 1111" in said


def test_aligned_pairs_want_their_transfer_function(tmp_path):
    root = trees.aligned(tmp_path / "Gopro_align_data")
    with pytest.raises(RecipeError, match="--set transfer=pixel"):
        import_dataset("gopro-align", root, tmp_path / "out")
    lists = {"changes": ["transfer=gamma(2.2)"], "skip_broken": True}  # the tree has one of the listed sequences
    manifest = import_dataset("gopro-align", root, tmp_path / "out", **lists)
    assert manifest.label == "gopro-align-released[transfer=gamma(2.2)]"
    assert len(manifest.missing["train"]) == 21 and "GOPR0384_11_05" in manifest.missing["test"]
    one, two = rows(tmp_path / "out", "train")
    assert one.video == "GOPR0372_07_00" and one.transfer == "gamma(2.2)"
    for number, sample in ((47, one), (48, two)):
        assert (sample.blurry == picture(number, 0)).all() and (sample.sharp[0] == picture(number, 1)).all()


def test_baistpp(tmp_path):
    root = trees.baistpp(tmp_path / "tree", without=[41])
    manifest = import_dataset("baistpp", root, tmp_path / "out", changes=["window.skip_last=40"])
    (entry,) = manifest.splits["test"]
    assert entry.video == "gWA_sBM_c01_d26_mWA0_ch99"
    assert (entry.samples, entry.frames, entry.unused) == (3, 84, 81)
    assert entry.left_out == {"lying at the ends": 80, "want of an annotation": 1}
    samples = rows(tmp_path / "out", "test")
    for number, sample in zip((40, 42, 43), samples, strict=True):
        assert (sample.blurry == picture(number, 9, height=24, width=32)).all()
        assert all((sample.sharp[t] == picture(number, t, height=24, width=32)).all() for t in range(7))
        assert sample.extras["bbox"] == pytest.approx([2.5, 3, 20 + number / 100, 22])
        assert sample.extras["guidance"].dtype == np.int8
        assert (sample.extras["guidance"] == vectors(np.random.default_rng(number).integers(0, 5, (12, 16)))).all()
        # Seven of 128 frames, evenly spread: 0, 21, 42, 64, 85, 106, 127.
        assert sample.times * 128 - 0.5 == pytest.approx([0, 21, 42, 64, 85, 106, 127])


def test_the_settings_of_baistpp(tmp_path):
    root = trees.baistpp(tmp_path / "tree", count=4, guidance="trend", numpy_box=False)
    with pytest.raises(RecipeError, match="has 4 blurry pictures, the first 40 and last 40"):
        import_dataset("baistpp", root, tmp_path / "out")
    whole = ["window.skip_first=0", "window.skip_last=0"]
    with pytest.raises(SourceError, match=r"00000000.png has no file in trend\+_avg/ .*--set guidance=NAME.*and 3 more"):
        import_dataset("baistpp", root, tmp_path / "out", changes=whole)
    manifest = import_dataset("baistpp", root, tmp_path / "out", changes=[*whole, "guidance=trend"])
    assert manifest.splits["test"][0].samples == 4
    assert rows(tmp_path / "out", "test")[3].extras["bbox"] == pytest.approx([2.5, 3, 20.03, 22])
    import_dataset("baistpp", root, tmp_path / "bare", changes=[*whole, "guidance=none", "bbox=none"])
    assert not {"guidance", "bbox"} & rows(tmp_path / "bare", "test")[0].extras.keys()


def test_genblur(tmp_path):
    root = trees.genblur(tmp_path / "tree")
    manifest = import_dataset("genblur", root, tmp_path / "out", skip_broken=True)
    assert [entry.video for entry in manifest.splits["test"]] == ["IMG_0015"] and len(manifest.missing["test"]) == 30
    for number, sample in enumerate(rows(tmp_path / "out", "test")):
        assert (sample.sharp[6] == picture(number, 6)).all()
        rng = np.random.default_rng(number)
        assert (sample.extras["guidance"] == vectors(rng.integers(0, 5, (24, 32)))).all()
        released = rng.normal(size=(24, 32, 12))
        assert sample.extras["flow_half"].shape == (6, 24, 32, 2)
        # Six (x, y) pairs along the channels: pair 4 is channels 8 and 9.
        assert np.abs(sample.extras["flow_half"][4] - released[..., 8:10]).max() < 2e-3


def test_genblur_of_one_name_in_two_folders(tmp_path):
    trees.genblur(tmp_path / "tree")
    trees.genblur(tmp_path / "tree", group="gopro")
    with pytest.raises(SourceError, match=r"adobe/IMG_0015_32X_mp4/blur/00000000.png and gopro/.* are both number 00000000"):
        import_dataset("genblur", tmp_path / "tree", tmp_path / "out")


def test_reds(tmp_path):
    root = trees.reds(tmp_path / "REDS")
    with pytest.raises(RecipeError, match=r"response.file"):
        import_dataset("reds", root, tmp_path / "out")
    curve = np.linspace(0, 1, 256)[:, None, None] ** np.array([2.3, 2.2, 2.1])  # blue, green, red
    np.save(tmp_path / "crf.npy", curve.astype(np.float32))
    manifest = import_dataset("reds", root, tmp_path / "out", changes=[f"response.file={tmp_path / 'crf.npy'}"])
    assert manifest.transfer.startswith("response(") and [e.video for e in manifest.splits["val"]] == ["000", "001"]
    sample = rows(tmp_path / "out", "val")[4]
    assert sample.id == "001/00001"
    assert (sample.blurry == picture(1, 1, 1)).all() and (sample.sharp[0] == picture(1, 1, 0)).all()
    import_dataset("reds", root, tmp_path / "comp", changes=["input=blur_comp", "transfer=gamma(2.2)"])
    assert (rows(tmp_path / "comp", "val")[4].blurry == picture(1, 1, 2)).all()


def test_withheld_targets_are_an_error(tmp_path):
    root = trees.reds(tmp_path / "REDS")
    trees.reds(root, "test")
    shutil.rmtree(root / "test/test_sharp")
    gamma = ["transfer=gamma(2.2)"]
    with pytest.raises(SourceError, match=r"test/test_blur/000/00000000.png has no sharp picture \(and 5 more\).*--split"):
        import_dataset("reds", root, tmp_path / "out", changes=gamma)
    assert import_dataset("reds", root, tmp_path / "out", changes=gamma, splits=("val",)).splits.keys() == {"val"}


@pytest.mark.parametrize(
    ("changes", "offsets"), [([], [-4, 0, 4]), (["window.targets=centre"], [0]), (["window.targets=all"], range(-5, 6))]
)
def test_adobe240(tmp_path, changes, offsets):
    root = trees.adobe(tmp_path / "tree")
    import_dataset("adobe240-bin", root, tmp_path / "out", changes=changes)
    samples = rows(tmp_path / "out", "test")
    assert len(samples) == 4  # 48 / 8 - 2
    for window, sample in enumerate(samples):
        centre = 16 + 8 * window
        for target, offset in zip(sample.sharp, offsets, strict=True):
            assert (target == picture(centre + offset, 3)).all()
        assert sample.times == pytest.approx([(5 + offset + 0.5) / 11 for offset in offsets])
        assert sample.extras["averaged"].tolist() == list(range(centre - 5, centre + 6))
        assert sample.extras["seconds"] == pytest.approx(np.arange(centre - 5, centre + 6) / 240)
        mean = np.mean([picture(frame, 3) for frame in range(centre - 5, centre + 6)], axis=0)
        assert (sample.blurry == np.floor(mean + 1e-6)).all()


def test_it_is_evaluated_like_any_other(tmp_path):
    root = trees.gopro(tmp_path / "tree", numbers=range(1, 3))
    import_dataset("gopro-gamma", root, tmp_path / "out")
    (record,) = evaluate("oracle", tmp_path / "out", out=tmp_path / "runs")
    assert record.values["psnr"].mean == 100 and (record.samples, record.dataset) == (2, "gopro-gamma-released")


def test_what_is_finished_is_kept_and_what_changed_is_read_again(tmp_path):
    root, out = trees.gopro(tmp_path / "tree"), tmp_path / "out"
    first = import_dataset("gopro-linear", root, out)
    times = {path: path.stat().st_mtime_ns for path in out.glob("*/*.h5")}
    (out / "test/.GOPR0002_11_00.h5.1.part").write_bytes(b"half")
    again = import_dataset("gopro-linear", root, out)
    assert again == first and {path: path.stat().st_mtime_ns for path in out.glob("*/*.h5")} == times
    assert not list(out.glob("**/.*"))
    trees.write(root / "test/GOPR0002_11_00/sharp/000004.png", picture(1))
    changed = import_dataset("gopro-linear", root, out)
    assert changed.fingerprint("train") == first.fingerprint("train") and changed.fingerprint("test") != first.fingerprint("test")
    assert (rows(out, "test")[1].sharp[0] == picture(1)).all()


def test_the_fingerprint_is_of_contents(tmp_path):
    one = import_dataset("gopro-linear", trees.gopro(tmp_path / "a"), tmp_path / "out")
    (tmp_path / "elsewhere").mkdir()
    shutil.copytree(tmp_path / "a", tmp_path / "elsewhere/b")
    two = import_dataset("gopro-linear", tmp_path / "elsewhere/b", tmp_path / "two", codec="gzip", workers=2)
    gamma = import_dataset("gopro-gamma", tmp_path / "a", tmp_path / "three")
    assert [one.fingerprint(s) for s in one.splits] == [two.fingerprint(s) for s in one.splits]
    assert one.content("test") == two.content("test")
    assert one.fingerprint("test") != gamma.fingerprint("test")
    for folder in ("out", "two"):
        for shard in open_dataset(tmp_path / folder).shards("test"):
            assert shard.content() == shard.file.attrs["content"]
            shard.close()


def test_nothing_looks_finished_before_it_is(tmp_path, monkeypatch):
    root, out = trees.gopro(tmp_path / "tree"), tmp_path / "out"
    broken = root / "train/GOPR0001_07_00/sharp/000005.png"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:100])
    with pytest.raises(SourceError, match=r"000005.png is not a readable image.*--skip-broken"):
        import_dataset("gopro-linear", root, out)
    assert [path.name for path in out.glob("**/*") if path.is_file()] == ["GOPR0002_11_00.h5"]
    with pytest.raises(DataSetError):
        open_dataset(out)
    broken.write_bytes(whole)
    kept = (out / "test/GOPR0002_11_00.h5").stat().st_mtime_ns
    assert import_dataset("gopro-linear", root, out).splits["train"][0].samples == 3
    assert (out / "test/GOPR0002_11_00.h5").stat().st_mtime_ns == kept


BREAKAGES = {
    "no sharp": (lambda v: (v / "sharp/000004.png").unlink(), r"blur/000004.png has no sharp picture", {"no sharp picture": 1}),
    "no blur": (lambda v: (v / "blur/000005.png").unlink(), r"sharp/000005.png has no blurry picture", {"no blurry picture": 1}),
    "no blur in the middle": (  # of which its neighbour's number tells as well
        lambda v: (v / "blur/000004.png").unlink(),
        r"sharp/000004.png has no blurry picture;",
        {"no blurry picture": 1},
    ),
    "hole": (
        lambda v: [(v / kind / "000004.png").unlink() for kind in ("blur", "sharp")],
        r"blur/000005.png follows number 3, expected steps of 1: 1 missing",
        {"gap in the numbers": 1},
    ),
    "cut": (
        lambda v: (v / "blur/000004.png").write_bytes(b"\x89PNG"),
        r"blur/000004.png is not a readable image",
        {"unreadable or of another size": 1},
    ),
    "size": (
        lambda v: trees.write(v / "sharp/000004.png", picture(0, height=40)),
        r"sharp/000004.png is 64x40, expected 64x48 as its blurry picture",
        {"unreadable or of another size": 1},
    ),
    "both sizes": (
        lambda v: [trees.write(v / kind / "000004.png", picture(0, height=40)) for kind in ("blur", "sharp")],
        r"blur/000004.png: shape \(40, 64, 3\), expected \(48, 64, 3\) as in the video's first sample",
        {"unreadable or of another size": 1},
    ),
    "stray": (lambda v: trees.write(v / "sharp/4b.png", picture(0)), r"sharp/4b.png is not named as", {"unknown name": 1}),
}


@pytest.mark.parametrize("case", BREAKAGES)
def test_what_is_broken_is_told_or_recorded(tmp_path, case):
    harm, message, counted = BREAKAGES[case]
    root, out = trees.gopro(tmp_path / "tree"), tmp_path / "out"
    harm(root / "test/GOPR0002_11_00")
    with pytest.raises(SourceError, match=message):
        import_dataset("gopro-linear", root, out)
    with pytest.raises(DataSetError):
        open_dataset(out)
    (entry,) = import_dataset("gopro-linear", root, out, skip_broken=True).splits["test"]
    assert entry.left_out == counted and entry.samples == (3 if case == "stray" else 2)
    (shard,) = open_dataset(out).shards("test")
    assert any("GOPR0002_11_00" in file for file in shard.provenance["skipped"])
    shard.close()


def test_a_video_without_a_whole_sample_is_missing(tmp_path):
    root, out = trees.gopro(tmp_path / "tree"), tmp_path / "out"
    for path in (root / "test/GOPR0002_11_00/blur").iterdir():
        path.write_bytes(b"")
    manifest = import_dataset("gopro-linear", root, out, skip_broken=True)
    assert manifest.missing == {"test": ["GOPR0002_11_00"]} and manifest.splits.keys() == {"train"}
    shutil.rmtree(root / "train")
    with pytest.raises(SourceError, match="has no whole sample, "):
        import_dataset("gopro-linear", root, tmp_path / "none", skip_broken=True)
    assert not (tmp_path / "none" / manifests.NAME).exists()


def test_a_video_that_is_wholly_broken_takes_its_old_shard_along(tmp_path):
    root, out = trees.gopro(tmp_path / "tree"), tmp_path / "out"
    import_dataset("gopro-linear", root, out)
    for path in (root / "test/GOPR0002_11_00/blur").iterdir():
        path.write_bytes(b"")
    manifest = import_dataset("gopro-linear", root, out, skip_broken=True)
    assert manifest.missing == {"test": ["GOPR0002_11_00"]} and not (out / "test/GOPR0002_11_00.h5").exists()
    assert all(finding.ok for finding in verify(out))
    for path in (root / "train/GOPR0001_07_00/blur").iterdir():
        path.write_bytes(b"")
    with pytest.raises(SourceError, match="has no whole sample"):
        import_dataset("gopro-linear", root, out, skip_broken=True)
    assert not list(out.rglob("*.h5")) and not (out / manifests.NAME).exists()


def test_videos_that_left_the_release_are_kept_and_said(tmp_path):
    root, out, said = trees.gopro(tmp_path / "tree"), tmp_path / "out", []
    trees.gopro(root, videos=[("test", "GOPR0003_11_00")])
    import_dataset("gopro-linear", root, out)
    shutil.rmtree(root / "test/GOPR0003_11_00")
    manifest = import_dataset("gopro-linear", root, out, note=said.append)
    assert [entry.video for entry in manifest.splits["test"]] == ["GOPR0002_11_00", "GOPR0003_11_00"] and manifest.missing == {}
    kept = f"note: {out} keeps 1 videos that the source lacks (first: GOPR0003_11_00); to leave them out give another --out"
    assert kept in said
    said.clear()
    import_dataset("gopro-linear", root, out, splits=("train",), note=said.append)
    assert kept not in said


def test_a_missing_sequence_of_the_lists(tmp_path):
    root = trees.gopro(tmp_path / "tree", videos=[("test", "GOPR0384_11_00")])
    with pytest.raises(SourceError, match=r"lacks 10 of the 11 test videos, the first is GOPR0384_11_05"):
        import_dataset("gopro-linear", root, tmp_path / "out", splits=("test",))
    trees.gopro(root, videos=[("train", "GOPR0384_11_05")])
    with pytest.raises(SourceError, match=r"GOPR0384_11_05 lies in train/, but the lists of 'gopro-linear' have it in test"):
        import_dataset("gopro-linear", root, tmp_path / "out")


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (lambda f: (f / "00000001_006.png").unlink(), r"has 6 targets, numbered 0, 1, 2, 3, 4, 5, expected 7"),
        (lambda f: trees.write(f / "00000001_007.png", picture(0)), r"has 8 targets"),
    ],
)
def test_a_wrong_number_of_targets(tmp_path, number, message):
    root = trees.genblur(tmp_path / "tree", video="IMG_9999")
    number(root / "adobe/IMG_9999/sharp")
    with pytest.raises(SourceError, match=rf"blur/00000001.png {message}"):
        import_dataset("genblur", root, tmp_path / "out")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((24, 32, 3), 1, np.int8), r"is int8 of shape \(24, 32, 3\), expected numbers of shape \(24, 32, 2\)"),
        (np.full((32, 24, 2), 1, np.int8), r"is int8 of shape \(32, 24, 2\), expected numbers of shape \(24, 32, 2\)"),
        (np.full((24, 32, 2), (0, -1), np.int8), r"00000001_trend.npy holds the vector \(0, -1\), expected \(0, 0\) or .*guidance=none"),
        (np.full((24, 32, 2), 0.5, np.float32), r"holds the vector \(0.5, 0.5\), expected"),
        (np.array([{"a": 1}], object), r"is no readable .npy file"),
    ],
)
def test_guidance_that_is_none(tmp_path, array, message):
    root = trees.genblur(tmp_path / "tree", video="IMG_9999")
    np.save(root / "adobe/IMG_9999/trend+/00000001_trend.npy", array, allow_pickle=True)
    with pytest.raises(SourceError, match=message):
        import_dataset("genblur", root, tmp_path / "out")


@pytest.mark.parametrize(
    ("layout", "changes", "error", "message"),
    [
        ("gopro-gama", [], UnknownNameError, "did you mean 'gopro-gamma'"),
        ("gopro-all", [], RecipeError, "blurbench make-dataset gopro-linear --source DIR"),
        ("gopro-linear", ["guidance=none"], UnknownNameError, "known: transfer"),
        ("genblur", ["guidance=a/b"], RecipeError, "expected the name of a folder"),
        ("genblur", ["guidance"], RecipeError, "expected KEY=VALUE"),
        ("gopro-linear", ["transfer=gama"], RecipeError, "unknown transfer function 'gama'"),
        ("reds", ["transfer=pixel"], SourceError, r"holds nothing in layout reds, expected <split>/<split>_blur/<video>/<name>.png"),
    ],
)
def test_mistakes(tmp_path, layout, changes, error, message):
    root = trees.gopro(tmp_path / "tree", numbers=[1])
    with pytest.raises(error, match=message):
        import_dataset(layout, root, tmp_path / "out", changes=changes)
    assert not (tmp_path / "out").exists()


def test_another_release_is_not_mixed_in(tmp_path):
    root = trees.gopro(tmp_path / "tree", numbers=[1])
    import_dataset("gopro-linear", root, tmp_path / "out")
    with pytest.raises(DataSetError, match="already holds 'gopro-linear-released'"):
        import_dataset("gopro-gamma", root, tmp_path / "out")


def test_every_layout_names_a_recipe_with_a_known_number_of_targets():
    from blurbench.synth import recipe

    for layout in LAYOUTS.values():
        assert len(recipe.load(layout.recipe).windows("a").window(0).targets) in (1, 3, 7)
        assert all(pattern.pattern for pattern in layout.patterns(layout.options).values())
