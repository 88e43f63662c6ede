"""What a user can do wrong, each told in one line: what is wrong, the offending value, what was expected and the mend.

The command line prints a `BlurbenchError` without a traceback and exits with 2. Any other exception is a bug and keeps its traceback.
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str], besides: str = "") -> str:
    """A question that names what may be meant: up to three names that begin with this one, else the nearest; "" where none is near.

    besides: what else there is to say of them.
    """
    known = sorted(known)
    begun = [each for each in known if name and each.startswith(name)][:3]
    near = begun or difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {' or '.join(map(repr, near))}{besides}?" if near else ""


def counted(count: int, what: str) -> str:
    """ "1 sample", "2 samples"."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def warn(text: str) -> None:
    """What a user should know, where nobody else is told: as a Python warning."""
    warnings.warn(text, stacklevel=3)


class BlurbenchError(Exception):
    """Base of every mistake that is the user's to mend."""


class UnknownNameError(BlurbenchError):
    """A name that is not registered, or a key that a file format does not have."""

    def __init__(self, kind: str, name: str, known: Iterable[str], where: str = "") -> None:
        known = sorted(known)
        hint = did_you_mean(name, known)
        place = f" in {where}" if where else ""
        super().__init__(f"unknown {kind} {name!r}{place}; {hint}{hint and ' '}known: {', '.join(known) or '(none)'}")
        self._arguments = (kind, name, known, where)

    def __reduce__(self) -> tuple[type[UnknownNameError], tuple[str, str, list[str], str]]:
        # Worker processes send their errors home pickled; the default would call this class with the message alone.
        return type(self), self._arguments


class BrokenPluginError(BlurbenchError):
    """A registered plug-in that cannot be imported."""


class SourceError(BlurbenchError):
    """A video or image folder that cannot be read, or holds too little."""


class EmptySourceError(SourceError):
    """A source that is sound, and of which a rule of the recipe leaves out every window."""


class RecipeError(BlurbenchError):
    """A recipe or protocol file that does not say what it must."""


class DataSetError(BlurbenchError):
    """A made data set that is missing, incomplete or broken."""


class WeightsError(BlurbenchError):
    """Weights that are missing, unreadable, or of another network."""


class PredictionError(BlurbenchError):
    """A prediction or image pair that cannot be scored."""


class UnavailableError(BlurbenchError):
    """A metric that cannot be computed here, for want of a file or package: its column stays empty, with this reason."""


class RecordError(BlurbenchError):
    """A run record that cannot be read, or does not fit the others."""
