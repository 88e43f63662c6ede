"""From Motion Blur to Motion Flow (D. Gong et al., CVPR 2017): a fully convolutional network estimates each pixel's line of motion, and
the blur of those lines is then removed.

One sharp frame from one blurry image, (B, 3, H, W) RGB in [0, 1], H and W multiples of 16. Motion is a label per pixel, (u, v) in whole
pixels over the exposure, v upwards; as (u, v) and (-u, -v) blur alike, u is 0 to 36 and v is -36 to 36 (`uv_half`, the convention of
the authors' data, made by `blurbench.synth.kernels`). The network gives 37 + 73 scores a pixel; u and v are told apart like two
classifications, each with a softmax of its own.

From the literature: seven convolutions and four 2x2 poolings, three transposed convolutions that double, double and quadruple, begun as
bilinear interpolation, with skips from the second and third pooling; no stride elsewhere. Ours, because only that is certain: the widths
96, 256, 512, 512, 512, 512, 110 and sizes 7, 5, 3, 3, 3, 3, 1 of the convolutions, 1x1 convolutions on the skips, and the input's shift
to [-0.5, 0.5]. That gives 10,191,508 parameters, 40.8 MB; later papers quote 41.2 and 54.1 MB for the authors' network. Their weights
do not fit, and none are shipped.

Restoration: Richardson-Lucy with the estimated lines as per-pixel kernels (30 steps) in place of the authors' Gaussian-mixture prior.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from blurbench import weights as files
from blurbench.baselines._blocks import set_bias
from blurbench.baselines._deconvolution import LinearBlur, richardson_lucy
from blurbench.baselines._network import as_batch, described, placed
from blurbench.methods import Answer, Capabilities, Method, MethodCard, Request, Resources
from blurbench.synth.kernels import half_plane
from blurbench.types import F32, F64

LARGEST = 36
"""The largest |u| and |v| that have a label, pixels."""
U_LABELS, V_LABELS = LARGEST + 1, 2 * LARGEST + 1
_LABELS = U_LABELS + V_LABELS


class MotionFlow(nn.Module):
    """(B, 3, H, W) in [0, 1] to scores (B, 110, H, W): 37 for u = 0..36, then 73 for v = -36..36; 10,191,508 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 7, padding=3)
        self.conv2 = nn.Conv2d(96, 256, 5, padding=2)
        self.conv3 = nn.Conv2d(256, 512, 3, padding=1)
        self.conv4 = nn.Conv2d(512, 512, 3, padding=1)
        self.conv5 = nn.Conv2d(512, 512, 3, padding=1)
        self.conv6 = nn.Conv2d(512, 512, 3, padding=1)
        self.conv7 = nn.Conv2d(512, _LABELS, 1)
        self.skip2 = nn.Conv2d(256, _LABELS, 1)
        self.skip3 = nn.Conv2d(512, _LABELS, 1)
        self.uconv1 = _bilinear(2)
        self.uconv2 = _bilinear(2)
        self.uconv3 = _bilinear(4)

    def forward(self, blurry: torch.Tensor) -> torch.Tensor:
        half = F.max_pool2d(F.relu(self.conv1(blurry - 0.5)), 2)
        quarter = F.max_pool2d(F.relu(self.conv2(half)), 2)
        eighth = F.max_pool2d(F.relu(self.conv3(quarter)), 2)
        deep = F.max_pool2d(F.relu(self.conv5(F.relu(self.conv4(eighth)))), 2)
        scores = self.conv7(F.relu(self.conv6(deep)))
        scores = self.uconv1(scores) + self.skip3(eighth)
        scores = self.uconv2(scores) + self.skip2(quarter)
        whole: torch.Tensor = self.uconv3(scores)
        return whole


NETWORKS: dict[str, Callable[[], nn.Module]] = {"gong2017": MotionFlow}
"""No checkpoint of the authors fits; for listings and tests."""


def _bilinear(factor: int) -> nn.ConvTranspose2d:
    """(B, 110, h, w) to `factor` times the size: a transposed convolution that starts as bilinear interpolation of each channel."""
    layer = nn.ConvTranspose2d(_LABELS, _LABELS, 2 * factor, stride=factor, padding=factor // 2)
    line = 1 - (torch.arange(2 * factor) + 0.5 - factor).abs() / factor
    with torch.no_grad():
        layer.weight.copy_(torch.eye(_LABELS)[..., None, None] * torch.outer(line, line))
    set_bias(layer)
    return layer


def labels(motion: F64) -> NDArray[np.int64]:
    """Motion (..., 2), (u, v), v upwards, to labels (..., 2): in the half-plane, rounded, u at most 36, v within 36, counted from 0."""
    u, v = np.moveaxis(np.rint(half_plane(motion)), -1, 0)
    return np.stack([np.clip(u, 0, LARGEST), np.clip(v, -LARGEST, LARGEST) + LARGEST], axis=-1).astype(np.int64)


def motion(scores: torch.Tensor) -> F64:
    """Scores (B, 110, H, W) to the likeliest motion (B, H, W, 2), (u, v) in pixels, v upwards, u >= 0."""
    u, v = scores[:, :U_LABELS].argmax(dim=1), scores[:, U_LABELS:].argmax(dim=1) - LARGEST
    return torch.stack([u, v], dim=-1).cpu().numpy().astype(np.float64)


class Gong2017(Method):
    """Motion flow by the network, then Richardson-Lucy with it."""

    card = MethodCard(
        id="gong2017",
        title="Motion flow (widths ours), then Richardson-Lucy",
        paper="D. Gong, J. Yang, L. Liu, Y. Zhang, I. Reid, C. Shen, A. van den Hengel, Q. Shi: From Motion Blur to Motion Flow, CVPR 2017",
        licence="Apache-2.0 (re-implemented from the literature)",
        citation="""@inproceedings{gong2017motion,
  title = {From Motion Blur to Motion Flow: a Deep Learning Solution for Removing Heterogeneous Motion Blur},
  author = {Gong, Dong and Yang, Jie and Liu, Lingqiao and Zhang, Yanning and Reid, Ian and Shen, Chunhua and
            van den Hengel, Anton and Shi, Qinfeng},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition (CVPR)},
  year = {2017}
}""",
        weights="none fit: the authors' network is not described in full; a .safetensors or .pth of your own training of MotionFlow",
        released="never",
    )
    capabilities = Capabilities(frames=1, multiple=16, resources=Resources(gpu=True, memory_gb=4.0))
    iterations = 30

    def __init__(self, network: MotionFlow, device: str = "cpu") -> None:
        self.network = placed(network, device)
        self.device = device

    @classmethod
    def load(cls, weights: Path | None = None, device: str = "cpu") -> Self:
        """From one file of a trained `MotionFlow`. Raises WeightsError, also for None: no weights are shipped."""
        if weights is None:
            raise files.absent(cls.card.id, "the authors' do not fit its layers; train MotionFlow (.safetensors or .pth)")
        network = MotionFlow()
        files.fit(network, {key.removeprefix("module."): value for key, value in files.read(weights).items()}, weights)
        return described(cls(network, device), [weights])

    @torch.inference_mode()
    def predict(self, blurry: F32, request: Request) -> Answer:
        """One frame, (1, 1, H, W, 3) float32, clamped to [0, 1]; and its motion, along a straight line from opening to closing."""
        (line,) = motion(self.network(as_batch(blurry, self.device)))
        sharp = richardson_lucy(blurry, LinearBlur(line), self.iterations)
        ends = np.array([-0.5, 0.5])
        path = ends[:, None, None, None] * (line * [1, -1])  # y downwards
        return Answer(np.clip(sharp, 0, 1)[None, None], path[None].astype(np.float32), ends + 0.5)
