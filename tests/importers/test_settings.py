"""What a user sets of an import: crops to persons, and how changes are told in the name of the data set."""

import cv2
import numpy as np
import pytest

from blurbench.errors import RecipeError, SourceError
from blurbench.importers.pipeline import describe, import_dataset
from blurbench.store.reader import open_dataset
from blurbench.store.verify import verify
from tests.importers import trees
from tests.importers.trees import picture

WHOLE = ["window.skip_first=0", "window.skip_last=0"]
CROPS = ["boxes.width=8", "boxes.height=6"]


def test_crops_to_the_boxes_of_a_release(tmp_path):
    """By the rule of the released reader: box truncated to whole pixels, pictures by area, guidance enlarged, cut, and by the nearest."""
    root = trees.baistpp(tmp_path / "tree", count=84)
    folder = root / "gWA_sBM_c01_d26_mWA0_ch99_cropped_32X"
    jobs = []
    manifest = import_dataset("baistpp", root, tmp_path / "out", changes=CROPS, planned=jobs.extend)
    assert describe(jobs)["bytes"] == 4 * 8 * (8 * 6 * 3)
    assert manifest.label == "baistpp-released[boxes.height=6,boxes.width=8]"
    for number, sample in enumerate(open_dataset(tmp_path / "out").samples("test"), 40):
        assert sample.extras["bbox"] == pytest.approx([2.5, 3, 20 + number / 100, 22])  # still that of the whole picture
        cut = np.s_[3:22, 2:20]
        expected = [cv2.resize(picture(number, k, height=24, width=32)[cut], (8, 6), interpolation=cv2.INTER_AREA) for k in (9, *range(7))]
        assert (sample.blurry == expected[0]).all() and (sample.sharp == expected[1:]).all()
        field = np.load(folder / "trend+_avg" / f"{number:08d}_trend.npy")
        cut_field = field.repeat(2, axis=0).repeat(2, axis=1)[cut]
        nearest = cut_field[(np.arange(6) * 19 // 6)[:, None], np.arange(8) * 18 // 8]
        assert sample.extras["guidance"].dtype == np.int8 and (sample.extras["guidance"] == nearest).all()
    assert all(finding.ok for finding in verify(tmp_path / "out"))
    whole = import_dataset("baistpp", root, tmp_path / "whole")
    assert whole.fingerprint("test") != manifest.fingerprint("test")


def test_wider_crops(tmp_path):
    root = trees.baistpp(tmp_path / "tree", count=1)
    import_dataset("baistpp", root, tmp_path / "out", changes=[*WHOLE, *CROPS, "boxes.ratio=1"])
    (sample,) = open_dataset(tmp_path / "out").samples("test")
    assert (sample.blurry == cv2.resize(picture(0, 9, height=24, width=32), (8, 6), interpolation=cv2.INTER_AREA)).all()


def test_crops_that_cannot_be(tmp_path):
    root = trees.baistpp(tmp_path / "tree", count=2)
    with pytest.raises(RecipeError, match=r"boxes\.width is 8, but bbox=none leaves no boxes to crop to; leave one of them out"):
        import_dataset("baistpp", root, tmp_path / "out", changes=[*WHOLE, *CROPS, "bbox=none"])
    trees.annotation(next(root.rglob("00000001.pkl")), 1, numpy_box=True, left=40.0)
    told = r"00000001\.pkl: bbox is 40, 3, 57\.51, 22, expected a part of the picture, 32x24; copy it again"
    with pytest.raises(SourceError, match=told):
        import_dataset("baistpp", root, tmp_path / "out", changes=[*WHOLE, *CROPS])
    manifest = import_dataset("baistpp", root, tmp_path / "out", changes=[*WHOLE, *CROPS], skip_broken=True)
    (entry,) = manifest.splits["test"]
    assert (entry.samples, entry.left_out) == (1, {"unreadable or of another size": 1})


@pytest.mark.parametrize(
    ("changes", "label"),
    [
        ([], "baistpp-released[window.skip_first=0,window.skip_last=0]"),
        (["bbox=blur_anno", "transfer=gamma(2.20)"], "baistpp-released[window.skip_first=0,window.skip_last=0]"),
        (["bbox = none", "transfer=pixel"], "baistpp-released[bbox=none,transfer=pixel,window.skip_first=0,window.skip_last=0]"),
    ],
)
def test_a_label_says_what_differs_however_it_was_typed(tmp_path, changes, label):
    root = trees.baistpp(tmp_path / "tree", count=1)
    assert import_dataset("baistpp", root, tmp_path / "out", changes=[*WHOLE, *changes]).label == label


def test_a_label_does_not_hold_paths(tmp_path):
    curve = (np.linspace(0, 1, 256)[:, None, None] ** np.array([2.3, 2.2, 2.1])).astype(np.float32)
    labels = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "crf.npy", curve)
        file = f"response.file={tmp_path / name / 'crf.npy'}"
        labels.add(import_dataset("reds", trees.reds(tmp_path / "tree"), tmp_path / name / "out", changes=[file]).label)
    (label,) = labels
    assert label.startswith("reds-released[response.file=response(") and "/" not in label
    assert all(finding.ok for finding in verify(tmp_path / "two/out"))


def test_neighbours_of_a_release_that_leaves_every_second_out(tmp_path):
    """Its layout counts in steps of one; where no layout says it, the smallest step is taken."""
    root = trees.gopro(tmp_path / "tree", numbers=range(1, 12))
    for path in [path for path in root.rglob("*.png") if int(path.stem) % 2 == 0]:
        path.unlink()
    manifest = import_dataset("gopro-linear", root, tmp_path / "out", skip_broken=True)
    data = open_dataset(tmp_path / "out")
    shard = data.shard(manifest.splits["test"][0])
    assert len(shard) == 6 and shard.runs == [range(row, row + 1) for row in range(6)]
    every = import_dataset("gopro-linear", trees.gopro(tmp_path / "all", numbers=range(1, 4)), tmp_path / "every")
    assert open_dataset(tmp_path / "every").shard(every.splits["test"][0]).runs == [range(3)]
