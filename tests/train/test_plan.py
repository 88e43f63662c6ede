"""What a training is asked for is checked before it begins, and stages do not hand on what is not theirs."""

import re

import pytest
import torch

from blurbench import weights
from blurbench.baselines import _zhang2020_features
from blurbench.errors import BlurbenchError, BrokenPluginError, DataSetError, RecipeError, WeightsError
from blurbench.methods import method_class
from blurbench.store.reader import open_dataset
from blurbench.synth.pipeline import make_dataset
from blurbench.train import recipe
from blurbench.train.feed import split_videos
from blurbench.train.plan import planned
from blurbench.train.recipe import Schedule, Stage, alone
from blurbench.train.trainer import launch, train
from blurbench.train.turns import Turns
from tests.train.shrunk import shrunk
from tests.train.test_runs import RIVALS, TINY, state_of
from tests.train.tiny import HERE, Network, Rivals, Tiny

pytestmark = pytest.mark.usefixtures("one_thread")

TWICE = f"{HERE / 'tiny.py'}:Twice"


@pytest.fixture(scope="module")
def data(made):
    return made / "data/genblur"


@pytest.fixture(scope="module")
def one_target(tmp_path_factory):
    """Two training videos whose samples have the middle frame alone."""
    folder = tmp_path_factory.mktemp("one-target")
    make_dataset("genblur", out=folder, clips={"train": 2, "test": 0}, size=(64, 96), changes=("window.targets=centre",))
    return folder


@pytest.mark.parametrize(
    ("method", "stage", "expected"),
    [("purohit2019", "autoencoder", "2, 3, 4, …"), ("shen2020", "video", "3, 5, 7, …"), ("zhang2020", "content", "7")],
)
def test_too_few_targets(one_target, tmp_path, monkeypatch, method, stage, expected):
    shrunk(method_class(method), tmp_path, monkeypatch, crop=32)
    told = rf"^stage '{stage}' of {method} learns from {expected} target frames, a sample of {one_target} has 1; give a data set"
    with pytest.raises(DataSetError, match=told):
        train(method, one_target, tmp_path / "w.safetensors", budget="9")


def test_one_target_is_enough_for_a_stage_of_one(one_target, tmp_path, monkeypatch):
    shrunk(method_class("purohit2019"), tmp_path, monkeypatch, crop=32, batch=1)
    out = tmp_path / "w.safetensors"
    assert train("purohit2019", one_target, out, stage="deblur", budget="1", size="small", workers=0).steps == 1


@pytest.mark.parametrize(("method", "multiple"), [("jin2018", 20), ("nah2017", 4), ("zhang2019", 8)])
def test_crops_that_the_network_cannot_take(data, tmp_path, monkeypatch, method, multiple):
    shrunk(method_class(method), tmp_path, monkeypatch, crop=90)
    with pytest.raises(RecipeError, match=rf"crop is 90, expected a multiple of {multiple}, as {method} takes$"):
        train(method, data, tmp_path / "w.safetensors", budget="1")


@pytest.mark.parametrize("size", ["paper", "small"])
def test_crops_of_every_recipe_fit(size):
    for name in ("jin2018", "nah2017", "zhang2019-1248", "zhang2021", "tao2018", "zhong2022", "purohit2019", "noroozi2017", "shen2020"):
        cls = method_class(name)
        crops = [stage.crop for stage in recipe.find(cls.training, size).stages.values()]
        assert [crop % cls.capabilities.multiple for crop in crops] == [0] * len(crops), name


@pytest.mark.parametrize(
    ("method", "told"),
    [
        (
            "zhang2021-reblur",
            "zhang2021-reblur has nothing to train of its own; its weights are those of zhang2021: give --method zhang2021",
        ),
        ("zhang2020-iterated", "zhang2020-iterated has nothing to train of its own; its weights are those of zhang2020: give"),
        ("zhong2022-video", "its weights are those of zhong2022-annotated: give --method zhong2022-annotated"),
        ("zhang2020-bg", "`blurbench train --method zhang2020-bgh` makes them, stage by stage"),
        ("oracle", "oracle has nothing to train of its own (weights: none needed); expected a method with `training`"),
    ],
)
def test_methods_that_are_not_trained(data, tmp_path, method, told):
    with pytest.raises(RecipeError, match=re.escape(told)):
        train(method, data, tmp_path / "w.safetensors")


def test_a_start_with_another_constant(data, tmp_path):
    network = Network()
    with torch.no_grad():
        network.share.fill_(0.5)
    (tmp_path / "other.safetensors").write_bytes(weights.packed(network.state_dict(), {}))
    told = r"other\.safetensors is not of tiny: 'share' is 0\.5, expected 1\.0; give weights of this method$"
    with pytest.raises(WeightsError, match=told):
        train(TINY, data, tmp_path / "w.safetensors", start=tmp_path / "other.safetensors", budget="1", workers=0)


def test_a_start_of_a_folder(data, tmp_path):
    told = rf"^--start {tmp_path} is a folder, expected a weights file; `blurbench convert-weights tiny {tmp_path}` makes one"
    with pytest.raises(WeightsError, match=told):
        train(TINY, data, tmp_path / "w.safetensors", start=tmp_path)


@pytest.mark.parametrize("before", [{}, {"constraint": "bi-linear"}])
def test_a_start_with_other_options_is_told(data, tmp_path, monkeypatch, before):
    cls, said = method_class("zhang2021"), []
    shrunk(cls, tmp_path, monkeypatch, crop=32, batch=1)
    network = cls.training.network(**recipe.find(cls.training, "small").network)
    start = tmp_path / "start.safetensors"
    start.write_bytes(weights.packed(cls.training.state(network), {"method": "zhang2021", "options": before}))
    options = {"constraint": "bi-linear"}
    train(
        "zhang2021", data, tmp_path / "w.safetensors", start=start, options=options, size="small", budget="2", workers=0, note=said.append
    )
    told = [line for line in said if line.startswith("--start")]
    expected = f"--start {start} was trained with no options, this training has constraint=bi-linear"
    assert told == ([] if before else [expected])


def test_networks_of_others_are_asked_for_before_the_first_step_and_together(data, tmp_path, monkeypatch):
    def absent(name):
        raise BrokenPluginError("no ptlflow")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(_zhang2020_features, "load_flow", absent)
    shrunk(method_class("zhang2020-bgh"), tmp_path, monkeypatch, crop=32)
    told = rf"vgg19-dcbb9e9d\.pth is not in {tmp_path}/hub/checkpoints \(put it there: .*pth\); PWC-Net needs ptlflow \(pip .*vgg19 = 0"
    with pytest.raises(WeightsError, match=told):
        train("zhang2020-bgh", data, tmp_path / "w.safetensors", budget="3")
    assert not (tmp_path / "w.training").exists()


def test_data_of_another_kind_are_told(data, tmp_path, monkeypatch):
    for name in ("noroozi2017", "noroozi2017-si"):
        shrunk(method_class(name), tmp_path, monkeypatch, crop=32)
    told = {name: planned(name, data, None, None, 0, "float32", "paper", None, {}).remarks() for name in ("noroozi2017", "noroozi2017-si")}
    expected = f"{data}: noroozi2017-si is to learn from pictures of one kernel each, as the recipe synthetic-uniform makes them; these"
    assert told["noroozi2017"] == [] and [remark.startswith(expected) for remark in told["noroozi2017-si"]] == [True]
    assert method_class("noroozi2017-si").training.doubt({"kernels": {"variant": "uniform"}}) == ""


def test_a_helper_begins_anew_with_each_stage(data, tmp_path):
    """As if the second stage had been trained by itself, from the weights that the first one left."""
    both = train(TWICE, data, tmp_path / "both.safetensors", budget="4", workers=0, half=False, seed=5).weights
    first = train(TWICE, data, tmp_path / "first.safetensors", budget="3", stage="first", workers=0, half=False, seed=5)
    (tmp_path / "last.safetensors").write_bytes(weights.packed(last(first.weights), {}))
    start = tmp_path / "last.safetensors"
    second = train(TWICE, data, tmp_path / "second.safetensors", budget="1", stage="second", start=start, workers=0, half=False, seed=5)
    states = [state_of(path) for path in (both, second.weights)]
    assert states[0].keys() == states[1].keys()
    for key, value in states[0].items():
        torch.testing.assert_close(value, states[1][key], rtol=0, atol=0, msg=key)


def last(out):
    """The network as it was after the last step; the weights file may hold a better one from before."""
    prefix = "networks.network."
    return {key.removeprefix(prefix): value for key, value in state_of(out).items() if key.startswith(prefix)}


def test_resume_names_what_the_user_gave_before_what_follows_from_it(data, tmp_path):
    (tmp_path / "start.safetensors").write_bytes(weights.packed(Network().state_dict(), {}))
    out, start = tmp_path / "w.safetensors", tmp_path / "start.safetensors"
    train(TINY, data, out, stage="second", start=start, budget="2", workers=0)
    told = r"was started with stages = 'second', now it is 'first, second'; .*: give --stage as then, or train into another --out$"
    with pytest.raises(RecipeError, match=told):
        train(TINY, data, out, budget="2", resume=True)
    start.write_bytes(weights.packed({**Network().state_dict(), "leave.bias": torch.ones(3)}, {}))
    with pytest.raises(RecipeError, match=r"with start = '.{64}', now it is '.{64}'; .*: give --start as then \(the values"):
        train(TINY, data, out, stage="second", start=start, budget="2", resume=True)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            'protocol = "blurbench-1"',
            'protocol = "blurbenth-1"',
            r"stage 'first': unknown protocol 'blurbenth-1'; did you mean 'blurbench-1'",
        ),
        ('"psnr-centre"', '"psnr-center"', r"stage 'first': unknown column 'psnr-center' in protocol .*; did you mean 'psnr-centre'\?"),
        (
            "network.leave",
            "network.leaf",
            r"stage 'second', rates: no parameter is named network\.leaf…, .* such as network\.share; did you mean 'network\.leave'\?$",
        ),
    ],
)
def test_names_in_a_recipe_are_checked_before_anything_is_written(data, tmp_path, old, new, told):
    own, out = tmp_path / "own.toml", tmp_path / "w.safetensors"
    own.write_text((HERE / "tiny.toml").read_text().replace(old, new))
    with pytest.raises(RecipeError, match=rf"^{own}: {told}"):
        train(TINY, data, out, recipe=own, budget="2", workers=0)
    assert list(tmp_path.iterdir()) == [own]


def test_rates_of_a_helper(data, tmp_path):
    own = tmp_path / "own.toml"
    text = (HERE / "rivals.toml").read_text()
    own.write_text(f"{text}\nrates = {{ 'judge.weight' = 1e-4 }}\n")
    assert train(RIVALS, data, tmp_path / "w.safetensors", recipe=own, budget="1", workers=0).steps == 1
    own.write_text(f"{text}\nrates = {{ 'judge.wait' = 1e-4 }}\n")
    with pytest.raises(RecipeError, match=r"stage 'rivals', rates: no parameter is named judge\.wait….*; did you mean 'judge\.weight'\?$"):
        train(RIVALS, data, tmp_path / "v.safetensors", recipe=own, budget="1", workers=0)


@pytest.mark.parametrize("by_loss", [True, False])
def test_a_network_that_load_does_not_build_is_refused_before_the_first_step(data, tmp_path, by_loss):
    own, out = tmp_path / "own.toml", tmp_path / "w.safetensors"
    validation = "" if by_loss else 'protocol = "blurbench-1"\nscore = "psnr-centre"\n'
    own.write_text(f"network = {{ width = 6 }}\n{(HERE / 'exploding.toml').read_text()}\n{validation}")
    told = (
        rf"^{own}: load of tiny does not take the network made by \[network\] \{{'width': 6\}} \(tiny\.safetensors is not a checkpoint of "
    )
    with pytest.raises(
        RecipeError, match=rf"{told}Network: 'enter\.weight' has .*\); build it there by `weights\.card\(path\)\[\"network\"\]`"
    ):
        train(f"{HERE / 'tiny.py'}:Stubborn", data, out, recipe=own, budget="2", workers=0)
    assert list(tmp_path.iterdir()) == [own]
    assert train(f"{HERE / 'tiny.py'}:Told", data, out, recipe=own, budget="2", workers=0).steps == 2
    with pytest.raises(KeyError) as error:
        train(f"{HERE / 'tiny.py'}:Told", data, tmp_path / "v.safetensors", budget="2", workers=0)
    assert error.value.__notes__ == ["load of tiny raised this on weights that its training would leave"]


def test_rates_of_nothing():
    networks, stage = torch.nn.ModuleDict({"network": Network()}), Tiny.training.stages["second"]
    schedule = Schedule("second", 1, 1, 8, 1e-3, rates={"network.leaf": 1e-4})
    with pytest.raises(RecipeError, match=r"no parameter is named network\.leaf…, expected the beginning of a name such as network\.share"):
        Turns(launch("cpu", 1, 1, "float32", 1), networks, stage, schedule)


@pytest.mark.parametrize(("clip", "least", "most"), [(0.0, 1.0, float("inf")), (0.01, 0.0099, 0.0101)])
def test_gradients_are_clipped(clip, least, most):
    networks = torch.nn.ModuleDict({"network": Network()})
    turns = Turns(launch("cpu", 1, 1, "float32", 1), networks, Stage(alone(far)), Schedule("s", 1, 1, 8, 1e-3, clip=clip))
    turns.step({"blurry": torch.rand(1, 3, 8, 8)}, 0)
    norm = torch.stack([value.grad.norm() for value in networks.parameters() if value.grad is not None]).norm()
    assert least <= norm <= most


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (torch.tensor(1.0), r"a tensor of shape \(\)"),
        (0.5, "a float"),
        (None, "a NoneType"),
        ({}, r"\{\}"),
        ({"far": torch.zeros(2)}, r"\{'far': a tensor of shape \(2,\)\}"),
        ({"near": torch.tensor(1.0), "far": 2.0}, r"\{'near': a tensor of shape \(\), 'far': a float\}"),
    ],
)
def test_a_loss_that_returns_no_named_scalars(returned, words):
    def mine(networks, batch, settings):
        return returned

    turns = Turns(
        launch("cpu", 1, 1, "float32", 1), torch.nn.ModuleDict({"network": Network()}), Stage(alone(mine)), Schedule("s", 1, 1, 8, 1)
    )
    told = rf"^the loss 'mine' of stage 's' returned {words}, expected a dictionary of named scalar tensors; end it with `return "
    with pytest.raises(RecipeError, match=told):
        turns.step({"blurry": torch.rand(1, 3, 8, 8)}, 0)


def far(networks, batch, settings):
    return {"far": (networks["network"](batch["blurry"]) - 100).square().mean()}


def test_what_learns_is_in_training_mode_and_nothing_else():
    networks = torch.nn.ModuleDict({"network": Network(), "judge": torch.nn.Conv2d(3, 1, 3), "idle": torch.nn.BatchNorm2d(3)})
    Turns(launch("cpu", 1, 1, "float32", 2), networks, Rivals.training.stages["rivals"], Schedule("rivals", 1, 1, 8, 1e-3))
    assert {name: network.training for name, network in networks.items()} == {"network": True, "judge": True, "idle": False}


def test_a_seed_of_any_size(data, tmp_path):
    assert train(TINY, data, tmp_path / "w.safetensors", seed=20261122131415, budget="1", stage="first", workers=0).steps == 1


def test_a_number_of_a_cpu(data, tmp_path):
    with pytest.raises(BlurbenchError, match=r"^--device is cpu:0, but a CPU has no number; use --device cpu$"):
        train(TINY, data, tmp_path / "w.safetensors", device="cpu:0", budget="1")


def test_nobody_learns_from_what_validates(data):
    learnt, held = split_videos(open_dataset(data))
    assert learnt and held and not set(learnt) & set(held)


@pytest.mark.parametrize(
    ("shape", "devices", "nodes"),
    [({"NTASKS": "4"}, 1, 1), ({"NTASKS": "1", "NTASKS_PER_NODE": "1"}, 2, 1), ({"NTASKS": "1", "NTASKS_PER_NODE": "1"}, 1, 2)],
)
def test_a_job_of_slurm_of_another_shape(monkeypatch, shape, devices, nodes):
    """Lightning's errors name options that are not ours."""
    job = {"JOB_NAME": "train", "JOB_ID": "1", "NNODES": "1", "NODEID": "0", "PROCID": "0", "LOCALID": "0", "NODELIST": "localhost"}
    for name, value in (job | shape).items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    told = rf"^--devices {devices} --nodes {nodes} does not fit this job of Slurm \(.*\); ask Slurm for --nodes={nodes} --ntasks-per-node="
    with pytest.raises(RecipeError, match=told):
        launch("cpu", devices, nodes, "float32", 1)
