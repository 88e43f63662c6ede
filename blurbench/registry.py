"""One lazy registry for everything that has a name: methods, metrics (Python objects), data-set recipes, protocols (TOML files).

Python objects come from entry points, those of blurbench itself included, so a third party's plug-in is no different from ours.
TOML files come from a folder of blurbench, or from an entry point that names a path. Nothing is imported before it is asked for,
and what cannot be imported is listed as broken with its reason and harms nothing else.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from blurbench.errors import BrokenPluginError, RecipeError, UnknownNameError


@dataclass(frozen=True)
class Entry:
    """One registered name: where it comes from, and why it is broken (None: it loads)."""

    name: str
    origin: str
    broken: str | None = None


@dataclass(frozen=True)
class Registry:
    """Names of one kind. `group`: the entry-point group; `package` and `folder`: where blurbench keeps its own TOML files of that kind."""

    kind: str
    group: str
    package: str | None = None
    folder: str = ""

    def names(self) -> list[str]:
        """All registered names, sorted, aliases included; imports nothing."""
        return sorted({*self._files(), *self._points()})

    def get(self, name: str) -> Any:
        """The object behind a name: the loaded Python object, or the Path of a TOML file.

        Besides registered names it takes a path: `recipe.toml`, or `my_method.py:MyMethod`.
        Raises UnknownNameError (with the nearest name) and BrokenPluginError (with the reason).
        """
        if name in (files := self._files()):
            return files[name]
        if name in (points := self._points()):
            return self._load(points[name])
        if (path := Path(name)).suffix == ".toml" and self.package and path.is_file():
            return path
        if ".py:" in name and not self.package:
            return _from_file(name)
        if name.endswith(".py") and not self.package:
            raise RecipeError(f"{name} names no class in the file, expected FILE.py:Class, e.g. {name}:MyMethod")
        raise UnknownNameError(self.kind, name, self.names())

    def entries(self) -> Iterator[Entry]:
        """Every name with its state; loads each, and catches whatever a broken plug-in throws.

        Where several packages register one name, ours wins, then the first by package name; the others are listed as broken.
        """
        files, points = self._files(), self._points()
        for name in self.names():
            if name in files:
                yield Entry(name, "blurbench")
                continue
            point = points[name]
            origin = _owner(point)
            try:
                self._load(point)
            except BrokenPluginError as error:
                yield Entry(name, origin, str(error))
            else:
                yield Entry(name, origin)
            for other in _entry_points(self.group)[name][1:]:
                yield Entry(name, _owner(other), f"the name {name!r} is taken by {origin}; register it under another")

    def _load(self, point: metadata.EntryPoint) -> Any:
        try:
            return point.load()
        except (Exception, SystemExit) as error:  # a stranger's module may raise anything on import
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            raise BrokenPluginError(f"{self.kind} {point.name!r} ({point.value}) cannot be loaded: {reason}") from error

    def _points(self) -> dict[str, metadata.EntryPoint]:
        return {name: points[0] for name, points in _entry_points(self.group).items()}

    def _files(self) -> dict[str, Path]:
        return _toml_files(self.package, self.folder) if self.package else {}


@cache
def _entry_points(group: str) -> dict[str, list[metadata.EntryPoint]]:
    """All that register a name, the one that counts first."""
    found: dict[str, list[metadata.EntryPoint]] = {}
    for point in sorted(metadata.entry_points(group=group), key=lambda point: (_owner(point) != "blurbench", _owner(point))):
        found.setdefault(point.name, []).append(point)
    return found


def _owner(point: metadata.EntryPoint) -> str:
    return point.dist.name if point.dist else "?"


@cache
def _toml_files(package: str, folder: str) -> dict[str, Path]:
    root = Path(str(resources.files(package))) / folder
    return {path.stem: path for path in root.glob("*.toml")}


def _from_file(spec: str) -> Any:
    path, _, attribute = spec.rpartition(":")
    if not Path(path).is_file():
        raise UnknownNameError("file", path, [str(near) for near in Path(path).parent.glob("*.py")])
    name = f"blurbench_file_{Path(path).stem}"
    module_spec = importlib.util.spec_from_file_location(name, path)
    if module_spec is None or module_spec.loader is None:
        raise BrokenPluginError(f"{path} cannot be imported as Python")
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[name] = module  # dataclasses and pickle look for it there
    try:
        module_spec.loader.exec_module(module)
        return getattr(module, attribute)
    except (Exception, SystemExit) as error:
        raise BrokenPluginError(f"{spec} cannot be loaded: {type(error).__name__}: {error}".splitlines()[0]) from error


METHODS = Registry("method", "blurbench.methods")
INTERPOLATORS = Registry("interpolation method", "blurbench.interpolators")
METRICS = Registry("metric", "blurbench.metrics")
DATASETS = Registry("data set", "blurbench.datasets", "blurbench.datasets")
PROTOCOLS = Registry("protocol", "blurbench.protocols", "blurbench.leaderboards", "protocols")
