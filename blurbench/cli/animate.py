"""`blurbench animate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from blurbench.cli._options import (
    MethodCommand,
    device_option,
    iterate_option,
    method_option,
    options_option,
    out_option,
    seed_option,
    weights_option,
)
from blurbench.cli._terminal import progress, say


@click.command(cls=MethodCommand)
@click.argument("image", required=False, type=click.Path(path_type=Path))
@method_option
@weights_option
@options_option
@iterate_option
@click.option("--guidance", metavar="HINT", help="What moved where, or how many solutions to draw; see above.")
@click.option("--dataset", help="Instead of IMAGE: a made data set, by name or folder, …")
@click.option("--sample", help="… and the id of one of its samples, as VIDEO/00000.")
@click.option("--split", help="… and its split, where several have that id.")
@click.option("--frames", type=click.IntRange(1), help="Frames to ask for, where the method lets one choose.  [default: 7]")
@out_option("animations", "Folder for what is written.")
@click.option("--format", default="webp", show_default=True, help="webp (every pixel exact), mp4 (small) or gif (256 colours).")
@click.option("--fps", default=10.0, show_default=True, help="Frames shown a second.")
@click.option("--bounce", is_flag=True, help="Run forward and back again, as one picture does not tell in which direction things moved.")
@device_option
@seed_option
def animate(image: Path | None, method: str, guidance: str | None, out: Path, **options: Any) -> None:
    """Bring a blurred photograph back to life: a short moving picture of what happened while the shutter was open.

    Writes one moving picture for each solution, and a sheet (PNG) with all frames side by side. With --dataset and --sample instead of
    IMAGE the true frames stand in the sheet as well.

    \b
    What moved where is more than a method can always see in the blur. --guidance tells it:
    FILE.json                a drawing: labelme polygons with directions (docs/animate.md)
    neighbours:PREV[,NEXT]   pictures of the same video just before, and after
    sample:N                 nothing is known; draw N solutions
    """
    from blurbench.run.animate import animate as run

    with progress(f"animating with {method}", None, "solutions") as advance:
        made = run(method, image, out, guidance=guidance, progress=lambda done, total: advance(1), **options)
    for note in made.notes:
        say(note)
    say(f"wrote {', '.join(map(str, [*made.files, made.sheet]))}")
