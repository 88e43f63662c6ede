"""What `blurbench train` tells on the way."""

import re
import sys

import pytest

from blurbench import cli
from blurbench.cli import train as command
from tests.train.test_runs import TINY, base, start

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def data(made):
    return made / "data/genblur"


@pytest.mark.parametrize(
    ("bar", "expected"),
    [
        (True, ["  0 % of the stage, step 1: loss 0.5000", "  5 % of the stage, step 50: loss 0.5000"]),
        (
            False,
            [
                "  0 % of the stage, step 1: loss 0.5000, 0.4 samples/s, 166 min left",
                "  0 % of the stage, step 7: loss 0.5000, 0.4 samples/s, 166 min left",
                "  1 % of the stage, step 13: loss 0.5000, 0.4 samples/s, 164 min left",
            ],
        ),
    ],
)
def test_a_line_a_minute_without_a_terminal(monkeypatch, capsys, bar, expected):
    """Steps of four samples, each of ten seconds, a thousand in all."""
    now, done = [0.0], []
    monkeypatch.setattr(command.time, "monotonic", lambda: now[0])
    lines = command._Lines(4000, bar, done.append)
    for step in range(1, 51):
        now[0] += 10
        lines(step / 1000, step, 0.5, 4)
    assert capsys.readouterr().err.splitlines()[: len(expected)] == expected and sum(done) == 200


def test_two_devices_tell_everything_once(data, tmp_path):
    process = start(data, tmp_path / "w.safetensors", "--devices", "2", "--stage", "second", "--start", base(tmp_path), steps=4)
    _, told = process.communicate(timeout=120)
    lines = [line for line in told.decode().splitlines() if re.search(r"training |of the stage|steps in|next:|tensorboard", line)]
    assert process.returncode == 0 and len(lines) == len(set(lines)) >= 6, told.decode()


def test_a_bar_has_all_that_is_left(data, tmp_path, monkeypatch, capsys):
    """30 steps of the first stage and 10 of the second, of four crops each; ten are done."""
    totals = []

    def noted(title, total, unit):
        totals.append(total)
        return cli._terminal.progress(title, None, unit)

    monkeypatch.setattr(command, "progress", noted)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    words = ["--method", TINY, "--dataset", str(data), "--out", str(tmp_path / "w.safetensors"), "--budget", "40", "--workers", "0"]
    stopping = pytest.MonkeyPatch()
    with stopping.context() as patch:
        patch.setattr("blurbench.train.run.Run._stopped", lambda self: self.step == 7)
        with pytest.raises(SystemExit, match="130"):
            command.train.main(words)
    command.train.main([*words, "--resume"], standalone_mode=False)
    assert totals == [160, 132]
    assert re.search(r"40 steps in .* minutes, best validation 0\.\d{4} \(loss\); wrote", capsys.readouterr().err)


def test_a_stop_before_the_first_validation(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("blurbench.train.run.Run._stopped", lambda self: True)
    with pytest.raises(SystemExit, match="130"):
        command.train.main(["--method", TINY, "--dataset", str(data), "--out", str(tmp_path / "w.safetensors"), "--workers", "0"])
    assert "1 step in 0.0 minutes, no validation yet; wrote " in capsys.readouterr().err
