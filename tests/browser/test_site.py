"""The pages in a real browser, opened from disk. Screenshots for a person to look at go to $BLURBENCH_SCREENSHOTS, if that is set."""

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from blurbench.metrics import protocol as protocols
from blurbench.report import published
from blurbench.report.board import boards, collect
from blurbench.report.site import build_site
from blurbench.run.evaluate import evaluate
from blurbench.run.record import Value
from blurbench.synth.pipeline import make_dataset
from tests.browser.conftest import SIZES
from tests.report.records import made

HOSTILE = "<img src=x onerror=alert(1)><script>document.title='taken'</script>"
ENDS = "</script><script>'\"\u2028\\`${document.title='taken'}"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A site with a board of real runs and samples, one with printed numbers, and one of 40 methods."""
    folder = tmp_path_factory.mktemp("browser")
    make_dataset("genblur", out=folder / "data", clips={"train": 0, "test": 2}, size=(96, 160))
    names = ("copy-blur", "oracle-centre", "oracle-reversed")
    for name in names:
        evaluate(name, folder / "data", out=folder / "runs", predictions=folder / "p" / name)
    found, _ = collect(folder / "runs")
    rng = np.random.default_rng(0)
    many = [
        made(f"method-{i:02d}", "blurbench-1", float(q), seconds=float(s))
        for i, (q, s) in enumerate(zip(rng.uniform(20, 35, 38), 10 ** rng.uniform(-2, 1, 38), strict=True))
    ]
    many += [made(HOSTILE, "blurbench-1", 36.0), made("copy-blur", "blurbench-1", 19.0, values={"psnr": Value(None)})]
    printed = [made("zhang2020", "zhang2020", 31.0, dataset="gopro7-released", samples=1111)]
    records = [*found, *(replace(row, dataset="many") for row in many), *printed]
    predictions = [folder / "p" / name for name in names]
    options = {"runs": folder / "runs", "dataset": folder / "data", "predictions": predictions}
    build_site(boards(records, published.read()), folder / "site", **options)
    return folder / "site"


def board(site: Path, name: str) -> Path:
    (path,) = (site / "boards").glob(f"{name}*.html")
    return path


def shown(browser) -> list[str]:
    return browser.run("return [...document.querySelectorAll('#board tbody tr')].filter(r => !r.hidden).map(r => r.cells[1].innerText)")


def column(browser, index: int) -> list[str]:
    return browser.run("return [...document.querySelectorAll('#board tbody tr')].map(r => r.cells[arguments[0]].dataset.v)", index)


def set_value(browser, selector: str, value: object) -> None:
    """As a person's hand does: the value, then the event."""
    browser.run(
        "const e = document.querySelector(arguments[0]); e.value = arguments[1]; e.dispatchEvent(new Event('input', {bubbles: true}))",
        selector,
        str(value),
    )


@pytest.mark.parametrize("size", SIZES)
def test_no_error_no_request_and_no_sideways_scrolling(browser, site, size):
    browser.requests(), browser.console()
    for page in sorted(site.rglob("*.html")):
        browser.open(page, size)
        assert browser.console() == [], page
        wanted = browser.requests()
        assert any(address.endswith("site.js") for address in wanted), "the log of requests is empty"
        assert [address for address in wanted if not address.startswith(("file://", "data:"))] == [], page
        assert browser.run("return document.documentElement.scrollWidth <= innerWidth"), (page, "is wider than the window")
        assert browser.run("return document.title") != "taken"
        broken = browser.run("return [...document.images].filter(i => i.loading !== 'lazy' && !i.naturalWidth).map(i => i.src)")
        assert broken == [], page


def test_sorting(browser, site):
    browser.open(board(site, "many"))
    place = 3 + [c.name for c in protocols.load("blurbench-1").columns].index("psnr")
    head = f"document.querySelectorAll('#board thead th')[{place}]"
    for order, sign in (("descending", -1), ("ascending", 1), ("descending", -1)):
        browser.run(f"{head}.querySelector('button').click()")
        values = [float(value) for value in column(browser, place) if value]
        assert values == sorted(values, key=lambda value: sign * value) and len(values) == 39
        assert column(browser, place)[-1] is None  # the empty cell is last, both ways
        assert browser.run(f"return {head}.getAttribute('aria-sort')") == order
        assert browser.run("return document.querySelectorAll('#board [aria-sort]').length") == 1
    browser.run("document.querySelectorAll('#board thead th')[1].querySelector('button').click()")
    names = browser.run("return [...document.querySelectorAll('#board tbody tr')].map(r => r.cells[1].textContent.trim().toLowerCase())")
    assert names == sorted(names)
    browser.run(
        "[...document.querySelectorAll('#board thead th')].find(h => h.textContent.startsWith('time')).querySelector('button').click()"
    )
    index = browser.run("return [...document.querySelectorAll('#board thead th')].findIndex(h => h.textContent.startsWith('time'))")
    seconds = [float(value) for value in column(browser, index)]
    assert seconds == sorted(seconds)  # less is better: ascending at the first click


def test_sorting_by_keyboard(browser, site):
    from selenium.webdriver.common.keys import Keys

    browser.open(board(site, "many"))
    button = browser.driver.find_element("css selector", "#board thead th:nth-child(2) button")
    browser.run("arguments[0].focus({focusVisible: true})", button)
    button.send_keys(Keys.ENTER)
    assert browser.run("return document.querySelector('#board thead th:nth-child(2)').getAttribute('aria-sort')") == "ascending"
    assert browser.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_filtering(browser, site):
    browser.open(board(site, "many"))
    assert len(shown(browser)) == 40
    browser.driver.find_element("id", "filter").send_keys("method-1")
    assert shown(browser) == [*[name for name in shown(browser) if name.startswith("method-1")], "copy-blur †"]
    assert len(shown(browser)) == 11
    assert browser.run("return document.querySelector('[data-filter=count]').textContent") == "11 of 40 rows"
    browser.driver.find_element("id", "filter").clear()
    set_value(browser, "#filter", "<img")
    assert shown(browser)[0] == HOSTILE and len(shown(browser)) == 2


def test_printed_rows_can_be_hidden(browser, site):
    browser.open(board(site, "gopro7"))
    rows = browser.run("return document.querySelectorAll('#board tbody tr').length")
    assert rows > 2 and len(shown(browser)) == rows
    browser.driver.find_element("css selector", "[data-filter=printed]").click()
    assert len(shown(browser)) == 1


@pytest.fixture
def large(tmp_path):
    """A board of 800 rows, of which the page has the first 250 and the trivial one, which is last; names are hostile."""
    rows = [made(f"method-{i:03d} {HOSTILE}{ENDS}", "blurbench-1", 30 - i / 100, seconds=None, cost={}) for i in range(799)]
    build_site(boards([*rows, made("copy-blur", "blurbench-1", 1.0, seconds=None, cost={})]), tmp_path)
    return board(tmp_path, "genblur")


def counted(browser, wanted: str) -> None:
    """Waits until the line above the table says so many rows."""
    until = time.monotonic() + 20
    while (said := browser.run("return document.querySelector('[data-filter=count]').textContent")) != wanted:
        assert time.monotonic() < until, said
        time.sleep(0.01)


def numbers(browser) -> list[str]:
    """What is shown: "copy-blur", or the number in the name of a method."""
    return [name.split(" ")[0].removeprefix("method-") for name in shown(browser)]


def test_all_rows_are_shown_when_asked(browser, large):
    browser.open(large)
    browser.requests(), browser.console()
    assert browser.run("return document.querySelectorAll('#board tbody tr').length") == 251
    assert (len(shown(browser)), numbers(browser)[249:]) == (251, ["249", "copy-blur"])
    counted(browser, "251 of 800 rows")
    button = browser.driver.find_element("css selector", "[data-filter=all]")
    assert button.text == "Show all 800"
    button.click()
    counted(browser, "800 rows")
    assert numbers(browser) == [*(f"{i:03d}" for i in range(799)), "copy-blur"] and not button.is_displayed()
    assert browser.run("return document.activeElement.getAttribute('aria-label')") == "The board"  # the focus is not lost with the button
    assert shown(browser)[700] == f"method-700 {HOSTILE}{ENDS}"
    assert browser.run("return document.title") != "taken" and browser.console() == []
    wanted = browser.requests()
    assert len(wanted) > 1 and all(address.startswith(large.as_uri().removesuffix(".html")) for address in wanted)


def test_sorting_and_filtering_look_at_all_rows(browser, large):
    browser.open(large)
    head = "document.querySelectorAll('#board thead th')[0]"
    for _ in range(2):
        browser.run(f"{head}.querySelector('button').click()")
    counted(browser, "250 of 800 rows")
    assert (len(shown(browser)), numbers(browser)[:2]) == (250, ["copy-blur", "798"])
    assert browser.run(f"return {head}.getAttribute('aria-sort')") == "descending"
    browser.open(large)
    browser.driver.find_element("id", "filter").send_keys("method-77")
    counted(browser, "11 of 800 rows")
    assert numbers(browser) == [*(str(i) for i in range(770, 780)), "copy-blur"]
    browser.driver.find_element("id", "filter").clear()
    set_value(browser, "#filter", "")
    counted(browser, "251 of 800 rows")


def test_rows_that_cannot_be_loaded_are_said(browser, large):
    gone = sorted(large.parent.glob("*.rows-*.js"))[-1]
    gone.rename(gone.with_suffix(".away"))
    browser.open(large)
    browser.driver.find_element("css selector", "[data-filter=all]").click()
    counted(browser, "251 of 800 rows; the files with the others cannot be read, the CSV has them")
    gone.with_suffix(".away").rename(gone)
    browser.driver.find_element("css selector", "[data-filter=all]").click()
    counted(browser, "800 rows")
    assert len(shown(browser)) == 800
    browser.console()


def test_figures_on_a_phone_keep_their_size(browser, site):
    browser.open(board(site, "many"), "phone")
    sizes = browser.run("return [...document.querySelectorAll('.figures img')].map(i => [i.clientWidth, Number(i.getAttribute('width'))])")
    assert sizes and all(shown == made for shown, made in sizes)


def strips(browser) -> dict[str, tuple[str, str]]:
    """For each clip the file that it shows and where it is moved."""
    script = """return Object.fromEntries([...document.querySelectorAll('.view')].map(v => {
        const i = v.querySelector('.over img');
        return [v.getAttribute('aria-label').split(':')[0], [i.getAttribute('src').split('/').pop(), i.style.transform]];
    }))"""
    return {name: tuple(value) for name, value in browser.run(script).items()}


def test_player(browser, site):
    page = sorted((site / "samples").rglob("*.html"))[0]
    browser.open(page)
    before = strips(browser)
    assert {transform for _, transform in before.values()} == {"translate(0%, 0%)"}
    set_value(browser, "#frame", 3)
    after = strips(browser)
    moved = f"translate(0%, {-200 / 7:.4f}"[:20]
    assert after["true frames"][1].startswith(moved) and after["copy-blur"][1].startswith(moved)
    assert after["blurry input"][1] == "translate(0%, 0%)"
    assert browser.run("return document.querySelector('[data-do=place]').textContent") == "3 of 7"
    browser.driver.find_element("css selector", "[value=reverse]").click()
    turned = strips(browser)
    assert turned["copy-blur"][1].startswith(f"translate(0%, {-400 / 7:.4f}"[:20]) and turned["true frames"] == after["true frames"]
    browser.driver.find_element("css selector", "[value=error]").click()
    error = strips(browser)
    assert error["copy-blur"][0] not in (before["copy-blur"][0],) and error["copy-blur"][1].startswith(moved)
    browser.driver.find_element("css selector", "[value=forward]").click()
    assert strips(browser)["oracle-reversed"][0] != error["oracle-reversed"][0]  # the error of the other direction is another strip
    browser.driver.find_element("css selector", "[value=flow]").click()
    assert strips(browser)["copy-blur"][1] == "translate(0%, 0%)"
    assert browser.console() == []


def test_before_and_after(browser, site):
    browser.open(sorted((site / "samples").rglob("*.html"))[0])
    parts = "[v.querySelector('.over').style.clipPath, v.querySelector('.line').hidden]"
    state = f"const v = document.querySelector('.view[data-compared]'); return {parts}"
    assert browser.run(state) == ["inset(0px 0px 0px 0%)", True]
    set_value(browser, "#before", 40)
    assert browser.run(state) == ["inset(0px 0px 0px 40%)", False]
    assert browser.run("return document.querySelector('.view[data-compared] .under').naturalWidth") == 160
    line = browser.run(
        "const v = document.querySelector('.view[data-compared]').getBoundingClientRect(), "
        "l = document.querySelector('.line').getBoundingClientRect(); return (l.x + l.width / 2 - v.x) / v.width"
    )
    assert line == pytest.approx(0.4, abs=0.01)


def test_animation_plays_and_pauses(browser, site):
    browser.open(sorted((site / "samples").rglob("*.html"))[0])
    button = browser.driver.find_element("css selector", "[data-do=play]")
    button.click()
    assert (button.text, button.get_attribute("aria-pressed")) == ("Pause", "true")
    seen, until = set(), time.monotonic() + 4
    while len(seen) < 7 and time.monotonic() < until:
        seen.add(browser.run("return document.getElementById('frame').value"))
    assert seen == {str(i) for i in range(1, 8)}
    button.click()
    assert (button.text, button.get_attribute("aria-pressed")) == ("Play", "false")
    still = browser.run("return document.getElementById('frame').value")
    time.sleep(0.5)
    assert browser.run("return document.getElementById('frame').value") == still


def test_every_control_has_a_name(browser, site):
    """As a screen reader hears them, by the browser's own accessibility tree."""
    for page in (board(site, "many"), sorted((site / "samples").rglob("*.html"))[0]):
        browser.open(page)
        tree = browser.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        roles = ("button", "slider", "searchbox", "checkbox", "radio", "link", "img", "image", "table", "textbox")
        controls = [node for node in tree if not node["ignored"] and node["role"]["value"] in roles]
        assert len(controls) > 20
        assert [node["role"]["value"] for node in controls if not node.get("name", {}).get("value")] == []


def test_dark_and_print(browser, site):
    page = board(site, "many")
    colour = "return getComputedStyle(document.documentElement).backgroundColor"
    browser.open(page)
    light = browser.run(colour)
    browser.media(prefers_color_scheme="dark")
    dark = browser.run(colour)
    browser.media(media="print")
    wanted = (".count button", ".count")
    displays = [browser.run("return getComputedStyle(document.querySelector(`.filter ${arguments[0]}`)).display", name) for name in wanted]
    visible = browser.run("return document.querySelector('#filter').checkVisibility()")
    browser.media()
    assert (light, dark) == ("rgb(255, 255, 255)", "rgb(15, 20, 25)")
    assert displays == ["none", "block"] and not visible  # how many rows there are is printed


@pytest.mark.skipif("BLURBENCH_SCREENSHOTS" not in os.environ, reason="BLURBENCH_SCREENSHOTS names no folder for screenshots")
@pytest.mark.parametrize("size", SIZES)
def test_screenshots(browser, site, size):
    folder = Path(os.environ["BLURBENCH_SCREENSHOTS"])
    folder.mkdir(parents=True, exist_ok=True)
    for page in sorted(site.rglob("*.html")):
        browser.open(page, size)
        height = min(4000, browser.run("return document.documentElement.scrollHeight"))
        width, _, mobile = SIZES[size]
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
        browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        time.sleep(0.3)
        assert browser.driver.save_screenshot(str(folder / f"{page.parent.name}-{page.stem}-{size}.png"))
