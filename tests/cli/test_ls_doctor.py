"""What is listed, in words that stand apart; what `doctor` finds and what it misses."""

from importlib import metadata

import pytest
from click.testing import CliRunner

from blurbench.cli import blurbench, doctor
from blurbench.metrics import protocol as protocols
from blurbench.synth import recipe as recipes


def listed(kind):
    done = CliRunner().invoke(blurbench, ["ls", kind, "-v"])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_licence_and_citation_have_lines_of_their_own():
    recipe = recipes.load("gopro7")
    assert f"\n  licence: {recipe.licence}\n@inproceedings{{purohit2019bringing,\n" in listed("datasets")


def test_a_blank_line_stands_between_protocols():
    text, rules = listed("protocols"), protocols.load("blurbench-motion")
    assert f"\n\n{rules.id} version {rules.version}: {rules.title}\n" in text


def test_a_method_without_a_paper_says_so():
    assert "\n  paper: none\n  licence: " in listed("methods").partition("copy-blur: ")[2].partition("@")[0]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "no kind to list was given, expected one of methods, datasets, metrics, protocols, weights"),
        (["metods"], "unknown kind 'metods'; did you mean 'methods'?"),
    ],
)
def test_a_kind_that_is_none(words, told):
    error = CliRunner().invoke(blurbench, ["ls", *words]).exception
    assert told in str(error) and "\n" not in str(error)


def test_libraries_are_those_of_the_package(monkeypatch):
    """One that is not installed is broken, one of an extra is only not here."""
    found = {name: state for name, _, state in doctor._libraries()}
    assert {"matplotlib", "lightning-fabric", "pandas", "pyarrow", "jinja2", "lpips", "torchvision", "ptlflow"} <= found.keys()
    assert found["pandas"] == found["torch"] == "ok"
    keep = metadata.version

    def version(name):
        if name in ("jinja2", "lpips"):
            raise metadata.PackageNotFoundError(name)
        return keep(name)

    monkeypatch.setattr(metadata, "version", version)
    found = {name: state for name, _, state in doctor._libraries()}
    assert (found["jinja2"], found["lpips"]) == ("BROKEN: pip install jinja2", "not here: pip install 'blurbench[lpips]'")


def test_the_help_of_doctor_explains_every_state():
    text = CliRunner().invoke(blurbench, ["doctor", "--help"]).output
    assert all(f"`{state}`" in " ".join(text.split()) for state in ("ok", "not here", "needs weights", "low", "BROKEN"))


def test_weights_that_are_missing_are_told(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert "not here: " in doctor._metric("lpips-alex") and "`blurbench weights fetch lpips-alex`" in doctor._metric("lpips-alex")
    assert doctor._metric("psnr") == doctor._metric("warp-error") == "ok"
    assert "`blurbench weights fetch rife`" in doctor._interpolator("rife") and doctor._interpolator("flow") == "ok"


def test_recipes_and_protocols_are_counted_and_broken_ones_named(tmp_path, monkeypatch):
    from blurbench.registry import DATASETS, PROTOCOLS

    assert doctor._files() == [["data sets", str(len(DATASETS.names())), "ok"], ["protocols", str(len(PROTOCOLS.names())), "ok"]]
    (broken := tmp_path / "mine.toml").write_text("id = 1")
    monkeypatch.setattr("blurbench.registry._toml_files", lambda package, folder: {"mine": broken})
    rows = doctor._files()
    assert rows[0][1] == "0" and rows[1][0] == "data set mine" and rows[1][2].startswith("BROKEN: ")
