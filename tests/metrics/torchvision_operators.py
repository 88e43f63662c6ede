"""Importing lpips and torchmetrics where torch is a CPU build and torchvision the registry's, which was built for CUDA."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest
import torch

_SIGNATURES = {
    "nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


def module(name: str) -> ModuleType:
    """Import a module that imports torchvision; skip where it is not installed.

    Torchvision registers shapes for two operators of a library that a CPU build of torch cannot load. Their signatures are enough
    for its import, and nothing here calls them.
    """
    pytest.importorskip(name.partition(".")[0], reason=f"{name} is not installed: pip install -e '.[test]'")
    return importlib.import_module(name)


def declare() -> None:
    """Make `import torchvision` work, if it did not."""
    try:
        importlib.import_module("torchvision")
    except ImportError:
        return
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        for operator, signature in _SIGNATURES.items():
            torch.library.define(f"torchvision::{operator}", signature)
        importlib.import_module("torchvision")


declare()
