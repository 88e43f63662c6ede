"""Reading protocols, and what a sample scores under them."""

from pathlib import Path

import pytest

from blurbench.errors import RecipeError, UnknownNameError
from blurbench.metrics import protocol as protocols
from blurbench.metrics.protocol import Column
from blurbench.registry import METRICS, PROTOCOLS

FILE = Path(__file__).parents[2] / "leaderboards" / "protocols" / "blurbench-1.toml"
COLUMNS = ["psnr-centre", "ssim-centre", "psnr", "psnr-pooled", "psnr-forward", "ssim", "ordering", "reblur-psnr"]

needs_entry_points = pytest.mark.skipif("psnr" not in METRICS.names(), reason="blurbench is not installed: pip install -e .")
pytestmark = needs_entry_points

MINIMAL = """
id = "mine"
version = 1
title = "t"
description = "d"
quantise = "round"
psnr_cap = 100.0
direction = "clip"
rank_by = "a"
[[columns]]
name = "a"
metric = "psnr"
description = "d"
"""


@pytest.fixture(scope="module")
def rules():
    return protocols.read(FILE)


def written(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def test_blurbench_1(rules):
    assert rules.id == FILE.stem
    assert rules.version == 1
    assert [column.name for column in rules.columns] == COLUMNS
    assert (rules.quantise, rules.psnr_cap, rules.direction, rules.decide_by, rules.samples) == ("round", 100.0, "clip", "psnr", 1)
    assert [column.name for column in rules.columns if column.direction == "best"] == ["psnr", "psnr-pooled", "ssim"]
    assert [column.name for column in rules.columns if column.reduction == "pooled"] == ["psnr-pooled", "psnr-forward"]
    assert {column.name: (column.unit, column.better) for column in rules.columns if column.unit != "dB"} == {
        "ssim-centre": ("1", "higher"),
        "ssim": ("1", "higher"),
        "ordering": ("levels", "lower"),
    }


def test_load_by_id(rules):
    assert protocols.load("blurbench-1") == rules
    with pytest.raises(UnknownNameError, match="unknown protocol 'blurbench1'; did you mean 'blurbench-1'"):
        protocols.load("blurbench1")


def test_minimal(tmp_path):
    rules = protocols.load(str(written(tmp_path, MINIMAL)))
    assert rules.columns == (Column("a", "psnr", "d"),)
    assert (rules.columns[0].frames, rules.columns[0].direction, rules.columns[0].reduction) == ("all", "as-is", "mean")


def test_a_table_reads_back_as_it_was():
    for name in PROTOCOLS.names():
        rules = protocols.load(name)
        assert protocols.of_table(rules.table(), "a record") == rules


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("psnr_cap", "psnr_kap", "unknown key 'psnr_kap' in .*mine.toml; did you mean 'psnr_cap'.*known: columns, crop, decide_by"),
        ('metric = "psnr"', 'metrik = "psnr"', "unknown key 'metrik' in column 1 of .*did you mean 'metric'"),
        ('metric = "psnr"', 'metric = "psnrr"', "column 1 of .*unknown metric 'psnrr'; did you mean 'psnr'"),
        ('rank_by = "a"', 'rank_by = "b"', "unknown column 'b' in rank_by"),
        ('quantise = "round"', 'quantise = "floor"', "quantise is 'floor', expected one of round, truncate, float"),
        ('direction = "clip"', 'direction = "frame"', "direction is 'frame', expected one of as-is, clip"),
        ("version = 1", "version = 0", "version is 0, expected a whole number of at least 1"),
        ("version = 1", "version = true", "version is True"),
        ("version = 1\n", "", "missing 1 required positional argument: 'version'"),
        ('title = "t"', "title = 3", "title is 3, expected text"),
        ("psnr_cap = 100.0", "psnr_cap = -1", "psnr_cap is -1, expected dB, above 0"),
        ("psnr_cap = 100.0", "psnr_cap = 100.0\nsamples = 0", "samples is 0, expected a whole number of at least 1"),
        ("psnr_cap = 100.0", 'psnr_cap = 100.0\ndecide_by = "ssim"', "decide_by is 'ssim', expected one of psnr, psnr-ends, each"),
        ("psnr_cap = 100.0", 'psnr_cap = 100.0\ncrop = "30"', "crop is '30', expected border:PIXELS or top-left:HEIGHTxWIDTH"),
        ("psnr_cap = 100.0", "psnr_cap = 100.0\npatch = 0", "patch is 0, expected a side in pixels"),
        ('metric = "psnr"', 'metric = "psnr"\ndraws = "worst"', "draws is 'worst', expected first, mean, best, best:K or expected-best:K"),
        ('metric = "psnr"', 'metric = "psnr"\ndraws = "best:3"', r"a.draws is 'best:3', expected at most 1 draws \(samples\)"),
        ('metric = "psnr"', 'metric = "psnr"\naverage = "frames"', "average is 'frames', expected one of samples, videos"),
        ('metric = "psnr"', 'metric = "ordering"\noptions = {reductoin = "sum"}', "unknown option 'reductoin'.*did you mean 'reduction'"),
        ('metric = "psnr"', 'metric = "reblur-psnr"\noptions = {transfer = "pixel"}', "unknown option 'transfer'"),
        ('metric = "psnr"', 'metric = "psnr"\nframes = "first"', "frames is 'first', expected all, centre or a list"),
        ('metric = "psnr"', 'metric = "psnr"\nframes = [0, -1]', r"frames is \(0, -1\)"),
        ('metric = "psnr"', 'metric = "psnr"\nframes = []', r"frames is \(\)"),
        ('metric = "psnr"', 'metric = "psnr"\ndirection = "clip"', "direction is 'clip', expected one of as-is, best, frame, patch, pixel"),
        ('metric = "psnr"', 'metric = "psnr"\nreduction = "max"', "reduction is 'max', expected one of mean, pooled"),
        ('metric = "psnr"', 'metric = "ssim"\nreduction = "pooled"', "reduction is 'pooled', expected mean"),
        ('metric = "psnr"', 'metric = "ordering"\nframes = "centre"', "expected several frames for ordering"),
        ("[[columns]]", '[[columns]]\nname = "a"\nmetric = "ssim"\ndescription = "d"\n[[columns]]', "column name is 'a'"),
        ("[[columns]]", "[columns]", r"expected at least one table \[\[columns\]\]"),
        ('id = "mine"', "id =", "not valid TOML"),
    ],
)
def test_mistakes_in_a_file(tmp_path, old, new, words):
    assert old in MINIMAL
    with pytest.raises(RecipeError, match=words) as error:
        protocols.read(written(tmp_path, MINIMAL.replace(old, new, 1)))
    assert "mine.toml" in str(error.value)
    assert "\n" not in str(error.value)


def test_best_needs_a_decision(tmp_path):
    text = MINIMAL.replace('direction = "clip"', 'direction = "as-is"') + 'direction = "best"\n'
    with pytest.raises(RecipeError, match=r"a.direction is 'best', expected as-is, because the protocol's direction is as-is"):
        protocols.read(written(tmp_path, text))
