"""A protocol in a file of the user's, all the way: its runs stand on boards and are compared where the file is gone."""

import csv
import json

import pytest

from blurbench.metrics import protocol as protocols
from blurbench.run import record as records
from tests.conftest import ROOT, command

OWN = """
id = "mine"
version = 3
title = "t"
description = "d"
quantise = "truncate"
psnr_cap = 90.0
direction = "clip"
rank_by = "ends"
crop = "border:8"
[[columns]]
name = "ends"
metric = "psnr"
frames = [0, 6]
description = "first and last frame"
[[columns]]
name = "order"
metric = "ordering"
options = { reduction = "sum" }
description = "d"
"""


def done(*arguments, cwd):
    finished = command(*arguments, cwd=cwd)
    assert finished.returncode == 0, finished.stderr
    return finished


@pytest.fixture
def evaluated(made, tmp_path):
    """A folder with the runs of two methods under a protocol whose file is gone, and the predictions of one."""
    (tmp_path / "mine.toml").write_text(OWN)
    for method in ("copy-blur", "oracle-reversed"):
        given = ("--dataset", made / "data/genblur", "--protocol", "mine.toml", "--predictions", method)
        assert "first and last frame" in done("evaluate", "--method", method, *given, cwd=tmp_path).stdout
    (tmp_path / "mine.toml").unlink()
    return tmp_path


def of(folder, method):
    (path,) = (folder / "runs").glob(f"{method}_*.json")
    return path


def test_boards_and_comparison(evaluated):
    a, b = (records.read(of(evaluated, method)) for method in ("copy-blur", "oracle-reversed"))
    done("leaderboard", cwd=evaluated)
    (board,) = (evaluated / "leaderboards").glob("*.mine-v3.csv")
    rows = list(csv.DictReader(board.open(encoding="utf-8", newline="")))
    assert [(row["method"], float(row["ends"])) for row in rows] == [(run.method, run.values["ends"].mean) for run in (a, b)]
    found = done("compare", of(evaluated, "copy-blur"), of(evaluated, "oracle-reversed"), "--format", "json", cwd=evaluated)
    compared = {row["column"]: (row["a"], row["b"]) for row in json.loads(found.stdout)["rows"]}
    assert compared == {name: pytest.approx((a.values[name].mean, b.values[name].mean)) for name in ("ends", "order")}
    assert a.frame()["unit"].tolist() == ["dB", "levels"]


def test_verify_add_and_scores_again(evaluated, made):
    path, data = of(evaluated, "copy-blur"), made / "data/genblur"
    found = done("leaderboard", "verify", path, "--predictions", "copy-blur", "--dataset", data, cwd=evaluated)
    assert "all 2 columns are what the predictions give" in found.stderr
    done("leaderboard", "add", path, "--runs", "theirs", cwd=evaluated)
    (evaluated / "mine.toml").write_text(OWN)
    done("score", "copy-blur", "--dataset", data, "--protocol", evaluated / "mine.toml", "--out", "again", cwd=evaluated)
    (again,) = (evaluated / "again").glob("*.json")
    assert records.read(again).values == records.read(path).values
    assert not [each for each in (evaluated / "again").rglob("*") if each.name.endswith(".unfinished")]


def test_other_rules_under_one_name_do_not_mix(evaluated, made):
    (evaluated / "mine.toml").write_text(OWN.replace("truncate", "round"))
    done("evaluate", "--method", "oracle", "--dataset", made / "data/genblur", "--protocol", "mine.toml", cwd=evaluated)
    refused = command("compare", of(evaluated, "copy-blur"), of(evaluated, "oracle"), cwd=evaluated)
    assert refused.returncode == 2 and "the text of the protocol of A is" in refused.stderr.splitlines()[-1]
    told = done("leaderboard", cwd=evaluated).stderr
    for method in ("copy-blur", "oracle-reversed"):
        older, newest = of(evaluated, method).name, of(evaluated, "oracle").name
        assert f"runs/{older}: mine version 3 has other rules here than in {newest}, which is newer" in told
    (board,) = (evaluated / "leaderboards").glob("*.mine-v3.csv")
    assert [row["method"] for row in csv.DictReader(board.open(encoding="utf-8", newline=""))] == ["oracle"]
    table = json.loads(of(evaluated, "copy-blur").read_text())
    table["protocol_table"]["psnr_cap"] = 20.0
    of(evaluated, "copy-blur").write_text(json.dumps(table))
    of(evaluated, "oracle").unlink()
    assert "mine version 3, here is another text of that version" in done("leaderboard", cwd=evaluated).stderr


def test_an_installed_protocol_is_not_carried_nor_replaced(made, tmp_path):
    text = (ROOT / "leaderboards/protocols/nah2017.toml").read_text(encoding="utf-8")
    (tmp_path / "copy.toml").write_text(text, encoding="utf-8")
    given = ("evaluate", "--method", "copy-blur", "--dataset", made / "data/genblur", "--protocol", "copy.toml")
    done(*given, cwd=tmp_path)
    record = records.read(of(tmp_path, "copy-blur"))
    assert record.protocol_table is None and record.rules == protocols.load("nah2017").digest()
    (tmp_path / "copy.toml").write_text(text.replace("psnr_cap = 100", "psnr_cap = 90"), encoding="utf-8")
    refused = command(*given, cwd=tmp_path)
    assert refused.returncode == 2
    assert "error: copy.toml: id is 'nah2017', that of an installed protocol with other rules; give it an id" in refused.stderr
