"""The boards that are kept in the repository: of the weights that ship, under the protocols as they are."""

import csv
import hashlib

import pytest

from blurbench.methods import method_class
from blurbench.metrics import protocol as protocols
from blurbench.weights import shipped_file
from tests.conftest import ROOT

BOARDS = sorted((ROOT / "leaderboards").glob("rendered-test-*.csv"))
TRIVIAL = {"oracle", "oracle-reversed", "oracle-centre", "copy-blur"}
GUIDED = {"zhong2022-annotated", "zhong2022-video", "zhong2022-deterministic"}
SHIPPED = {path.stem for path in (ROOT / "baselines/weights").glob("*.safetensors")} | GUIDED


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_a_kept_board(path):
    rows = list(csv.DictReader(path.open(encoding="utf-8", newline="")))
    shown = {name for name in SHIPPED if "motion" not in path.name or method_class(name).capabilities.frames != 1}
    assert {row["method"] for row in rows} == TRIVIAL | shown
    (rules,) = {(row["protocol"], int(row["protocol_version"])) for row in rows}
    assert rules == (protocols.load(rules[0]).id, protocols.load(rules[0]).version)
    for row in rows:
        assert bool(row["weights_sha256"]) == (row["method"] not in TRIVIAL)
        if row["weights_sha256"]:
            assert row["weights_sha256"] == hashlib.sha256(shipped_file(method_class(row["method"]).card.shipper).read_bytes()).hexdigest()
        assert row["samples"] == "64" and row["failed"] in ("", "0") and row["fingerprint"].startswith("48aaa27a")


def test_there_are_two():
    assert [path.name.split(".")[1] for path in BOARDS] == ["blurbench-1-v1", "blurbench-motion-v1"]
