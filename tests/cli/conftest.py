"""What tests of commands share: an empty cache, official weight files, a folder of photographs, runs and their records."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from blurbench.metrics import protocol as protocols
from blurbench.run.evaluate import evaluate
from blurbench.synth.pipeline import make_dataset
from blurbench.video.images import write_rgb
from tests.baselines.inputs import picture
from tests.cli.animated import TOYS
from tests.cli.official_files import FORMATS
from tests.cli.runs import IDS, VIDEOS


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of the test's own; returns where weights go in it."""
    monkeypatch.setenv("BLURBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


@pytest.fixture
def official(tmp_path):
    """Makes the official files of a method; returns them, or the folder where the method takes one."""

    def make(name):
        (folder := tmp_path / "official").mkdir(exist_ok=True)
        FORMATS[name](folder)
        inside = list(folder.iterdir())
        return inside[0] if len(inside) == 1 else folder

    return make


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The working folder, with toy methods, a photograph `a.png` and its neighbours."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BLURBENCH_CACHE", str(tmp_path / "cache"))
    Path("toys.py").write_text(TOYS)
    for number, name in enumerate(("a", "prev", "next")):
        write_rgb(Path(f"{name}.png"), picture(24, 30, phase=0.7 * number))
    return tmp_path


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Records of two methods on eight rendered videos; their folder."""
    folder = tmp_path_factory.mktemp("real")
    make_dataset("genblur", out=folder / "data", clips={"train": 1, "test": 8}, size=(64, 96))
    records = [evaluate(method, folder / "data", out=folder / "runs")[0] for method in ("oracle-centre", "copy-blur")]
    return folder, records


@pytest.fixture
def run(real):
    """Writes the record of a run with given scores, and these beside it in no order; returns the record's path."""

    def write(folder, method, scores, protocol="blurbench-1", videos=VIDEOS, **facts):
        rules = protocols.load(protocol)
        own = {"method": method, "fingerprint": "f" * 64, "content": "c" * 64, "scores": f"{method}.parquet", "metrics": {}}
        theirs = {"protocol": protocol, "protocol_version": rules.version, "rules": rules.digest()}
        record = replace(real[1][1], **{**own, **theirs, **facts})
        folder.mkdir(exist_ok=True)
        table = pd.DataFrame({"sample": IDS, "video": videos, **scores})
        table.sample(frac=1, random_state=1).to_parquet(folder / record.scores)
        return record.write(folder)

    return write
