"""What the tests of `blurbench animate` share: toy methods, an annotation, the command in this process."""

from pathlib import Path

import numpy as np
from click.testing import CliRunner

from blurbench.cli import blurbench
from blurbench.methods import load_method
from blurbench.metrics.select import quantise
from blurbench.run.predict import photograph
from blurbench.running import predict
from blurbench.types import Sample

TOYS = """
import numpy as np
from blurbench.methods import Capabilities, Method, MethodCard

def card(name):
    return MethodCard(id=name, title="t", paper="p", licence="l")

class Draws(Method):
    card, capabilities = card("draws"), Capabilities(frames=3, stochastic=True)
    def predict(self, blurry, request):
        return request.rng.random((request.samples, 3, *blurry.shape), np.float32)

class Looks(Method):
    card, capabilities = card("looks"), Capabilities(frames=4, before=1, after=2)
    def predict(self, blurry, request):
        return np.stack([*request.before, blurry, *request.after])[None]

class Guided(Method):
    card, capabilities = card("guided"), Capabilities(frames=1, needs=frozenset({"guidance"}))
    def predict(self, blurry, request):
        field = (request.guidance.astype(np.float32) + 1) / 2
        return np.concatenate([field, blurry[..., :1]], axis=-1)[None, None]

class Shifts(Method):
    card, capabilities = card("shifts"), Capabilities()
    variants = {"guidance": "zhong2022-annotated"}
    def predict(self, blurry, request):
        return np.stack([np.roll(blurry, k, axis=1) for k in range(len(request.times))])[None]
"""


def run(*arguments):
    """The command in this process; returns what it said. Raises what it raised."""
    done = CliRunner().invoke(blurbench, ["animate", *map(str, arguments)], catch_exceptions=False, standalone_mode=False)
    return done.stderr


def expected(method, sample, samples=1, seed=0, weights=None):
    """What is to be shown, (N, T, H, W, 3) uint8."""
    return quantise(predict(load_method(method, weights), sample, samples, seed).frames, "round")


def psnr(one, other):
    return -10 * np.log10(((one / 255.0 - other / 255.0) ** 2).mean() + 1e-12)


def annotation(height=24, width=30, label="II"):
    """A box of one direction in the middle, as labelme saves it."""
    points = [[width // 3, 4], [2 * width // 3, 4], [2 * width // 3, height - 4], [width // 3, height - 4]]
    shapes = [{"label": label, "points": points, "shape_type": "polygon"}]
    return {"imageHeight": height, "imageWidth": width, "shapes": shapes}


def annotated(path=Path("a.png"), frames=1):
    """The photograph with the guidance of `annotation`, by hand."""
    sample = photograph(path, frames)
    field = np.zeros((24, 30, 2), np.int8)
    field[4:20, 10:20] = -1, -1
    return Sample(**{**vars(sample), "extras": {"guidance": field}})
