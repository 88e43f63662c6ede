"""Peak memory of make-dataset for a clip of 500 and one of 2,000 frames of 1280x720."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from _footage import write_recipe, write_video

MEASURE = r"""
import re, sys
from blurbench.synth.pipeline import make_dataset
make_dataset(*sys.argv[1:4])
# Not getrusage: its peak outlives exec, and would be that of the process that wrote the video.
print(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1])
"""


def main() -> None:
    peaks = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recipe = write_recipe(folder / "wild.toml")
        for frames in (500, 2000):
            video = folder / f"{frames}.mp4"
            write_video(video, frames)
            arguments = [sys.executable, "-c", MEASURE, str(recipe), str(video), str(folder / f"out{frames}")]
            peaks[frames] = int(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout) / 1024
    print(f"peak memory: {peaks[500]:.0f} MiB for 500 frames, {peaks[2000]:.0f} MiB for 2,000 (aim: below 600 MB)")
    print(f"ratio {peaks[2000] / peaks[500]:.3f} (aim: 0.9 to 1.1)")


if __name__ == "__main__":
    main()
