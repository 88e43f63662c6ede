"""How long to train: the schedule of the paper, or less of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from blurbench import strict
from blurbench.errors import RecipeError
from blurbench.train.recipe import Schedule


@dataclass(frozen=True)
class Budget:
    """When a stage, or all of them, stops: after so many steps, or so many seconds; neither: the steps of the recipe."""

    steps: int | None = None
    seconds: float | None = None

    @classmethod
    def parse(cls, text: str | None) -> Budget:
        """`4000` steps, `25m` minutes, `2h` hours, None for the recipe's. Raises RecipeError."""
        if text is None:
            return cls()
        strict.require("train", "budget", text, isinstance(text, str), "text: '4000' steps, '25m' minutes or '2h' hours")
        number, unit = (text[:-1], text[-1:]) if text[-1:] in "mh" else (text, "")
        try:
            value = float(number)
        except ValueError:
            value = -1
        if not 0 < value < float("inf") or (not unit and value != int(value)):
            raise RecipeError(f"--budget is {text!r}, expected a number of steps (4000), minutes (25m) or hours (2h)")
        return cls(steps=int(value)) if not unit else cls(seconds=value * (60 if unit == "m" else 3600))

    def share(self, schedules: Sequence[Schedule]) -> list[Budget]:
        """That of each stage, in proportion to the steps of the recipe; at least one step each."""
        total = sum(schedule.steps for schedule in schedules)
        if self.seconds is not None:
            return [Budget(seconds=self.seconds * schedule.steps / total) for schedule in schedules]
        return [Budget(steps=max(1, round((self.steps or total) * schedule.steps / total))) for schedule in schedules]

    def spent(self, step: int, seconds: float) -> float:
        """The share of the budget that is used up, 1 at its end."""
        return step / self.steps if self.steps else seconds / (self.seconds or 1)
