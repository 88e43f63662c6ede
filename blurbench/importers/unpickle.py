"""Annotations that were released as pickles, read without trust: a pickle is a program, and this reader knows no dangerous word of it."""

from __future__ import annotations

import collections
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from blurbench.errors import SourceError

_LARGEST = 16 << 20  # bytes; an annotation has a few hundred


def load(path: Path) -> Any:
    """What a pickle of plain containers, numbers, text and numeric numpy arrays holds.

    Anything else in it (a class, a function, an array of objects) is refused before it is made. Raises SourceError.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise SourceError(f"{path} has {path.stat().st_size} bytes, expected an annotation of at most {_LARGEST}")
        return _finished(_Plain(io.BytesIO(path.read_bytes())).load())
    except SourceError:
        raise
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}; expected a pickle") from error
    except Exception as error:  # a damaged pickle may raise anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SourceError(f"{path} is no pickle of plain values ({reason}), expected containers, numbers and numpy arrays") from error


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        home = {"__builtin__": "builtins"}.get(module, module).replace("numpy._core", "numpy.core")
        if (home, name) not in _ADMITTED:
            raise pickle.UnpicklingError(f"{module}.{name} is not admitted")
        return _ADMITTED[home, name]

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("references out of the file are not admitted")


class _Kind:
    """Stands for a dtype while the pickle is read: numpy's own would believe any state that it is given."""

    def __init__(self, code: str, *flags: Any) -> None:
        self.dtype = np.dtype(str(code))
        if self.dtype.kind not in "biuf":
            raise pickle.UnpicklingError(f"arrays of {self.dtype} are not admitted")

    def __setstate__(self, state: Any) -> None:
        if state[1] in (">", "<"):
            self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """Stands for an array while the pickle is read."""

    def __init__(self, *arguments: Any) -> None:
        self.array = np.empty(0, np.uint8)

    def __setstate__(self, state: Any) -> None:
        _version, shape, kind, fortran, raw = state
        self.array = np.frombuffer(raw, kind.dtype).reshape(shape, order="F" if fortran else "C")


def _scalar(kind: _Kind, raw: bytes) -> Any:
    return np.frombuffer(raw, kind.dtype, 1)[0]


def _from_buffer(raw: bytes, kind: _Kind, shape: Any, order: str, axes: Any = None) -> Any:
    array = np.frombuffer(raw, kind.dtype).reshape(shape, order="F" if order == "F" else "C")
    return array if axes is None else array.transpose(axes)


def _encode(text: str, codec: str) -> bytes:
    """How protocols 0 to 2 spell bytes."""
    if codec != "latin1":
        raise pickle.UnpicklingError(f"codec {codec!r} is not admitted")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """How protocols 0 to 2 spell no bytes."""
    return b""


_ADMITTED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("builtins", "bytes"): _no_bytes,
    ("builtins", "set"): set,
    ("_codecs", "encode"): _encode,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Kind,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
}


def _finished(value: Any) -> Any:
    """The value with arrays for what stood for them."""
    if isinstance(value, _Array):
        return value.array
    if isinstance(value, _Kind):
        raise pickle.UnpicklingError("a dtype is no value")
    if isinstance(value, dict):
        return {key: _finished(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_finished(item) for item in value)
    return value
