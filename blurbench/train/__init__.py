"""Training a method on a made data set.

`blurbench.train(…)` is the command as a function, `blurbench.train.losses` a module, and Python has one name for both: the package can be
called, and passes everything on to `trainer.train`.
"""

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    def __call__(self, *arguments: Any, **named: Any) -> Any:
        from blurbench.train.trainer import train

        return train(*arguments, **named)


sys.modules[__name__].__class__ = _Callable
