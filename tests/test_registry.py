"""Names, near names, plug-ins of third parties and methods in files."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from blurbench import registry
from blurbench.cli import blurbench
from blurbench.errors import BrokenPluginError, RecipeError, UnknownNameError, did_you_mean
from blurbench.methods import Method
from blurbench.registry import DATASETS, METHODS, PROTOCOLS
from blurbench.run.evaluate import evaluate

TOY = Path(__file__).parent / "plugin" / "blurbench_toy"

LIST_METHODS = """
import json, sys
from blurbench.registry import METHODS

names = METHODS.names()
listed_without = not {"torch", "cv2", "blurbench_toy"} & set(sys.modules)
entries = {entry.name: [entry.origin, entry.broken] for entry in METHODS.entries()}
print(json.dumps({"names": names, "listed_without": listed_without, "entries": entries}))
"""

PREDICT_TOY = """
import json
import numpy as np
from blurbench.methods import load_method
from blurbench.running import predict
from blurbench.types import Sample

blurry = np.full((2, 3, 3), 51, np.uint8)
answer = predict(load_method("toy-invert"), Sample("a", "v", blurry, blurry[None], np.array([0.5]), "srgb"))
print(json.dumps({"shape": answer.frames.shape, "values": np.unique(answer.frames.astype(float).round(6)).tolist()}))
"""


@pytest.fixture(scope="module")
def plugin_path(tmp_path_factory):
    """A folder into which pip has installed the toy package, built from a copy because setuptools builds in the source folder."""
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copytree(TOY, folder / "source")
    target = folder / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    done = subprocess.run(
        [*pip, "--no-build-isolation", "--target", target, folder / "source"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return target


def run_python(code, path, folder):
    """What a fresh interpreter prints as JSON, with `path` importable."""
    search = os.pathsep.join(filter(None, [str(path), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": search}, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_third_party_package(plugin_path, tmp_path):
    told = run_python(LIST_METHODS, plugin_path, tmp_path)
    assert told["listed_without"], "listing names must import neither a plug-in nor a heavy library"
    assert {"toy-invert", "toy-broken", "copy-blur", "oracle", "zhang2019", "dmphn"} <= set(told["names"])
    assert told["names"] == sorted(told["entries"])
    assert told["entries"]["toy-invert"] == ["blurbench-toy", None]
    assert told["entries"]["toy-broken"] == [
        "blurbench-toy",
        "method 'toy-broken' (blurbench_toy_broken:Broken) cannot be loaded: ImportError: toy-broken needs a compiled operator",
    ]
    for name in ("copy-blur", "oracle-centre", "oracle-reversed", "oracle", "zhang2019", "dmphn"):
        assert told["entries"][name] == ["blurbench", None]


def test_third_party_method_predicts(plugin_path, tmp_path):
    assert run_python(PREDICT_TOY, plugin_path, tmp_path) == {"shape": [1, 1, 2, 3, 3], "values": [0.8]}


def test_toy_is_absent_where_it_is_not_installed():
    assert not [name for name in METHODS.names() if name.startswith("toy-")]


def test_alias_is_the_same_class():
    assert METHODS.get("dmphn") is METHODS.get("zhang2019")
    assert METHODS.get("dmphn").card.id == "zhang2019"


@pytest.mark.parametrize(
    ("wrong", "meant"), [("zhangg2020", "zhang2020"), ("zhang19", "zhang2019"), ("oracle_center", "oracle-centre"), ("dmpnh", "dmphn")]
)
def test_near_name(wrong, meant):
    with pytest.raises(UnknownNameError) as caught:
        METHODS.get(wrong)
    told = str(caught.value)
    assert told.startswith(f"unknown method {wrong!r}; did you mean {meant!r}? known: ")
    assert "\n" not in told


def test_name_far_from_all_gets_no_hint():
    with pytest.raises(UnknownNameError, match=r"^unknown method 'qqqq'; known: "):
        METHODS.get("qqqq")


MINE = """
from __future__ import annotations
from dataclasses import dataclass
import numpy as np
from blurbench.methods import Capabilities, Method, MethodCard

@dataclass
class Settings:
    gain: float = 0.5

class Dim(Method):
    card = MethodCard("dim", "Dim", "none", "CC0-1.0")
    capabilities = Capabilities(frames=1)
    def predict(self, blurry, request):
        return Settings().gain * blurry[None, None]
"""


def test_method_from_a_file(tmp_path):
    file = tmp_path / "my.py"
    file.write_text(MINE)
    cls = METHODS.get(f"{file}:Dim")
    assert issubclass(cls, Method)
    assert cls.card.id == "dim"
    assert pickle.loads(pickle.dumps(cls)) is cls


def test_a_file_imports_those_beside_it(tmp_path, monkeypatch):
    """When it is loaded, and later."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "beside_mine.py").write_text("GAIN = 3.0\n")
    (tmp_path / "later_mine.py").write_text("GAIN = 4.0\n")
    later = "def later():\n    import later_mine\n    return later_mine.GAIN\n"
    (tmp_path / "my.py").write_text(f"{MINE}\nfrom beside_mine import GAIN\n{later}")
    module = sys.modules[METHODS.get(f"{tmp_path / 'my.py'}:Dim").__module__]
    assert (module.GAIN, module.later()) == (3.0, 4.0)


def test_a_file_without_a_class_says_how(tmp_path):
    (tmp_path / "my.py").write_text(MINE)
    for name in ("my.py", "my.py:"):
        with pytest.raises(RecipeError, match=rf"{name} names no class in the file, expected FILE.py:Class; known: Dim, Settings$"):
            METHODS.get(str(tmp_path / name))


def test_our_name_stays_ours(monkeypatch):
    """Another package registers `oracle`: ours still counts, the other is listed as broken."""

    class Point:
        name, value, dist = "oracle", "theirs:Oracle", SimpleNamespace(name="aaa-theirs")

    real = registry.metadata.entry_points(group="blurbench.methods")
    monkeypatch.setattr(registry.metadata, "entry_points", lambda group: [Point(), *real])
    registry._entry_points.cache_clear()
    try:
        assert METHODS.get("oracle").card.id == "oracle"
        found = [entry for entry in METHODS.entries() if entry.name == "oracle"]
    finally:
        registry._entry_points.cache_clear()
    assert [(entry.origin, entry.broken) for entry in found] == [
        ("blurbench", None),
        ("aaa-theirs", "the name 'oracle' is taken by blurbench; register it under another"),
    ]


@pytest.mark.parametrize(
    ("kind", "found", "told"),
    [
        ("methods", int, "method 'wrong' (theirs:Wrong) has no card, expected a method"),
        ("metrics", len, "metric 'wrong' (theirs:Wrong) has no info, expected a metric"),
        ("protocols", dict, "protocol 'wrong' (theirs:Wrong) is of type type, expected the pathlib.Path of a TOML file"),
        ("datasets", "wrong.toml", "data set 'wrong' (theirs:Wrong) is of type str, expected the pathlib.Path of a TOML file"),
    ],
)
def test_plug_ins_of_another_kind_are_broken_and_harm_nothing_else(made, tmp_path, monkeypatch, kind, found, told):
    evaluate("copy-blur", made / "data/genblur", out=tmp_path / "runs")
    point = SimpleNamespace(name="wrong", value="theirs:Wrong", dist=SimpleNamespace(name="theirs"), load=lambda: found)
    real = registry.metadata.entry_points

    def entry_points(group):
        return [*real(group=group), *([point] if group == f"blurbench.{kind}" else [])]

    monkeypatch.setattr(registry.metadata, "entry_points", entry_points)
    registry._entry_points.cache_clear()
    try:
        listed = CliRunner().invoke(blurbench, ["ls", kind])
        build = ["leaderboard", "build", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "boards")]
        doctor, *done = [CliRunner().invoke(blurbench, words) for words in (["doctor"], build, ["ls", "weights"])]
    finally:
        registry._entry_points.cache_clear()
    assert listed.exit_code == 0 and told in " ".join(listed.output.split()), listed.output
    assert doctor.exit_code == 1 and told in " ".join(doctor.output.split()), (doctor.output, doctor.exception)
    for one in done:
        assert one.exit_code == 0, (one.output, one.exception)


def test_file_named_like_a_library_does_not_replace_it(tmp_path):
    file = tmp_path / "json.py"
    file.write_text(MINE)
    METHODS.get(f"{file}:Dim")
    assert sys.modules["json"] is json


def test_missing_file_names_its_neighbour(tmp_path):
    (tmp_path / "method.py").write_text(MINE)
    with pytest.raises(RecipeError) as caught:
        METHODS.get(f"{tmp_path}/metod.py:Dim")
    told = f"{tmp_path}/metod.py does not exist, expected the Python file that holds Dim; did you mean 'method'?"
    assert str(caught.value) == told


def test_missing_folder(tmp_path):
    with pytest.raises(RecipeError, match=r"my\.py does not exist, expected the Python file that holds Dim$"):
        METHODS.get(f"{tmp_path}/nowhere/my.py:Dim")


@pytest.mark.parametrize(
    ("kind", "name", "told"),
    [
        (
            PROTOCOLS,
            "mine.toml",
            "mine.toml does not exist, expected a protocol: its name, or a path to its TOML file (.toml); ",
        ),
        (PROTOCOLS, "rules/mine", "rules/mine does not exist, expected a protocol: "),
        (
            DATASETS,
            "mine.toml",
            "mine.toml does not exist, expected a data set: its name, or a path to its TOML file (.toml); ",
        ),
        (DATASETS, "./recipe", "./recipe is no TOML file (.toml), expected a data set: "),
        (METHODS, "./my:Dim", "./my:Dim does not exist, expected a method: its name, or a path to its FILE.py:Class; known: "),
    ],
)
def test_a_path_that_leads_nowhere(tmp_path, monkeypatch, kind, name, told):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipe").touch()
    with pytest.raises(RecipeError) as caught:
        kind.get(name)
    assert str(caught.value).startswith(told)


def test_names_that_begin_so_come_first():
    with pytest.raises(UnknownNameError, match=r"did you mean 'zhong2022-single' or 'zhong2022-video'\? known: "):
        PROTOCOLS.get("zhong2022")
    assert did_you_mean("ab", ["abf", "aba", "abe", "abd", "bab"]) == "did you mean 'aba' or 'abd' or 'abe'?"
    assert did_you_mean("", ["a"]) == did_you_mean("qqqq", ["abc"]) == ""


def test_missing_attribute(tmp_path):
    file = tmp_path / "my.py"
    file.write_text(MINE)
    with pytest.raises(UnknownNameError, match=r"unknown method 'Din' in .*my\.py; did you mean 'Dim'\? known: Dim, Settings$"):
        METHODS.get(f"{file}:Din")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1 +", "SyntaxError: invalid syntax"),
        ("raise SystemExit('no')", "SystemExit: no"),
        ("import nowhere_to_be_found", "ModuleNotFoundError"),
    ],
)
def test_broken_file(tmp_path, text, reason):
    file = tmp_path / "my.py"
    file.write_text(text)
    with pytest.raises(BrokenPluginError, match=f"my.py:Dim cannot be loaded: {reason}") as caught:
        METHODS.get(f"{file}:Dim")
    assert "\n" not in str(caught.value)
