"""The commands from end to end, as a user types them."""

import csv
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from blurbench.run import record
from blurbench.store.reader import open_dataset
from blurbench.video.decode import VideoSource
from tests.conftest import command

HEAVY = ("torch", "cv2", "pandas", "av", "h5py", "skimage", "rich")


@pytest.mark.parametrize("code", ["import blurbench", "from blurbench.cli import blurbench; blurbench(['--help'], standalone_mode=False)"])
def test_nothing_heavy_is_imported_at_the_start(code):
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*[m for m in {HEAVY!r} if m in sys.modules])"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == ""


@pytest.fixture(scope="module")
def evaluated(made):
    for method in ("copy-blur", "oracle-centre", "oracle-reversed", "oracle", "zhang2020"):
        done = command("evaluate", "--method", method, "--dataset", "genblur", cwd=made)
        assert done.returncode == 0, done.stderr
    return made


def values(folder, method):
    runs = [record.read(path) for path in (folder / "runs").glob("*.json")]
    (run,) = [run for run in runs if run.method == method]
    return {name: value.mean for name, value in run.values.items()}


def test_trivial_methods_get_what_they_must(evaluated):
    oracle, centre, back, copy = (values(evaluated, m) for m in ("oracle", "oracle-centre", "oracle-reversed", "copy-blur"))
    assert oracle["psnr"] == oracle["psnr-forward"] == 100
    assert oracle["ordering"] == back["ordering"] == 0
    assert back["psnr"] == 100 and back["psnr-forward"] < 40
    assert centre["psnr-centre"] == 100 and centre["ssim-centre"] == pytest.approx(1)
    assert copy["reblur-psnr"] == 100
    assert copy["psnr-centre"] < 40 and copy["ordering"] > 5


def test_the_record_says_all(evaluated):
    path = next((evaluated / "runs").glob("zhang2020-*.json"))
    run = record.read(path)
    data = open_dataset(evaluated / "data/genblur")
    assert (run.dataset, run.split, run.samples, run.videos) == ("genblur-rendered", "test", 8, 2)
    assert (run.fingerprint, run.content) == (data.manifest.fingerprint("test"), data.manifest.content("test"))
    assert run.weights["origin"] == "shipped" and len(run.weights["sha256"]) == 64
    arguments = "--method zhang2020 --dataset genblur --split test --protocol blurbench-1 --device cpu --seed 0"
    assert run.command == f"blurbench evaluate {arguments}"
    assert (run.cost["input"], run.cost["parameters"]) == ([96, 160], 3_021_223)
    rows = record.scores(path)
    assert len(rows) == 8
    for column, value in run.values.items():
        assert rows[column].mean() == pytest.approx(value.mean)
        assert value.low <= value.mean <= value.high


def test_the_board_is_ranked_and_complete(evaluated):
    done = command("leaderboard", cwd=evaluated)
    assert done.returncode == 0, done.stderr
    (path,) = (evaluated / "leaderboards").glob("genblur-rendered-test-*.blurbench-1-v1.csv")
    rows = list(csv.DictReader(path.open()))
    assert [row["method"] for row in rows][:2] == ["oracle", "oracle-reversed"]
    assert [row["rank"] for row in rows][:3] == ["1", "1", "3"]
    assert float(rows[0]["psnr"]) == 100 == float(rows[0]["psnr_cap"])
    assert "≥100" in done.stdout and "infinite" in done.stderr


def test_other_data_make_another_board(evaluated, tmp_path):
    run = record.read(next((evaluated / "runs").glob("oracle__*.json")))
    table = json.loads((evaluated / "runs" / f"{run.name}.json").read_text())
    (tmp_path / "runs").mkdir()
    for number, fingerprint in enumerate(("a" * 64, "b" * 64)):
        (tmp_path / f"runs/{number}.json").write_text(json.dumps({**table, "fingerprint": fingerprint}))
    assert command("leaderboard", cwd=tmp_path).returncode == 0
    assert len(list((tmp_path / "leaderboards").glob("*.csv"))) == 2


def test_inspect_and_ls_and_doctor(made):
    done = command("inspect", "genblur", cwd=made)
    assert done.returncode == 0, done.stderr
    assert "rendered" in done.stdout and "gamma(2.2)" in done.stdout
    sheet = cv2.imread(str(made / "data/genblur/contact-sheet.png"))
    assert sheet.shape[0] > 200 and sheet.std() > 10
    for kind, name in (("methods", "zhang2020"), ("datasets", "gopro7"), ("metrics", "ordering"), ("protocols", "blurbench-1")):
        for verbose in ([], ["-v"]):
            done = command("ls", kind, *verbose, cwd=made)
            assert done.returncode == 0 and name in done.stdout
    done = command("doctor", cwd=made)
    assert done.returncode == 0 and "shipped weights" in done.stdout and "BROKEN" not in done.stdout


@pytest.mark.parametrize("words", [[], ["weights"]])
def test_without_a_word_help_is_help(tmp_path, words):
    done = command(*words, cwd=tmp_path)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith("Usage: ") and done.stderr.endswith("\n") and "--help`" not in done.stderr


@pytest.mark.parametrize("words", [[], ["leaderboard"], ["weights"]])
def test_help_says_in_whole_lines_what_commands_do(tmp_path, words):
    """In a terminal of 80 columns, where click would cut them off."""
    listed = command(*words, "--help", cwd=tmp_path).stdout.partition("Commands:\n")[2].splitlines()
    assert listed and all(re.fullmatch(r"  [a-z-]+  +\S.{10,}[^.]\.?", line) and len(line) <= 80 for line in listed), listed


def test_train_then_evaluate(made):
    arguments = ("train", "--method", "zhang2020", "--stage", "content", "--dataset", "genblur", "--budget", "2", "--out", "w.safetensors")
    done = command(*arguments, cwd=made)
    assert done.returncode != 0 and "crops of 128" in done.stderr
    env = {"BLURBENCH_DATA": str(made / "big")}
    assert (
        command("make-dataset", "genblur", "--clips", "train=2", "--clips", "test=0", "--size", "160x128", cwd=made, env=env).returncode
        == 0
    )
    done = command(*arguments, cwd=made, env=env)
    assert done.returncode == 0, done.stderr
    done = command("evaluate", "--method", "zhang2020", "--weights", "w.safetensors", "--dataset", "genblur", "--out", "own", cwd=made)
    assert done.returncode == 0, done.stderr
    assert record.read(next((made / "own").glob("*.json"))).weights["origin"] == "given"


def test_make_dataset_is_the_same_with_two_workers_and_is_not_made_twice(made, tmp_path):
    arguments = ("make-dataset", "genblur", "--clips", "train=2", "--clips", "test=2", "--size", "160x96")
    assert command(*arguments, "--workers", "2", cwd=tmp_path).returncode == 0
    one, two = open_dataset(made / "data/genblur").manifest, open_dataset(tmp_path / "data/genblur").manifest
    for split in ("train", "test"):
        assert one.fingerprint(split) == two.fingerprint(split)
        assert one.content(split) == two.content(split)
    shard = next((tmp_path / "data/genblur/test").glob("*.h5"))
    before = shard.stat().st_mtime_ns
    assert command(*arguments, cwd=tmp_path).returncode == 0
    assert shard.stat().st_mtime_ns == before
    with shard.open("r+b") as file:
        file.truncate(shard.stat().st_size // 2)
    assert command(*arguments, cwd=tmp_path).returncode == 0
    assert open_dataset(tmp_path / "data/genblur").manifest.content("test") == one.content("test")
    assert next(iter(open_dataset(tmp_path / "data/genblur").samples("test"))).sharp.any()


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_goes_on(tmp_path, kind):
    arguments = ["make-dataset", "genblur", "--clips", "train=0", "--clips", "test=6", "--size", "160x96", "--frames", "64"]
    # A suite started in the background of a shell ignores Ctrl-C, and so would what it starts.
    heeding = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    command_line = [sys.executable, "-m", "blurbench.cli", *arguments]
    process = subprocess.Popen(command_line, cwd=tmp_path, stderr=subprocess.PIPE, preexec_fn=heeding)
    folder = tmp_path / "data/genblur"
    deadline = time.monotonic() + 60
    while not list(folder.glob("test/.*.part")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, kind)
    process.communicate(timeout=60)
    assert process.returncode == (130 if kind == signal.SIGINT else -signal.SIGKILL)
    if kind == signal.SIGINT:
        assert not list(folder.glob("**/.*.part"))
    assert command(*arguments, cwd=tmp_path).returncode == 0
    assert command(*arguments, "--out", tmp_path / "undisturbed", cwd=tmp_path).returncode == 0
    assert open_dataset(folder).manifest.content("test") == open_dataset(tmp_path / "undisturbed").manifest.content("test")
    assert not list(folder.glob("**/.*.part"))


_LOSES_AN_INTERRUPT = """
import signal, sys, time, weakref
import click
from blurbench import cli

@click.command
def waits():
    class Handle: pass
    handle = Handle()
    watch = weakref.ref(handle, lambda gone: signal.raise_signal(signal.SIGINT))
    del handle
    time.sleep(120)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite started in the background of a shell ignores Ctrl-C
cli._Commands.get_command = lambda self, context, name: waits
sys.argv = ["blurbench", "doctor"]
cli.main()
"""


def test_an_interrupt_in_a_callback_is_not_lost():
    """The signal arrives where Python can raise nothing: the command ends all the same, and says no more than usual."""
    done = subprocess.run([sys.executable, "-c", _LOSES_AN_INTERRUPT], capture_output=True, text=True, timeout=100)
    assert done.returncode == 130
    assert done.stderr.strip() == "interrupted; what is finished is kept, the same command goes on from there"


def test_dry_run_makes_nothing(tmp_path):
    done = command("make-dataset", "genblur", "--dry-run", cwd=tmp_path)
    assert done.returncode == 0 and "16 test sources → data/genblur (at most 306.7 MB)" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("video", ["bikes.mp4", "bigbuckbunny.mp4"])
def test_real_video(shared, tmp_path, video):
    source = shared / "data/videos" / video
    done = command("make-dataset", "gopro7", "--source", source, "--out", "real", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    data = open_dataset(tmp_path / "real")
    assert data.manifest.footage == "video"
    assert data.count("test") == {"bikes.mp4": 35, "bigbuckbunny.mp4": 18}[video]
    frames = np.stack([frame.image for frame in itertools.islice(VideoSource(source).frames(), 7)])
    sample = next(data.samples("test"))
    assert (sample.sharp == frames).all()
    exact = ((sample.sharp / 255) ** 2.2).mean(axis=0) ** (1 / 2.2) * 255
    assert np.abs(sample.blurry - exact).max() <= 0.51
    assert sample.extras["averaged"].tolist() == list(range(7))
    for method, expected in (("copy-blur", None), ("oracle", 100)):
        done = command("evaluate", "--method", method, "--dataset", "real", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        if expected:
            assert values(tmp_path, method)["psnr"] == expected


def test_dmphn_on_real_photographs(shared, tmp_path):
    weights = shared / "weights/dmphn_1_2_4"
    photograph = cv2.imread(str(next((shared / "data/gopro_blurry").glob("*.png"))))[200:456, 300:684]
    cv2.imwrite(str(tmp_path / "street.png"), photograph)
    done = command("predict", "street.png", "--method", "dmphn", "--weights", weights, "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    sharper = cv2.imread(str(tmp_path / "out/street.png"))
    assert sharper.shape == photograph.shape
    energy = [cv2.Laplacian(image, cv2.CV_64F).var() for image in (photograph, sharper)]
    assert energy[1] > 1.5 * energy[0]


@pytest.fixture
def clip(tmp_path):
    """A short folder of images."""
    folder = tmp_path / "clip"
    folder.mkdir()
    for index in range(5):
        cv2.imwrite(str(folder / f"{index}.png"), np.full((32, 48, 3), 40 * index, np.uint8))
    return folder


NAN = """
import numpy as np
from blurbench.methods import Capabilities, Method, MethodCard
class Broken(Method):
    card = MethodCard(id="broken", title="t", paper="p", licence="l")
    capabilities = Capabilities()
    def predict(self, blurry, request):
        return np.full((1, len(request.times), *blurry.shape), np.nan, np.float32)
"""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["make-dataset", "gopro7", "--source", "missing.mp4"], "missing.mp4"),
        (["make-dataset", "gopro7", "--source", "text.mp4"], "text.mp4"),
        (["make-dataset", "gopro7", "--source", "cut.mp4"], "cut.mp4"),
        (["make-dataset", "gopro7", "--source", "clip"], "clip has 5 frames"),
        (["make-dataset", "gopro7", "--source", "empty"], "empty"),
        (["make-dataset", "gopro7", "--source", "grey"], "grey"),
        (["make-dataset", "genblurr"], "did you mean 'genblur'"),
        (["make-dataset", "genblur", "--clips", "tset=3"], "expected train=N or test=N"),
        (["make-dataset", "genblur", "--size", "3"], "expected WIDTHxHEIGHT"),
        (["make-dataset", "genblur", "--codec", "zip"], "expected one of zstd, gzip"),
        (["evaluate", "--method", "zhangg2020", "--dataset", "{made}"], "did you mean 'zhang2020'"),
        (["evaluate", "--method", "oracle", "--dataset", "nowhere"], "no data set 'nowhere'"),
        (["evaluate", "--method", "oracle", "--dataset", "{made}", "--split", "tets"], "did you mean 'test'"),
        (["evaluate", "--method", "oracle", "--dataset", "{made}", "--protocol", "blurbench"], "did you mean 'blurbench-1'"),
        (["evaluate", "--method", "oracle", "--dataset", "{made}", "--weights", "text.mp4"], "has no weights"),
        (["evaluate", "--method", "zhang2020", "--dataset", "{made}", "--weights", "other.safetensors"], "not a checkpoint of Generator"),
        (["evaluate", "--method", "zhang2020-bg", "--dataset", "{made}"], "--weights"),
        (["evaluate", "--method", "broken.py:Broken", "--dataset", "{made}"], "NaN"),
        (["evaluate", "--method", "broken.py:Fixed", "--dataset", "{made}"], "Fixed"),
        (["predict", "clip", "--method", "oracle"], "needs sharp"),
        (["predict", "text.mp4", "--method", "zhang2020"], "text.mp4"),
        (["leaderboard"], "no run records"),
        (["weights", "fetsch"], "unknown command 'fetsch' in blurbench weights; did you mean 'fetch'?"),
        (["inspect", "clip"], "without manifest.json"),
        (["train", "--method", "oracle", "--dataset", "{made}"], "nothing to train"),
        (["train", "--method", "zhang2020", "--dataset", "{made}", "--budget", "soon"], "expected a number of steps"),
        (["evluate"], "did you mean 'evaluate'"),
        (["evaluate"], "--method"),
    ],
)
def test_mistakes_are_one_line(made, clip, tmp_path, arguments, says):
    from safetensors.numpy import save_file

    (tmp_path / "text.mp4").write_text("not a video")
    (tmp_path / "cut.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(100))
    (tmp_path / "empty").mkdir()
    (tmp_path / "grey").mkdir()
    cv2.imwrite(str(tmp_path / "grey/0.png"), np.zeros((32, 32), np.uint8))
    (tmp_path / "broken.py").write_text(NAN)
    save_file({"a": np.zeros(3, np.float32)}, tmp_path / "other.safetensors")
    filled = [argument.format(made=made / "data/genblur") for argument in arguments]
    done = command(*filled, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert says in line
    assert not list(Path(tmp_path).glob("**/*.h5")) and not list(Path(tmp_path).glob("**/*.part"))
    assert not list(Path(tmp_path).glob("**/*.json"))
