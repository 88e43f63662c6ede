"""`--option KEY=VALUE`: to the method, into the record and into names; mistakes are one line."""

import re
import shutil

import click
import numpy as np
import pytest
from click.testing import CliRunner

from blurbench import weights
from blurbench.cli import blurbench
from blurbench.errors import BlurbenchError
from blurbench.methods import load_method, method_class
from blurbench.remarks import learnt_from, remarks
from blurbench.run import record
from blurbench.run.predict import photograph
from blurbench.running import predict
from blurbench.train import trainer
from blurbench.video.images import read_rgb, write_rgb
from tests.baselines.inputs import picture
from tests.conftest import command

FOOTAGE = "is for the built-in footage, not for --source; leave it out"
TOY = """
import numpy as np
from blurbench.errors import BlurbenchError
from blurbench.methods import Capabilities, Method, MethodCard

class Dim(Method):
    card = MethodCard(id="dim", title="t", paper="p", licence="l")
    capabilities = Capabilities(frames=1)
    options = {"left-over": "share of the light that is left", "tint": "a colour"}

    def __init__(self, share):
        self.share = share

    @classmethod
    def load(cls, weights=None, device="cpu", left_over="1", tint=""):
        return cls(np.float32(left_over))

    def predict(self, blurry, request):
        return blurry[None, None] * self.share
"""


@pytest.fixture
def toy(tmp_path, monkeypatch):
    (tmp_path / "toy.py").write_text(TOY)
    write_rgb(tmp_path / "a.png", picture(16, 24))
    monkeypatch.chdir(tmp_path)
    return "toy.py:Dim"


def blurbench_(*arguments):
    """Run a command in this process; mistakes are raised."""
    return CliRunner().invoke(blurbench, list(map(str, arguments)), catch_exceptions=False, standalone_mode=False)


@pytest.mark.parametrize(("given", "seed"), [([], None), (["--seed", "0"], 0), (["--seed", "3"], 3)])
def test_a_seed_is_handed_on_where_one_is_given(monkeypatch, given, seed):
    """Without one the recipe's own counts."""
    seen = {}
    monkeypatch.setattr("blurbench.cli._make.run_make", lambda *arguments, **options: seen.update(options))
    blurbench_("make-dataset", "wild", *given)
    assert seen["seed"] == seed


def test_predict_and_animate_hand_options_on(toy, tmp_path):
    assert blurbench_("predict", "a.png", "--method", toy, "--option", "left-over=0.4").exit_code == 0
    expected = np.rint(picture(16, 24).astype(np.float32) / 255 * 0.4 * 255)
    np.testing.assert_array_equal(read_rgb(tmp_path / "predictions/dim/a.png"), expected)
    done = blurbench_("animate", "a.png", "--method", toy, "--option", "left-over=0.4", "--option", "tint=red=0/blue")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "animations/a-dim+left-over-0.4+tint-red_0_blue-sheet.png").is_file()


def test_options_are_in_the_record_and_in_its_name(toy, made, tmp_path):
    """Runs with and without do not meet, neither in files nor in numbers."""
    shared = ("--method", toy, "--dataset", made / "data/genblur", "--out", "runs")
    for options in ((), ("--option", "left-over=0.4")):
        done = blurbench_("evaluate", *shared, *options)
        assert done.exit_code == 0, done.output
    runs = {run.method: run for run in map(record.read, (tmp_path / "runs").glob("*.json"))}
    assert runs.keys() == {"dim", "dim+left-over-0.4"}
    assert "--option left-over=0.4" in runs["dim+left-over-0.4"].command and "--option" not in runs["dim"].command
    assert runs["dim+left-over-0.4"].values["psnr-centre"].mean < runs["dim"].values["psnr-centre"].mean - 1


def test_stored_predictions_say_their_options(toy, made, tmp_path):
    done = blurbench_("predict", "--dataset", made / "data/genblur", "--method", toy, "--out", "there", "--option", "tint=red")
    assert done.exit_code == 0, done.output
    texts = [path.read_text() for path in (tmp_path / "there").glob("*.json")]
    assert any("--option tint=red" in text and '"dim+tint-red"' in text for text in texts)


def test_labels():
    """Only letters that any file system takes; the card's id alone where nothing was chosen."""
    method = load_method("copy-blur")
    assert method.label == "copy-blur" and not method.chosen
    method.chosen = {"b": "x/../y z", "a": "1"}
    assert method.label == "copy-blur+a-1+b-x_.._y_z"
    assert re.fullmatch(r"[\w.+-]+", method.label)


def test_options_by_function(toy, tmp_path):
    sample = photograph(tmp_path / "a.png", 1)
    half = predict(load_method(toy, options={"left-over": "0.5"}), sample).frames
    np.testing.assert_array_equal(half, predict(load_method(toy), sample).frames * np.float32(0.5))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("left-over",), "--option is 'left-over', expected KEY=VALUE, as deblur-with=dmphn"),
        (("=3",), "--option is '=3', expected KEY=VALUE, as deblur-with=dmphn"),
        (("tint=",), "--option is 'tint=', expected KEY=VALUE, as deblur-with=dmphn"),
        (("tint=a", "tint=b"), "--option tint is given twice, as 'a' and 'b'; keep one"),
        (("left_over=1",), "unknown option 'left_over' in dim; did you mean 'left-over'? known: left-over, tint"),
    ],
)
@pytest.mark.parametrize("name", ["predict", "animate"])
def test_mistakes_are_one_line(toy, name, options, told):
    with pytest.raises(BlurbenchError) as caught:
        blurbench_(name, "a.png", "--method", toy, *(word for option in options for word in ("--option", option)))
    assert str(caught.value) == told


@pytest.mark.parametrize("words", [["--left-over", "0.5"], ["--left-over=0.5"]])
def test_options_of_a_method_by_their_own_name(toy, made, tmp_path, words):
    """In every command that has --method, with the method before or after; records and cards say them as ever."""
    for name, place in (("predict", "predictions/dim/a.png"), ("animate", "animations/a-dim+left-over-0.5-sheet.png")):
        done = blurbench_(name, *words, "a.png", f"--method={toy}")
        assert done.exit_code == 0 and (tmp_path / place).is_file(), done.output
    np.testing.assert_array_equal(read_rgb(tmp_path / "predictions/dim/a.png"), np.floor(picture(16, 24).astype(np.float32) / 2 + 0.5))
    done = blurbench_("evaluate", "--method", toy, "--dataset", made / "data/genblur", *words)
    (run,) = map(record.read, (tmp_path / "runs").glob("*.json"))
    assert done.exit_code == 0 and run.method == "dim+left-over-0.5" and "--option left-over=0.5" in run.command


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--left-over"], "--option is 'left-over=', expected KEY=VALUE, as deblur-with=dmphn"),
        (["--tint=a", "--option", "tint=b"], "--option tint is given twice, as 'a' and 'b'; keep one"),
        (["--left_over", "1"], "No such option '--left_over'. Did you mean '--left-over'?"),
        (["--weight", "w"], "No such option '--weight'. Did you mean '--weights'?"),
    ],
)
def test_mistakes_in_them(toy, arguments, told):
    with pytest.raises((BlurbenchError, click.UsageError)) as caught:
        blurbench_("predict", "a.png", "--method", toy, *arguments)
    assert (caught.value.format_message() if isinstance(caught.value, click.UsageError) else str(caught.value)) == told


def test_a_commands_own_options_go_before_those_of_a_method(toy, tmp_path):
    (tmp_path / toy.split(":")[0]).write_text(TOY.replace('"tint": "a colour"', '"seed": "a number"'))
    assert blurbench_("predict", "a.png", "--method", toy, "--seed", "3", "--left-over", "1").exit_code == 0
    with pytest.raises(BlurbenchError, match=r"load of dim cannot be called .*'seed'"):
        blurbench_("predict", "a.png", "--method", toy, "--option", "seed=3")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["make-dataset", "genblur", "--clips", "test=1", "--clips", "test=2"], "--clips test is given twice, as '1' and '2'; keep one"),
        (["make-dataset", "genblur", "--set", "fps=1", "--set", "fps = 2"], "--set fps is given twice, as '1' and ' 2'; keep one"),
        (["import", "gopro", "d", "--set", "blur=a", "--set", "blur=b"], "--set blur is given twice, as 'a' and 'b'; keep one"),
    ],
)
def test_a_key_given_twice(arguments, told):
    with pytest.raises(BlurbenchError) as caught:
        blurbench_(*arguments)
    assert str(caught.value) == told


def test_files_without_a_name_are_named_after_the_card(toy, made, tmp_path, monkeypatch):
    """A path as the method's name would lead elsewhere."""
    done = blurbench_("predict", "--dataset", made / "data/genblur", "--method", tmp_path / toy)
    assert done.exit_code == 0 and (tmp_path / "predictions/dim-genblur-test/predictions.json").is_file()
    trained = []
    monkeypatch.setattr(trainer, "train", lambda method, dataset, out, **_: trained.append(out) or trainer.Trained(out, 1, 1.0, 0.0))
    done = blurbench_("train", "--dataset", made / "data/genblur", "--method", tmp_path / toy)
    assert done.exit_code == 0 and trained == ["dim.safetensors"]


def test_exit_code(toy, tmp_path):
    done = command("predict", "a.png", "--method", "copy-blur", "--option", "tint=red", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "error: copy-blur takes no options, but --option tint=red was given; leave it out"


def test_they_are_listed_with_their_meaning_and_so_are_variants():
    listed = command("ls", "methods", "-v", cwd=".").stdout
    about = {text.partition(":")[0]: text for text in re.split(r"\n(?=\S+: )", listed)}
    assert f"\n  --option deblur-with=…: {method_class('purohit2019').options['deblur-with']}\n" in about["purohit2019"]
    assert "\n  variant for guidance: zhong2022-annotated\n  variant for before: zhong2022-video\n" in about["zhong2022"]
    assert "--option" not in about["zhong2022"] and "variant for" not in about["purohit2019"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["predict", "a.png", "--store", "uint8"], "--store is for --dataset, not for images; leave it out"),
        (["predict", "a.png", "--split", "train"], "--split is for --dataset, not for images; leave it out"),
        (
            ["predict", "--dataset", "d", "--frames", "7"],
            "--frames is for images, a data set has its own number; leave it out",
        ),
        (["predict", "a.png", "--frames", "0"], "Invalid value for '--frames': 0 is not in the range x>=1."),
        (["make-dataset", "gopro7", "--source", "v", "--clips", "test=1"], f"--clips {FOOTAGE}"),
        (["make-dataset", "gopro7", "--source", "v", "--size", "320x192"], f"--size {FOOTAGE}"),
        (["make-dataset", "gopro7", "--source", "v", "--frames", "9"], f"--frames {FOOTAGE}"),
        (
            ["make-dataset", "gopro7", "--keep-variable-rate"],
            "--keep-variable-rate is for --source, not for the built-in footage; leave it out",
        ),
        (["make-dataset", "gopro7", "--workers", "0"], "Invalid value for '--workers': 0 is not in the range x>=1."),
        (
            ["verify", "d", "--workers", "3"],
            "verify d checks a made data set and takes nothing else; for released pairs: verify gopro PAIRS ALL",
        ),
        (["verify", "gopro", "a", "b", "--workers", "0"], "Invalid value for '--workers': 0 is not in the range x>=1."),
        (
            ["plot", "seconds", "--dataset", "d"],
            "--dataset is for a figure of blur-size or best-of or residual, not of seconds; leave it out",
        ),
        (["plot", "parameters", "--reference", "r"], "--reference is for a figure of forest, not of parameters; leave it out"),
        (
            ["plot", "blur-size", "--predictions", "p"],
            "--predictions is for a figure of best-of or residual, not of blur-size; leave it out",
        ),
        (["leaderboard", "--dataset", "d"], "--dataset is for the site; add --format html"),
        (["leaderboard", "--out", "o", "--format", "csv", "--sample", "v/00000"], "--sample is for the site; add --format html"),
    ],
)
def test_an_option_that_would_do_nothing(arguments, told, toy):
    method = ["--method", toy] if arguments[0] == "predict" else []
    with pytest.raises(click.UsageError) as raised:
        blurbench_(*arguments, *method)
    assert raised.value.format_message() == told


def test_iterate_takes_the_method_that_goes_on_from_its_own_frames(tmp_path):
    write_rgb(tmp_path / "a.png", picture(16, 24))
    done = command("predict", "--method", "zhang2020", "--iterate", "--frames", 9, "a.png", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0 and len(list((tmp_path / "out").rglob("*.png"))) == 9
    done = command("predict", "--method", "nah2017", "--iterate", "a.png", "--out", "other", cwd=tmp_path)
    assert (done.returncode, (tmp_path / "other").exists()) == (2, False)
    assert "--iterate was given, but no method goes on from the frames of nah2017; leave it out" in done.stderr


def test_weights_of_another_method_are_pointed_out():
    """A file says as what it was trained; interfaces to the same networks share one."""
    file = weights.shipped("zhang2020.safetensors")
    (told,) = remarks(load_method("zhang2020-bgh", file))
    assert told == f"{file} was trained as zhang2020, here it runs, and is recorded, as zhang2020-bgh"
    assert remarks(load_method("zhang2020-iterated", file)) == []


def test_scores_on_what_weights_were_trained_on():
    file = weights.shipped("nah2017.safetensors")
    learnt, method = weights.card(file)["fingerprint"], load_method("nah2017", file)
    assert learnt_from(method, learnt) == [f"{file} was trained on this very split: its scores say nothing of other data"]
    assert learnt_from(method, "0" * 64) == learnt_from(load_method("copy-blur"), learnt) == []


def test_a_damaged_file_beside_the_weights_is_no_matter(tmp_path):
    """A method that takes a folder takes what it needs of it."""
    shutil.copy(weights.shipped("zhang2021.safetensors"), tmp_path / "latest_net_offset.safetensors")
    (tmp_path / "notes.safetensors").write_bytes(b"no header")
    method = load_method("copy-blur")
    method.given = tmp_path
    assert remarks(method) == [
        f"{tmp_path / 'latest_net_offset.safetensors'} was trained as zhang2021, here it runs, and is recorded, as copy-blur"
    ]
    (tmp_path / "latest_net_offset.safetensors").rename(tmp_path / "z.pth")
    assert remarks(method) == []


def test_an_option_of_one_value_is_taken_once():
    """The last would be taken, and what stands before it lost."""
    done = CliRunner().invoke(blurbench, ["evaluate", "--method", "zhang2020", "--dataset", "d", "--method=copy-blur"])
    assert isinstance(done.exception, SystemExit) and done.exit_code == 2
    assert "--method is given twice, of which one would count for nothing; keep one" in done.output


@pytest.mark.parametrize("words", [["plot", "forest"], ["leaderboard"], ["evaluate", "--method", "copy-blur", "--dataset", "d"]])
def test_out_is_a_folder(words):
    done = CliRunner().invoke(blurbench, [*words, "--out", "fig.pdf"])
    assert isinstance(done.exception, BlurbenchError)
    assert str(done.exception) == "--out is 'fig.pdf', which looks like a file, expected a folder; files in it have names of their own"
