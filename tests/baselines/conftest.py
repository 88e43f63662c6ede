"""Torch on one thread, and no weights of the user's own."""

import pytest
import torch


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """On a busy machine the threads of a small network wait for each other several times longer than they work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def empty_cache(tmp_path_factory, monkeypatch):
    """Methods look for weights in the user's cache."""
    monkeypatch.setenv("BLURBENCH_CACHE", str(tmp_path_factory.getbasetemp() / "no-cache"))
