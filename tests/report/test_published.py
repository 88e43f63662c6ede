"""The printed numbers: every cell of the papers' tables is there, every id exists, and the reader lets nothing else pass."""

import csv
import io
import re
from collections import Counter

import pytest

from blurbench.errors import RecordError
from blurbench.methods import method_class
from blurbench.metrics import protocol as protocols
from blurbench.registry import DATASETS, METHODS, PROTOCOLS
from blurbench.report import published

PAPERS = {
    "noroozi2017": "noroozi2017_motion_deblurring_in_the_wild.txt",
    "purohit2019": "purohit2019_bringing_alive_blurred_moments.txt",
    "zhang2020": "zhang2020_every_moment_matters.txt",
    "zhang2021": "zhang2021_exposure_trajectory_recovery.txt",
    "zhong2022": "zhong2022_animation_from_blur.txt",
}
# What begins a line of results in the text of a paper; the "B" of Zhang 2020 is Cyrillic there.
LABEL = re.compile("(PSNR|SSIM|MSE|Runtime|Time|Size|Nah|Jin|Pan|Purohit|Ours|BIN|[12]-stage)|[B\u0412]G?H?$")


@pytest.fixture(scope="module")
def entries():
    return published.read()


def numbers_of(text):
    """The numbers of all lines of results, as printed."""
    found = []
    for line in text.splitlines():
        cells = [re.sub(r"<[^>]*>", "", cell).strip() for cell in line.split("\t")]
        label = next((i for i, cell in enumerate(cells[:2]) if LABEL.match(cell)), None)
        if len(cells) > 2 and label is not None:
            found += [cell for cell in cells[label + 1 :] if re.fullmatch(r"\d+(\.\d+)?", cell)]
        if row := re.match(r"by using the reference sharp image ([\d.|\]\[ ]+)$", line):  # Table 2 of Noroozi 2017, between columns of text
            found += re.findall(r"[\d.]+", row[1])
    return Counter(found)


@pytest.mark.parametrize("paper", PAPERS)
def test_the_tables_are_the_papers(shared, entries, paper):
    text = (shared / "papers" / PAPERS[paper]).read_text(encoding="utf-8")
    mine = [entry for entry in entries if entry.paper == paper]
    tables = Counter(entry.printed for entry in mine if entry.table.startswith("Table"))
    assert tables == numbers_of(text)
    assert sum(tables.values()) == {"noroozi2017": 5, "purohit2019": 30, "zhang2020": 18, "zhang2021": 83, "zhong2022": 42}[paper]
    for entry in mine:
        if entry.table.startswith("Section"):
            assert re.search(rf"(?<![\d.]){re.escape(entry.printed)} ?({entry.unit})?(?!\d)", text), entry


# The methods of the tables that have a column a method, in the paper's order: name and the beginning of the variant.
ETR = [("Y. Zhang 2021 (ETR)", variant) for variant in ("zero", "linear", "bi", "quadratic")]
DEBLUR = "Y. Zhang 2021 (ETR, deblurring)"
COLUMNS = {
    ("purohit2019", "Table 1"): "Xu,Whyte,Sun,Gong,Nah,Kupyn,Tao,Purohit",
    ("zhang2021", "Table 2"): ["Sun", "Gong", *ETR],
    ("zhang2021", "Table 5"): ["Gong", "Nah", "Tao", "Kupyn", "Gao", "H. Zhang 2019 (DMPHN)", DEBLUR, "H. Zhang 2019 (Stack"],
    ("zhang2021", "Table 6"): ["H. Zhang", *((DEBLUR, variant) for variant in ("zero", "linear", "bi", "quadratic"))],
}


@pytest.mark.parametrize(("paper", "table"), COLUMNS)
def test_each_number_is_the_methods_own(shared, entries, paper, table):
    """Every line of such a table, read from left to right, is in the text of the paper."""
    text = re.sub(r"<[^>]*>", "", (shared / "papers" / PAPERS[paper]).read_text(encoding="utf-8"))
    order = COLUMNS[paper, table]
    methods = [each if isinstance(each, tuple) else (each, "") for each in (order.split(",") if isinstance(order, str) else order)]
    mine = [entry for entry in entries if (entry.paper, entry.table) == (paper, table)]
    lines = {(entry.data, entry.metric) for entry in mine}
    assert len(lines) == {"Table 1": 4, "Table 2": 6, "Table 5": 3, "Table 6": 2}[table]
    for line in lines:
        cells = []
        for name, variant in methods:
            found = [e.printed for e in mine if (e.data, e.metric) == line and e.name.startswith(name) and e.variant.startswith(variant)]
            cells.append(found[0] if found else "-")
        assert "\t".join(cells) in text, line


def test_every_id_exists(entries):
    assert {entry.protocol for entry in entries} - {""} <= set(PROTOCOLS.names())
    assert {entry.dataset for entry in entries} - {""} <= set(DATASETS.names())
    labels = {entry.method for entry in entries} - {""}
    assert {label.partition("+")[0] for label in labels} <= set(METHODS.names())
    for name, option in (label.split("+") for label in labels if "+" in label):
        key, value = option.split("-", 1)
        assert value in method_class(method_class(name).card.keeper).training.options[key]
    for entry in entries:
        if entry.column:
            (column,) = [column for column in protocols.load(entry.protocol).columns if column.name == entry.column]
            assert (column.unit == "dB") == (entry.unit == "dB"), entry
            assert column.better == ("higher" if re.match("PSNR|SSIM", entry.metric) else "lower"), entry
            if entry.unit == "dB":
                assert 10 < entry.value < 50
            elif entry.metric.startswith("SSIM"):
                assert 0.5 < entry.value < 1


@pytest.mark.parametrize(
    ("paper", "name", "without"),
    [
        ("noroozi2017", "Noroozi 2017", set()),
        ("purohit2019", "Purohit 2019", set()),
        ("zhang2020", "K. Zhang 2020", set()),
        # Ablations that no option makes.
        ("zhang2021", "Y. Zhang 2021", {f"quadratic, {what}" for what in ("N = 9", "N = 5", "without SSIM", "without tv", "without reg")}),
        ("zhong2022", "Zhong 2022", {"1-stage"}),
    ],
)
def test_a_papers_own_rows_have_their_methods(entries, paper, name, without):
    own = [entry for entry in entries if entry.name.startswith(name)]
    assert own
    assert {entry.variant for entry in own if not entry.method} == without
    assert {entry.method.partition("-")[0].partition("+")[0] for entry in own} - {""} == {paper}


def test_what_may_be_compared(entries):
    """Only where pictures, frames and metric are those of the source, as far as it and its code say."""
    comparable = Counter((entry.paper, entry.dataset, entry.protocol) for entry in entries if entry.comparable)
    assert comparable == {
        ("nah2017-code", "gopro-gamma", "nah2017"): 4,
        ("nah2017-code", "reds", "nah2017"): 6,
        ("shen2020-code", "adobe240", "shen2020"): 4,
        ("tao2018-code", "gopro-linear", "tao2018"): 2,
    }


ROW = {
    "paper": "p2020",
    "table": "Table 1",
    "name": "Me, 2020",
    "variant": "",
    "data": "D",
    "conditions": "",
    "metric": "PSNR",
    "value": "30.10",
    "unit": "dB",
    "dataset": "wild",
    "split": "test",
    "samples": "15",
    "protocol": "noroozi2017",
    "column": "psnr",
    "method": "",
    "comparable": "no",
    "reason": "why",
    "note": "",
}


def file(tmp_path, *rows, header=published.HEADER):
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(header)
    for row in rows:
        writer.writerow(row.values() if isinstance(row, dict) else row)
    path = tmp_path / "published.csv"
    path.write_text(out.getvalue(), encoding="utf-8")
    return path


def test_a_row_is_read_as_printed(tmp_path):
    (entry,) = published.read(file(tmp_path, ROW))
    assert (entry.printed, entry.value, entry.samples, entry.comparable, entry.name) == ("30.10", 30.1, 15, False, "Me, 2020")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"value": "30,1"}, "column value: '30,1', expected a finite number"),
        ({"value": "nan"}, "column value: 'nan', expected a finite number"),
        ({"value": ""}, "column value: '', expected something"),
        ({"paper": ""}, "column paper"),
        ({"name": " Me"}, "column name: ' Me', expected no space"),
        ({"samples": "many"}, "column samples: 'many', expected a whole number"),
        ({"comparable": "maybe"}, "column comparable: 'maybe', expected yes or no"),
        ({"reason": ""}, "column reason: '', expected why the number is not comparable"),
        ({"comparable": "yes"}, "column reason: 'why', expected nothing"),
        ({"dataset": ""}, "column dataset: '', expected something: dataset, split, protocol are given together"),
        ({"protocol": ""}, "column protocol"),
        ({"column": ""}, "column column: '', expected a column of the protocol"),
        ({"metric": "time", "unit": "s"}, "column column: 'psnr', expected nothing: time is no column"),
        ({"metric": "time", "unit": "ms", "column": ""}, "column unit: 'ms', expected s"),
        ({"dataset": "", "split": "", "protocol": "", "column": "", "comparable": "yes", "reason": ""}, "column comparable"),
    ],
)
def test_mistakes_name_row_and_column(tmp_path, change, says):
    path = file(tmp_path, {**ROW, "name": "first"}, {**ROW, **change})
    with pytest.raises(RecordError) as caught:
        published.read(path)
    assert "row 2" in str(caught.value) and says in str(caught.value)


def test_a_number_stands_once(tmp_path):
    with pytest.raises(RecordError, match=r"row 3, column metric: 'PSNR' of 'Me, 2020' stands in row 1 already"):
        published.read(file(tmp_path, ROW, {**ROW, "name": "other"}, {**ROW, "value": "31"}))


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (("papper", *published.HEADER[1:]), "did you mean 'paper'"),
        (published.HEADER[:-1], "lacks the column note"),
        ((*published.HEADER[1:], "paper"), "another order"),
    ],
)
def test_the_header_is_checked(tmp_path, header, says):
    with pytest.raises(RecordError, match=says):
        published.read(file(tmp_path, header=header))


def test_what_is_no_table(tmp_path):
    with pytest.raises(RecordError, match="row 1: 3 cells, expected 18"):
        published.read(file(tmp_path, ["a", "b", "c"]))
    with pytest.raises(RecordError, match="cannot be read"):
        published.read(tmp_path / "missing.csv")
    (tmp_path / "latin.csv").write_bytes("paper,tablé".encode("latin-1"))
    with pytest.raises(RecordError, match="cannot be read"):
        published.read(tmp_path / "latin.csv")
