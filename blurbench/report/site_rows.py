"""The rows of a long board: the first in its page, and all others in scripts beside it, so that no file is large."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MOST = 250
"""Rows in a page: a browser takes a second to lay out thousands."""
_PAGE, _SCRIPT = 220_000, 290_000  # bytes of rows in a page, and of a script
_REPEATED = 8  # trivial rows from further down that stand in the page too


@dataclass(frozen=True)
class Parts:
    """Numbers of the rows in the page, of those among them that come `again` in their place in a script, and the texts of the scripts."""

    first: list[int]
    again: list[int]
    scripts: list[str]


def split(rows: Sequence[str], trivial: Sequence[int]) -> Parts:
    """What of the rows (HTML, in order) stands where. trivial: numbers of rows that show what the others are worth."""
    first, size = 0, 0
    while first < min(MOST, len(rows)) and (size := size + len(rows[first].encode("utf-8", "replace"))) <= _PAGE:
        first += 1
    again = [number for number in trivial if number >= first][:_REPEATED]
    return Parts([*range(first), *again], again, _scripts(rows[first:]))


def _scripts(rows: Iterable[str]) -> list[str]:
    """Scripts that hand the rows to `moreRows` in site.js. ASCII, so that no sign of a name ends a string or a line."""
    parts: list[list[str]] = []
    size = _SCRIPT
    for text in map(json.dumps, rows):
        if size + len(text) > _SCRIPT:
            parts.append([])
            size = 0
        parts[-1].append(text)
        size += len(text) + 2
    return ["moreRows([" + ",\n".join(part) + "]);\n" for part in parts]
