"""`blurbench predict`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from blurbench.cli._options import (
    MethodCommand,
    device_option,
    iterate_option,
    method_option,
    options_option,
    refuse,
    seed_option,
    split_option,
    weights_option,
)
from blurbench.cli._terminal import progress, say
from blurbench.errors import counted


@click.command(cls=MethodCommand)
@click.argument("images", nargs=-1, type=click.Path())
@method_option
@weights_option
@options_option
@iterate_option
@click.option("--dataset", help="Instead of images: a made data set. Writes predictions for `blurbench score`.")
@split_option
@click.option(
    "--out", type=click.Path(), help="Folder to write to.  [default: predictions/METHOD, of a data set predictions/METHOD-DATASET-SPLIT]"
)
@click.option("--frames", type=click.IntRange(min=1), help="Images: how many, where the method lets one choose.  [default: 7]")
@click.option("--samples", default=1, show_default=True, type=click.IntRange(min=1), help="How many answers of a stochastic method.")
@click.option("--store", default="float32", show_default=True, type=click.Choice(["float32", "uint8"]), help="Data set: exact, or rounded.")
@device_option
@seed_option
def predict(
    images: tuple[str, ...],
    method: str,
    weights: str | None,
    options: dict[str, str],
    dataset: str | None,
    split: str,
    out: str | None,
    frames: int | None,
    samples: int,
    store: str,
    device: str,
    seed: int,
) -> None:
    """Run a method on photographs (IMAGES: files, or folders of them) and write PNGs; or on a data set, to score it elsewhere."""
    if bool(images) == (dataset is not None):
        raise click.UsageError("expected either IMAGES or --dataset")
    from blurbench.methods import method_class

    shared: dict[str, Any] = {"weights": weights, "options": options, "samples": samples, "device": device, "seed": seed}
    if dataset is not None:
        from blurbench.run.predictions import require_place

        refuse("is for images, a data set has its own number; leave it out", "frames")
        folder = out or f"predictions/{method_class(method).card.id}-{Path(dataset).stem}-{split}"
        require_place(Path(folder), "give another --out")
        _dataset(method, dataset, folder, split=split, store=store, **shared)
        return
    refuse("is for --dataset, not for images; leave it out", "split", "store")
    from blurbench.run.predict import predict_images

    folder = out or f"predictions/{method_class(method).card.id}"
    with progress(f"running {method}", None, "images") as advance:
        written = predict_images(
            method,
            [Path(image) for image in images],
            Path(folder),
            frames=frames,
            progress=lambda done, total: advance(1),
            note=say,
            **shared,
        )
    say(f"wrote {counted(len(written), 'picture')} to {folder}/")


def _dataset(method: str, dataset: str, folder: str, split: str, **options: Any) -> None:
    from blurbench.cli._show import counting
    from blurbench.run.runner import predict_dataset

    with counting(f"running {method}", dataset, split) as tell:
        predict_dataset(method, dataset, folder, split=split, progress=tell, note=say, **options)
    say(f"wrote {folder}/; score it with `blurbench score {shlex.quote(folder)} --dataset {shlex.quote(dataset)}`")
