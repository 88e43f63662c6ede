"""`blurbench demo`."""

from __future__ import annotations

from pathlib import Path

import click

from blurbench.cli._terminal import say

METHODS = ("copy-blur", "oracle-centre", "oracle", "zhang2020")
PICTURE = "runs/demo.png"


@click.command()
def demo() -> None:
    """The whole way in a few minutes: footage → data set → methods → leaderboard, in this folder."""
    from blurbench.cli._make import run_make
    from blurbench.cli._show import run_evaluate, show_board
    from blurbench.report.table import leaderboard
    from blurbench.store.reader import data_root

    say("1/3 the data set: recipe genblur")
    run_make("genblur", None, None, splits=("test",))
    folder = data_root() / "genblur"
    say("\n2/3 the methods")
    for method in METHODS:
        run_evaluate(method, folder)
    _picture(folder, Path(PICTURE))
    say("\n3/3 the leaderboard")
    for path, board in leaderboard(tell=say):
        show_board(board)
        say(f"wrote {path}")
    say(f"a picture of one sample: {PICTURE}")
    say(
        "\nNext:\n"
        "  blurbench inspect genblur                                       what the data set holds, with a contact sheet\n"
        "  blurbench make-dataset gopro7 --source VIDEO --out data/mine    the same from your own high-frame-rate video\n"
        "  blurbench evaluate --method my_method.py:MyMethod --dataset genblur    your own method (docs/method.md: one file)"
    )


def _picture(folder: Path, path: Path) -> None:
    """The most blurred sample, true and predicted."""
    import numpy as np

    from blurbench.methods import load_method
    from blurbench.metrics.psnr import psnr
    from blurbench.metrics.select import quantise
    from blurbench.report.figures import sample_sheet
    from blurbench.running import predict
    from blurbench.store.reader import open_dataset
    from blurbench.video.images import write_rgb

    samples = list(open_dataset(folder).samples("test"))
    hardest = min(samples, key=lambda s: float(psnr(s.blurry[None], s.sharp[len(s.sharp) // 2][None])[0]))
    frames = np.asarray(quantise(predict(load_method("zhang2020"), hardest).frames[0], "round"))
    write_rgb(path, sample_sheet(hardest, {"zhang2020": frames}))
