"""What many tests need: the material that is not part of the project, the real command, a small made data set."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("blurbench", deadline=None)  # a busy machine is no mistake
settings.load_profile("blurbench")

if "PYTEST_XDIST_WORKER" in os.environ:  # several processes share the cores; before anything imports torch
    os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("BLURBENCH_SHARED", ROOT.parent / "shared")).resolve()


@pytest.fixture(scope="session")
def shared():
    """The folder of real footage, weights and official values; $BLURBENCH_SHARED."""
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is absent; set BLURBENCH_SHARED to run this test")
    return SHARED


def command(*arguments, cwd, env=None):
    """Run `blurbench ARGUMENTS` as a user does; returns the finished process with stdout and stderr as text."""
    return subprocess.run(
        [sys.executable, "-m", "blurbench.cli", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "COLUMNS": "200", **(env or {})},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def one_thread():
    """Torch on one thread: several wait for each other longer than they work on a small network, and their sums differ in the last bits."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A folder in which `genblur` was made from small rendered clips: two for training, two for test."""
    folder = tmp_path_factory.mktemp("made")
    done = command("make-dataset", "genblur", "--clips", "train=2", "--clips", "test=2", "--size", "160x96", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder
