"""Boards: order, ranks, what stands beside what, and which records can stand on one at all."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blurbench.baselines import trivial
from blurbench.errors import RecordError, UnknownNameError
from blurbench.report import published
from blurbench.report.board import TRIVIAL, boards, collect
from blurbench.run.record import Value
from tests.report.records import made, written


def entry(**facts):
    """A printed PSNR of noroozi2017 on wild."""
    plain = published.Published(
        paper="noroozi2017",
        table="Table 2",
        name="Them 2017",
        variant="",
        data="WILD",
        conditions="",
        metric="PSNR",
        printed="28.1",
        unit="dB",
        dataset="wild",
        split="test",
        samples=None,
        protocol="noroozi2017",
        column="psnr",
        method="them2017",
        comparable=True,
        reason="",
        note="",
    )
    return replace(plain, **facts)


def test_ranks_with_ties_among_measured_rows_only():
    means = {"a": 30.0, "b": 30.0, "c": 28.0, "d": 29.5, "none": None}
    rows = [made(method, mean=mean, dataset="wild-released") for method, mean in means.items()]
    (board,) = boards(rows, [entry(), entry(table="Table 3", printed="29.5", method="", name="Others")])
    assert [(row.rank, row.label, row.measured) for row in board.rows] == [
        (1, "a", True),
        (1, "b", True),
        (3, "d", True),
        (None, "Others", False),
        (None, "them2017", False),
        (4, "c", True),
        (None, "none", True),
    ]
    assert board.name == "wild-released-test-ffffffff.noroozi2017-v1"
    assert board.missing_trivial == list(TRIVIAL)


@given(st.lists(st.one_of(st.none(), st.sampled_from([1.0, 2.0, 2.5, 40.0]), st.floats(0, 60)), min_size=1, max_size=12))
def test_a_rank_counts_those_who_are_better(means):
    (board,) = boards([made(f"m{i}", mean=mean) for i, mean in enumerate(means)])
    valued = [mean for mean in means if mean is not None]
    for row in board.rows:
        mean = row.cells["psnr"].mean
        assert row.rank == (None if mean is None else 1 + sum(other > mean for other in valued))
    shown = [row.cells["psnr"].mean for row in board.rows]
    assert shown == sorted(valued, reverse=True) + [None] * (len(means) - len(valued))


def test_lower_is_better_where_the_metric_says_so():
    rows = [made("far", "zhang2021-motion", 9.0), made("near", "zhang2021-motion", 3.0)]
    (board,) = boards(rows)
    assert [(row.rank, row.method) for row in board.rows] == [(1, "near"), (2, "far")]


def test_the_difference_to_the_paper():
    row = made("zhang2020-bgh", "zhang2020", 30.0, dataset="gopro7-released")
    (board,) = boards([row], published.read())
    (mine,) = board.measured
    cell = mine.cells["psnr-centre"]
    assert (cell.published.printed, cell.published.variant) == ("30.64", "BGH (+HeptaGAN)")
    assert cell.difference == pytest.approx(-0.64)
    assert mine.cells["epe"].difference == pytest.approx(30 - 10.03)
    assert mine.cells["psnr"].difference is None and mine.cells["psnr"].published is None
    assert [row.label for row in board.rows if not row.measured][:2] == ["zhang2020-bgh (BGH (+HeptaGAN))", "purohit2019"]
    (purohit,) = [row for row in board.rows if row.method == "purohit2019"]
    assert purohit.source == "zhang2020, Table 1" and "11-frame" in purohit.reason


def test_the_authors_own_comparable_number_comes_first():
    copied = entry(paper="others2018", printed="25.0")
    far = entry(table="Table 1", printed="26.0", comparable=False, reason="other SSIM")
    row = made("noroozi2017", mean=27.0, dataset="wild-released")
    for order in ([copied, far], [far, copied]):
        (board,) = boards([row], [replace(each, method="noroozi2017") for each in order])
        assert board.measured[0].cells["psnr"].difference == pytest.approx(2.0)
    own = [replace(each, method="noroozi2017") for each in (copied, entry(table="Table 9"))]
    (board,) = boards([row], own)
    assert board.measured[0].cells["psnr"].difference == pytest.approx(27 - 28.1)


@pytest.mark.parametrize(
    ("facts", "comparable"),
    [
        ({"dataset": "gopro-gamma-released", "samples": 1111}, True),
        ({"dataset": "gopro-gamma-released", "samples": 1110, "failed": {"x": "NaN"}}, True),
        ({"dataset": "gopro-gamma-released", "samples": 8}, False),
        ({"dataset": "gopro-gamma", "samples": 1111}, False),
    ],
)
def test_comparable_only_on_the_papers_own_pictures(facts, comparable):
    (board,) = boards([made("nah2017", "nah2017", 30.0, **facts)], published.read())
    cell = board.measured[0].cells["psnr"]
    assert (cell.published.printed, cell.published.comparable) == ("30.40", comparable)
    reasons = {row.reason for row in board.rows if not row.measured}
    assert (reasons == {""}) is comparable


@pytest.mark.parametrize(
    ("method", "protocol", "dataset", "column", "printed"),
    [
        ("zhang2020", "zhang2020", "gopro7", "epe", "13.62"),
        ("zhang2020-bg", "zhang2020", "gopro7", "epe", "11.25"),
        ("noroozi2017", "noroozi2017", "wild", "psnr", "28.1"),
        ("noroozi2017-si", "noroozi2017", "wild", "psnr", "25.8"),
        ("purohit2019", "purohit2019-deblur", "gopro-linear", "psnr", "30.58"),
        ("zhang2021+constraint-zero", "zhang2021-deblur", "gopro-linear", "psnr", "30.79"),
        ("zhang2021-reblur+constraint-linear", "zhang2021-reblur", "gopro-linear", "psnr", "33.45"),
    ],
)
def test_each_variant_meets_its_own_number(method, protocol, dataset, column, printed):
    (board,) = boards([made(method, protocol, 30.0, dataset=f"{dataset}-released")], published.read())
    assert board.measured[0].cells[column].published.printed == printed


def test_a_small_network_that_ships_is_not_comparable():
    facts = {"dataset": "gopro-gamma-released", "samples": 1111}
    for origin, comparable in (("given", True), ("found", True), ("shipped", False)):
        weights = {"origin": origin, "sha256": "0" * 64, "files": ["w.pth"]}
        (board,) = boards([made("nah2017", "nah2017", 30.0, weights=weights, **facts)], published.read())
        cell = board.measured[0].cells["psnr"]
        assert (cell.published.comparable, cell.difference) == (comparable, pytest.approx(-0.4))
        assert all(entry.comparable for row in board.rows for entry in row.published if entry.column)


@pytest.mark.parametrize("dataset", ["gopro7-rendered", "gopro7[window.length]", "rendered"])
def test_other_data_have_no_printed_numbers(dataset):
    (board,) = boards([made("zhang2020", "zhang2020", dataset=dataset)], published.read())
    assert len(board.rows) == 1 and board.measured[0].cells["psnr-centre"].published is None


def test_another_split_has_none_either():
    (board,) = boards([made("nah2017", "nah2017", dataset="reds-released", split="train")], published.read())
    assert len(board.rows) == 1
    (board,) = boards([made("nah2017", "nah2017", dataset="reds-released", split="val", samples=3000)], published.read())
    assert [row.label for row in board.rows][:3] == [
        *("nah2017 (mixed precision, GoPro pretrained)", "nah2017 (mixed precision)", "nah2017 (single precision)")
    ]


def test_boards_of_papers_alone():
    built = boards([made("zhang2020", "zhang2020", dataset="gopro7-released")], published.read(), alone=True)
    places = {(e.dataset, e.protocol) for e in published.read() if e.protocol}
    assert len(built) == len(places)
    assert [board.name for board in built if board.name.startswith("wild")] == ["wild-test-published.noroozi2017-v1"]


def test_a_board_a_fingerprint_protocol_and_split():
    rows = [made(), made(fingerprint="a" * 64), made(split="val"), made(protocol="nah2017"), made("other")]
    assert sorted(len(board.rows) for board in boards(rows)) == [1, 1, 1, 2]


def test_trivial_methods_are_those_of_blurbench():
    classes = [each for each in vars(trivial).values() if isinstance(each, type) and each.__module__ == trivial.__name__]
    assert {cls.card.id for cls in classes} == set(TRIVIAL)
    (board,) = boards([made("oracle"), made("copy-blur"), made("mine")])
    assert {row.method: row.trivial for row in board.rows} == {"oracle": True, "copy-blur": True, "mine": False}
    assert board.missing_trivial == ["oracle-centre", "oracle-reversed"]


def test_boards_refuse_another_version():
    with pytest.raises(RecordError, match="version 9, here is version 1"):
        boards([made(protocol_version=9)])
    with pytest.raises(RecordError, match="another text of that version"):
        boards([made(rules="0" * 64)])
    with pytest.raises(UnknownNameError, match="did you mean 'noroozi2017'"):
        boards([replace(made(), protocol="norozi2017")])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema": 99}, "schema 99"),
        ({"schema": "one"}, "schema 'one', expected a whole number"),
        ({"protocol": "gone"}, "unknown protocol 'gone'"),
        ({"protocol_version": 7}, "version 7, here is version 1"),
        ({"rules": "0" * 64}, "another text"),
        ({"values": {"psnr": {"mean": "high"}}}, "psnr.mean is 'high', expected a number"),
        ({"values": {"psnr": {"mean": float("nan")}}}, "psnr.mean is nan"),
        ({"values": [1]}, "not a complete run record"),
        ({"samples": "8"}, "samples is '8', expected int"),
        ({"failed": None}, "failed is None, expected dict"),
        ({"weights": {"files": []}}, "expected sha256 and origin"),
        ({"method": 3}, "method is 3, expected str"),
        ({"dataset": None}, "dataset is None"),
        ({"more": 1}, "unexpected keyword argument 'more'"),
    ],
)
def test_a_bad_record_is_left_out_and_the_others_stay(tmp_path, change, says):
    good = written(tmp_path)
    table = json.loads((tmp_path / f"{good.name}.json").read_text())
    (tmp_path / "bad.json").write_text(json.dumps({**table, "method": "bad", **change}))
    rows, (line,) = collect(tmp_path)
    assert [row.method for row in rows] == ["mine"]
    assert str(tmp_path / "bad.json") in line and says in line


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1}', "null", "\xff"])
def test_what_is_no_record_is_left_out(tmp_path, text):
    (tmp_path / "bad.json").write_bytes(text.encode("latin-1"))
    rows, (line,) = collect(tmp_path)
    assert not rows and "bad.json" in line


def test_of_duplicates_the_newest_stays(tmp_path):
    good = written(tmp_path)
    table = json.loads((tmp_path / f"{good.name}.json").read_text())
    (tmp_path / "a-copy.json").write_text(json.dumps({**table, "date": "2020-01-01T00:00:00+00:00", "values": {"psnr": {"mean": 1.0}}}))
    rows, (line,) = collect(tmp_path)
    assert [row.values["psnr"].mean for row in rows] == [32.0]
    assert "a-copy.json: the same run as" in line


def test_a_missing_column_is_an_empty_cell():
    (board,) = boards([made("partly", "nah2017", values={}, mean=30.0), replace(made("rest", "nah2017"), values={"ssim": Value(0.5)})])
    assert [(row.rank, row.method, row.cells["psnr"].mean) for row in board.rows] == [(1, "partly", 30.0), (None, "rest", None)]
