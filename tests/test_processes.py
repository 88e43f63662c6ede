"""Worker processes: what they find, and what they leave."""

import multiprocessing
import os
from pathlib import Path

from blurbench import processes

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
TASKS = Path("/proc/self/task")


def blas_threads(_number):
    """How many threads NumPy's BLAS adds to the one that loads it, and what it read the number from."""
    before = len(list(TASKS.iterdir()))
    import numpy as np

    np.ones((512, 512)) @ np.ones((512, 512))
    return len(list(TASKS.iterdir())) - before, [os.environ[name] for name in VARIABLES]


def test_a_worker_multiplies_in_one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    with processes.pool(2) as pool:
        assert os.environ["OMP_NUM_THREADS"] == "7" and "OPENBLAS_NUM_THREADS" not in os.environ
        for more, variables in pool.map(blas_threads, range(4)):
            assert more == 0 and variables == ["1", "1", "1"]


def test_workers_begin_before_they_are_needed():
    with processes.pool(3):
        assert len(multiprocessing.active_children()) == 3
