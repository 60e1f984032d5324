"""When the validation split is measured next, so that a run measured in minutes still ends on time."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from glassgpt.train.schedule import Budget

MAX_SHARE = 0.2
"""Of a run measured in minutes, evaluation takes no more than this share."""
MARGIN = 1.2
"""So much longer than the last evaluation the one at the end may take."""


class EvalPlan:
    """Evenly spaced over a run, wider where evaluations are slow.

    >>> plan = EvalPlan(Budget(seconds=60), evals=10)
    >>> plan.next
    0.1
    >>> plan.seconds = 6.0
    >>> plan.advance(0.1)
    >>> plan.next, plan.reserved_s
    (0.5, 7.199999999999999)
    """

    def __init__(self, budget: Budget, evals: int) -> None:
        self.budget, self.evals = budget, evals
        self.seconds = 0.0
        """Duration of an evaluation, measured or guessed."""
        self.next = 1 / evals
        """The progress at which the next one is due."""
        self.measured = -1
        """The step that was measured last."""

    @property
    def reserved_s(self) -> float:
        """What is kept back of a run measured in minutes, for the evaluation at its end."""
        return MARGIN * self.seconds

    def is_due(self, step: int, progress: float) -> bool:
        """Whether this step is to be measured now."""
        return progress >= self.next and self.measured != step

    @contextmanager
    def measuring(self, step: int) -> Iterator[None]:
        """Around an evaluation: takes its time."""
        began = time.monotonic()
        yield
        self.measured, self.seconds = step, time.monotonic() - began

    def advance(self, progress: float) -> None:
        """Set the next evaluation to the first point of the grid after this progress."""
        gap = 1 / self.evals
        if self.budget.seconds is not None:
            gap = max(gap, self.seconds / MAX_SHARE / self.budget.seconds)
        self.next = min(1.0, gap * (math.floor(progress / gap + 1e-9) + 1))
