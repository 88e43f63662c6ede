"""The peak of memory is that of the run, not of what the process did before."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from blurbench.methods import load_method
from blurbench.run import measure
from blurbench.run.measure import Meter
from blurbench.running import predict
from blurbench.types import Sample

HELD = 300 * 2**20


def can_reset():
    try:
        measure._CLEAR.write_text(measure._PEAK)
    except OSError:
        return False
    return True


@pytest.fixture
def sample():
    sharp = np.zeros((3, 32, 32, 3), np.uint8)
    return Sample(id="v/0", video="v", blurry=sharp[1], sharp=sharp, times=np.array([0.1, 0.5, 0.9]), transfer="pixel")


FREED = f"""
import numpy as np
from blurbench.methods import load_method
from blurbench.run import measure

np.ones({HELD}, np.uint8)  # freed at once
before = measure._peak_bytes("cpu")
measure.Meter(load_method("copy-blur"))
print(before, measure._peak_bytes("cpu"))
"""


@pytest.mark.skipif(not can_reset(), reason="this system does not set the peak of memory back")
def test_memory_that_was_freed_before_does_not_count():
    """In a process of its own: another may hold anything."""
    done = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert before > HELD and 0 < after < before - HELD / 2


def test_memory_during_the_run_counts(sample, monkeypatch):
    meter = Meter(load_method("copy-blur"))
    before = measure._peak_bytes("cpu")

    def hungry(*arguments):
        np.ones(HELD, np.uint8)
        return predict(*arguments)

    monkeypatch.setattr("blurbench.running.predict", hungry)
    meter.predict(sample, 1, 0)
    if before:  # Linux
        assert meter.facts()["peak_memory_mib"] * 2**20 > HELD


def test_a_system_that_does_not_offer_it(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "_CLEAR", tmp_path / "missing" / "clear_refs")
    assert Meter(load_method("copy-blur")).facts() == {}


def test_the_peak_of_a_gpu_is_that_of_its_device(monkeypatch):
    asked = []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", asked.append)
    Meter(SimpleNamespace(device="cuda:1"))
    assert asked == ["cuda:1"]
