"""What the methods that are a network share: where it runs, what it was loaded from, the way of a picture in and of its frames out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from blurbench import weights as files
from blurbench.errors import WeightsError
from blurbench.methods import Method
from blurbench.types import F32

Network = TypeVar("Network", bound=nn.Module)
AnyMethod = TypeVar("AnyMethod", bound=Method)


def placed(network: Network, device: str) -> Network:
    """The network itself, for prediction on this device; on a CPU with channels last, a quarter to a third faster for convolutions."""
    layout = torch.channels_last if device == "cpu" else torch.contiguous_format
    return network.eval().to(device, memory_format=layout)  # type: ignore[call-overload, no-any-return]


def described(method: AnyMethod, paths: list[Path]) -> AnyMethod:
    """The method itself, which now tells of the weight files that it was loaded from."""
    method.weights = files.describe(paths)
    return method


def with_twins(state: Mapping[str, torch.Tensor], twins: Callable[[str], Sequence[str]], path: Path, what: str) -> dict[str, torch.Tensor]:
    """The state with every layer under all its names, for networks that have one layer in several places.

    twins: the names of the layer that a name belongs to, none where it has just the one. what: of such a layer, for the message. Raises
    WeightsError where two names hold different values.
    """
    whole = dict(state)
    for key in state:
        for twin in twins(key):
            if not torch.equal(whole.setdefault(twin, whole[key]), whole[key]):
                raise WeightsError(f"{path} holds two versions of one {what}: {key!r} and {twin!r} differ, expected the same values")
    return whole


def as_batch(picture: F32, device: str) -> torch.Tensor:
    """(H, W, 3) as (1, 3, H, W) on the device."""
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None].to(device)


def as_frames(pictures: torch.Tensor) -> F32:
    """Frames (T, 3, H, W) of one sample as (1, T, H, W, 3), as `Method.predict` gives them."""
    frames: F32 = pictures.permute(0, 2, 3, 1)[None].cpu().numpy()
    return frames
