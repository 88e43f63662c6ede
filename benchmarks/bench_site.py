"""The site: 200 records with 30 sample pages, built, built again, and built after one record more; and 2,000 rows sorted in a browser.

Time that goes into the pictures themselves (reading frames, flow, colours, encoding) is told apart by counting it where it is spent.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from blurbench.metrics import protocol as protocols
from blurbench.metrics.score import SampleScore
from blurbench.report import site_samples
from blurbench.report.board import boards, collect
from blurbench.report.site import build_site
from blurbench.run import record as records
from blurbench.run import results
from blurbench.run.journal import Outcome
from blurbench.run.predictions import Header, Writer
from blurbench.run.record import RunRecord
from blurbench.store.reader import MadeDataSet, open_dataset
from blurbench.synth.pipeline import make_dataset
from blurbench.types import Prediction, Sample

METHODS, SAMPLES, ROWS = 200, 30, 2000
LOAD = """
const done = arguments[0], table = document.getElementById('board'), start = performance.now();
table.addEventListener('sorted', () => done(performance.now() - start), {once: true});
table.tHead.querySelector('button').click();
"""
SORT = """
const [place, done] = arguments, button = document.querySelectorAll('#board thead th')[place].querySelector('button');
const start = performance.now(); button.click(); const sorted = performance.now();
document.body.getBoundingClientRect(); const laid = performance.now();
done([sorted - start, laid - start]);
"""


def header(data: MadeDataSet, method: str) -> Header:
    manifest = data.manifest
    names = {"dataset": manifest.label, "split": "test", "fingerprint": manifest.fingerprint("test"), "content": manifest.content("test")}
    cost = {"parameters": 10**6, "multiply_adds": 10**9}
    return Header(
        method, f"Title of {method}", **names, store="uint8", device="cpu", cost=cost, command=f"blurbench evaluate --method {method}"
    )


def write_run(folder: Path, data: MadeDataSet, samples: list[Sample], number: int) -> None:
    """Predictions of a method that is brighter than the last, and a record with scores for them."""
    head = header(data, f"method-{number:03d}")
    writer = Writer(folder / "p" / head.method, head)
    for video in sorted({sample.video for sample in samples}):
        with writer.video(video) as put:
            for sample in samples:
                if sample.video == video:
                    frames = np.clip(sample.sharp * (0.5 + number / METHODS), 0, 255).astype(np.uint8)
                    put(Prediction(sample.id, frames[None], 0.1, "cpu"))
    rules, rng = protocols.load("blurbench-1"), np.random.default_rng(number)
    outcomes = []
    for sample in samples:
        values = {column.name: float(value) for column, value in zip(rules.columns, rng.uniform(20, 40, len(rules.columns)), strict=True)}
        outcomes.append(Outcome(sample.id, sample.video, 0.1, (SampleScore(sample.id, sample.video, values, number % 2 == 0, 0),)))
    results.write(head, [rules], outcomes, folder / "runs")


def counted(function: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    def run(*arguments: Any) -> Any:
        start = time.perf_counter()
        try:
            return function(*arguments)
        finally:
            spent[0] += time.perf_counter() - start

    return run


def build(folder: Path, data: MadeDataSet, pictures: list[float]) -> tuple[float, Any]:
    found, left_out = collect(folder / "runs")
    start = time.perf_counter()
    pictures[0] = 0.0
    predictions = sorted((folder / "p").iterdir())
    options = {"dataset": data.folder, "predictions": predictions, "samples": data.ids("test")[:SAMPLES]}
    built = build_site(boards(found), folder / "site", runs=folder / "runs", left_out=left_out, **options)
    return time.perf_counter() - start, built.counts


def site(folder: Path) -> None:
    make_dataset("genblur", out=folder / "data", clips={"train": 0, "test": 8}, size=(48, 64))
    data = open_dataset(folder / "data")
    samples = list(data.samples("test"))
    for number in range(METHODS):
        write_run(folder, data, samples, number)
    pictures = [0.0]
    for name in ("truth", "prediction"):
        setattr(site_samples.samples, name, counted(getattr(site_samples.samples, name), pictures))
    seconds, counts = build(folder, data, pictures)
    print(
        f"site of {METHODS} records x {SAMPLES} samples: {seconds:.1f} s, of which pictures {pictures[0]:.1f} s, the rest "
        f"{seconds - pictures[0]:.1f} s (aim: below 60 s); {counts.written} files"
    )
    seconds, counts = build(folder, data, pictures)
    print(f"built again: {seconds:.2f} s (aim: below 3 s); {counts.written} files written")
    write_run(folder, data, samples, METHODS)
    seconds, counts = build(folder, data, pictures)
    print(f"built with one record more: {seconds:.1f} s, of which pictures {pictures[0]:.1f} s; {counts.written} files written")
    largest = max((folder / "site").rglob("*.html"), key=lambda path: path.stat().st_size)
    print(f"largest page {largest.relative_to(folder)}: {largest.stat().st_size / 1000:.0f} kB (aim: below 300 kB)")


def sorting(folder: Path) -> None:
    from selenium import webdriver

    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (program and driver):
        print("sorting: no chromium with chromedriver here")
        return
    record: RunRecord = records.read(next((folder / "runs").glob("*.json")))
    rng = np.random.default_rng(0)
    rows = []
    for number in range(ROWS):
        values = {name: replace(value, mean=float(rng.uniform(20, 40))) for name, value in record.values.items()}
        rows.append(replace(record, method=f"method-{number:04d}", values=values))
    built = build_site(boards(rows), folder / "large")
    (page,) = (built.index.parent / "boards").glob("*.html")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    browser.get(page.as_uri())
    loaded = browser.execute_async_script(LOAD)
    times = [browser.execute_async_script(SORT, 3 + i % 6) for i in range(9)]
    browser.quit()
    sort, layout = (sorted(column)[len(times) // 2] for column in zip(*times, strict=True))
    sizes = [path.stat().st_size / 1000 for path in (page, *page.parent.glob("*.js"))]
    print(
        f"{ROWS} rows: page of {sizes[0]:.0f} kB, {len(sizes) - 1} scripts of up to {max(sizes[1:]):.0f} kB (aim: below 300 kB); "
        f"loaded and sorted in {loaded:.0f} ms, then sorted in {sort:.0f} ms (aim: below 100 ms), laid out after {layout:.0f} ms"
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        site(Path(name))
        sorting(Path(name))


if __name__ == "__main__":
    main()
