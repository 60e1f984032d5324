"""Evaluations of a run: measured on a fixed part of the validation split, within a planned time."""

from __future__ import annotations

import time

from glassgpt.interrupts import StopRequest
from glassgpt.objective import Measured
from glassgpt.tasks import TaskData
from glassgpt.train.eval_plan import STEP_PASSES, EvalPlan
from glassgpt.train.learner import Learner
from glassgpt.train.schedule import Budget
from glassgpt.units import count, duration

WARM_S = 0.5
"""A first forward pass under this is timed again: it includes the start of threads and caches."""
FEW_STEPS = 100
"""A run of minutes with fewer steps than this gets a warning."""


class Evaluator:
    """Measures the model of a run, and keeps the plan of its evaluations."""

    def __init__(self, learner: Learner, task: TaskData, budget: Budget, stop: StopRequest) -> None:
        config = learner.config
        self.learner, self.task, self.budget, self.stop = learner, task, budget, stop
        self.dist = learner.dist
        self.plan = EvalPlan(budget, config.train.evals, task.val.n_tokens, 4 * config.model.block_size)

    def prepare(self) -> list[str]:
        """Choose the part to measure, once in a run; return warnings about the time."""
        if self.budget.seconds is not None:
            self.plan.token_s, n_tokens = self._time_forward()
        else:
            n_tokens = self.learner.config.step_tokens
        self.plan.choose_part(n_tokens)
        return self._warnings(n_tokens)

    def measure(self, step: int) -> Measured | None:
        """Measure the loss on the part; None if a stop was requested meanwhile in this process.

        Every process measures its share; `Learner.add_up` adds them.
        """
        began = time.monotonic()
        measured = self.stop.unless_stopped(lambda: self.learner.measure(self.task, self.plan.stride))
        if measured is not None:
            self.plan.token_s = (time.monotonic() - began) / max(1, measured.n_tokens * self.dist.world_size)
        self.plan.measured = step
        return measured

    def sync(self, seconds: float) -> None:
        """Agree with all processes on the time of an evaluation."""
        self.plan.seconds, self.plan.token_s = self.dist.all_reduce_max(seconds, self.plan.token_s)

    def _time_forward(self) -> tuple[float, int]:
        """Return the seconds per target of a forward pass, and the targets of a training step."""
        train = self.learner.config.train
        batch = self.task.train_batch(0, train.micro_batch_size)
        seconds, n_tokens = 0.0, 1
        for _ in range(2):
            began = time.monotonic()
            measured = self.stop.unless_stopped(lambda: self.learner.measure_batches([batch]))
            seconds = time.monotonic() - began
            n_tokens = max(1, measured.n_tokens) if measured else 1
            if seconds > WARM_S:
                break
        (slowest,) = self.dist.all_reduce_max(seconds)
        return max(slowest, 1e-6) / n_tokens / self.dist.world_size, n_tokens * train.grad_accum_steps

    def _warnings(self, step_tokens: int) -> list[str]:
        """Warn where the time allows few steps."""
        if self.budget.seconds is None:
            return []
        step_s = STEP_PASSES * self.plan.token_s * step_tokens
        n_steps = int((self.budget.seconds - self.plan.reserved_s) / step_s)
        if n_steps >= FEW_STEPS:
            return []
        tokens = count(max(1, n_steps) * step_tokens)
        return [
            f"the time is short: about {max(1, n_steps)} steps ({tokens} tokens) fit into "
            f"{duration(self.budget.seconds)}. Give more `minutes`, or a smaller `size`."
        ]
