"""Motion in *Bringing Alive Blurred Moments* (K. Purohit et al., CVPR 2019): encoders of a video and of a blurred image, and the decoder.

Pictures are (B, 3, H, W) RGB in [0, 1], H and W multiples of 8; a motion is (B, C, H/8, W/8), C = 128 at full width; a flow is
(B, 2, h, w), (x, y) in pixels of its own scale: where in the centre frame a pixel of the made frame comes from.

What the paper says -> what is done here:

- video encoder (2.1): per frame 3x3 convolutions to 16, and with stride 2 and a ResBlock to 32, 64, 128; 3x3 ConvLSTM -> ReLU behind
  each; ResBlock x + conv(relu(conv(x))); 128 hidden channels;
- decoder's first state (Eq. 1): the encoder's last hidden state; cell not mentioned -> cell zero, so that one tensor is the whole motion,
  and the blurred image's encoder can give it too;
- first flow: the flow before the first one is not mentioned -> zero;
- flow decoder (2.2): flow by a convolution from the state; three times: 4x4 deconvolution, beside the enlarged flow and the flow
  encoder's features; flow -> deconvolutions to 64, 32, 16 channels and ReLU; enlarged bilinearly, values doubled;
- transformer (2.2): a sampler with one transformation a pixel -> bilinear, backwards; beyond the border the border pixel;
- blurred image encoder (2.3): 7 convolutions, batch normalisation and leaky ReLU but on the last; kernel sizes in a figure that the text
  lacks -> kernels 7 5 5 3 3 3 3, strides 1 2 2 2 1 1 1, channels as in `IMAGE`, slope 0.1;
- initial weights: nothing -> `he` where a ReLU follows, N(0, 0.001) for the flows, else PyTorch's.

The LSTM is `tao2018.remember`: its forget gate has 1 added, which the paper does not mention.
"""

from __future__ import annotations

import itertools

import torch
from torch import nn
from torch.nn import functional as F

from blurbench.baselines._blocks import Residual, almost_still, he
from blurbench.baselines._width import scaled
from blurbench.baselines.tao2018 import remember

CHANNELS = (16, 32, 64, 128)
"""Of the features at 1, 1/2, 1/4 and 1/8."""

IMAGE = ((7, 32, 1), (5, 64, 2), (5, 128, 2), (3, 256, 2), (3, 256, 1), (3, 256, 1), (3, 128, 1))
"""Kernel, channels and stride of each convolution of the blurred image's encoder; chosen for 34 MB of the whole system, as printed."""

SLOPE = 0.1


class Pyramid(nn.Module):
    """(B, inputs, H, W) to features at 1, 1/2, 1/4 and 1/8, finest first: of a frame, or of a flow."""

    def __init__(self, inputs: int, width: float) -> None:
        super().__init__()
        channels = [scaled(each, width) for each in CHANNELS]
        self.enter = nn.Sequential(nn.Conv2d(inputs, channels[0], 3, padding=1), nn.ReLU())
        self.down = nn.ModuleList(
            nn.Sequential(nn.Conv2d(fine, coarse, 3, stride=2, padding=1), nn.ReLU(), Residual(coarse), nn.ReLU())
            for fine, coarse in itertools.pairwise(channels)
        )
        he(self)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        features = [self.enter(x)]
        for down in self.down:
            features.append(down(features[-1]))
        return features


def _gates(channels: int) -> nn.Conv2d:
    return nn.Conv2d(2 * channels, 4 * channels, 3, padding=1)


class VideoEncoder(nn.Module):
    """RVE: sharp frames (B, N, 3, H, W) in order of time to their motion, the hidden state behind the last one."""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        self.frame = Pyramid(3, width)
        self.gates = _gates(scaled(CHANNELS[-1], width))

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        features = self.frame(frames.flatten(0, 1))[-1].unflatten(0, frames.shape[:2])
        state = torch.zeros_like(features[:, 0]).repeat(1, 2, 1, 1)
        for feature in features.unbind(1):
            state = remember(self.gates, feature, state)
        return state.chunk(2, dim=1)[1]


class ImageEncoder(nn.Module):
    """BIE: a blurry picture and the sharp one of its centre to the motion that the decoder is to make of it."""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        self.body = nn.Sequential()
        inputs = 6
        for number, (kernel, outputs, stride) in enumerate(IMAGE, 1):
            channels, last = scaled(outputs, width), number == len(IMAGE)
            # Normalisation takes the mean away, so that a bias before it would do nothing.
            self.body.append(nn.Conv2d(inputs, channels, kernel, stride=stride, padding=kernel // 2, bias=last))
            if not last:
                self.body.extend([nn.BatchNorm2d(channels), nn.LeakyReLU(SLOPE)])
            inputs = channels

    def forward(self, blurry: torch.Tensor, centre: torch.Tensor) -> torch.Tensor:
        motion: torch.Tensor = self.body(torch.cat([blurry, centre], dim=1))
        return motion


class FlowDecoder(nn.Module):
    """F_D: the LSTM's output and the flow encoder's features to flows at 1/8, 1/4, 1/2 and 1."""

    def __init__(self, width: float) -> None:
        super().__init__()
        fine, half, quarter, coarse = (scaled(each, width) for each in CHANNELS)
        skips = (quarter, half, fine)
        inputs = [coarse, *(2 * skip + 2 for skip in skips)]
        self.up = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(before, after, 4, stride=2, padding=1), nn.ReLU())
            for before, after in zip(inputs, skips, strict=False)
        )
        he(self.up)
        layers = [nn.Conv2d(channels, 2, 3, padding=1) for channels in inputs]
        for layer in layers:
            almost_still(layer)
        self.flow = nn.ModuleList(layers)

    def forward(self, x: torch.Tensor, features: list[torch.Tensor]) -> list[torch.Tensor]:
        flows = [self.flow[0](x)]
        for up, flow, skip in zip(self.up, self.flow[1:], reversed(features[:-1]), strict=True):
            larger = 2 * F.interpolate(flows[-1], scale_factor=2, mode="bilinear", align_corners=False)
            x = torch.cat([up(x), larger, skip], dim=1)
            flows.append(flow(x))
        return flows


class VideoDecoder(nn.Module):
    """RVD (Eq. 1 and 2): a motion to the flows of N frames, one after the other: at 1/8, 1/4, 1/2 and 1, each (B, N, 2, h, w)."""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        self.encoder = Pyramid(2, width)
        self.gates = _gates(scaled(CHANNELS[-1], width))
        self.decoder = FlowDecoder(width)

    def forward(self, motion: torch.Tensor, count: int) -> list[torch.Tensor]:
        batch, _, height, width = motion.shape
        flow = motion.new_zeros(batch, 2, 8 * height, 8 * width)
        state = torch.cat([torch.zeros_like(motion), motion], dim=1)
        made = []
        for _ in range(count):
            features = self.encoder(flow)
            state = remember(self.gates, features[-1], state)
            made.append(self.decoder(state.chunk(2, dim=1)[1], features))
            flow = made[-1][-1]
        return [torch.stack(scale, dim=1) for scale in zip(*made, strict=True)]


def transform(picture: torch.Tensor, flows: torch.Tensor) -> torch.Tensor:
    """T (Eq. 3): pixel p of frame n is what the picture (B, C, h, w) has at p + flow.

    flows: (B, N, 2, h, w). Returns the frames (B, N, C, h, w), float32.
    """
    height, width = picture.shape[-2:]
    rows, columns = (torch.arange(size, device=picture.device, dtype=torch.float32) for size in (height, width))
    places = flows.float() + torch.stack(torch.meshgrid(columns, rows, indexing="xy"))
    # -1 and 1 are the outer edges of the picture.
    sizes = torch.tensor([width, height], device=picture.device, dtype=torch.float32).view(2, 1, 1)
    grid = ((2 * places + 1) / sizes - 1).movedim(2, -1)
    frames = picture.float()[:, None].expand(-1, flows.shape[1], -1, -1, -1).flatten(0, 1)
    seen = F.grid_sample(frames, grid.flatten(0, 1), mode="bilinear", padding_mode="border", align_corners=False)
    return torch.unflatten(seen, 0, flows.shape[:2])
