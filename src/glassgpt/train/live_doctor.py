"""The doctor during training: an observer with cheap checks of gradients, updates and losses.

    for event in start(config, observers=[LiveDoctor()]).run():
        print(event)

A problem is a warning on the display and a line in metrics.jsonl, once per cause. Gradients and updates are
looked at in a few steps only, and never for more than MAX_SHARE of the time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from glassgpt.doctor import category_of
from glassgpt.language import N_
from glassgpt.models import Model
from glassgpt.train.events import Evaluated, Event, StepDone, Warned
from glassgpt.train.observers import Observer

EVERY = 100
"""Steps between two looks at the gradients and the update."""
FIRST = (3, 10, 30)
"""Early steps that are looked at, too: most mistakes show at once."""
SETTLED = 30
"""Step from which updates are small next to the weights; matrices may begin at zero."""
MAX_SHARE = 0.02
"""Share of the time for looking."""
MAX_UPDATE = 0.3
"""Update relative to the weights of a matrix, per step."""
RISE_NATS = 0.5
"""Rise of the smoothed training loss over its minimum that is no noise, in nats per token."""
SMOOTHING = 0.95
RISES = 3
"""Evaluations in a row above the best that show overfitting."""


@dataclass(frozen=True)
class Diagnosed(Event):
    """A problem that the doctor saw during training."""

    kind = "doctor"
    step: int
    category: str
    cause: str
    observed: float

    def figures(self) -> dict[str, float]:
        """Return the observed number under its category."""
        return {f"doctor/{self.category}": self.observed}


class LiveDoctor(Observer):
    """Watches a training and names what goes wrong, once per cause."""

    def __init__(self) -> None:
        self.seconds = 0.0  # spent looking
        self._began = time.monotonic()
        self._named: set[str] = set()
        self._waiting: list[Event] = []
        self._before: dict[str, Tensor] = {}
        self._reached: set[str] = set()
        self._loss = self._low = math.nan
        self._best, self._rises, self._best_step = math.inf, 0, 0
        self._n_steps = 0

    def on_gradients(self, step: int, model: Model) -> Iterator[Event]:
        """See which parameters have a gradient, and keep the weights for the update."""
        yield from self._waiting
        self._waiting, self._before = [], {}
        if not self._is_due(step):
            return
        began = time.monotonic()
        learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self._reached |= {name for name, p in learning.items() if p.grad is not None}
        self._before = {name: p.detach().clone() for name, p in learning.items() if p.ndim == 2}
        missed = [name for name in learning if name not in self._reached]
        self.seconds += time.monotonic() - began
        if missed and step > FIRST[0]:
            yield from self._name(
                step,
                category_of(missed[0]),
                N_("{name} has had no gradient", name=missed[0]),
                len(missed),
                N_("look for detach(), no_grad() or a part that is not used"),
            )

    def on_update(self, step: int, model: Model) -> Iterator[Event]:
        """Compare the weights with those before the update."""
        if not self._before:
            return
        began = time.monotonic()
        ratios = {
            name: float((p.detach() - self._before[name]).norm() / self._before[name].norm())
            for name, p in model.named_parameters()
            if name in self._before and p.numel() and self._before[name].any()
        }
        self._before = {}
        self.seconds += time.monotonic() - began
        worst = max(ratios, key=ratios.__getitem__, default="")
        if ratios and ratios[worst] > MAX_UPDATE and step >= SETTLED:
            yield from self._name(
                step,
                "optimizer",
                N_("one step changes {name} by {share:.0%}", name=worst, share=ratios[worst]),
                ratios[worst],
                N_("lower `lr` and `muon_lr`"),
            )

    def on_event(self, event: Event) -> None:
        """Follow the smoothed training loss. The next step reports: no observer sees answers to events."""
        if not isinstance(event, StepDone) or not math.isfinite(event.loss):
            return
        self._n_steps += 1
        before = event.loss if math.isnan(self._loss) else self._loss
        smooth = self._loss = SMOOTHING * before + (1 - SMOOTHING) * event.loss
        if self._n_steps * (1 - SMOOTHING) < 1:
            return
        self._low = smooth if math.isnan(self._low) else min(self._low, smooth)
        if smooth > self._low + RISE_NATS:
            self._waiting += self._name(
                event.step,
                "learning",
                N_("the training loss rose from {low:.3f} to {last:.3f}", low=self._low, last=smooth),
                smooth - self._low,
                N_("lower `lr` and `muon_lr`"),
            )

    def on_evaluation(self, event: Evaluated, model: Model) -> Iterator[Event]:
        """Count evaluations above the best."""
        if event.nats_per_char < self._best:
            self._best, self._best_step, self._rises = event.nats_per_char, event.step, 0
            return
        self._rises += 1
        if self._rises == RISES and event.nats_per_char > 1.01 * self._best:
            yield from self._name(
                event.step,
                "outcome",
                N_("overfitting since step {step}", step=self._best_step),
                event.nats_per_char - self._best,
                N_("give more text, raise `dropout` or `weight_decay`, or take a smaller model"),
            )

    def _is_due(self, step: int) -> bool:
        cheap = self.seconds <= MAX_SHARE * (time.monotonic() - self._began)
        return cheap and (step in FIRST or step % EVERY == 0)

    def _name(self, step: int, category: str, cause: str, observed: float, advice: str) -> Iterator[Event]:
        """Report a problem, the first time in its category."""
        if category in self._named:
            return
        self._named.add(category)
        yield Diagnosed(step, category, cause, observed)
        yield Warned(
            N_("doctor: step {step}: {cause}. Remedy: {advice}.", step=step, cause=cause, advice=advice)
        )
