"""Frames added up where an interpolator made them: the same bits as on the processor. On a GPU too, where there is one."""

from functools import partial

import numpy as np
import pytest
import torch

from blurbench.synth import expose
from blurbench.synth import recipe as recipes
from blurbench.synth.accumulate import Shutter
from blurbench.synth.on_device import DeviceShutter
from blurbench.video import interpolate, transfer
from tests.synth.recipe_head import HEAD
from tests.synth.test_expose import Frames, noise, panned

# `cpu` alone is never asked for tensors; with a number it is a device as any other.
DEVICES = [
    "cpu:0",
    pytest.param("cuda:0", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use")),
]
CURVES = {
    **{name: transfer.parse(name) for name in ("pixel", "gamma(2.2)", "srgb")},
    "response": transfer.Response("response", tuple((x**2.2, x**2, x**1.8) for x in np.linspace(0, 1, 256).tolist())),
}
WINDOWS = '[window]\nlength = 11\nstride = 6\ntargets = "all"\n[interpolation]\nmethod = "flow"\nfactor = 4\n'


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("rounding", ["half-up", "truncate"])
@pytest.mark.parametrize("name", CURVES)
def test_the_same_bits(name, rounding, device):
    frames = noise(37, size=(40, 56))
    results = []
    for shutter in (Shutter(CURVES[name], rounding), DeviceShutter(CURVES[name], rounding, device)):
        exposure = shutter.exposure()
        for frame in frames:
            exposure.add(shutter.light(frame))
        results.append(exposure.result())
    np.testing.assert_array_equal(*results)


class FlowOnDevice:
    """The interpolation by flow, with its frames on a device."""

    chunk = 3

    def __init__(self, device):
        self.device = torch.device(device)
        self.flow = interpolate.load("flow")

    def facts(self):
        return self.flow.facts()

    def between(self, a, b, times):
        raise AssertionError("frames on a device are not asked for as arrays")

    def codes(self, a, b, times):
        planes = [picture.transpose(2, 0, 1).astype(np.float32) / 255 for picture in (a, b)]
        made = torch.from_numpy(self.flow.between(*planes, times)).to(self.device)
        return (made * 255 + 0.5).to(torch.uint8).movedim(1, -1)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("curve", ["pixel", "gamma(2.2)"])
def test_samples_are_those_of_the_processor(tmp_path, device, curve):
    """Overlapping windows, targets that are inserted frames and such that are not."""
    path = tmp_path / "mine.toml"
    path.write_text(HEAD + f'transfer = "{curve}"\n' + WINDOWS)
    recipe = recipes.read(path)
    made = [
        list(expose.Samples(Frames(panned(8, 3)), recipe, interpolator, lambda: None))
        for interpolator in (interpolate.load("flow"), FlowOnDevice(device))
    ]
    assert len(made[0]) == len(made[1]) > 2
    for ours, theirs in zip(*made, strict=True):
        assert ours.keys() == theirs.keys()
        for name in ours:
            np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


def test_a_strangers_frames_come_as_arrays(tmp_path):
    """An interpolation method that works on a device and knows nothing of `codes`."""
    stranger = interpolate.load("flow")
    stranger.device = torch.device("cpu:0")
    assert not interpolate.on_device(stranger)
    path = tmp_path / "mine.toml"
    path.write_text(HEAD + WINDOWS)
    assert next(iter(expose.Samples(Frames(panned(8, 3)), recipes.read(path), stranger, lambda: None)))["blurry"].any()


def test_without_insertion_the_processor_adds(tmp_path, monkeypatch):
    """Nothing is made on the device, so nothing is sent there."""
    path = tmp_path / "mine.toml"
    path.write_text(HEAD + "[window]\nlength = 3\n")
    samples = partial(expose.Samples, Frames(noise(6)), recipes.read(path))
    monkeypatch.setattr("blurbench.synth.on_device.DeviceShutter.__init__", lambda *_: pytest.fail("sent to the device"))
    assert len(list(samples(FlowOnDevice("cpu:0"), lambda: None))) == 2
