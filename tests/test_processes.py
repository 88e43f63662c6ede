"""Worker processes: what they find, and what they leave."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

from blurbench import processes
from blurbench.errors import BlurbenchError

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


def end(_number):
    os._exit(9)  # as the system ends a process when memory runs out


def test_a_worker_that_is_killed_is_told_in_one_line():
    with pytest.raises(BlurbenchError) as caught, processes.pool(2) as pool:
        list(pool.map(end, range(4)))
    assert str(caught.value).startswith("a worker process ended before its work was done") and "\n" not in str(caught.value)
    assert "repeat with fewer --workers" in str(caught.value)


def test_a_script_without_its_guard_is_told_so(tmp_path):
    """Workers import the script, which would start workers of its own."""
    (tmp_path / "script.py").write_text(
        "from blurbench.processes import pool\nwith pool(1) as workers:\n    workers.submit(abs, -1).result()\n"
    )
    done = subprocess.run([sys.executable, tmp_path / "script.py"], capture_output=True, text=True, timeout=120)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("blurbench.errors.BlurbenchError: a worker process ended") and 'below `if __name__ == "__main__":`' in last


def test_workers_begin_before_they_are_needed():
    with processes.pool(3):
        assert len(multiprocessing.active_children()) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_a_run_that_is_asked_to_end_does_so_in_order(tmp_path):
    """Without a word on semaphores that were left behind."""
    (tmp_path / "script.py").write_text(
        "import os, signal, time\n"
        "from blurbench.processes import pool\n"
        "if __name__ == '__main__':\n"
        "    try:\n"
        "        with pool(2) as workers:\n"
        "            workers.submit(abs, -1).result()\n"
        "            os.kill(os.getpid(), signal.SIGTERM)\n"
        "            time.sleep(60)\n"
        "    except KeyboardInterrupt:\n"
        "        print('interrupted', signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)\n"
    )
    done = subprocess.run([sys.executable, tmp_path / "script.py"], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted True\n", "")
