"""The verdict at the end: the best step, on as much of the validation split as the time allows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache

from glassgpt.checkpoint import Run
from glassgpt.device import autocast
from glassgpt.diagnose import Score, Verdict
from glassgpt.errors import UserError
from glassgpt.models import Model
from glassgpt.objective import evaluate
from glassgpt.tasks import TaskData
from glassgpt.train.trainer import Trainer
from glassgpt.units import count


def final_verdict(run: Run, trainer: Trainer) -> Verdict:
    """Compare the best step of a run with the baselines on its validation split.

    It is measured on the whole split, or on a part of it if the whole would take too much of the run's time;
    the sentence then says so. Raises UserError before the first step.
    """
    if not trainer.step or not math.isfinite(trainer.best):
        raise UserError(f"{run.path}: no step was evaluated, so there is no verdict. Train longer.")
    data, device = trainer.task, trainer.learner.device
    best = cache(lambda: run.model(device))  # loaded once, if at all
    data.verdict_stride = trainer.evals.verdict_stride(trainer.elapsed_s)
    score = _score(trainer, best)
    verdict = data.verdict(score, best)
    return replace(verdict, sentence=verdict.sentence + _part(data, score))


def _score(trainer: Trainer, best: Callable[[], Model]) -> Score:
    """Return the loss of the best step on the part that the verdict measures."""
    data, val, learner = trainer.task, trainer.task.val, trainer.learner
    share, nats = 1.0, trainer.best * val.n_chars
    if data.verdict_stride > 1 or trainer.evals.stride > 1:  # else training has measured it
        with autocast(learner.device, learner.dtype):
            measured = evaluate(best(), data.eval_part(data.verdict_stride))
        share, nats = measured.n_tokens / val.n_tokens, measured.nats
    return Score("this model", nats, round(share * val.n_chars), round(share * val.n_bytes))


def _part(data: TaskData, score: Score) -> str:
    """Return a sentence about the part of the split that was measured; empty for the whole."""
    if data.verdict_stride == 1:
        return ""
    n, n_all = count(score.n_chars), count(data.val.n_chars)
    return f" To end on time, it was measured on {n} of the {n_all} held-out characters, spread evenly."
