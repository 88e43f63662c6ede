"""Making a data set with a progress bar and a summary; `make-dataset` and `demo` both do it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.filesize import decimal

from blurbench.cli._terminal import progress, say
from blurbench.errors import counted
from blurbench.store.build import not_there, require_space
from blurbench.store.manifest import Manifest
from blurbench.store.reader import data_root
from blurbench.synth import pipeline, recipe
from blurbench.synth.plan import Job, describe


class _DryRunError(Exception):
    """Raised by the plan callback to stop before anything is made."""


def run_make(name: str, source: str | None, out: str | None, *, dry_run: bool = False, **options: Any) -> Manifest | None:
    """Make a data set and tell what came of it. None after a dry run."""
    folder = Path(out) if out is not None else data_root() / recipe.load(name).id
    bars = ExitStack()
    advance: list[Callable[[int], None]] = []

    def planned(jobs: list[Job]) -> None:
        if source is None:
            say("no source given: using the built-in rendered footage (synthetic clips; results are labelled “rendered”)")
            if own := options.get("photographs"):
                say(f"training clips show the photographs of {own} beside those of scikit-image; test clips never do")
        _announce(jobs, folder)
        if dry_run:
            raise _DryRunError
        lengths = [job.source.length for job in jobs]
        total = sum(length or 0 for length in lengths) if all(lengths) else None
        advance.append(bars.enter_context(progress(f"making {folder}", total, "frames")))

    with bars:
        try:
            manifest = pipeline.make_dataset(
                name, source, out, planned=planned, progress=lambda _, frames: advance[0](frames), note=say, **options
            )
        except _DryRunError:
            say("dry run: nothing was made")
            return None
    for split, entries in manifest.splits.items():
        unused = sum(entry.unused for entry in entries)
        note = f", {unused} of {sum(e.frames for e in entries)} frames in no window" if unused else ""
        samples = sum(entry.samples for entry in entries)
        counts = f"{counted(len(entries), 'video')}, {counted(samples, 'sample')}"
        say(f"  {split}: {counts}{note}, fingerprint {manifest.fingerprint(split)[:12]}")
        reasons = sum((Counter(entry.left_out) for entry in entries), Counter())
        for reason, count in reasons.items():
            say(f"    {counted(count, 'window')} left out for {reason}")
    say(f"made {manifest.label} in {folder}")
    return manifest


def _announce(jobs: list[Job], folder: Path) -> None:
    """Say what is coming, and refuse when the disk cannot hold what is not there. Pixels compress to 0.6 to 0.9 of their size."""
    plan = describe(jobs)
    sources = ", ".join(counted(count, f"{split} source") for split, count in plan["splits"].items())
    size = "unknown size" if plan["bytes"] is None else f"at most {decimal(plan['bytes'])}"
    say(f"{jobs[0].recipe.id}: {sources} → {folder} ({size})")
    if lacking := not_there(folder, jobs):
        require_space(folder, describe(lacking)["bytes"] or 0)
