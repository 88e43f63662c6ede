"""A training run under way: its stages, its state on disk, and what is noted on the way."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from blurbench import methods, weights
from blurbench.errors import RecipeError
from blurbench.registry import METHODS
from blurbench.store.dataset import BlurDataset
from blurbench.train import checkpoint, validate
from blurbench.train.budget import Budget
from blurbench.train.curves import Curves
from blurbench.train.feed import Batches, loader, split_videos
from blurbench.train.leave import leave
from blurbench.train.rates import Plateau
from blurbench.train.turns import TOTAL, Diverged, Turns

if TYPE_CHECKING:
    from blurbench.train.checkpoint import Place
    from blurbench.train.plan import Plan

_LOG_EVERY = 50


@contextmanager
def _ctrl_c_sets(stop: threading.Event) -> Iterator[None]:
    """While the block runs, the first Ctrl-C sets `stop`, so that no step is left half done; the second one stops at once.

    Outside the main thread, and where the program does something else on Ctrl-C, that is left as it is.
    """
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler

    def hear(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        stop.set()

    if ours:
        signal.signal(signal.SIGINT, hear)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


class Run:
    """All that the stages share. The state is only saved between steps, for within one it is of none."""

    def __init__(
        self,
        plan: Plan,
        place: Place,
        fabric: Any,
        network: nn.Module,
        progress: Callable[[float, int, float, int], None],
        note: Callable[[str], None],
    ) -> None:
        """network: that of the plan."""
        self.plan, self.place, self.fabric, self.progress, self.note = plan, place, fabric, progress, note
        self.learn, self.held = split_videos(plan.data)
        can = plan.cls.capabilities
        scored = fabric.global_rank == 0 and any(plan.recipe.stages[name].protocol for name in plan.stages)
        self.scored = validate.Held(plan.data, self.held, can.before, can.after) if scored else None
        self.curves: Curves | None = None
        self.step, self.seconds, self.done, self.best = 0, 0.0, 0, math.nan
        self.owed: float | None = None  # the rate of a step whose validation is still to be made
        self.code = (place.card() or {}).get("code") or METHODS.code(plan.cls)  # of the beginning
        self.saved = time.perf_counter()
        self.stop = threading.Event()
        self.stopped = False
        self.validated_by = ""
        self.plateau = Plateau(0)
        # Layout as the convolutions of a CPU with AVX-512 want it.
        self.networks = nn.ModuleDict({"network": network.to(memory_format=torch.channels_last)})  # type: ignore[call-overload]
        # Asked before the first stage, for each stage freezes what it does not train.
        self.constants = frozenset(name for name, value in self.networks.named_parameters() if not value.requires_grad)
        self.turns: Turns | None = None
        self.stage = plan.stages[0]

    def all(self, budgets: list[Budget]) -> None:
        """Every stage from where the run stopped."""
        card = self.place.card()
        at = self.plan.stages.index(card["stage"]) if card else 0
        self._open_curves(card)
        try:
            with _ctrl_c_sets(self.stop):
                for number, (name, budget) in enumerate(zip(self.plan.stages, budgets, strict=True)):
                    if number >= at and not self._one(name, budget, card if number == at else None):
                        self.stopped = True
                        break
        finally:
            if self.curves:
                self.curves.close()

    def exported(self) -> dict[str, torch.Tensor]:
        """What goes into a weights file."""
        return self.plan.training.exported(self.networks["network"])

    def _one(self, name: str, budget: Budget, card: Mapping[str, Any] | None) -> bool:
        """One stage; False when the person stopped it."""
        stage, schedule = self.plan.training.stages[name], self.plan.recipe.stages[name]
        self.stage, self.step, self.best, self.plateau = name, 0, math.nan, Plateau(schedule.patience)
        self.validated_by = f"{schedule.protocol} {schedule.score}" if schedule.protocol else "loss"
        self._build(name)
        if stage.prepare and not card:
            stage.prepare(self.networks)  # type: ignore[arg-type]
        self.turns = Turns(self.fabric, self.networks, stage, schedule, self.constants)
        began = 0.0
        if card:
            checkpoint.restore(self.place.state, self.networks, [each.optimizer for each in self.turns.optimisers])
            self.step, self.done, self.best = card["step"], card["done"], math.nan if card["best"] is None else card["best"]
            self.seconds, began, self.owed = card["seconds"], card["began"], card["owed"]
            self.plateau = Plateau(schedule.patience, *card["plateau"])
        else:
            began = self.seconds
            if self.fabric.global_rank == 0:
                self.place.best.unlink(missing_ok=True)
        try:
            finished = self._loop(budget, began)
        except Diverged as error:
            raise Diverged(f"{error}; {self._left()}; {self._mend()}") from error
        # Without `best` it is kept already: the stage behind had begun, and removed that.
        if finished and len(self.plan.stages) > 1 and self.fabric.global_rank == 0 and self.place.best.is_file():
            leave(self, self.place.stage(name))
        return finished

    def _left(self) -> str:
        """What there is after a step that came to nothing; the best weights so far are written."""
        left = []
        if self.place.best.is_file():
            if self.fabric.global_rank == 0:
                leave(self, self.place.out)
            left.append(f"{self.place.out} holds the best weights before")
        elif (at := self.plan.stages.index(self.stage)) and (kept := self.place.stage(self.plan.stages[at - 1])).is_file():
            left.append(f"{kept} holds the best of the stage before")
        if self.place.state.is_file():
            last = weights.card(self.place.state)
            left.append(f"{self.place.state} stays as of step {last['step']} of stage {last['stage']!r}")
        return ", ".join(left) or "nothing was saved before"

    def _mend(self) -> str:
        other = " or with --precision float32" if self.plan.precision != "float32" else ""
        lower = f"with a lower learning_rate in a copy of {self.plan.recipe.path} given by --recipe"
        return f"train again into another --out, {lower}{other}"

    def _build(self, name: str) -> None:
        torch.manual_seed(self.plan.seed)
        helpers = self.plan.training.stages[name].helpers.items()
        made = {key: factory(**self.plan.recipe.helpers.get(key, {})) for key, factory in helpers}
        self.networks = nn.ModuleDict({"network": self.networks["network"], **made})

    def _loop(self, budget: Budget, began: float) -> bool:
        """The steps that are left of a stage; False when the person stopped it."""
        assert self.turns is not None
        stage, schedule = self.plan.training.stages[self.stage], self.plan.recipe.stages[self.stage]
        seed = self.plan.seed
        near = self.plan.training.before, self.plan.training.after
        data = BlurDataset(self.plan.data, "train", schedule.crop, seed, self.learn, schedule.augmentation, stage.extras, *near)
        held = BlurDataset(self.plan.data, "train", schedule.crop, seed + 1, self.held, schedule.augmentation, stage.extras, *near)
        crops = Batches(self.step, schedule.batch, self.fabric.global_rank, self.fabric.world_size)
        batches = loader(data, crops, self.place.workers, pinned=self.fabric.device.type == "cuda")
        clock, smooth = time.perf_counter() - self.seconds, math.nan
        self._validate_owed(held, began)
        while (share := self._share(budget, began)) < 1:
            rate = self.turns.rate(share, self.plateau.lowered)
            # Each step seeds its own draws, so a state holds no generator, and the devices draw differently.
            torch.manual_seed(((seed * 1_000_003 + self.step) * 4096 + self.fabric.global_rank) % 2**63)
            batch = self.fabric.to_device(next(batches))
            terms = self.turns.step(batch, self.step)
            self.step, self.done = self.step + 1, self.done + 1
            self.seconds = time.perf_counter() - clock
            now = self._share(budget, began)
            due = math.floor(now * schedule.validations + 1e-9) > math.floor(share * schedule.validations + 1e-9) or now >= 1
            logged = self.step % _LOG_EVERY == 0 or due or self.step == 1
            if logged or math.isnan(smooth):  # the latter behind a resume, which adds no row
                values = {key: float(value) for key, value in terms.items()}
                if TOTAL in values:  # the last player need not act in every step
                    smooth = values[TOTAL] if math.isnan(smooth) else 0.5 * smooth + 0.5 * values[TOTAL]
                if logged:
                    self._log(rate, values)
            self.owed = rate if due else None
            self._validate_owed(held, began)
            self.progress(now, self.step, smooth, schedule.batch)
            stopped = self._stopped()
            if stopped or time.perf_counter() - self.saved >= self.place.save_seconds:
                self._save(began)
            if stopped:
                return False
        return True

    def _stopped(self) -> bool:
        """Whether Ctrl-C was pressed. Not every device need hear it; all stop at the same step."""
        heard = self.stop.is_set()
        return bool(self.fabric.all_reduce(float(heard)) > 0) if self.fabric.world_size > 1 else heard

    def _share(self, budget: Budget, began: float) -> float:
        seconds = self.seconds - began
        # The clocks of several devices differ; that of the first counts.
        return budget.spent(self.step, seconds if budget.steps else float(self.fabric.broadcast(seconds)))

    def _validate_owed(self, held: BlurDataset, began: float) -> None:
        """The validation that is due, if any; the state is saved before it too, so that a run that ends within makes it up."""
        if self.owed is None:
            return
        self._save(began)
        self._validate(held, self.owed)
        self.owed = None
        self._save(began)

    def _validate(self, held: BlurDataset, rate: float) -> None:
        """Score, keep the weights if they are the best so far, and let a plateau lower the rate.

        Raises RecipeError for a column that no sample fills.
        """
        schedule = self.plan.recipe.stages[self.stage]
        value, better = math.nan, False
        if self.fabric.global_rank == 0:
            candidate = self.place.folder / "candidate.safetensors"
            card = {**self.plan.about(), "stage": self.stage, "step": self.step}
            if self.scored and schedule.protocol:
                checkpoint.put(candidate, weights.packed(self.exported(), card))
                options = methods.of_load(self.plan.cls, self.plan.options)
                method = methods.load_method(self.plan.method, candidate, str(self.fabric.device), options)
                value = self.scored.mean(method, schedule.protocol, schedule.score)
                candidate.unlink()
                higher = validate.column_of(schedule.protocol, schedule.score)[1].better == "higher"
            else:
                value, higher = self._loss(held), False
            better = math.isnan(self.best) or (value > self.best if higher else value < self.best)
            if better:
                checkpoint.put(self.place.best, weights.packed(self.exported(), {**card, "validation": value}))
        value, better = self.fabric.broadcast((value, better))
        if schedule.protocol and math.isnan(value):
            raise RecipeError(
                f"{self.plan.recipe.path}: stage {self.stage!r} is validated by {schedule.protocol} {schedule.score}, which is empty for "
                f"{self.plan.method} on all held-out samples; expected a column that it fills (a method of one frame: psnr-centre)"
            )
        self.best = value if better else self.best
        self.plateau.see(better)
        self._log(rate, {"validation": value})

    @torch.no_grad()
    def _loss(self, held: BlurDataset) -> float:
        """The mean loss of the last player over held-out crops, in evaluation mode."""
        assert self.turns is not None
        losses, total, count = self.turns.losses, 0.0, 0
        self.networks.eval()
        torch.manual_seed(self.plan.seed)
        for batch in validate.batches(held, self.plan.recipe.stages[self.stage].batch):
            size = len(batch["blurry"])
            with self.fabric.autocast():
                terms = losses(self.fabric.to_device(batch), len(losses.stage.players) - 1)
            total, count = total + size * sum(float(value) for value in terms.values()), count + size
        self.turns.train()
        return total / count

    def _save(self, began: float) -> None:
        if self.fabric.global_rank == 0 and self.turns is not None:
            card = {
                "stage": self.stage,
                "step": self.step,
                "done": self.done,
                "seconds": self.seconds,
                "began": began,
                "best": None if math.isnan(self.best) else self.best,
                "plateau": [self.plateau.waited, self.plateau.lowered],
                "owed": self.owed,
                "settings": self.plan.settings(),
                "code": self.code,
            }
            checkpoint.write(self.place.state, self.networks, [each.optimizer for each in self.turns.optimisers], card)
        self.saved = time.perf_counter()

    def _open_curves(self, card: Mapping[str, Any] | None) -> None:
        if self.fabric.global_rank:
            return
        stages = self.plan.stages
        at = (stages.index(card["stage"]), card["step"]) if card else (0, 0)
        owed = card is not None and card["owed"] is not None

        def known(stage: str, step: int, term: str) -> bool:
            here = (stages.index(stage), step) if stage in stages else (len(stages), 0)
            return here < at or (here == at and not (owed and term == "validation"))

        words = {name: validate.validated_by(self.plan.recipe.stages[name]) for name in stages}
        self.curves = Curves(self.place.folder, known, self.note, card["done"] if card else 0, words)

    def _log(self, rate: float, terms: Mapping[str, float]) -> None:
        if self.curves:
            self.curves.add(self.stage, self.step, self.done, self.seconds, rate, terms)
