"""How training stops, by Ctrl-C, a loss that is no number or an empty column: what is kept is always the state of a step."""

import itertools
import multiprocessing
import os
import re
import signal
import threading

import numpy as np
import pytest
import torch

from blurbench import weights
from blurbench.errors import RecipeError
from blurbench.train import checkpoint, trainer, turns, validate
from blurbench.train.turns import Diverged
from tests.train.test_runs import TINY, base, same, start, state_of, without_seconds
from tests.train.tiny import HERE

pytestmark = pytest.mark.usefixtures("one_thread")

RIVALS, AROUND, EXPLODING, POOLED = (f"{HERE / 'tiny.py'}:{name}" for name in ("Rivals", "Around", "Exploding", "Pooled"))


@pytest.fixture(autouse=True)
def ctrl_c(monkeypatch):
    """As in a terminal, for what is started in the background does not hear it; and validations of four crops."""
    monkeypatch.setattr(validate, "CROPS", 4)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def data(made):
    return made / "data/genblur"


def train(method, data, out, **options):
    return trainer.train(method, data, out, **{"budget": "12", "workers": 0, **options})


def interrupt(times=1):
    for _ in range(times):
        signal.raise_signal(signal.SIGINT)


def disturb(monkeypatch, what, player=1, number=5, learning=True):
    """`what` is done to the terms of a player's so-manieth loss, of steps or of validations."""
    count, forward = itertools.count(1), turns.Losses.forward

    def disturbed(self, batch, acting):
        terms = forward(self, batch, acting)
        if acting == player and torch.is_grad_enabled() == learning and next(count) == number:
            return what(terms) or terms
        return terms

    monkeypatch.setattr(turns.Losses, "forward", disturbed)


def card_of(out):
    return {**weights.card(out.with_suffix(".training") / "state.safetensors"), "seconds": 0}


@pytest.fixture(scope="module")
def undisturbed(one_thread, data, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "whole.safetensors"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validate, "CROPS", 4)
        return train(RIVALS, data, out).weights


def resumes_as(undisturbed, data, out):
    """Gone on with, it is as if nothing had been."""
    train(RIVALS, data, out, resume=True)
    assert same(state_of(out), state_of(undisturbed)) and card_of(out) == card_of(undisturbed)
    assert same(weights.read(out), weights.read(undisturbed)) and without_seconds(out) == without_seconds(undisturbed)


def test_ctrl_c_in_a_turn_stops_after_the_step(data, undisturbed, tmp_path):
    out = tmp_path / "w.safetensors"
    with pytest.MonkeyPatch.context() as patch:
        disturb(patch, lambda terms: interrupt())
        assert train(RIVALS, data, out).steps == 5
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    state = state_of(out)
    # The judge acts in every second step.
    assert card_of(out)["step"] == 5 and (float(state["optimisers.0.0.step"]), float(state["optimisers.1.0.step"])) == (3, 5)
    resumes_as(undisturbed, data, out)


def test_a_second_ctrl_c_leaves_the_state_that_was_saved(data, undisturbed, tmp_path):
    out = tmp_path / "w.safetensors"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        disturb(patch, lambda terms: interrupt(2))
        train(RIVALS, data, out, save_seconds=0)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler and not out.exists()
    state = state_of(out)
    assert card_of(out)["step"] == 4 and (float(state["optimisers.0.0.step"]), float(state["optimisers.1.0.step"])) == (2, 4)
    resumes_as(undisturbed, data, out)


def test_ctrl_c_in_a_validation_stops_after_it(data, undisturbed, tmp_path):
    out = tmp_path / "w.safetensors"
    with pytest.MonkeyPatch.context() as patch:
        disturb(patch, lambda terms: interrupt(), number=1, learning=False)
        assert train(RIVALS, data, out).steps == 6
    assert (card_of(out)["owed"], card_of(out)["best"]) == (
        None,
        weights.card(out.with_suffix(".training") / "best.safetensors")["validation"],
    )
    resumes_as(undisturbed, data, out)


def test_a_validation_that_was_cut_short_is_made_up(data, undisturbed, tmp_path):
    out = tmp_path / "w.safetensors"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        disturb(patch, lambda terms: interrupt(2), number=1, learning=False)
        train(RIVALS, data, out)
    assert (card_of(out)["step"], card_of(out)["owed"], card_of(out)["best"]) == (6, 1e-3, None)
    resumes_as(undisturbed, data, out)


def test_a_validation_that_was_noted_but_not_saved_is_noted_once(data, undisturbed, tmp_path, monkeypatch):
    out, saves, write = tmp_path / "w.safetensors", itertools.count(1), checkpoint.write

    def perishing(*arguments):
        if next(saves) == 2:
            raise KeyboardInterrupt
        write(*arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(checkpoint, "write", perishing)
        train(RIVALS, data, out)
    assert without_seconds(out)[-1][1:4:2] == ["6", "validation"] and card_of(out)["owed"] == 1e-3
    resumes_as(undisturbed, data, out)


def test_neighbours_reach_the_loss_and_a_stop_between_changes_nothing(data, tmp_path):
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    train(AROUND, data, whole, budget="9")
    train(AROUND, data, parts, budget="9", progress=lambda spent, step, loss, crops: interrupt(step == 5))
    assert weights.card(parts)["steps"] == "5"
    told = []
    train(AROUND, data, parts, budget="9", resume=True, progress=lambda spent, step, loss, crops: told.append(loss))
    assert len(told) == 4 and np.isfinite(told).all()
    assert same(state_of(whole), state_of(parts))


def test_one_device_that_hears_ctrl_c_stops_all(data, tmp_path):
    out = tmp_path / "w.safetensors"
    process = start(data, out, "--devices", "2", "--stage", "second", "--start", base(tmp_path), steps=400, interrupts=3)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 130, told.decode()
    assert "stopped before the end: the same command with --resume goes on" in told.decode()
    assert card_of(out)["step"] == 3 and float(state_of(out)["optimisers.0.0.step"]) == 3 and weights.card(out)["steps"] == "3"


def test_processes_that_read_crops_outlive_ctrl_c(data, tmp_path):
    """A terminal sends it to all processes; here they alone get it, and have to go on."""

    def stop(spent, step, loss, crops):
        if step == 2:
            children = multiprocessing.active_children()
            assert children
            for child in children:
                os.kill(child.pid, signal.SIGINT)

    assert train(AROUND, data, tmp_path / "w.safetensors", workers=1, progress=stop).steps == 12


def test_another_thread_and_another_handler_are_left_alone(data, tmp_path):
    seen = []

    def look(spent, step, loss, crops):
        seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=train, args=(AROUND, data, tmp_path / "a.safetensors"), kwargs={"budget": "1", "progress": look})
    thread.start()
    thread.join()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    train(AROUND, data, tmp_path / "b.safetensors", budget="1", progress=look)
    assert seen == [signal.default_int_handler, signal.SIG_IGN] and signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    assert (tmp_path / "a.safetensors").is_file()


def not_a_number(terms):
    return {name: term * float("nan") for name, term in terms.items()}


def rough(terms):
    """The gradient of a root is infinite at 0."""
    return {name: term + (0 * term).sqrt() for name, term in terms.items()}


@pytest.mark.parametrize(("what", "told"), [(not_a_number, "the loss is nan"), (rough, "the norm of the gradient is nan")])
def test_nan_of_a_later_player_leaves_the_state_that_was_saved(data, undisturbed, tmp_path, what, told):
    out = tmp_path / "w.safetensors"
    told = (
        f"{told} at step 5 of stage 'rivals', expected a finite number; {out.with_suffix('.training')}/state.safetensors stays as of step 4"
    )
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Diverged, match=re.escape(told)):
        disturb(patch, what)
        train(RIVALS, data, out, save_seconds=0)
    state = state_of(out)
    assert card_of(out)["step"] == 4 and (float(state["optimisers.0.0.step"]), float(state["optimisers.1.0.step"])) == (2, 4)
    assert not out.exists()
    resumes_as(undisturbed, data, out)


def test_nan_before_anything_was_saved(data, tmp_path):
    out = tmp_path / "w.safetensors"
    told = (
        "the loss is nan at step 2 of stage 'only', expected a finite number; nothing was saved before; train again into another --out, "
        f"with a lower learning_rate in a copy of {HERE / 'exploding.toml'} given by --recipe"
    )
    with pytest.raises(Diverged, match=f"^{re.escape(told)}$"):
        train(EXPLODING, data, out)
    assert not (out.with_suffix(".training") / "state.safetensors").exists()


def test_nan_after_a_validation_leaves_the_best_weights(data, tmp_path):
    out = tmp_path / "w.safetensors"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Diverged) as error:
        disturb(patch, not_a_number, number=9)
        train(RIVALS, data, out, half=False, precision="bfloat16")
    assert f"; {out} holds the best weights before, {out.with_suffix('.training')}/state.safetensors stays as of step 6" in str(error.value)
    assert str(error.value).endswith("rivals.toml given by --recipe or with --precision float32")
    assert same(weights.read(out), weights.read(out.with_suffix(".training") / "best.safetensors"))
    assert (weights.card(out)["steps"], weights.card(out)["stage"]) == ("8", "rivals")


def test_nan_before_the_first_validation_of_a_later_stage(data, tmp_path):
    out = tmp_path / "w.safetensors"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Diverged) as error:
        disturb(patch, not_a_number, player=0, number=10)
        train(TINY, data, out)
    folder = out.with_suffix(".training")
    told = f"step 1 of stage 'second', expected a finite number; {folder}/first.safetensors holds the best of the stage before, {folder}/"
    assert told in str(error.value) and weights.card(folder / "first.safetensors")["steps"] == "9" and not out.exists()


def test_a_state_that_is_not_finite_is_not_written(tmp_path):
    network = torch.nn.ModuleDict({"judge": torch.nn.BatchNorm2d(3)})
    network["judge"].running_var.fill_(float("inf"))
    with pytest.raises(
        Diverged, match=r"^networks\.judge\.running_var is not finite after step 3 of stage 'only', expected finite numbers$"
    ):
        checkpoint.write(tmp_path / "state.safetensors", network, [], {"step": 3, "stage": "only"})
    assert not list(tmp_path.iterdir())


def test_an_empty_column_is_told_at_the_first_validation(data, tmp_path):
    out, steps = tmp_path / "w.safetensors", []
    told = r"pooled\.toml: stage 'only' is validated by blurbench-1 psnr-pooled, which is empty for .*Pooled on all .*\(.*: psnr-centre\)$"
    for resume in (False, True):
        with pytest.raises(RecipeError, match=told):
            train(POOLED, data, out, resume=resume, progress=lambda spent, step, loss, crops: steps.append(step))
    # The sixth, behind which the first of two validations is, is not told any more.
    assert steps == [1, 2, 3, 4, 5]
