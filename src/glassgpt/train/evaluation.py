"""Evaluations of a run: measured on a fixed part of the validation split, within a planned time."""

from __future__ import annotations

import time

from glassgpt.interrupts import StopRequest
from glassgpt.objective import Measured
from glassgpt.tasks import TaskData
from glassgpt.train.ending import Ending
from glassgpt.train.eval_plan import STEP_PASSES, EvalPlan
from glassgpt.train.learner import Learner
from glassgpt.train.schedule import Budget
from glassgpt.train.shortage import check_time

SHORT_SAMPLE = 5
"""A sample this many times shorter tells how long one will take."""
SAVED_PASSES = 3
"""Time of a target whose context is measured, in those of other targets: half a window, and a whole one."""
WARM_S = 0.5
"""A first forward pass under this is timed again: it includes the start of threads and caches."""


class Evaluator:
    """Measures the model of a run, and keeps the plan of its evaluations."""

    def __init__(self, learner: Learner, task: TaskData, budget: Budget, stop: StopRequest) -> None:
        config = learner.config
        self.learner, self.task, self.stop = learner, task, stop
        self.dist = learner.dist
        self.plan = EvalPlan(
            budget.training_s(prepared_s=0, reserved_s=0),
            config.train.evals,
            task.val.n_tokens,
            4 * config.model.block_size,
            n_steps=budget.steps or 0,
            verdict_passes=task.verdict_passes,
        )
        self.ending = Ending(self.plan)
        self._step_tokens = 0

    def prepare(self) -> None:
        """Choose the part to measure, once in a run."""
        if not self.plan.by_clock:
            self.plan.choose_part(self.learner.config.step_tokens)
            return
        self.plan.token_s, self._step_tokens = self._time_forward()
        self.plan.choose_part(self._step_tokens)
        self.plan.eval_s, self.plan.sample_s = self.dist.all_reduce_max(self.plan.eval_s, self._time_sample())

    def check_time(self, prepared_s: float) -> list[str]:
        """Return warnings about a short time, after `prepare`. Raises UserError if none is left to train.

        prepared_s: seconds of the preparation.
        """
        if not self.plan.by_clock:
            return []
        step_s = STEP_PASSES * self.plan.token_s * self._step_tokens
        return check_time(self.ending, prepared_s, step_s, self._step_tokens)

    def measure(self, step: int) -> Measured | None:
        """Measure the loss on the part; None if a stop was requested meanwhile in this process.

        Every process measures its share; `Learner.add_shares` adds them.
        """
        began = time.monotonic()
        measured = self.stop.unless_stopped(lambda: self.learner.measure(self.task, self.plan.stride))
        if measured is not None:
            n_tokens = measured.n_tokens * self.dist.world_size + SAVED_PASSES * measured.n_saved
            self.plan.token_s = (time.monotonic() - began) / max(1, n_tokens)
        self.plan.last_step = step
        return measured

    def sync(self, seconds: float) -> None:
        """Agree with all processes on the time of an evaluation and a sample."""
        plan = self.plan
        plan.eval_s, plan.sample_s, plan.token_s = self.dist.all_reduce_max(
            seconds, plan.sample_s, plan.token_s
        )
        self.ending.evaluated()

    def _time_sample(self) -> float:
        """Return the seconds that a sample is expected to take, from a short one."""
        n_tokens = self.learner.config.train.sample_tokens
        if not n_tokens or not self.dist.is_main or self.task.has_answers:  # answers are short after training
            return 0.0
        n_short = -(-n_tokens // SHORT_SAMPLE)
        model = self.learner.model
        model.eval()
        seconds = 0.0
        for n in (1, n_short):  # the first one prepares what each process needs once
            began = time.monotonic()
            self.stop.unless_stopped(lambda n=n: self.task.sample(model, n, seed=0))
            seconds = time.monotonic() - began
        model.train()
        return seconds * n_tokens / n_short

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
