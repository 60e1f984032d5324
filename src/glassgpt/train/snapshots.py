"""An observer that keeps the weights at several steps of a training."""

from __future__ import annotations

import math
from collections.abc import Sequence

from glassgpt.checkpoint import Run, remove_snapshot, save_snapshot, snapshot_steps, weights
from glassgpt.models import Model
from glassgpt.train.events import Evaluated
from glassgpt.train.observers import Observer

GROWTH = 1.25
"""A snapshot is due after a quarter more steps: learning is fast at first."""


class Snapshots(Observer):
    """Keeps up to n snapshots, spread over the logarithm of the step: the first, the newest, some between."""

    def __init__(self, run: Run, n: int) -> None:
        self.run, self.n = run, n
        self.steps: list[int] | None = None

    def on_gradients(self, step: int, model: Model) -> None:
        """Save the weights before the first step; forget what a resumed run will do again."""
        if self.steps is not None:
            return
        found = snapshot_steps(self.run)
        for later in [each for each in found if each >= step]:
            remove_snapshot(self.run, later)
        self.steps = [each for each in found if each < step]
        if step == 1:
            self._save(0, model)

    def on_update(self, step: int, model: Model) -> None:
        """Save the weights if a snapshot is due."""
        if self.steps is not None and step >= (self.steps[-1] if self.steps else 0) * GROWTH:
            self._save(step, model)

    def on_evaluation(self, event: Evaluated, model: Model) -> None:
        """Save the weights whose loss was measured, the last ones included."""
        if self.steps is not None:
            self._save(event.step, model)

    def _save(self, step: int, model: Model) -> None:
        assert self.steps is not None
        if step in self.steps:
            return
        save_snapshot(self.run, step, weights(model))
        self.steps.append(step)
        while len(self.steps) > self.n:
            remove_snapshot(self.run, self.steps.pop(least_needed(self.steps)))


def least_needed(steps: Sequence[int]) -> int:
    """Return the index of the step whose neighbours are closest, by ratio; not the first or last of several.

    >>> least_needed([0, 1, 2, 3, 8, 16])
    2
    """
    if len(steps) < 3:
        return 0
    gaps = [math.log((after + 1) / (before + 1)) for before, after in zip(steps, steps[2:], strict=False)]
    return 1 + gaps.index(min(gaps))
