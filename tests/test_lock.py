"""Locks end with the process that took them, whatever it forked."""

import os
import signal
import subprocess
import sys

import pytest

from blurbench.errors import DataSetError
from blurbench.lock import held

FORKS = """
import os, sys, time
from pathlib import Path
from blurbench.lock import held
with held(Path(sys.argv[1]), "taken"):
    child = os.fork()
    if child:
        print(child, flush=True)
    time.sleep(600)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_what_a_killed_process_forked_does_not_keep_its_lock(tmp_path):
    with subprocess.Popen([sys.executable, "-c", FORKS, str(tmp_path / "lock")], stdout=subprocess.PIPE, text=True) as process:
        child = int(process.stdout.readline())
        with pytest.raises(DataSetError, match="taken"), held(tmp_path / "lock", "taken"):
            pass
        process.kill()
        process.wait()
        os.kill(child, 0)  # it lives
        with held(tmp_path / "lock", "taken"):
            pass
        os.kill(child, signal.SIGKILL)
