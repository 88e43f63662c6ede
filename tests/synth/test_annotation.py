"""Guidance from labelme files: masks by hand, random polygons against exact arithmetic, directions, and how mistakes are told."""

import json
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from skimage.draw import polygon2mask

from blurbench.errors import RecipeError
from blurbench.synth.annotation import LABELS, direction, filled, read_labelme
from blurbench.synth.guidance import classes, guidance, vectors


def shape(label, *points, **more):
    return {"label": label, "points": [list(point) for point in points], "group_id": None, "shape_type": "polygon", "flags": {}, **more}


def box(label, left, top, right, bottom):
    return shape(label, (left, top), (right, top), (right, bottom), (left, bottom))


def write(path, *shapes, size=(4, 6), **more):
    """A file as labelme saves it, for a picture of size (H, W)."""
    head = {"version": "5.5.0", "flags": {}, "shapes": list(shapes), "imagePath": "a.png", "imageData": None}
    path.write_text(json.dumps({**head, "imageHeight": size[0], "imageWidth": size[1], **more}))
    return path


def drawn(path, *shapes, size=(4, 6)):
    """Classes (H, W) of a file of these shapes, as lists."""
    found = read_labelme(write(path, *shapes, size=size), size)
    assert found.dtype == np.int8 and found.shape == (*size, 2)
    return classes(found).tolist()


def test_a_box_covers_its_pixels_and_the_rest_is_still(tmp_path):
    """From 1 to 4 are the pixels 1, 2 and 3."""
    found = read_labelme(write(tmp_path / "a.json", box("I", 1, 1, 4, 3)), (4, 6))
    expected = np.zeros((4, 6, 2), np.int8)
    expected[1:3, 1:4] = 1, -1
    np.testing.assert_array_equal(found, expected)


def test_a_triangle_by_hand(tmp_path):
    """Centres on its right edge, which runs through (0.5, 3.5), (1.5, 2.5), ..., do not belong to it."""
    assert drawn(tmp_path / "a.json", shape("III", (0, 0), (4, 0), (0, 4))) == [
        [3, 3, 3, 0, 0, 0],
        [3, 3, 0, 0, 0, 0],
        [3, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0],
    ]


def test_later_shapes_cover_earlier_ones(tmp_path):
    shapes = [box("I", 0, 0, 4, 3), box("200", 2, 1, 6, 4), box("still", 3, 2, 4, 3)]
    assert drawn(tmp_path / "a.json", *shapes) == [[1, 1, 1, 1, 0, 0], [1, 1, 3, 3, 3, 3], [1, 1, 3, 0, 3, 3], [0, 0, 3, 3, 3, 3]]
    assert drawn(tmp_path / "a.json", *shapes[::-1])[1] == [1, 1, 1, 1, 3, 3]


def test_a_rectangle_is_two_corners_in_any_order(tmp_path):
    expected = drawn(tmp_path / "a.json", box("IV", 1, 0, 3, 2))
    for corners in ([(1, 0), (3, 2)], [(3, 2), (1, 0)], [(3, 0), (1, 2)], [(1, 2), (3, 0)]):
        assert drawn(tmp_path / "a.json", shape("IV", *corners, shape_type="rectangle")) == expected


def test_parts_outside_the_picture_are_cut_off(tmp_path):
    assert drawn(tmp_path / "a.json", box("II", -50, 2, 2, 99)) == [[0] * 6, [0] * 6, [2, 2, 0, 0, 0, 0], [2, 2, 0, 0, 0, 0]]


def test_what_other_tools_leave_out(tmp_path):
    """Only sizes and shapes are read, and a shape without a kind is a polygon."""
    file = {"imageHeight": 2, "imageWidth": 2, "shapes": [{"label": "I", "points": [[0, 0], [2, 0], [2, 1], [0, 1]]}]}
    (tmp_path / "a.json").write_text(json.dumps(file))
    assert classes(read_labelme(tmp_path / "a.json", (2, 2))).tolist() == [[1, 1], [0, 0]]


def inside(x, y, corners):
    """Whether an odd number of edges passes strictly at the right, in whole numbers; an edge has its upper end and not its lower one."""
    odd = False
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
        if (ay > y) != (by > y):
            beyond = (bx - ax) * (y - ay) - (x - ax) * (by - ay)
            odd ^= beyond > 0 if by > ay else beyond < 0
    return odd


@given(st.lists(st.tuples(st.integers(-8, 40), st.integers(-8, 32)), min_size=3, max_size=9))
@settings(max_examples=100, deadline=None)
def test_every_pixel_of_any_polygon(quarters):
    """Corners at quarters of a pixel, polygons that cross themselves among them."""
    expected = [[inside(4 * x + 2, 4 * y + 2, quarters) for x in range(8)] for y in range(6)]
    assert filled(np.array(quarters) / 4, (6, 8)).tolist() == expected


@given(st.lists(st.tuples(st.integers(-8, 40), st.integers(-8, 32)), min_size=3, max_size=9), st.integers(0, 8), st.booleans())
@settings(max_examples=50, deadline=None)
def test_a_polygon_is_the_same_from_any_corner_and_in_any_sense(quarters, start, back):
    other = (quarters[start:] + quarters[:start])[:: -1 if back else 1]
    np.testing.assert_array_equal(filled(np.array(quarters) / 4, (6, 8)), filled(np.array(other) / 4, (6, 8)))


def test_polygons_that_share_edges_share_no_pixel_and_leave_none():
    """A fan around a centre of a pixel."""
    rim = [(0, 0), (6, 0), (6, 3), (6, 4), (1, 4), (0, 4)]
    fan = [filled(np.array([(2.5, 1.5), one, two]), (4, 6)) for one, two in zip(rim, rim[1:] + rim[:1], strict=True)]
    assert (np.sum(fan, axis=0) == 1).all()


def test_large_polygons_are_those_of_scikit_image():
    """Of a star of 40 corners nowhere near a centre."""
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False) + 0.0123
    length = np.where(np.arange(40) % 2, 91.37, 40.11)
    corners = np.stack([120.3 + length * np.cos(turn), 99.7 + length * np.sin(turn)], axis=1)
    np.testing.assert_array_equal(filled(corners, (180, 240)), polygon2mask((180, 240), corners[:, ::-1] - 0.5))


@pytest.mark.parametrize(
    ("label", "x", "y"), [("I", 1, -1), ("II", -1, -1), ("III", -1, 1), ("IV", 1, 1), ("still", 0, 0), ("45", 1, -1), ("135.5", -1, -1)]
)
def test_labels_are_directions(label, x, y):
    """x right, y down."""
    assert vectors(np.array(direction(label))).tolist() == [x, y]


@pytest.mark.parametrize(("angle", "step"), [("0", (5, 0)), ("90", (0, -5)), ("180", (-5, 0)), ("270", (0, 5))])
def test_angles_on_an_axis_count_as_measured_motion_does(angle, step):
    measured = guidance(np.broadcast_to(np.array(step, np.float32), (1, 2, 2, 2)), half=False)
    assert (vectors(np.array(direction(angle))) == measured).all()


@given(st.floats(0, 359.99).filter(lambda angle: angle % 90 > 0.01))
def test_angles_count_as_measured_motion_does(angle):
    """Counterclockwise as people see it, while y points down."""
    motion = np.array([math.cos(math.radians(angle)), -math.sin(math.radians(angle))], np.float32)
    measured = guidance(np.broadcast_to(motion, (1, 2, 2, 2)), half=False)[0, 0]
    for label in (f"{angle:.6f}", f" {angle:.6f}° "):
        assert vectors(np.array(direction(label))).tolist() == measured.tolist()


@pytest.mark.parametrize(("angle", "written"), [("360", "0"), ("-45", "315"), ("400.5", "40.5"), ("-720", "0")])
def test_angles_out_of_range_are_told_with_what_to_write(angle, written):
    with pytest.raises(RecipeError) as error:
        direction(angle, "a.json: shapes[2]")
    assert (
        str(error.value)
        == f"a.json: shapes[2]: label is {angle!r}, expected an angle from 0 to below 360; write {written} for this direction"
    )


@pytest.mark.parametrize("label", ["V", "i", "up", "", "nan", "inf", "1e2", "0x10", "--4", "4 5", 3, 45.0, None, True, ["I"], "१"])
def test_unknown_labels(label):
    with pytest.raises(RecipeError, match=r"label is .*, expected still, I, II, III, IV, or an angle in degrees from 0 to below 360"):
        direction(label)


def test_labels_are_in_the_order_of_the_classes():
    assert [direction(label) for label in LABELS] == [0, 1, 2, 3, 4]


GOOD = box("I", 1, 1, 4, 3)


@pytest.mark.parametrize(
    ("shapes", "more", "says"),
    [
        ([], {}, "a.json: shapes is [], expected a list of polygons; draw one around what moved"),
        ([GOOD], {"shapes": {"label": "I"}}, "a.json: shapes is {'label': 'I'}, expected a list of polygons"),
        ([GOOD, box("north", 1, 1, 4, 3)], {}, "a.json: shapes[1]: label is 'north', expected still, I, II, III, IV, or an angle"),
        ([box("361", 1, 1, 4, 3)], {}, "shapes[0]: label is '361', expected an angle from 0 to below 360; write 1 for this direction"),
        ([GOOD, 7], {}, "a.json: shapes[1] is 7, expected an object"),
        ([{"label": "I"}], {}, "a.json: shapes[0] lacks points"),
        ([{"points": [[1, 1], [4, 1], [4, 3]]}], {}, "a.json: shapes[0] lacks label"),
        ([shape("I", (1, 1), (4, 1))], {}, "shapes[0]: points has 2 points, expected at least 3 points for a polygon"),
        (
            [shape("I", (1, 1), (4, 1), (4, 3), shape_type="rectangle")],
            {},
            "points has 3 points, expected 2 opposite corners for a rectangle",
        ),
        ([shape("I", (1, 1), (4, 1), shape_type="circle")], {}, "shapes[0]: shape_type is 'circle', expected polygon or rectangle"),
        ([shape("I", shape_type=None)], {}, "shapes[0]: shape_type is None, expected polygon or rectangle"),
        ([{**GOOD, "points": "all"}], {}, "shapes[0]: points has no list of points"),
        ([shape("I", (1, 1), (4, 1, 0), (4, 3))], {}, "shapes[0]: points[1] is [4, 1, 0], expected [x, y] in pixels"),
        ([shape("I", (1, 1), (4, "1"), (4, 3))], {}, "shapes[0]: points[1] is [4, '1'], expected [x, y] in pixels"),
        ([shape("I", (1, 1), (4, 1), (4, math.nan))], {}, "shapes[0]: points[2] is [4, nan], expected [x, y] in pixels"),
        ([shape("I", (1, 1), (4, 1e300), (4, 3))], {}, "shapes[0]: points[1] is [4, 1e+300], expected [x, y] in pixels"),
        ([shape("I", (1, 1), (True, 1), (4, 3))], {}, "shapes[0]: points[1] is [True, 1], expected [x, y] in pixels"),
        ([GOOD, box("I", 20, 20, 30, 30)], {}, "shapes[1]: points cover no pixel of the picture (6x4), expected a polygon inside it"),
        ([box("I", 1.6, 1.6, 2.4, 2.4)], {}, "shapes[0]: points cover no pixel"),
        ([GOOD], {"imageHeight": 8}, "a.json: imageHeight is 8, expected 4, for the picture is 6x4 (width x height)"),
        ([GOOD], {"imageWidth": 12}, "a.json: imageWidth is 12, expected 6, for the picture is 6x4"),
        ([GOOD], {"imageWidth": "6"}, "a.json: imageWidth is '6', expected 6"),
        ([GOOD], {"imageWidth": None}, "a.json: imageWidth is None, expected 6"),
    ],
)
def test_mistakes_name_the_field(tmp_path, shapes, more, says):
    with pytest.raises(RecipeError) as error:
        read_labelme(write(tmp_path / "a.json", *shapes, **more), (4, 6))
    assert says in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("key", ["shapes", "imageHeight", "imageWidth"])
def test_missing_keys_are_named(tmp_path, key):
    path = write(tmp_path / "a.json", GOOD)
    file = json.loads(path.read_text())
    del file[key]
    path.write_text(json.dumps(file))
    with pytest.raises(RecipeError, match=rf"a\.json lacks {key}, expected it as labelme saves it"):
        read_labelme(path, (4, 6))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is not JSON"),
        (b"not JSON", "is not JSON"),
        (b'{"shapes": [', "is not JSON"),
        (b"\x89PNG\r\n\x1a\n\xff", "is not JSON"),
        (b"[" * 200_000, "is not JSON"),
        (b"1" * 5000, "is not JSON"),
        (b"[]", "holds [], expected an object with shapes, imageHeight and imageWidth"),
    ],
)
def test_files_that_are_no_labelme_file(tmp_path, content, says):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(RecipeError) as error:
        read_labelme(tmp_path / "a.json", (4, 6))
    assert says in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) < 400


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(RecipeError, match=r"none\.json cannot be read: No such file or directory; expected a labelme file"):
        read_labelme(tmp_path / "none.json", (4, 6))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.sampled_from(["I", "still", "77", "x", "polygon", "rectangle"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["label", "points", "shape_type"]), inner),
    max_leaves=12,
)


@given(st.lists(st.fixed_dictionaries({"label": ANYTHING, "points": ANYTHING}, optional={"shape_type": ANYTHING}) | ANYTHING, max_size=3))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_content_is_guidance_or_told_in_one_line(tmp_path, shapes):
    try:
        found = read_labelme(write(tmp_path / "a.json", *shapes), (4, 6))
    except RecipeError as error:
        assert "\n" not in str(error) and "shapes" in str(error)
    else:
        assert found.shape == (4, 6, 2) and classes(found).max() <= 4
