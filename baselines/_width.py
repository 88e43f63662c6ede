"""Narrower networks: every hidden layer with the same share of its published channels. What a small machine trains, and what ships."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from blurbench.errors import RecipeError


def scaled(channels: int, width: float) -> int:
    """So many channels at a width. Raises RecipeError for a width that leaves a fraction of a channel, or none."""
    left = channels * width
    if left <= 0 or left % 1:
        raise RecipeError(f"width is {width:g}, which makes {left:g} of {channels} channels, expected a whole number above 0, as of 0.25")
    return round(left)


def width_of(state: Mapping[str, torch.Tensor], name: str, channels: int, steps: int = 16) -> float:
    """The width of the network that a checkpoint is of, by the length of its tensor `name`, which is published with `channels`.

    To the nearest multiple of 1/steps, for widths that `scaled` takes. 1 where the tensor is missing, so that loading says what is.
    """
    found = state.get(name)
    share = 1.0 if found is None or not found.ndim else len(found) / channels
    return max(1, round(share * steps)) / steps
