"""More than seven frames (K. Zhang et al., ACM MM 2020, Sec. 4.3, Fig. 7): each two neighbours of seven frames are averaged, and the
generator takes the average apart into seven again. Seven frames have six neighbourhoods: 7, 6 x 7 = 42, 36 x 7 = 252, ...

Each group of seven is taken on by itself: its last frame and the first of the next group show the same moment, and their average nothing
that moves. The paper does not say in which direction the seven of a neighbourhood run. The blur of two frames does not tell, the two frames
do: here a group is turned round where that brings its ends nearer to them.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch

from blurbench.baselines._zhang2020_losses import FRAMES

Recover = Callable[[torch.Tensor], torch.Tensor]
"""Blurry luminance (H, W) in [0, 1] to seven frames (7, H, W)."""

Group = tuple[torch.Tensor, torch.Tensor]
"""Seven frames (7, H, W) and their times (7,), in units of the exposure."""


def rounds_for(frames: int) -> int:
    """How often the procedure is repeated until there are at least so many frames: 0 up to 7, 1 up to 42, 2 up to 252."""
    rounds = 0
    while FRAMES * (FRAMES - 1) ** rounds < frames:
        rounds += 1
    return rounds


def iterated(recover: Recover, blurry: torch.Tensor, rounds: int) -> Group:
    """7 * 6^rounds frames (T, H, W) of a blurry luminance (H, W), in order of time, and their times (T,) float64.

    The seven of the exposure are at the middle of its sevenths. Those of a neighbourhood are spread evenly from one frame to the next, so
    that moments at which two groups meet are there twice.
    """
    groups: list[Group] = [(recover(blurry), (torch.arange(FRAMES, dtype=torch.float64) + 0.5) / FRAMES)]
    for _ in range(rounds):
        groups = [
            (_between(recover, *frames), torch.linspace(float(times[0]), float(times[1]), FRAMES, dtype=torch.float64))
            for group in groups
            for frames, times in zip(pairwise(group[0]), pairwise(group[1]), strict=True)
        ]
    return torch.cat([frames for frames, _ in groups]), torch.cat([times for _, times in groups])


def chosen(times: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
    """For each of the times asked for, (A,), the index (A,) of the nearest of `times` (T,), the first where two are as near.

    All of them in order where as many are asked for, rising, over all that time: moments that are there twice are then shown twice.
    """
    rising = len(asked) == len(times) and bool((asked.diff() > 0).all())
    if rising and asked[0] <= times[0] and asked[-1] >= times[-1]:
        return torch.arange(len(times))
    return (times[None] - asked[:, None]).abs().argmin(dim=1)


def _between(recover: Recover, start: torch.Tensor, end: torch.Tensor) -> torch.Tensor:
    """Seven frames (7, H, W) from one frame (H, W) to the next."""
    start, end = start.clamp(0, 1), end.clamp(0, 1)  # as pictures are
    seven = recover((start + end) / 2)
    forward = (seven[0] - start).square().mean() + (seven[-1] - end).square().mean()
    backward = (seven[-1] - start).square().mean() + (seven[0] - end).square().mean()
    return seven.flip(0) if backward < forward else seven
