"""`make-dataset` killed with SIGKILL at random moments and resumed, against an undisturbed run: fingerprints, contents, leftovers."""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from blurbench.store.disk import PART
from blurbench.store.reader import open_dataset
from blurbench.store.verify import verify

SPLITS = ("train", "test")


@dataclass(frozen=True)
class Trial:
    """One kill and what came of it. `unfinished` and `shards` are files that lay there after the kill."""

    workers: int
    after: float
    unfinished: int
    shards: int
    again: int  # finished shards that the resumed run wrote again
    problems: tuple[str, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        whole, shortest, longest = undisturbed(Path(name) / "undisturbed")
        print(f"undisturbed: first file after {shortest:.2f} s, all in {longest:.2f} s; kills fall between, every other with 2 workers")
        print(f"{'workers':>7} {'killed after s':>14} {'unfinished':>10} {'shards':>6} {'made again':>10}  result")
        failed = 0
        for number in range(options.moments):
            trial = killed(Path(name) / str(number), 1 + number % 2, rng.uniform(0.9 * shortest, longest), whole)
            failed += bool(trial.problems)
            said = "; ".join(trial.problems) or "equal"
            print(f"{trial.workers:7d} {trial.after:14.2f} {trial.unfinished:10d} {trial.shards:6d} {trial.again:10d}  {said}", flush=True)
    print(f"{options.moments - failed} of {options.moments} resumed runs equal the undisturbed one, with nothing left over")
    sys.exit(1 if failed else 0)


def start(folder: Path, workers: int) -> subprocess.Popen[bytes]:
    """The command, in a process group of its own."""
    size = ["--clips", "train=2", "--clips", "test=2", "--size", "192x128", "--out", str(folder), "--workers", str(workers)]
    command = [sys.executable, "-m", "blurbench.cli", "make-dataset", "genblur", *size]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)


def undisturbed(folder: Path) -> tuple[list[str], float, float]:
    """Fingerprints and contents, seconds until the first file, seconds in all."""
    begin = time.perf_counter()
    process = start(folder, 1)
    while not list(folder.glob("**/.*")) and process.poll() is None:
        time.sleep(0.005)
    first = time.perf_counter() - begin
    if process.wait():
        sys.exit(f"the undisturbed run failed with {process.returncode}")
    return hashes(folder), first, time.perf_counter() - begin


def killed(folder: Path, workers: int, after: float, whole: list[str]) -> Trial:
    """Kill a run after so many seconds, go on, compare. Only the command itself is killed: its workers have to notice."""
    process = start(folder, workers)
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
    process.wait()
    unfinished = len(list(folder.glob(f"**/.*{PART}")))
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*/*.h5")}
    problems = []
    if (resumed := start(folder, workers)).wait():
        problems.append(f"the resumed run ended with {resumed.returncode}")
    elif hashes(folder) != whole:
        problems.append("fingerprint or content differ")
    if not problems:
        problems += [f"{finding.file}: {finding.message}" for finding in verify(folder) if not finding.ok]
    again = sum(path.stat().st_mtime_ns != written for path, written in before.items())
    problems += still_running(process.pid)
    return Trial(workers, after, unfinished, len(before), again, tuple(problems))


def hashes(folder: Path) -> list[str]:
    """Fingerprint and content of each split."""
    made = open_dataset(folder).manifest
    return [value for split in SPLITS for value in (made.fingerprint(split), made.content(split))]


def still_running(group: int) -> list[str]:
    """Processes of a killed run that are still at work; they are ended. The dead that nobody has buried yet (state Z) do not count."""
    alive = [pid for pid, state, its_group in _processes() if its_group == group and state != "Z"]
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
    return ["workers of the killed run were still there"] if alive else []


def _processes() -> Iterator[tuple[int, str, int]]:
    """Number, state and group of every process, as Linux tells them."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, group = path.read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        yield int(path.parent.name), state, int(group)


if __name__ == "__main__":
    main()
