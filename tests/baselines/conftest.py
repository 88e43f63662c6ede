"""Torch on one thread."""

import pytest
import torch


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """On a busy machine the threads of a small network wait for each other several times longer than they work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
