"""`import` and `verify gopro` as a user types them."""

import csv
import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from blurbench.store.reader import open_dataset
from tests.conftest import command
from tests.importers import trees
from tests.importers.trees import picture
from tests.synth.test_align import tree


def test_import_and_evaluate(tmp_path):
    trees.gopro(tmp_path / "GOPRO_Large")
    (tmp_path / "GOPRO_Large/test/GOPR0002_11_00/sharp/000004.png").unlink()
    dry = command("import", "gopro-linear", "GOPRO_Large", "--skip-broken", "--dry-run", cwd=tmp_path)
    assert dry.returncode == 0 and "1 test video, 1 train video, 5 samples → data/gopro-linear" in dry.stderr
    assert not (tmp_path / "data").exists()
    done = command("import", "gopro-linear", "GOPRO_Large", "--skip-broken", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 left out: no sharp picture" in done.stderr and "the whole release has 2103" in done.stderr
    done = command("evaluate", "--method", "copy-blur", "--dataset", "gopro-linear", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = command("inspect", "gopro-linear", cwd=tmp_path)
    assert done.returncode == 0 and "pixel" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["import", "gopro-linaer", "GOPRO_Large"], "did you mean 'gopro-linear'"),
        (["import", "gopro-linear", "nowhere"], "nowhere is missing"),
        (["import", "gopro-linear", "GOPRO_Large", "--split", "tets"], "did you mean 'test'"),
        (["import", "gopro-linear", "GOPRO_Large/train"], "give the folder above"),
        (["import", "gopro-linear", "GOPRO_Large", "--codec", "zip"], "expected one of zstd, gzip"),
        (["import", "gopro-linear", "GOPRO_Large"], "sharp/000003.png has no blurry picture"),
        (["import", "gopro-align", "GOPRO_Large"], "add --set transfer=pixel"),
        (["verify", "gopro", "GOPRO_Large"], "takes two folders"),
        (["verify", "gopro", "GOPRO_Large", "nowhere"], "nowhere is missing"),
        (["verify", "nowhere", "GOPRO_Large"], "takes nothing else"),
        (["verify", "nowhere"], "no data set 'nowhere'"),
    ],
)
def test_mistakes_are_one_line(tmp_path, arguments, says):
    trees.gopro(tmp_path / "GOPRO_Large")
    (tmp_path / "GOPRO_Large/train/GOPR0001_07_00/blur/000003.png").unlink()
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert says in line
    assert not list(tmp_path.glob("**/*.h5")) and not list(tmp_path.glob("**/*.json"))


def test_a_killed_import_goes_on(tmp_path):
    root = trees.gopro(tmp_path / "tree", numbers=range(1, 5))
    for video in ("train/GOPR0003_07_00", "train/GOPR0004_07_00"):  # large enough to be killed in
        for number in range(1, 17):
            for folder in ("blur", "sharp"):
                image = np.random.default_rng(number).integers(0, 256, (720, 1280, 3), dtype=np.uint8)
                path = root / video / folder / f"{number:06d}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), image, [cv2.IMWRITE_PNG_COMPRESSION, 0])
    arguments = ["import", "gopro-linear", "tree", "--out", "out"]
    process = subprocess.Popen([sys.executable, "-m", "blurbench.cli", *arguments], cwd=tmp_path, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "out").glob("train/.GOPR0003*.part")) and time.monotonic() < deadline:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=60)
    assert list((tmp_path / "out").glob("train/.*.part")) and not (tmp_path / "out/manifest.json").exists()
    assert command(*arguments, cwd=tmp_path).returncode == 0
    assert command("import", "gopro-linear", "tree", "--out", "whole", cwd=tmp_path).returncode == 0
    one, two = (open_dataset(tmp_path / name).manifest for name in ("out", "whole"))
    assert one == two and not list((tmp_path / "out").glob("**/.*"))


def test_verify_gopro(tmp_path):
    tree(tmp_path, [0, 0], "GOPR0001_07_00")
    tree(tmp_path, [-5, -5], "GOPR0384_11_05", first=2)
    arguments = ("verify", "gopro", "pairs", "all", "--out", "table.csv", "--map", "map.csv")
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 of 2 sequences lie where the published rule says" in done.stderr
    one, two = csv.DictReader((tmp_path / "table.csv").open())
    assert (one["sequence"], one["result"], one["offset"], one["sharp dB"]) == ("GOPR0001_07_00", "as published", "0", "inf")
    assert (two["window"], two["result"], two["offset"]) == ("11", "shifted by -5", "-5")
    assert float(two["blur as pixel"]) == 0 < 1 < float(two["blur as gamma(2.2)"])
    assert two["sequence"] in done.stdout and "shifted by -5" in done.stdout
    rows = list(csv.DictReader((tmp_path / "map.csv").open()))
    assert [(row["number"], row["centre by rule"], row["centre found"]) for row in rows[2:]] == [("2", "17", "12"), ("3", "28", "23")]
    trees.write(tmp_path / "pairs/test/GOPR0001_07_00/sharp/000002.png", picture(99))
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == 1 and "1 of 2 not found" in done.stdout
    assert command("verify", "gopro", "pairs", "all", "--split", "train", cwd=tmp_path).returncode == 2
    assert not list(tmp_path.glob(".*"))
    done = command("verify", "gopro", "pairs", "all", "--out", "map.csv/table.csv", cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.splitlines()[-1].startswith("error: map.csv/table.csv cannot be written: ")


def test_the_help_names_every_layout():
    done = command("import", "--help", cwd=".")
    from blurbench.importers.layouts import LAYOUTS

    assert done.returncode == 0 and all(f"\n{name} " in done.stdout.replace("\n  ", "\n") for name in LAYOUTS)
