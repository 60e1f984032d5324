"""The end of a run by the clock: the seconds to keep for it, measured while the run goes on."""

from __future__ import annotations

from collections import deque
from statistics import median

from glassgpt.train.eval_plan import EvalPlan

RECENT = 9
"""Latest steps; their median is the speed of the machine as it is now."""
MARGIN = 1.2
"""Time kept for the last evaluation and its save, as a multiple of their estimate."""
EXIT_S = 0.5
"""Seconds to load the best step, to print, and to end the process; twice that on a loaded machine."""
FIRST_SAVE_S = 0.25
"""Seconds of a save before one was measured."""
MAX_SLOWDOWN = 3.0
"""Largest factor by which slower steps raise the estimates."""
MAX_SHARE = 0.5
"""Largest share of the time after the preparation that is kept for the end."""


class Ending:
    """Seconds that the last evaluation, its save, the verdict and the exit will take.

    An evaluation and a save are measured each time. In between, steps that have become slower (a busy
    neighbor, a hot machine) raise the estimates.

    >>> plan = EvalPlan(time_s=60, n_evals=10, n_tokens=50_000)
    >>> plan.token_s, plan.eval_s = 1 / 100_000, 0.5
    >>> ending = Ending(plan)
    >>> round(ending.reserved_s, 2)  # 0.9 to evaluate and save, 1.0 for the verdict, 0.5 to exit
    2.4
    >>> for seconds in [0.1] * 9 + [0.2] * 9:
    ...     ending.add_step(seconds)
    >>> round(ending.slowdown, 2), round(ending.reserved_s, 2)  # and half a step
    (2.0, 4.9)
    """

    def __init__(self, plan: EvalPlan) -> None:
        self.plan = plan
        self.save_s = FIRST_SAVE_S
        """Seconds that the last save took."""
        self._steps: deque[float] = deque(maxlen=RECENT)
        self._usual_s = 0.0  # of a step when the evaluation was measured

    def add_step(self, seconds: float) -> None:
        """Note the time of a step."""
        self._steps.append(seconds)
        if not self._usual_s and len(self._steps) == RECENT:
            self._usual_s = median(self._steps)

    def evaluated(self) -> None:
        """Note that the plan's times were measured just now."""
        self._usual_s = median(self._steps) if len(self._steps) == RECENT else 0.0

    @property
    def slowdown(self) -> float:
        """Time of a step now, as a multiple of its time at the last evaluation; 1 or more."""
        if not self._usual_s:
            return 1.0
        return min(max(1.0, median(self._steps) / self._usual_s), MAX_SLOWDOWN)

    @property
    def exit_s(self) -> float:
        """Seconds between verdict and end of the process."""
        return EXIT_S * self.slowdown

    @property
    def needed_s(self) -> float:
        """Seconds that the end takes; 0 in a run of steps."""
        if not self.plan.by_clock:
            return 0.0
        half_step_s = median(self._steps) / 2 if self._steps else 0.0  # the last step ends late or early
        once_s = self.plan.eval_s + self.plan.sample_s + self.save_s
        measured_s = MARGIN * once_s + self.plan.verdict_s()
        return self.slowdown * measured_s + self.exit_s + half_step_s

    @property
    def reserved_s(self) -> float:
        """Seconds to keep for the end."""
        return min(self.needed_s, MAX_SHARE * max(0.0, self.plan.time_s))
