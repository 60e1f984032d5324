"""Evaluation times, planned so that a run of minutes ends on time."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from glassgpt.train.schedule import Budget

MAX_SHARE = 0.2
"""Largest share of a run measured in minutes that evaluations take."""
MARGIN = 1.2
"""Time kept for the last evaluation, as a multiple of the one before."""


class EvalPlan:
    """Evaluations evenly spaced over a run, less often if they are slow.

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
        """Seconds that one evaluation takes, measured or estimated."""
        self.next = 1 / evals
        """Progress (0 to 1) at which the next evaluation is due."""
        self.measured = -1
        """Step of the last evaluation."""

    @property
    def reserved_s(self) -> float:
        """Seconds kept for the last evaluation of a run measured in minutes."""
        return MARGIN * self.seconds

    def is_due(self, step: int, progress: float) -> bool:
        """Return True if this step is to be evaluated now."""
        return progress >= self.next and self.measured != step

    @contextmanager
    def measuring(self, step: int) -> Iterator[None]:
        """Time the evaluation in this context."""
        began = time.monotonic()
        yield
        self.measured, self.seconds = step, time.monotonic() - began

    def advance(self, progress: float) -> None:
        """Set the next evaluation to the first point of the grid after this progress."""
        gap = 1 / self.evals
        if self.budget.seconds is not None:
            gap = max(gap, self.seconds / MAX_SHARE / self.budget.seconds)
        self.next = min(1.0, gap * (math.floor(progress / gap + 1e-9) + 1))
