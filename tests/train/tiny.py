"""A method of one convolution with a recipe beside it, for tests of training: `tiny.py:Tiny`, and others that go wrong or have rivals."""

import itertools
import os
import signal
from pathlib import Path

import torch
from torch import nn

from blurbench import weights as files
from blurbench.methods import Capabilities, Method, MethodCard
from blurbench.train.losses import centre, squared
from blurbench.train.recipe import Player, Stage, Training, alone

HERE = Path(__file__).parent


class Network(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.enter, self.leave = nn.Conv2d(3, width, 3, padding=1), nn.Conv2d(width, 3, 3, padding=1)
        self.share = nn.Parameter(torch.tensor(1.0), requires_grad=False)

    def forward(self, x):
        return x + self.share * self.leave(torch.relu(self.enter(x)))


losses = itertools.count(1)


def perish():
    """In the midst of a step SIGKILL, at the `TINY_PERISHES`-th loss of this process; on the second device SIGINT, at `TINY_INTERRUPTS`."""
    number = next(losses)
    if number == int(os.environ.get("TINY_PERISHES", 0)):
        os.kill(os.getpid(), signal.SIGKILL)
    if number == int(os.environ.get("TINY_INTERRUPTS", 0)) and os.environ.get("LOCAL_RANK") == "1":
        signal.raise_signal(signal.SIGINT)


def first(networks, batch, settings):
    perish()
    noise = settings["noise"] * torch.randn_like(batch["blurry"])
    return {"squared": squared(networks["network"](batch["blurry"] + noise), centre(batch["sharp"]))}


def second(networks, batch, settings):
    perish()
    return {"absolute": (networks["network"](batch["blurry"]) - centre(batch["sharp"])).abs().mean()}


def judged(networks, batch, settings):
    with torch.no_grad():
        made = networks["network"](batch["blurry"])
    return {"judge": networks["judge"](made).mean() - networks["judge"](centre(batch["sharp"])).mean()}


def deceiving(networks, batch, settings):
    return {"deceive": -networks["judge"](networks["network"](batch["blurry"])).mean()}


class Tiny(Method):
    card = MethodCard(id="tiny", title="one convolution", paper="none", licence="Apache-2.0", weights="not shipped")
    capabilities = Capabilities(frames=1)
    training = Training(
        network=Network,
        recipe=HERE / "tiny.toml",
        stages={"first": Stage(alone(first), settings=("noise",)), "second": Stage(alone(second))},
    )

    def __init__(self, network):
        self.network = network

    @classmethod
    def load(cls, weights=None, device="cpu"):
        state = {key: value.float() for key, value in files.read(weights).items()}
        network = Network(len(state["enter.bias"]))
        files.fit(network, state, weights)
        return cls(network.eval())

    @torch.inference_mode()
    def predict(self, blurry, request):
        image = torch.from_numpy(blurry.transpose(2, 0, 1).copy())[None]
        return self.network(image).clamp(0, 1).permute(0, 2, 3, 1)[None].numpy()


class Rivals(Tiny):
    """Two players."""

    training = Training(
        network=Network,
        recipe=HERE / "rivals.toml",
        stages={
            "rivals": Stage(
                (Player(judged, ("judge",), every=2), Player(deceiving)),
                helpers={"judge": lambda kernel=3: nn.Conv2d(3, 1, kernel), "idle": lambda: nn.BatchNorm2d(3)},
            )
        },
    )


def around(networks, batch, settings):
    """The mean of three exposures against the frame in the middle of the one in the middle."""
    made = networks["network"](batch["blurry_around"].mean(dim=1))
    return {"squared": squared(made, centre(batch["sharp_around"][:, 1]))}


class Around(Tiny):
    """Sees an exposure before and one after."""

    training = Training(network=Network, recipe=HERE / "exploding.toml", stages={"only": Stage(alone(around))}, before=1, after=1)


class Pooled(Tiny):
    """One frame, validated by a column of all frames, which stays empty."""

    training = Training(network=Network, recipe=HERE / "pooled.toml", stages={"only": Stage(alone(second))})


def explode(networks, batch, settings):
    return {
        "squared": squared(networks["network"](batch["blurry"]), centre(batch["sharp"]))
        * float("nan" if networks["network"].enter.bias.grad is not None else 1)
    }


class Exploding(Tiny):
    """NaN from the second step on."""

    training = Training(network=Network, recipe=HERE / "exploding.toml", stages={"only": Stage(alone(explode))})


class Stubborn(Tiny):
    """Its `load` builds one width only."""

    training = Training(network=Network, recipe=HERE / "exploding.toml", stages={"only": Stage(alone(second))})

    @classmethod
    def load(cls, weights=None, device="cpu"):
        network = Network()
        files.fit(network, files.read(weights), weights)
        return cls(network.eval())


class Told(Stubborn):
    """Its `load` takes the width from the card, by a key that is missing where there is no `[network]`."""

    @classmethod
    def load(cls, weights=None, device="cpu"):
        network = Network(files.card(weights)["network"]["width"])
        files.fit(network, files.read(weights), weights)
        return cls(network.eval())


class Twice(Tiny):
    """Two stages with a judge each, of one name."""

    training = Training(
        network=Network,
        recipe=HERE / "tiny.toml",
        stages={
            name: Stage((Player(judged, ("judge",)), Player(deceiving)), helpers={"judge": lambda: nn.Conv2d(3, 1, 3)}, settings=settings)
            for name, settings in {"first": ("noise",), "second": ()}.items()
        },
    )
