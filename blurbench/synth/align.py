"""Where the released GoPro pairs lie in the high-rate frames: the window of each pair is searched, averaged again, and compared.

GOPRO_Large (Nah et al., CVPR 2017) names a rule: blurry picture n of a sequence that averages L frames comes from frames (n-1) L + 1 to
n L of GOPRO_Large_all, and the sharp picture is the middle one. The rule does not hold for every sequence, and pixels are never quite
equal: the pairs were made from the videos, not from the released frames.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from blurbench import processes
from blurbench.errors import SourceError
from blurbench.synth.accumulate import Exposure, Shutter
from blurbench.synth.recipe import Recipe
from blurbench.types import F32, U8
from blurbench.video.discover import SPLITS
from blurbench.video.images import image_files, natural_key, read_rgb
from blurbench.video.transfer import PIXEL, Transfer, gamma

NEAR = 2.0  # grey levels, root mean square: a sharp picture differs from its own frame by less than 1
BLURS: dict[str, Transfer] = {"blur": PIXEL, "blur_gamma": gamma(2.2)}
_THUMBNAIL = (64, 36)


@dataclass(frozen=True)
class Sequence:
    """A released sequence and its frames. pairs: folder with sharp/ and blurs; frames: folder of high-rate frames, None where missing."""

    id: str
    split: str
    pairs: Path
    frames: Path | None
    length: int


@dataclass(frozen=True)
class Match:
    """Where one pair was found. rule, found: number of the centre frame by the published rule, and of the nearest frame (None: none near).

    sharp: grey levels, root mean square, between the sharp picture and that frame. blur: between `<folder>` as released and the window
    averaged again `<folder> as <transfer>`; empty where the window is not whole.
    """

    number: int
    rule: int
    found: int | None
    sharp: float
    blur: dict[str, float]


@dataclass(frozen=True)
class Alignment:
    """A sequence's matches; empty where its frames are missing."""

    sequence: Sequence
    matches: list[Match]

    @property
    def offsets(self) -> Counter[int]:
        """How often each distance from the rule was found, in frames."""
        return Counter(match.found - match.rule for match in self.matches if match.found is not None)

    @property
    def incomplete(self) -> bool:
        """Whether frames are missing or a pair was not found."""
        return not self.matches or any(match.found is None for match in self.matches)

    @property
    def verdict(self) -> str:
        """The result in a few words."""
        if not self.matches:
            return "frames are missing"
        lost = sum(match.found is None for match in self.matches)
        if lost:
            return f"{lost} of {len(self.matches)} not found"
        offsets = self.offsets
        if set(offsets) == {0}:
            return "as published"
        if len(offsets) == 1:
            return f"shifted by {next(iter(offsets)):+d}"
        return f"shifts from {min(offsets):+d} to {max(offsets):+d}"


def find_sequences(pairs: Path, frames: Path, recipe: Recipe, splits: tuple[str, ...] = ()) -> list[Sequence]:
    """The sequences of GOPRO_Large and their frames in GOPRO_Large_all, below train/ and test/ in both.

    recipe: reads the window length from the names. splits: all unless given. Raises SourceError for one that holds none, and where none
    does.
    """
    for root in (pairs, frames):
        if not root.is_dir():
            raise SourceError(f"{root} is missing or no folder, expected GOPRO_Large and then GOPRO_Large_all; check the path")
    held = {split: _folders(pairs / split) for split in SPLITS}
    if not (there := [split for split in SPLITS if held[split]]):
        raise SourceError(f"{pairs} holds no sequences, expected train/<sequence>/sharp/ or test/<sequence>/sharp/; give the folder above")
    if lacking := [split for split in splits if split not in there]:
        raise SourceError(f"--split is {lacking[0]!r}, but {pairs} holds sequences of {' and '.join(there)} only; give --split {there[0]}")
    found = []
    for split in splits or there:
        for folder in held[split]:
            source = frames / split / folder.name
            length = recipe.windows(folder.name).window(0).length
            found.append(Sequence(folder.name, split, folder, source if source.is_dir() else None, length))
    return found


def _folders(root: Path) -> list[Path]:
    """Those with sharp pictures, in natural order."""
    folders = [folder for folder in root.glob("*/") if (folder / "sharp").is_dir()]
    return sorted(folders, key=lambda folder: natural_key(folder.name))


def align(sequence: Sequence, tick: Callable[[], None] = lambda: None) -> Alignment:
    """Find every pair of a sequence. `tick` is called after each. Raises SourceError for pictures that cannot be read or differ in size."""
    if sequence.frames is None:
        return Alignment(sequence, [])
    frames = _Frames(sequence.frames, sequence.length)
    matches, drift = [], 0
    for path in image_files(sequence.pairs / "sharp"):
        match = _match(sequence, path, frames, drift)
        if match.found is not None:
            drift = match.found - match.rule
        matches.append(match)
        tick()
    if not matches:
        raise SourceError(f"{sequence.pairs / 'sharp'} holds no pictures, expected those of GOPRO_Large; copy it again")
    return Alignment(sequence, matches)


def align_all(sequences: list[Sequence], workers: int = 1, advance: Callable[[int], None] = lambda pairs: None) -> list[Alignment]:
    """All sequences, in order; `advance` is told how many pairs were done since the last call. Raises SourceError."""
    if workers <= 1:
        return [align(sequence, lambda: advance(1)) for sequence in sequences]
    done = []
    with processes.pool(workers) as pool:
        for alignment in pool.map(align, sequences):
            advance(len(alignment.matches))
            done.append(alignment)
    return done


def grey_levels(a: U8, b: U8) -> float:
    """Root mean square difference of two pictures of one size, in grey levels."""
    return float(cv2.norm(a, b, cv2.NORM_L2) / math.sqrt(a.size))


def psnr(levels: float) -> float:
    """PSNR in dB, peak 255, of a root mean square difference; inf for none."""
    return math.inf if levels == 0 else 20 * math.log10(255 / levels)


def pooled(levels: list[float]) -> float:
    """Root mean square of the differences of several pictures of one size; NaN for none."""
    return math.sqrt(sum(value**2 for value in levels) / len(levels)) if levels else math.nan


class _Frames:
    """The high-rate frames of a sequence by number; those around the last window are held."""

    def __init__(self, folder: Path, length: int) -> None:
        self.paths = {_number(path): path for path in image_files(folder)}
        if not self.paths:
            raise SourceError(f"{folder} holds no frames, expected those of GOPRO_Large_all; copy it again")
        self._limit = 5 * length  # what is near the rule, near the last find, and a window
        self._held: OrderedDict[int, U8] = OrderedDict()
        self._thumbnails: tuple[list[int], F32] | None = None

    def __getitem__(self, number: int) -> U8:
        if number not in self._held:
            self._held[number] = read_rgb(self.paths[number])
        self._held.move_to_end(number)
        while len(self._held) > self._limit:
            self._held.popitem(last=False)
        return self._held[number]

    def likely(self, picture: U8, count: int) -> list[int]:
        """Numbers of the frames of the whole sequence that are most like a picture, seen from afar."""
        if self._thumbnails is None:
            numbers = sorted(self.paths)
            self._thumbnails = numbers, np.stack([_thumbnail(read_rgb(self.paths[number])) for number in numbers])
        numbers, seen = self._thumbnails
        distances = ((seen - _thumbnail(picture)) ** 2).mean(axis=1)
        return [numbers[place] for place in np.argsort(distances, kind="stable")[:count]]


def _match(sequence: Sequence, path: Path, frames: _Frames, drift: int) -> Match:
    """The pair's match: looked for around the rule and around where the last pair was, then everywhere."""
    number, length = _number(path), sequence.length
    rule = (number - 1) * length + (length + 1) // 2
    sharp = read_rgb(path)
    near = {centre + step for centre in (rule, rule + drift) for step in range(-length, length + 1)} & frames.paths.keys()
    found, levels = _nearest(sharp, near, rule, frames, path)
    if levels > NEAR:
        found, levels = _nearest(sharp, near | set(frames.likely(sharp, length)), rule, frames, path)
    if levels > NEAR:
        return Match(number, rule, None, levels, {})
    return Match(number, rule, found, levels, dict(_averaged_again(sequence, path, found, frames)))


def _nearest(sharp: U8, candidates: set[int], rule: int, frames: _Frames, path: Path) -> tuple[int, float]:
    """The candidate that is most like the picture, and its distance; of equals, the one closest to the rule."""
    best, least = rule, math.inf
    for number in sorted(candidates, key=lambda number: (abs(number - rule), number)):
        frame = frames[number]
        if frame.shape != sharp.shape:
            raise SourceError(
                f"{frames.paths[number]} is {frame.shape[1]}x{frame.shape[0]}, {path} is {sharp.shape[1]}x{sharp.shape[0]}, "
                "expected one size; give the release as it is"
            )
        levels = grey_levels(sharp, frame)
        if levels < least:
            best, least = number, levels
    return best, least


def _averaged_again(sequence: Sequence, path: Path, centre: int, frames: _Frames) -> Iterator[tuple[str, float]]:
    """(`<folder> as <transfer>`, grey levels) of each released blur against the window averaged in each light."""
    window = range(centre - sequence.length // 2, centre + sequence.length // 2 + 1)
    if not frames.paths.keys() >= set(window):
        return
    averages = {}
    for transfer in BLURS.values():
        exposure = Exposure(Shutter(transfer))
        for number in window:
            exposure.add(exposure.shutter.light(frames[number]))
        averages[transfer.name] = exposure.result()
    for folder in BLURS:
        released = sequence.pairs / folder / path.name
        if not released.parent.is_dir():
            continue
        blurry = read_rgb(released)
        for name, average in averages.items():
            if blurry.shape != average.shape:
                raise SourceError(f"{released} is {blurry.shape[1]}x{blurry.shape[0]}, expected the size of {path}; copy it again")
            yield f"{folder} as {name}", grey_levels(blurry, average)


def _number(path: Path) -> int:
    if not path.stem.isdigit():
        raise SourceError(f"{path} has no number for a name, expected 000001{path.suffix} and so on; give the release as it is")
    return int(path.stem)


def _thumbnail(picture: U8) -> F32:
    return np.asarray(cv2.resize(picture, _THUMBNAIL, interpolation=cv2.INTER_AREA), np.float32).reshape(-1)
