"""`blurbench predict`."""

from __future__ import annotations

from pathlib import Path

import click

from blurbench.cli._terminal import device_option, method_option, progress, say, seed_option, weights_option


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path())
@method_option
@weights_option
@click.option("--out", default="predictions", show_default=True, type=click.Path(), help="Folder for the PNGs.")
@click.option("--frames", default=7, show_default=True, help="Frames to ask for, where the method lets one choose.")
@device_option
@seed_option
def predict(images: tuple[str, ...], method: str, weights: str | None, out: str, frames: int, device: str, seed: int) -> None:
    """Run a method on photographs (IMAGES: files, or folders of them) and write PNGs."""
    from blurbench.run.predict import predict_images

    with progress(f"running {method}", None, "images") as advance:
        written = predict_images(
            method,
            [Path(image) for image in images],
            Path(out),
            weights=weights,
            frames=frames,
            device=device,
            seed=seed,
            progress=lambda done, total: advance(1),
        )
    say(f"wrote {len(written)} pictures to {out}/")
