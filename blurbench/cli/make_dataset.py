"""`blurbench make-dataset`."""

from __future__ import annotations

import click

from blurbench.cli._options import changes_option, once, refuse


@click.command("make-dataset")
@click.argument("recipe")
@click.option(
    "--source", type=click.Path(), help="A video, a folder of images, or a folder of either. None: the built-in rendered footage."
)
@click.option("--out", type=click.Path(), help="Folder to make it in.  [default: data/<name>, or $BLURBENCH_DATA/<name>]")
@click.option("--split", "splits", multiple=True, help="Only this split (repeatable).")
@changes_option("Change a key of the recipe, e.g. frame.crop=[1280,704].")
@click.option("--clips", multiple=True, metavar="SPLIT=N", help="Built-in footage: how many clips of a split, e.g. train=400.")
@click.option("--size", metavar="WxH", help="Built-in footage: size of the frames.  [default: 320x192]")
@click.option("--frames", type=click.IntRange(min=1), help="Built-in footage: frames a clip.  [default: enough for four windows]")
@click.option("--photographs", type=click.Path(), metavar="DIR", help="Built-in footage: paint training clips with these, too.")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of everything random.  [default: the recipe's own, mostly 0]")
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes; each works on one source at a time.")
@click.option("--codec", default="zstd", show_default=True, help="zstd (small and fast), or gzip (every HDF5 reader opens it).")
@click.option(
    "--keep-variable-rate",
    is_flag=True,
    help="Accept frames that are not evenly spaced, by a video's clock or images' numbers.",
)
@click.option("--rife-weights", type=click.Path(), help="flownet.pkl of RIFE v4, instead of those of `blurbench weights fetch rife`.")
@click.option("--dry-run", is_flag=True, help="Say what would be made, make nothing.")
def make_dataset(
    recipe: str,
    source: str | None,
    out: str | None,
    splits: tuple[str, ...],
    changes: tuple[str, ...],
    clips: tuple[str, ...],
    size: str | None,
    frames: int | None,
    photographs: str | None,
    seed: int | None,
    workers: int,
    codec: str,
    keep_variable_rate: bool,
    rife_weights: str | None,
    dry_run: bool,
) -> None:
    """Make a data set from high-frame-rate video.

    RECIPE is a name (`blurbench ls datasets`) or a TOML file. What is finished is not made again: after Ctrl-C, repeat the command.
    """
    from blurbench.cli._make import run_make

    if source is None:
        refuse("is for --source, not for the built-in footage; leave it out", "keep_variable_rate")
    else:
        refuse("is for the built-in footage, not for --source; leave it out", "clips", "size", "frames", "photographs")
    run_make(
        recipe,
        source,
        out,
        dry_run=dry_run,
        changes=changes,
        splits=splits,
        clips=_clips(clips),
        size=None if size is None else _size(size),
        frames=frames,
        photographs=photographs,
        seed=seed,
        workers=workers,
        codec=codec,
        keep_variable_rate=keep_variable_rate,
        weights=rife_weights,
    )


def _clips(options: tuple[str, ...]) -> dict[str, int] | None:
    for option in options:
        split, _, number = option.partition("=")
        if split not in ("train", "test") or not number.isdigit():
            raise click.UsageError(f"--clips is {option!r}, expected train=N or test=N")
    return {split: int(number) for split, number in once("--clips", options).items()} or None


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit() and 32 <= int(width) <= 7680 and 32 <= int(height) <= 4320):
        raise click.UsageError(f"--size is {text!r}, expected WIDTHxHEIGHT from 32x32 to 7680x4320, e.g. 320x192")
    return int(height), int(width)
