"""Whole training runs: exact resume after a kill, several processes, rivals, and what a user does wrong."""

import csv
import itertools
import os
import signal
import subprocess
import sys
from hashlib import sha256

import pytest
import torch

from blurbench import weights
from blurbench.cli import main
from blurbench.errors import BlurbenchError, DataSetError, RecipeError
from blurbench.lock import held
from blurbench.store import disk
from blurbench.train import checkpoint
from blurbench.train.trainer import launch, train
from blurbench.train.turns import Turns
from tests.conftest import ROOT
from tests.train.tiny import HERE, Network

pytestmark = pytest.mark.usefixtures("one_thread")  # as the processes below

TINY, RIVALS = (f"{HERE / 'tiny.py'}:{name}" for name in ("Tiny", "Rivals"))

SIZES = ("paper", "small")


@pytest.fixture(scope="module")
def data(made):
    return made / "data/genblur"


@pytest.fixture(scope="module")
def undisturbed(one_thread, data, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "w.safetensors"
    return train(TINY, data, out, budget="40", seed=3, workers=0, half=False)


def state_of(out):
    return weights.read(out.with_suffix(".training") / "state.safetensors")


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def without_seconds(out):
    with (out.with_suffix(".training") / "losses.csv").open() as file:
        return [[row[0], row[1], *row[3:]] for row in csv.reader(file)]


def start(data, out, *more, steps=40, perishes=0, interrupts=0):
    words = ["train", "--method", TINY, "--dataset", data, "--out", out, "--budget", steps, "--seed", 3, "--workers", 0, "--save-every", 0]
    disturbed = {"TINY_PERISHES": str(perishes), "TINY_INTERRUPTS": str(interrupts)}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **disturbed}
    command = [sys.executable, "-m", "blurbench.cli", *map(str, words), *more]
    return subprocess.Popen(command, stderr=subprocess.PIPE, env=environment, cwd=ROOT)


# The stages have 30 and 10 steps.
@pytest.mark.parametrize("moments", [(2, 9, 25), (17, 8, 3)])
def test_killed_and_resumed_is_undisturbed(data, undisturbed, tmp_path, moments):
    out = tmp_path / "w.safetensors"
    for attempt, moment in enumerate((*moments, 0)):
        process = start(data, out, *(["--resume"] if attempt else []), perishes=moment)
        _, told = process.communicate(timeout=120)
        assert process.returncode == (-signal.SIGKILL if moment else 0), told.decode()
    assert same(state_of(out), state_of(undisturbed.weights))
    mine, theirs = (weights.card(path.with_suffix(".training") / "state.safetensors") for path in (out, undisturbed.weights))
    assert {**mine, "seconds": 0, "began": 0} == {**theirs, "seconds": 0, "began": 0}
    curves = [without_seconds(path) for path in (out, undisturbed.weights)]
    # Lines of the last resume are the same; none is there twice.
    assert curves[0] == curves[1]


def test_two_trainings_do_not_write_into_one_folder(data, tmp_path):
    """Neither a new one nor one that goes on; the state of the first stays as it is."""
    out = tmp_path / "w.safetensors"
    train(TINY, data, out, stage="first", budget="2", workers=0)
    saved = out.with_suffix(".training") / "state.safetensors"
    before = saved.read_bytes()
    with held(tmp_path / "w.training.lock", ""), pytest.raises(DataSetError, match=r"^another training is writing .*w\.training; wait for"):
        train(TINY, data, out, stage="first", budget="2", workers=0, resume=True)
    assert saved.read_bytes() == before and {path.name for path in tmp_path.iterdir()} == {"w.safetensors", "w.training"}


def test_a_refused_training_leaves_nothing(data, tmp_path):
    with pytest.raises(RecipeError, match="--nodes is 2, but this is no job of Slurm, LSF or torchrun"):
        train(TINY, data, tmp_path / "w.safetensors", workers=0, nodes=2)
    assert not list(tmp_path.iterdir())


def test_constants_of_a_network_are_not_learnt(undisturbed):
    assert weights.read(undisturbed.weights)["share"] == 1


def test_what_a_run_leaves(data, undisturbed):
    folder = undisturbed.weights.with_suffix(".training")
    assert {path.name for path in folder.iterdir()} >= {"state.safetensors", "best.safetensors", "losses.csv"}
    card = weights.card(undisturbed.weights)
    assert (card["steps"], card["seed"], card["validated_by"], card["stage"]) == ("40", "3", "loss", "second") and "numbers" not in card
    assert "--budget 40" in card["command"] and card["fingerprint"]
    assert card["data"].startswith("blurbench make-dataset genblur --clips train=")
    assert card["recipe"] == "tiny.toml: none: for tests" and card["network"] == {} and card["settings"] == {"first": {"noise": 0.1}}
    with (folder / "losses.csv").open() as file:
        rows = list(csv.DictReader(file))
    first = [row for row in rows if row["stage"] == "first"]
    assert len([row for row in first if row["term"] == "validation"]) == 3
    assert float(first[0]["rate"]) == pytest.approx(1e-2) and {row["term"] for row in rows} == {
        "squared",
        "absolute",
        "total",
        "validation",
    }
    for row, again in itertools.pairwise(rows):
        if row["term"] == "squared" and again["term"] == "total":
            assert row["value"] == again["value"]


def test_each_stage_leaves_its_best_weights(undisturbed):
    stages = {name: undisturbed.weights.with_suffix(".training") / f"{name}.safetensors" for name in ("first", "second")}
    cards = {name: weights.card(path) for name, path in stages.items()}
    assert [(card["method"], card["stage"], card["steps"]) for card in cards.values()] == [
        ("tiny", "first", "30"),
        ("tiny", "second", "40"),
    ]
    assert cards["second"] == weights.card(undisturbed.weights) and cards["first"]["validated_by"] == "blurbench-1 psnr-centre"
    first, second = (weights.read(path) for path in stages.values())
    assert same(second, weights.read(undisturbed.weights)) and not same(first, second)


def test_a_resume_in_the_second_stage_keeps_the_weights_of_the_first(data, undisturbed, tmp_path):
    out, first = tmp_path / "w.safetensors", tmp_path / "w.training/first.safetensors"
    process = start(data, out, perishes=31)  # before anything of the second stage was saved
    process.communicate(timeout=120)
    kept = weights.read(first)
    assert weights.card(out.with_suffix(".training") / "state.safetensors")["stage"] == "first"
    train(TINY, data, out, budget="40", seed=3, workers=0, half=False, resume=True)
    assert same(kept, {key: value.half() for key, value in weights.read(undisturbed.weights.with_suffix(".training") / first.name).items()})
    assert same(weights.read(first), kept) and same(state_of(out), state_of(undisturbed.weights))


def test_a_recipe_of_ones_own(data, tmp_path):
    mine, out = tmp_path / "mine.toml", tmp_path / "w.safetensors"
    text = (HERE / "tiny.toml").read_text()
    mine.write_text(text.replace("[small]", "[network]\nwidth = 3\n\n[small]").replace("learning_rate = 1e-3", "learning_rate = 2e-3"))
    given = {"budget": "4", "workers": 0, "recipe": mine}
    train(TINY, data, out, **given)
    card = weights.card(out)
    assert card["recipe"] == "mine.toml: none: for tests" and f"--recipe {mine}" in card["command"] and card["network"] == {"width": 3}
    assert card["numbers"]["second"]["learning_rate"] == 2e-3 and weights.read(out)["enter.bias"].shape == (3,)
    mine.write_text(mine.read_text().replace("2e-3", "3e-3"))
    told = r"recipe\.second\.learning_rate = 0\.002, now it is 0\.003; .*: give by --recipe a file with the numbers of then, or train"
    with pytest.raises(RecipeError, match=told):
        train(TINY, data, out, **given, resume=True)


def test_training_lowers_the_loss(data, tmp_path):
    out = train(TINY, data, tmp_path / "w.safetensors", budget="120", stage="first", workers=0).weights
    with (out.with_suffix(".training") / "losses.csv").open() as file:
        scores = [float(row["value"]) for row in csv.DictReader(file) if row["term"] == "validation"]
    assert len(scores) == 3 and max(scores) == scores[-1] > scores[0]
    assert weights.card(out)["validated_by"] == "blurbench-1 psnr-centre"


def test_resume_of_a_finished_run_changes_nothing(data, undisturbed, tmp_path):
    before = state_of(undisturbed.weights)
    again = train(TINY, data, undisturbed.weights, budget="40", seed=3, workers=0, half=False, resume=True)
    assert again.steps == 40 and same(before, state_of(undisturbed.weights))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"seed": 4}, "seed = 3, now it is 4"),
        ({"budget": "50"}, "budget = '40', now it is '50'"),
        ({"size": "small"}, "size = 'paper', now it is 'small'|network.width = None, now it is 2"),
        ({"resume": False}, "holds a training run; --resume goes on"),
    ],
)
def test_resume_with_other_settings(data, undisturbed, changed, told):
    with pytest.raises(RecipeError, match=told):
        train(TINY, data, undisturbed.weights, **{"budget": "40", "seed": 3, "resume": True, **changed})


def test_small_and_started(data, tmp_path):
    out = train(TINY, data, tmp_path / "a.safetensors", budget="2", size="small", stage="first", workers=0).weights
    assert weights.read(out)["enter.bias"].shape == (2,) and weights.read(out)["enter.bias"].dtype == torch.float16
    with pytest.raises(BlurbenchError, match="not a checkpoint of Network"):
        train(TINY, data, tmp_path / "b.safetensors", budget="2", stage="second", start=out)
    train(TINY, data, tmp_path / "b.safetensors", budget="2", size="small", stage="second", start=out, workers=0)
    began = weights.card(tmp_path / "b.safetensors")["start"]
    assert began == {"name": out.name, "sha256": sha256(out.read_bytes()).hexdigest(), "card": weights.card(out)}


def test_two_processes_learn_what_one_does(data, tmp_path):
    """The batch is shared, so the mean gradient of both is that of one, but for the order of sums."""
    outs = [tmp_path / f"{devices}.safetensors" for devices in (1, 2)]
    for out, devices in zip(outs, "12", strict=True):
        process = start(data, out, "--devices", devices, "--stage", "second", "--start", base(tmp_path), steps=4)
        _, told = process.communicate(timeout=120)
        assert process.returncode == 0, told.decode()
    one, two = map(state_of, outs)
    assert one.keys() == two.keys()
    for key in one:
        torch.testing.assert_close(one[key], two[key], rtol=1e-4, atol=1e-6)


def base(folder):
    path = folder / "base.safetensors"
    if not path.is_file():
        torch.manual_seed(1)
        path.write_bytes(weights.packed(Network().state_dict(), {}))
    return str(path)


def test_rivals_leave_each_other_alone(data, tmp_path):
    states = [state_of(train(RIVALS, data, tmp_path / f"{n}.safetensors", budget=str(n), workers=0).weights) for n in (1, 2)]
    assert not torch.equal(states[0]["networks.network.enter.weight"], states[1]["networks.network.enter.weight"])
    # The judge acts in every second step: the first, not the second. What nobody trains stays as it was.
    assert torch.equal(states[0]["networks.judge.weight"], states[1]["networks.judge.weight"])
    assert float(states[1]["optimisers.0.0.step"]) == 1 and float(states[1]["optimisers.1.0.step"]) == 2
    assert torch.equal(states[1]["networks.idle.weight"], torch.ones(3)) and int(states[1]["networks.idle.num_batches_tracked"]) == 0


def test_each_player_has_a_total(data, tmp_path):
    told = []
    tell = {"progress": lambda spent, step, loss, crops: told.append(loss)}
    train(RIVALS, data, tmp_path / "w.safetensors", budget="2", workers=0, **tell)
    values = {(row[1], row[3]): float(row[4]) for row in without_seconds(tmp_path / "w.safetensors")[1:]}
    assert values["1", "total of judge"] == values["1", "judge"] and values["1", "total"] == values["1", "deceive"]
    # The judge has no turn in the second step. What is told is smoothed, the generator's alone.
    assert ("2", "total of judge") not in values
    assert told == pytest.approx([values["1", "total"], (values["1", "total"] + values["2", "total"]) / 2])


def test_small_helpers(data, tmp_path):
    paper, small = (
        state_of(train(RIVALS, data, tmp_path / f"{size}.safetensors", budget="1", size=size, workers=0).weights) for size in SIZES
    )
    assert paper["networks.judge.weight"].shape[-1] == 3 and small["networks.judge.weight"].shape[-1] == 5


def test_a_full_disk_leaves_the_state_before(data, tmp_path, monkeypatch):
    out = tmp_path / "w.safetensors"
    train(TINY, data, out, budget="8", seed=3, workers=0)
    before = (out.with_suffix(".training") / "state.safetensors").read_bytes()

    def full(part, path):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(disk, "finish", full)
    network = torch.nn.ModuleDict({"network": Network()})
    told = r"full \(No space left on device\); make room and repeat the command with --resume, the state saved last is kept$"
    with pytest.raises(DataSetError, match=told), checkpoint.resumable():
        checkpoint.write(out.with_suffix(".training") / "state.safetensors", network, [], {})
    assert (out.with_suffix(".training") / "state.safetensors").read_bytes() == before
    assert not list(out.with_suffix(".training").glob(".*.part"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--budget", "soon"], "expected a number of steps"),
        (["--option", "width=2"], "training tiny takes no options, but --option width=2 was given"),
        (["--stage", "thrid"], "unknown stage 'thrid'"),
        (["--stage", "second"], "goes on from weights of stage 'first'"),
        (["--precision", "half"], "--precision is 'half'"),
        (["--start", "nope.safetensors"], "--start nope.safetensors does not exist, expected a weights file"),
        (["--devices", "2", "--device", "cuda:1"], "cuda:1"),
        (["--devices", "3"], "stage 'first' has a batch of 4, which 3 devices cannot share evenly; expected one of 1, 2, 4, by --devices"),
        (["--devices", "2", "--workers", "9999"], "--workers are 19998 on this machine of "),
        (["--devices", "2", "--start", "other.safetensors"], "other.safetensors is not a checkpoint of Network: unknown key 'width'"),
        (["--recipe", "nope.toml"], "nope.toml does not exist, expected a training recipe: its name, or a path to its TOML file (.toml)"),
        (["--recipe", "zhong2022"], "zhong2022.toml: stages are decomposer, expected first, second"),
        (["--recipe", "widht.toml"], "widht.toml: network is {'widht': 2}, but tiny got an unexpected keyword argument 'widht'; expected"),
        (["--nodes", "2"], "--nodes is 2, but this is no job of Slurm, LSF or torchrun; start the command by one of them on each machine"),
        (["--out", "w.txt"], "--out is w.txt, expected the name of a file that ends in .safetensors"),
        (["--out", "there.safetensors"], "--out is there.safetensors, expected the name of a file that ends in .safetensors"),
        (["--out", "w.txt/w.safetensors"], "w.txt/w.training cannot be written: Not a directory; give another place"),
    ],
)
def test_mistakes_are_one_line(data, tmp_path, monkeypatch, capsys, words, told):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.txt").touch()
    (tmp_path / "there.safetensors").mkdir()
    (tmp_path / "other.safetensors").write_bytes(weights.packed({**Network().state_dict(), "width": torch.ones(1)}, {}))
    (tmp_path / "widht.toml").write_text("network.widht = 2\n" + (HERE / "tiny.toml").read_text())
    monkeypatch.setattr(Turns, "step", lambda *_: pytest.fail("it was told after the training had begun"))
    out = tmp_path / "w.safetensors"
    place = [] if "--out" in words else ["--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["blurbench", "train", "--method", TINY, "--dataset", str(data), *place, *words])
    with pytest.raises(SystemExit, match="2"):
        main()
    error = capsys.readouterr().err.strip().splitlines()
    assert error[-1].startswith("error: ") and told in error[-1] and len(error) <= 2
    assert not out.exists() and not out.with_suffix(".training").exists()


def test_nodes_in_a_job_of_torchrun(monkeypatch):
    from lightning_fabric import Fabric

    for name in ("RANK", "GROUP_RANK", "LOCAL_RANK"):
        monkeypatch.setenv(name, "0")
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "TORCHELASTIC_RUN_ID"):
        monkeypatch.setenv(name, "2")
    monkeypatch.setattr(Fabric, "launch", lambda self: None)
    assert launch("cpu", 1, 2, "float32", 1).world_size == 2


def test_crops_larger_than_the_pictures_are_told_before_anything_is_begun(data, tmp_path):
    told = r"stage 'centre' learns from crops of 160, but the pictures of .*genblur are 160x96; make it with larger ones"
    with pytest.raises(DataSetError, match=told):
        train("jin2018", data, tmp_path / "w.safetensors", budget="1")
    assert not list(tmp_path.iterdir())


def test_a_resume_after_the_code_changed_is_told(data, tmp_path):
    mine, out = tmp_path / "mine.py", tmp_path / "w.safetensors"
    text = "from tests.train.tiny import Tiny\n\n\nclass Mine(Tiny):\n    card = Tiny.card\n"
    told = []
    for code in (text, f"{text}    # changed\n", f"{text}    # changed\n", text):
        mine.write_text(code)
        said = []
        train(f"{mine}:Mine", data, out, stage="first", budget="2", resume=True, workers=0, note=said.append)
        told.append([line for line in said if line.startswith("the code")])
    assert told[0] == told[3] == [] and told[1] == told[2] and len(told[1]) == 1
    assert told[1][0].startswith(f"the code of tiny is not that which began {tmp_path}/w.training (SHA-256 ")
    assert told[1][0].endswith("train into another --out for weights of the new code alone")


def test_nothing_to_resume_is_told(data, tmp_path):
    said = []
    for _ in range(2):
        train(TINY, data, tmp_path / "w.safetensors", budget="2", resume=True, workers=0, note=said.append)
    assert [line for line in said if "resume" in line or "anew" in line] == [
        f"{tmp_path / 'w.training'} holds no training run to go on with: this one begins anew"
    ]


def test_no_training_split(tmp_path):
    from blurbench.synth.pipeline import make_dataset

    make_dataset("genblur", out=tmp_path, clips={"train": 0, "test": 1}, size=(64, 96))
    with pytest.raises(DataSetError, match="has no training split \\(its splits: test\\)"):
        train(TINY, tmp_path, tmp_path / "w.safetensors")
