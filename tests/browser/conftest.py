"""A real browser, headless, on pages opened from disk; without one the tests here skip and say so, and those in tests/report remain."""

import json
import shutil
import time
from pathlib import Path

import pytest

SIZES = {"desktop": (1400, 1000, False), "phone": (390, 844, True)}


class Browser:
    """Chromium by selenium, with what its network layer and console were asked and said."""

    def __init__(self, driver) -> None:
        self.driver = driver

    def open(self, page: Path, size: str = "desktop") -> None:
        width, height, mobile = SIZES[size]
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.get(page.as_uri())
        until = time.monotonic() + 20  # on pages from disk `get` may return before scripts have run
        while (self.run("return [document.URL, document.readyState]")) != [page.as_uri(), "complete"]:
            assert time.monotonic() < until, f"{page} does not finish loading"
            time.sleep(0.01)

    def run(self, script: str, *arguments):
        return self.driver.execute_script(script, *arguments)

    def requests(self) -> list[str]:
        """Addresses asked for since the last call."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"]

    def console(self) -> list[str]:
        """Errors and warnings since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]

    def media(self, **features: str) -> None:
        """Pretend features such as prefers_color_scheme="dark", or media="print"."""
        kind = features.pop("media", "")
        listed = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": kind, "features": listed})


@pytest.fixture(scope="session")
def browser():
    selenium = pytest.importorskip("selenium", reason="selenium is not installed; `pip install blurbench[test]` brings it")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if not (program and driver):
        pytest.skip("no chromium with chromedriver on PATH; `apt-get install chromium chromium-driver` brings both")
    from selenium import webdriver

    assert selenium
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield Browser(opened)
    opened.quit()
