"""blurbench: the benchmark of blur decomposition and motion deblurring.

The public functions below are loaded on first use, so that `import blurbench` stays light.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "make_dataset": "blurbench.synth.pipeline",
    "train": "blurbench.train",
    "evaluate": "blurbench.run.evaluate",
    "predict_images": "blurbench.run.predict",
    "predict_dataset": "blurbench.run.runner",
    "score": "blurbench.run.score",
    "animate": "blurbench.run.animate",
    "leaderboard": "blurbench.report.table",
    "load_method": "blurbench.methods",
    "open_dataset": "blurbench.store.reader",
}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        module = import_module(_PUBLIC[name])
        return getattr(module, name, module)  # `train` is a package that can be called
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
