"""Run records for tests, with numbers that a test chooses, written by the code that writes real ones."""

from dataclasses import replace
from pathlib import Path

from blurbench.metrics import protocol as protocols
from blurbench.metrics.score import SampleScore
from blurbench.run import results
from blurbench.run.journal import Outcome
from blurbench.run.predictions import Header
from blurbench.run.record import RunRecord, Value

WEIGHTS = {"files": ["w.safetensors"], "sha256": "0123456789abcdef" * 4, "origin": "given"}


def written(folder: Path, method="mine", protocol="noroozi2017", values=(30.0, 31.0, 35.0), **facts) -> RunRecord:
    """A record and its Parquet file: `values` is what each sample has in every column, None where it has none; two samples a video."""
    rules = protocols.load(protocol)
    data = {"dataset": "genblur-rendered", "split": "test", "fingerprint": "f" * 64, "content": "c" * 64}
    plain = Header(method, f"Title of {method}", **data, weights=WEIGHTS, device="cpu", cost={"parameters": 12})
    header = replace(plain, command="blurbench evaluate", **facts)
    outcomes = [
        Outcome(
            f"v{i // 2}/{i}",
            f"v{i // 2}",
            0.5 + i,
            (SampleScore(f"v{i // 2}/{i}", f"v{i // 2}", dict.fromkeys(names(rules), value), None, None),),
        )
        for i, value in enumerate(values)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    return results.write(header, [rules], outcomes, folder)[0]


def made(method="mine", protocol="noroozi2017", mean=30.0, **facts) -> RunRecord:
    """A record that is nowhere on disk, with one number in every column."""
    rules = protocols.load(protocol)
    values = {name: Value(mean) for name in names(rules)} | facts.pop("values", {})
    record = RunRecord(
        method=method,
        title=f"Title of {method}",
        weights=WEIGHTS,
        dataset="genblur-rendered",
        split="test",
        fingerprint="f" * 64,
        content="c" * 64,
        protocol=protocol,
        protocol_version=rules.version,
        rules=rules.digest(),
        samples=8,
        videos=2,
        values=values,
        empty={},
        failed={},
        draws=1,
        seconds=0.25,
        cost={"parameters": 12},
        metrics={},
        device="cpu",
        seed=0,
        predictions=None,
        scores="",
        command="blurbench evaluate",
        date="2026-01-02T03:04:05+00:00",
    )
    return replace(record, **facts)


def names(rules) -> list[str]:
    return [column.name for column in rules.columns]
