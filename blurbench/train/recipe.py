"""What a trainable method declares: its network, its losses and its schedule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from blurbench.store.augment import Augmentation

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class Training:
    """How a method is trained; a method class carries it as `training`.

    loss: from the network and a batch (`blurry` (B,3,h,w), `sharp` (B,T,3,h,w), float32 in [0, 1]) to named scalar terms, which are
    summed. batch: crops a step; crop: their side in pixels. The learning rate falls from the first to the final one along half a cosine.
    augmentation: what happens to each crop at random.
    """

    frames: int
    network: Callable[[], nn.Module]
    loss: Callable[[nn.Module, Mapping[str, torch.Tensor]], dict[str, torch.Tensor]]
    batch: int
    crop: int
    learning_rate: float
    final_learning_rate: float
    augmentation: Augmentation = field(default_factory=Augmentation)
