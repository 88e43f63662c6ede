"""RIFE v4 (Huang et al., ECCV 2022; Practical-RIFE 4.0): frames at any time between two frames, by a small network.

Four blocks at 1/8, 1/4, 1/2 and full size each correct the flows from the frame in between to both frames, and the mask that blends
them; the blocks see the frames as warped so far. The published file holds a teacher block as well, which prediction does not use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from blurbench import device as devices
from blurbench import fetch
from blurbench import weights as files
from blurbench.types import F32, U8
from blurbench.video.interpolate import check

_MULTIPLE = 32  # the coarsest block works at 1/8 of the size and halves it twice
_CHUNK_ON_CPU = 2  # frames made at once: 0.2 GB at 960x540


class Block(nn.Module):
    """One correction. inputs: channels in; width: channels inside; scale: how much smaller than the pictures it works."""

    def __init__(self, inputs: int, width: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.conv0 = nn.Sequential(_conv(inputs, width // 2, stride=2), _conv(width // 2, width, stride=2))
        self.convblock = nn.Sequential(*(_conv(width, width) for _ in range(8)))
        self.lastconv = nn.ConvTranspose2d(width, 5, 4, stride=2, padding=1)

    def forward(self, pictures: torch.Tensor, flow: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """pictures: (B, C, H, W); flow: (B, 4, H, W) so far. Returns what to add to the flow, and to the mask (B, 1, H, W)."""
        x = _resize(pictures, 1 / self.scale)
        if flow is not None:
            x = torch.cat((x, _resize(flow, 1 / self.scale) / self.scale), dim=1)
        x = self.conv0(x)
        x = _resize(self.lastconv(self.convblock(x) + x), 2 * self.scale)
        return x[:, :4] * (2 * self.scale), x[:, 4:]


class IfNet(nn.Module):
    """The network. Its state has the names and shapes of the published one, less the teacher."""

    def __init__(self) -> None:
        super().__init__()
        self.block0 = Block(7, 192, scale=8)
        self.block1 = Block(12, 128, scale=4)
        self.block2 = Block(12, 96, scale=2)
        self.block3 = Block(12, 64, scale=1)

    def forward(self, a: torch.Tensor, b: torch.Tensor, times: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """a, b: (B, 3, H, W) in [0, 1], sizes multiples of 32; times: (B,).

        Returns the frames (B, 3, H, W) and flows (B, 4, H, W): (x, y) pixels from the frame in between to a, then to b.
        """
        moment = times.view(-1, 1, 1, 1).expand(-1, 1, *a.shape[2:])
        flow, mask = self.block0(torch.cat((a, b, moment), dim=1), None)
        for block in (self.block1, self.block2, self.block3):
            seen = torch.cat((_warp(a, flow[:, :2]), _warp(b, flow[:, 2:]), moment, mask), dim=1)
            more_flow, more_mask = block(seen, flow)
            flow, mask = flow + more_flow, mask + more_mask
        part = torch.sigmoid(mask)
        return _warp(a, flow[:, :2]) * part + _warp(b, flow[:, 2:]) * (1 - part), flow


class Rife:
    """RIFE as an interpolator. `weights`: an official v4 `flownet.pkl`; None: what `blurbench weights fetch rife` fetched."""

    def __init__(self, weights: Path | str | None = None, device: str = "auto") -> None:
        """device: `auto` is the GPU where there is one; on it the network runs in half precision. Raises WeightsError."""
        path = Path(weights) if weights else fetch.fetched("rife")
        network = IfNet()
        files.fit(network, used(files.read(path)), path)
        self._weights = files.state_hash(network)
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(devices.check(device))
        self._kind = torch.float16 if self.device.type == "cuda" else torch.float32
        self._network = network.to(self.device, self._kind).eval()
        self.chunk = None if self.device.type == "cuda" else _CHUNK_ON_CPU

    @classmethod
    def unavailable(cls) -> str | None:
        """Why it cannot run without being given weights, or None."""
        return fetch.missing("rife")

    def facts(self) -> dict[str, Any]:
        """What decides its output, JSON-ready; the hash is over names and values of the tensors, whatever file they came in."""
        return {"name": "rife", "version": "4.0", "weights": self._weights, "precision": str(self._kind).removeprefix("torch.")}

    @torch.inference_mode()
    def between(self, a: F32, b: F32, times: Sequence[float]) -> F32:
        """a, b: (3, H, W) float32 in [0, 1]; times in [0, 1]. Returns (len(times), 3, H, W) float32 in [0, 1]; one batch.

        Raises SourceError, see `interpolate.check`.
        """
        check(a, b, times)
        return np.asarray(self._between(torch.from_numpy(np.stack([a, b])).to(self.device), times).cpu().numpy())

    @torch.inference_mode()
    def codes(self, a: U8, b: U8, times: Sequence[float]) -> torch.Tensor:
        """The same of pictures (H, W, 3) uint8, rounded half up: (len(times), H, W, 3) uint8, left on the device."""
        pair = torch.from_numpy(np.stack([a, b])).to(self.device).movedim(-1, 1)
        return (self._between(pair / 255, times) * 255 + 0.5).to(torch.uint8).movedim(1, -1)

    def _between(self, pair: torch.Tensor, times: Sequence[float]) -> torch.Tensor:
        height, width = pair.shape[2:]
        moments = torch.tensor(times, dtype=self._kind, device=self.device)
        padded = functional.pad(pair.to(self._kind), (0, -width % _MULTIPLE, 0, -height % _MULTIPLE), mode="replicate")
        first, second = (picture.expand(len(moments), -1, -1, -1) for picture in padded[:, None])
        frames, _ = self._network(first, second, moments)
        inside: torch.Tensor = frames[..., :height, :width]
        return inside.clamp(0, 1).float()


def used(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of a published file that prediction uses, without the prefix of parallel training."""
    plain = {key.removeprefix("module."): value for key, value in state.items()}
    return {key: value for key, value in plain.items() if not key.startswith(("block_tea.", "contextnet.", "unet."))}


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1), nn.PReLU(outputs))


def _resize(x: torch.Tensor, factor: float) -> torch.Tensor:
    return x if factor == 1 else functional.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


def _warp(picture: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """The picture (B, C, H, W) seen at each pixel's place plus flow (B, 2, H, W); beyond the border its nearest pixel."""
    height, width = picture.shape[2:]
    x = torch.arange(width, device=flow.device, dtype=torch.float32)
    y = torch.arange(height, device=flow.device, dtype=torch.float32)[:, None]
    # Places need float32: half precision counts whole pixels only above 1,024.
    across = (x + flow[:, 0].float()) * (2 / (width - 1)) - 1
    down = (y + flow[:, 1].float()) * (2 / (height - 1)) - 1
    grid = torch.stack((across, down), dim=-1)
    seen = functional.grid_sample(picture.float(), grid, mode="bilinear", padding_mode="border", align_corners=True)
    return seen.to(picture.dtype)
