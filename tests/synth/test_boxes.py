"""Crops around persons, as the released reader of B-AIST++ makes them."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from blurbench.errors import SourceError
from blurbench.synth import boxes
from blurbench.synth import recipe as recipes
from blurbench.synth.extras import Extras
from blurbench.synth.tables import Boxes, Frame


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [(0.0, (10, 20, 30, 60)), (0.5, (5, 10, 65, 80)), (1.0, (0, 0, 100, 100))],
)
def test_widening_moves_each_side_towards_the_border(ratio, expected):
    assert boxes.widen((10.7, 20.9, 30.2, 60.4), ratio, (100, 100)) == expected


@pytest.mark.parametrize(
    ("box", "ratio", "expected"),
    [
        ((-40, 10, -20, 60), 0.0, (0, 10, 0, 60)),
        ((120, 10, 150, 60), 0.0, (100, 10, 100, 60)),
        ((10, -9, 60, -1), 0.0, (10, 0, 60, 0)),
        ((10, 130, 60, 140), 0.0, (10, 100, 60, 100)),
        ((-40, 90, 20, 160), 0.0, (0, 90, 20, 100)),
        ((-40, 10, -20, 60), 0.5, (0, 5, 40, 80)),
    ],
)
def test_no_side_is_beyond_the_border(box, ratio, expected):
    assert boxes.widen(box, ratio, (100, 100)) == expected


def test_a_box_follows_the_frame():
    """1920x1080 reduced to 1280x720, of which the middle 960 columns are kept."""
    rule = Frame(width=1280, height=720, crop=(960, 720), anchor="centre")
    assert boxes.framed((960, 540, 1500, 1080), (1080, 1920), rule) == pytest.approx((480, 360, 840, 720))


def test_the_crop_is_resized_by_area():
    picture = np.random.default_rng(0).integers(0, 256, (2, 40, 50, 3), np.uint8)
    small = boxes.crop(picture, (10, 8, 30, 32), Boxes(width=10, height=12))
    assert small.shape == (2, 12, 10, 3)
    expected = cv2.resize(picture[1, 8:32, 10:30], (10, 12), interpolation=cv2.INTER_AREA)
    assert (small[1] == expected).all()
    means = picture[0, 8:32, 10:30].reshape(12, 2, 10, 2, 3).mean(axis=(1, 3))
    assert np.abs(small[0] - means).max() <= 0.5


def source(folder):
    return SimpleNamespace(id="clip", path=folder / "clip.mp4")


def test_reading(tmp_path):
    assert boxes.read_boxes(source(tmp_path)) is None
    (tmp_path / "clip.boxes.csv").write_text("frame,x_min,y_min,x_max,y_max,score\n3,1,2,30,40,0.9\n7,2,2,31,41,0.8\n")
    assert boxes.read_boxes(source(tmp_path)) == {3: (1, 2, 30, 40), 7: (2, 2, 31, 41)}


@pytest.mark.parametrize("text", ["\ufeffframe,x_min,y_min,x_max,y_max\r\n3,1,2,30,40\r\n", "x_min,frame,y_min,x_max,y_max\n1,3,2,30,40\n"])
def test_tables_of_spreadsheets(tmp_path, text):
    (tmp_path / "clip.boxes.csv").write_bytes(text.encode())
    assert boxes.read_boxes(source(tmp_path)) == {3: (1, 2, 30, 40)}


@pytest.mark.parametrize(("here", "given"), [("clip", ""), ("clip/deep", ".."), ("", "clip")])
def test_boxes_beside_a_folder_however_it_is_given(tmp_path, monkeypatch, here, given):
    (tmp_path / "clip/deep").mkdir(parents=True)
    (tmp_path / "clip.boxes.csv").write_text("frame,x_min,y_min,x_max,y_max\n3,1,2,30,40\n")
    monkeypatch.chdir(tmp_path / here)
    assert boxes.find(SimpleNamespace(id="clip", folder=Path(given))).samefile(tmp_path / "clip.boxes.csv")


def test_a_table_in_another_encoding(tmp_path):
    (tmp_path / "clip.boxes.csv").write_bytes("frame,x_min,y_min,x_max,y_max\n3,1,2,30,40\n".encode("utf-16"))
    with pytest.raises(SourceError, match=r"clip\.boxes\.csv cannot be read \(.*\), expected a table of text in UTF-8; save it") as caught:
        boxes.read_boxes(source(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("row", ["-40,10,-20,60", "120,10,150,60", "10,-9,60,-1", "10,130,60,140"])
def test_a_box_outside_the_picture_leaves_its_sample_out(tmp_path, row):
    (tmp_path / "clip.boxes.csv").write_text(f"frame,x_min,y_min,x_max,y_max\n1,{row}\n4,-40,90,20,160\n")
    recipe = recipes.load("gopro7", ["boxes.width=4", "boxes.height=2"])
    extras = Extras(SimpleNamespace(**vars(source(tmp_path)), size=(100, 100)), recipe)
    pictures = np.random.default_rng(0).integers(0, 256, (4, 100, 100, 3), np.uint8)
    sample = {"blurry": pictures[0], "sharp": pictures[1:]}
    assert extras.add(sample, [0.0, 1.0, 2.0]) == "box outside the picture"
    assert sample.keys() == {"blurry", "sharp"}
    assert extras.add(sample, [6.0, 7.0, 8.0]) == "no box"
    assert extras.add(sample, [3.0, 4.0, 5.0]) is None  # the part of it that is in the picture
    np.testing.assert_array_equal(sample["blurry"], cv2.resize(pictures[0, 90:, :20], (4, 2), interpolation=cv2.INTER_AREA))
    assert sample["bbox"].tolist() == [-40, 90, 20, 160]


def test_motion_is_that_of_the_whole_pictures(tmp_path):
    """A texture moves 3 pixels right and 2 down between targets: twice as far in a crop enlarged by 2, and by 3 in height."""
    (tmp_path / "clip.boxes.csv").write_text("frame,x_min,y_min,x_max,y_max\n1,24,28,64,68\n")
    recipe = recipes.load("gopro7", ["boxes.width=80", "boxes.height=120", "motion.flow=dis-medium", "guidance.aggregate=avg"])
    texture = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (120, 120, 3), np.uint8), (0, 0), 2)
    sharp = np.stack([texture[16 - 2 * k :, 16 - 3 * k :][:96, :96] for k in range(3)])
    sample = {"blurry": sharp[1], "sharp": sharp}
    whole = {"blurry": sharp[1], "sharp": sharp}
    size = SimpleNamespace(**vars(source(tmp_path)), size=(96, 96))
    assert Extras(size, recipe).add(sample, [0.0, 1.0, 2.0]) is None
    plain = recipes.load("gopro7", ["motion.flow=dis-medium", "guidance.aggregate=avg"])
    assert Extras(size, plain).add(whole, [0.0, 1.0, 2.0]) is None
    assert sample["flow"].shape == (2, 120, 80, 2) and sample["flow"].dtype == np.float16
    assert np.median(sample["flow"], axis=(1, 2)) == pytest.approx(np.array([[6, 6], [6, 6]]), abs=0.3)
    assert np.median(sample["flow_first_last"], axis=(0, 1)) == pytest.approx([12, 12], abs=0.6)
    cut = whole["guidance"].repeat(2, axis=0).repeat(2, axis=1)[28:68, 24:64]
    assert (sample["guidance"] == cut.repeat(3, axis=0).repeat(2, axis=1)).all() and (sample["guidance"] == 1).mean() > 0.95


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "frame,x_min,y_min,x_max\n1,2,3,4\n",
            "begins with 'frame,x_min,y_min,x_max', .* of which y_max are missing; let its first line be",
        ),
        ("3,1,2,30,40\n", "begins with '3,1,2,30,40', expected the names of its columns"),
        ("", "begins with '', expected the names"),
        ("frame,x_min,y_min,x_max,y_max\n1,2,3,four,5\n", "line 2 is '1,2,3,four,5', expected five numbers"),
        ("frame,x_min,y_min,x_max,y_max\n1,2,nan,4,5\n", "line 2 is '1,2,nan,4,5', expected five numbers"),
        ("frame,x_min,y_min,x_max,y_max\n1,9,3,4,5\n", "is empty, expected x_min < x_max"),
        ("frame,x_min,y_min,x_max,y_max\n1,2,3,4,5\n1,3,3,4,5\n", "line 3: frame 1 has a box already, expected one a frame; keep one"),
    ],
)
def test_mistakes(tmp_path, text, says):
    (tmp_path / "clip.boxes.csv").write_text(text)
    with pytest.raises(SourceError, match=says):
        boxes.read_boxes(source(tmp_path))
