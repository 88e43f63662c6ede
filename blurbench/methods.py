"""What a method is, and how one is found and loaded.

A method is one class with a card, its capabilities and `predict`. The framework (`running.py`) pads the input to the method's size
multiple, crops the answer back, times it, and refuses what no scorer could use (no array, wrong shape, NaN); a method does none of that.
"""

from __future__ import annotations

import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from blurbench import device as devices
from blurbench import weights as files
from blurbench.errors import PredictionError, RecipeError, UnknownNameError, WeightsError
from blurbench.registry import METHODS, own
from blurbench.strict import whole
from blurbench.types import F32, F64
from blurbench.weights import Weights

if TYPE_CHECKING:
    import torch

    from blurbench.train.recipe import Training


@dataclass(frozen=True)
class MethodCard:
    """What a reader of a leaderboard wants to know. training_data: of the official weights, where there are none of the shipped."""

    id: str
    title: str
    paper: str
    licence: str
    citation: str = ""
    training_data: str = "none"
    weights: str = ""
    """Where weights come from, in words for a person who has none; begins with "none needed" where it does without (as does empty)."""
    released: str = ""
    """The files of the official weights and where their authors put them; "never" where nobody released any that fit."""
    weights_of: str = ""
    """The method whose kept weights are this one's as well, where it is another interface to the same networks."""
    shipped_in: str = ""
    """The method whose shipped weights hold this one's, where that is not the one that keeps them."""

    @property
    def official(self) -> bool:
        """Whether the authors released weights that fit."""
        return self.released not in ("", "never")

    @property
    def data_label(self) -> str:
        """What `training_data` is to be called: a small network that ships instead of official weights saw other data."""
        return "the authors' were trained on" if self.official else "trained on"

    @property
    def keeper(self) -> str:
        """The id under which weights are kept."""
        return self.weights_of or self.id

    @property
    def shipper(self) -> str:
        """The id under which weights are shipped, where they are."""
        return self.shipped_in or self.keeper

    @property
    def wants_weights(self) -> bool:
        """Whether the method does not do without."""
        return not (self.weights or "none needed").startswith("none needed")


@dataclass(frozen=True)
class Resources:
    """What a scheduler should ask for."""

    gpu: bool = False
    memory_gb: float = 1.0


NEEDS = ("guidance", "sharp")
"""What a method may have to see of a sample besides pictures."""


@dataclass(frozen=True)
class Capabilities:
    """What a method can take and give.

    frames: frames of one prediction, None for as many as asked. multiple: height and width must be multiples of it.
    before, after: how many neighbouring exposures of the same video it must see. needs: parts of the sample it must see besides the
    blurry image: "sharp" (oracles only), "guidance". stochastic: samples differ.
    """

    frames: int | None = None
    multiple: int = 1
    before: int = 0
    after: int = 0
    needs: frozenset[str] = frozenset()
    stochastic: bool = False
    resources: Resources = field(default_factory=Resources)

    def __post_init__(self) -> None:
        """Raises RecipeError for what no method can have."""
        for name, least in (("frames", 1), ("multiple", 1), ("before", 0), ("after", 0)):
            value = getattr(self, name)
            if not whole(value, least) and not (name == "frames" and value is None):
                raise RecipeError(f"capabilities: {name} is {value!r}, expected a whole number from {least}; mend it in the method")
        if unknown := sorted(set(self.needs) - set(NEEDS)):
            raise UnknownNameError("needs", unknown[0], NEEDS, "the capabilities of a method")


@dataclass(frozen=True)
class Request:
    """What is asked of a method beside the blurry image.

    times: (T,) float64 in units of the exposure. samples: N. rng: the only source of randomness allowed.
    before, after: (B, H, W, 3) and (A, H, W, 3) float32 in [0, 1], neighbouring exposures in order of time; beyond the ends of a video,
    the nearest is repeated. sharp: (T, H, W, 3) float32 in [0, 1]; guidance: (H, W, 2) int8. All three only for methods that declare them.
    """

    times: F64
    samples: int
    rng: np.random.Generator
    before: F32 | None = None
    after: F32 | None = None
    sharp: F32 | None = None
    guidance: NDArray[np.int8] | None = None


@dataclass(frozen=True)
class Answer:
    """What `Method.predict` may return instead of frames alone: the motion over the exposure besides, see `types.Prediction`."""

    frames: F32
    motion: F32
    motion_times: F64


class Method(ABC):
    """Base of every method. Subclasses set `card` and `capabilities` and write `predict`; those with weights also write `load`."""

    card: ClassVar[MethodCard]
    capabilities: ClassVar[Capabilities]
    options: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """What `load` takes besides, by the name that `--option` has for it, and what it is; `deblur-with` is the argument `deblur_with`."""
    variants: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """By what else there may be to see ("guidance", "before"), the id of the method that sees it; `blurbench animate` goes there. By
    "frames", for a method whose number of frames is fixed, the one that gives as many as asked.
    """
    training: ClassVar[Training | None] = None
    """How it is trained, see `blurbench.train.recipe`; None where there is nothing to train."""
    weights: Weights | None = None
    device: str = "cpu"
    chosen: Mapping[str, str] = MappingProxyType({})
    """The options that it was loaded with."""
    given: Path | None = None
    """The weights file or folder that it was loaded from."""

    @property
    def label(self) -> str:
        """The card's id, and the options chosen, so that runs with others have other names: `purohit2019+deblur-with-dmphn`."""
        return "".join([self.card.id, *(f"+{key}-{re.sub(r'[^A-Za-z0-9.-]+', '_', value)}" for key, value in sorted(self.chosen.items()))])

    @classmethod
    def load(cls, weights: Path | None = None, device: str = "cpu") -> Self:
        """Build the method. `weights`: a file or folder given by the user, None for the shipped ones. Raises WeightsError."""
        if weights is not None:
            raise WeightsError(f"{cls.card.id} has no weights, but --weights {weights} was given; leave it out")
        return cls()

    def state(self) -> dict[str, torch.Tensor]:
        """What `load` must find in one safetensors file to build this method again: the tensors of `self.network`, no tensor twice.

        Raises WeightsError for a method that has no network.
        """
        network: torch.nn.Module | None = getattr(self, "network", None)
        if network is None:
            raise WeightsError(f"{self.card.id} has no network, so that there is nothing to convert; give its file with --weights as it is")
        return network.state_dict()

    @abstractmethod
    def predict(self, blurry: F32, request: Request) -> F32 | Answer:
        """blurry: (H, W, 3) float32 in [0, 1], H and W multiples of `capabilities.multiple`. Returns (N, T, H, W, 3) float32."""


def method_class(name: str) -> type[Method]:
    """The class behind a name, an alias or `my_method.py:MyMethod`.

    Raises UnknownNameError, BrokenPluginError, and RecipeError for what is no method, lacks a part of one, or fails `check_id`.
    """
    cls = METHODS.get(name)
    if not (isinstance(cls, type) and issubclass(cls, Method)):
        what = "another class" if isinstance(cls, type) else f"of type {type(cls).__name__}"
        beside = own(getattr(cls, "__module__", ""))
        known = [each for each, value in beside.items() if isinstance(value, type) and issubclass(value, Method)]
        hint = f", as {' or '.join(sorted(known))} there" if known else ""
        raise RecipeError(f"method {name!r} is {what}, expected a subclass of blurbench.methods.Method{hint}")
    for part, kind, mend in _DECLARED:
        if not isinstance(found := getattr(cls, part, None), kind):
            told = f"has no {part}" if found is None else f"has {found!r} as {part}"
            raise RecipeError(f"method {name} {told}, expected a {kind.__name__}; write `{part} = {mend}` into the class")
    if inspect.isabstract(cls):
        raise RecipeError(f"method {name} has no predict; write `def predict(self, blurry, request)`, which returns (N,T,H,W,3) float32")
    check_id(cls.card.id, f"the id in the card of {name}", cls)
    return cls


_DECLARED = (
    ("card", MethodCard, 'MethodCard(id="me2026", title="My method", paper="me, 2026", licence="MIT")'),
    ("capabilities", Capabilities, "Capabilities(frames=7)"),
)
"""What a subclass of Method must set: the name, its type, an example."""


def check_id(id: str, what: str, cls: type[Method] | None = None) -> None:
    """Raises RecipeError for an id that cannot name a file and a row of a board, or is that of an installed method other than `cls`.

    what: whose id it is, for the message.
    """
    if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9._+-]*", id):
        raise RecipeError(f"{what} is {id!r}, expected letters, digits, '.', '_', '-' and '+', a letter or digit first; give another")
    if id in METHODS.names() and (cls is None or METHODS.get(id) is not cls):
        raise RecipeError(f"{what} is {id!r}, which is an installed method: the two could not be told apart on a board; give another")


def load_method(name: str, weights: Path | str | None = None, device: str = "cpu", options: Mapping[str, str] | None = None) -> Method:
    """A method by name or alias (`zhang2019`, `dmphn`) or from a file (`my_method.py:MyMethod`), ready to predict.

    weights: a file or folder; None for those that the user keeps at `blurbench.weights.place`, else for the shipped ones.
    A method that does not say which files it was loaded from is told by all that were given.
    options: of those that the method declares, by name. Raises as `method_class` does, WeightsError, RecipeError for options of a method
    without any, and BlurbenchError for a device that cannot be used.
    """
    cls = method_class(name)
    chosen = dict(options or {})
    load = loader(cls, chosen)
    given, origin = (Path(weights), "given") if weights is not None else _own_weights(cls.card)
    if given is not None:
        _require_learnt(cls, given, chosen)
    method = load(given, devices.check(device))
    if not isinstance(method, cls):
        raise RecipeError(f"load of {cls.card.id} returned {method!r}, expected a {cls.__name__}; end it with `return cls(...)`")
    method.chosen, method.given = chosen, given
    if method.weights:
        method.weights = replace(method.weights, origin=origin)
    elif given is not None:
        method.weights = files.describe(files.inside(given), origin)
    method.device = device
    return method


def _require_learnt(cls: type[Method], given: Path, chosen: Mapping[str, str]) -> None:
    """Raises WeightsError where a file says that it was trained, or converted, with another option of the method than is chosen."""
    for path in files.inside(given):
        try:
            learnt = files.learnt(path) or {}
        except WeightsError:
            continue  # `load` says what is wrong with it
        for key in cls.options:
            if key in learnt and learnt[key] != chosen.get(key):
                now = f"{key}={chosen[key]} was chosen" if key in chosen else "that was not chosen"
                raise WeightsError(f"{path} was made with {key}={learnt[key]}, but {now}; give --{key} {learnt[key]}, or other weights")


def require_samples(method: Method, samples: int) -> None:
    """Raises PredictionError where a deterministic method is asked for several answers."""
    if samples > 1 and not method.capabilities.stochastic:
        raise PredictionError(f"--samples is {samples}, but {method.card.id} is deterministic; leave it out")


def _own_weights(card: MethodCard) -> tuple[Path | None, str]:
    """The weights of whom nobody gave any, and their origin: what a user keeps comes before what is shipped."""
    if not card.wants_weights:
        return None, "given"
    if (kept := files.found(card.keeper)) is not None:
        return kept, "found"
    return files.shipped_file(card.shipper), "shipped"


def of_load(cls: type[Method], options: Mapping[str, str]) -> dict[str, str]:
    """Of the options of a training those that `load` takes as well; the others the weights remember."""
    return {key: value for key, value in options.items() if key in cls.options}


def loader(cls: type[Method], chosen: Mapping[str, str]) -> Callable[..., Method]:
    """The `load` of a method with options of its own chosen.

    Raises RecipeError where the method has none, or `load` does not take what it is given, UnknownNameError for another option.
    """
    if chosen and not cls.options:
        given = ", ".join(f"{key}={value}" for key, value in chosen.items())
        raise RecipeError(f"{cls.card.id} takes no options, but --option {given} was given; leave it out")
    if unknown := [key for key in chosen if key not in cls.options]:
        raise UnknownNameError("option", unknown[0], cls.options, cls.card.id)
    load: Callable[..., Method] = cls.load  # each method has options of its own
    named = {key.replace("-", "_"): value for key, value in chosen.items()}
    try:
        if inspect.isfunction(inspect.getattr_static(cls, "load")):
            raise TypeError("it is no class method")
        inspect.signature(load).bind(None, "cpu", **named)
    except TypeError as error:
        wanted = ", ".join(["cls", "weights=None", 'device="cpu"', *(f"{name}=None" for name in named)])
        raise RecipeError(f"load of {cls.card.id} cannot be called ({error}); write `@classmethod` and `def load({wanted})`") from error
    return partial(load, **named)
