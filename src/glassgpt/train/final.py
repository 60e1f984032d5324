"""The verdict at the end: the best step, on as much of the validation split as the time allows."""

from __future__ import annotations

import math

from glassgpt.checkpoint import Run
from glassgpt.diagnose import Curve, Verdict, trend
from glassgpt.errors import UserError
from glassgpt.train.trainer import Trainer


def final_verdict(run: Run, trainer: Trainer) -> Verdict:
    """Measure the best step of a run, and compare it with the baselines on the same validation split.

    It is measured on the whole split, or on a part of it if the whole would take too much of the run's time;
    the verdict then says so. The course of the run decides the advice. Raises UserError before the first
    step.
    """
    if not trainer.step or not math.isfinite(trainer.best):
        raise UserError(f"{run.path}: no step was evaluated, so there is no verdict. Train longer.")
    data, device = trainer.task, trainer.learner.device
    data.verdict_stride = trainer.evals.verdict_stride(trainer.clock.elapsed.trained_s)
    curve = Curve.of(run.metrics(), data.tokens_per_char, data.n_train_tokens)
    return data.verdict(lambda: run.model(device), trend(curve))
