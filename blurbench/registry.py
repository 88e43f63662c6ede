"""One lazy registry for everything that has a name: methods, metrics (Python objects), data-set recipes, protocols (TOML files).

Python objects come from entry points, those of blurbench itself included, so a third party's plug-in is no different from ours.
TOML files come from a folder of blurbench, or from an entry point that names a path. Nothing is imported before it is asked for,
and what cannot be imported is listed as broken with its reason and harms nothing else.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata, resources
from pathlib import Path
from types import ModuleType
from typing import Any

from blurbench.errors import BrokenPluginError, RecipeError, UnknownNameError, did_you_mean


@dataclass(frozen=True)
class Entry:
    """One registered name: where it comes from, and why it is broken (None: it loads)."""

    name: str
    origin: str
    broken: str | None = None


@dataclass(frozen=True)
class Registry:
    """Names of one kind. `group`: the entry-point group; `package` and `folder`: where blurbench keeps its own TOML files of that kind;
    `parts`: what an object of that kind has.
    """

    kind: str
    group: str
    package: str | None = None
    folder: str = ""
    parts: tuple[str, ...] = ()

    def names(self) -> list[str]:
        """All registered names, sorted, aliases included; imports nothing."""
        return sorted({*self._files(), *self._points()})

    def get(self, name: str) -> Any:
        """The object behind a name: the loaded Python object, or the Path of a TOML file.

        Besides registered names it takes a path: `recipe.toml`, or `my_method.py:MyMethod`.
        Raises UnknownNameError (with the nearest name), RecipeError for a path that leads nowhere or without a class, BrokenPluginError
        (with the reason).
        """
        if name in (files := self._files()):
            return files[name]
        if name in (points := self._points()):
            return self._load(points[name])
        if (path := Path(name)).suffix == ".toml" and self.package and path.is_file():
            return path
        if (".py:" in name or name.endswith(".py")) and not self.package:
            return _from_file(name, self.kind)
        if name.endswith(".toml") or "/" in name:
            file = "TOML file (.toml)" if self.package else "FILE.py:Class"
            told = f"is no {file}" if path.exists() else "does not exist"
            raise RecipeError(f"{name} {told}, expected a {self.kind}: its name, or a path to its {file}; known: {', '.join(self.names())}")
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
                self._require_parts(point, self._load(point))
            except BrokenPluginError as error:
                yield Entry(name, origin, str(error))
            else:
                yield Entry(name, origin)
            for other in _entry_points(self.group)[name][1:]:
                yield Entry(name, _owner(other), f"the name {name!r} is taken by {origin}; register it under another")

    def is_own(self, name: str) -> bool:
        """Whether blurbench itself registers the name."""
        return name in (points := self._points()) and _owner(points[name]) == "blurbench"

    def code(self, cls: Any) -> str:
        """SHA-256 (hex) of the code of a class or function that `get` gave: name and version of the distribution that registers it, and
        the source of its module and of the modules in the same folder that this one takes anything from, and so on.
        """
        root = cls.__module__.partition(".")[0]
        points = (point for point in self._points().values() if re.split(r"\W", point.value, maxsplit=1)[0] == root)
        owners = {point.dist.name: point.dist for point in points if point.dist}
        digest = hashlib.sha256()
        for name, owner in sorted(owners.items()):
            digest.update(f"{name} {owner.version}\n".encode())
        for path in sorted(_sources(cls.__module__)):
            digest.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
        return digest.hexdigest()

    def _load(self, point: metadata.EntryPoint) -> Any:
        try:
            found = point.load()
        except (Exception, SystemExit) as error:  # a stranger's module may raise anything on import
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            raise BrokenPluginError(f"{self.kind} {point.name!r} ({point.value}) cannot be loaded: {reason}") from error
        if self.package and not isinstance(found, Path):
            told = f"is of type {type(found).__name__}, expected the pathlib.Path of a TOML file"
            raise BrokenPluginError(f"{self.kind} {point.name!r} ({point.value}) {told}")
        return found

    def _require_parts(self, point: metadata.EntryPoint, found: Any) -> None:
        """Raises BrokenPluginError for what is of another kind."""
        if lacking := [part for part in self.parts if not hasattr(found, part)]:
            raise BrokenPluginError(f"{self.kind} {point.name!r} ({point.value}) has no {lacking[0]}, expected a {self.kind}")

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


def _sources(module: str) -> set[Path]:
    """The files of a module and of those beside it that it imports anything from, and so on."""
    package = sys.modules[module].__package__ or ""
    found: set[Path] = set()
    todo = {Path(sys.modules[module].__file__ or "")}
    while todo:
        path = todo.pop()
        if path not in found and path.is_file():
            found.add(path)
            todo |= {path.with_name(f"{name}.py") for name in _imports(path, package)}
    return found


def _imports(path: Path, package: str) -> Iterator[str]:
    """The modules of its own package that a file imports, or names something from; by their statements, since constants have no module."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        names = []
        if isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = f"{'.' * node.level}{node.module or ''}"
            origin = importlib.util.resolve_name(base, package) if node.level else base
            names = [origin, *(f"{origin}.{each.name}" for each in node.names)]
        for name in names:
            parent, _, own = name.rpartition(".")
            if parent == package:
                yield own


def _from_file(spec: str, kind: str) -> Any:
    path, _, attribute = (spec if ".py:" in spec else f"{spec}:").rpartition(":")
    if not Path(path).is_file():
        near = did_you_mean(Path(path).stem, (each.stem for each in Path(path).parent.glob("*.py")))
        held = attribute or "the class"
        raise RecipeError(f"{path} does not exist, expected the Python file that holds {held}{near and f'; {near}'}")
    module = _imported(path, spec)
    if attribute and hasattr(module, attribute):
        return getattr(module, attribute)
    known = [name for name, value in own(module.__name__).items() if inspect.isclass(value) or kind != "method"]
    if attribute:
        raise UnknownNameError(kind, attribute, known, path)
    raise RecipeError(f"{spec} names no class in the file, expected FILE.py:Class; known: {', '.join(sorted(known)) or '(none)'}")


def own(module: str) -> dict[str, Any]:
    """The classes and functions that an imported module defines itself, by name; none where it is not imported."""
    there = vars(sys.modules[module]) if module in sys.modules else {}
    objects = {name: value for name, value in there.items() if inspect.isclass(value) or inspect.isfunction(value)}
    return {name: value for name, value in objects.items() if value.__module__ == module and not name.startswith("_")}


def _imported(path: str, spec: str) -> ModuleType:
    """A file as a module, which may import those beside it, then and later. Raises BrokenPluginError."""
    where = hashlib.sha256(str(Path(path).resolve()).encode()).hexdigest()[:8]  # two files may have one name
    name = f"blurbench_file_{Path(path).stem}_{where}"
    module_spec = importlib.util.spec_from_file_location(name, path)
    if module_spec is None or module_spec.loader is None:
        raise BrokenPluginError(f"{path} cannot be imported as Python")
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[name] = module  # dataclasses and pickle look for it there
    if (beside := str(Path(path).resolve().parent)) not in sys.path:
        sys.path.append(beside)  # last, so that it hides nothing that is installed
    try:
        module_spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise BrokenPluginError(f"{spec} cannot be loaded: {type(error).__name__}: {error}".splitlines()[0]) from error
    return module


METHODS = Registry("method", "blurbench.methods", parts=("card", "capabilities", "predict"))
INTERPOLATORS = Registry("interpolation method", "blurbench.interpolators")
METRICS = Registry("metric", "blurbench.metrics", parts=("info",))
DATASETS = Registry("data set", "blurbench.datasets", "blurbench.datasets")
PROTOCOLS = Registry("protocol", "blurbench.protocols", "blurbench.leaderboards", "protocols")
