"""The verdict at the end: the best step, on as much of the validation split as the time allows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace

from glassgpt.checkpoint import Run
from glassgpt.diagnose import Copying, Curve, Verdict, trend
from glassgpt.errors import UserError
from glassgpt.models import Model
from glassgpt.safe_io import MAX_JSON, read_capped
from glassgpt.tasks import CopyingMeter, copying_cost
from glassgpt.train.trainer import Trainer

COPYING_SHARE = 0.25
"""Largest share of the time left for the copying meter of a run by the clock."""
COPYING_S = 10.0
"""Largest expected time of the copying meter in a run of steps."""
TRIAL_STRIDE = 8
"""A verdict by the clock first measures a part this many times smaller than planned."""


def final_verdict(run: Run, trainer: Trainer) -> Verdict:
    """Measure the best step of a run, and compare it with the baselines on the same validation split.

    It is measured on the whole split, or on a part of it if the whole would take too much of the run's time;
    the verdict then says so. The course of the run decides the advice. Raises UserError before the first
    step.
    """
    if not trainer.step or not math.isfinite(trainer.best):
        raise UserError("{path}: no step was evaluated, so there is no verdict. Train longer.", path=run.path)
    data, plan = trainer.task, trainer.eval_plan
    model = run.model(trainer.learner.device)
    copying = _copying(run, trainer, model)
    course = trend(Curve.of(run.metrics(), data.tokens_per_char, data.n_train_tokens))

    def verdict_on(stride: int) -> Verdict:
        data.verdict_stride = stride
        return replace(data.verdict(lambda: model, course), copying=copying)

    if not plan.by_clock:
        return verdict_on(plan.verdict_stride(trainer.clock.elapsed.trained_s))
    return _in_time(verdict_on, trainer)


def _copying(run: Run, trainer: Trainer, model: Model) -> Copying | None:
    """Measure a sample of the best step with the copying meter, if there is time, a text and the extra."""
    n_tokens = trainer.config.train.sample_tokens
    if trainer.config.task != "language" or not n_tokens:
        return None
    try:
        sample = run.samples / f"{run.best_checkpoint().name}.txt"
        sample_s = 0.0 if sample.is_file() else trainer.eval_plan.sample_s
        if sample_s + copying_cost(run, trainer.task.tokenizer).seconds > _copying_limit_s(trainer):
            return None
        if sample.is_file():
            text = read_capped(sample, MAX_JSON).decode("utf-8", "replace")
        else:  # an evaluation without a sample was the best
            text = trainer.task.sample(model, n_tokens, trainer.config.train.seed)
        return CopyingMeter.open(run, trainer.task.tokenizer).measure(text)
    except UserError:  # the extra is not installed, or the disk is full
        return None


def _copying_limit_s(trainer: Trainer) -> float:
    """Return the seconds that the copying meter may take."""
    if not trainer.eval_plan.by_clock:
        return COPYING_S
    return COPYING_SHARE * (_left_s(trainer) - trainer.ending.exit_s)


def _left_s(trainer: Trainer) -> float:
    """Return the seconds that are left of a run by the clock."""
    return max(0.0, trainer.budget.left_s(trainer.clock.elapsed))


def _in_time(verdict_on: Callable[[int], Verdict], trainer: Trainer) -> Verdict:
    """Return the verdict on as large a part as the time left allows; a small part tells how long it takes.

    verdict_on: measures each n-th part of the validation split.
    """
    plan, exit_s = trainer.eval_plan, trainer.ending.exit_s
    began = time.monotonic()
    trial = min(plan.largest_stride, TRIAL_STRIDE * plan.verdict_stride())
    verdict = verdict_on(trial)
    whole_s = trial * (time.monotonic() - began)
    stride = plan.stride_for(whole_s, _left_s(trainer) - exit_s)
    return verdict_on(stride) if stride <= trial / 2 else verdict
