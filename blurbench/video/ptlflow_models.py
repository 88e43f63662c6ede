"""Optical flow by the models of ptlflow (RAFT and some fifty others): `ptlflow:MODEL` or `ptlflow:MODEL@CHECKPOINT`.

CHECKPOINT is one of the names that ptlflow has for the model, by default `sintel` as in Zhong et al. (ECCV 2022), or a file. ptlflow is not
a dependency of blurbench: it is imported here, at first use, takes seconds to import and prints while it does.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import sys
from typing import Any

import numpy as np

from blurbench.device import exact
from blurbench.errors import BrokenPluginError, UnknownNameError, WeightsError
from blurbench.types import F32, U8

PREFIX = "ptlflow:"
CHECKPOINT = "sintel"


class PtlFlow:
    """One model with its weights, on a GPU when there is one."""

    def __init__(self, name: str) -> None:
        """name: with the prefix. Raises BrokenPluginError without ptlflow, UnknownNameError, WeightsError when weights cannot be had."""
        import torch

        self.name = name
        ptlflow = _import(name)
        model, _, self._checkpoint = name.removeprefix(PREFIX).partition("@")
        self._checkpoint = self._checkpoint or CHECKPOINT
        if model not in (known := ptlflow.get_model_names()):
            raise UnknownNameError("ptlflow model", model, known)
        try:
            with contextlib.redirect_stdout(sys.stderr):
                self._model = ptlflow.get_model(model, ckpt_path=self._checkpoint)
        except (OSError, ValueError, RuntimeError) as error:
            raise WeightsError(
                f"weights {self._checkpoint!r} of {PREFIX}{model} cannot be had ({' '.join(str(error).split())[:200]}); "
                f"expected a name that ptlflow knows and can download, or a file: {PREFIX}{model}@FILE.ckpt"
            ) from error
        self._version = str(ptlflow.__version__)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model = self._model.to(self._device).eval()

    def facts(self) -> dict[str, Any]:
        """Name, version, hash of the weights as they are in memory, how pictures are given."""
        digest = hashlib.sha256()
        for key, value in sorted(self._model.state_dict().items()):
            digest.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(np.ascontiguousarray(value.cpu().numpy()).data)
        return {
            "model": self.name.partition("@")[0],
            "checkpoint": self._checkpoint,
            "weights": digest.hexdigest(),
            "input": "BGR in [0, 1]; the model normalises it",
            "ptlflow": self._version,
        }

    def between(self, a: U8, b: U8) -> F32:
        """(H, W, 2) float32: where each pixel of `a` is in `b`, as (x right, y down) pixels. a, b: (H, W, 3) uint8 RGB."""
        import torch

        pictures = np.ascontiguousarray(np.stack([a, b])[..., ::-1].transpose(0, 3, 1, 2))
        with torch.inference_mode(), exact(self._device.type):
            given = torch.from_numpy(pictures).to(self._device).float().div_(255)[None]
            flow = self._model({"images": given})["flows"][0, 0]
        return np.ascontiguousarray(flow.float().cpu().numpy().transpose(1, 2, 0))


def _import(name: str) -> Any:
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return importlib.import_module("ptlflow")
    except ImportError as error:
        reason = "is not installed" if error.name == "ptlflow" else f"cannot be imported ({error})"
        raise BrokenPluginError(
            f"flow model {name!r} needs ptlflow, which {reason}; pip install 'ptlflow>=0.4.2' 'opencv-python<5', or take dis-medium"
        ) from error
