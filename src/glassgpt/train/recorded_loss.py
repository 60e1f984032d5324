"""Check of the saved weights: they have the held-out loss that the run recorded for their step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from glassgpt.checkpoint import Run, TrainState
from glassgpt.doctor import Problem, RunCheck, Skip
from glassgpt.errors import UserError
from glassgpt.language import N_
from glassgpt.objective import Measured
from glassgpt.tasks import TaskData
from glassgpt.train.learner import Learner

MAX_TOKENS = 16_384
"""Held-out targets that are measured again, about."""
TOLERANCE = 0.02
"""Difference that another device or precision explains, as a share of the loss."""
NOISE = 5.0
"""Standard errors of a part of the batches that count as chance."""


@dataclass(frozen=True)
class RecordedLoss:
    """The held-out loss of a run's best step as recorded, and as its weights have it now, in nats per target.

    error: standard error of `measured`; 0 if it was measured on the same batches.
    """

    recorded: float
    measured: float
    error: float

    @property
    def agrees(self) -> bool:
        """True if the difference is rounding or chance."""
        return abs(self.measured - self.recorded) <= TOLERANCE * self.recorded + NOISE * self.error

    @classmethod
    def of(cls, run: Run, learner: Learner, data: TaskData) -> RecordedLoss:
        """Measure the best step again. Raises Skip if nothing was recorded for it."""
        step = run.best_checkpoint()
        try:
            state = TrainState.read(step)
        except UserError as error:
            raise Skip(N_("the run has no evaluations")) from error
        row = _evaluation(run, state.step)
        n_tokens = row.get("n_tokens") or MAX_TOKENS
        every = max(1, math.ceil(n_tokens / MAX_TOKENS))
        measured = learner.measure_each(islice(data.eval_part(state.eval_stride), 0, None, every))
        mean = sum(each.nats for each in measured) / sum(each.n_tokens for each in measured)
        return cls(float(row["nats_per_token"]), mean, 0.0 if every == 1 else _error(measured, mean))


def _evaluation(run: Run, step: int) -> dict[str, Any]:
    """Return the last recorded evaluation of a step. Raises Skip without one."""
    rows = [row for row in run.metrics() if row.get("event") == "eval" and row.get("step") == step]
    if not rows or not isinstance(rows[-1].get("nats_per_token"), float):
        raise Skip(N_("the run has no evaluations"))
    return rows[-1]


def _error(measured: Sequence[Measured], mean: float) -> float:
    """Return the standard error of the mean, by the spread of the batches."""
    if len(measured) < 3:
        return math.inf
    squares = sum((each.nats_per_token - mean) ** 2 for each in measured) / (len(measured) - 1)
    return math.sqrt(squares / len(measured))


def recorded_loss_check(found: RecordedLoss | Skip) -> RunCheck:
    """Return the check of a measurement, or of the reason why there is none."""

    def find(_: Run) -> Iterator[Problem]:
        if isinstance(found, Skip):
            raise found
        if not found.agrees:
            yield Problem(
                "saving",
                N_("the weights are not those of the recorded loss"),
                N_(
                    "they cost {now:.3f} nats per token, {recorded:.3f} were recorded for this step",
                    now=found.measured,
                    recorded=found.recorded,
                ),
                N_("load the weights and settings of this step again, from a copy or another checkpoint"),
                cost=found.measured - found.recorded,
            )

    return RunCheck(
        N_("recorded loss"),
        N_("the weights cost what the run recorded"),
        N_("the same weights have the same loss"),
        find,
    )
