"""Which split each video goes into: that of its folder, else that of the recipe's lists."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from blurbench.errors import DataSetError, SourceError
from blurbench.store.manifest import Manifest
from blurbench.synth.recipe import Recipe
from blurbench.video.discover import by_folder
from blurbench.video.source import Source

Note = Callable[[str], None]
"""Told in one line what a user should know."""
IN_FOLDER = "put it into a folder train/ or test/"


def place(
    recipe: Recipe, videos: Sequence[tuple[str, str | None]], note: Note, chosen: Collection[str] = (), mend: str = IN_FOLDER
) -> list[str | None]:
    """The split of each video, given its name and the split that its folder stands for (None: none); None for one that is left out.

    Where the lists hold none of the videos, those without such a folder go to `test`; where they hold any, the unlisted ones without are
    left out, with a note that ends in `mend`: how to have one. Another note tells of unlisted ones in the folder of a split that has a
    list. chosen: splits that are wanted, of which alone folders are checked and told (empty: all). Raises SourceError for a video that
    lies in another split than the lists say; val/ may hold what they have in train.
    """
    lists = [recipe.split_of(name) for name, _ in videos]
    wanted = [split is None or not chosen or split in chosen for _, split in videos]
    for (name, split), listed in ((video, listed) for video, listed, is_wanted in zip(videos, lists, wanted, strict=True) if is_wanted):
        if split and listed and not _agree(split, listed):
            raise SourceError(f"{name} lies in {split}/, but the lists of {recipe.id!r} have it in {listed}; move it there")
    if not any(lists):
        return [split or "test" for _, split in videos]
    rest = [video for video, listed, is_wanted in zip(videos, lists, wanted, strict=True) if is_wanted and not listed]
    beyond = [name for name, split in rest if split and (recipe.split or {}).get(split)]  # where nothing is listed, nothing is beyond it
    _tell(recipe, beyond, len(videos), "stay in the split of their folder", note)
    _tell(recipe, [name for name, split in rest if not split], len(videos), f"are left out; to have one, {mend}", note)
    return [split or listed for (_, split), listed in zip(videos, lists, strict=True)]


def refuse_mixed(recipe: Recipe, folder: Path, manifest: Manifest, sources: Sequence[tuple[str, Source]]) -> None:
    """Raises DataSetError where videos of the lists and others would come together in `test` because a source comes in parts, into a folder
    that holds one: of the whole, `place` would have left the others out. sources: as it placed them.
    """
    others = [name for videos in (manifest.empty, manifest.unfinished) for names in videos.values() for name in names]
    held = manifest.videos().union(others)
    listed_there, listed_here = (any(map(recipe.split_of, names)) for names in (held, {source.id for _, source in sources}))
    if listed_there and not listed_here:
        astray = [source for split, source in sources if split == "test"]
        if astray and not by_folder(astray[0]):
            raise DataSetError(
                f"{folder} holds videos of the lists of {recipe.id!r}, of the source none is in a list (first: {astray[0].id}), so that it "
                f"belongs to no split; {IN_FOLDER}, or give another --out"
            )
    if listed_here and not listed_there:
        here = {(split, source.id) for split, source in sources}
        known = {split: entries for split, entries in manifest.splits.items() if (recipe.split or {}).get(split)}
        beyond = [(split, each.video) for split, entries in known.items() for each in entries if (split, each.video) not in here]
        if beyond:
            told = f"{folder} holds {len(beyond)} videos that are in no list of {recipe.id!r} (first: {beyond[0][1]} in {beyond[0][0]})"
            raise DataSetError(f"{told}, which videos of the lists would join; give another --out")


def _agree(split: str, listed: str) -> bool:
    """Whether a video may lie there: val/ may be a user's own part of the training videos."""
    return split == listed or (split, listed) == ("val", "train")


def _tell(recipe: Recipe, unlisted: list[str], count: int, fate: str, note: Note) -> None:
    if unlisted:
        note(f"note: {len(unlisted)} of {count} videos are in no list of {recipe.id!r} (first: {unlisted[0]}) and {fate}")
