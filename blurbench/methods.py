"""What a method is, and the one way to run it.

A method is one class with a card, its capabilities and `predict`. The framework pads the input to the method's size multiple, crops the
answer back, times it, and refuses what no scorer could use (wrong shape, NaN); a method does none of that itself.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from blurbench import device as devices
from blurbench.errors import PredictionError, RecipeError, WeightsError
from blurbench.registry import METHODS
from blurbench.types import F32, F64, U8, Prediction, Sample
from blurbench.weights import Weights


@dataclass(frozen=True)
class MethodCard:
    """What a reader of a leaderboard wants to know. `training_data` is that of the shipped or official weights."""

    id: str
    title: str
    paper: str
    licence: str
    citation: str = ""
    training_data: str = "none"
    weights: str = ""
    """Where weights come from, in words for a person who has none."""


@dataclass(frozen=True)
class Resources:
    """What a scheduler should ask for."""

    gpu: bool = False
    memory_gb: float = 1.0


@dataclass(frozen=True)
class Capabilities:
    """What a method can take and give.

    frames: frames of one prediction, None for as many as asked. multiple: height and width must be multiples of it.
    needs: parts of the sample it must see besides the blurry image: "sharp" (oracles only). stochastic: samples differ.
    """

    frames: int | None = None
    multiple: int = 1
    needs: frozenset[str] = frozenset()
    stochastic: bool = False
    resources: Resources = field(default_factory=Resources)


@dataclass(frozen=True)
class Request:
    """What is asked of a method beside the blurry image.

    times: (T,) float64 in units of the exposure. samples: N. rng: the only source of randomness allowed.
    sharp: (T, H, W, 3) float32 in [0, 1], given only to a method that declares the need.
    """

    times: F64
    samples: int
    rng: np.random.Generator
    sharp: F32 | None = None


class Method(ABC):
    """Base of every method. Subclasses set `card` and `capabilities` and write `predict`; those with weights also write `load`."""

    card: ClassVar[MethodCard]
    capabilities: ClassVar[Capabilities]
    weights: Weights | None = None
    device: str = "cpu"

    @classmethod
    def load(cls, weights: Path | None = None, device: str = "cpu") -> Self:
        """Build the method. `weights`: a file or folder given by the user, None for the shipped ones. Raises WeightsError."""
        if weights is not None:
            raise WeightsError(f"{cls.card.id} has no weights, but --weights {weights} was given; leave it out")
        return cls()

    @abstractmethod
    def predict(self, blurry: F32, request: Request) -> F32:
        """blurry: (H, W, 3) float32 in [0, 1], H and W multiples of `capabilities.multiple`. Returns (N, T, H, W, 3) float32."""


def load_method(name: str, weights: Path | str | None = None, device: str = "cpu") -> Method:
    """A method by name or alias (`zhang2019`, `dmphn`) or from a file (`my_method.py:MyMethod`), ready to predict.

    Raises UnknownNameError, BrokenPluginError, WeightsError, and BlurbenchError for a device that cannot be used.
    """
    cls = METHODS.get(name)
    if not (isinstance(cls, type) and issubclass(cls, Method)):
        raise RecipeError(f"method {name!r} is {cls!r}, expected a subclass of blurbench.methods.Method")
    method = cls.load(Path(weights) if weights is not None else None, devices.check(device))
    method.device = device
    return method


def predict(method: Method, sample: Sample, samples: int = 1, seed: int = 0) -> Prediction:
    """Run a method on one sample. The same seed gives the same prediction, whatever ran before.

    The prediction has the sample's number of frames, or the method's own where that is fixed. Raises PredictionError.
    """
    can = method.capabilities
    frames = can.frames or len(sample.sharp)
    height, width = sample.blurry.shape[:2]
    rng = np.random.default_rng([seed, *sample.id.encode()])
    sharp = _pad(_to_float(sample.sharp), can.multiple) if "sharp" in can.needs else None
    request = Request(times=sample.times, samples=samples if can.stochastic else 1, rng=rng, sharp=sharp)
    blurry = _pad(_to_float(sample.blurry), can.multiple)
    start = time.perf_counter()
    answer = method.predict(blurry, request)
    seconds = time.perf_counter() - start
    expected = (request.samples, frames, *blurry.shape)
    if answer.shape != expected:
        raise PredictionError(f"{method.card.id} returned shape {answer.shape} for sample {sample.id}, expected (N,T,H,W,3) = {expected}")
    if not np.isfinite(answer).all():
        bad = int((~np.isfinite(answer)).sum())
        raise PredictionError(
            f"{method.card.id} returned {bad} NaN or infinite values for sample {sample.id}; check its weights and its input range [0, 1]"
        )
    return Prediction(sample.id, answer[:, :, :height, :width].astype(np.float32, copy=False), seconds, method.device)


def _to_float(image: U8) -> F32:
    return image.astype(np.float32) / np.float32(255)


def _pad(image: F32, multiple: int) -> F32:
    """Reflect the last rows and columns of (..., H, W, 3) until both sizes are multiples."""
    *lead, height, width, _ = image.shape
    rows, columns = -height % multiple, -width % multiple
    if not rows and not columns:
        return image
    return np.pad(image, [*[(0, 0)] * len(lead), (0, rows), (0, columns), (0, 0)], mode="symmetric")
