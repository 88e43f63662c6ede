"""Models of ptlflow as flow models: what they are given, what becomes of what they return, what is told when they are not there."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from blurbench.errors import BrokenPluginError, UnknownNameError, WeightsError
from blurbench.video.ptlflow_models import PtlFlow


class Toy(torch.nn.Module):
    """Returns as flow the blue of the first picture (x) and twice the red of the second (y); ptlflow's models take BGR."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor([1.0, 2.0]))

    def forward(self, inputs):
        images = inputs["images"]
        assert images.dtype == torch.float32 and images.shape[:3] == (1, 2, 3) and not self.training
        flow = torch.stack([images[:, 0, 0] * self.scale[0], images[:, 1, 2] * self.scale[1]], dim=1)
        return {"flows": flow[:, None]}


def get_model(name, ckpt_path):
    sys.stdout.write("a banner")
    if ckpt_path == "offline":
        raise OSError("<urlopen error no\nnetwork>")
    model = Toy()
    if ckpt_path == "things":
        model.scale.data[0] = 3
    return model


@pytest.fixture
def toy(monkeypatch):
    module = SimpleNamespace(__version__="0.4.2", get_model=get_model, get_model_names=lambda: ["raft", "toy"])
    monkeypatch.setitem(sys.modules, "ptlflow", module)


def test_pictures_are_given_as_bgr_and_flow_comes_back_as_xy(toy, capsys):
    a, b = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)
    flow = PtlFlow("ptlflow:toy").between(a, b)
    assert flow.dtype == np.float32 and flow.shape == (5, 7, 2) and flow.flags.c_contiguous
    assert flow[..., 0] == pytest.approx(a[..., 2] / 255, abs=1e-6)
    assert flow[..., 1] == pytest.approx(b[..., 0] / 127.5, abs=1e-6)
    assert capsys.readouterr().out == ""


def test_facts_name_model_checkpoint_and_weights(toy):
    facts = PtlFlow("ptlflow:toy").facts()
    assert (facts["model"], facts["checkpoint"], facts["ptlflow"]) == ("ptlflow:toy", "sintel", "0.4.2")
    assert len(facts["weights"]) == 64 and facts == PtlFlow("ptlflow:toy@sintel").facts()
    other = PtlFlow("ptlflow:toy@things").facts()
    assert other["checkpoint"] == "things" and other["weights"] != facts["weights"]


def test_what_cannot_be_had_is_told_in_one_line(toy):
    with pytest.raises(UnknownNameError, match="unknown ptlflow model 'rift'; did you mean 'raft'"):
        PtlFlow("ptlflow:rift")
    with pytest.raises(WeightsError, match=r"weights 'offline' of ptlflow:toy cannot be had \(<urlopen error no network>\)"):
        PtlFlow("ptlflow:toy@offline")


def test_ptlflow_absent(monkeypatch):
    monkeypatch.setitem(sys.modules, "ptlflow", None)
    with pytest.raises(BrokenPluginError, match=r"'ptlflow:raft' needs ptlflow, which .*; pip install 'ptlflow>=0\.4\.2'"):
        PtlFlow("ptlflow:raft")
