"""Bringing Alive Blurred Moments (K. Purohit, A. Shah, A. N. Rajagopalan, CVPR 2019). The authors released no code.

As many sharp frames as asked from one blurry image, (B, 3, H, W) RGB in [0, 1], H and W multiples of 16: the deblurring module makes the
centre frame, the blurred image's encoder a motion of both, and the recurrent decoder takes from it one flow after the other, along which
the centre frame is moved (Eq. 1 to 3). The modules stand in `_purohit2019_motion` and `_purohit2019_deblur`, each with what the paper
leaves open and the choice made.

| module | parameters | |
|---|---|---|
| recurrent video encoder (RVE) | 1,665,120 | in training only, in no weights file |
| recurrent video decoder (RVD) | 1,886,068 | |
| blurred image encoder (BIE) | 2,036,992 | |
| dense deblurring module (DM) | 4,486,956 | 17.9 MB; printed: 17.9 MB |
| RVD + BIE + DM | 8,410,016 | 33.6 MB; printed: 34 MB |

Training, `training/purohit2019.toml`: `deblur`, the DM by itself; `autoencoder`, RVE and RVD learn to make a video again from its own
motion; `guided`, the BIE learns to give the RVD such a motion, while the RVD follows slowly. `--stage guided` with untrained weights as
`--start` is the direct training that the paper compares with. The BIE is trained with true centre frames, as printed, and sees deblurred
ones at test.

The decoder's step is the time between two frames of its training, and is unrolled as often as frames are asked for: another number is
another exposure, not the same in finer steps. For a single frame the deblurred one is given, for nothing says which frame the first would
be.

Any deblurring method may take the module's place: `--option deblur-with=dmphn`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import torch
from torch import nn

from blurbench import methods, running
from blurbench import weights as files
from blurbench.baselines import _purohit2019_losses as losses
from blurbench.baselines._network import as_batch, as_frames, placed
from blurbench.baselines._purohit2019_deblur import DenseDeblur
from blurbench.baselines._purohit2019_motion import CHANNELS, ImageEncoder, VideoDecoder, VideoEncoder, transform
from blurbench.baselines._width import width_of
from blurbench.errors import RecipeError
from blurbench.methods import Capabilities, Method, MethodCard, Request, Resources
from blurbench.train.recipe import Player, Stage, Training
from blurbench.types import F32, Sample
from blurbench.weights import Weights


class BlurToVideo(nn.Module):
    """The four modules. width: share of all channels, as `scaled` takes it."""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        self.video_encoder = VideoEncoder(width)
        self.decoder = VideoDecoder(width)
        self.image_encoder = ImageEncoder(width)
        self.deblur = DenseDeblur(width)

    def centre(self, blurry: torch.Tensor) -> torch.Tensor:
        """The deblurred frame, clamped to [0, 1]: the encoder has been trained on true ones."""
        frame: torch.Tensor = self.deblur(blurry)
        return frame.clamp(0, 1)

    def forward(self, blurry: torch.Tensor, count: int, centre: torch.Tensor | None = None) -> torch.Tensor:
        """(B, 3, H, W) to (B, count, 3, H, W). centre: the sharp centre frame, else the module makes it."""
        centre = self.centre(blurry) if centre is None else centre
        return transform(centre, self.decoder(self.image_encoder(blurry, centre), count)[-1])


def without_video_encoder(network: nn.Module) -> dict[str, torch.Tensor]:
    """The state without the part that is for training alone."""
    return {key: value for key, value in network.state_dict().items() if not key.startswith("video_encoder.")}


_SETTINGS = (*losses.SCALES, "smoothness")
_VIDEO = range(2, 1000)


class Purohit2019(Method):
    """The whole system with the weights of `blurbench train`, or its motion with another method's deblurred frame."""

    card: ClassVar[MethodCard] = MethodCard(
        id="purohit2019",
        title="Bringing Alive Blurred Moments",
        paper="K. Purohit, A. Shah, A. N. Rajagopalan: Bringing Alive Blurred Moments, CVPR 2019",
        licence="Apache-2.0 (re-implemented from the paper; the authors released no code)",
        citation="""@inproceedings{purohit2019bringing,
  title = {Bringing Alive Blurred Moments},
  author = {Purohit, Kuldeep and Shah, Anshul and Rajagopalan, A. N.},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)},
  year = {2019}
}""",
        training_data="averages of 9 frames of GoPro, as the recipe `gopro9` makes them; the shipped ones on rendered footage, "
        "with the photographs of BSDS500's train and val",
        weights="shipped, of a small network; the authors never released theirs",
        released="never",
    )
    capabilities: ClassVar[Capabilities] = Capabilities(multiple=16, resources=Resources(gpu=True, memory_gb=4.0))
    options: ClassVar[Mapping[str, str]] = {
        "deblur-with": "a deblurring method in place of the paper's module, as dmphn",
        "deblur-weights": "its weights, as --weights takes them",
    }
    training: ClassVar[Training] = Training(
        network=BlurToVideo,
        recipe="purohit2019",
        stages={
            "deblur": Stage(players=(Player(losses.deblurring, trains=("network.deblur",)),)),
            "autoencoder": Stage(
                players=(Player(losses.autoencoder, trains=("network.video_encoder", "network.decoder")),),
                frames=_VIDEO,
                settings=_SETTINGS,
            ),
            "guided": Stage(
                players=(Player(losses.guided, trains=("network.image_encoder", "network.decoder")),),
                frames=_VIDEO,
                settings=(*_SETTINGS, "centre"),
            ),
        },
        state=without_video_encoder,
    )

    def __init__(self, network: BlurToVideo, device: str = "cpu", deblurrer: Method | None = None) -> None:
        """deblurrer: a method that makes the centre frame; None: the network does."""
        self.network = placed(network, device)
        self.device = device
        self.deblurrer = deblurrer
        self.deblurring_network: nn.Module | None = getattr(deblurrer, "network", None)

    @classmethod
    def load(cls, weights: Path | None = None, device: str = "cpu", deblur_with: str = "", deblur_weights: str = "") -> Self:
        """From a file of `blurbench train`, of any width. deblur_with, deblur_weights: see `options`.

        Raises WeightsError, also for None where no weights are shipped; RecipeError for a method that cannot deblur one picture.
        """
        name = cls.card.id
        if weights is None:
            raise files.absent(name, f"train it (`blurbench train --method {name} --dataset DATA`)")
        state = {key: value.float() if value.is_floating_point() else value for key, value in files.read(weights).items()}
        network = BlurToVideo(width_of(state, "decoder.encoder.enter.0.weight", CHANNELS[0]))
        del network.video_encoder
        files.fit(network, state, weights)
        deblurrer = _deblurrer(deblur_with, deblur_weights, device)
        if deblurrer is not None:  # what is not used is not counted
            del network.deblur
        method = cls(network, device, deblurrer)
        own = files.describe([weights])
        method.weights = _together(own, deblurrer.weights if deblurrer else None)
        return method

    @torch.inference_mode()
    def predict(self, blurry: F32, request: Request) -> F32:
        """(1, T, H, W, 3) float32 in [0, 1], a frame for each of the request's times."""
        count = len(request.times)
        image = as_batch(blurry, self.device)
        if self.deblurrer is not None:
            centre = as_batch(_deblurred(self.deblurrer, blurry, int(request.rng.integers(2**31))), self.device)
        else:
            centre = self.network.centre(image)
        frames = centre[:, None] if count == 1 else self.network(image, count, centre)
        return as_frames(frames[0].clamp(0, 1))


def _deblurrer(name: str, weights: str, device: str) -> Method | None:
    """What replaces the module. Raises BlurbenchError for a method that is not known, lacks weights, or must see more than the blur."""
    if not name:
        if weights:
            raise RecipeError(f"option deblur-weights is {weights!r} without deblur-with, expected both; give --option deblur-with=METHOD")
        return None
    can = methods.method_class(name).capabilities
    if can.needs or can.before or can.after:
        sees = ", ".join(sorted(can.needs)) or "neighbouring exposures"
        raise RecipeError(f"option deblur-with is {name!r}, which must see {sees}, expected a method of one blurry picture, as dmphn")
    return methods.load_method(name, weights or None, device)


def _deblurred(method: Method, blurry: F32, seed: int) -> F32:
    """The centre frame (H, W, 3) that a method makes of a picture in [0, 1], which is one of 8 bits."""
    stored = np.rint(255 * blurry).astype(np.uint8)
    frames = running.predict(method, Sample("centre", "", stored, stored[None], np.array([0.5]), "pixel"), seed=seed).frames[0]
    # Copied: what another method made under inference may not be written to.
    centre: F32 = np.array(frames[len(frames) // 2], np.float32)
    return centre


def _together(own: Weights, other: Weights | None) -> Weights:
    """The weights of both, for the record: one hash over the two."""
    if other is None:
        return own
    digest = hashlib.sha256(f"{own.sha256} {other.sha256}".encode()).hexdigest()
    return Weights((*own.files, *other.files), digest, own.origin)
