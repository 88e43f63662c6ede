"""Every re-implemented network: names and shapes of its official checkpoint, and the official values under the published rule."""

import importlib
import pkgutil

import pytest
import torch

from blurbench import baselines
from tests import parity
from tests.baselines.inputs import tensor
from tests.baselines.official import KEYS, NETS, agrees, fill, same_names_and_shapes

NETWORKS = {
    stem: build
    for module in pkgutil.iter_modules(baselines.__path__)
    for stem, build in getattr(importlib.import_module(f"blurbench.baselines.{module.name}"), "NETWORKS", {}).items()
}


@pytest.mark.parametrize("stem", KEYS)
def test_names_and_shapes_of_parameters(stem):
    with torch.device("meta"):
        network = NETWORKS[stem]()
    same_names_and_shapes(network, stem)


@pytest.mark.parametrize("net", NETS)
def test_official_values(net):
    found = parity.outputs(net, fill, tensor)
    assert found.keys() == NETS[net].keys()
    for name, expected in NETS[net].items():
        agrees(found[name], expected)


def nothing(module, *, skip, gain):
    """Another rule: all zero but the single numbers."""
    for parameter in module.parameters():
        if parameter.ndim:
            parameter.zero_()


def test_any_rule_and_picture():
    """Networks of zeros add nothing: frames are the blur, offsets are still; MSResNet gives the middle of its range."""
    for frame in parity.outputs("jin2018", nothing, tensor).values():
        torch.testing.assert_close(frame, tensor(40, 60), rtol=0, atol=0)
    for image in parity.outputs("nah2017", nothing, tensor).values():
        assert image.unique().tolist() == [127.5]
    still = parity.outputs("etr_offset_quad", nothing, tensor)
    assert not still["block_means"].any()
    torch.testing.assert_close(still["reblur(warp the same image)"], tensor(48, 64), rtol=0, atol=1e-6)


@pytest.mark.parametrize("net", ["etr_offset_lin", "nah2017", "bin2020", "jin2018"])
def test_the_rule_is_told_what_to_leave_out_and_what_to_strengthen(net):
    told = []
    parity.outputs(net, lambda module, skip, gain: told.append((skip, dict(gain))), tensor)
    expected = {"etr_offset_lin": ((".model.",), {"conv_out_0.": 60}), "nah2017": ((), {"": 0.25})}.get(net, ((), {}))
    assert told == [expected] * (4 if net == "jin2018" else 1)
