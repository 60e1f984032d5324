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
TRIAL = 8
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

    def judge(stride: int) -> Verdict:
        data.verdict_stride = stride
        return replace(data.verdict(lambda: model, course), copying=copying)

    if not plan.by_clock:
        return judge(plan.verdict_stride(trainer.clock.elapsed.trained_s))
    return _judged_in_time(judge, trainer)


def _copying(run: Run, trainer: Trainer, model: Model) -> Copying | None:
    """Measure a sample of the best step with the copying meter, if there is time, a text and the extra."""
    n_tokens = trainer.config.train.sample_tokens
    if trainer.config.task != "language" or not n_tokens:
        return None
    try:
        sample = run.samples / f"{run.best_checkpoint().name}.txt"
        seconds = copying_cost(run, trainer.task.tokenizer).seconds
        seconds += 0.0 if sample.is_file() else trainer.eval_plan.sample_s
        by_clock = trainer.eval_plan.by_clock
        left_s = COPYING_SHARE * ((trainer.left_s or 0.0) - trainer.ending.exit_s) if by_clock else COPYING_S
        if seconds > left_s:
            return None
        if sample.is_file():
            text = read_capped(sample, MAX_JSON).decode("utf-8", "replace")
        else:  # an evaluation without a sample was the best
            text = trainer.task.sample(model, n_tokens, trainer.config.train.seed)
        return CopyingMeter.open(run, trainer.task.tokenizer).measure(text)
    except UserError:  # the extra is not installed, or the disk is full
        return None


def _judged_in_time(judge: Callable[[int], Verdict], trainer: Trainer) -> Verdict:
    """Return the verdict on as large a part as the time left allows; a small part tells how long it takes."""
    plan, exit_s = trainer.eval_plan, trainer.ending.exit_s
    began = time.monotonic()
    trial = min(plan.largest_stride, TRIAL * plan.verdict_stride())
    verdict = judge(trial)
    whole_s = trial * (time.monotonic() - began)
    stride = plan.stride_for(whole_s, (trainer.left_s or 0.0) - exit_s)
    return judge(stride) if stride <= trial / 2 else verdict
