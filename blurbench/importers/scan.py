"""From a folder to the videos and samples in it, by a layout's patterns; what does not fit together is found before anything is read."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from blurbench.errors import RecipeError, SourceError
from blurbench.importers.layouts import Layout
from blurbench.store.disk import looking
from blurbench.synth import splits
from blurbench.synth.recipe import Recipe
from blurbench.video.discover import walk
from blurbench.video.images import IMAGE_SUFFIXES

_ALONE = "import it from a folder without listed ones"
MEND = "copy it again, choose whole splits with --split, or leave such samples out with --skip-broken"


@dataclass(frozen=True)
class Problem:
    """Something that costs samples. file: relative to the root. kind: a few words to count by; detail: the rest of the sentence."""

    file: str
    kind: str
    detail: str
    count: int = 1


@dataclass(frozen=True)
class Files:
    """The files of one sample by role, relative to the root; `number` is that of the blurry picture."""

    number: int
    roles: dict[str, tuple[str, ...]]

    def all(self) -> list[str]:
        """Every file, in a fixed order."""
        return [file for role in sorted(self.roles) for file in self.roles[role]]


@dataclass
class Video:
    """The samples of one video. found: blurry pictures there were. left_out: by the layout's own rules. problems: what does not fit."""

    id: str
    split: str
    samples: list[Files] = field(default_factory=list)
    found: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)


_Numbered = dict[int, dict[int, str]]  # number of the blurry picture -> number of the target -> file
_Tree = dict[tuple[str, str], dict[str, _Numbered]]  # (split, video) -> role -> files


def scan(
    root: Path,
    layout: Layout,
    options: dict[str, str],
    recipe: Recipe,
    chosen: Collection[str] = (),
    note: splits.Note = lambda text: None,
) -> list[Video]:
    """All videos below a folder, sorted, but those that the recipe's lists leave out (`splits.place`, which tells `note`).

    chosen: the splits that are wanted, of which alone lists are checked; empty: all. Raises SourceError when nothing is found, and when it
    would be a guess what belongs to what; DataSetError for a folder that may not be looked into.
    """
    if not root.is_dir():
        raise SourceError(f"{root} is missing or no folder, expected the folder of a release in layout {layout.id}; check the path")
    with looking(root):
        tree, strays = _match(root, layout, options)
    inputs = [key for key, roles in tree.items() if roles.keys() & {"blurry", "pair"}]
    if not inputs:
        raise SourceError(f"{root} holds nothing in layout {layout.id}, expected {_shape(layout, options)}; give the folder above")
    found = sorted(tree.items())
    placed = splits.place(recipe, [(name, split or None) for (split, name), _ in found], note, chosen, _ALONE)
    videos = []
    for (key, roles), split in zip(found, placed, strict=True):
        if split is None:
            continue
        video = Video(key[1], split)
        video.problems += strays.pop(key, [])
        _Pairing(layout, options, recipe, roles, video).run()
        videos.append(video)
    return videos


def missing(videos: list[Video], recipe: Recipe) -> dict[str, list[str]]:
    """Videos of the recipe's lists that are not there, by split; empty when none of those that are there is in a list."""
    there = {video.id for video in videos}
    if not any(recipe.split_of(name) for name in there):
        return {}
    lacking = {split: [name for name in names if name not in there] for split, names in (recipe.split or {}).items()}
    return {split: names for split, names in lacking.items() if names}


def _match(root: Path, layout: Layout, options: dict[str, str]) -> tuple[_Tree, dict[tuple[str, str], list[Problem]]]:
    """Files by what they are, and images that lie among them under a name that the layout does not have."""
    patterns = layout.patterns(options)
    tree: _Tree = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    owners: dict[str, tuple[str, str]] = {}
    others: list[str] = []
    for path in _files(root):
        for role, pattern in patterns.items():
            if match := pattern.fullmatch(path):
                groups = match.groupdict()
                key = (groups.get("split") or "", groups["video"])
                place = tree[key][role][int(groups["name"])]
                target = int(groups.get("target") or 0)
                if other := place.get(target):
                    raise SourceError(f"{root}: {other} and {path} are both number {groups['name']} of {key[1]}; remove or rename one")
                place[target] = path
                owners.setdefault(path.rpartition("/")[0], key)
                break
        else:
            if path.lower().endswith(IMAGE_SUFFIXES):
                others.append(path)
    strays: dict[tuple[str, str], list[Problem]] = defaultdict(list)
    for path in others:
        if owner := owners.get(path.rpartition("/")[0]):
            strays[owner].append(Problem(path, "unknown name", f"is not named as layout {layout.id} names files"))
    return tree, strays


def _files(root: Path) -> Iterator[str]:
    """Paths below the root, with forward slashes, in a fixed order; links are followed, hidden files are passed over."""
    for folder, names in walk(root):
        base = folder.relative_to(root)
        yield from ((base / name).as_posix() for name in names)


def _shape(layout: Layout, options: dict[str, str]) -> str:
    text = layout.files.get("blurry") or layout.files["pair"]
    for key, value in {**options, "tail": "", "image": "png"}.items():
        text = text.replace(f"{{{key}}}", value)
    return text.replace("{", "<").replace("}", ">")


class _Pairing:
    """Finds what belongs to each blurry picture of a video."""

    def __init__(self, layout: Layout, options: dict[str, str], recipe: Recipe, roles: dict[str, _Numbered], video: Video) -> None:
        window = recipe.windows(video.id).window(0)
        self.offsets = [target - window.length // 2 for target in window.targets]
        self.layout, self.options, self.recipe, self.roles, self.video = layout, options, recipe, roles, video

    def run(self) -> None:
        """Fill the video's samples, counts and problems. Raises RecipeError when a rule leaves nothing."""
        inputs = self.roles.get("blurry") or self.roles.get("pair") or {}
        self._unpaired(inputs)
        numbers = sorted(inputs)
        self.video.found = len(numbers)
        self._gaps(numbers, inputs)
        for number in self._inner(numbers):
            if sample := self._sample(number, inputs[number][0]):
                self.video.samples.append(sample)

    def _problem(self, file: str, kind: str, detail: str, count: int = 1) -> None:
        self.video.problems.append(Problem(file, kind, detail, count))

    def _unpaired(self, inputs: _Numbered) -> None:
        if not inputs:
            lone = [file for numbered in self.roles.values() for places in numbered.values() for file in places.values()]
            self._problem(lone[0], "no blurry picture", f"is of video {self.video.id}, which has no blurry pictures", len(lone))
            return
        for number, files in sorted(self.roles.get("sharp", {}).items()):
            if number not in inputs:
                self._problem(next(iter(files.values())), "no blurry picture", "has no blurry picture")

    def _gaps(self, numbers: list[int], inputs: _Numbered) -> None:
        step = self.layout.step
        for before, number in pairwise(numbers):
            if step and (number - before) != step:
                told = sum(lone in self.roles.get("sharp", {}) for lone in range(before + step, number, step))  # by `_unpaired`
                lacking = max(1, (number - before) // step - 1) - told
                if not lacking:
                    continue
                detail = f"follows number {before}, expected steps of {step}: {lacking} missing"
                self._problem(inputs[number][0], "gap in the numbers", detail, lacking)

    def _inner(self, numbers: list[int]) -> list[int]:
        """The blurry pictures that the recipe does not skip at the ends."""
        rule, count = self.recipe.window, len(numbers)
        kept = numbers[rule.skip_first : max(rule.skip_first, count - rule.skip_last)]
        if numbers and not kept:
            raise RecipeError(
                f"{self.video.id} has {count} blurry pictures, the first {rule.skip_first} and last {rule.skip_last} are to be left out; "
                "add --set window.skip_first=0 --set window.skip_last=0"
            )
        if count - len(kept):
            self.video.left_out["lying at the ends"] += count - len(kept)
        return kept

    def _sample(self, number: int, blurry: str) -> Files | None:
        if "pair" in self.roles:
            return Files(number, {"pair": (blurry,)})
        if not (sharp := self._sharp(number, blurry)):
            return None
        roles = {"blurry": (blurry,), "sharp": sharp}
        for role in ("guidance", "flow_half", "bbox"):
            if role not in self.layout.files or self.options[role] == "none":
                continue
            if extra := self.roles.get(role, {}).get(number):
                roles[role] = (extra[0],)
            elif role == "bbox" and role in self.roles:  # the authors' reader passes over these, too
                self.video.left_out["want of an annotation"] += 1
                return None
            else:
                folder = self.options[role]
                detail = f"has no file in {folder}/ (another folder: --set {role}=NAME; without: --set {role}=none)"
                self._problem(blurry, f"no {role}", detail)
                return None
        return Files(number, roles)

    def _sharp(self, number: int, blurry: str) -> tuple[str, ...]:
        """The targets of a blurry picture; empty after a problem."""
        if "frames" in self.layout.files:
            frames = self.roles.get("frames", {})
            there = {offset: frames[number + offset][0] for offset in self.offsets if number + offset in frames}
            wanted = self.offsets
        else:
            there = self.roles.get("sharp", {}).get(number, {})
            wanted = list(range(len(self.offsets)))
        if not there:
            self._problem(blurry, "no sharp picture", "has no sharp picture")
        elif sorted(there) != wanted:
            expected = f"expected {len(wanted)} numbered {', '.join(map(str, wanted))}"
            found = ", ".join(map(str, sorted(there)))
            self._problem(blurry, "wrong targets", f"has {len(there)} targets, numbered {found}, {expected}")
        else:
            return tuple(there[place] for place in wanted)
        return ()
