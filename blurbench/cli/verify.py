"""`blurbench verify`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from blurbench.cli._options import given, writable_file
from blurbench.cli._terminal import progress, say, table

if TYPE_CHECKING:
    from blurbench.synth.align import Alignment, Match

_SHOWN = ("split", "sequence", "window", "pairs", "result", "offset", "sharp", "sharp dB", "blur as pixel", "blur_gamma as gamma(2.2)")


@click.command()
@click.argument("what", metavar="DATASET | gopro")
@click.argument("folders", nargs=-1, type=click.Path(), metavar="[PAIRS_DIR ALL_DIR]")
@click.option("--split", "splits", multiple=True, help="gopro: only this split (repeatable).")
@click.option("--out", type=click.Path(), help="gopro: write the table, a row a sequence, to this CSV file.")
@click.option("--map", "pairs_out", type=click.Path(), help="gopro: write the frame found for every pair to this CSV file.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="gopro: processes; each works on one sequence at a time.",
)
@click.pass_context
def verify(
    context: click.Context,
    what: str,
    folders: tuple[str, ...],
    splits: tuple[str, ...],
    out: str | None,
    pairs_out: str | None,
    workers: int,
) -> None:
    """Check that a made data set is what it was when it was made, or where the released GoPro pairs come from.

    \b
    blurbench verify DATASET                    recompute every hash of a made data set
    blurbench verify gopro PAIRS_DIR ALL_DIR    find the pairs of GOPRO_Large in the frames of GOPRO_Large_all

    Exit code 1 says that a made data set is not what it was, or that for some released pair no frame was found. Pairs that lie elsewhere
    than the published rule says are a finding, no failure. (A data set called gopro is checked as ./gopro.)
    """
    if what == "gopro":
        if len(folders) != 2:
            raise click.UsageError("verify gopro takes two folders, GOPRO_Large and GOPRO_Large_all")
        context.exit(_gopro(Path(folders[0]), Path(folders[1]), splits, out, pairs_out, workers))
    if folders or any(map(given, ("splits", "out", "pairs_out", "workers"))):
        raise click.UsageError(f"verify {what} checks a made data set and takes nothing else; for released pairs: verify gopro PAIRS ALL")
    context.exit(_made(what))


def _made(dataset: str) -> int:
    from blurbench.store.reader import open_dataset
    from blurbench.store.verify import verify as check

    data = open_dataset(dataset)
    with progress(f"verifying {dataset}", sum(map(data.count, data.manifest.splits)), "samples") as advance:
        findings = check(data, advance)
    wrong = [finding for finding in findings if not finding.ok]
    if wrong:
        table(["split", "video", "file", "finding"], [[f.split, f.video, f.file, f.message] for f in wrong])
    say(f"{len(findings) - len(wrong)} of {len(findings)} checks passed, {len(wrong)} did not")
    return 1 if wrong else 0


def _gopro(pairs: Path, frames: Path, splits: tuple[str, ...], out: str | None, pairs_out: str | None, workers: int) -> int:
    from blurbench.synth import align, recipe
    from blurbench.video.images import image_files

    for path in filter(None, (out, pairs_out)):
        writable_file(Path(path))
    sequences = align.find_sequences(pairs, frames, recipe.load("gopro-linear"), splits)
    total = sum(len(image_files(one.pairs / "sharp")) for one in sequences)
    with progress("aligning", total, "pairs") as advance:
        results = align.align_all(sequences, workers, advance)
    header, rows = _sequence_rows(results)
    shown = [header.index(name) for name in _SHOWN]
    table(_SHOWN, [[_short(row[column]) for column in shown] for row in rows])
    say("differences in grey levels, root mean square; `blur as pixel`: the released blur against the window averaged as stored")
    if out:
        _write(Path(out), header, rows)
    if pairs_out:
        _write(Path(pairs_out), *_pair_rows(results))
    odd = [result for result in results if result.verdict != "as published"]
    say(f"{len(results) - len(odd)} of {len(results)} sequences lie where the published rule says")
    return 1 if any(result.incomplete for result in results) else 0


def _sequence_rows(results: Sequence[Alignment]) -> tuple[list[str], list[list[object]]]:
    from blurbench.synth.align import BLURS, pooled, psnr

    measures = [f"{folder} as {transfer.name}" for folder in BLURS for transfer in BLURS.values()]
    header = ["split", "sequence", "window", "pairs", "result", "offset", "sharp", "sharp dB"]
    header += [part for name in measures for part in (name, f"{name} dB")]
    rows: list[list[object]] = []
    for result in results:
        one = result.sequence
        offset = result.offsets.most_common(1)[0][0] if result.offsets else math.nan
        row: list[object] = [one.split, one.id, one.length, len(result.matches), result.verdict, offset]
        values = [[match.sharp for match in result.matches]]
        values += [[match.blur[name] for match in result.matches if name in match.blur] for name in measures]
        for levels in map(pooled, values):
            row += [levels, psnr(levels)]
        rows.append(row)
    return header, rows


def _pair_rows(results: Sequence[Alignment]) -> tuple[list[str], list[list[object]]]:
    def cells(match: Match) -> list[object]:
        offset = "" if match.found is None else match.found - match.rule
        return [match.number, match.rule, "" if match.found is None else match.found, offset, match.sharp]

    rows = [[result.sequence.split, result.sequence.id, *cells(match)] for result in results for match in result.matches]
    return ["split", "sequence", "number", "centre by rule", "centre found", "offset", "sharp"], rows


def _short(cell: object) -> object:
    if not isinstance(cell, float):
        return cell
    return "" if math.isnan(cell) else f"{cell:.2f}"


def _write(path: Path, header: list[str], rows: list[list[object]]) -> None:
    import csv

    from blurbench.store.disk import replacing

    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows([_exact(cell) for cell in row] for row in rows)
    say(f"wrote {path}")


def _exact(cell: object) -> object:
    if not isinstance(cell, float):
        return cell
    return "" if math.isnan(cell) else f"{cell:.6f}"
