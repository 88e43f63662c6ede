"""What networks cost: parameters, and multiply-adds counted while they run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn


def parameters(*networks: nn.Module) -> int:
    """How many numbers the parameters of the networks hold, trained or not; one that stands in several places counts once."""
    return sum({id(value): value.numel() for network in networks for value in network.parameters()}.values())


def multiply_adds(network: nn.Module, *inputs: torch.Tensor) -> int:
    """Multiply-adds of one call of the network, as it is (call `eval()` first), on these inputs; see `counting`.

    Network and inputs on the device "meta" are counted without being computed.
    """
    import torch

    with torch.inference_mode(), counting() as counted:
        network(*inputs)
    return counted()


@contextmanager
def counting() -> Iterator[Callable[[], int]]:
    """Within it, multiply-adds are counted; what it gives returns how many so far.

    Those of convolutions, transposed ones and matrix products: with the border's zeros too, without biases. Nothing for norms,
    activations, resizing and sampling. Papers differ in this, and many count a multiply-add as two operations.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    # Torch does not know of products that are added in place.
    in_place = dict.fromkeys((torch.ops.aten.addmm_, torch.ops.aten.baddbmm_), _operations)
    with FlopCounterMode(display=False, custom_mapping=in_place) as counter:
        yield lambda: counter.get_total_flops() // 2


def _operations(_total: tuple[int, ...], first: tuple[int, ...], second: tuple[int, ...], **_others: object) -> int:
    """Of a product of matrices (..., n, k) and (..., k, m), by their shapes; two for a multiply-add, as torch counts."""
    return 2 * prod(first) * second[-1]
