"""Exact convolutions: a switch that all threads share goes off with the first and back with the last."""

import threading

import pytest
import torch

from blurbench.device import exact


@pytest.mark.parametrize("before", [True, False])
def test_it_is_as_before_afterwards(before, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", before)
    with exact("cuda"):
        with exact("cuda"):
            assert not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cudnn.allow_tf32 and torch.backends.cudnn.enabled
    with pytest.raises(KeyError), exact("cuda"):
        raise KeyError
    assert torch.backends.cudnn.allow_tf32 is before


def test_a_thread_that_leaves_first_does_not_switch_it_on(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    inside, leave = threading.Event(), threading.Event()

    def first():
        with exact("cuda"):
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=first)
    thread.start()
    assert inside.wait(10)
    with exact("cuda"):
        leave.set()
        thread.join(10)
        assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.allow_tf32


def test_on_the_processor_the_switch_is_left_alone(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    with exact("cpu"):
        assert torch.backends.cudnn.allow_tf32
