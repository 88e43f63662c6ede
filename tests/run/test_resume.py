"""A stopped evaluation goes on only with what began it; its cost and its journal outlive the stop."""

import json
import re
import subprocess
import sys

import h5py
import numpy as np
import pytest

from blurbench.errors import DataSetError, PredictionError
from blurbench.lock import held
from blurbench.metrics import protocol as protocols
from blurbench.registry import METHODS, PROTOCOLS
from blurbench.run import record as records
from blurbench.run.evaluate import evaluate
from blurbench.run.journal import Outcome, journal
from blurbench.run.journal import place as journal_place
from blurbench.run.predictions import Header, Predictions, differing
from blurbench.run.runner import predict_dataset
from blurbench.run.score import score
from blurbench.store.reader import open_dataset
from blurbench.synth.pipeline import make_dataset

METHOD = """
import numpy as np
import torch
from blurbench.methods import Capabilities, Method, MethodCard

class Mine(Method):
    card = MethodCard(id="mine", title="t", paper="p", licence="l")
    capabilities = Capabilities(stochastic=True)
    calls = 0
    def __init__(self):
        self.network = torch.nn.Conv2d(3, 3, 1, bias=False)
    def predict(self, blurry, request):
        type(self).calls += 1
        with torch.inference_mode():
            self.network(torch.zeros(1, 3, *blurry.shape[:2]))
        frames = np.stack([blurry * np.float32(SCALE)] * len(request.times))[None]
        if FAIL and type(self).calls == 4:
            frames[...] = np.nan
        return frames
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two videos of several samples each."""
    folder = tmp_path_factory.mktemp("data") / "genblur"
    make_dataset("genblur", out=folder, clips={"train": 0, "test": 2}, size=(64, 96))
    return folder


@pytest.fixture
def method(tmp_path):
    """Writes a version of the method; returns how `--method` names it."""

    def write(scale=1.0, fail=False):
        path = tmp_path / "mine.py"
        path.write_text(METHOD.replace("SCALE", repr(scale)).replace("FAIL", repr(fail)))
        return f"{path}:Mine"

    return write


class Stop(Exception):
    pass


def stop_after(samples):
    def progress(done, total):
        if done == samples:
            raise Stop

    return progress


def psnr(record):
    return record.values["psnr-pooled"].mean


def test_a_repaired_method_starts_anew(data, method, tmp_path):
    with pytest.raises(PredictionError, match="NaN"):
        evaluate(method(0.0, fail=True), data, out=tmp_path / "runs")
    told = []
    (repaired,) = evaluate(method(1.0), data, out=tmp_path / "runs", note=told.append)
    assert psnr(repaired) == psnr(evaluate(method(1.0), data, out=tmp_path / "fresh")[0])
    assert len(told) == 1 and told[0].endswith(".unfinished had another code of the method; starting anew")


def test_the_same_method_goes_on_and_says_so(data, method, tmp_path):
    with pytest.raises(Stop):
        evaluate(method(), data, out=tmp_path, progress=stop_after(3))
    told = []
    evaluate(method(), data, out=tmp_path, note=told.append)
    assert len(told) == 1 and told[0].startswith("going on with the stopped run in ") and told[0].endswith(": 3 samples are taken from it")


def test_stored_predictions_of_other_code_are_not_mixed(data, method, tmp_path):
    with pytest.raises(Stop):
        predict_dataset(method(0.0), data, tmp_path / "p", progress=stop_after(open_dataset(data).count("test") - 1))
    assert len(list((tmp_path / "p").glob("*.h5"))) == 1
    for again in (
        lambda: predict_dataset(method(1.0), data, tmp_path / "p"),
        lambda: evaluate(method(1.0), data, out=tmp_path / "runs", predictions=tmp_path / "p"),
    ):
        with pytest.raises(PredictionError, match="made with another code of the method; give another folder, or delete it"):
            again()
    predict_dataset(method(0.0), data, tmp_path / "p")


def test_predictions_of_another_blurbench_are_not_mixed(data, tmp_path):
    predict_dataset("copy-blur", data, tmp_path / "p")
    head = tmp_path / "p" / "predictions.json"
    head.write_text(json.dumps({**json.loads(head.read_text()), "blurbench": "0.0.1"}))
    with pytest.raises(PredictionError, match="made with another version of blurbench;"):
        predict_dataset("copy-blur", data, tmp_path / "p")


def test_predictions_of_another_kind_of_device_are_not_mixed(data, tmp_path):
    """A second GPU is of the same kind."""
    predict_dataset("copy-blur", data, tmp_path / "p")
    head = tmp_path / "p" / "predictions.json"
    stored = json.loads(head.read_text())
    head.write_text(json.dumps({**stored, "device": "cuda:0"}))
    with pytest.raises(PredictionError, match="made with another kind of device; give another folder, or delete it"):
        evaluate("copy-blur", data, out=tmp_path / "runs", predictions=tmp_path / "p")
    first, second, other = (Header(**{**stored, "device": device}).identity() for device in ("cuda:0", "cuda:1", "cpu"))
    assert first == second and differing(first, other) == ["kind of device"]


def test_code_is_the_file_and_what_stands_beside_it(tmp_path, monkeypatch):
    def digest():
        for name in ("helper_beside", "elsewhere_helper"):
            sys.modules.pop(name, None)
        return METHODS.code(METHODS.get(f"{tmp_path / 'me.py'}:Me"))

    (tmp_path / "other").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "other")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "helper_beside.py").write_text("def f():\n    return 1\n")
    (tmp_path / "other" / "elsewhere_helper.py").write_text("def g():\n    return 1\n")
    (tmp_path / "me.py").write_text("from helper_beside import f\nfrom elsewhere_helper import g\nclass Me:\n    pass\n")
    (tmp_path / "stranger.py").write_text("x = 1\n")
    first = digest()
    (tmp_path / "stranger.py").write_text("x = 2\n")
    (tmp_path / "other" / "elsewhere_helper.py").write_text("def g():\n    return 22\n")
    assert digest() == first
    (tmp_path / "helper_beside.py").write_text("def f():\n    return 22\n")
    second = digest()
    assert second != first
    (tmp_path / "me.py").write_text((tmp_path / "me.py").read_text() + "    # more\n")
    assert digest() not in (first, second)
    assert METHODS.code(METHODS.get("copy-blur")) != METHODS.code(METHODS.get("zhang2020"))


def test_code_is_also_where_constants_come_from(tmp_path, monkeypatch):
    """They belong to no module that could be asked for its file; and a file of the same name elsewhere is another."""
    monkeypatch.syspath_prepend(tmp_path)
    for name, strength in (("numbers_of_mine", 1), ("numbers_of_yours", 2)):
        (tmp_path / f"{name}.py").write_text(f"STRENGTH = {strength}\n")
        (tmp_path / name[-5:]).mkdir()
    (tmp_path / "me.py").write_text("from numbers_of_mine import STRENGTH\nclass Me:\n    pass\n")
    first = METHODS.get(f"{tmp_path / 'me.py'}:Me")
    before = METHODS.code(first)
    (tmp_path / "_mine" / "me.py").write_text("class Me:\n    pass\n")
    second = METHODS.get(f"{tmp_path / '_mine' / 'me.py'}:Me")
    assert METHODS.code(first) == before != METHODS.code(second)
    (tmp_path / "numbers_of_mine.py").write_text("STRENGTH = 3\n")
    assert METHODS.code(first) != before


def test_warm_ups_are_in_no_mean(data, method, tmp_path):
    """Each part of a run warms up once: the mean is of the others, whichever samples they are of."""
    with pytest.raises(Stop):
        evaluate(method(), data, out=tmp_path, progress=stop_after(3))
    (record,) = evaluate(method(), data, out=tmp_path)
    seconds = records.scores(tmp_path / f"{record.name}.json")["seconds"]
    assert np.flatnonzero(seconds.isna()).tolist() == [0, 3]
    assert record.seconds == pytest.approx(seconds.mean()) and seconds.count() == record.samples - 2


def test_a_failed_warm_up_costs_nothing(data, tmp_path):
    """The cost is counted on the first prediction that there is."""
    (tmp_path / "late.py").write_text(METHOD.replace("FAIL and type(self).calls == 4", "type(self).calls == 1").replace("SCALE", "1"))
    (record,) = evaluate(f"{tmp_path / 'late.py'}:Mine", data, out=tmp_path, allow_failures=True)
    assert len(record.failed) == 1 and record.cost["multiply_adds"] == 9 * 64 * 96
    assert np.flatnonzero(records.scores(tmp_path / f"{record.name}.json")["seconds"].isna()).tolist() == [0]


@pytest.mark.parametrize("keep", [False, True])
def test_the_cost_outlives_a_stop_after_the_last_sample(data, method, tmp_path, keep):
    options = {"out": tmp_path, "predictions": tmp_path / "p" if keep else None}
    with pytest.raises(Stop):
        evaluate(method(), data, progress=stop_after(open_dataset(data).count("test")), **options)
    (record,) = evaluate(method(), data, **options)
    assert record.cost["parameters"] == 9 and record.cost["multiply_adds"] == 9 * 64 * 96
    assert record.cost["input"] == [64, 96] and record.cost["peak_memory_mib"] > 0
    assert record.seconds is not None


def test_the_cost_of_stored_predictions_is_kept(data, method, tmp_path):
    folder = predict_dataset(method(), data, tmp_path / "p")
    digest = Predictions(folder).digest()
    (record,) = evaluate(method(), data, out=tmp_path / "runs", predictions=folder)
    (scored,) = score(folder, data, out=tmp_path / "scored")
    assert record.cost == scored.cost == Predictions(folder).header.cost
    assert record.cost["parameters"] == 9 and Predictions(folder).digest() == digest == record.predictions
    assert record.seconds == scored.seconds


KEY = {"method": "a", "seed": 0}


def begun(path, told=None):
    return journal(path, KEY, [].append if told is None else told.append)


def fill(path, samples):
    with pytest.raises(Stop), begun(path) as kept:
        for number in range(samples):
            kept.add(Outcome(f"v/{number}", "v", 0.5 + number), {"parameters": number})
        raise Stop


def test_a_journal_keeps_outcomes_and_cost(tmp_path):
    fill(tmp_path / "j", 3)
    with begun(tmp_path / "j") as kept:
        assert list(kept.done) == ["v/0", "v/1", "v/2"] and kept.cost == {"parameters": 2}
        assert kept.done["v/1"] == Outcome("v/1", "v", 1.5)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("allow", [False, True])
def test_what_failed_is_done_again(data, tmp_path, monkeypatch, allow):
    code = METHOD.replace("SCALE", "1").replace("FAIL and type(self).calls == 4", "os.environ.get('BROKEN') and type(self).calls == 2")
    (tmp_path / "flaky.py").write_text(f"import os\n{code}")
    method = f"{tmp_path / 'flaky.py'}:Mine"
    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setenv("BROKEN", "1")
        evaluate(method, data, out=tmp_path / "runs", allow_failures=True, progress=stop_after(3))
    told = []
    (record,) = evaluate(method, data, out=tmp_path / "runs", allow_failures=allow, note=told.append)
    assert told[0].endswith(": 2 samples are taken from it")
    assert record.failed == {} and record.samples == open_dataset(data).count("test")


def test_scoring_does_again_what_failed(data, tmp_path):
    folder = predict_dataset("copy-blur", data, tmp_path / "p")
    ids = open_dataset(data).ids("test")
    video, _, number = ids[1].rpartition("/")
    with h5py.File(folder / f"{video}.h5", "r+") as file:
        del file[number]
    with pytest.raises(Stop):
        score(folder, data, out=tmp_path / "runs", allow_failures=True, progress=stop_after(3))
    with pytest.raises(PredictionError, match=f"has no prediction of sample {ids[1]}"):
        score(folder, data, out=tmp_path / "runs")
    assert not list((tmp_path / "runs").glob("*.json"))


def test_a_kill_while_it_is_written_anew_loses_nothing(tmp_path, monkeypatch):
    fill(tmp_path / "j", 3)

    def killed(part, path):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("blurbench.store.disk.finish", killed)
        with pytest.raises(KeyboardInterrupt), begun(tmp_path / "j"):
            pass
    with begun(tmp_path / "j") as kept:
        assert len(kept.done) == 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"key": {"method": "a", "seed": 1}}\n', "the stopped run in .* had another seed; starting anew"),
        ('{"key": "0123"}\n', "cannot be read as a stopped run"),
        ("", "cannot be read as a stopped run"),
    ],
)
def test_a_journal_of_something_else_is_told(tmp_path, text, says):
    (tmp_path / "j").write_text(text)
    told = []
    with begun(tmp_path / "j", told) as kept:
        assert not kept.done
    (line,) = told
    assert re.search(says, line)


def test_a_journal_of_many_protocols_has_a_name_that_fits(tmp_path):
    """And one of its own for each set of protocols."""
    rules = [protocols.load(name) for name in PROTOCOLS.names()]
    many = journal_place(tmp_path, "stem", rules)
    assert len("+".join(each.id for each in rules)) + len("..unfinished") > 200 > len(many.name)
    assert many != journal_place(tmp_path, "stem", rules[1:]) != journal_place(tmp_path, "stem", rules[:1])
    assert journal_place(tmp_path, "stem", rules[:1]).name == f".stem-{rules[0].id}.unfinished"


def test_two_runs_do_not_write_into_one_journal(tmp_path):
    with begun(tmp_path / "j") as kept:
        with pytest.raises(DataSetError, match=r"^another evaluation is writing .*j; wait for it, or give"), begun(tmp_path / "j"):
            pass
        kept.add(Outcome("v/0", "v", 0.5), {})
    assert not list(tmp_path.iterdir())


def test_two_runs_do_not_predict_into_one_folder(data, tmp_path):
    """The second finds it before the first has written anything, too; what a killed run left half written is removed."""
    folder, told = tmp_path / "p", r"^another run is writing predictions into .*p; wait for it, or give another folder$"
    ways = (
        lambda: predict_dataset("copy-blur", data, folder),
        lambda: evaluate("copy-blur", data, out=tmp_path / "runs", predictions=folder),
    )
    for way in ways:
        with held(folder / ".lock", ""), pytest.raises(DataSetError, match=told):
            way()
    assert not list(folder.iterdir())
    (folder / ".000.h5.123.part").write_bytes(b"half")
    with pytest.raises(PredictionError, match=r"^.*p is not empty and holds no predictions\.json; give another folder$"):
        ways[0]()
    (folder / ".000.h5.123.part").unlink()
    ways[0]()
    (folder / ".000.h5.123.part").write_bytes(b"half")
    ways[1]()
    assert {path.suffix for path in folder.iterdir()} == {".h5", ".json"}


def test_a_run_of_which_all_failed_leaves_no_journal(data, method, tmp_path):
    code = METHOD.replace("SCALE", "np.nan").replace("FAIL", "False")
    (tmp_path / "broken.py").write_text(code)
    with pytest.raises(PredictionError, match=r"^none of \d+ samples could be scored; the first: mine returned \d+ NaN"):
        evaluate(f"{tmp_path / 'broken.py'}:Mine", data, out=tmp_path / "runs", allow_failures=True)
    assert not list((tmp_path / "runs").iterdir())


HOLD = """
import sys, time
from pathlib import Path
from blurbench.lock import held
with held(Path(sys.argv[1]), "taken"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_lock_ends_with_its_process(tmp_path):
    path = tmp_path / "lock"
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(DataSetError, match=r"^taken$"), held(path, "taken"):
            pass
    finally:
        other.kill()
        other.communicate()
    assert path.exists()
    with held(path, "taken"):
        pass
    assert not path.exists()


def test_a_record_with_other_values_is_not_replaced_without_a_word(data, method, tmp_path):
    """The same method, changed: the record has the same name. The same values again are no news."""
    told = []
    (first,) = evaluate(method(1.0), data, out=tmp_path / "runs", note=told.append)
    evaluate(method(1.0), data, out=tmp_path / "runs", note=told.append)
    assert told == []
    place = tmp_path / "runs" / f"{first.name}.json"
    first_date = records.read(place).date
    evaluate(method(0.5), data, out=tmp_path / "runs", note=told.append)
    assert told == [f"note: {place} replaces the run of {first_date}, which had other values; another --out keeps both"]
