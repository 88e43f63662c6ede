"""The site as files: what pages say and link to, what a hostile record can do, what is written again. In a browser: tests/browser."""

import csv
import json
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from blurbench.cli import blurbench
from blurbench.errors import DataSetError, PredictionError
from blurbench.metrics import protocol as protocols
from blurbench.registry import PROTOCOLS
from blurbench.report import published, site_rows, site_words
from blurbench.report.board import boards, collect, empty_reasons
from blurbench.report.site import build_site
from blurbench.report.site_files import INDEX, Made, SiteFiles, page_name
from blurbench.run.record import Value
from tests.report.records import WEIGHTS, made, written

HOSTILE = "<script>document.title='taken'<!--\"'&\u202e|{{ 7*7 }}"
VOID = {"meta", "link", "img", "input", "br"}


class Page(HTMLParser):
    """The elements of a page in order, each (tag, attributes, text directly after it)."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.path, self.elements = path, []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        self.elements.append([tag, dict(attributes), ""])

    def handle_data(self, data):
        if self.elements:
            self.elements[-1][2] += data

    def all(self, tag):
        return [(attributes, text.strip()) for name, attributes, text in self.elements if name == tag]

    def rows(self):
        """The rows of the board: lists of (tag, attributes, texts of the cell)."""
        rows, inside = [], False
        for tag, attributes, text in self.elements:
            if tag == "tbody":
                inside = True
            elif tag == "tr" and inside:
                rows.append([])
            elif tag in ("td", "th") and inside and rows:
                rows[-1].append([tag, attributes, [text.strip()]])
            elif inside and rows and rows[-1]:
                rows[-1][-1][2].append(text.strip())
        return rows


@pytest.fixture
def runs(tmp_path):
    """Three methods on one board, one of them hostile, one without the ranking column, and a trivial one."""
    folder = tmp_path / "runs"
    written(folder, "mine", "blurbench-1", (30.0, 31.0, 35.0))
    record = written(folder, HOSTILE, "blurbench-1", (20.0, 21.0, 22.0))
    replace(record, command=f"blurbench evaluate --method '{HOSTILE}'").write(folder)
    written(folder, "copy-blur", "blurbench-1", (25.0, 26.0, 27.5), weights=None)
    return folder


def build(runs, out, **options):
    found, left_out = collect(runs)
    return build_site(boards(found, published.read()), out, runs=runs, left_out=left_out, **options)


def pages(site):
    return [Page(path) for path in sorted(site.rglob("*.html"))]


def board_page(site) -> Page:
    (path,) = (site / "boards").glob("*.html")
    return Page(path)


def test_board_has_the_values_ranks_and_links(runs, tmp_path):
    build(runs, tmp_path / "site")
    page = board_page(tmp_path / "site")
    first, second, third = page.rows()
    assert [row[0][2][0] for row in (first, second, third)] == ["1", "2", "3"]
    assert "mine" in first[1][2] and "copy-blur" in second[1][2] and "†" in second[1][2]
    rules = protocols.load("blurbench-1")
    place = 3 + [column.name for column in rules.columns].index("psnr-pooled")
    assert (first[place][1]["data-v"], first[place][2][:2]) == ("32", ["", "32.00"])  # best: in a span
    assert second[place][1]["data-v"] == "26.1667" and second[place][2][0] == "26.17"
    assert first[2][2] == ["own", "01234567"] and second[2][2] == ["none"]
    links = {text: attributes["href"] for attributes, text in page.all("a")}
    record = (page.path.parent / unquote(links["record"])).resolve()
    assert json.loads(record.read_text())["method"] in ("mine", "copy-blur", HOSTILE)
    assert f"blurbench evaluate --method '{HOSTILE}'".replace("\u202e", " ") in [text for _, text in page.all("code")]


def test_head_says_unit_direction_rule_and_count(runs, tmp_path):
    build(runs, tmp_path / "site")
    heads = [h for h in board_page(tmp_path / "site").elements if h[0] == "th" and h[1].get("scope") == "col"]
    ranking = next(h for h in heads if h[2].startswith("psnr-pooled"))
    assert ranking[1]["aria-sort"] == "descending" and ranking[1]["data-sort"] == "higher"
    text = (tmp_path / "site/boards").glob("*.html").__next__().read_text()
    assert "all frames, better direction of the clip, error pooled over frames, N&nbsp;=&nbsp;3" in text
    assert "all frames, as returned, N&nbsp;=&nbsp;3" in text  # ordering
    assert next(h for h in heads if h[2].startswith("ordering"))[1]["data-sort"] == "lower"


def test_every_link_leads_somewhere_and_nothing_leaves_the_site(runs, tmp_path):
    site = tmp_path / "site"
    build(runs, site)
    seen = 0
    for page in pages(site):
        ids = {attributes["id"] for _, attributes, _ in page.elements if "id" in attributes}
        for tag, attributes, _ in page.elements:
            for name in ("href", "src"):
                target = attributes.get(name)
                if target is None or target == "data:,":
                    continue
                assert not re.match(r"[a-z]+:|//", target), (page.path, target)
                path, _, fragment = unquote(target).partition("#")
                place = (page.path.parent / path).resolve() if path else page.path
                assert place.is_file() and place.is_relative_to(site.resolve()), (page.path, target)
                if fragment:
                    assert fragment in (ids if not path else {a.get("id") for _, a, _ in Page(place).elements})
                seen += 1
            assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
    assert seen > 60


def test_hostile_names_are_text(runs, tmp_path):
    site = tmp_path / "site"
    build(runs, site)
    for page in pages(site):
        scripts = [attributes for attributes, _ in page.all("script")]
        assert [Path(attributes["src"]).name for attributes in scripts] == ["site.js"], page.path
        assert "49" not in [text for _, text in page.all("bdi")]
        assert "\u202e" not in page.path.read_text(encoding="utf-8")
    assert [path for path in site.rglob("*") if "<" in path.name or "script>" in path.name] == []
    shown = [text for _, text in board_page(site).all("bdi")]
    assert HOSTILE.replace("\u202e", " ") in shown


def test_pages_can_be_used_without_a_mouse_or_eyes(runs, tmp_path):
    site = tmp_path / "site"
    build(runs, site)
    for page in pages(site):
        html = page.all("html")[0][0]
        assert html["lang"] == "en" and len(page.all("h1")) == 1 and page.all("title")[0][1]
        ids = [attributes["id"] for _, attributes, _ in page.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
        labels = {attributes.get("for") for attributes, _ in page.all("label")}
        for attributes, _ in page.all("input"):
            assert attributes.get("id") in labels or attributes["type"] in ("checkbox", "radio"), page.path
        for attributes, _ in page.all("img"):
            assert "alt" in attributes
        for attributes, _ in page.all("th"):
            assert attributes.get("scope") in ("col", "row", "rowgroup")


def test_printed_numbers_stand_beside_with_their_reason(tmp_path):
    record = made("zhang2020", "zhang2020", 31.0, dataset="gopro7-released", samples=1111)
    (board,) = [b for b in boards([record], published.read()) if b.measured]
    build_site([board], tmp_path / "site")
    page = board_page(tmp_path / "site")
    rows = {attributes.get("class"): attributes for attributes, _ in page.all("tr")}
    assert {None, "printed"} <= set(rows)  # a measured row has no class
    text = page.path.read_text(encoding="utf-8")
    cell = next(cell for cell in board.measured[0].cells.values() if cell.published)
    assert cell.difference is not None and f"{cell.difference:+.2f}" in text
    printed = next(row for row in board.rows if row.published)
    assert printed.source in text and printed.published[0].printed in text
    assert "not comparable" in text and printed.reason.split("; ")[0].replace("'", "&#39;") in text


def test_a_missing_metric_is_a_dash_with_its_reason(tmp_path):
    record = made("mine", "blurbench-1", values={"psnr": Value(None)}, empty={"psnr": "the method gives the centre frame only"})
    build_site(boards([record]), tmp_path / "site")
    page = board_page(tmp_path / "site")
    (row,) = page.rows()
    place = 3 + [column.name for column in protocols.load("blurbench-1").columns].index("psnr")
    assert row[place][2] == [chr(0x2013)] and "data-v" not in row[place][1]
    assert "the method gives the centre frame only (mine)" in page.path.read_text()


def test_a_reason_of_many_methods_names_the_first():
    rows = [made(f"method-{i:02d}", "blurbench-1", values={"psnr": Value(None)}, empty={"psnr": "gone"}) for i in range(22)]
    ((reason, names),) = empty_reasons(boards(rows)[0])
    assert (reason, names) == ("gone", [*(f"method-{i:02d}" for i in range(20)), "and 2 more"])
    assert empty_reasons(boards(rows[:20])[0]) == [("gone", names[:20])]


def test_what_is_left_out_is_said(runs, tmp_path):
    good = json.loads(next(runs.glob("mine*.json")).read_text())
    (runs / "future.json").write_text(json.dumps({**good, "schema": 99}))
    (runs / "broken.json").write_text("{")
    (runs / "twice.json").write_text(json.dumps({**good, "date": "2030-01-01T00:00:00+00:00"}))
    build(runs, tmp_path / "site")
    said = [text for _, text in Page(tmp_path / "site/index.html").all("li")]
    assert any("has schema 99" in line for line in said) and any("broken.json cannot be read" in line for line in said)
    assert any("the same run as twice.json" in line for line in said)


def test_only_what_changed_is_written(runs, tmp_path):
    site = tmp_path / "site"
    first = build(runs, site).counts
    (site / "mine.txt").write_text("a stranger's file")
    before = {path: path.stat().st_mtime_ns for path in site.rglob("*") if path.is_file()}
    again = build(runs, site).counts
    assert (again.written, again.removed) == (0, 0) and first.written > 15
    assert {path: path.stat().st_mtime_ns for path in site.rglob("*") if path.is_file()} == before
    next(runs.glob("copy-blur*.json")).unlink()
    third = build(runs, site).counts
    changed = {path.relative_to(site).parts[0] for path in before if path.is_file() and path.stat().st_mtime_ns != before[path]}
    assert third.removed >= 2 and not list((site / "records").glob("copy-blur*")) and not (site / "methods/copy-blur.html").exists()
    assert "protocols" not in changed and "site.css" not in changed and {"index.html", "boards"} <= changed
    assert (site / "mine.txt").exists()


def test_a_damaged_index_builds_anew_and_a_newer_one_is_refused(runs, tmp_path):
    site = tmp_path / "site"
    build(runs, site)
    (site / INDEX).write_text("{")
    assert build(runs, site).counts.written == 0
    table = json.loads((site / INDEX).read_text())
    (site / INDEX).write_text(json.dumps({**table, "format": 99}))
    with pytest.raises(DataSetError, match="format 99, this blurbench reads up to 1"):
        build(runs, site)


def test_an_index_cannot_make_it_remove_what_lies_outside(tmp_path):
    outside = tmp_path / "precious"
    outside.write_text("x")
    site = SiteFiles(tmp_path / "site")
    site.write("a.html", "a")
    site.finish()
    table = json.loads((tmp_path / "site" / INDEX).read_text())
    (tmp_path / "site" / INDEX).write_text(json.dumps({**table, "files": ["../precious", str(outside), "a.html"]}))
    assert SiteFiles(tmp_path / "site").finish().removed == 1
    assert outside.exists()


def test_media_are_made_once_and_again_when_they_are_gone(tmp_path):
    calls = []

    def make():
        calls.append(1)
        return Made({"x": (".bin", b"data")}, {"width": 3})

    for expected in (1, 1, 2):
        site = SiteFiles(tmp_path)
        media = site.media(["key", 1], make)
        site.finish()
        assert len(calls) == expected and media.facts == {"width": 3}
        assert (tmp_path / media.files["x"]).read_bytes() == b"data"
        if expected == 1 and len(calls) == 1 and site.counts.kept:
            (tmp_path / media.files["x"]).unlink()


@given(st.lists(st.text(), min_size=2, max_size=20, unique=True))
def test_names_of_pages_are_plain_and_never_shared(texts):
    names = [page_name(text) for text in texts]
    assert len({name.lower() for name in names}) == len(texts)
    for name in names:
        assert re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name) and ".." not in name and len(name) <= 100


@pytest.mark.parametrize("name", PROTOCOLS.names())
def test_every_protocol_has_words(name):
    rules = protocols.load(name)
    said = " ".join(site_words.sentences(rules))
    assert (f"ranked by {rules.rank_by}" in said and "8 bits" in said) or rules.quantise == "float"
    for column in rules.columns:
        assert site_words.rule(column, rules) and site_words.metric(column)


def test_words_of_a_protocol():
    rules = protocols.load("blurbench-motion")
    columns = {column.name: column for column in rules.columns}
    assert site_words.rule(columns["psnr-best5"], rules) == (
        "all frames, better direction of the clip, best of 5 draws, error pooled over frames"
    )
    assert site_words.rule(columns["psnr-patch"], rules).startswith("all frames, better direction of each patch, first draw")
    assert "Patches are squares of 32 pixels." in site_words.sentences(rules)
    frames = replace(columns["psnr-clip"], frames=(0, 3, 6), draws="expected-best:3", average="videos", against="blurry", tile=8)
    assert site_words.rule(frames, rules) == (
        "frames 1, 4, 7, better direction of the clip, what the best of 3 draws scores on average, error pooled over frames, "
        "squares of 8 pixels, mean of videos, against the blurry picture"
    )


def test_a_board_of_200_rows_is_below_300_kb(tmp_path):
    rows = [
        made(f"method-{i}", "blurbench-1", 20 + i / 100, command="blurbench evaluate --method m --dataset genblur " * 2) for i in range(200)
    ]
    values = {column.name: Value(30.123456, 29.123456, 31.123456) for column in protocols.load("blurbench-1").columns}
    build_site(boards([replace(row, values=values) for row in rows]), tmp_path / "site")
    (path,) = (tmp_path / "site/boards").glob("*.html")
    assert 50_000 < path.stat().st_size < 300_000


def test_a_board_of_2000_rows_has_no_large_file(tmp_path):
    """The first 250 and the trivial one stand in the page, which says so; the scripts have all others, in order."""
    values = {column.name: Value(30.123456, 29.123456, 31.123456) for column in protocols.load("blurbench-1").columns}
    names = [f"method-{i:04d} </script><script>'\"\u2028\\`${{x}}" for i in range(1999)]
    rows = [made(name, "blurbench-1", values={**values, "psnr-pooled": Value(90 - i / 100)}) for i, name in enumerate(names)]
    worst = made("copy-blur", "blurbench-1", values={**values, "psnr-pooled": Value(1.0)}, weights=None)
    (board,) = boards([*rows, worst])
    parts = [site_rows.split(["<tr>" + "x" * 796] * 2000, [1999]), site_rows.split(["<tr>" + "x" * 2996] * 2000, [])]
    assert [(part.first, part.again, len(part.scripts)) for part in parts] == [([*range(250), 1999], [1999], 5), ([*range(73)], [], 21)]
    build_site([board], tmp_path / "site")
    assert [str(path) for path in tmp_path.rglob("*") if path.suffix in (".html", ".js") and path.stat().st_size > 300_000] == []
    page = board_page(tmp_path / "site")
    ((table, _),) = page.all("table")
    loaded = [json.loads((page.path.parent / name).read_text()[len("moreRows(") : -len(");\n")]) for name in table["data-more"].split()]
    assert len(loaded) > 3 and table["data-rows"] == "2000"
    shown = page.path.read_text().partition("<tbody>")[2].partition("</tbody>")[0].strip().split("\n")
    repeated = shown.pop()
    html = [*shown, *(row.strip() for script in loaded for row in script)]
    assert repeated.replace(" data-again", "") == html[-1] and "data-again" in repeated and "copy-blur" in html[-1]
    assert [unescape(re.search("<bdi>(.*?)</bdi>", row, re.S)[1]) for row in html[:-1]] == names
    said = next(text for attributes, text in page.all("span") if attributes.get("data-filter") == "count")
    assert said == f"{len(shown) + 1} of 2,000 rows" and "the CSV has too" in page.path.read_text()


def test_the_first_page_has_no_unit_without_its_number(tmp_path):
    build_site(boards([], published.read(), alone=True), tmp_path / "site")
    cells = [text for _, text in Page(tmp_path / "site/index.html").all("td")]
    assert len(cells) > 50 and "dB" not in cells and "levels" not in cells


def test_numbers_of_a_method_sort_as_numbers(tmp_path):
    build_site(boards([made("mine", "blurbench-1", 9.5), made("mine", "zhang2020", 31.25)]), tmp_path / "site")
    page = Page(tmp_path / "site/methods/mine.html")
    assert [a["data-sort"] for a, text in page.all("th") if text == "value"] == ["number"]
    assert [row[4][1]["data-v"] for row in page.rows()] == ["9.5", "31.25"]


def test_rows_of_a_method_with_other_weights_are_told_apart(tmp_path):
    other = made("mine", "blurbench-1", weights={**WEIGHTS, "sha256": "fe" * 32})
    build_site(boards([made("mine", "blurbench-1"), other, made("copy-blur", "blurbench-1", weights=None)]), tmp_path / "site")
    mine, copy = ((tmp_path / f"site/methods/{name}.html").read_text() for name in ("mine", "copy-blur"))
    assert mine.count(">own 01234567<") == mine.count(">own fefefefe<") == 1 and ">none<" in copy


def test_long_lists_are_cut_and_say_so(tmp_path):
    rows = [made("mine", "blurbench-1", weights={"files": [], "sha256": f"{i:064x}", "origin": "given"}) for i in range(260)]
    rows += [made(f"method-{i}", "blurbench-1") for i in range(501)]
    build_site(boards(rows), tmp_path / "site", left_out=[f"file {i}" for i in range(507)])
    index, card = Page(tmp_path / "site/index.html"), Page(tmp_path / "site/methods/mine.html")
    listed = [a["href"] for a, _ in index.all("a") if a["href"].startswith("methods/")]
    assert (len(listed), len(card.rows())) == (500, 250)
    said = [text for page in (index, card) for _, text in page.all("p")]
    assert "The first 500 of 502 by name; boards lead to the others." in said and "And 7 more, which" in said
    assert "The first 250 of 260 numbers are listed; the boards have all." in said


def test_command(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(blurbench, ["leaderboard", "build", "--out", "site"])
    assert done.exit_code == 0, done.output
    (table,) = (tmp_path / "site/boards").glob("*.csv")
    rows = list(csv.DictReader(table.open(encoding="utf-8", newline="")))
    assert len(rows) == 3 and rows[0]["method"] == "mine"
    links = [a["href"] for a, _ in board_page(tmp_path / "site").all("a")]
    assert table.name in links and "site/index.html: " in done.stderr
    again = CliRunner().invoke(blurbench, ["leaderboard", "build", "--out", "site"])
    assert " 0 files written" in again.stderr and "0 removed" in again.stderr
    done = CliRunner().invoke(blurbench, ["leaderboard", "--format", "html", "--format", "markdown", "--out", "other"])
    assert done.exit_code == 0 and len(list((tmp_path / "other/boards").glob("*.md"))) == 1 and (tmp_path / "other/index.html").exists()


def test_mistakes(runs, tmp_path):
    with pytest.raises(PredictionError, match="predictions were given without their data set; add --dataset"):
        build(runs, tmp_path / "site", predictions=["p"])
    with pytest.raises(PredictionError, match="samples were given without predictions"):
        build(runs, tmp_path / "site", samples=["a/00000"], dataset="d")
    with pytest.raises(PredictionError, match=r"^the data set d was given without predictions to show of it; add --predictions"):
        build(runs, tmp_path / "site", dataset="d")
